//! What was offered, part by part, into a file: memory is bounded whatever comes.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::message::{Item, Offer, part_topic};
use crate::model::card::hex;

/// Something on its way.
pub struct Fetch {
    /// What it is.
    pub item: Item,
    /// As it was offered.
    pub offer: Offer,
    /// Where it is written.
    pub path: PathBuf,
    file: File,
    sum: Sha256,
    bytes: usize,
    part: usize,
}

/// What a part leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// There are more.
    More,
    /// That was the last, and all is as it was offered.
    Whole,
    /// It cannot be right.
    Damaged,
}

impl Fetch {
    /// Before the first part, to be written into `file` at `path`.
    pub fn into_file(item: Item, offer: Offer, path: PathBuf, file: File) -> Self {
        Self {
            item,
            offer,
            path,
            file,
            sum: Sha256::new(),
            bytes: 0,
            part: 0,
        }
    }

    /// Where the next part is.
    pub fn topic(&self, root: &str) -> String {
        part_topic(root, &self.offer.sha256, self.part)
    }

    /// Takes the next part.
    pub fn part(&mut self, message: &[u8]) -> io::Result<Progress> {
        let missing = self.offer.bytes - self.bytes;
        if message.len() != missing.min(self.offer.part_bytes) {
            return Ok(Progress::Damaged);
        }
        self.file.write_all(message)?;
        self.sum.update(message);
        self.bytes += message.len();
        self.part += 1;
        if self.bytes < self.offer.bytes {
            return Ok(Progress::More);
        }
        let sound = hex(&self.sum.finalize_reset()) == self.offer.sha256;
        Ok(if sound {
            Progress::Whole
        } else {
            Progress::Damaged
        })
    }
}
