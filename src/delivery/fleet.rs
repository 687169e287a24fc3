//! What the units of a fleet say, and whether a stage of a roll-out is done.

use std::collections::BTreeMap;
use std::fmt;

use super::message::{Offer, REPORT, Report, State, UNIT, is_meant};

/// A unit as far as it told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unit {
    /// It is connected.
    pub online: bool,
    /// Its group.
    pub group: Option<String>,
    /// Its health, e.g. `normal`.
    pub health: Option<String>,
    /// What it did with the newest offer.
    pub report: Option<Report>,
}

/// All units that told something, by prefix.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// By prefix.
    pub units: BTreeMap<String, Unit>,
}

/// How many units an offer is meant for, and what they did with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Meant.
    pub meant: usize,
    /// Of these, connected.
    pub online: usize,
    /// On trial.
    pub installed: usize,
    /// Trial passed.
    pub kept: usize,
    /// Not taken.
    pub refused: usize,
    /// Taken back.
    pub rolled_back: usize,
    /// Connected, and nothing told yet.
    pub silent: usize,
}

/// The head of a table of counts.
pub const HEAD: &str =
    "stage            meant  online  installed    kept  refused  rolled back  silent";

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7} {:>7} {:>10} {:>7} {:>8} {:>12} {:>7}",
            self.meant,
            self.online,
            self.installed,
            self.kept,
            self.refused,
            self.rolled_back,
            self.silent
        )
    }
}

/// When a stage is done, and when it has failed; shares of units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Of those connected, so many must have it in its place.
    pub enough: f64,
    /// And so many must have kept it after their trial; one at least, unless this is 0.
    pub kept: f64,
    /// More that refused it or went back stop the roll-out.
    pub most_bad: f64,
}

/// How a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not all have answered.
    Open,
    /// The next may begin.
    Done,
    /// Too many refused it or went back.
    Failed,
}

impl Count {
    /// How a stage stands.
    pub fn standing(&self, bounds: &Bounds) -> Standing {
        let of = |share: f64, units: usize| (share * units as f64).ceil() as usize;
        let bad = self.refused + self.rolled_back;
        let allowed = (bounds.most_bad * self.meant as f64).floor() as usize;
        if bad > allowed {
            return Standing::Failed;
        }
        let one = usize::from(bounds.kept > 0.0 && self.meant > 0);
        // Those that are away may have it too: they must not make up for others.
        let good = self.installed + self.kept;
        let answered = self.online - self.silent.min(self.online);
        let enough = answered >= of(bounds.enough, self.online)
            && good + allowed >= of(bounds.enough, self.online)
            && self.kept >= of(bounds.kept, self.online).max(one);
        if enough {
            Standing::Done
        } else {
            Standing::Open
        }
    }
}

impl Fleet {
    /// A message under a unit's prefix; false when it is none that counts.
    pub fn heard(&mut self, prefix: &str, name: &str, message: &[u8]) -> bool {
        let unit = |fleet: &mut Self, change: &dyn Fn(&mut Unit)| {
            change(fleet.units.entry(prefix.to_owned()).or_default());
            true
        };
        if name == "status" {
            return unit(self, &|unit| unit.online = message == b"online");
        }
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(message) else {
            return false;
        };
        let text = |key: &str| json[key].as_str().map(ToOwned::to_owned);
        match text("format").as_deref() {
            Some(UNIT) if name == "unit" => unit(self, &|unit| {
                unit.group = text("group");
                unit.health = text("health");
            }),
            Some(REPORT) => match serde_json::from_value::<Report>(json.clone()) {
                Ok(report) => unit(self, &|unit| unit.report = Some(report.clone())),
                Err(_) => false,
            },
            _ => false,
        }
    }

    /// What the units that an offer is meant for did with it.
    pub fn count(&self, offer: &Offer) -> Count {
        let mut count = Count::default();
        for (prefix, unit) in &self.units {
            if !is_meant(offer, prefix, unit.group.as_deref()) {
                continue;
            }
            count.meant += 1;
            count.online += usize::from(unit.online);
            let report = unit.report.as_ref();
            match report.filter(|r| r.sha256 == offer.sha256).map(|r| r.state) {
                Some(State::Installed) => count.installed += 1,
                Some(State::Kept) => count.kept += 1,
                Some(State::Refused) => count.refused += 1,
                Some(State::RolledBack) => count.rolled_back += 1,
                None => count.silent += usize::from(unit.online),
            }
        }
        count
    }

    /// Units that have it in its place by now: connected ones, and others by their last word. Models that were taken
    /// back may run until the next start.
    pub fn having(&self, sha256: &str) -> (usize, usize) {
        let has = |report: &Report| match report.state {
            _ if report.sha256 != sha256 => {
                (report.in_use.as_ref()).is_some_and(|pack| pack.sha256 == sha256)
            }
            State::Installed | State::Kept => true,
            State::Refused | State::RolledBack => false,
        };
        let units = self.units.values();
        let having = units.filter(|unit| unit.report.as_ref().is_some_and(has));
        let (there, away): (Vec<_>, Vec<_>) = having.partition(|unit| unit.online);
        (there.len(), away.len())
    }

    /// How many units read which version; those that told nothing of it are under `unknown`.
    pub fn versions(&self) -> BTreeMap<String, usize> {
        let mut versions = BTreeMap::new();
        for unit in self.units.values() {
            let version = match unit.report.as_ref().map(|report| &report.in_use) {
                Some(Some(pack)) => format!("version {}", pack.version),
                Some(None) => "none of their own".to_owned(),
                None => "not told".to_owned(),
            };
            *versions.entry(version).or_default() += 1;
        }
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_done_when_enough_took_it_and_fails_when_too_many_did_not() {
        let bounds = Bounds {
            enough: 0.9,
            kept: 0.5,
            most_bad: 0.02,
        };
        let count = |kept, installed, bad, silent| Count {
            meant: 100,
            online: kept + installed + bad + silent,
            installed,
            kept,
            refused: bad,
            rolled_back: 0,
            silent,
        };
        assert_eq!(count(50, 40, 0, 10).standing(&bounds), Standing::Done);
        assert_eq!(count(50, 39, 0, 11).standing(&bounds), Standing::Open);
        assert_eq!(count(49, 51, 0, 0).standing(&bounds), Standing::Open);
        assert_eq!(count(96, 0, 2, 2).standing(&bounds), Standing::Done);
        assert_eq!(count(97, 0, 3, 0).standing(&bounds), Standing::Failed);
        let one = Count {
            meant: 1,
            online: 1,
            refused: 1,
            ..Count::default()
        };
        assert_eq!(one.standing(&bounds), Standing::Failed);
        let away = Count {
            meant: 3,
            ..Count::default()
        };
        assert_eq!(away.standing(&bounds), Standing::Open);
        // Nobody in it: nothing to wait for.
        assert_eq!(Count::default().standing(&bounds), Standing::Done);
    }
}
