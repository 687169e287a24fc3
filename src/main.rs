//! The command line: parse, log, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use tsedge::cmd::{self, Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"))
        .format_timestamp(None)
        .format_target(false)
        .init();
    let outcome = match cli.command {
        Command::Bench(args) => cmd::bench::run(&args),
        Command::Cameras(args) => cmd::cameras::run(&args),
        Command::Check(args) => cmd::check::run(&args),
        Command::Collect(args) => cmd::collect::run(&args),
        Command::Adapt(args) => cmd::adapt::run(&args),
        Command::Models(args) => cmd::models::run(&args),
        Command::Eval(args) => cmd::eval::run(&args),
        Command::Region(args) => cmd::region::run(&args),
        Command::Replay(args) => cmd::replay::run(&args),
        Command::Rollout(args) => cmd::rollout::run(&args),
        Command::Run(args) => cmd::run::run(&args),
        Command::Simulate(args) => cmd::simulate::run(&args),
    };
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tsedge: {error:#}");
            ExitCode::from(cmd::FAILED)
        }
    }
}

/// `tsedge region list | head -1`.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    (error.downcast_ref::<std::io::Error>())
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
