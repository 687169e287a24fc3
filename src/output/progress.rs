//! What the recognition has done so far, for outputs that tell it without an event a frame.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::units::Timestamp;

/// Counters that one thread writes and others read.
#[derive(Debug)]
pub struct Progress {
    frames: AtomicU64,
    dropped: AtomicU64,
    last_frame_nanos: AtomicI64,
}

/// No frame yet.
const NEVER: i64 = i64::MIN;

impl Default for Progress {
    fn default() -> Self {
        Self {
            frames: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            last_frame_nanos: AtomicI64::new(NEVER),
        }
    }
}

impl Progress {
    /// A frame captured at `captured` (monotonic) went through all stages.
    pub fn recognised(&self, captured: Timestamp) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.last_frame_nanos
            .store(captured.nanos(), Ordering::Release);
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
}
