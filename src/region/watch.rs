//! Packs that arrive while driving: folders are looked at every [`POLL`], and what is new is checked.
//!
//! Looking is a `stat` of a few files. It works on every file system a pack can come by (overlays, network
//! shares, memory cards), and needs no queue that can overflow; events of the kernel would bring news
//! 200 ms sooner. A file counts once it has kept size and time from one look to the next, so a pack that
//! is still being copied is not judged. Replays do not watch: they must repeat.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::bank::RegionBank;
use super::pack::PackError;
use super::sign::signature_path;
use super::store::PackStore;
use crate::units::RegionCode;

/// Time between two looks: with two looks and the check, a pack is live within a second.
pub const POLL: Duration = Duration::from_millis(250);

/// What a look found.
#[derive(Debug, Clone)]
pub enum PackNews {
    /// A new pack is sound and in the store: use it from the next frame on.
    Live(Arc<RegionBank>),
    /// A new pack is refused; the last good one stays.
    Refused {
        /// Whose pack it would have been.
        region: RegionCode,
        /// Why not.
        error: PackError,
    },
}

/// Of a region's packs and their signatures, by folder: what changes when one is written.
type Stamp = Vec<Option<(u64, SystemTime)>>;

#[derive(Debug, PartialEq)]
struct Seen {
    stamp: Stamp,
    judged: bool,
    refused: bool,
}

/// See the module. It has no thread and no clock: call [`PackWatcher::look`] every [`POLL`].
#[derive(Debug)]
pub struct PackWatcher {
    store: PackStore,
    seen: BTreeMap<RegionCode, Seen>,
}

impl PackWatcher {
    /// Watches the store's folders; what lies there now is known.
    pub fn new(store: PackStore) -> Self {
        let seen = (stamps(&store).into_iter())
            .map(|(region, stamp)| {
                let seen = Seen {
                    stamp,
                    judged: true,
                    refused: false,
                };
                (region, seen)
            })
            .collect();
        Self { store, seen }
    }

    /// The store, for the packs of regions ahead.
    pub fn store(&mut self) -> &mut PackStore {
        &mut self.store
    }

    /// Looks once. A folder that cannot be read now has no news; packs that vanish stay in memory.
    pub fn look(&mut self) -> Vec<PackNews> {
        let mut news = Vec::new();
        for (region, stamp) in stamps(&self.store) {
            let before = self.seen.get(&region);
            let settled = before.is_some_and(|seen| seen.stamp == stamp);
            let judged = settled && before.is_some_and(|seen| seen.judged);
            let mut refused = before.is_some_and(|seen| seen.refused);
            if settled && !judged {
                let found = self.judge(region, refused);
                refused = matches!(found, Some(PackNews::Refused { .. }));
                news.extend(found);
            }
            let seen = Seen {
                stamp,
                judged: settled,
                refused,
            };
            self.seen.insert(region, seen);
        }
        news
    }

    fn judge(&mut self, region: RegionCode, refused: bool) -> Option<PackNews> {
        let before = self.store.loaded(region).map(|b| Arc::clone(b.sha256()));
        match self.store.reload(region) {
            // Touched, or written anew with the same contents; after a refusal that is news.
            Ok(bank) if before.as_ref() == Some(bank.sha256()) && !refused => None,
            Ok(bank) => Some(PackNews::Live(bank)),
            Err(error) => Some(PackNews::Refused { region, error }),
        }
    }
}

/// Every region that has a pack in one of the folders.
fn stamps(store: &PackStore) -> BTreeMap<RegionCode, Stamp> {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    let of = |region: RegionCode| {
        let packs = (store.folders()).map(|folder| folder.join(format!("{region}.safetensors")));
        packs
            .flat_map(|pack| [stamp(&pack), stamp(&signature_path(&pack))])
            .collect()
    };
    let regions = store.regions().unwrap_or_default().into_iter();
    regions.map(|region| (region, of(region))).collect()
}
