//! The recognition thread: frames of all cameras in turn, the next region between two of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::PATIENCE;
use crate::clock::Clock;
use crate::detect::{Detections, Detector};
use crate::event::Summary;
use crate::frame::Frame;
use crate::frame::view::ViewMonitor;
use crate::health::Reason;
use crate::output::status::Preview;
use crate::pipeline::Recognition;
use crate::runtime::collect::Collecting;
use crate::runtime::mailbox::{Mailbox, Taken};
use crate::runtime::outputs::OutputHub;
use crate::runtime::shared::{Shared, lock};
use crate::runtime::shed::{Shed, Shedder};
use crate::runtime::timing::Stage;
use crate::units::{RegionCode, Timestamp};

/// A camera that brings nothing for so long sees its signs no more.
const BLIND_S: f64 = 1.0;

/// What the recognition thread keeps of a camera.
pub(super) struct Eye {
    detector: usize,
    view: ViewMonitor,
    skip_next: bool,
    last_capture: Option<Timestamp>,
    /// It brought no frame lately: its tracks have ended.
    blind: bool,
}

impl Eye {
    pub(super) fn new(detector: usize) -> Self {
        Self {
            detector,
            view: ViewMonitor::default(),
            skip_next: false,
            last_capture: None,
            blind: true,
        }
    }
}

/// The recognition thread's own.
pub(super) struct Recogniser {
    eyes: Vec<Eye>,
    detectors: Vec<Vec<Detector>>,
    recognition: Recognition,
    region: RegionCode,
    collect: Option<Collecting>,
    preview: Option<Arc<Preview>>,
    shedder: Shedder,
    shed: Shed,
    summary: Summary,
}

impl Recogniser {
    pub(super) fn new(
        eyes: Vec<Eye>,
        detectors: Vec<Vec<Detector>>,
        recognition: Recognition,
        region: RegionCode,
        (collect, preview): (Option<Collecting>, Option<Arc<Preview>>),
    ) -> Self {
        Self {
            eyes,
            detectors,
            recognition,
            region,
            collect,
            preview,
            shedder: Shedder::default(),
            shed: Shed::Nothing,
            summary: Summary::default(),
        }
    }

    pub(super) fn run(
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
