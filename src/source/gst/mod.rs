//! Pictures of a GStreamer pipeline: cameras and decoders in hardware, and files that nothing else reads.
//!
//! A pipeline is what `gst-launch-1.0` takes, up to raw video in the machine's own memory; the sink is added
//! here. Without the feature `gstreamer` every pipeline is refused, with the remedy.

#[cfg(not(feature = "gstreamer"))]
mod absent;
#[cfg(not(feature = "gstreamer"))]
use absent as here;
#[cfg(feature = "gstreamer")]
mod camera;
#[cfg(feature = "gstreamer")]
mod file;
#[cfg(feature = "gstreamer")]
mod here;
#[cfg(feature = "gstreamer")]
mod picture;
#[cfg(feature = "gstreamer")]
mod pipeline;

use std::path::Path;
use std::sync::Arc;

use super::camera::Camera;
use super::{FrameSource, SourceError};
use crate::clock::Clock;

/// What stands before a pipeline where a file's name is expected.
const PREFIX: &str = "gst:";

/// The pipeline in a file's name, if it is one.
pub fn pipeline_of(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix(PREFIX).map(str::trim)
}

/// What is asked of a pipeline that stands for a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GstPlan {
    pub(super) pipeline: String,
    /// Width and height to expect while it brings nothing.
    pub(super) size_px: (u32, u32),
}

impl GstPlan {
    /// The error says which element or word of the pipeline is wrong.
    pub fn new(pipeline: &str, size_px: (u32, u32)) -> Result<Self, String> {
        here::check(pipeline)?;
        Ok(Self {
            pipeline: pipeline.to_owned(),
            size_px,
        })
    }

    /// The pipeline's text.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }
}

/// A camera that is a pipeline; it need not bring pictures yet.
pub(super) fn camera(plan: GstPlan, clock: Arc<dyn Clock>) -> std::io::Result<Box<dyn Camera>> {
    here::camera(plan, clock)
}

/// A pipeline that ends, as a recording.
pub(super) fn open(pipeline: &str) -> Result<Box<dyn FrameSource>, SourceError> {
    here::open(pipeline)
}

/// A file that no other source reads, where this build has GStreamer; else the error that there was.
pub(super) fn open_other(
    path: &Path,
    why: SourceError,
) -> Result<Box<dyn FrameSource>, SourceError> {
    here::open_other(path, why)
}
