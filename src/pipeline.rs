//! From a frame to events: the stages put together, with no thread, device or clock of their own.
//!
//! [`Pipeline`] does everything in one call. A replay that looks at several frames at once runs the
//! detectors itself and gives their boxes, in order, to one [`Recognition`]. After the first frames
//! nothing is allocated.

use std::sync::Arc;
use std::time::Duration;

use crate::advise::{Advisor, Seen, SpeedLimit, plate_place};
use crate::clock::Lap;
use crate::detect::{Detection, Detections, Detector};
use crate::event::{
    AdviceState, Event, Family, FrameView, Naming, Placement, RegionEvent, Renamed, SignEvent,
    SwapChange, TrackView,
};
use crate::frame::Frame;
use crate::model::ModelError;
use crate::recognise::{ConfirmPlan, EncodePlan, Encoder, Evidence, Verdict, priority, quality};
use crate::region::{RegionBank, RegionChange, SignSize, standard_size};
use crate::track::{Lens, MAX_TRACKS, Track, TrackPlan, Tracker};
use crate::units::{BoxPx, RegionCode, Timestamp, TrackId};

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

/// From where a camera looks, and through what.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Viewpoint {
    /// The camera's name, where there are several.
    pub camera: Option<Arc<str>>,
    /// Its lens.
    pub lens: Lens,
    /// Where its axis points, from the vehicle's to the right, in degrees.
    pub bearing_deg: f32,
}

impl Viewpoint {
    /// Signs seen far aside are for other roads: they are told, but set no limit.
    fn advises(&self) -> bool {
        self.bearing_deg.abs() <= ASIDE_DEG
    }

