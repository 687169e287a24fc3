//! What the recognition has done so far, for outputs that tell it without an event a frame.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::units::Timestamp;

/// Latencies are counted in steps of this; the last bucket holds all longer ones.
const LATENCY_STEP_MS: f64 = 0.25;
const LATENCY_BUCKETS: usize = 1024;

/// Counters that one thread writes and others read.
#[derive(Debug)]
pub struct Progress {
    frames: AtomicU64,
    dropped: AtomicU64,
    last_frame_nanos: AtomicI64,
    latencies: [AtomicU32; LATENCY_BUCKETS],
}

/// No frame yet.
const NEVER: i64 = i64::MIN;

impl Default for Progress {
    fn default() -> Self {
        Self {
            frames: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            last_frame_nanos: AtomicI64::new(NEVER),
            latencies: [const { AtomicU32::new(0) }; LATENCY_BUCKETS],
        }
    }
}

impl Progress {
    /// A frame captured at `captured` (monotonic) went through all stages by `now`.
    pub fn recognised(&self, captured: Timestamp, now: Timestamp) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.last_frame_nanos
            .store(captured.nanos(), Ordering::Release);
        let steps = now.seconds_since(captured) * 1e3 / LATENCY_STEP_MS;
        let bucket = steps.clamp(0.0, (LATENCY_BUCKETS - 1) as f64) as usize;
        self.latencies[bucket].fetch_add(1, Ordering::Relaxed);
    }

    /// Frames were left out.
    pub fn add_dropped(&self, frames: u64) {
        self.dropped.fetch_add(frames, Ordering::Relaxed);
    }

    /// Frames recognised.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Frames left out.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// When the newest recognised frame was captured.
    pub fn last_frame(&self) -> Option<Timestamp> {
        let nanos = self.last_frame_nanos.load(Ordering::Acquire);
        (nanos != NEVER).then(|| Timestamp::from_nanos(nanos))
    }

    /// Milliseconds from capture to the end of recognition that this share of all frames stayed within;
    /// 256 stands for longer ones.
    pub fn latency_ms(&self, share: f64) -> f64 {
        let counts = self.latencies.each_ref().map(|c| c.load(Ordering::Relaxed));
        let total: u64 = counts.iter().map(|c| u64::from(*c)).sum();
        let rank = (share * total as f64).ceil() as u64;
        let mut seen = 0;
        for (step, count) in counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank && seen > 0 {
                return (step + 1) as f64 * LATENCY_STEP_MS;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_bounded_from_above() {
        let progress = Progress::default();
        for ms in 0..100 {
            let at = Timestamp::from_nanos(ms * 1_000_000 + 500_000);
            progress.recognised(Timestamp::ZERO, at);
        }
        progress.recognised(Timestamp::ZERO, Timestamp::from_seconds(9.0));
        assert_eq!(
            (progress.latency_ms(0.5), progress.latency_ms(0.99)),
            (50.75, 99.75)
        );
        assert_eq!(progress.latency_ms(1.0), 256.0);
    }
}
