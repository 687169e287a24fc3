//! Ties the detections of successive frames into tracks, by motion and overlap.
//!
//! Each track follows its box with a constant-velocity model in image space (centre and logarithm of
//! the size: a sign that is approached grows by a factor, not by pixels), driven by time stamps, so
//! that dropped frames and variable rates need no special case. Association is greedy on overlap and
//! closeness of the predicted box, strong detections first, weak ones only for tracks that exist
//! (as in ByteTrack, arXiv 2110.06864). Identities are never reused. Nothing is allocated.

mod motion;

use motion::Motion;

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
    motion: Motion,
    established: bool,
}

impl Track {
    /// The box now: detected where possible, predicted otherwise.
    pub fn bbox(&self) -> BoxPx {
        self.detection
            .map_or_else(|| self.motion.bbox(), |d| d.bbox)
    }

    /// Still in the picture, as far as its motion tells.
    fn is_inside(&self, (width_px, height_px): (u32, u32)) -> bool {
        let (x, y) = self.bbox().centre();
        (0.0..width_px as f32).contains(&x) && (0.0..height_px as f32).contains(&y)
    }

    /// Detected often enough to be spoken of.
    pub fn is_established(&self) -> bool {
        self.established
    }
}

/// All live tracks.
#[derive(Debug)]
pub struct Tracker {
    plan: TrackPlan,
    tracks: heapless::Vec<Track, MAX_TRACKS>,
    lost: heapless::Vec<Track, MAX_TRACKS>,
    next_id: u32,
}

impl Tracker {
    /// With no tracks.
    pub fn new(plan: TrackPlan) -> Self {
        Self {
            plan,
            tracks: heapless::Vec::new(),
            lost: heapless::Vec::new(),
            next_id: 0,
        }
    }

