//! A source of live frames: it may be late, may be lost, and may come back.

use std::sync::Arc;
use std::time::Duration;

use super::gst::{self, GstPlan};
use super::rtsp::{RtspCamera, RtspPlan};
use super::v4l2::{V4l2Camera, V4l2Plan};
use crate::clock::Clock;
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

/// A camera to open.
#[derive(Debug, Clone, PartialEq)]
pub enum CameraPlan {
    /// At this machine.
    V4l2(V4l2Plan),
    /// In the network.
    Rtsp(RtspPlan),
    /// A pipeline.
    Gst(GstPlan),
}

impl CameraPlan {
    /// Opens it; it need not be there yet.
    pub fn open(self, clock: Arc<dyn Clock>) -> std::io::Result<Box<dyn Camera>> {
        Ok(match self {
            Self::V4l2(plan) => Box::new(V4l2Camera::new(plan, clock)),
            Self::Rtsp(plan) => Box::new(RtspCamera::new(plan, clock)?),
            Self::Gst(plan) => gst::camera(plan, clock)?,
        })
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

    /// Pictures the camera itself left out or damaged since the last call.
    fn take_missed(&mut self) -> u64 {
        0
    }
}
