//! From a frame to events: the stages put together, with no thread, device or clock of their own.
//!
//! [`Pipeline`] does everything in one call. A replay that looks at several frames at once runs the
//! detectors itself and gives their boxes, in order, to one [`Recognition`]. After the first frames
//! nothing is allocated.

mod look;
mod swap;
mod viewpoint;

use std::sync::Arc;
use std::time::Duration;

pub use viewpoint::Viewpoint;

use crate::advise::{Advisor, SpeedLimit};
use crate::clock::Lap;
use crate::detect::{Detection, Detections, Detector};
use crate::event::{Event, FrameView, RegionEvent, SignEvent, TrackView};
use crate::frame::Frame;
use crate::model::ModelError;
use crate::recognise::{ConfirmPlan, EncodePlan, Encoder, Evidence};
use crate::region::{RegionBank, standard_size};
use crate::track::{Lens, MAX_TRACKS, Track, TrackPlan, Tracker};
use crate::units::{RegionCode, Timestamp};

/// The thresholds of tracking, encoding and confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RecognitionPlan {
    /// How tracks begin and end.
    pub track: TrackPlan,
    /// Which crops are encoded.
    pub encode: EncodePlan,
    /// When a class is confirmed.
    pub confirm: ConfirmPlan,
    /// The camera's lens, for distances and bearings.
    pub lens: Lens,
}

impl RecognitionPlan {
    /// Where a detector takes so many views in turn: what one of them shows is found in a frame of each round.
    pub fn for_views(mut self, views: usize) -> Self {
        self.confirm.min_detected_share /= views.max(1) as f32;
        self
    }
}

/// Detector and recognition in one.
pub struct Pipeline {
    detector: Detector,
    detections: Detections,
    recognition: Recognition,
}

impl Pipeline {
    /// From loaded models and a region's bank.
    pub fn new(detector: Detector, recognition: Recognition) -> Self {
        Self {
            detector,
            detections: Detections::new(),
            recognition,
        }
    }

    /// Looks at the next frame; the events are in the order they came to be.
    pub fn process(&mut self, frame: &Frame) -> Result<&[Event], ModelError> {
        self.detector.detect(frame, &mut self.detections)?;
        self.recognition.step(frame, &self.detections)?;
        Ok(self.recognition.events())
    }

    /// Everything after the detector.
    pub fn recognition(&mut self) -> &mut Recognition {
        &mut self.recognition
    }
}

/// What belongs to one camera.
struct Eye {
    viewpoint: Viewpoint,
    tracker: Tracker,
    evidence: Vec<Evidence>,
    frame_px: (u32, u32),
}

/// Time spent in the parts of a step, for who measures it; the encoder's network is told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// Boxes tied to tracks.
    pub track: Duration,
    /// Crops made of the frame.
    pub crop: Duration,
    /// Embeddings compared with the region's bank.
    pub matching: Duration,
}

/// Everything after the detector; see the module.
pub struct Recognition {
    plan: RecognitionPlan,
    eyes: Vec<Eye>,
    encoder: Encoder,
    bank: Arc<RegionBank>,
    region: RegionCode,
    advisor: Advisor,
    crop_limit: usize,
    /// The latest frame of any camera: those of two may come in the wrong order.
    latest: Timestamp,
    events: Vec<Event>,
    views: Vec<TrackView>,
    times: StepTimes,
}

impl Recognition {
    /// With the bank of the region the drive starts in.
    pub fn new(plan: RecognitionPlan, encoder: Encoder, bank: Arc<RegionBank>) -> Self {
        let viewpoint = Viewpoint {
            lens: plan.lens,
            ..Viewpoint::default()
        };
        Self {
            plan,
            eyes: Vec::new(),
            encoder,
            region: bank.region(),
            advisor: Advisor::new(bank.region(), bank.road_rules()),
            bank,
            crop_limit: usize::MAX,
            latest: Timestamp::ZERO,
            events: Vec::with_capacity(4 * MAX_TRACKS),
            views: Vec::with_capacity(MAX_TRACKS),
            times: StepTimes::default(),
        }
        .seen_from(vec![viewpoint])
    }

    /// By several cameras, before the first frame.
    pub fn seen_from(mut self, viewpoints: Vec<Viewpoint>) -> Self {
        let (all, dim) = (viewpoints.len(), self.encoder.dim());
        let eye = |(n, viewpoint)| Eye {
            viewpoint,
            tracker: Tracker::new(self.plan.track).sharing_ids(n, all),
            evidence: vec![Evidence::new(dim); MAX_TRACKS],
            frame_px: (0, 0),
        };
        self.eyes = viewpoints.into_iter().enumerate().map(eye).collect();
        self
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Encodes at most so many crops a frame, whatever the plan allows: for machines that cannot keep up.
    pub fn limit_crops(&mut self, per_frame: usize) {
        self.crop_limit = per_frame;
    }

    /// The bank in use.
    pub fn bank(&self) -> &Arc<RegionBank> {
        &self.bank
    }

    /// Events since [`Recognition::begin`].
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Time spent in the encoder's network since the last call.
    pub fn take_encode_time(&mut self) -> Duration {
        self.encoder.take_run_time()
    }

    /// Time spent in the parts of steps since the last call.
    pub fn take_step_times(&mut self) -> StepTimes {
        std::mem::take(&mut self.times)
    }

    /// Puts a bank in place before the first frame.
    pub fn set_bank(&mut self, bank: Arc<RegionBank>) {
        self.region = bank.region();
        self.advisor = Advisor::new(self.region, bank.road_rules());
        self.bank = bank;
    }

    /// Where the car is (latitude and longitude in degrees): the advice measures the way driven.
    pub fn position(&mut self, time: Timestamp, position_deg: (f64, f64)) {
        self.advisor.fix(time, position_deg);
    }

    /// The speed limit in force.
    pub fn limit(&self) -> &SpeedLimit {
        self.advisor.limit()
    }

    /// What the last step found, for sinks that show pictures.
    pub fn view(&self, position_deg: Option<(f64, f64)>) -> FrameView<'_> {
        FrameView {
            tracks: &self.views,
            events: &self.events,
            region: self.region,
            position_deg,
            swap_took: None,
        }
    }

