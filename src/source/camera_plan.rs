//! The kinds of cameras.

use std::sync::Arc;

use super::camera::Camera;
use super::gst::{self, GstPlan};
use super::rtsp::{RtspCamera, RtspPlan};
use super::v4l2::{V4l2Camera, V4l2Plan};
use crate::clock::Clock;

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
