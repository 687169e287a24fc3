//! Passwords and tokens: in files of their own, so that the configuration can be shown to others.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::ensure;

/// What is longer is another file.
const MAX_BYTES: u64 = 4096;

/// The first line of a file.
pub(super) fn secret(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(file)?
        .take(MAX_BYTES)
        .read_to_string(&mut text)?;
    let secret = text.lines().next().unwrap_or_default();
    ensure!(!secret.is_empty(), "the first line is empty");
    Ok(secret.to_owned())
}
