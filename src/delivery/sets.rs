//! Sets of models that came to this unit, and which of them counts.
//!
//! ```text
//! models.json     the set that counts, the one before, and what its trial saw; written whole, or not at all
//! SHA256/         the files of a set; at most two are kept
//! .incoming       a bundle on its way
//! .new/           its files, until all are there and checked
//! ```
//!
//! A set counts from the moment that `models.json` names it. Where none is named, or that file cannot be read, the
//! models count that the program came with. What is in force changes with a start of the unit alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::message::{InUse, State};
use super::state::{Barred, Handled, OfItem};
use super::trial::Unknown;
use crate::region::install::{sync_folder, write_atomically};

const FORMAT: &str = "tsedge-models-state/1";
const STATE: &str = "models.json";

/// A set that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// For people.
    pub version: String,
    /// SHA-256 of the bundle.
    pub sha256: String,
    /// When it was signed.
    pub signed_at: u64,
}

impl Set {
    /// As it is told.
    pub fn told(&self) -> InUse {
        InUse {
            version: self.version.clone(),
            sha256: self.sha256.clone(),
        }
    }
}

/// What `models.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sets {
    format: String,
    current: Option<Set>,
    before: Option<Set>,
    of: OfItem,
    barred: Barred,
}

impl Default for Sets {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            current: None,
            before: None,
            of: OfItem::default(),
            barred: Barred::default(),
        }
    }
}

impl Sets {
    fn read(folder: &Path) -> Self {
        let path = folder.join(STATE);
        let read = || -> anyhow::Result<Self> {
            let sets: Self = serde_json::from_slice(&fs::read(&path)?)?;
            anyhow::ensure!(sets.format == FORMAT, "format {}", sets.format);
            // They name folders.
            let named = [&sets.current, &sets.before].into_iter().flatten();
            anyhow::ensure!(named.into_iter().all(|set| is_sum(&set.sha256)), "sha256");
            Ok(sets)
        };
        if !path.exists() {
            return Self::default();
        }
        read().unwrap_or_else(|e| {
            log::warn!(
                "{}: {e}: the models count that came with the program",
                path.display()
            );
            Self::default()
        })
    }

    fn is_on_trial(&self) -> bool {
        let newest = self.of.newest.as_ref();
        let current = self.current.as_ref().map(|set| &set.sha256);
        newest.is_some_and(|n| n.state == State::Installed && Some(&n.sha256) == current)
    }
}

