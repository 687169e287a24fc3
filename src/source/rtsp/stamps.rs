//! When pictures were taken, by our monotonic clock, from the camera's own count.
//!
//! A picture cannot have been taken after it arrived, and the fastest way through the network is nearly
//! always the same: so the camera's count is laid as late as arrivals allow. It is pushed on by a little all
//! the time, which follows a camera whose clock is slower than ours.

use crate::units::Timestamp;

/// Clocks of cameras are better than this: 500 parts in a million.
const DRIFT: f64 = 500e-6;
/// A camera's count that is out by more has been started over.
const RESTART_S: f64 = 1.0;

#[derive(Debug, Default)]
pub(super) struct Stamps {
    /// Camera's count and monotonic time that belong together.
    anchor: Option<(f64, f64)>,
}

impl Stamps {
    /// For a picture with the camera's count `media_s` that arrived at `now`.
    pub(super) fn captured(&mut self, media_s: f64, now: Timestamp) -> Timestamp {
        let now_s = now.seconds();
        let due_s = self.anchor.map(|(media, mono)| {
            let passed_s = media_s - media;
            mono + passed_s + passed_s.max(0.0) * DRIFT
        });
        let restarted = |due_s: &f64| (now_s - due_s).abs() <= RESTART_S;
        let taken_s = due_s
            .filter(restarted)
            .map_or(now_s, |due_s| due_s.min(now_s));
        self.anchor = Some((media_s, taken_s));
        Timestamp::from_seconds(taken_s).min(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn late_packets_are_stamped_by_the_camera_and_none_in_the_future() {
        let mut stamps = Stamps::default();
        let mut last = at(0.0);
        for n in 0..300 {
            let media_s = f64::from(n) / 30.0;
            let late_s = [0.05, 0.0, 0.02, 0.08][n as usize % 4];
            let arrived = at(100.0 + media_s + late_s);
            let taken = stamps.captured(media_s, arrived);
            assert!(taken <= arrived);
            // The first ones show how fast packets can be.
            if n > 4 {
                assert!(taken > last);
                let error_s = taken.seconds() - 100.0 - media_s;
                assert!(error_s.abs() < 1e-3, "{n}: {error_s}");
            }
            last = taken;
        }
    }

    #[test]
    fn a_clock_that_is_slow_or_fast_is_followed_and_a_restart_starts_over() {
        for rate in [1.0 - 2e-4, 1.0 + 2e-4] {
            let mut stamps = Stamps::default();
            for n in 0..36_000 {
                let mono_s = f64::from(n) / 10.0;
                let taken = stamps.captured(mono_s * rate, at(mono_s));
                assert!((taken.seconds() - mono_s).abs() < 1e-3);
            }
            assert_eq!(stamps.captured(0.0, at(5000.0)), at(5000.0));
        }
    }
}
