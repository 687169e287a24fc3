//! What a frame's tracks look like: which crops are encoded, and what comes of it.

use super::{Recognition, confirm, sign_event};
use crate::advise::{Seen, plate_place};
use crate::clock::Lap;
use crate::event::{Event, Family, Naming};
use crate::frame::Frame;
use crate::model::ModelError;
use crate::recognise::{Evidence, Look, Verdict, priority, quality};
use crate::track::MAX_TRACKS;
use crate::units::{BoxPx, Timestamp, TrackId};

/// Below a sign is nothing when the background is this probable.
const NOTHING_BELOW: f32 = 0.5;

impl Recognition {
    /// Encodes the crops that deserve it, most urgent first, larger before smaller.
    pub(super) fn encode(&mut self, camera: usize, frame: &Frame) -> Result<(), ModelError> {
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
            let look = Look {
                weight: quality(side_px, detection.score),
                side_px,
                off_axis_sides: off_axis_px(detection.bbox, eye.frame_px) / side_px,
                detected_share: track.detected_share(),
            };
            let evidence = &mut eye.evidence[slot];
            let verdict = evidence.add(embedding, look, &self.bank, &self.plan.confirm);
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
    pub(super) fn look_below(&mut self, camera: usize, frame: &Frame) -> Result<(), ModelError> {
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
            let found = self.bank.classify(ndarray::ArrayView1::from(embedding));
            lap.add_to(&mut self.times.matching);
            // Post, leaves and sky are surely none; a plate is like no class of the pack.
            let bare = (found.top.iter())
                .any(|c| c.class.family == Family::Background && c.probability >= NOTHING_BELOW);
            self.advisor.plate_look(track, below.width(), !bare);
        }
        Ok(())
    }

    /// Says which tracks are worth speaking of now.
    pub(super) fn announce(&mut self, camera: usize, now: (Timestamp, u64)) {
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
    pub(super) fn advise(&mut self, camera: usize, now: (Timestamp, u64)) {
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
}

/// From the middle of the picture to that of a box.
fn off_axis_px(bbox: BoxPx, (width_px, height_px): (u32, u32)) -> f32 {
    let (x, y) = bbox.centre();
    (x - width_px as f32 / 2.0).hypot(y - height_px as f32 / 2.0)
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
