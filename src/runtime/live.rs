//! Live operation: camera in, outputs out, for as long as the unit runs.
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-capture` | camera | mailbox | the next frame, 100 ms at most |
//! | `ts-recognise` | mailbox, the next bank | output queues, progress, health | a frame, 100 ms at most |
//! | `ts-out-N` | its queue | its output | an event or its tick |
//! | caller | health board, output reports | output queues | the next look, 20 ms |
//!
//! A thread that panics ends the unit: the service manager starts it anew. Old frames are dropped in the
//! mailbox and counted; what a machine that is too slow leaves out is declared in [`Shed`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::board::{HealthBoard, HealthReporter};
use super::mailbox::{Mailbox, Taken};
use super::outputs::{Losses, OutputHub, OutputReport};
use super::shed::{Shed, Shedder};
use super::stop::Stop;
use super::timing::{Stage, StageTimes};
use crate::clock::Clock;
use crate::detect::{Detections, Detector};
use crate::event::{Event, Summary};
use crate::frame::Frame;
use crate::frame::view::ViewMonitor;
use crate::health::{HealthState, Reason};
use crate::output::{Output, Progress};
use crate::pipeline::Recognition;
use crate::position::Fix;
use crate::region::{RegionBank, RegionChange};
use crate::source::camera::{Camera, Shot};
use crate::units::{RegionCode, Timestamp};

/// Frames that go round: one filled, one waiting, one looked at, one to spare.
const FRAMES: usize = 4;
const PATIENCE: Duration = Duration::from_millis(100);
/// The supervisor's pause; reasons reach outputs within twice this.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Frames older than this make the view stale.
const STALE_S: f64 = 0.5;

/// What others may look at and hand in while the unit runs.
pub struct Shared {
    /// Frames done and dropped.
    pub progress: Arc<Progress>,
    /// Reasons that stand.
    pub board: HealthBoard,
    /// Ends everything.
    pub stop: Stop,
    next_region: Mutex<Option<RegionChange>>,
    renewed: Mutex<Vec<Arc<RegionBank>>>,
    place: Mutex<Option<Fix>>,
    times: Mutex<StageTimes>,
    frame: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            progress: Arc::new(Progress::default()),
            board: HealthBoard::default(),
            stop: Stop::default(),
            next_region: Mutex::new(None),
            renewed: Mutex::new(Vec::new()),
            place: Mutex::new(None),
            times: Mutex::new(StageTimes::default()),
            frame: AtomicU64::new(0),
        }
    }
}

impl Shared {
    /// Puts a region in force from the next frame on; a newer one replaces one that still waits.
    pub fn swap_region(&self, change: RegionChange) {
        *lock(&self.next_region) = Some(change);
    }

    /// Tells the recognition where the car is, for the way it drives; the newest fix counts.
    pub fn place(&self, fix: Fix) {
        *lock(&self.place) = Some(fix);
    }

    /// A newer pack is there, for whoever knows the region in force.
    pub fn renew(&self, bank: Arc<RegionBank>) {
        lock(&self.renewed).push(bank);
    }

    /// Takes the newer packs.
    pub fn take_renewed(&self) -> Vec<Arc<RegionBank>> {
        std::mem::take(&mut *lock(&self.renewed))
    }

    /// Time by stage so far.
    pub fn times(&self) -> StageTimes {
        lock(&self.times).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is guarded here cannot be half changed by a panic, and a panic ends the unit anyway.
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// What a live run needs.
pub struct LiveJob {
    /// Where frames come from.
    pub camera: Box<dyn Camera>,
    /// Detectors by falling resolution: the first is used while the machine keeps up.
    pub detectors: Vec<Detector>,
    /// The rest of the stages.
    pub recognition: Recognition,
    /// The region to start in.
    pub region: RegionCode,
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

/// Runs until the camera ends or `shared.stop` is asked to; `look` is called every 20 ms or so.
pub fn live(job: LiveJob, shared: &Shared, mut look: impl FnMut()) -> anyhow::Result<LiveResult> {
    let hub = OutputHub::start(job.outputs, Arc::clone(&job.clock))
        .context("cannot start an output's thread")?;
    let mailbox = Mailbox::new(vec![Frame::default(); FRAMES]);
    let clock = job.clock.as_ref();
    let camera = job.camera;
    let recogniser = Recogniser {
        detectors: job.detectors,
        recognition: job.recognition,
        region: job.region,
        view: ViewMonitor::default(),
        shedder: Shedder::default(),
        shed: Shed::Nothing,
        skip_next: false,
        last_capture: None,
        summary: Summary::default(),
    };
    let mut reporter = HealthReporter::default();
    let mut losses = Losses::default();
    let summary = std::thread::scope(|scope| {
        let capture = named("ts-capture").spawn_scoped(scope, || {
            let _closed = OnExit(|| mailbox.close());
            capture(camera, &mailbox, shared);
        })?;
        let recognise = named("ts-recognise").spawn_scoped(scope, || {
            let _stopped = OnExit(|| shared.stop.stop());
            recogniser.run(&mailbox, shared, &hub, clock)
        })?;
        while !shared.stop.is_stopped() {
            supervise(shared, &hub, clock, (&mut reporter, &mut losses), false);
            look();
            shared.stop.wait(LOOK_EVERY);
        }
        // A thread that died is told as a fault before the unit goes down.
        let captured = capture.join();
        let recognised = recognise.join();
        let died = captured.is_err() || recognised.is_err();
        supervise(shared, &hub, clock, (&mut reporter, &mut losses), died);
        look();
        captured.map_err(|_| anyhow!("the capture thread died"))?;
        recognised.map_err(|_| anyhow!("the recognition thread died"))?
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

/// Brings frames until the camera ends.
fn capture(mut camera: Box<dyn Camera>, mailbox: &Mailbox, shared: &Shared) {
    let mut frame = Frame::default();
    let mut lost = false;
    while !shared.stop.is_stopped() {
        match camera.shoot(&mut frame, PATIENCE) {
            Shot::Frame => {
                if std::mem::take(&mut lost) {
                    let words = format!("{} is back", camera.description());
                    shared.board.explain(Reason::NoCamera, false, words);
                }
                // The recognition holds one, one waits, one is here: a free one is left.
                let next = mailbox.free_frame().unwrap_or_default();
                mailbox.put(std::mem::replace(&mut frame, next));
            }
            Shot::Late => {}
            Shot::Lost(words) => {
                if !std::mem::replace(&mut lost, true) {
                    shared.board.explain(Reason::NoCamera, true, words);
                }
                shared.stop.wait(PATIENCE);
            }
            Shot::End => break,
        }
        let missed = camera.take_missed();
        if missed > 0 {
            shared.progress.add_dropped(missed);
        }
    }
}

/// Looks at health and tells what changed; a thread that `died` is a fault.
fn supervise(
    shared: &Shared,
    hub: &OutputHub,
    clock: &dyn Clock,
    (reporter, losses): (&mut HealthReporter, &mut Losses),
    died: bool,
) {
    let now = clock.now();
    let board = &shared.board;
    if let Some(captured) = shared.progress.last_frame() {
        let stale = now.seconds_since(captured) > STALE_S;
        board.set(Reason::StaleFrames, stale);
    }
    let reports = hub.reports();
    let fault = reports.iter().find_map(|r| r.fault.as_deref());
    match (fault, board.reasons().has(Reason::OutputDown)) {
        (Some(words), false) => board.explain(Reason::OutputDown, true, words),
        (None, true) => {
            let lost = losses.look(&reports, now).map(|words| format!("; {words}"));
            let words = format!("all outputs work again{}", lost.unwrap_or_default());
            board.explain(Reason::OutputDown, false, words);
        }
        (fault, _) => {
            if let Some(words) = losses.look(&reports, now) {
                board.explain(Reason::OutputDown, fault.is_some(), words);
            }
        }
    }
    let frame = shared.frame.load(Ordering::Relaxed);
    if let Some(mut event) = reporter.poll(board, now, frame) {
        if died {
            event.state = HealthState::Fault;
        }
        hub.tell(&Event::Health(event));
    }
}

/// The recognition thread's own.
struct Recogniser {
    detectors: Vec<Detector>,
    recognition: Recognition,
    region: RegionCode,
    view: ViewMonitor,
    shedder: Shedder,
    shed: Shed,
    skip_next: bool,
    last_capture: Option<Timestamp>,
    summary: Summary,
}

impl Recogniser {
    fn run(
        mut self,
        mailbox: &Mailbox,
        shared: &Shared,
        hub: &OutputHub,
        clock: &dyn Clock,
    ) -> anyhow::Result<Summary> {
        self.recognition.begin();
        self.recognition.announce_region(self.region, None);
        self.tell(hub);
        let mut dropped = 0;
        while !shared.stop.is_stopped() {
            match mailbox.take(PATIENCE) {
                Taken::Frame(frame) => {
                    self.frame(&frame, shared, hub, clock)?;
                    mailbox.give_back(frame);
                }
                Taken::Nothing => {
                    self.recognition.begin();
                    self.swap(shared, clock.now(), clock);
                    self.tell(hub);
                }
                Taken::Closed => break,
            }
            let now_dropped = mailbox.dropped();
            shared.progress.add_dropped(now_dropped - dropped);
            dropped = now_dropped;
        }
        self.recognition.begin();
        let (time, frame) = (clock.now(), shared.frame.load(Ordering::Relaxed));
        self.recognition.finish(time, frame);
        self.tell(hub);
        self.summary.lost_frames = shared.progress.dropped();
        Ok(self.summary)
    }

    fn frame(
        &mut self,
        frame: &Frame,
        shared: &Shared,
        hub: &OutputHub,
        clock: &dyn Clock,
    ) -> anyhow::Result<()> {
        self.skip_next = self.shed == Shed::Rate && !self.skip_next;
        if self.skip_next {
            shared.progress.add_dropped(1);
            return Ok(());
        }
        let start = clock.now();
        shared.frame.store(frame.index, Ordering::Relaxed);
        self.recognition.begin();
        if let Some(fix) = lock(&shared.place).take() {
            self.recognition.position(fix.time, fix.position_deg());
        }
        self.swap(shared, frame.time, clock);
        let view = self.view.look(frame);
        for reason in ViewMonitor::REASONS {
            shared.board.set(reason, view.has(reason));
        }
        let smaller = usize::from(self.shed >= Shed::Resolution);
        let detector = smaller.min(self.detectors.len() - 1);
        let detector = &mut self.detectors[detector];
        let mut detections = Detections::new();
        detector.prepare(frame);
        let prepared = clock.now();
        detector.infer()?;
        detector.decode(&mut detections);
        let detected = clock.now();
        self.recognition.step(frame, &detections)?;
        let encode = self.recognition.take_encode_time();
        self.tell(hub);
        let end = clock.now();
        shared.progress.recognised(frame.time, end);
        shared.board.recognised();
        self.summary.frames += 1;
        self.summary.time = frame.time;
        self.note_times(shared, [start, prepared, detected, end], encode);
        self.adapt(shared, frame.time, [start, end]);
        Ok(())
    }

    fn note_times(&self, shared: &Shared, at: [Timestamp; 4], encode: Duration) {
        let span = |from: Timestamp, to: Timestamp| {
            Duration::from_secs_f64(to.seconds_since(from).max(0.0))
        };
        let mut times = lock(&shared.times);
        times.add(Stage::Resample, span(at[0], at[1]));
        times.add(Stage::Detect, span(at[1], at[2]));
        times.add(Stage::Recognise, span(at[2], at[3]).saturating_sub(encode));
        if encode > Duration::ZERO {
            times.add(Stage::Encode, encode);
        }
    }

    /// Leaves out more or less, and says so.
    fn adapt(&mut self, shared: &Shared, captured: Timestamp, [start, end]: [Timestamp; 2]) {
        let interval = self.last_capture.replace(captured);
        let Some(interval_s) = interval.map(|last| captured.seconds_since(last)) else {
            return;
        };
        // Frames that were displaced lengthen the interval; the camera's own rate is what must be kept.
        let shed = self
            .shedder
            .frame(end, end.seconds_since(start), interval_s.min(0.1));
        if shed != self.shed {
            self.shed = shed;
            let crops = if shed == Shed::Nothing { usize::MAX } else { 1 };
            self.recognition.limit_crops(crops);
            let overload = shed != Shed::Nothing;
            shared
                .board
                .explain(Reason::Overload, overload, shed.name());
        }
    }

    /// Puts the next region in force, if one waits.
    fn swap(&mut self, shared: &Shared, time: Timestamp, clock: &dyn Clock) {
        // The other side holds the lock for one assignment at most.
        let Some(change) = lock(&shared.next_region).take() else {
            return;
        };
        if change.region == self.region && change.bank.sha256() == self.recognition.bank().sha256()
        {
            return;
        }
        self.region = change.region;
        let frame = shared.frame.load(Ordering::Relaxed);
        let fallback =
            change.bank.region() == RegionCode::WORLD && change.region != RegionCode::WORLD;
        shared.board.set(Reason::FallbackPack, fallback);
        let start = clock.now();
        self.recognition.swap_region((time, frame), change);
        let took_s = clock.now().seconds_since(start).max(0.0);
        lock(&shared.times).add(Stage::Swap, Duration::from_secs_f64(took_s));
        self.summary.region_swaps += 1;
    }

    fn tell(&mut self, hub: &OutputHub) {
        for event in self.recognition.events() {
            self.summary.count(event);
            hub.tell(event);
        }
    }
}
