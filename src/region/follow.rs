//! From readings of the position to the bank in force: locates the region, holds the packs of its
//! neighbours ready, and says what stands in the way.
//!
//! No thread, no clock: a replay calls it before each frame, live operation from a thread of its own.
//! Packs are read and checked here, long before they are needed; what crosses to the recognition is a
//! [`RegionChange`], one pointer.

use std::sync::Arc;

use super::locate::{Entered, RegionLocator, Standing};
use super::{PackError, PackStore, RegionBank};
use crate::event::Crossing;
use crate::health::Reason;
use crate::position::Reading;
use crate::units::{RegionCode, Timestamp};

/// A region and the bank to read its signs by.
#[derive(Debug, Clone)]
pub struct RegionChange {
    /// The region.
    pub region: RegionCode,
    /// Its bank, or the one that stands in for it.
    pub bank: Arc<RegionBank>,
    /// Where the car was, in degrees (latitude, longitude).
    pub position_deg: Option<(f64, f64)>,
    /// Where the border was crossed; none for the first region.
    pub crossing: Option<Crossing>,
}

/// A reason that came to stand or fell, in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The reason.
    pub reason: Reason,
    /// Whether it stands now.
    pub stands: bool,
    /// What happened.
    pub words: String,
}

/// See the module.
#[derive(Debug)]
pub struct RegionFollower {
    locator: RegionLocator,
    packs: PackStore,
    /// What each region near is read by: its own pack or the one that stands in for it.
    held: Vec<(RegionCode, Arc<RegionBank>)>,
    refused: Vec<RegionCode>,
    region: RegionCode,
    bank: Arc<RegionBank>,
    standing: Option<Standing>,
    fallback: bool,
    change: Option<RegionChange>,
    notes: Vec<Note>,
    /// Swaps whose bank was not held ready.
    unready: u32,
}

impl RegionFollower {
    /// Begins with `WORLD`, until there is a fix.
    pub fn new(locator: RegionLocator, mut packs: PackStore) -> Result<Self, PackError> {
        let bank = packs.best(RegionCode::WORLD)?;
        Ok(Self {
            locator,
            packs,
            held: Vec::new(),
            refused: Vec::new(),
            region: RegionCode::WORLD,
            bank,
            standing: None,
            fallback: false,
            change: None,
            notes: Vec::new(),
            unready: 0,
        })
    }

    /// The region in force and its bank.
    pub fn current(&self) -> (RegionCode, &Arc<RegionBank>) {
        (self.region, &self.bank)
    }

    /// The packs that are held ready, by region.
    pub fn ready(&self) -> &[(RegionCode, Arc<RegionBank>)] {
        &self.held
    }

    /// Swaps so far whose bank had to be read first.
    pub fn unready(&self) -> u32 {
        self.unready
    }

    /// Takes the next reading.
    pub fn take(&mut self, reading: &Reading) {
        if let Some(entered) = self.locator.take(reading) {
            self.enter(entered);
        }
        let near = self.locator.near();
        if !near.iter().eq(self.held.iter().map(|(region, _)| region)) {
            self.hold_ready();
        }
    }

    /// Time goes on, readings or not: notes what `now` makes of the last one.
    pub fn look(&mut self, now: Timestamp) {
        let standing = self.locator.standing(now);
        let before = self.standing.replace(standing).unwrap_or(Standing::Known);
        if before == standing {
            return;
        }
        let region = self.region;
        let no_position = standing != Standing::Known;
        if no_position != (before != Standing::Known) {
            let words = match standing {
                Standing::Never => "no position yet: signs are read by the WORLD pack".to_owned(),
                Standing::Known => format!("the position is known: {region}"),
                Standing::Missing | Standing::Stale => {
                    format!("no position: {region} is kept")
                }
            };
            self.note(Reason::NoPosition, no_position, words);
        }
        if (standing == Standing::Stale) != (before == Standing::Stale) {
            let stale = standing == Standing::Stale;
            let words = if stale {
                let last = self.locator.last().map_or(now, |fix| fix.time);
                let blind_s = now.seconds_since(last);
                format!("no position for {blind_s:.0} s: {region} may be wrong")
            } else {
                format!("the position is known again: {region}")
            };
            self.note(Reason::RegionStale, stale, words);
        }
    }

    /// The region to put in force, if it changed since the last call; only the newest counts.
    pub fn change(&mut self) -> Option<RegionChange> {
        self.change.take()
    }

    /// What came to stand or fell since the last call.
    pub fn notes(&mut self) -> impl Iterator<Item = Note> {
        self.notes.drain(..)
    }

    /// Reads all packs anew, after the folder changed; the bank in force is replaced if its pack was.
    pub fn reload(&mut self, packs: PackStore) {
        self.packs = packs;
        self.refused.clear();
        self.held.clear();
        self.hold_ready();
        let bank = self.bank_of(self.region);
        if bank.sha256() != self.bank.sha256() {
            self.put(self.region, bank, None);
        }
    }

    fn enter(&mut self, entered: Entered) {
        let region = entered.region;
        let held = self.held.iter().find(|(held, _)| *held == region);
        let bank = match held {
            Some((_, bank)) => Arc::clone(bank),
            None => {
                self.unready += u32::from(entered.crossing.is_some());
                self.bank_of(region)
            }
        };
        self.put(region, bank, entered.crossing);
    }

    fn put(&mut self, region: RegionCode, bank: Arc<RegionBank>, crossing: Option<Crossing>) {
        self.region = region;
        self.bank = Arc::clone(&bank);
        let fallback = bank.region() == RegionCode::WORLD && region != RegionCode::WORLD;
        if fallback || self.fallback {
            let words = if fallback {
                format!("{region} has no pack: signs are read by WORLD")
            } else {
                format!("{region} is read by the pack {}", bank.region())
            };
            self.note(Reason::FallbackPack, fallback, words);
        }
        self.fallback = fallback;
        self.change = Some(RegionChange {
            region,
            bank,
            position_deg: self.locator.last().map(|fix| fix.position_deg()),
            crossing,
        });
    }

    fn hold_ready(&mut self) {
        let near: Vec<RegionCode> = self.locator.near().to_vec();
        let held = (near.iter())
            .map(|region| {
                let held = self.held.iter().find(|(held, _)| held == region);
                let bank = held.map(|(_, bank)| Arc::clone(bank));
                (*region, bank.unwrap_or_else(|| self.bank_of(*region)))
            })
            .collect();
        self.held = held;
        // What is neither near nor in force is let go; WORLD stays, it may be needed at any time.
        let mut keep: Vec<RegionCode> = self.held.iter().map(|(_, b)| b.region()).collect();
        keep.extend([self.bank.region(), RegionCode::WORLD]);
        self.packs.retain(&keep);
    }

    /// The best sound pack of a region: its own, its country's, or WORLD; the bank in force if even that
    /// cannot be read. Packs that are refused are noted.
    fn bank_of(&mut self, region: RegionCode) -> Arc<RegionBank> {
        for candidate in [region, region.country(), RegionCode::WORLD] {
            match self.packs.exact(candidate) {
                Ok(Some(bank)) => return bank,
                Ok(None) => {}
                Err(error) if !self.refused.contains(&candidate) => {
                    self.refused.push(candidate);
                    self.note(Reason::PackRefused, true, error.to_string());
                }
                Err(_) => {}
            }
        }
        Arc::clone(&self.bank)
    }

    fn note(&mut self, reason: Reason, stands: bool, words: String) {
        self.notes.push(Note {
            reason,
            stands,
            words,
        });
    }
}