    /// Takes the detections of the next frame, of `frame_px` width and height. [`Tracker::lost`] then
    /// holds the tracks that ended: not seen for too long, or moved out of the picture.
    pub fn update(&mut self, time: Timestamp, frame_px: (u32, u32), detections: &[Detection]) {
        self.lost.clear();
        for track in &mut self.tracks {
            track.motion.predict(time);
            track.detection = None;
        }
        let mut used = [false; MAX_DETECTIONS];
        let detections = &detections[..detections.len().min(MAX_DETECTIONS)];
        self.associate(time, detections, &mut used, true);
        self.associate(time, detections, &mut used, false);
        for (detection, used) in detections.iter().zip(used) {
            if !used && detection.score >= self.plan.start_score {
                self.start(time, *detection);
            }
        }
        let plan = self.plan;
        let lost = &mut self.lost;
        self.tracks.retain(|track| {
            let gone = time.seconds_since(track.last_seen) > plan.lost_after_s
                || !track.is_inside(frame_px);
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

    /// Greedy matching, best pair first, of unmatched tracks and detections (strong or weak ones).
    fn associate(
        &mut self,
        time: Timestamp,
        detections: &[Detection],
        used: &mut [bool; MAX_DETECTIONS],
        strong: bool,
    ) {
        loop {
            let mut best: Option<(f32, usize, usize)> = None;
            for (t, track) in self.tracks.iter().enumerate() {
                if track.detection.is_some() {
                    continue;
                }
                for (d, detection) in detections.iter().enumerate() {
                    if used[d] || (detection.score >= self.plan.start_score) != strong {
                        continue;
                    }
                    let Some(affinity) = track.motion.affinity(detection.bbox, time) else {
                        continue;
                    };
                    if best.is_none_or(|(a, ..)| affinity > a) {
                        best = Some((affinity, t, d));
                    }
                }
            }
            let Some((_, t, d)) = best else { return };
            used[d] = true;
            let track = &mut self.tracks[t];
            track.motion.correct(detections[d].bbox, time);
            track.detection = Some(detections[d]);
            track.last_box = detections[d].bbox;
            track.last_seen = time;
            track.observations += 1;
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
            motion: Motion::new(detection.bbox, time),
            established: self.plan.establish <= 1,
        };
        if self.tracks.push(track).is_ok() {
            self.next_id += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: (u32, u32) = (1280, 720);

    fn at(frame: u32) -> Timestamp {
        Timestamp::from_ticks(i64::from(frame), 30)
    }

    fn seen(bbox: BoxPx) -> Detection {
        Detection { bbox, score: 0.9 }
    }

    /// A sign at `lateral` pixels times scale from the vanishing point, approached from far.
    fn approached(frame: u32, lateral: f32) -> BoxPx {
        let scale = 40.0 / (100.0 - frame as f32);
        BoxPx::from_centre(640.0 + lateral * scale, 300.0, 14.0 * scale, 14.0 * scale)
    }

    #[test]
    fn an_approached_sign_is_one_track_despite_ten_missed_frames() {
        let mut tracker = Tracker::new(TrackPlan::default());
        for frame in 0..90 {
            let missed = (40..50).contains(&frame);
            let boxes = [
                seen(approached(frame, 60.0)),
                seen(approached(frame, -90.0)),
            ];
            tracker.update(at(frame), FRAME, if missed { &[] } else { &boxes });
            assert!(tracker.lost().is_empty(), "frame {frame}");
        }
        let ids: Vec<u32> = tracker.tracks().iter().map(|t| t.id.0).collect();
        assert_eq!(ids, [0, 1]);
        assert_eq!(tracker.tracks()[0].observations, 80);
    }

    #[test]
    fn dropped_frames_are_bridged_by_their_time_stamps() {
        let mut tracker = Tracker::new(TrackPlan::default());
        for frame in (0..88).filter(|f| f % 4 == 0 || *f < 6) {
            tracker.update(at(frame), FRAME, &[seen(approached(frame, 80.0))]);
        }
        assert_eq!(tracker.tracks().len(), 1);
        assert_eq!(tracker.tracks()[0].id, TrackId(0));
    }

    #[test]
    fn what_is_seen_once_is_noise_and_its_identity_is_not_reused() {
        let mut tracker = Tracker::new(TrackPlan::default());
        tracker.update(at(0), FRAME, &[seen(BoxPx::new(10.0, 10.0, 30.0, 30.0))]);
        tracker.update(at(1), FRAME, &[]);
        assert!(tracker.tracks().is_empty() && tracker.lost().is_empty());
        tracker.update(at(2), FRAME, &[seen(BoxPx::new(10.0, 10.0, 30.0, 30.0))]);
        assert_eq!(tracker.tracks()[0].id, TrackId(1));
    }

    #[test]
    fn what_moves_out_of_the_picture_is_lost_at_once_where_it_was_last_seen() {
        let mut tracker = Tracker::new(TrackPlan::default());
        let boxes: Vec<BoxPx> = (0..30)
            .map(|i| BoxPx::from_centre(900.0 + 25.0 * i as f32, 300.0, 60.0, 60.0))
            .collect();
        let mut last = BoxPx::default();
        for (i, bbox) in boxes.iter().enumerate().filter(|(_, b)| b.x1 < 1280.0) {
            tracker.update(at(i as u32), FRAME, &[seen(*bbox)]);
            last = *bbox;
        }
        let gone = (14..20).find(|i| {
            tracker.update(at(*i), FRAME, &[]);
            !tracker.lost().is_empty()
        });
        assert!(gone.is_some_and(|i| i < 18), "{gone:?}");
        assert_eq!(tracker.lost()[0].last_box, last);
    }

    #[test]
    fn a_weak_detection_continues_a_track_but_starts_none() {
        let weak = |x: f32| Detection {
            bbox: BoxPx::new(x, 10.0, x + 20.0, 30.0),
            score: 0.2,
        };
        let mut tracker = Tracker::new(TrackPlan::default());
        tracker.update(at(0), FRAME, &[weak(10.0)]);
        assert!(tracker.tracks().is_empty());
        tracker.update(at(1), FRAME, &[seen(weak(10.0).bbox)]);
        tracker.update(at(2), FRAME, &[weak(11.0)]);
        assert_eq!(tracker.tracks()[0].observations, 2);
    }

    proptest! {
        #[test]
        fn identities_are_unique_and_boxes_finite(
            frames in prop::collection::vec(
                prop::collection::vec((0.0_f32..1280.0, 0.0_f32..720.0, 1.0_f32..300.0, 0.0_f32..1.0), 0..70), 1..40),
            gaps in prop::collection::vec(1_i64..2_000_000_000, 40),
        ) {
            let mut tracker = Tracker::new(TrackPlan::default());
            let mut time = 0;
            let mut ended = std::collections::BTreeSet::new();
            for (boxes, gap) in frames.iter().zip(gaps) {
                time += gap;
                let found: Vec<Detection> = boxes.iter()
                    .map(|(x, y, s, score)| Detection { bbox: BoxPx::new(*x, *y, x + s, y + s), score: *score })
                    .collect();
                tracker.update(Timestamp::from_nanos(time), FRAME, &found);
                for t in tracker.lost() { prop_assert!(ended.insert(t.id.0), "{} ended twice", t.id.0); }
                let mut live = std::collections::BTreeSet::new();
                for t in tracker.tracks() {
                    prop_assert!(t.bbox().is_usable());
                    prop_assert!(live.insert(t.id.0) && !ended.contains(&t.id.0));
                }
            }
        }
    }
}
