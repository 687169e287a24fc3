//! Whether what the unit sees is still what its models were judged by: rolling statistics of the signs it names, by
//! region and class, and a test that tells when one has left its band. No pictures, bounded memory.
//!
//! Each measure is compared with its reference by Page's cumulative sums (E. S. Page, Continuous Inspection Schemes,
//! Biometrika 41, 1954), one for a rise and one for a fall: `S = max(0, S + z - k)`, where z is how many deviations a
//! sign is off. `docs/evaluation.md` has the constants' reasons and a worked example.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::crops::{self, Figure, OfPack};
use crate::event::{Naming, SignEvent};
use crate::units::RegionCode;

/// The files this build writes and reads.
pub const FORMAT: &str = "tsedge-drift/1";
/// A reference of the unit's own is learned from so many signs.
const LEARN: u64 = 300;
/// Half the shift that is looked for, in deviations.
const SLACK: f64 = 0.25;
/// A sum beyond this has left the band.
const THRESHOLD: f64 = 20.0;
/// A single sign counts for no more, so that a few odd ones are no drift.
const MOST_DEVIATIONS: f64 = 4.0;
/// The recent mean is over about so many signs.
const RECENT: f64 = 100.0;
/// Regions and classes beyond these are not counted.
const MOST_REGIONS: usize = 64;
const MOST_CLASSES: usize = 256;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Probability of the best class.
    Confidence,
    /// Share of signs that the pack does not name.
    Unknown,
    /// Share of tracks that were no signs.
    NotASign,
    /// Quality of the last look: log 2 of its longer side in pixels.
    Size,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Confidence, Self::Unknown, Self::NotASign, Self::Size];

    /// As it stands in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confidence => "confidence",
            Self::Unknown => "unknown",
            Self::NotASign => "not_a_sign",
            Self::Size => "size",
        }
    }

    /// A reference that hardly varies would make an alarm of nothing.
    const fn least_deviation(self) -> f64 {
        match self {
            Self::Confidence => 0.02,
            Self::Unknown | Self::NotASign => 0.14,
            Self::Size => 0.1,
        }
    }
}

/// What is usual.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Mean.
    pub mean: f64,
    /// Deviation from sign to sign.
    pub deviation: f64,
}

/// A running mean and spread (Welford).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Learned {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Learned {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
    }

    fn reference(&self) -> Reference {
        Reference {
            mean: self.mean,
            deviation: (self.squares / self.count.max(1) as f64).sqrt(),
        }
    }
}

/// One measure of one region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// `None` while it is learned.
    pub reference: Option<Reference>,
    learned: Learned,
    /// Mean of about the last hundred.
    pub recent: f64,
    /// The cumulative sum for a rise.
    pub rise: f64,
    /// The cumulative sum for a fall.
    pub fall: f64,
    /// A sum has passed the threshold since the reference was set.
    pub left: bool,
}

impl Watch {
    fn add(&mut self, measure: Measure, value: f64) {
        let first = self.learned.count == 0;
        self.recent += if first {
            value
        } else {
            (value - self.recent) / RECENT
        };
        self.learned.add(value);
        let Some(usual) = self.reference else {
            if self.learned.count >= LEARN {
                self.reference = Some(self.learned.reference());
            }
            return;
        };
        let deviation = usual.deviation.max(measure.least_deviation());
        let z = ((value - usual.mean) / deviation).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
        self.rise = (self.rise + z - SLACK).max(0.0);
        self.fall = (self.fall - z - SLACK).max(0.0);
        self.left |= self.rise > THRESHOLD || self.fall > THRESHOLD;
    }

    /// How near it is to the threshold, 1 at it.
    pub fn nearness(&self) -> f64 {
        self.rise.max(self.fall) / THRESHOLD
    }

    /// Signs seen.
    pub fn count(&self) -> u64 {
        self.learned.count
    }
}

/// A class of a region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct OfClass {
    /// Signs named so.
    pub signs: u64,
    /// Mean of their probability, over about the last hundred.
    pub confidence: f64,
}

/// A region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OfRegion {
    /// The pack that named the signs: with another one everything starts anew.
    pub pack_sha256: String,
    /// What is watched.
    pub measures: BTreeMap<Measure, Watch>,
    /// By class.
    pub classes: BTreeMap<String, OfClass>,
}

/// What a unit keeps between drives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    format: String,
    /// By region in force.
    pub regions: BTreeMap<String, OfRegion>,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            format: FORMAT.to_owned(),
            regions: BTreeMap::new(),
        }
    }
}

