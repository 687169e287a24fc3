//! Ties the detections of successive frames into tracks, by motion and overlap.
//!
//! Each track follows its box with a constant-velocity model in image space (centre and logarithm of
//! the size: a sign that is approached grows by a factor, not by pixels), driven by time stamps, so
//! that dropped frames and variable rates need no special case. Association is greedy on overlap and
//! closeness of the predicted box, strong detections first, weak ones only for tracks that exist
//! (as in ByteTrack, arXiv 2110.06864), in a picture whose shaking all tracks together tell (`sway`).
//! Identities are never reused. Nothing is allocated.

mod motion;
mod placement;
mod sway;

pub use placement::Lens;

use motion::Motion;
use sway::Sway;

use crate::detect::{Detection, MAX_DETECTIONS};
use crate::units::{BoxPx, Timestamp, TrackId};

/// Tracks alive at once; further detections wait for a place.
pub const MAX_TRACKS: usize = 64;

/// How tracks begin and end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackPlan {
    /// A detection of this score may start a track.
    pub start_score: f32,
    /// Detections before a track is established.
    pub establish: u32,
    /// A track not detected for so long is lost.
    pub lost_after_s: f64,
}

impl Default for TrackPlan {
    fn default() -> Self {
        Self {
            start_score: 0.4,
            establish: 2,
            // Ten frames at 30 a second.
            lost_after_s: 0.34,
        }
    }
}

/// One followed thing.
#[derive(Debug, Clone)]
pub struct Track {
    /// Its identity.
    pub id: TrackId,
    /// Frames in which it was detected.
    pub observations: u32,
    /// First detection.
    pub first_seen: Timestamp,
    /// Last detection.
    pub last_seen: Timestamp,
    /// The detection of the current frame, if there is one.
    pub detection: Option<Detection>,
    /// The box of the last detection.
    pub last_box: BoxPx,
    now: BoxPx,
    motion: Motion,
    established: bool,
    /// In which of the last frames it was detected: a bit each, the newest lowest.
    hits: u16,
    /// How many of these bits count.
    frames: u32,
}

impl Track {
    /// The box now, within the frame: detected where possible, predicted otherwise.
    pub fn bbox(&self) -> BoxPx {
        self.now
    }

    /// Brings the box up to this frame; false once its motion says it has left the picture.
    fn place(&mut self, (width_px, height_px): (u32, u32)) -> bool {
        let expected = self.motion.bbox();
        let bbox = self.detection.map_or(expected, |d| d.bbox);
        self.now = bbox.clipped(width_px, height_px);
        is_inside(bbox, (width_px, height_px)) && self.now.is_usable()
    }

    /// Of the last frames, 16 at most, the share in which it was detected, as if it had been missed once more: a
    /// few frames prove little. Near 1 for what stands there, less for leaves that look like a sign now and then.
    pub fn detected_share(&self) -> f32 {
        self.hits.count_ones() as f32 / (self.frames + 1) as f32
    }

    fn next_frame(&mut self, time: Timestamp) {
        self.motion.predict(time);
        self.detection = None;
        self.hits <<= 1;
        self.frames = (self.frames + 1).min(u16::BITS);
    }

    fn take(&mut self, detection: Detection, time: Timestamp, shaken: [f32; 2]) {
        self.motion.correct(detection.bbox, time, shaken);
        self.hits |= 1;
        self.detection = Some(detection);
        self.last_box = detection.bbox;
        self.last_seen = time;
        self.observations += 1;
    }

    /// Detected often enough to be spoken of.
    pub fn is_established(&self) -> bool {
        self.established
    }
}

fn is_inside(bbox: BoxPx, (width_px, height_px): (u32, u32)) -> bool {
    let (x, y) = bbox.centre();
    (0.0..width_px as f32).contains(&x) && (0.0..height_px as f32).contains(&y)
}

/// All live tracks.
#[derive(Debug)]
pub struct Tracker {
    plan: TrackPlan,
    tracks: heapless::Vec<Track, MAX_TRACKS>,
    lost: heapless::Vec<Track, MAX_TRACKS>,
    sway: Sway,
    /// (affinity, track, detection) of what may belong together.
    pairs: Vec<(f32, u8, u8)>,
    next_id: u32,
    id_step: u32,
}

impl Tracker {
    /// With no tracks.
    pub fn new(plan: TrackPlan) -> Self {
        Self {
            plan,
            tracks: heapless::Vec::new(),
            lost: heapless::Vec::new(),
            sway: Sway::default(),
            pairs: Vec::with_capacity(MAX_TRACKS * MAX_DETECTIONS),
            next_id: 0,
            id_step: 1,
        }
    }

