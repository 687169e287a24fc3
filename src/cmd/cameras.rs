//! `tsedge cameras`: what cameras there are and what they offer.

use anyhow::Context;

use super::Outcome;
use crate::source::v4l2;

/// Lists cameras with their formats, sizes and controls.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_: &Args) -> anyhow::Result<Outcome> {
    let cameras = v4l2::cameras().context("/dev cannot be listed")?;
    if cameras.is_empty() {
        println!("no camera found under /dev (is the user in the group `video`?)");
    }
    for camera in cameras {
        println!("{}  {}", camera.device.display(), camera.name);
        for (format, sizes) in &camera.formats {
            println!("  {format}  {}", sizes.join(" "));
        }
        for control in &camera.controls {
            println!("  control {control}");
        }
    }
    Ok(Outcome::Done)
}