    /// Forgets the events told already.
    pub fn begin(&mut self) {
        self.events.clear();
    }

    /// Announces the region the drive starts in.
    pub fn announce_region(&mut self, region: RegionCode, position_deg: Option<(f64, f64)>) {
        self.region = region;
        self.advisor.starts_in(region);
        let event = self.region_event(Timestamp::ZERO, 0, position_deg);
        self.events.push(Event::Region(event));
    }

    /// Tells something else with this frame's events, e.g. that the position was lost.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Takes the boxes of the next frame of the only camera.
    pub fn step(&mut self, frame: &Frame, detections: &[Detection]) -> Result<(), ModelError> {
        self.step_of(0, frame, detections)
    }

    /// Takes the boxes of the next frame of one of the cameras, counted from 0.
    pub fn step_of(
        &mut self,
        camera: usize,
        frame: &Frame,
        detections: &[Detection],
    ) -> Result<(), ModelError> {
        let now = (frame.time, frame.index);
        self.latest = self.latest.max(frame.time);
        let eye = &mut self.eyes[camera];
        eye.frame_px = (frame.width_px(), frame.height_px());
        let mut lap = Lap::start();
        eye.tracker.update(frame.time, eye.frame_px, detections);
        lap.add_to(&mut self.times.track);
        self.end_lost(camera, now);
        self.encode(camera, frame)?;
        self.look_below(camera, frame)?;
        self.announce(camera, now);
        self.advise(camera, now);
        self.fill_views(camera);
        Ok(())
    }

    /// A camera is gone: its tracks end.
    pub fn lose(&mut self, camera: usize, time: Timestamp, frame: u64) {
        self.eyes[camera].tracker.finish();
        self.end_lost(camera, (time, frame));
    }

    /// Ends all tracks, at the end of the drive.
    pub fn finish(&mut self, time: Timestamp, frame: u64) {
        for camera in 0..self.eyes.len() {
            self.lose(camera, time, frame);
        }
        self.views.clear();
    }

    fn end_lost(&mut self, camera: usize, now: (Timestamp, u64)) {
        let eye = &mut self.eyes[camera];
        let seen_by = (&eye.viewpoint, eye.frame_px);
        for track in eye.tracker.lost() {
            let found = eye
                .evidence
                .iter_mut()
                .find(|e| e.track() == Some(track.id));
            let Some(evidence) = found else { continue };
            let sign = sign_event(now, track, evidence, self.region, seen_by);
            self.advisor.lost(&sign);
            if evidence.announced {
                self.events.push(Event::SignLost(sign));
            }
            evidence.assign(None);
        }
    }

    fn fill_views(&mut self, camera: usize) {
        let eye = &self.eyes[camera];
        self.views.clear();
        for track in eye.tracker.tracks() {
            let found = eye.evidence.iter().find(|e| e.track() == Some(track.id));
            if let Some(evidence) = found.filter(|e| e.announced) {
                let naming = evidence.naming();
                let size = standard_size(self.region, naming.class().map(Arc::as_ref));
                self.views.push(TrackView {
                    track: track.id,
                    bbox: track.bbox(),
                    naming,
                    probability: evidence.best().probability,
                    detected: track.detection.is_some(),
                    placement: eye.viewpoint.place(track.bbox(), eye.frame_px, size),
                });
            }
        }
    }

    fn region_event(
        &self,
        time: Timestamp,
        frame: u64,
        position_deg: Option<(f64, f64)>,
    ) -> RegionEvent {
        RegionEvent {
            time,
            frame,
            from: None,
            to: self.region,
            pack: self.bank.region(),
            pack_version: Arc::clone(self.bank.version()),
            pack_sha256: Arc::clone(self.bank.sha256()),
            position_deg,
            crossing: None,
            change: None,
        }
    }
}

fn confirm(events: &mut Vec<Event>, evidence: &mut Evidence, sign: SignEvent) {
    if !evidence.announced {
        evidence.announced = true;
        events.push(Event::SignSeen(sign.clone()));
    }
    events.push(Event::SignConfirmed(sign));
}

fn sign_event(
    (time, frame): (Timestamp, u64),
    track: &Track,
    evidence: &Evidence,
    region: RegionCode,
    (viewpoint, frame_px): (&Viewpoint, (u32, u32)),
) -> SignEvent {
    let naming = evidence.naming();
    let size = standard_size(region, naming.class().map(Arc::as_ref));
    SignEvent {
        time,
        frame,
        camera: viewpoint.camera.clone(),
        track: track.id,
        naming,
        probability: evidence.best().probability,
        top: evidence.best().top.clone(),
        region,
        bbox: track.last_box,
        placement: viewpoint.place(track.last_box, frame_px, size),
        observations: track.observations,
        first_seen: track.first_seen,
    }
}
