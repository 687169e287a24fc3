//! The packs of a folder: checked when first needed, then kept in memory.
//!
//! A second folder may hold packs that were installed on this machine; they go before those that came with
//! the models, which an update of the program replaces.
//!
//! A pack that is refused stops nothing. The last good one is used: the bank in memory, else
//! `X.safetensors.previous`, else the one that came with the models, else the pack of the country, else
//! WORLD; [`PackStore::take_refusals`] tells.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bank::RegionBank;
use super::install::previous_path;
use super::pack::{PackError, from_bytes, read_bytes};
use super::sign::{Signed, Trust};
use crate::units::RegionCode;

/// See the module.
#[derive(Debug)]
pub struct PackStore {
    folder: PathBuf,
    installed: Option<PathBuf>,
    encoder_sha256: String,
    dim: usize,
    trust: Trust,
    banks: BTreeMap<String, Arc<RegionBank>>,
    refusals: Vec<PackError>,
}

impl PackStore {
    /// Of a folder with files `<REGION>.safetensors`.
    pub fn new(folder: &Path, encoder_sha256: &str, dim: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            installed: None,
            encoder_sha256: encoder_sha256.to_owned(),
            dim,
            trust: Trust::default(),
            banks: BTreeMap::new(),
            refusals: Vec::new(),
        }
    }

    /// Believes only what `trust` believes.
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Looks into `folder` first; it need not be there yet.
    pub fn with_installed(mut self, folder: Option<&Path>) -> Self {
        self.installed = folder.map(Path::to_owned);
        self
    }

    /// The folders, the first that has a region's pack counts.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.installed.iter().chain([&self.folder]).map(|f| &**f)
    }

    /// The regions that have a file in a folder, in the order of their codes.
    pub fn regions(&self) -> std::io::Result<Vec<RegionCode>> {
        let mut regions = Vec::new();
        for folder in self.folders() {
            let entries = match std::fs::read_dir(folder) {
                Err(e) if e.kind() == ErrorKind::NotFound && folder != self.folder => continue,
                entries => entries?,
            };
            for entry in entries {
                let name = entry?.file_name();
                let code = name.to_str().and_then(|n| n.strip_suffix(".safetensors"));
                regions.extend(code.and_then(RegionCode::parse));
            }
        }
        regions.sort();
        regions.dedup();
        Ok(regions)
    }

    /// Where a region's pack lies.
    pub fn path_of(&self, region: RegionCode) -> PathBuf {
        let name = format!("{region}.safetensors");
        let installed = self.installed.iter().map(|folder| folder.join(&name));
        (installed.into_iter().find(|path| path.exists()))
            .unwrap_or_else(|| self.folder.join(&name))
    }

    /// The bank in memory, if the region's pack was read.
    pub fn loaded(&self, region: RegionCode) -> Option<&Arc<RegionBank>> {
        self.banks.get(region.as_str())
    }

    /// Reads a region's pack from the disk; what is in memory stays when it is refused.
    pub fn reload(&mut self, region: RegionCode) -> Result<Arc<RegionBank>, PackError> {
        let bank = Arc::new(self.read(&self.path_of(region), region)?.0);
        self.banks.insert(region.to_string(), Arc::clone(&bank));
        Ok(bank)
    }

    /// The pack of exactly this region, or the one before where that is refused; `None` when no folder
    /// has one. The error is that of the first.
    pub fn exact(&mut self, region: RegionCode) -> Result<Option<Arc<RegionBank>>, PackError> {
        if let Some(bank) = self.banks.get(region.as_str()) {
            return Ok(Some(Arc::clone(bank)));
        }
        let name = format!("{region}.safetensors");
        let newest = self.folders().map(|folder| folder.join(&name));
        let places: Vec<PathBuf> = newest
            .flat_map(|path| [path.clone(), previous_path(&path)])
            .collect();
        let mut first_refused = None;
        for path in places.iter().filter(|path| path.exists()) {
            match self.read(path, region) {
                Ok((bank, _)) => {
                    self.refusals.extend(first_refused);
                    let bank = Arc::new(bank);
                    self.banks.insert(region.to_string(), Arc::clone(&bank));
                    return Ok(Some(bank));
                }
                Err(refused) => {
                    first_refused.get_or_insert(refused);
                }
            }
        }
        first_refused.map_or(Ok(None), Err)
    }

    /// The best pack for a region: its own, its country's, or WORLD. Packs refused on the way are told by
    /// [`PackStore::take_refusals`]; the error says that none is left.
    pub fn best(&mut self, region: RegionCode) -> Result<Arc<RegionBank>, PackError> {
        let mut first_refused = None;
        for candidate in [region, region.country(), RegionCode::WORLD] {
            match self.exact(candidate) {
                Ok(Some(bank)) => {
                    self.refusals.extend(first_refused);
                    return Ok(bank);
                }
                Ok(None) => {}
                Err(refused) => {
                    first_refused.get_or_insert(refused);
                }
            }
        }
        Err(first_refused.unwrap_or_else(|| PackError {
            path: self.folder.clone(),
            reason: format!("has neither {region}.safetensors nor WORLD.safetensors"),
        }))
    }

    /// Lets go of all packs but those of `regions`; they are read again when needed.
    pub fn retain(&mut self, regions: &[RegionCode]) {
        self.banks
            .retain(|name, _| regions.iter().any(|region| region.as_str() == name));
    }

    /// Takes a bank that was read and checked elsewhere in place of what it has of that region.
    pub fn renew(&mut self, bank: Arc<RegionBank>) {
        self.banks.insert(bank.region().to_string(), bank);
    }

    /// What was refused since the last call, though something could be used in its place.
    pub fn take_refusals(&mut self) -> Vec<PackError> {
        std::mem::take(&mut self.refusals)
    }

    /// Reads and checks one file as the pack of `region`, without keeping it.
    pub fn read(&self, path: &Path, region: RegionCode) -> Result<(RegionBank, Signed), PackError> {
        let check = || {
            let bytes = read_bytes(path)?;
            let signed = self.trust.check(path, &bytes)?;
            Ok((self.bank_of(&bytes, region)?, signed))
        };
        check().map_err(|reason| PackError {
            path: path.to_owned(),
            reason,
        })
    }

    /// Checks bytes as the pack of `region`, but for their signature.
    pub fn bank_of(&self, bytes: &[u8], region: RegionCode) -> Result<RegionBank, String> {
        let bank = from_bytes(bytes, &self.encoder_sha256, self.dim)?;
        if bank.region() != region {
            return Err(format!(
                "is the pack of {}, expected {region}",
                bank.region()
            ));
        }
        Ok(bank)
    }

    /// SHA-256 of the encoder that packs must fit.
    pub fn encoder_sha256(&self) -> &str {
        &self.encoder_sha256
    }

    /// Whose packs are believed.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
}
