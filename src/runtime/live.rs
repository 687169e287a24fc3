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
//! mailbox and counted; what a machine that is too slow leaves out is declared in [`Shed`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};

use super::board::{HealthBoard, HealthReporter};
use super::collect::Collecting;
use super::mailbox::{Mailbox, Taken};
use super::outputs::{Losses, OutputHub, OutputReport};
use super::shed::{Shed, Shedder};
use super::stop::Stop;
use super::threads::ThreadPlans;
use super::timing::{Stage, StageTimes};
use crate::clock::Clock;
use crate::detect::{Detections, Detector};
use crate::event::{Event, Summary};
use crate::frame::Frame;
use crate::frame::view::ViewMonitor;
use crate::health::{HealthState, Reason};
use crate::output::status::Preview;
use crate::output::{Output, Progress};
use crate::pipeline::Recognition;
use crate::position::Fix;
use crate::region::{RegionBank, RegionChange};
use crate::source::camera::{Camera, Missed, Shot};
use crate::units::{RegionCode, Timestamp};

/// Frames that go round: one filled, one waiting, one looked at, one to spare.
const FRAMES: usize = 4;
const PATIENCE: Duration = Duration::from_millis(100);
/// The supervisor's pause; reasons reach outputs within twice this.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Frames older than this make the view stale.
const STALE_S: f64 = 0.5;
/// A camera that brings nothing for so long sees its signs no more.
const BLIND_S: f64 = 1.0;
/// Damaged pictures are told from the second one within this time on, until none has come for so long.
const DAMAGE_S: f64 = 1.0;

/// What others may look at and hand in while the unit runs.
pub struct Shared {
    /// Frames done and dropped.
    pub progress: Arc<Progress>,
    /// Reasons that stand.
    pub board: Arc<HealthBoard>,
    /// Where threads run.
    pub threads: ThreadPlans,
    /// Ends everything.
    pub stop: Stop,
    next_region: Mutex<Option<RegionChange>>,
    renewed: Mutex<Vec<Arc<RegionBank>>>,
    place: Mutex<Option<Fix>>,
    collect_fault: Mutex<Option<String>>,
    times: Mutex<StageTimes>,
    frame: AtomicU64,
    died: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            progress: Arc::new(Progress::default()),
            board: Arc::default(),
            threads: ThreadPlans::default(),
            stop: Stop::default(),
            next_region: Mutex::new(None),
            renewed: Mutex::new(Vec::new()),
            place: Mutex::new(None),
            collect_fault: Mutex::new(None),
            times: Mutex::new(StageTimes::default()),
            frame: AtomicU64::new(0),
            died: AtomicBool::new(false),
        }
    }
}

impl Shared {
    /// For a unit whose threads are placed by `threads`, with cameras of these names.
    pub fn new(threads: ThreadPlans, cameras: impl IntoIterator<Item = Option<Arc<str>>>) -> Self {
        Self {
            threads,
            board: Arc::new(HealthBoard::of_cameras(cameras)),
            ..Self::default()
        }
    }

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

    /// What keeps crops from being collected, if anything does.
    pub fn collecting(&self, fault: Option<String>) {
        *lock(&self.collect_fault) = fault;
    }

