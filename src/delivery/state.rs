//! What a unit remembers of deliveries, in `delivery.json` beside the packs that were installed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::message::{Offer, State};
use super::trial::Unknown;
use crate::region::install::write_atomically;

const FORMAT: &str = "tsedge-delivery/1";
/// Packs that are not taken again, at most; the oldest go first.
const MOST_BARRED: usize = 64;

/// Of one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OfRegion {
    /// The newest offer that something was done with.
    pub newest: Option<Handled>,
    /// The pack in use, when it is on no trial.
    pub usual: Unknown,
}

/// What was done with an offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handled {
    /// SHA-256 of the offered pack.
    pub sha256: String,
    /// The signature that it came with.
    pub signature: String,
    /// What became of it.
    pub state: State,
    /// Why.
    pub detail: String,
    /// What its trial saw.
    pub trial: Unknown,
    /// The same for the pack before.
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
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    format: String,
    /// By region.
    pub regions: BTreeMap<String, OfRegion>,
    /// SHA-256 of packs that were rolled back.
    barred: Vec<String>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            regions: BTreeMap::new(),
            barred: Vec::new(),
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

    /// Never again this pack.
    pub fn bar(&mut self, sha256: &str) {
        self.barred.push(sha256.to_owned());
        let many = self.barred.len().saturating_sub(MOST_BARRED);
        self.barred.drain(..many);
    }

    /// Whether it was rolled back before.
    pub fn is_barred(&self, sha256: &str) -> bool {
        self.barred.iter().any(|barred| barred == sha256)
    }
}
