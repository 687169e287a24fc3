//! In the place of GStreamer in builds without it.

use std::path::Path;
use std::sync::Arc;

use super::super::camera::Camera;
use super::super::{FrameSource, SourceError};
use super::GstPlan;
use crate::clock::Clock;

const WORDS: &str = "this build has no GStreamer: build with `--features gstreamer`";

pub(super) fn check(_pipeline: &str) -> Result<(), String> {
    Err(WORDS.to_owned())
}

pub(super) fn camera(_plan: GstPlan, _clock: Arc<dyn Clock>) -> std::io::Result<Box<dyn Camera>> {
    Err(std::io::Error::other(WORDS))
}

pub(super) fn open(pipeline: &str) -> Result<Box<dyn FrameSource>, SourceError> {
    Err(SourceError::Unsupported {
        path: pipeline.into(),
        what: WORDS.to_owned(),
    })
}

pub(super) fn open_other(
    _path: &Path,
    why: SourceError,
) -> Result<Box<dyn FrameSource>, SourceError> {
    Err(why)
}
