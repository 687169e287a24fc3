//! Whether what a camera showed last is too old to speak of what stands there now.

use crate::units::Timestamp;

/// Frames older than this make the view stale, at once.
const STALE_S: f64 = 0.5;
/// They must be younger for so long before it is stale no more: frames that are late now and then would flood receivers.
const FRESH_S: f64 = 1.0;

/// One camera's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Staleness {
    last: Option<Timestamp>,
}

impl Staleness {
    /// At `now`, the newest frame being of `captured`.
    pub fn look(&mut self, now: Timestamp, captured: Timestamp) -> bool {
        if now.seconds_since(captured) > STALE_S {
            self.last = Some(now);
        }
        self.last
            .is_some_and(|last| now.seconds_since(last) < FRESH_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it came and went in ten seconds, looked at every 20 ms; a frame is `late_s` old every 300 ms.
    fn changes(late_s: f64) -> usize {
        let mut view = Staleness::default();
        let told: Vec<bool> = (0..500)
            .map(|i| {
                let age_s = if i % 15 == 14 { late_s } else { 0.1 };
                let now = Timestamp::from_seconds(f64::from(i) * 0.02);
                view.look(now, Timestamp::from_seconds(f64::from(i) * 0.02 - age_s))
            })
            .collect();
        told.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    #[test]
    fn frames_late_now_and_then_are_told_once() {
        assert_eq!((changes(0.4), changes(0.6)), (0, 1));
    }

    #[test]
    fn it_is_told_at_once_and_ends_when_frames_stay_fresh() {
        let mut view = Staleness::default();
        let mut at = |now_s, captured_s| {
            view.look(
                Timestamp::from_seconds(now_s),
                Timestamp::from_seconds(captured_s),
            )
        };
        assert!(!at(1.0, 0.9) && at(1.5, 0.9));
        assert!(at(1.6, 1.5) && at(2.4, 2.3) && !at(2.6, 2.5));
    }
}