/// References from outside, by region.
pub type References = BTreeMap<String, BTreeMap<Measure, Reference>>;

impl Drift {
    /// Reads a state.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(name)?;
        let drift: Self = serde_json::from_str(&text).with_context(name)?;
        let format = &drift.format;
        ensure!(
            format == FORMAT,
            "{}: format {format}, expected {FORMAT}",
            name()
        );
        Ok(drift)
    }

    /// A region's pack is in use.
    pub fn pack(&mut self, region: RegionCode, sha256: &str, references: &References) {
        let key = region.as_str();
        let known = self
            .regions
            .get(key)
            .is_some_and(|r| r.pack_sha256 == sha256);
        if known || (self.regions.len() >= MOST_REGIONS && !self.regions.contains_key(key)) {
            return;
        }
        let given = references.get(key);
        let watch = |measure| {
            let reference = given.and_then(|g| g.get(&measure)).copied();
            (
                measure,
                Watch {
                    reference,
                    ..Watch::default()
                },
            )
        };
        let fresh = OfRegion {
            pack_sha256: sha256.to_owned(),
            measures: Measure::ALL.map(watch).into(),
            classes: BTreeMap::new(),
        };
        self.regions.insert(key.to_owned(), fresh);
    }

    /// A track ended. What has just left its band, in words.
    pub fn ended(&mut self, sign: &SignEvent) -> Option<String> {
        let region = self.regions.get_mut(sign.region.as_str())?;
        let unknown = match sign.naming {
            // Too little was seen of it to say anything.
            Naming::Undecided => return None,
            Naming::NotASign => None,
            Naming::UnknownSign => Some(1.0),
            Naming::Sign(_) => Some(0.0),
        };
        if let Some(class) = sign.naming.class() {
            count(&mut region.classes, &class.key, sign.probability.into());
        }
        let side = f64::from(sign.bbox.longer_side()).max(1.0);
        let values = [
            (
                Measure::Confidence,
                unknown.map(|_| sign.probability.into()),
            ),
            (Measure::Unknown, unknown),
            (
                Measure::NotASign,
                Some(if unknown.is_none() { 1.0 } else { 0.0 }),
            ),
            (Measure::Size, unknown.map(|_| side.log2())),
        ];
        let mut words = None;
        for (measure, value) in values {
            let (Some(value), Some(watch)) = (value, region.measures.get_mut(&measure)) else {
                continue;
            };
            let before = watch.left;
            watch.add(measure, value);
            if let (true, false, Some(usual)) = (watch.left, before, watch.reference) {
                words = Some(format!(
                    "{}: {} is {:.2} lately, {:.2} is usual: evaluate again",
                    sign.region,
                    measure.name(),
                    watch.recent,
                    usual.mean
                ));
            }
        }
        words
    }

    /// Whether anything has left its band.
    pub fn has_left(&self) -> bool {
        let mut all = self.regions.values().flat_map(|r| r.measures.values());
        all.any(|watch| watch.left)
    }
}

fn count(classes: &mut BTreeMap<String, OfClass>, key: &str, confidence: f64) {
    if !classes.contains_key(key) {
        if classes.len() >= MOST_CLASSES {
            return;
        }
        classes.insert(key.to_owned(), OfClass::default());
    }
    if let Some(class) = classes.get_mut(key) {
        class.signs += 1;
        let weight = (class.signs as f64).min(RECENT);
        class.confidence += (confidence - class.confidence) / weight;
    }
}

/// What is usual, from another unit's state, or, for confidence and unknown signs, from `tsedge eval crops`.
pub fn references(path: &Path) -> anyhow::Result<References> {
    #[derive(Deserialize)]
    struct Head {
        format: String,
    }
    #[derive(Deserialize)]
    struct Crops {
        packs: Vec<OfPack>,
    }
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    let head: Head = serde_json::from_str(&text).with_context(name)?;
    match head.format.as_str() {
        FORMAT => {
            let drift: Drift = serde_json::from_str(&text).with_context(name)?;
            let of_region = |(region, of): (String, OfRegion)| {
                let learned = |(m, w): (Measure, Watch)| {
                    (w.count() >= LEARN).then(|| (m, w.learned.reference()))
                };
                (
                    region,
                    of.measures.into_iter().filter_map(learned).collect(),
                )
            };
            Ok(drift.regions.into_iter().map(of_region).collect())
        }
        crops::FORMAT => {
            let file: Crops = serde_json::from_str(&text).with_context(name)?;
            Ok(file
                .packs
                .iter()
                .map(|p| (p.region.to_string(), of_crops(p)))
                .collect())
        }
        other => bail!(
            "{}: format {other}, expected {FORMAT} or {}",
            name(),
            crops::FORMAT
        ),
    }
}

