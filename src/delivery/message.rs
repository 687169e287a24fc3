//! The messages, as JSON; `docs/schema/delivery.schema.json` describes them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::health::{HealthState, Reasons};
use crate::units::RegionCode;

/// Offers that this build reads.
pub const OFFER: &str = "tsedge-offer/1";
/// Reports that it writes.
pub const REPORT: &str = "tsedge-pack-report/1";
/// Reports about the unit that it writes.
pub const UNIT: &str = "tsedge-unit/1";
/// Parts are no larger, in bytes; brokers for many units often take messages of 128 KiB at most.
pub const MAX_PART_BYTES: usize = 256 << 10;

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A region's pack.
    Pack(RegionCode),
    /// A set of models, with the packs for its encoder.
    Models,
}

const MODELS: &str = "models";

impl Item {
    /// From its name in topics and messages.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            MODELS => Some(Self::Models),
            region => RegionCode::parse(region).map(Self::Pack),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Models => f.write_str(MODELS),
            Self::Pack(region) => region.fmt(f),
        }
    }
}

/// A pack, or a set of models, for some units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// `tsedge-offer/1`.
    pub format: String,
    /// The pack's region, e.g. `DE`, or `models`.
    pub region: String,
    /// Its version, for people.
    pub version: String,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// Their number.
    pub bytes: usize,
    /// How many of them a part has; the last may have fewer.
    pub part_bytes: usize,
    /// The text of its minisign signature.
    pub signature: String,
    /// The share of units that it is meant for, 0 to 1: see [`is_meant`].
    pub share: f64,
    /// Units of these groups are meant as well.
    pub groups: Vec<String>,
    /// Units that took it go back to the one before.
    pub withdrawn: bool,
}

impl Offer {
    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.bytes.div_ceil(self.part_bytes.max(1))
    }

    /// Whether the same parts are fetched for another offer: it may be for more units by now.
    pub fn brings_the_same(&self, other: &Self) -> bool {
        let parts = |offer: &Self| (offer.bytes, offer.part_bytes, offer.withdrawn);
        parts(self) == parts(other)
            && self.sha256 == other.sha256
            && self.signature == other.signature
    }
}

/// Whether an offer is meant for a unit: the first four bytes of SHA-256 over the pack's SHA-256, a space and the
/// unit's prefix, as a share of 2^32, are below the offer's share. So other units go first each time.
pub fn is_meant(offer: &Offer, prefix: &str, group: Option<&str>) -> bool {
    let sum = Sha256::digest(format!("{} {prefix}", offer.sha256));
    let place = u32::from_be_bytes([sum[0], sum[1], sum[2], sum[3]]);
    f64::from(place) < offer.share * 2_f64.powi(32)
        || group.is_some_and(|group| offer.groups.iter().any(|g| g == group))
}

/// Where the offer of a region's pack, or of models, is.
pub fn offer_topic(topic: &str, item: &str) -> String {
    format!("{topic}/offer/{item}")
}

/// Where a part of it is.
pub fn part_topic(topic: &str, sha256: &str, part: usize) -> String {
    format!("{topic}/pack/{sha256}/{part}")
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In its place, and on trial; models from the next start on.
    Installed,
    /// Its trial went well.
    Kept,
    /// Not taken.
    Refused,
    /// The one before is in its place again.
    RolledBack,
}

/// A pack as the unit would read it now, or the models that it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InUse {
    /// Its version.
    pub version: String,
    /// Its SHA-256.
    pub sha256: String,
}

/// What a unit did with the newest offer of a region's pack, or of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `tsedge-pack-report/1`.
    pub format: String,
    /// The region, or `models`.
    pub region: String,
    /// SHA-256 of what was offered.
    pub sha256: String,
    /// What became of it.
    pub state: State,
    /// Why it was refused or rolled back; empty otherwise.
    pub detail: String,
    /// Signs that it was judged by so far.
    pub signs: u64,
    /// The share of them that it did not name.
    pub unknown: f64,
    /// The same share with the one before, where that is known.
    pub unknown_before: Option<f64>,
    /// The region's pack that the unit reads by now, whatever was offered; `None`: it has none of its own. Of models
    /// those that it runs; `None`: those that it came with.
    pub in_use: Option<InUse>,
}

/// What a unit is and how it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitReport {
    /// `tsedge-unit/1`.
    pub format: &'static str,
    /// Version of the program.
    pub program: &'static str,
    /// SHA-256 of its encoder, which packs must fit.
    pub encoder_sha256: String,
    /// The models that it runs; `None`: those that it came with.
    pub models: Option<InUse>,
    /// The group that it belongs to.
    pub group: Option<String>,
    /// The region whose pack is in force.
    pub region: Option<String>,
    /// That pack.
    pub pack: Option<InUse>,
    /// Health.
    pub health: HealthState,
    /// Reasons for it.
    pub reasons: Reasons,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_means_about_so_many_units_and_a_larger_one_means_all_of_them_too() {
        let offer = |share| Offer {
            format: OFFER.to_owned(),
            region: "DE".to_owned(),
            version: "1".to_owned(),
            sha256: "ab".repeat(32),
            bytes: 100,
            part_bytes: 40,
            signature: String::new(),
            share,
            groups: vec!["test".to_owned()],
            withdrawn: false,
        };
        assert_eq!(offer(1.0).parts(), 3);
        let meant = |share| {
            let units = (0..10_000).map(|n| format!("cars/{n}"));
            units
                .filter(|unit| is_meant(&offer(share), unit, None))
                .collect::<Vec<_>>()
        };
        let (few, many) = (meant(0.01), meant(0.1));
        assert!((70..130).contains(&few.len()) && (900..1100).contains(&many.len()));
        assert!(few.iter().all(|unit| many.contains(unit)));
        assert_eq!((meant(0.0).len(), meant(1.0).len()), (0, 10_000));
        assert!(is_meant(&offer(0.0), "cars/7", Some("test")));
    }
}
