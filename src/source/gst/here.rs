//! In builds with GStreamer.

use std::path::Path;
use std::sync::Arc;

use super::super::camera::Camera;
use super::super::{FrameSource, SourceError};
use super::GstPlan;
use super::camera::GstCamera;
use super::file::GstFile;
use super::pipeline::Pipeline;
use crate::clock::Clock;

pub(super) fn check(pipeline: &str) -> Result<(), String> {
    Pipeline::parse(pipeline).map(drop)
}

pub(super) fn camera(plan: GstPlan, clock: Arc<dyn Clock>) -> std::io::Result<Box<dyn Camera>> {
    Ok(Box::new(GstCamera::new(plan, clock)))
}

pub(super) fn open(pipeline: &str) -> Result<Box<dyn FrameSource>, SourceError> {
    let unsupported = |what| SourceError::Unsupported {
        path: pipeline.into(),
        what,
    };
    let parsed = Pipeline::parse(pipeline).map_err(unsupported)?;
    let source = GstFile::open(Path::new(pipeline), parsed).map_err(unsupported)?;
    Ok(Box::new(source))
}

pub(super) fn open_other(
    path: &Path,
    why: SourceError,
) -> Result<Box<dyn FrameSource>, SourceError> {
    let opened = Pipeline::of_file(path).and_then(|pipeline| GstFile::open(path, pipeline));
    match opened {
        Ok(source) => Ok(Box::new(source)),
        Err(words) => Err(SourceError::Unsupported {
            path: path.to_owned(),
            what: format!("GStreamer cannot read it either: {words} (without it: {why})"),
        }),
    }
}
