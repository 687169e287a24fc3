//! A source of live frames: it may be late, may be lost, and may come back.

use std::time::Duration;

use crate::frame::Frame;
use crate::retry::Retry;
use crate::units::Timestamp;

/// A camera that brings no whole picture for so long is opened anew.
pub const STALL: Duration = Duration::from_secs(2);
/// Pauses before a lost camera is tried again.
const RETRY: Retry = Retry::new(Duration::from_millis(100), Duration::from_secs(1));

/// What a camera brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shot {
    /// The frame was filled; its `time` is the monotonic time of capture.
    Frame,
    /// Nothing came in time; the camera may still be well.
    Late,
    /// The camera is gone, in words; it is tried again with every call.
    Lost(String),
    /// There will be no more frames.
    End,
}

/// Pictures that did not become frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missed {
    /// Left out by the camera or its driver.
    pub left_out: u64,
    /// Came damaged, or build on one that did.
    pub damaged: u64,
}

/// Why a camera is lost, told until pictures come again, and when it is tried next.
#[derive(Debug)]
pub(super) struct Loss {
    retry: Retry,
    why: String,
}

impl Default for Loss {
    fn default() -> Self {
        Self::with(RETRY)
    }
}

impl Loss {
    /// Tried again after these pauses.
    pub(super) const fn with(retry: Retry) -> Self {
        let why = String::new();
        Self { retry, why }
    }

    /// Lost at `now`, or not opened.
    pub(super) fn begins(&mut self, now: Timestamp, why: String) -> Shot {
        self.retry.failed(now);
        self.why = why;
        Shot::Lost(self.why.clone())
    }

    /// While it is too early to try again.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Shot> {
        (!self.retry.is_due(now)).then(|| Shot::Lost(self.why.clone()))
    }

    /// A picture came.
    pub(super) fn ends(&mut self) {
        self.retry.succeeded();
    }
}

/// A source of live frames.
pub trait Camera: Send {
    /// In words, e.g. `/dev/video0, 1280x720 YUYV`.
    fn description(&self) -> &str;

    /// Width and height of its frames, or those asked for while it is not there.
    fn frame_px(&self) -> (u32, u32);

    /// Fills `frame` with the next picture; comes back after `patience` at the latest.
    fn shoot(&mut self, frame: &mut Frame, patience: Duration) -> Shot;

    /// Since the last call.
    fn take_missed(&mut self) -> Missed;
}
