//! `tsedge simulate`: renders a drive from a scenario, or the sign drawings themselves.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::frame::{ColourSpec, Frame};
use crate::media::H264Writer;
use crate::simulate::drive::Drive;
use crate::simulate::scenario::Scenario;
use crate::simulate::sheet;

/// Render a drive from a scenario: the video, the positions and what stood where
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenario file (TOML): the road and its signs, the camera and how it shakes, light and rain
    #[arg(required_unless_present_any = ["crops", "sheet"], requires = "out")]
    scenario: Option<PathBuf>,
    /// Write the video here (H.264 in MP4)
    #[arg(long, value_name = "MP4", requires = "scenario")]
    out: Option<PathBuf>,
    /// Write the positions here
    #[arg(long, value_name = "GPX", requires = "scenario")]
    gpx: Option<PathBuf>,
    /// Write what stood where, and when it was visible, here
    #[arg(long, value_name = "JSON", requires = "scenario")]
    truth: Option<PathBuf>,
    /// Write all sign drawings as PNG files into this folder, one folder a style and class
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
    /// Pictures a sign for --crops
    #[arg(long, value_name = "N", default_value_t = 1, requires = "crops")]
    crops_each: u32,
    /// Write all sign drawings on one PNG
    #[arg(long, value_name = "PNG")]
    sheet: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    if let Some(path) = &args.sheet {
        sheet::write_sheet(path)?;
    }
    if let Some(folder) = &args.crops {
        sheet::write_crops(folder, args.crops_each)?;
    }
    if let (Some(scenario), Some(out)) = (&args.scenario, &args.out) {
        render(args, scenario, out)?;
    }
    Ok(Outcome::Done)
}

fn render(args: &Args, scenario: &Path, out: &Path) -> anyhow::Result<()> {
    let file = Scenario::read(scenario)?;
    let (rate_hz, height_px) = (file.camera.rate_hz, file.camera.height_px);
    let mut drive = Drive::new(file).with_context(|| scenario.display().to_string())?;
    if let Some(path) = &args.gpx {
        write_file(path, |out| drive.write_gpx(out))?;
    }
    let colour = ColourSpec::unspecified(height_px);
    let mut video = H264Writer::create(out, rate_hz as f32, colour)?;
    let progress = ProgressBar::new(drive.frames()).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} frames, {eta} left",
    )?);
    let mut frame = Frame::default();
    while drive.frame(&mut frame) {
        video.frame(&frame)?;
        progress.inc(1);
    }
    video.finish()?;
    progress.finish_and_clear();
    if let Some(path) = &args.truth {
        write_file(path, |out| Ok(serde_json::to_writer(out, drive.truth())?))?;
    }
    ensure!(
        drive.truth().frames > 0,
        "{}: a drive without a frame",
        scenario.display()
    );
    Ok(())
}

fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let name = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(File::create(path).with_context(name)?);
    write(&mut out).with_context(name)?;
    out.flush().with_context(name)
}
