//! What a unit remembers of deliveries, in `delivery.json` beside the packs that were installed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::message::{Offer, State};
use super::trial::Unknown;
use crate::region::install::write_atomically;

const FORMAT: &str = "tsedge-delivery/1";
/// What is not taken again, at most; the oldest go first.
const MOST_BARRED: usize = 64;
/// So many starts in a row that did not last, and what is on trial goes.
const SHORT_STARTS: u32 = 3;

/// Of a region's packs, or of models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OfItem {
    /// The newest offer that something was done with.
    pub newest: Option<Handled>,
    /// What is in use, when it is on no trial.
    pub usual: Unknown,
}

/// What was done with an offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handled {
    /// SHA-256 of what was offered.
    pub sha256: String,
    /// The signature that it came with.
    pub signature: String,
    /// What became of it.
    pub state: State,
    /// Why.
    pub detail: String,
    /// What its trial saw.
    pub trial: Unknown,
    /// The same for the one before.
    pub before: Option<Unknown>,
    /// Starts of the unit that did not last, since it is on trial.
    pub starts: u32,
}

impl Handled {
    /// An offer with which nothing was tried yet.
    pub fn of(offer: &Offer, state: State, detail: String) -> Self {
        Self {
            sha256: offer.sha256.clone(),
            signature: offer.signature.clone(),
            state,
            detail,
            trial: Unknown::default(),
            before: None,
            starts: 0,
        }
    }

    /// Why it goes, where the unit did not last with it too often.
    pub fn too_short(&self) -> Option<String> {
        (self.starts >= SHORT_STARTS)
            .then(|| format!("the unit did not last in {SHORT_STARTS} starts with it"))
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    format: String,
    /// By region.
    pub regions: BTreeMap<String, OfItem>,
    /// Packs that were rolled back.
    pub barred: Barred,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            regions: BTreeMap::new(),
            barred: Barred::default(),
        }
    }
}

impl Memory {
    fn path(folder: &Path) -> PathBuf {
        folder.join("delivery.json")
    }

    /// What was remembered; one that cannot be read starts anew, for packs are judged by their signatures anyway.
    pub fn read(folder: &Path) -> Self {
        let path = Self::path(folder);
        let read = || -> anyhow::Result<Self> {
            let memory: Self = serde_json::from_slice(&std::fs::read(&path)?)?;
            anyhow::ensure!(memory.format == FORMAT, "format {}", memory.format);
            Ok(memory)
        };
        if !path.exists() {
            return Self::default();
        }
        read().unwrap_or_else(|e| {
            log::warn!("{}: {e}: deliveries start anew", path.display());
            Self::default()
        })
    }

    /// Keeps it over a power cut.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        write_atomically(&Self::path(folder), &serde_json::to_vec(self)?)
    }
}

/// SHA-256 of what was rolled back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Barred(Vec<String>);

impl Barred {
    /// Never again.
    pub fn put(&mut self, sha256: &str) {
        self.0.push(sha256.to_owned());
        let many = self.0.len().saturating_sub(MOST_BARRED);
        self.0.drain(..many);
    }

    /// Whether it was rolled back before.
    pub fn has(&self, sha256: &str) -> bool {
        self.0.iter().any(|barred| barred == sha256)
    }
}