fn of_crops(pack: &OfPack) -> BTreeMap<Measure, Reference> {
    let (mean, deviation) = pack.confidence;
    let mut found = BTreeMap::from([(Measure::Confidence, Reference { mean, deviation })]);
    if let Some(unnamed) = pack.figures.get(&Figure::Unnamed) {
        let mean = unnamed.value;
        let deviation = (mean * (1.0 - mean)).sqrt();
        found.insert(Measure::Unknown, Reference { mean, deviation });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::noise::Random;

    #[test]
    fn the_sums_agree_with_the_worked_example() {
        // Usual 0.9 with deviation 0.1; signs at 0.8 are one deviation low: the sum for a fall grows by 0.75 a sign.
        let mut watch = Watch {
            reference: Some(Reference {
                mean: 0.9,
                deviation: 0.1,
            }),
            ..Watch::default()
        };
        for signs in 1..=27 {
            watch.add(Measure::Confidence, 0.8);
            assert!((watch.fall - 0.75 * f64::from(signs)).abs() < 1e-9 && watch.rise == 0.0);
            assert_eq!(watch.left, signs == 27, "20 is passed with the 27th: 20.25");
        }
        // Once left it stays so, until the pack is another.
        for _ in 0..200 {
            watch.add(Measure::Confidence, 0.9);
        }
        assert!(watch.left && watch.fall == 0.0);
    }

    /// A unit that sees what it always saw is left alone over a hundred thousand signs; one that does not is told.
    #[test]
    fn steady_signs_raise_no_alarm_and_a_shift_does() {
        let mut random = Random::new(3);
        let mut confidence =
            |drop: f32| f64::from((0.97 - drop - 0.02 * random.normal().abs()).min(1.0));
        let mut watch = Watch::default();
        for _ in 0..100_000 {
            watch.add(Measure::Confidence, confidence(0.0));
        }
        assert!(!watch.left, "{watch:?}");
        let mut signs = 0;
        while !watch.left {
            watch.add(Measure::Confidence, confidence(0.02));
            signs += 1;
        }
        assert!(signs < 60, "{signs}");
        // One in fifty is unknown; then one in four.
        let (mut watch, mut random) = (Watch::default(), Random::new(4));
        let mut unknown = |share: f32| if random.unit() < share { 1.0 } else { 0.0 };
        for _ in 0..100_000 {
            watch.add(Measure::Unknown, unknown(0.02));
        }
        assert!(!watch.left, "{watch:?}");
        let mut signs = 0;
        while !watch.left {
            watch.add(Measure::Unknown, unknown(0.25));
            signs += 1;
        }
        assert!(signs < 80, "{signs}");
    }

    #[test]
    fn another_pack_starts_anew_and_memory_is_bounded() {
        let mut drift = Drift::default();
        let de = RegionCode::parse("DE").unwrap();
        let usual = Reference {
            mean: 0.5,
            deviation: 0.1,
        };
        let references =
            References::from([("DE".to_owned(), BTreeMap::from([(Measure::Unknown, usual)]))]);
        drift.pack(de, "abc", &references);
        let watch = |drift: &Drift| drift.regions["DE"].measures[&Measure::Unknown];
        assert_eq!(watch(&drift).reference, Some(usual));
        drift
            .regions
            .get_mut("DE")
            .unwrap()
            .measures
            .get_mut(&Measure::Unknown)
            .unwrap()
            .left = true;
        drift.pack(de, "abc", &references);
        assert!(drift.has_left());
        drift.pack(de, "def", &references);
        assert!(!drift.has_left());
        let mut classes = BTreeMap::new();
        for i in 0..2 * MOST_CLASSES {
            count(&mut classes, &format!("class_{i}"), 0.9);
        }
        assert_eq!(classes.len(), MOST_CLASSES);
        for a in b'A'..=b'Z' {
            for b in b'A'..=b'Z' {
                let code = [a, b].map(char::from).iter().collect::<String>();
                drift.pack(RegionCode::parse(&code).unwrap(), "abc", &references);
            }
        }
        assert_eq!(drift.regions.len(), MOST_REGIONS);
    }
}
