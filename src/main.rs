//! The command line: parse, log, dispatch, exit code.

fn main() {}
