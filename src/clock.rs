//! Which time it is. Decisions ask an injected clock, never the system's.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::units::Timestamp;

/// A clock that never goes back.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// `CLOCK_MONOTONIC`, the clock that cameras stamp their frames by. Steps of the wall clock do not move it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Monotonic;

impl Clock for Monotonic {
    fn now(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = now.tv_sec.saturating_mul(1_000_000_000);
        Timestamp::from_nanos(seconds.saturating_add(now.tv_nsec))
    }
}

/// A clock that stands until it is set: for tests, and for media time.
#[derive(Debug, Default)]
pub struct Manual(AtomicI64);

impl Manual {
    /// Sets the time; going back is ignored.
    pub fn set(&self, now: Timestamp) {
        self.0.fetch_max(now.nanos(), Ordering::AcqRel);
    }
}

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Acquire))
    }
}

/// Measures how long parts of a step take; nothing is decided by it.
#[derive(Debug)]
pub struct Lap(Instant);

impl Lap {
    /// Begins now.
    #[allow(clippy::disallowed_methods)]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Adds the time since the last call to `total`, and begins anew.
    #[allow(clippy::disallowed_methods)]
    pub fn add_to(&mut self, total: &mut Duration) {
        let now = Instant::now();
        *total += now - std::mem::replace(&mut self.0, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_clock_goes_back() {
        let first = Monotonic.now();
        assert!(Monotonic.now() >= first && first > Timestamp::ZERO);
        let manual = Manual::default();
        manual.set(Timestamp::from_seconds(2.0));
        manual.set(Timestamp::from_seconds(1.0));
        assert_eq!(manual.now(), Timestamp::from_seconds(2.0));
    }
}
