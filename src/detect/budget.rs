//! The best way of looking at frames that a machine has time for.

use std::time::Duration;

use super::{DetectPlan, Detections, Detector, View};
use crate::clock::Clock;
use crate::frame::{Frame, PixelFormat};
use crate::model::ModelError;

/// Between these rows lie nearly all signs that are far: 96 % of the boxes of GTSDB.
const HORIZON: (f32, f32) = (0.2, 0.75);
const ROUNDS: usize = 7;

/// From the view of `plan`, cheaper and cheaper ones: best recall first (`training/detector/README.md` has
/// the figures).
pub fn ladder(plan: &DetectPlan) -> Vec<DetectPlan> {
    let Some(&whole) = plan.views.first() else {
        return vec![plan.clone()];
    };
    let far = View {
        band: (HORIZON.0.max(whole.band.0), HORIZON.1.min(whole.band.1)),
        ..whole
    };
    let half = View {
        long_side_px: whole.long_side_px / 2,
        ..whole
    };
    [vec![whole], vec![whole, far], vec![far, half], vec![half]]
        .into_iter()
        .map(|views| DetectPlan {
            views,
            ..plan.clone()
        })
        .collect()
}

/// The first of `plans` whose detector needs at most `budget` for a frame, on average over its views, else
/// the last; with the time it takes. None of no plans.
pub fn within_budget(
    plans: &[DetectPlan],
    budget: Duration,
    frame_px: (u32, u32),
    clock: &dyn Clock,
    mut load: impl FnMut(&DetectPlan) -> Result<Detector, ModelError>,
) -> Result<Option<(DetectPlan, Duration)>, ModelError> {
    let mut chosen = None;
    for plan in plans {
        let took = time_a_frame(&mut load(plan)?, plan.views.len(), frame_px, clock)?;
        chosen = Some((plan.clone(), took));
        if took <= budget {
            break;
        }
    }
    Ok(chosen)
}

/// Median over some rounds of the mean over the views, after one round to warm up.
fn time_a_frame(
    detector: &mut Detector,
    views: usize,
    frame_px: (u32, u32),
    clock: &dyn Clock,
) -> Result<Duration, ModelError> {
    let mut frame = Frame::default();
    frame.reset(PixelFormat::I420, frame_px.0, frame_px.1);
    let mut found = Detections::new();
    let mut rounds_s = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let start = clock.now();
        for view in 0..views {
            frame.index = view as u64;
            detector.detect(&frame, &mut found)?;
        }
        if round > 0 {
            rounds_s.push(clock.now().seconds_since(start) / views as f64);
        }
    }
    rounds_s.sort_by(f64::total_cmp);
    Ok(Duration::from_secs_f64(rounds_s[ROUNDS / 2].max(0.0)))
}
