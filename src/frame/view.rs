//! Is there anything to see? Dark, blocked, blurred and frozen images, told from a sparse grid of samples.
//!
//! Thresholds: on every sixth of the 600 GTSDB frames the grid's standard deviation is at least 60 and its
//! 98th percentile of contrast at least 0.21 of that; blurred by a Gaussian of 8 px at 1024 px width, half
//! of them fall below `BLURRED_RATIO`. Weaker blur is not told from soft scenery.

use super::Frame;
use crate::health::{Reason, Reasons};
use crate::units::Timestamp;

const COLUMNS: usize = 64;
const ROWS: usize = 36;
/// Half the distance over which contrast is taken.
const REACH_PX: usize = 2;

/// 98 % of the samples are darker than this: not even a lamp is in sight.
const DARK_LEVEL: u8 = 40;
/// Less spread than any road scene has.
const BLOCKED_DEVIATION: f32 = 15.0;
/// Contrast by spread.
const BLURRED_RATIO: f32 = 0.18;
/// A fault must last so long to count, and a good view half as long to end it.
const LASTING_S: f64 = 1.0;

/// Watches one camera's frames. Costs some microseconds a frame and allocates nothing.
#[derive(Debug)]
pub struct ViewMonitor {
    samples: [u8; COLUMNS * ROWS],
    /// For each reason: since when its test has said the same, and what.
    tests: [(Reason, bool, Timestamp); 4],
    standing: Reasons,
}

impl Default for ViewMonitor {
    fn default() -> Self {
        Self {
            samples: [0; COLUMNS * ROWS],
            tests: Self::REASONS.map(|reason| (reason, false, Timestamp::ZERO)),
            standing: Reasons::NONE,
        }
    }
}

impl ViewMonitor {
    /// The reasons it can give.
    pub const REASONS: [Reason; 4] = [
        Reason::DarkView,
        Reason::BlockedView,
        Reason::BlurredView,
        Reason::FrozenView,
    ];

    /// Looks at the next frame; the reasons that stand now.
    pub fn look(&mut self, frame: &Frame) -> Reasons {
        let Some(found) = self.measure(frame) else {
            return self.standing;
        };
        for (reason, bad, since) in &mut self.tests {
            let now_bad = found.has(*reason);
            if *bad != now_bad {
                (*bad, *since) = (now_bad, frame.time);
            }
            let lasting_s = if now_bad { LASTING_S } else { LASTING_S / 2.0 };
            if frame.time.seconds_since(*since) >= lasting_s {
                self.standing.set(*reason, now_bad);
            }
        }
        self.standing
    }

    /// `None` for frames too small to judge.
    fn measure(&mut self, frame: &Frame) -> Option<Reasons> {
        let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
        if width < 4 * REACH_PX + COLUMNS || height < ROWS {
            return None;
        }
        // Green stands for the brightness of RGB.
        let luma = frame.luma();
        let mut levels = [0_u32; 256];
        let mut contrasts = [0_u32; 256];
        let (mut sum, mut squares, mut same) = (0_u64, 0_u64, true);
        for row in 0..ROWS {
            let y = height * (row * 2 + 3) / (ROWS * 2 + 6);
            let line = &luma.data[y * luma.row_bytes..(y + 1) * luma.row_bytes];
            for column in 0..COLUMNS {
                let x = REACH_PX + (width - 2 * REACH_PX - 1) * column / (COLUMNS - 1);
                let at = |x: usize| line[x * luma.step + luma.offset];
                let level = at(x);
                let kept = &mut self.samples[row * COLUMNS + column];
                same &= *kept == level;
                *kept = level;
                sum += u64::from(level);
                squares += u64::from(level) * u64::from(level);
                levels[usize::from(level)] += 1;
                contrasts[usize::from(at(x + REACH_PX).abs_diff(at(x - REACH_PX)))] += 1;
            }
        }
        let n = (COLUMNS * ROWS) as f64;
        let mean = sum as f64 / n;
        let deviation = (squares as f64 / n - mean * mean).max(0.0).sqrt() as f32;
        let dark = percentile_98(&levels) < DARK_LEVEL;
        let blocked = !dark && deviation < BLOCKED_DEVIATION;
        let contrast = f32::from(percentile_98(&contrasts));
        let mut found = Reasons::NONE;
        found.set(Reason::DarkView, dark);
        found.set(Reason::BlockedView, blocked);
        let blurred = !dark && !blocked && contrast < BLURRED_RATIO * deviation;
        found.set(Reason::BlurredView, blurred);
        // A camera's noise changes some sample in every frame; an image without any cannot be judged.
        found.set(Reason::FrozenView, same && !dark && !blocked);
        Some(found)
    }
}

fn percentile_98(histogram: &[u32; 256]) -> u8 {
    let mut left = (COLUMNS * ROWS) as u32 * 98 / 100;
    for (value, count) in histogram.iter().enumerate() {
        if *count > left {
            return value as u8;
        }
        left -= count;
    }
    255
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    /// Reasons after `seconds` of frames that `paint(index, x, y)` draws.
    fn watch(
        monitor: &mut ViewMonitor,
        (from_s, seconds): (f64, f64),
        paint: impl Fn(usize, usize, usize) -> u8,
    ) -> Vec<Reason> {
        let mut frame = Frame::default();
        let mut found = Reasons::NONE;
        for i in 0..(seconds * 30.0) as usize {
            frame.time = Timestamp::from_seconds(from_s + i as f64 / 30.0);
            let data = frame.reset(PixelFormat::I420, 320, 180);
            for (at, byte) in data[..320 * 180].iter_mut().enumerate() {
                *byte = paint(i, at % 320, at / 320);
            }
            found = monitor.look(&frame);
        }
        found.iter().collect()
    }

    /// Stripes 8 px wide that move: sharp and bright.
    fn scene(i: usize, x: usize, y: usize) -> u8 {
        40 + 160 * ((x + i) / 8 % 2) as u8 + (y % 16) as u8
    }

    #[test]
    fn a_good_view_gives_no_reason() {
        assert_eq!(watch(&mut ViewMonitor::default(), (0.0, 3.0), scene), []);
    }

    #[test]
    fn each_bad_view_is_told_after_a_second_and_ends_with_a_good_one() {
        let soft = |i: usize, x: usize, _: usize| ((x + i) % 256).abs_diff(128).min(127) as u8 * 2;
        type Paint = fn(usize, usize, usize) -> u8;
        let cases: [(Reason, Paint); 4] = [
            (Reason::DarkView, |i, x, _| ((i + x) % 20) as u8),
            (Reason::BlockedView, |i, x, y| 100 + ((i + x + y) % 9) as u8),
            (Reason::BlurredView, soft),
            (Reason::FrozenView, |_, x, y| scene(0, x, y)),
        ];
        for (reason, paint) in cases {
            let mut monitor = ViewMonitor::default();
            assert_eq!(
                watch(&mut monitor, (0.0, 0.9), paint),
                [],
                "{reason:?} at once"
            );
            assert_eq!(watch(&mut monitor, (0.9, 0.5), paint), [reason]);
            assert_eq!(watch(&mut monitor, (1.4, 0.4), scene), [reason]);
            assert_eq!(watch(&mut monitor, (1.8, 0.4), scene), []);
        }
    }
}