    /// The `n`-th of `all` trackers, no two of which give the same identity.
    pub fn sharing_ids(mut self, n: usize, all: usize) -> Self {
        // A unit has a handful of cameras.
        (self.next_id, self.id_step) = (n as u32, all.max(1) as u32);
        self
    }

    /// Takes the detections of the next frame, of `frame_px` width and height. [`Tracker::lost`] then
    /// holds the tracks that ended: not seen for too long, or moved out of the picture.
    pub fn update(&mut self, time: Timestamp, frame_px: (u32, u32), detections: &[Detection]) {
        self.lost.clear();
        for track in &mut self.tracks {
            track.next_frame(time);
        }
        let mut used = [false; MAX_DETECTIONS];
        let detections = &detections[..detections.len().min(MAX_DETECTIONS)];
        self.sway.measure(time, frame_px, &self.tracks, detections);
        let [x, y] = self.sway.displaced;
        self.find(time, detections, &mut used, [x, y]);
        if [x, y] != [0.0; 2] {
            // Near signs move apart faster than expected: not all are displaced the same way.
            self.find(time, detections, &mut used, [-x, -y]);
        }
        let shaken = self.sway.shaken;
        for track in self.tracks.iter_mut().filter(|t| t.detection.is_none()) {
            track.motion.carry(shaken);
        }
        for (detection, used) in detections.iter().zip(used) {
            if !used && detection.score >= self.plan.start_score {
                self.start(time, *detection);
            }
        }
        let plan = self.plan;
        let lost = &mut self.lost;
        self.tracks.retain_mut(|track| {
            let is_inside = track.place(frame_px);
            let gone = !is_inside || time.seconds_since(track.last_seen) > plan.lost_after_s;
            // A thing seen once and not again was noise.
            let noise = !track.established && track.detection.is_none();
            if gone && track.established {
                // `lost` is as large as `tracks`.
                let _ = lost.push(track.clone());
            }
            !(gone || noise)
        });
        for track in &mut self.tracks {
            track.established |= track.observations >= plan.establish;
        }
    }

    /// Live tracks, oldest first.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Established tracks that ended with the last update.
    pub fn lost(&self) -> &[Track] {
        &self.lost
    }

    /// Ends every track, as at the end of the drive.
    pub fn finish(&mut self) {
        self.lost.clear();
        for track in self.tracks.iter().filter(|t| t.established) {
            let _ = self.lost.push(track.clone());
        }
        self.tracks.clear();
    }

    /// Looks for the tracks not found yet, displaced by so much more.
    fn find(
        &mut self,
        time: Timestamp,
        detections: &[Detection],
        used: &mut [bool; MAX_DETECTIONS],
        by: [f32; 2],
    ) {
        for track in self.tracks.iter_mut().filter(|t| t.detection.is_none()) {
            track.motion.displace(by);
        }
        self.associate(time, detections, used, true);
        self.associate(time, detections, used, false);
    }

    /// Greedy matching, best pair first, of unmatched tracks and detections (strong or weak ones).
    fn associate(
        &mut self,
        time: Timestamp,
        detections: &[Detection],
        used: &mut [bool; MAX_DETECTIONS],
        strong: bool,
    ) {
        self.pairs.clear();
        let shake_px = self.sway.deviation_px();
        for (t, track) in self.tracks.iter().enumerate() {
            if track.detection.is_some() {
                continue;
            }
            for (d, detection) in detections.iter().enumerate() {
                if used[d] || (detection.score >= self.plan.start_score) != strong {
                    continue;
                }
                if let Some(affinity) = track.motion.affinity(detection.bbox, time, shake_px) {
                    self.pairs.push((affinity, t as u8, d as u8));
                }
            }
        }
        // Ties go to the older track and the surer detection, so that the order is always the same.
        self.pairs
            .sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        for (_, t, d) in &self.pairs {
            let (track, d) = (&mut self.tracks[usize::from(*t)], usize::from(*d));
            if used[d] || track.detection.is_some() {
                continue;
            }
            used[d] = true;
            track.take(detections[d], time, self.sway.shaken);
        }
    }

    fn start(&mut self, time: Timestamp, detection: Detection) {
        let track = Track {
            id: TrackId(self.next_id),
            observations: 1,
            first_seen: time,
            last_seen: time,
            detection: Some(detection),
            last_box: detection.bbox,
            now: detection.bbox,
            motion: Motion::new(detection.bbox, time),
            established: self.plan.establish <= 1,
            hits: 1,
            frames: 1,
        };
        if self.tracks.push(track).is_ok() {
            self.next_id += self.id_step;
        }
    }
}

#[cfg(test)]
mod tests;
