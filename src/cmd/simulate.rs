//! `tsedge simulate`: renders a drive from a scenario, or the drawings themselves.

use std::path::PathBuf;

use super::Outcome;
use crate::simulate::sheet;

/// Render a drive from a scenario file: video, positions and what stood where
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write all sign drawings as PNG files into this folder, one folder a style and class
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
    /// Pictures a sign for --crops
    #[arg(long, value_name = "N", default_value_t = 1)]
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
    Ok(Outcome::Done)
}
