//! The cameras of a run, or recordings in their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use super::Args;
use crate::clock::Clock;
use crate::config::{CameraConfig, ConfigFile, Plan, check_name};
use crate::pipeline::Viewpoint;
use crate::runtime::camera::PlayedFile;
use crate::source::camera::Camera;
use crate::source::{self, OpenOptions, gst};

/// A camera, and how it is looked at.
pub(super) struct Eye {
    pub(super) camera: Box<dyn Camera>,
    pub(super) viewpoint: Viewpoint,
    pub(super) share: u8,
}

impl Eye {
    fn new(
        name: Option<Arc<str>>,
        config: &CameraConfig,
        plan: &Plan,
        open: impl FnOnce() -> anyhow::Result<Box<dyn Camera>>,
    ) -> anyhow::Result<Self> {
        let section = camera_section(name.as_deref());
        let viewpoint = config.viewpoint(name, plan.recognition.lens);
        Ok(Self {
            viewpoint: viewpoint.with_context(|| section.clone())?,
            share: config.share().with_context(|| section.clone())?,
            camera: open().with_context(|| section)?,
        })
    }
}

/// As it stands in the configuration.
pub(in crate::cmd) fn camera_section(name: Option<&str>) -> String {
    name.map_or("[camera]".to_owned(), |name| format!("[cameras.{name}]"))
}

/// The cameras, or recordings in their place.
pub(super) fn eyes(
    args: &Args,
    config: &ConfigFile,
    plan: &Plan,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Eye>> {
    let configured = config.cameras()?;
    if args.replay.is_empty() {
        if configured.is_empty() {
            bail!(
                "no camera: give [camera] or [cameras.NAME] in the configuration, or --replay FILE"
            );
        }
        let open = |(name, camera): (_, &CameraConfig)| {
            let clock = Arc::clone(clock);
            Eye::new(name, camera, plan, || Ok(camera.resolve()?.open(clock)?))
        };
        return configured.into_iter().map(open).collect();
    }
    let mut eyes: Vec<Eye> = Vec::new();
    for (name, file) in recordings(&args.replay)? {
        let own = configured.iter().find(|(other, _)| *other == name);
        let own = own.map_or_else(CameraConfig::default, |(_, camera)| (*camera).clone());
        let played = || played(file, args.repeat, Arc::clone(clock));
        eyes.push(Eye::new(name, &own, plan, played)?);
    }
    Ok(eyes)
}

/// One file, or several with the names of the cameras that they stand in for.
fn recordings(replay: &[String]) -> anyhow::Result<Vec<(Option<Arc<str>>, PathBuf)>> {
    if let [file] = replay
        && (!file.contains('=')
            || Path::new(file).exists()
            || gst::pipeline_of(Path::new(file)).is_some())
    {
        return Ok(vec![(None, file.into())]);
    }
    let mut all: Vec<(Option<Arc<str>>, PathBuf)> = Vec::new();
    for text in replay {
        let (name, file) = text.split_once('=').with_context(|| {
            format!("--replay {text}: several recordings are given as NAME=FILE")
        })?;
        check_name(name).with_context(|| format!("--replay {text}"))?;
        let name = Some(name.into());
        if all.iter().any(|(other, _)| *other == name) {
            bail!("--replay {text}: there is a recording of that name already");
        }
        all.push((name, file.into()));
    }
    Ok(all)
}

fn played(file: PathBuf, repeat: bool, clock: Arc<dyn Clock>) -> anyhow::Result<Box<dyn Camera>> {
    let open = |file: &PathBuf| source::open(file, &OpenOptions::default());
    let mut played = PlayedFile::new(open(&file)?, clock);
    if repeat {
        played = played.repeated(move || match open(&file) {
            Ok(source) => Some(source),
            Err(e) => {
                log::error!("cannot start the recording over: {e}");
                None
            }
        });
    }
    Ok(Box::new(played))
}
