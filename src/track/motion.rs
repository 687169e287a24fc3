//! The motion of one box: an alpha-beta filter on centre and logarithm of the size, which expects what
//! comes nearer to do so at constant speed.

use crate::units::{BoxPx, Timestamp};

/// Share of the innovation taken into position, and (once the rate is known) into velocity.
const ALPHA: f32 = 0.7;
const BETA: f32 = 0.35;
/// Sizes are measured worse than places: what a track grows by is smoothed more.
const BETA_SIZE: f32 = 0.175;

/// Predictions further ahead than this keep still: velocity says nothing about them.
const HORIZON_S: f32 = 0.7;

/// No prediction brings a thing nearer by more than this share of its distance.
const MAX_CLOSED_SHARE: f32 = 0.6;

/// Longer without a measurement is a gap: the approach must be extrapolated, and is trusted less than a
/// detection.
const GAP_S: f32 = 0.15;

/// State (centre x, centre y, ln width, ln height) and its rate a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Motion {
    state: [f32; 4],
    rate: [f32; 4],
    measured: Timestamp,
    predicted: [f32; 4],
    /// The box of `predicted`.
    expected: BoxPx,
    updates: u32,
}

impl Motion {
    pub(super) fn new(bbox: BoxPx, time: Timestamp) -> Self {
        let state = to_state(bbox);
        Self {
            state,
            rate: [0.0; 4],
            measured: time,
            predicted: state,
            expected: bbox,
            updates: 1,
        }
    }

    /// Moves the prediction to `time`.
    pub(super) fn predict(&mut self, time: Timestamp) {
        let dt = (time.seconds_since(self.measured) as f32).clamp(0.0, HORIZON_S);
        let (nearer, closing) = self.closing(dt);
        for k in 0..2 {
            self.predicted[k] = self.state[k] + self.rate[k] * dt * nearer;
        }
        for k in 2..4 {
            self.predicted[k] = self.state[k] + self.rate[k] * dt + nearer.ln() - closing * dt;
        }
        self.expected = to_box(self.predicted);
    }

    /// How much nearer the thing is after `dt` seconds, as a factor, and how fast its size grows now.
    ///
    /// What is approached at constant speed grows as 1 / (T - t) and moves away from the vanishing point
    /// as it grows: with growth rate r now, both by 1 / (1 - r dt). From one frame to the next that is
    /// less than the noise of r.
    fn closing(&self, dt: f32) -> (f32, f32) {
        if dt < GAP_S {
            return (1.0, 0.0);
        }
        let rate = (self.rate[2] + self.rate[3]) / 2.0;
        let closing = rate.clamp(0.0, MAX_CLOSED_SHARE / dt.max(1e-3));
        (1.0 / (1.0 - closing * dt), closing)
    }

    /// Displaces the prediction, as the whole picture is.
    pub(super) fn displace(&mut self, [x, y]: [f32; 2]) {
        let e = self.expected;
        self.expected = BoxPx::new(e.x0 + x, e.y0 + y, e.x1 + x, e.y1 + y);
    }

    /// The predicted box.
    pub(super) fn bbox(&self) -> BoxPx {
        self.expected
    }

    /// How well a detection fits the prediction in a picture that shakes by `shake_px`: none when it cannot
    /// be the same thing.
    pub(super) fn affinity(&self, detected: BoxPx, time: Timestamp, shake_px: f32) -> Option<f32> {
        let expected = self.expected;
        let reach = 4.0 * (expected.longer_side() + detected.longer_side());
        // Most pairs are far apart: told from the distance alone.
        if (expected.x0 - detected.x0).abs() > reach || (expected.y0 - detected.y0).abs() > reach {
            return None;
        }
        let iou = expected.iou(&detected);
        let size = (expected.longer_side() + detected.longer_side()) / 2.0;
        let ((ex, ey), (dx, dy)) = (expected.centre(), detected.centre());
        let distance = (ex - dx).hypot(ey - dy) / size;
        let ratio = (expected.area() / detected.area()).sqrt();
        // The longer the gap, the wider the gate; a track without a known velocity gets some too.
        let dt = time.seconds_since(self.measured) as f32;
        let gate = 0.6 + 1.5 * dt + if self.updates < 3 { 0.5 } else { 0.0 } + shake_px / size;
        let plausible = distance < gate && (0.55..1.8).contains(&ratio);
        (iou > 0.2 || plausible).then_some(iou - 0.5 * distance - 0.2 * ratio.ln().abs())
    }

    /// Goes along with the shaking as far as a measurement would, where there is none.
    pub(super) fn carry(&mut self, shaken: [f32; 2]) {
        for (state, by) in self.state.iter_mut().zip(shaken) {
            *state += ALPHA * by;
        }
    }

    /// Takes a measurement, `shaken` by so much.
    pub(super) fn correct(&mut self, detected: BoxPx, time: Timestamp, shaken: [f32; 2]) {
        let dt = (time.seconds_since(self.measured) as f32).max(1e-3);
        let measured = to_state(detected);
        let shaken = [shaken[0], shaken[1], 0.0, 0.0];
        // The second measurement gives the first velocity; later ones refine it.
        let beta = match self.updates {
            1 => [0.6, 0.6, 0.3, 0.3],
            _ => [BETA, BETA, BETA_SIZE, BETA_SIZE],
        };
        // The rates as they are by now, if the approach went on.
        let nearer = self.closing(dt.min(HORIZON_S)).0;
        let grown = [nearer * nearer, nearer * nearer, nearer, nearer];
        let mut rate_limit = [f32::INFINITY, f32::INFINITY, 4.0, 4.0];
        rate_limit[0] = 20.0 * detected.width();
        rate_limit[1] = 20.0 * detected.height();
        for k in 0..4 {
            let innovation = measured[k] - self.predicted[k];
            self.state[k] = self.predicted[k] + ALPHA * innovation;
            self.rate[k] = (self.rate[k] * grown[k] + beta[k] * (innovation - shaken[k]) / dt)
                .clamp(-rate_limit[k], rate_limit[k]);
        }
        self.predicted = self.state;
        self.expected = to_box(self.state);
        self.measured = time;
        self.updates += 1;
    }
}

fn to_state(bbox: BoxPx) -> [f32; 4] {
    let (cx, cy) = bbox.centre();
    [
        cx,
        cy,
        bbox.width().max(1.0).ln(),
        bbox.height().max(1.0).ln(),
    ]
}

fn to_box([cx, cy, w, h]: [f32; 4]) -> BoxPx {
    BoxPx::from_centre(cx, cy, w.exp(), h.exp())
}
