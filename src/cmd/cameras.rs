//! `tsedge cameras`: what cameras there are and what they offer.

use std::io::Write as _;

use anyhow::Context;

use super::Outcome;
use crate::source::v4l2;

/// Lists cameras with their formats, sizes and controls.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_: &Args) -> anyhow::Result<Outcome> {
    let cameras = v4l2::cameras().context("/dev cannot be listed")?;
    let mut text = String::new();
    if cameras.is_empty() {
        text += "no camera found under /dev (is the user in the group `video`?)\n";
    }
    for camera in cameras {
        text += &format!("{}  {}\n", camera.device.display(), camera.name);
        for (format, sizes) in &camera.formats {
            text += &format!("  {format}  {}\n", sizes.join(" "));
        }
        for control in &camera.controls {
            text += &format!("  control {control}\n");
        }
    }
    // A reader that has seen enough, such as `head`, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(Outcome::Done)
}
