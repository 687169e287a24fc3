//! `tsedge eval drift STATE`: what a unit has kept about drift.

use std::path::PathBuf;

use crate::cmd::Outcome;
use crate::evaluate::drift::{Drift, Watch};
use crate::runtime::drift::state_path;

/// Shows what a running unit keeps about drift (`[drift]` in its configuration), region by region.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: tsedge eval drift /var/lib/tsedge/drift")]
pub struct Args {
    /// The folder of `[drift]`, or the file in it.
    state: PathBuf,
    /// Show classes too.
    #[arg(long)]
    classes: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let file = if args.state.is_dir() {
        state_path(&args.state)
    } else {
        args.state.clone()
    };
    let drift = Drift::read(&file)?;
    say!(
        "{:<8}{:<12}{:>8}{:>9}{:>9}  verdict",
        "region",
        "measure",
        "signs",
        "usual",
        "lately"
    );
    for (region, of) in &drift.regions {
        for (measure, watch) in &of.measures {
            let usual = watch
                .reference
                .map_or("-".to_owned(), |r| format!("{:.3}", r.mean));
            let (name, count, recent) = (measure.name(), watch.count(), watch.recent);
            say!(
                "{region:<8}{name:<12}{count:>8}{usual:>9}{recent:>9.3}  {}",
                verdict(watch)
            );
        }
        if args.classes {
            for (class, of) in &of.classes {
                say!(
                    "{region:<8}  {class:<28}{:>6} signs, confidence {:.3}",
                    of.signs,
                    of.confidence
                );
            }
        }
    }
    if drift.has_left() {
        say!(
            "something has left its band: evaluate again (tsedge eval crops), then install a pack or delete the state"
        );
    }
    Ok(Outcome::Done)
}

fn verdict(watch: &Watch) -> String {
    match (watch.left, watch.reference) {
        (true, _) => "has left its band".to_owned(),
        (false, Some(_)) => format!(
            "within, at {:.0} % of the threshold",
            100.0 * watch.nearness()
        ),
        (false, None) => "is being learned".to_owned(),
    }
}
