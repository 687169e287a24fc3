//! New packs while driving: the watcher's thread.
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-packs` | the pack folder | the next bank, health | the next look, stop |

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::shared::Shared;
use crate::health::Reason;
use crate::region::watch::POLL;
use crate::region::{PackError, PackNews, PackWatcher, RegionChange};
use crate::units::RegionCode;

/// Says on every output that packs were refused though something else is used in their place.
pub fn tell_refused(shared: &Shared, refused: &[PackError]) {
    for error in refused {
        log::warn!("{error}");
        shared
            .board
            .explain(Reason::PackRefused, true, error.to_string());
    }
}

/// Looks for new packs until the unit stops. With a `fixed` region its new bank is used from the next frame
/// on; without one the position thread, which knows the region, is handed the bank.
pub fn watch_packs(
    mut watcher: PackWatcher,
    shared: Arc<Shared>,
    fixed: Option<RegionCode>,
) -> std::io::Result<JoinHandle<()>> {
    let watch = move || {
        let mut refused: BTreeSet<RegionCode> = BTreeSet::new();
        while !shared.stop.wait(POLL) {
            for news in watcher.look() {
                match news {
                    PackNews::Refused { region, error } => {
                        refused.insert(region);
                        tell_refused(&shared, &[error]);
                    }
                    PackNews::Live(bank) => {
                        let (new, version) = (bank.region(), Arc::clone(bank.version()));
                        log::info!("pack {new} version {version} is live");
                        refused.remove(&new);
                        if refused.is_empty() && shared.board.reasons().has(Reason::PackRefused) {
                            let words = format!("pack {new} version {version} is sound");
                            shared.board.explain(Reason::PackRefused, false, words);
                        }
                        let Some(region) = fixed else {
                            shared.renew(bank);
                            continue;
                        };
                        if let Ok(best) = watcher.store().best(region)
                            && best.sha256() == bank.sha256()
                        {
                            shared.swap_region(RegionChange {
                                region,
                                bank,
                                position_deg: None,
                                crossing: None,
                            });
                        }
                    }
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("ts-packs".to_owned())
        .spawn(watch)
}
