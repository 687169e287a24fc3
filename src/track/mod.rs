//! Ties the detections of successive frames into tracks, by motion and overlap.
//!
//! Each track follows its box with a constant-velocity model in image space (centre and logarithm of
//! the size: a sign that is approached grows by a factor, not by pixels), driven by time stamps, so
//! that dropped frames and variable rates need no special case. Association is greedy on overlap and
//! closeness of the predicted box, strong detections first, weak ones only for tracks that exist
//! (as in ByteTrack, arXiv 2110.06864). What is left may have been shaken out of place: a track goes on
//! with the one detection of its size near by, when neither has another choice. Identities are never
//! reused. Nothing is allocated.

mod motion;
mod placement;

pub use placement::Lens;

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
    now: BoxPx,
    motion: Motion,
    established: bool,
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

    fn take(&mut self, detection: Detection, time: Timestamp) {
        self.motion.correct(detection.bbox, time);
        self.see(detection, time);
    }

    fn see(&mut self, detection: Detection, time: Timestamp) {
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
            track.motion.predict(time);
            track.detection = None;
        }
        let mut used = [false; MAX_DETECTIONS];
        let detections = &detections[..detections.len().min(MAX_DETECTIONS)];
        self.associate(time, detections, &mut used, true);
        self.associate(time, detections, &mut used, false);
        self.recover(time, frame_px, detections, &mut used);
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

    /// Greedy matching, best pair first, of unmatched tracks and detections (strong or weak ones).
    fn associate(
        &mut self,
        time: Timestamp,
        detections: &[Detection],
        used: &mut [bool; MAX_DETECTIONS],
        strong: bool,
    ) {
        self.pairs.clear();
        for (t, track) in self.tracks.iter().enumerate() {
            if track.detection.is_some() {
                continue;
            }
            for (d, detection) in detections.iter().enumerate() {
                if used[d] || (detection.score >= self.plan.start_score) != strong {
                    continue;
                }
                if let Some(affinity) = track.motion.affinity(detection.bbox, time) {
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
            track.take(detections[d], time);
        }
    }

    /// Ties established tracks without a detection to strong detections without a track, where each is
    /// the other's only candidate: a pothole moves the picture by more than a small sign's size. One that should
    /// have left the picture by now has left it.
    fn recover(
        &mut self,
        time: Timestamp,
        frame_px: (u32, u32),
        detections: &[Detection],
        used: &mut [bool; MAX_DETECTIONS],
    ) {
        self.pairs.clear();
        for (t, track) in self.tracks.iter().enumerate() {
            let left = !is_inside(track.motion.bbox(), frame_px);
            if track.detection.is_some() || !track.established || left {
                continue;
            }
            for (d, detection) in detections.iter().enumerate() {
                let is_free = !used[d] && detection.score >= self.plan.start_score;
                if is_free && track.motion.may_be_shaken_to(detection.bbox) {
                    self.pairs.push((0.0, t as u8, d as u8));
                }
            }
        }
        for (_, t, d) in &self.pairs {
            let rivals = self.pairs.iter().filter(|(_, a, b)| a == t || b == d);
            if rivals.count() == 1 {
                let (t, d) = (usize::from(*t), usize::from(*d));
                used[d] = true;
                let track = &mut self.tracks[t];
                track.motion.jerk(detections[d].bbox, time);
                track.see(detections[d], time);
            }
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
        };
        if self.tracks.push(track).is_ok() {
            self.next_id += self.id_step;
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
    fn a_sign_that_has_left_the_picture_does_not_become_what_stands_behind_it() {
        let mut tracker = Tracker::new(TrackPlan::default());
        let mut frame = 0;
        while approached(frame, 60.0).centre().0 < 1280.0 {
            tracker.update(at(frame), FRAME, &[seen(approached(frame, 60.0))]);
            frame += 1;
        }
        let last = tracker.tracks()[0].last_box;
        let (width, height) = (last.x1 - last.x0, last.y1 - last.y0);
        let behind = BoxPx::from_centre(1280.0 - width, 300.0, width, height);
        tracker.update(at(frame), FRAME, &[seen(behind)]);
        assert_eq!(tracker.lost()[0].id, TrackId(0));
        assert_eq!(tracker.tracks()[0].id, TrackId(1));
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

    /// A picture that jumps by `jerk` pixels and back, now and then.
    fn shaken(bbox: BoxPx, frame: u32, jerk: f32) -> BoxPx {
        let dy = if frame % 9 == 8 { jerk } else { 0.0 };
        BoxPx::new(bbox.x0, bbox.y0 + dy, bbox.x1, bbox.y1 + dy)
    }

    #[test]
    fn a_shaken_picture_keeps_its_tracks() {
        let mut tracker = Tracker::new(TrackPlan::default());
        for frame in 0..90 {
            let boxes = [60.0, -90.0].map(|lateral| {
                let bbox = approached(frame, lateral);
                seen(shaken(bbox, frame, 1.5 * bbox.height()))
            });
            tracker.update(at(frame), FRAME, &boxes);
        }
        let ids: Vec<u32> = tracker.tracks().iter().map(|t| t.id.0).collect();
        assert_eq!(ids, [0, 1]);
    }

    proptest! {
        #[test]
        fn ten_missed_frames_are_survived_anywhere_in_an_approach(
            lateral in 40.0_f32..150.0, from in 5_u32..75,
        ) {
            let mut tracker = Tracker::new(TrackPlan::default());
            for frame in 0..90 {
                let found = [seen(approached(frame, lateral))];
                let missed = (from..from + 10).contains(&frame);
                tracker.update(at(frame), FRAME, if missed { &[] } else { &found });
                let left = found[0].bbox.centre().0 > 1270.0;
                prop_assert!(left || tracker.tracks().iter().all(|t| t.id.0 == 0), "frame {frame}");
            }
        }

        #[test]
        fn motion_is_a_matter_of_time_not_of_frames(
            gaps_ms in prop::collection::vec(15_i64..300, 12..40), speed_px_s in -250.0_f32..250.0,
        ) {
            let mut tracker = Tracker::new(TrackPlan::default());
            // Two looks close together give the first velocity.
            let mut ms = 0;
            for gap in [0, 33, 33].iter().chain(&gaps_ms) {
                ms += gap;
                let x = 640.0 + speed_px_s * ms as f32 / 1000.0;
                if !(30.0..1250.0).contains(&x) { break; }
                let bbox = BoxPx::from_centre(x, 300.0, 40.0, 40.0);
                tracker.update(Timestamp::from_nanos(ms * 1_000_000), FRAME, &[seen(bbox)]);
                prop_assert_eq!(tracker.tracks().len(), 1);
                prop_assert_eq!(tracker.tracks()[0].id, TrackId(0));
            }
        }

        #[test]
        fn a_cut_ends_tracks_and_begins_others(
            before in (50.0_f32..1200.0, 50.0_f32..600.0, 14.0_f32..60.0),
            after in (50.0_f32..1200.0, 50.0_f32..600.0, 14.0_f32..60.0),
        ) {
            let ((x0, y0, a), (x1, y1, b)) = (before, after);
            let far = (x0 - x1).hypot(y0 - y1) > 4.0 * a.max(b) || !(0.5..2.0).contains(&(a / b));
            prop_assume!(far && BoxPx::from_centre(x0, y0, a, a).iou(&BoxPx::from_centre(x1, y1, b, b)) == 0.0);
            let mut tracker = Tracker::new(TrackPlan::default());
            let mut ended = Vec::new();
            for frame in 0..40 {
                let (x, y, side) = if frame < 20 { before } else { after };
                tracker.update(at(frame), FRAME, &[seen(BoxPx::from_centre(x, y, side, side))]);
                ended.extend(tracker.lost().iter().map(|t| t.id.0));
            }
            prop_assert_eq!(ended, vec![0]);
            prop_assert_eq!(tracker.tracks().len(), 1);
            prop_assert_eq!(tracker.tracks()[0].id, TrackId(1));
        }

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
                    prop_assert_eq!(t.bbox().clipped(FRAME.0, FRAME.1), t.bbox());
                    prop_assert!(live.insert(t.id.0) && !ended.contains(&t.id.0));
                }
            }
        }
    }
}