fn is_sum(name: &str) -> bool {
    name.len() == 64 && (name.bytes()).all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The folder of the set that counts, among those installed in `folder`.
pub fn folder_in_use(folder: &Path) -> Option<PathBuf> {
    let current = Sets::read(folder).current?;
    Some(folder.join(current.sha256))
}

/// Whether that set is on trial.
pub fn is_on_trial(folder: &Path) -> bool {
    Sets::read(folder).is_on_trial()
}

/// See the module.
#[derive(Debug)]
pub struct ModelSets {
    folder: PathBuf,
    sets: Sets,
    running: Option<Set>,
    gone: Option<String>,
}

impl ModelSets {
    /// At the start of the unit: what is left of what was not finished goes.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let sets = Self {
            folder: folder.to_owned(),
            sets: Sets::read(folder),
            running: None,
            gone: None,
        };
        sets.tidy();
        Ok(sets)
    }

    /// The set that counts; `None`: the models that the program came with.
    pub fn current(&self) -> Option<&Set> {
        self.sets.current.as_ref()
    }

    /// Its folder.
    pub fn current_folder(&self) -> Option<PathBuf> {
        self.current().map(|set| self.folder.join(&set.sha256))
    }

    /// The folder of the set before.
    pub fn before_folder(&self) -> Option<PathBuf> {
        let before = self.sets.before.as_ref();
        before.map(|set| self.folder.join(&set.sha256))
    }

    /// The set that this process runs.
    pub fn running(&self) -> Option<&Set> {
        self.running.as_ref()
    }

    /// What is known of deliveries.
    pub fn known(&self) -> &OfItem {
        &self.sets.of
    }

    /// The same, to be changed; [`ModelSets::keep`] writes it.
    pub fn known_mut(&mut self) -> &mut OfItem {
        &mut self.sets.of
    }

    /// Whether it was rolled back before.
    pub fn is_barred(&self, sha256: &str) -> bool {
        self.sets.barred.has(sha256)
    }

    /// Whether the set that counts is on trial.
    pub fn is_on_trial(&self) -> bool {
        self.sets.is_on_trial()
    }

    /// Why a set went since the last call.
    pub fn take_gone(&mut self) -> Option<String> {
        self.gone.take()
    }

    /// A set that this process must not run any longer than it has to.
    pub fn must_start_over(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|set| self.is_barred(&set.sha256))
    }

    /// Where a bundle is written while it comes.
    pub fn incoming(&self) -> PathBuf {
        self.folder.join(".incoming")
    }

    /// Where it is unpacked.
    pub fn unpacking(&self) -> PathBuf {
        self.folder.join(".new")
    }

    /// Counts a start, before models are read: a set on trial that did not last so often goes.
    pub fn begin(&mut self) {
        if !self.is_on_trial() {
            return;
        }
        let Some(newest) = &mut self.sets.of.newest else {
            return;
        };
        if let Some(why) = newest.too_short() {
            return self.roll_back(&why);
        }
        newest.starts += 1;
        newest.detail.clear();
        self.keep();
    }

    /// The set that counts is what this process runs.
    pub fn settle(&mut self) {
        self.running.clone_from(&self.sets.current);
        self.tidy();
    }

    /// The set that counts cannot be used: the one before does. What was damaged here after its trial may come again.
    pub fn give_up(&mut self, why: &str) {
        if self.is_on_trial() {
            return self.roll_back(why);
        }
        log::error!("installed models are given up: {why}");
        self.gone = Some(why.to_owned());
        self.sets.current = self.sets.before.take();
        self.sets.of.newest = None;
        self.keep();
    }

    /// Puts the set before back, and never takes the newest again.
    pub fn roll_back(&mut self, why: &str) {
        log::warn!("models are rolled back: {why}");
        self.gone = Some(why.to_owned());
        if let Some(newest) = &mut self.sets.of.newest {
            newest.state = State::RolledBack;
            newest.detail = why.to_owned();
            self.sets.of.usual = newest.before.unwrap_or_default();
            self.sets.barred.put(&newest.sha256);
        }
        self.sets.current = self.sets.before.take();
        self.keep();
        self.tidy();
    }

    /// Takes what was unpacked and checked in: from the next start on it counts.
    pub fn put(&mut self, set: Set, handled: Handled) -> io::Result<()> {
        let target = self.folder.join(&set.sha256);
        if target.exists() && self.running.as_ref() != Some(&set) {
            fs::remove_dir_all(&target)?;
        }
        fs::rename(self.unpacking(), &target)?;
        sync_folder(&target)?;
        let sets = Sets {
            format: FORMAT.to_owned(),
            current: Some(set),
            before: self.running.clone(),
            of: OfItem {
                newest: Some(handled),
                usual: self.sets.of.usual,
            },
            barred: self.sets.barred.clone(),
        };
        self.write(&sets)?;
        self.sets = sets;
        self.tidy();
        Ok(())
    }

    /// What is usual by now, where enough signs were seen.
    pub fn usual(&self, signs: u64) -> Option<Unknown> {
        let usual = self.sets.of.usual;
        (usual.signs >= signs).then_some(usual)
    }

    /// Keeps it over a power cut.
    pub fn keep(&self) {
        if let Err(e) = self.write(&self.sets) {
            log::warn!("delivery: {}: {e}", self.folder.display());
        }
    }

    fn write(&self, sets: &Sets) -> io::Result<()> {
        write_atomically(&self.folder.join(STATE), &serde_json::to_vec(sets)?)
    }

    /// Nothing is kept but the set that counts, the one before, and what runs.
    fn tidy(&self) {
        let sets = [&self.sets.current, &self.sets.before, &self.running];
        let kept = |name: &str| sets.into_iter().flatten().any(|set| set.sha256 == name);
        let _ = fs::remove_file(self.incoming());
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if (is_sum(&name) && !kept(&name)) || name == ".new" {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}
