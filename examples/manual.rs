//! Writes man pages and shell completions, made from the argument parser, into a folder: `manual DIR`.
//!
//! A program of its own, so that none of it is in the one that is shipped.

use std::path::PathBuf;
use std::{fs, io};

use clap::CommandFactory as _;
use clap_complete::Shell;
use tsedge::cmd::Cli;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("usage: manual DIR"))?;
    let (man, shells) = (folder.join("man1"), folder.join("completions"));
    for folder in [&man, &shells] {
        fs::create_dir_all(folder)?;
    }
    clap_mangen::generate_to(Cli::command(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "tsedge", &shells)?;
    }
    Ok(())
}