    fn place(&self, bbox: BoxPx, frame_px: (u32, u32), size: SignSize) -> Option<Placement> {
        let placed = (self.lens).place(bbox, frame_px, size.longer_side_m, size.deviation_share)?;
        let mut bearing_deg = placed.bearing_deg + self.bearing_deg;
        if bearing_deg.abs() > 180.0 {
            bearing_deg -= 360.0_f32.copysign(bearing_deg);
        }
        Some(Placement {
            bearing_deg,
            ..placed
        })
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

    /// Puts another region in force, before the frame `frame` at `time` is looked at: live tracks are
    /// matched again from the embeddings they hold, so that no event of the frame speaks of the old bank.
    pub fn swap_region(&mut self, (time, frame): (Timestamp, u64), next: RegionChange) {
        // A newer pack of the same region leaves its limit in force.
        let same_law =
            self.region == next.region && self.bank.road_rules() == next.bank.road_rules();
        let from = std::mem::replace(&mut self.region, next.region);
        let old = std::mem::replace(&mut self.bank, next.bank);
        let region_at = self.events.len();
        let mut event = self.region_event(time, frame, next.position_deg);
        event.from = Some(from);
        event.crossing = next.crossing;
        self.events.push(Event::Region(event));
        let (gained, lost) = self.bank.differences(&old);
        let mut change = SwapChange {
            gained,
            lost,
            unit: (old.speed_unit().zip(self.bank.speed_unit())).filter(|(a, b)| a != b),
            ..SwapChange::default()
        };
        let told = self.events.len();
        if !same_law {
            let rules = self.bank.road_rules();
            (self.advisor).region((time, frame), self.region, rules, &mut self.events);
        }
        change.advice_expired = (self.events[told..].iter())
            .any(|e| matches!(e, Event::SpeedLimit(a) if a.state == AdviceState::Expired));
        for eye in 0..self.eyes.len() {
            for slot in 0..MAX_TRACKS {
                self.swap_track(eye, slot, (time, frame), &mut change);
            }
        }
        if let Event::Region(event) = &mut self.events[region_at] {
            event.change = Some(Arc::new(change));
        }
    }

    /// Matches one live track against the bank that is in force now.
    fn swap_track(
        &mut self,
        eye: usize,
        slot: usize,
        now: (Timestamp, u64),
        change: &mut SwapChange,
    ) {
        let eye = &mut self.eyes[eye];
        let evidence = &mut eye.evidence[slot];
        let Some(id) = evidence.track() else { return };
        let before = evidence.naming();
        let verdict = evidence.swap_bank(&self.bank, &self.plan.confirm);
        let to = evidence.naming();
        change.tracks += u32::from(evidence.encoded() > 0);
        if !same_sign(&before, &to) {
            change.renamed.push(Renamed {
                track: id,
                from: before,
                to,
            });
        }
        if verdict == Verdict::Confirmed
            && let Some(track) = eye.tracker.tracks().iter().find(|t| t.id == id)
        {
            let seen_by = (&eye.viewpoint, eye.frame_px);
            let sign = sign_event(now, track, evidence, self.region, seen_by);
            confirm(&mut self.events, evidence, sign);
        }
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

    /// Encodes the crops that deserve it, most urgent first, larger before smaller.
    fn encode(&mut self, camera: usize, frame: &Frame) -> Result<(), ModelError> {
        let eye = &mut self.eyes[camera];
        let seen_by = (&eye.viewpoint, eye.frame_px);
        let mut queue: heapless::Vec<(u8, f32, usize, usize), MAX_TRACKS> = heapless::Vec::new();
        for (t, track) in eye.tracker.tracks().iter().enumerate() {
            if !track.is_established() {
                continue;
            }
            let Some(slot) = slot_of(&mut eye.evidence, track.id) else {
                continue;
            };
            let evidence = &eye.evidence[slot];
            if let Some(rank) = priority(&self.plan.encode, track, evidence, eye.frame_px) {
                // As large as the list of tracks.
                let _ = queue.push((rank, track.bbox().longer_side(), t, slot));
            }
        }
        queue.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
        queue.truncate(self.plan.encode.per_frame.min(self.crop_limit));
        for (_, side_px, t, slot) in queue {
            let track = &eye.tracker.tracks()[t];
            let Some(detection) = track.detection else {
                continue;
            };
            let mut lap = Lap::start();
            self.encoder.prepare(frame, detection.bbox);
            lap.add_to(&mut self.times.crop);
            let embedding = self.encoder.infer()?;
            let mut lap = Lap::start();
            let weight = quality(side_px, detection.score);
            let evidence = &mut eye.evidence[slot];
            let verdict = evidence.add(embedding, weight, side_px, &self.bank, &self.plan.confirm);
            lap.add_to(&mut self.times.matching);
            if verdict == Verdict::Confirmed {
                let now = (frame.time, frame.index);
                let sign = sign_event(now, track, evidence, self.region, seen_by);
                confirm(&mut self.events, evidence, sign);
            }
        }
        Ok(())
    }

    /// Looks for a plate below the speed limit that has grown most since the last such look: a plate
    /// decides whom a limit is for, and is too small for the detector.
    fn look_below(&mut self, camera: usize, frame: &Frame) -> Result<(), ModelError> {
        let eye = &self.eyes[camera];
        let tracks = eye.tracker.tracks();
        let mut chosen: Option<(TrackId, BoxPx)> = None;
        for track in tracks {
            let Some(detection) = track.detection else {
                continue;
            };
            let limit = (eye.evidence.iter().find(|e| e.track() == Some(track.id)))
                .and_then(Evidence::confirmed)
                .is_some_and(|class| class.family == Family::SpeedLimit);
            if !limit || !self.advisor.wants_plate_look(track.id, detection.bbox) {
                continue;
            }
            let below = plate_place(detection.bbox);
            let larger = chosen.is_none_or(|(_, b)| b.width() < below.width());
            let sign_below = || {
                tracks.iter().any(|other| {
                    let bbox = other.bbox();
                    other.id != track.id
                        && bbox.width() < 1.15 * bbox.height()
                        && bbox.intersection(&below) > 0.3 * below.area()
                })
            };
            let inside = below.clipped(eye.frame_px.0, eye.frame_px.1) == below;
            if larger && inside && !sign_below() {
                chosen = Some((track.id, below));
            }
        }
        if let Some((track, below)) = chosen {
            let mut lap = Lap::start();
            self.encoder.prepare(frame, below);
            lap.add_to(&mut self.times.crop);
            let embedding = self.encoder.infer()?;
            let mut lap = Lap::start();
            let found = self
                .bank
                .classify(ndarray::ArrayView1::from(embedding), 0.0);
            lap.add_to(&mut self.times.matching);
            // Post, leaves and sky are surely none; a plate is like no class of the pack.
            let bare = (found.top.iter())
                .any(|c| c.class.family == Family::Background && c.probability >= NOTHING_BELOW);
            self.advisor.plate_look(track, below.width(), !bare);
        }
        Ok(())
    }

    /// Says which tracks are worth speaking of now.
    fn announce(&mut self, camera: usize, now: (Timestamp, u64)) {
        let eye = &mut self.eyes[camera];
        let seen_by = (&eye.viewpoint, eye.frame_px);
        for evidence in &mut eye.evidence {
            let Some(id) = evidence.track() else { continue };
            let worth = evidence.encoded() > 0 && evidence.naming() != Naming::NotASign;
            if evidence.announced || !worth {
                continue;
            }
            if let Some(track) = eye.tracker.tracks().iter().find(|t| t.id == id) {
                evidence.announced = true;
                let sign = sign_event(now, track, evidence, self.region, seen_by);
                self.events.push(Event::SignSeen(sign));
            }
        }
    }

    /// Brings the speed limit up to this frame.
    fn advise(&mut self, camera: usize, now: (Timestamp, u64)) {
        let eye = &self.eyes[camera];
        let now = (self.latest, now.1);
        let mut seen: heapless::Vec<Seen, MAX_TRACKS> = heapless::Vec::new();
        for track in eye.tracker.tracks() {
            let Some(detection) = track.detection else {
                continue;
            };
            let evidence = eye.evidence.iter().find(|e| e.track() == Some(track.id));
            let naming = evidence.map_or(Naming::Undecided, Evidence::naming);
            // As large as the list of tracks.
            let _ = seen.push(Seen {
                track: track.id,
                bbox: detection.bbox,
                naming,
            });
        }
        if eye.viewpoint.advises() {
            self.advisor.see(now.0, eye.frame_px, &seen);
        }
        self.advisor.step(now, &mut self.events);
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

/// Whether two names say the same to a driver, whatever the national codes and labels.
fn same_sign(a: &Naming, b: &Naming) -> bool {
    match (a.class(), b.class()) {
        (Some(a), Some(b)) => (&a.key, a.value, a.unit) == (&b.key, b.value, b.unit),
        (None, None) => a == b,
        _ => false,
    }
}

/// Below a sign is nothing when the background is this probable.
const NOTHING_BELOW: f32 = 0.5;

/// Cameras that look further aside see the signs of other roads.
const ASIDE_DEG: f32 = 45.0;

fn confirm(events: &mut Vec<Event>, evidence: &mut Evidence, sign: SignEvent) {
    if !evidence.announced {
        evidence.announced = true;
        events.push(Event::SignSeen(sign.clone()));
    }
    events.push(Event::SignConfirmed(sign));
}

/// The evidence of a track: its own, or a free one given to it.
fn slot_of(evidence: &mut [Evidence], id: TrackId) -> Option<usize> {
    let own = evidence.iter().position(|e| e.track() == Some(id));
    own.or_else(|| {
        let free = evidence.iter().position(|e| e.track().is_none())?;
        evidence[free].assign(Some(id));
        Some(free)
    })
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
