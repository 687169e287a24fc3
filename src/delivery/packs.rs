//! A unit's packs, as a start of it would read them, and how one of them is changed.

use std::io;
use std::path::{Path, PathBuf};

use super::message::InUse;
use crate::model::card::file_sha256;
use crate::region::install::{place, previous_path, put_back};
use crate::region::pack::read_bytes;
use crate::region::sign::Trust;
use crate::region::{Pack, PackStore};
use crate::units::RegionCode;

/// See the module. A pack that is put here goes live as any other that appears in the folder (`region::watch`).
pub struct PackPlace {
    installed: PathBuf,
    store: PackStore,
}

impl PackPlace {
    /// Of the folder for packs that are installed, which is made, and of all folders.
    pub fn open(installed: &Path, store: PackStore) -> io::Result<Self> {
        std::fs::create_dir_all(installed)?;
        Ok(Self {
            installed: installed.to_owned(),
            store,
        })
    }

    /// SHA-256 of the encoder that packs must fit.
    pub fn encoder_sha256(&self) -> &str {
        self.store.encoder_sha256()
    }

    /// Whose packs are believed, signed or not.
    pub fn trust(&self) -> &Trust {
        self.store.trust()
    }

    /// Where one is written while it comes.
    pub fn incoming(&self) -> PathBuf {
        self.installed.join(".incoming")
    }

    /// Where a region's pack is installed.
    pub fn target(&self, region: RegionCode) -> PathBuf {
        self.installed.join(format!("{region}.safetensors"))
    }

    /// SHA-256 of the pack that is installed, whatever it is worth.
    pub fn lies_there(&self, region: RegionCode) -> Option<String> {
        file_sha256(&self.target(region)).ok()
    }

    /// The region's own pack as a start would read it, and when it was signed.
    pub fn in_use(&self, region: RegionCode) -> Option<(InUse, u64)> {
        let name = format!("{region}.safetensors");
        let places = self.store.folders().flat_map(|folder| {
            let path = folder.join(&name);
            [previous_path(&path), path].into_iter().rev()
        });
        let mut sound = places
            .filter(|path| path.exists())
            .filter_map(|path| self.store.read(&path, region).ok());
        let (bank, signed) = sound.next()?;
        let in_use = InUse {
            version: bank.version().to_string(),
            sha256: bank.sha256().to_string(),
        };
        Some((in_use, signed.signed_at().unwrap_or_default()))
    }

    /// Whether bytes are a pack of the region that fits the encoder.
    pub fn check(&self, bytes: &[u8], region: RegionCode) -> Result<(), String> {
        self.store.bank_of(bytes, region).map(drop)
    }

    /// Puts one that was checked in its place.
    pub fn put(&self, region: RegionCode, bytes: &[u8], signature: &str) -> io::Result<()> {
        let target = self.target(region);
        place(&target, bytes, Some(signature), self.store.trust())
    }

    /// Puts the one before back.
    pub fn take_back(&self, region: RegionCode) {
        let target = self.target(region);
        let previous = previous_path(&target);
        // A damaged one is none: what came with the models is better.
        if previous.exists() && self.store.read(&previous, region).is_err() {
            let _ = std::fs::remove_file(&previous);
        }
        if let Err(e) = put_back(&target) {
            log::error!("{}: {e}", target.display());
        }
    }

    /// What is wrong with the pack that is installed; one for another encoder is no matter of the pack.
    pub fn damage(&self, region: RegionCode) -> Option<String> {
        let target = self.target(region);
        let error = self.store.read(&target, region).err()?;
        let pack = read_bytes(&target).and_then(|bytes| Pack::parse(&bytes));
        let other = pack.is_ok_and(|pack| pack.encoder_sha256 != self.encoder_sha256());
        (!other).then_some(error.reason)
    }
}