    /// A thread of the unit died: the unit ends, with a fault.
    pub fn died(&self) {
        self.died.store(true, Ordering::Release);
        self.stop.stop();
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
    let eye = |camera: &LiveCamera| Eye {
        detector: camera.detector,
        view: ViewMonitor::default(),
        skip_next: false,
        last_capture: None,
        blind: true,
    };
    let recogniser = Recogniser {
        eyes: cameras.iter().map(eye).collect(),
        detectors: job.detectors,
        recognition: job.recognition,
        collect: job.collect,
        preview: job.preview,
        region: job.region,
        shedder: Shedder::default(),
        shed: Shed::Nothing,
        summary: Summary::default(),
    };
    let mut losses = Losses::default();
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
            supervise(shared, &hub, clock, (&mut reporter, &mut losses), false);
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
        supervise(shared, &hub, clock, (&mut reporter, &mut losses), died);
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

/// Brings the frames of the `n`-th camera until it ends.
fn capture(
    n: usize,
    mut camera: Box<dyn Camera>,
    mailbox: &Mailbox,
    shared: &Shared,
    clock: &dyn Clock,
) {
    let board = &shared.board;
    let mut frame = Frame::default();
    let mut lost: Option<String> = None;
    let mut damage = Damage::default();
    while !shared.stop.is_stopped() {
        match camera.shoot(&mut frame, PATIENCE) {
            Shot::Frame => {
                if lost.take().is_some() {
                    let words = format!("{} is back", camera.description());
                    board.explain_of(n, Reason::NoCamera, false, &words);
                }
                // The recognition holds one, one waits, one is here: a free one is left.
                let next = mailbox.free_frame(n).unwrap_or_default();
                mailbox.put(n, std::mem::replace(&mut frame, next));
            }
            Shot::Late => {}
            Shot::Lost(words) => {
                if lost.as_ref() != Some(&words) {
                    board.explain_of(n, Reason::NoCamera, true, &words);
                    lost = Some(words);
                }
                shared.stop.wait(PATIENCE);
            }
            Shot::End => break,
        }
        let Missed { left_out, damaged } = camera.take_missed();
        shared.progress.add_dropped(left_out + damaged);
        if let Some((stands, words)) = damage.look(damaged, clock.now()) {
            let words = format!("{}: {words}", camera.description());
            board.explain_of(n, Reason::DamagedFrames, stands, &words);
        }
    }
}

/// Damaged pictures that came one soon after the other.
#[derive(Default)]
struct Damage {
    pictures: u64,
    last: Option<Timestamp>,
    told: bool,
}

impl Damage {
    /// So many more came by now: whether that begins or ends what must be told, in words.
    fn look(&mut self, more: u64, now: Timestamp) -> Option<(bool, String)> {
        if more > 0 {
            self.pictures += more;
            self.last = Some(now);
            let begins = self.pictures > 1 && !std::mem::replace(&mut self.told, true);
            return begins.then(|| (true, "pictures come damaged".to_owned()));
        }
        if now.seconds_since(self.last?) < DAMAGE_S {
            return None;
        }
        let Self { pictures, told, .. } = std::mem::take(self);
        told.then(|| (false, format!("{pictures} damaged pictures were left out")))
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
    for (camera, newest) in board.newest().enumerate() {
        if let Some(captured) = newest {
            let stale = now.seconds_since(captured) > STALE_S;
            board.set_of(camera, Reason::StaleFrames, stale);
        }
    }
    let reports = hub.reports();
    let collect_fault = lock(&shared.collect_fault).clone();
    let fault = (reports.iter().find_map(|r| r.fault.as_deref())).or(collect_fault.as_deref());
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

/// What the recognition thread keeps of a camera.
struct Eye {
    detector: usize,
    view: ViewMonitor,
    skip_next: bool,
    last_capture: Option<Timestamp>,
    /// It brought no frame lately: its tracks have ended.
    blind: bool,
}

/// The recognition thread's own.
struct Recogniser {
    eyes: Vec<Eye>,
    detectors: Vec<Vec<Detector>>,
    recognition: Recognition,
    collect: Option<Collecting>,
    preview: Option<Arc<Preview>>,
    region: RegionCode,
    shedder: Shedder,
    shed: Shed,
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
                Taken::Frame(camera, frame) => {
                    self.frame(camera, &frame, shared, hub, clock)?;
                    mailbox.give_back(camera, frame);
                }
                Taken::Nothing => {
                    self.recognition.begin();
                    self.end_unseen(shared, clock.now());
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
        camera: usize,
        frame: &Frame,
        shared: &Shared,
        hub: &OutputHub,
        clock: &dyn Clock,
    ) -> anyhow::Result<()> {
        let eye = &mut self.eyes[camera];
        eye.skip_next = self.shed == Shed::Rate && !eye.skip_next;
        if eye.skip_next {
            shared.progress.add_dropped(1);
            return Ok(());
        }
        let start = clock.now();
        shared.frame.store(frame.index, Ordering::Relaxed);
        self.recognition.begin();
        self.end_unseen(shared, start);
        if let Some(fix) = lock(&shared.place).take() {
            self.recognition.position(fix.time, fix.position_deg());
        }
        self.swap(shared, frame.time, clock);
        let eye = &mut self.eyes[camera];
        eye.blind = false;
        let view = eye.view.look(frame);
        for reason in ViewMonitor::REASONS {
            shared.board.set_of(camera, reason, view.has(reason));
        }
        let detectors = &mut self.detectors[eye.detector];
        let smaller = usize::from(self.shed >= Shed::Resolution);
        let detector = smaller.min(detectors.len() - 1);
        let detector = &mut detectors[detector];
        let mut detections = Detections::new();
        detector.prepare(frame);
        let prepared = clock.now();
        detector.infer()?;
        detector.decode(&mut detections);
        let detected = clock.now();
        self.recognition.step_of(camera, frame, &detections)?;
        let encode = self.recognition.take_encode_time();
        self.tell(hub);
        if let Some(collect) = &mut self.collect {
            collect.frame(frame, &self.recognition.view(None));
        }
        if let Some(preview) = &self.preview {
            preview.offer(camera, frame, &self.recognition.view(None));
        }
        let end = clock.now();
        shared.progress.recognised(frame.time, end);
        shared.board.recognised(camera, frame.time);
        self.summary.frames += 1;
        self.summary.time = self.summary.time.max(frame.time);
        self.note_times(shared, [start, prepared, detected, end], encode);
        self.adapt(shared, (camera, frame.time), [start, end]);
        Ok(())
    }

    /// Ends the tracks of cameras that bring no frames any more.
    fn end_unseen(&mut self, shared: &Shared, now: Timestamp) {
        let frame = shared.frame.load(Ordering::Relaxed);
        for (camera, eye) in self.eyes.iter_mut().enumerate() {
            let last = eye.last_capture.filter(|_| !eye.blind);
            if last.is_some_and(|last| now.seconds_since(last) > BLIND_S) {
                eye.blind = true;
                self.recognition.lose(camera, now, frame);
            }
        }
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
    fn adapt(
        &mut self,
        shared: &Shared,
        (camera, captured): (usize, Timestamp),
        [start, end]: [Timestamp; 2],
    ) {
        let interval = self.eyes[camera].last_capture.replace(captured);
        let Some(interval_s) = interval.map(|last| captured.seconds_since(last)) else {
            return;
        };
        // Frames that were displaced lengthen the interval; the camera's own rate is what must be kept.
        // All cameras that see are looked at within that time.
        let seeing = self.eyes.iter().filter(|eye| !eye.blind).count().max(1);
        let interval_s = interval_s.min(0.1) / seeing as f64;
        let shed = self
            .shedder
            .frame(end, end.seconds_since(start), interval_s);
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
