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

    /// A newer pack of a region is there: it is used wherever that region's pack is.
    pub fn renew(&mut self, bank: Arc<RegionBank>) {
        let of = bank.region();
        self.refused.retain(|region| *region != of);
        self.packs.renew(Arc::clone(&bank));
        for (region, held) in &mut self.held {
            if *region == of || held.region() == of {
                *held = Arc::clone(&bank);
            }
        }
        if self.region == of || self.bank.region() == of {
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
                Ok(Some(bank)) => {
                    // The pack before stands in for a refused one.
                    for error in self.packs.take_refusals() {
                        self.refused.push(candidate);
                        self.note(Reason::PackRefused, true, error.to_string());
                    }
                    return bank;
                }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Card;
    use crate::model::card::Kind;
    use crate::position::{Fix, METRES_PER_DEGREE};
    use crate::region::{Areas, Borders, LocatePlan};

    const METRE: f64 = 1.0 / METRES_PER_DEGREE;

    /// A folder with the shipped packs of some regions.
    fn packs(regions: &[&str]) -> (tempfile::TempDir, PackStore) {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let folder = tempfile::tempdir().unwrap();
        for region in regions {
            let file = format!("{region}.safetensors");
            std::fs::copy(models.join("packs").join(&file), folder.path().join(&file)).unwrap();
        }
        let store = packs_of(&folder);
        (folder, store)
    }

    fn follower(packs: PackStore) -> RegionFollower {
        let subdivided = vec![RegionCode::parse("US").unwrap()];
        let borders = Borders::new(Areas::default(), subdivided).unwrap();
        let locator = RegionLocator::new(LocatePlan::default(), borders);
        RegionFollower::new(locator, packs).unwrap()
    }

    /// From 2 km before the border at Scheibenhard to 1 km behind it; what came to be in force.
    fn cross(follower: &mut RegionFollower) -> (Vec<(String, String)>, Vec<Note>) {
        let (mut changes, mut notes) = (Vec::new(), Vec::new());
        for second in 0..150 {
            let latitude = 48.978 + (2_000.0 - f64::from(second) * 20.0) * METRE;
            let time = Timestamp::from_seconds(f64::from(second));
            follower.take(&Reading::Fix(Fix::at(time, latitude, 8.157).unwrap()));
            follower.look(time);
            let change = follower.change();
            changes.extend(change.map(|c| (c.region.to_string(), c.bank.region().to_string())));
            notes.extend(follower.notes());
        }
        (changes, notes)
    }

    fn pairs(changes: &[(String, String)]) -> Vec<(&str, &str)> {
        (changes.iter())
            .map(|(region, pack)| (region.as_str(), pack.as_str()))
            .collect()
    }

    #[test]
    fn the_next_pack_is_held_ready_and_those_left_behind_are_let_go() {
        let (folder, store) = packs(&["WORLD", "DE", "FR", "US"]);
        let mut follower = follower(store);
        let (changes, notes) = cross(&mut follower);
        assert_eq!(pairs(&changes), [("DE", "DE"), ("FR", "FR")]);
        assert_eq!((follower.unready(), notes.len()), (0, 0), "{notes:?}");
        let ready: Vec<&str> = (follower.ready().iter()).map(|(r, _)| r.as_str()).collect();
        assert_eq!(ready, ["FR", "DE"]);
        // The swap needs no file: both were read before the border.
        std::fs::remove_file(folder.path().join("DE.safetensors")).unwrap();
        let back = |follower: &mut RegionFollower, second: i32| {
            let latitude = 48.970 + f64::from(second - 200) * 20.0 * METRE;
            let time = Timestamp::from_seconds(f64::from(second));
            follower.take(&Reading::Fix(Fix::at(time, latitude, 8.157).unwrap()));
            follower.change()
        };
        let change = (200..300)
            .find_map(|second| back(&mut follower, second))
            .unwrap();
        assert_eq!(change.bank.region().as_str(), "DE");
        // Far from France its bank is let go: 20 km on, only DE is near.
        let change = (300..1_200).find_map(|second| back(&mut follower, second));
        assert!(change.is_none());
        assert_eq!(follower.ready().len(), 1);
    }

    #[test]
    fn a_region_without_a_pack_is_read_by_its_countrys_or_by_world_and_says_so() {
        let (_folder, store) = packs(&["WORLD", "DE", "US"]);
        let mut follower = follower(store);
        let (changes, notes) = cross(&mut follower);
        assert_eq!(pairs(&changes), [("DE", "DE"), ("FR", "WORLD")]);
        assert_eq!(notes.len(), 1);
        assert_eq!(
            (notes[0].reason, notes[0].stands),
            (Reason::FallbackPack, true)
        );
        assert_eq!(notes[0].words, "FR has no pack: signs are read by WORLD");
        for second in 0..10 {
            let time = Timestamp::from_seconds(1_000.0 + f64::from(second));
            let fix = Fix::at(time, 37.775 + f64::from(second) * 20.0 * METRE, -122.2);
            follower.take(&Reading::Fix(fix.unwrap()));
        }
        let change = follower.change().unwrap();
        assert_eq!(
            (change.region.as_str(), change.bank.region().as_str()),
            ("US-CA", "US")
        );
        let notes: Vec<Note> = follower.notes().collect();
        assert_eq!(
            (notes[0].reason, notes[0].stands),
            (Reason::FallbackPack, false)
        );
    }

    #[test]
    fn a_damaged_pack_is_refused_once_and_a_repaired_one_is_taken() {
        let (folder, store) = packs(&["WORLD", "DE", "FR"]);
        let file = folder.path().join("FR.safetensors");
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        let mut follower = follower(store);
        let (changes, notes) = cross(&mut follower);
        assert_eq!(pairs(&changes), [("DE", "DE"), ("FR", "WORLD")]);
        let reasons: Vec<Reason> = notes.iter().map(|n| n.reason).collect();
        assert_eq!(reasons, [Reason::PackRefused, Reason::FallbackPack]);
        assert!(
            notes[0].words.contains("FR.safetensors"),
            "{}",
            notes[0].words
        );
        std::fs::write(&file, &whole).unwrap();
        follower.renew(
            packs_of(&folder)
                .best(RegionCode::parse("FR").unwrap())
                .unwrap(),
        );
        let change = follower.change().unwrap();
        assert_eq!(
            (change.region.as_str(), change.bank.region().as_str()),
            ("FR", "FR")
        );
        let fallen: Vec<Reason> = follower
            .notes()
            .filter(|n| !n.stands)
            .map(|n| n.reason)
            .collect();
        assert_eq!(fallen, [Reason::FallbackPack]);
    }

    fn packs_of(folder: &tempfile::TempDir) -> PackStore {
        let card = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/encoder.toml");
        let card = Card::read(&card, Kind::Encoder).unwrap();
        let dim = card.spec.output.as_ref().unwrap().dim;
        PackStore::new(folder.path(), &card.spec.sha256, dim)
    }

    #[test]
    fn before_the_first_fix_world_is_in_force_and_told() {
        let (_folder, store) = packs(&["WORLD"]);
        let mut follower = follower(store);
        follower.look(Timestamp::ZERO);
        let notes: Vec<Note> = follower.notes().collect();
        assert_eq!(
            (notes[0].reason, notes[0].stands),
            (Reason::NoPosition, true)
        );
        assert!(notes[0].words.contains("WORLD"));
        assert_eq!(follower.current().0, RegionCode::WORLD);
        follower.look(Timestamp::from_seconds(100.0));
        assert_eq!(follower.notes().count(), 0, "told once");
    }
}
