//! Region packs: safetensors files that hold a region's embeddings, classes and calibration.
//!
//! [`Pack`] is a file's contents. A file is parsed within fixed bounds and checked whole before anything
//! is made of it: digest, version, encoder fingerprint, shapes, unit rows, classes.
//! `docs/pack-format.md` describes it byte by byte.

mod read;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ndarray::Array2;
use sha2::{Digest as _, Sha256};

pub use read::{from_bytes, read_bytes};
pub use write::RowType;

use super::bank::{Calibration, Identity, RegionBank};
use super::rules::Rules;
use crate::event::ClassInfo;
use crate::model::card::hex;
use crate::units::RegionCode;

/// What is written: the digest is part of it.
pub const FORMAT: &str = "tsedge-pack/2";

/// The format before it, read still: it has no digest.
pub const FORMAT_WITHOUT_DIGEST: &str = "tsedge-pack/1";

/// Larger files are refused unread: 100,000 rows of 512 numbers take 205 MB.
pub const MAX_PACK_BYTES: u64 = 256 << 20;

/// Longer headers are refused unread: 1,024 classes with long names take half of it.
pub const MAX_HEADER_BYTES: u64 = 2 << 20;

/// The traffic rules of a region are at most so long.
pub const MAX_RULES_BYTES: usize = 64 << 10;

/// A longer name of a class is refused: events carry it.
pub const MAX_TEXT_BYTES: usize = 1000;

/// Rows may be off unit length by so much (f16 rounding).
pub const UNIT_TOLERANCE: f32 = 2e-3;

/// Why a pack is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct PackError {
    /// The pack.
    pub path: PathBuf,
    /// What is wrong with it and what would be right.
    pub reason: String,
}

/// Unit-length rows and the class of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Prototypes {
    /// One embedding a row.
    pub rows: Array2<f32>,
    /// Index into the pack's classes, row by row.
    pub class_of: Vec<u16>,
}

impl Prototypes {
    /// No rows, of length `dim`.
    pub fn none(dim: usize) -> Self {
        Self {
            rows: Array2::zeros((0, dim)),
            class_of: Vec::new(),
        }
    }

    /// Rows in order, with the class of each.
    pub fn iter(&self) -> impl Iterator<Item = (ndarray::ArrayView1<'_, f32>, u16)> {
        self.rows.outer_iter().zip(self.class_of.iter().copied())
    }
}

/// All that a pack's file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Pack {
    /// The region it was made for.
    pub region: RegionCode,
    /// Any text.
    pub version: String,
    /// SHA-256 of the ONNX file whose space the rows live in.
    pub encoder_sha256: String,
    /// Its classes, background included; no key twice.
    pub classes: Vec<ClassInfo>,
    /// From cosines to decisions.
    pub calibration: Calibration,
    /// Rows that sentences gave.
    pub text: Prototypes,
    /// Rows that pictures or training gave.
    pub image: Prototypes,
    /// The region's rules of the road, as its prompt file has them; checked.
    pub rules: Option<serde_json::Value>,
    /// Everything else in the metadata: where it comes from, for people.
    pub notes: BTreeMap<String, String>,
}

impl Pack {
    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.text.rows.ncols()
    }

    /// The index of a class.
    pub fn class(&self, key: &str) -> Option<u16> {
        let found = self.classes.iter().position(|c| c.key == key)?;
        u16::try_from(found).ok()
    }

    /// The rules of the road: an error when they do not keep their form.
    pub fn road_rules(&self) -> Result<Rules, String> {
        match &self.rules {
            Some(rules) => Rules::from_json(&rules.to_string(), &self.classes),
            None => Ok(Rules::default()),
        }
    }

    /// The bank the runtime matches against; `sha256` is that of the file.
    pub fn bank(&self, sha256: &str) -> Result<RegionBank, String> {
        let identity = Identity {
            region: self.region,
            version: self.version.as_str().into(),
            sha256: sha256.into(),
            rules: self.road_rules()?,
        };
        let parts = [&self.text, &self.image].map(|p| (p.rows.view(), p.class_of.as_slice()));
        let classes = self.classes.clone();
        Ok(RegionBank::new(
            identity,
            classes,
            &self.calibration,
            &parts,
            self.dim(),
        ))
    }
}

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A tensor as the digest sees it.
struct Part<'a> {
    name: &'a str,
    dtype: &'a str,
    shape: &'a [usize],
    data: &'a [u8],
}

/// Over metadata (all keys but `digest`) and tensors, each in the order of names; zero bytes part them.
fn digest<'a>(
    metadata: impl Iterator<Item = (&'a str, &'a str)>,
    tensors: impl Iterator<Item = Part<'a>>,
) -> String {
    let mut hash = Sha256::new();
    let metadata: BTreeMap<&str, &str> = metadata.filter(|(key, _)| *key != "digest").collect();
    for (key, value) in metadata {
        for text in [key, value] {
            hash.update(text);
            hash.update([0]);
        }
    }
    let tensors: BTreeMap<&str, Part<'a>> = tensors.map(|part| (part.name, part)).collect();
    for part in tensors.values() {
        let shape: Vec<String> = part.shape.iter().map(ToString::to_string).collect();
        for text in [part.name, part.dtype, &shape.join(",")] {
            hash.update(text);
            hash.update([0]);
        }
        hash.update(part.data);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
pub(super) mod tests;
