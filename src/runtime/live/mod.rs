//! Live operation: cameras in, outputs out, for as long as the unit runs.
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-capture`, one a camera | camera | its slot of the mailbox | the next frame, 100 ms at most |
//! | `ts-recognise` | mailbox, the next bank | output queues, progress, health | a frame, 100 ms at most |
//! | `ts-out-N` | its queue | its output | an event or its tick |
//! | caller | health board, output reports | output queues | the next look, 20 ms |
//!
//! A thread that panics, of these or others ([`Shared::died`]), ends the unit: the service manager starts it anew. Old frames are dropped in the
//! mailbox and counted; what a machine that is too slow leaves out is declared in [`Shed`](super::shed::Shed).

mod capture;
mod recogniser;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};

use capture::capture;
use recogniser::{Eye, Recogniser};

use super::board::HealthReporter;
use super::collect::Collecting;
use super::mailbox::Mailbox;
use super::outputs::{Losses, OutputHub, OutputReport};
use super::shared::{Shared, lock};
use super::stale::Staleness;
use super::timing::StageTimes;
use crate::clock::Clock;
use crate::detect::Detector;
use crate::event::{Event, Summary};
use crate::health::{HealthState, Reason};
use crate::output::Output;
use crate::output::status::Preview;
use crate::pipeline::Recognition;
use crate::source::camera::Camera;
use crate::units::RegionCode;

/// Frames that go round: one filled, one waiting, one looked at, one to spare.
const FRAMES: usize = 4;
const PATIENCE: Duration = Duration::from_millis(100);
/// The supervisor's pause; reasons reach outputs within twice this.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One of the cameras of a live run.
pub struct LiveCamera {
    /// Its name, where there are several.
    pub name: Option<Arc<str>>,
    /// Where frames come from.
    pub camera: Box<dyn Camera>,
    /// How often it is looked at, compared to the others.
    pub share: u8,
    /// Which of [`LiveJob::detectors`] is made for its frames.
    pub detector: usize,
}

/// What a live run needs.
pub struct LiveJob {
    /// Where frames come from, in the order of the recognition's viewpoints.
    pub cameras: Vec<LiveCamera>,
    /// For each size of frame, detectors by falling resolution: the first is used while the machine keeps up.
    pub detectors: Vec<Vec<Detector>>,
    /// The rest of the stages.
    pub recognition: Recognition,
    /// The region to start in.
    pub region: RegionCode,
    /// Keeps crops that were in doubt, if wanted.
    pub collect: Option<Collecting>,
    /// Shows what cameras see, if wanted.
    pub preview: Option<Arc<Preview>>,
    /// Told every event.
    pub outputs: Vec<Box<dyn Output>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What came of it.
#[derive(Debug)]
pub struct LiveResult {
    /// Closing figures.
    pub summary: Summary,
    /// Time by stage.
    pub times: StageTimes,
    /// How the outputs did.
    pub outputs: Vec<OutputReport>,
    /// Outputs that did not end in time.
    pub late_outputs: Vec<String>,
}

/// Runs until all cameras end or `shared.stop` is asked to; `look` is called every 20 ms or so.
pub fn live(job: LiveJob, shared: &Shared, mut look: impl FnMut()) -> anyhow::Result<LiveResult> {
    let (clock, board) = (Arc::clone(&job.clock), Arc::clone(&shared.board));
    // Taken before outputs start: one that fails at once must not hide how the unit began.
    let mut reporter = HealthReporter::default();
    let began = reporter.poll(&board, clock.now(), 0);
    let hub = OutputHub::start(job.outputs, clock, &shared.threads.outputs, &board)
        .context("cannot start an output's thread")?;
    if let Some(event) = began {
        hub.tell(&Event::Health(event));
    }
    let shares: Vec<u8> = job.cameras.iter().map(|c| c.share).collect();
    let mailbox = Mailbox::new(&shares, FRAMES);
    let clock = job.clock.as_ref();
    let cameras = job.cameras;
    let recogniser = Recogniser::new(
        cameras.iter().map(|c| Eye::new(c.detector)).collect(),
        job.detectors,
        job.recognition,
        job.region,
        (job.collect, job.preview),
    );
    let mut supervisor = Supervisor {
        reporter,
        losses: Losses::default(),
        views: vec![Staleness::default(); cameras.len()],
    };
    let summary = std::thread::scope(|scope| {
        let mailbox = &mailbox;
        let mut captures = Vec::new();
        for (n, camera) in cameras.into_iter().enumerate() {
            let name = match &camera.name {
                Some(name) => format!("ts-cap-{name}"),
                None => "ts-capture".to_owned(),
            };
            captures.push(named(&name).spawn_scoped(scope, move || {
                let _closed = OnExit(|| mailbox.close(n));
                let _stopped = OnPanic(|| shared.died());
                shared.threads.capture.place(&shared.board);
                capture(n, camera.camera, mailbox, shared, clock);
            })?);
        }
        let recognise = named("ts-recognise").spawn_scoped(scope, || {
            let _stopped = OnExit(|| shared.stop.stop());
            shared.threads.recognise.place(&shared.board);
            recogniser.run(mailbox, shared, &hub, clock)
        })?;
        while !shared.stop.is_stopped() {
            supervisor.look(shared, &hub, clock, false);
            look();
            shared.stop.wait(LOOK_EVERY);
        }
        // A thread that died is told as a fault before the unit goes down.
        let joined = captures.into_iter().map(|capture| capture.join());
        let captured = joined.filter(Result::is_err).count() == 0;
        let recognised = recognise.join();
        let why = match &recognised {
            Err(_) => Some("the recognition thread died".to_owned()),
            Ok(Err(e)) => Some(format!("{e:#}")),
            Ok(Ok(_)) => (shared.died.load(Ordering::Acquire)).then(|| "a thread died".to_owned()),
        };
        let died = why.is_some();
        if let Some(why) = why {
            shared.board.say(why);
        }
        supervisor.look(shared, &hub, clock, died);
        look();
        ensure!(captured, "a capture thread died");
        let summary = recognised.map_err(|_| anyhow!("the recognition thread died"))??;
        ensure!(!died, "a thread died");
        anyhow::Ok(summary)
    })?;
    hub.tell(&Event::Summary(summary.clone()));
    let outputs = hub.reports();
    let late_outputs = hub.stop();
    Ok(LiveResult {
        summary,
        times: shared.times(),
        outputs,
        late_outputs,
    })
}

fn named(name: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(name.to_owned())
}

/// Runs its closure when a thread ends, also by a panic.
struct OnExit<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnExit<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs its closure when a thread panics.
struct OnPanic<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

/// What the caller's thread remembers from look to look.
struct Supervisor {
    reporter: HealthReporter,
    losses: Losses,
    /// One a camera.
    views: Vec<Staleness>,
}

impl Supervisor {
    /// Looks at health and tells what changed; a thread that `died` is a fault.
    fn look(&mut self, shared: &Shared, hub: &OutputHub, clock: &dyn Clock, died: bool) {
        let now = clock.now();
        let board = &shared.board;
        for (camera, (newest, view)) in board.newest().zip(&mut self.views).enumerate() {
            if let Some(captured) = newest {
                board.set_of(camera, Reason::StaleFrames, view.look(now, captured));
            }
        }
        let reports = hub.reports();
        let collect_fault = lock(&shared.collect_fault).clone();
        let fault = (reports.iter().find_map(|r| r.fault.as_deref())).or(collect_fault.as_deref());
        match (fault, board.reasons().has(Reason::OutputDown)) {
            (Some(words), false) => board.explain(Reason::OutputDown, true, words),
            (None, true) => {
                let lost = self
                    .losses
                    .look(&reports, now)
                    .map(|words| format!("; {words}"));
                let words = format!("all outputs work again{}", lost.unwrap_or_default());
                board.explain(Reason::OutputDown, false, words);
            }
            (fault, _) => {
                if let Some(words) = self.losses.look(&reports, now) {
                    board.explain(Reason::OutputDown, fault.is_some(), words);
                }
            }
        }
        let frame = shared.frame.load(Ordering::Relaxed);
        if let Some(mut event) = self.reporter.poll(board, now, frame) {
            if died {
                event.state = HealthState::Fault;
            }
            hub.tell(&Event::Health(event));
        }
    }
}
