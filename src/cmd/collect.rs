//! `tsedge collect`: crops that the model was unsure of, from any number of recordings.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Outcome, replay};

/// Keeps crops of signs the model was unsure of, ready to be labelled (docs/adapt.md).
///
/// A track beside a recording (`drive.gpx` or `drive.nmea` for `drive.mp4`) says which region's signs are
/// read where; else --region does. `tsedge run` collects by `[collect]` in its configuration.
///
/// Exit codes: 0 done, 1 failed, 2 bad arguments, 3 done but frames were lost or damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: tsedge collect drives/*.mp4 --region DE --into doubts")]
pub struct Args {
    /// Recordings, as `tsedge replay` takes them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The folder; what is in it already stays, and counts.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The pictures take at most so many megabytes; the least doubtful go first.
    #[arg(long, value_name = "MB", default_value_t = 100)]
    max_mb: u64,
    /// Read signs by this region's pack where no track says more.
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    /// A configuration file.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Folder with models and packs.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Done;
    for file in &args.files {
        let gps = track_beside(file);
        let drive = replay::Args {
            file: file.clone(),
            region: args.region.clone().filter(|_| gps.is_none()),
            gps,
            collect: Some(args.into.clone()),
            collect_mb: args.max_mb,
            config: args.config.clone(),
            models: args.models.clone(),
            quiet: true,
            image_rate_hz: 10.0,
            ..replay::Args::default()
        };
        let ended = replay::run(&drive).with_context(|| file.display().to_string())?;
        if ended == Outcome::DataLost {
            outcome = ended;
        }
    }
    Ok(outcome)
}

fn track_beside(file: &Path) -> Option<PathBuf> {
    (["gpx", "nmea"].iter())
        .map(|ending| file.with_extension(ending))
        .find(|track| track.is_file())
}
