//! How tracks begin, go on and end, on boxes made up.

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

fn moved(bbox: BoxPx, x: f32, y: f32) -> BoxPx {
    BoxPx::new(bbox.x0 + x, bbox.y0 + y, bbox.x1 + x, bbox.y1 + y)
}

#[test]
fn a_picture_that_jumps_now_and_then_keeps_its_tracks() {
    let mut tracker = Tracker::new(TrackPlan::default());
    for frame in 0..90 {
        let jumps = if frame % 9 == 8 { 1.5 } else { 0.0 };
        let boxes = [60.0, -90.0].map(|lateral| {
            let bbox = approached(frame, lateral);
            seen(moved(bbox, 0.0, jumps * bbox.height()))
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

    /// On a rough road, at 10 to 30 frames a second; one of the signs stands over another.
    #[test]
    fn a_shaken_picture_keeps_its_tracks_apart(
        every in 1_u32..4, hz in 1.5_f32..7.0, phase in 0.0_f32..6.0, side_px in 0.0_f32..8.0, up_px in 0.0_f32..16.0,
    ) {
        let mut tracker = Tracker::new(TrackPlan::default());
        for frame in (30..88).filter(|f| f % every == 0) {
            let turn = std::f32::consts::TAU * hz * frame as f32 / 30.0 + phase;
            // The road gets rough.
            let rough = ((frame - 30) as f32 / 20.0).min(1.0);
            let shake = (rough * side_px * (1.7 * turn).cos(), rough * up_px * turn.sin());
            let lower = approached(frame, 60.0);
            let signs = [lower, moved(lower, 0.0, -1.1 * lower.height()), approached(frame, -90.0)];
            let found = signs.map(|bbox| seen(moved(bbox, shake.0, shake.1)));
            tracker.update(at(frame), FRAME, &found);
            let held: Vec<_> = tracker.tracks().iter().map(|t| (t.id.0, t.detection)).collect();
            let expected = [0, 1, 2].map(|n| (n, Some(found[n as usize])));
            prop_assert_eq!(held, expected, "frame {}", frame);
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
        for frame in 0..60 {
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
