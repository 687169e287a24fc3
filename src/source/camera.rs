//! A source of live frames: it may be late, may be lost, and may come back.

use std::time::Duration;

use crate::frame::Frame;

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

/// A source of live frames.
pub trait Camera: Send {
    /// In words, e.g. `/dev/video0, 1280x720 YUYV`.
    fn description(&self) -> &str;

    /// Width and height of its frames, or those asked for while it is not there.
    fn frame_px(&self) -> (u32, u32);

    /// Fills `frame` with the next picture; comes back after `patience` at the latest.
    fn shoot(&mut self, frame: &mut Frame, patience: Duration) -> Shot;

    /// Pictures the camera itself left out or damaged since the last call.
    fn take_missed(&mut self) -> u64 {
        0
    }
}
