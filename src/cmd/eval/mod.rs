//! `tsedge eval`: figures to decide by. One file a kind.

mod crops;
mod drift;
mod drive;
mod sheet;

use super::Outcome;

/// Measures how good packs and drives are, and whether they got better or worse (docs/evaluation.md)
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Crops(crops::Args),
    Drive(drive::Args),
    Drift(drift::Args),
    Sheet(sheet::Args),
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.what {
        What::Crops(args) => crops::run(args),
        What::Drive(args) => drive::run(args),
        What::Drift(args) => drift::run(args),
        What::Sheet(args) => sheet::run(args),
    }
}

/// Which build made a result.
fn made_by() -> String {
    format!(
        "tsedge {} ({})",
        env!("CARGO_PKG_VERSION"),
        env!("TSEDGE_COMMIT")
    )
}
