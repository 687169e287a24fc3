//! Subcommands: one file each, with its arguments and what it does.

/// Prints a line; a reader that has seen enough ends the command, quietly (`main`).
macro_rules! say {
    ($($what:tt)*) => {
        std::io::Write::write_fmt(
            &mut std::io::stdout(),
            format_args!("{}\n", format_args!($($what)*)),
        )?
    };
}

pub mod adapt;
pub mod bench;
pub mod cameras;
pub mod check;
pub mod collect;
pub mod eval;
pub mod models;
pub mod region;
pub mod replay;
pub mod rollout;
pub mod run;
pub mod simulate;

use std::process::ExitCode;

/// Finds traffic signs in a vehicle's camera and names them by the region the car is in.
#[derive(clap::Parser)]
#[command(name = "tsedge", version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TSEDGE_COMMIT"), ")"))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(clap::Subcommand)]
#[allow(missing_docs, reason = "each one's help is that of its arguments")]
pub enum Command {
    Bench(bench::Args),
    Cameras(cameras::Args),
    Check(check::Args),
    Collect(collect::Args),
    Adapt(adapt::Args),
    Models(models::Args),
    Eval(eval::Args),
    Region(region::Args),
    Replay(Box<replay::Args>),
    Rollout(rollout::Args),
    Run(run::Args),
    Simulate(simulate::Args),
}

/// How a command ended, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, but frames were lost or damaged.
    DataLost,
    /// Ended to be started anew, by other models.
    Restart,
}

/// Exit code of a command that failed; bad arguments give 2.
pub const FAILED: u8 = 1;

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::DataLost => 3,
            Outcome::Restart => 4,
        })
    }
}
