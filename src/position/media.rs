//! A recording's own time, from a receiver's.

use crate::units::Timestamp;

const DAY_NS: i64 = 86_400_000_000_000;

/// From a receiver's time to media time, by the time of day alone: a date may be wrong by years until
/// the receiver has learnt it, the time of day is right from the first fix on.
#[derive(Debug)]
pub struct MediaTime {
    utc_ns: Option<i64>,
    media_ns: i64,
}

impl MediaTime {
    /// The first time placed is at `offset_s`.
    pub fn starting_at(offset_s: f64) -> Self {
        Self {
            utc_ns: None,
            media_ns: (offset_s * 1e9) as i64,
        }
    }

    /// Where a time lies; `None` when it is not after the one before, as when a receiver restarts.
    pub fn place(&mut self, utc_ns: i64) -> Option<Timestamp> {
        if let Some(last) = self.utc_ns {
            let step_ns = (utc_ns - last).rem_euclid(DAY_NS);
            if step_ns == 0 || step_ns > DAY_NS / 2 {
                return None;
            }
            self.media_ns += step_ns;
        }
        self.utc_ns = Some(utc_ns);
        Some(Timestamp::from_nanos(self.media_ns))
    }
}
