//! From an offer to its place: what is worth it is fetched part by part, checked and put there.
//!
//! A set of models is unpacked by a thread of its own, as the broker would be kept waiting:
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-unpack`, for a moment | a bundle that has come | a folder | the disk |

use std::fs::File;
use std::thread::JoinHandle;

use anyhow::Error;

use super::bundle::{self, Manifest};
use super::device::Delivery;
use super::fetch::{Fetch, Progress};
use super::message::{InUse, Item, Offer, State, is_meant};
use super::sets::Set;
use super::state::Handled;
use crate::output::mqtt::{Outbox, Request};
use crate::region::sign::Signed;
use crate::units::RegionCode;

/// What is said of models that have come and are not in force.
const WAITS: &str = "waits for the next start of the unit";

/// A bundle that has come and is being unpacked.
pub(super) struct Unpacking {
    offer: Offer,
    /// Another was offered meanwhile, or it was withdrawn.
    unwanted: bool,
    thread: JoinHandle<Result<(Manifest, u64), String>>,
}

impl Delivery {
    /// SHA-256 of what counts from the next start on, whatever it is worth.
    fn lies_there(&self, item: Item) -> Option<String> {
        match item {
            Item::Pack(region) => self.packs.lies_there(region),
            Item::Models => Some(self.models.as_ref().ok()?.current()?.sha256.clone()),
        }
    }

    /// The same if it is sound, and when it was signed: what an offer must be newer than.
    fn counts(&self, item: Item) -> Option<(InUse, u64)> {
        match item {
            Item::Pack(region) => self.packs.in_use(region),
            Item::Models => {
                let current = self.models.as_ref().ok()?.current()?;
                Some((current.told(), current.signed_at))
            }
        }
    }

    pub(super) fn offered(&mut self, item: Item, offer: Offer, outbox: &mut Outbox) {
        // A newer offer replaces one on its way.
        self.waiting.remove(&item);
        let other = |fetch: &mut Fetch| fetch.item == item && !fetch.offer.brings_the_same(&offer);
        if let Some(fetch) = self.fetch.take_if(other) {
            outbox.put(Request::Leave(fetch.topic(&self.plan.topic)));
        }
        if let Some(unpacking) = &mut self.unpacking
            && item == Item::Models
        {
            unpacking.unwanted = !unpacking.offer.brings_the_same(&offer);
        }
        if offer.withdrawn {
            if self.lies_there(item).as_ref() == Some(&offer.sha256) {
                let of = self.of(item);
                if (of.newest.as_ref()).is_none_or(|newest| newest.sha256 != offer.sha256) {
                    of.newest = Some(Handled::of(&offer, State::Kept, String::new()));
                }
                self.roll_back(item, "it was withdrawn", outbox);
            }
        } else if is_meant(&offer, &self.plan.prefix, self.plan.group.as_deref()) {
            match self.is_wanted(item, &offer) {
                Ok(true) => {
                    self.waiting.insert(item, offer);
                }
                Ok(false) => {}
                Err((state, why)) => self.handled(item, &offer, state, why, outbox),
            }
        }
        self.fetch_next(outbox);
    }

    /// Whether it is worth being fetched; an error says why nothing more is to be done with it.
    fn is_wanted(&self, item: Item, offer: &Offer) -> Result<bool, (State, String)> {
        let fetched = self.fetch.as_ref().map(|fetch| &fetch.offer);
        let unpacked = self.unpacking.as_ref().map(|unpacking| &unpacking.offer);
        let on_their_way = [fetched, unpacked].into_iter().flatten();
        if on_their_way
            .into_iter()
            .any(|own| own.brings_the_same(offer))
        {
            return Ok(false);
        }
        let known = self
            .newest(item)
            .filter(|newest| newest.sha256 == offer.sha256 && newest.signature == offer.signature);
        if let Some(newest) = known {
            let gone = self.lies_there(item).as_ref() != Some(&offer.sha256);
            let taken = matches!(newest.state, State::Installed | State::Kept);
            if !(taken && gone) {
                return Ok(false);
            }
        }
        let refused = |why: String| Err((State::Refused, why));
        let (barred, most) = match (item, &self.models) {
            (Item::Pack(_), _) => (self.memory.barred.has(&offer.sha256), self.plan.max_bytes),
            (Item::Models, Err(why)) => return refused(why.clone()),
            // It runs what it must not: whatever comes next comes after its start.
            (Item::Models, Ok(sets)) if sets.must_start_over() => return Ok(false),
            (Item::Models, Ok(sets)) => (sets.is_barred(&offer.sha256), self.plan.max_models_bytes),
        };
        if barred {
            let why = "it was rolled back before: make another version";
            return Err((State::RolledBack, why.to_owned()));
        }
        let bytes = offer.bytes;
        if bytes > most {
            return refused(format!("is {bytes} bytes, at most {most} are taken"));
        }
        let counts = self.counts(item);
        if (counts.as_ref()).is_some_and(|(known, _)| known.sha256 == offer.sha256) {
            return Err((State::Kept, String::new()));
        }
        match self.trust.claim(&offer.signature) {
            Err(why) => refused(why),
            Ok(signed) => match newer(&signed, counts) {
                Err(why) => refused(why),
                Ok(_) => Ok(true),
            },
        }
    }

    fn fetch_next(&mut self, outbox: &mut Outbox) {
        while self.fetch.is_none() && self.unpacking.is_none() {
            let Some((item, offer)) = self.waiting.pop_first() else {
                return;
            };
            let path = match (item, &self.models) {
                (Item::Models, Ok(sets)) => sets.incoming(),
                _ => self.packs.incoming(),
            };
            match File::create(&path) {
                Ok(file) => {
                    let fetch = Fetch::into_file(item, offer, path, file);
                    outbox.put(Request::Hear(fetch.topic(&self.plan.topic)));
                    self.fetch = Some(fetch);
                }
                Err(e) => {
                    let why = format!("{}: {e}", path.display());
                    self.failed(item, offer, why, outbox);
                }
            }
        }
    }

    pub(super) fn part(&mut self, topic: &str, message: &[u8], outbox: &mut Outbox) {
        let root = &self.plan.topic;
        let Some(mut fetch) =
            (self.fetch).take_if(|f| f.topic(root) == topic && !message.is_empty())
        else {
            return;
        };
        outbox.put(Request::Leave(topic.to_owned()));
        match fetch.part(message) {
            Ok(Progress::More) => {
                outbox.put(Request::Hear(fetch.topic(root)));
                self.fetch = Some(fetch);
            }
            Ok(Progress::Whole) => self.arrived(fetch, outbox),
            Ok(Progress::Damaged) => {
                let why = "damaged on its way: its SHA-256 is not the one offered".to_owned();
                self.failed(fetch.item, fetch.offer, why, outbox);
            }
            Err(e) => {
                let why = format!("{}: {e}", fetch.path.display());
                self.failed(fetch.item, fetch.offer, why, outbox);
            }
        }
        self.fetch_next(outbox);
    }

    /// All parts are there.
    fn arrived(&mut self, fetch: Fetch, outbox: &mut Outbox) {
        match fetch.item {
            Item::Pack(region) => self.pack_arrived(region, fetch, outbox),
            Item::Models => self.models_arrived(fetch, outbox),
        }
    }

    fn pack_arrived(&mut self, region: RegionCode, fetch: Fetch, outbox: &mut Outbox) {
        let (item, offer) = (fetch.item, fetch.offer);
        let bytes = match std::fs::read(&fetch.path) {
            Ok(bytes) => bytes,
            Err(e) => return self.failed(item, offer, e.to_string(), outbox),
        };
        let _ = std::fs::remove_file(&fetch.path);
        let checked = (self.trust.check_text(Some(&offer.signature), &bytes))
            .and_then(|signed| newer(&signed, self.counts(item)))
            .and_then(|_| self.packs.check(&bytes, region));
        if let Err(why) = checked {
            return self.handled(item, &offer, State::Refused, why, outbox);
        }
        let (trial_signs, of) = (self.plan.trial_signs, self.of(item));
        let before = (of.usual.signs >= trial_signs).then_some(of.usual);
        of.newest = Some(Handled {
            before,
            ..Handled::of(&offer, State::Installed, String::new())
        });
        // Noted first: a start must know of it.
        let noted = self.memory.write(&self.plan.installed);
        let placed = noted.and_then(|()| self.packs.put(region, &bytes, &offer.signature));
        match placed {
            Ok(()) => {
                log::info!("pack {region} version {} came by MQTT", offer.version);
                self.report(item, outbox);
            }
            Err(e) => {
                let why = format!("{}: {e}", self.packs.target(region).display());
                self.failed(item, offer, why, outbox);
            }
        }
    }

    fn models_arrived(&mut self, fetch: Fetch, outbox: &mut Outbox) {
        let Ok(sets) = &self.models else {
            return;
        };
        let (required, usual) = (self.trust.clone(), self.packs.trust().clone());
        let (folder, signature) = (sets.unpacking(), fetch.offer.signature.clone());
        let (counts, path) = (self.counts(fetch.item), fetch.path);
        let unpack = move || {
            let unpack = || -> anyhow::Result<(Manifest, u64)> {
                let signed = required.check_stream(Some(&signature), File::open(&path)?);
                let signed_at = newer(&signed.map_err(Error::msg)?, counts).map_err(Error::msg)?;
                Ok((bundle::unpack(&path, &folder, &usual)?, signed_at))
            };
            let _ = std::fs::remove_dir_all(&folder);
            let unpacked = unpack().map_err(|e| format!("{e:#}"));
            let _ = std::fs::remove_file(&path);
            if unpacked.is_err() {
                let _ = std::fs::remove_dir_all(&folder);
            }
            unpacked
        };
        let thread = std::thread::Builder::new().name("ts-unpack".to_owned());
        match thread.spawn(unpack) {
            Ok(thread) => {
                self.unpacking = Some(Unpacking {
                    offer: fetch.offer,
                    unwanted: false,
                    thread,
                });
            }
            Err(e) => self.failed(fetch.item, fetch.offer, e.to_string(), outbox),
        }
    }

    /// Looks whether models have been unpacked.
    pub(super) fn unpacked(&mut self, outbox: &mut Outbox) {
        let done = |unpacking: &mut Unpacking| unpacking.thread.is_finished();
        let Some(Unpacking {
            offer,
            unwanted,
            thread,
        }) = self.unpacking.take_if(done)
        else {
            return;
        };
        let unpacked = (thread.join()).unwrap_or_else(|_| Err("could not be unpacked".to_owned()));
        match (unpacked, &mut self.models) {
            (Ok((manifest, signed_at)), Ok(sets)) if !unwanted => {
                let set = Set {
                    version: manifest.version,
                    sha256: offer.sha256.clone(),
                    signed_at,
                };
                let words = format!("models {} came by MQTT", set.version);
                let handled = Handled {
                    before: sets.usual(self.plan.trial_signs),
                    ..Handled::of(&offer, State::Installed, WAITS.to_owned())
                };
                match sets.put(set, handled) {
                    Ok(()) => {
                        log::info!("{words}");
                        self.report(Item::Models, outbox);
                        self.restart(&words);
                    }
                    Err(e) => {
                        let why = format!("{}: {e}", sets.unpacking().display());
                        self.failed(Item::Models, offer, why, outbox);
                    }
                }
            }
            (Err(why), _) if !unwanted => {
                self.handled(Item::Models, &offer, State::Refused, why, outbox);
            }
            (Ok(_), Ok(sets)) => drop(std::fs::remove_dir_all(sets.unpacking())),
            _ => {}
        }
        self.fetch_next(outbox);
    }

    /// No fault of what was offered: it is tried again with the next connection.
    fn failed(&mut self, item: Item, mut offer: Offer, why: String, outbox: &mut Outbox) {
        offer.signature.clear();
        self.handled(item, &offer, State::Refused, why, outbox);
    }

    /// What was done with an offer that is not installed.
    fn handled(
        &mut self,
        item: Item,
        offer: &Offer,
        state: State,
        detail: String,
        outbox: &mut Outbox,
    ) {
        if !detail.is_empty() {
            log::warn!("{item} version {} by MQTT: {detail}", offer.version);
        }
        let handled = Handled::of(offer, state, detail);
        // One on trial stays so: what is offered now does not change what is installed.
        let on_trial = |newest: &Handled| newest.state == State::Installed;
        if self.newest(item).is_some_and(on_trial) && state == State::Refused {
            self.tell(item, &handled, outbox);
            return;
        }
        self.of(item).newest = Some(handled);
        self.keep(item);
        self.report(item, outbox);
    }
}

/// Of two, the one signed later is the newer: when that was.
fn newer(signed: &Signed, counts: Option<(InUse, u64)>) -> Result<u64, String> {
    let signed_at = signed.dated()?;
    match counts {
        Some((known, at)) if signed_at <= at => Err(format!(
            "is not newer than version {} in use: signed at {signed_at}, that one at {at}",
            known.version
        )),
        _ => Ok(signed_at),
    }
}
