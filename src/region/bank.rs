//! A region's embeddings in memory, and the match of an embedding against them.
//!
//! The logit of a class is `scale` times the best cosine over its rows, plus its bias; a softmax over
//! all classes, background included, gives the posterior. Matching allocates nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::rows::Rows;
use super::rules::Rules;
use crate::event::{Candidate, ClassInfo, Family, Naming};
use crate::units::{RegionCode, SpeedUnit};

/// A pack may name at most so many classes: their cosines are held on the stack.
pub const MAX_CLASSES: usize = 1024;

/// From cosines to decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Logit per unit of cosine: the inverse of the temperature.
    pub scale: f32,
    /// Added to a class's logit; 0 where absent.
    #[serde(default)]
    pub bias: BTreeMap<String, f32>,
    /// A class is named only from this probability on.
    pub min_probability: f32,
    /// The same for single classes.
    #[serde(default)]
    pub min_probability_of: BTreeMap<String, f32>,
    /// Below this cosine nothing is named, however much better than the rest it is.
    pub min_cosine: f32,
}

/// Per class: what it takes to be named.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rule {
    bias: f32,
    min_probability: f32,
}

/// What a bank was made from.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub region: RegionCode,
    pub version: Arc<str>,
    pub sha256: Arc<str>,
    pub rules: Rules,
}

/// One region's signs; see the module.
#[derive(Debug, Clone)]
pub struct RegionBank {
    region: RegionCode,
    version: Arc<str>,
    sha256: Arc<str>,
    classes: Vec<Arc<ClassInfo>>,
    rules: Vec<Rule>,
    /// Classes in the order of their keys.
    by_key: Vec<u16>,
    road_rules: Arc<Rules>,
    rows: Rows,
    scale: f32,
    min_cosine: f32,
}

/// What an embedding was matched to.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The decision on this embedding alone.
    pub naming: Naming,
    /// Probability of the best class.
    pub probability: f32,
    /// Its lead over the second, 0 to 1.
    pub margin: f32,
    /// Best three, best first.
    pub top: heapless::Vec<Candidate, 3>,
}

impl Match {
    /// The best class, named or not.
    pub fn first(&self) -> Option<&Arc<ClassInfo>> {
        self.top.first().map(|candidate| &candidate.class)
    }
}

impl RegionBank {
    /// From checked parts: every class index of `rows` is below `classes.len()`, rows are unit length.
    pub(super) fn new(
        identity: Identity,
        classes: Vec<ClassInfo>,
        calibration: &Calibration,
        rows: &[(ArrayView2<'_, f32>, &[u16])],
        dim: usize,
    ) -> Self {
        let rules = classes
            .iter()
            .map(|class| Rule {
                bias: calibration.bias.get(&class.key).copied().unwrap_or(0.0),
                min_probability: (calibration.min_probability_of.get(&class.key))
                    .copied()
                    .unwrap_or(calibration.min_probability),
            })
            .collect();
        let mut by_key: Vec<u16> = (0..classes.len() as u16).collect();
        by_key.sort_unstable_by(|a, b| {
            let key = |n: &u16| &classes[usize::from(*n)].key;
            key(a).cmp(key(b))
        });
        Self {
            by_key,
            region: identity.region,
            version: identity.version,
            sha256: identity.sha256,
            road_rules: Arc::new(identity.rules),
            rows: Rows::new(rows, classes.len(), dim),
            classes: classes.into_iter().map(Arc::new).collect(),
            rules,
            scale: calibration.scale,
            min_cosine: calibration.min_cosine,
        }
    }

    /// The region it was made for.
    pub fn region(&self) -> RegionCode {
        self.region
    }

    /// Version of the pack.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// SHA-256 of the pack's file.
    pub fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }

    /// All classes, background included.
    pub fn classes(&self) -> &[Arc<ClassInfo>] {
        &self.classes
    }

    /// The unit of its speed limits, as the first of them has it.
    pub fn speed_unit(&self) -> Option<SpeedUnit> {
        (self.classes.iter())
            .filter(|class| class.family == Family::SpeedLimit)
            .find_map(|class| class.unit)
    }

    /// The classes that only `self` has, and those that only `other` has.
    pub fn differences(&self, other: &Self) -> (Vec<Arc<ClassInfo>>, Vec<Arc<ClassInfo>>) {
        let only = |own: &Self, other: &Self| {
            (own.by_key.iter().map(|n| &own.classes[usize::from(*n)]))
                .filter(|class| !other.has(&class.key))
                .map(Arc::clone)
                .collect()
        };
        (only(self, other), only(other, self))
    }

    fn has(&self, key: &str) -> bool {
        let at = |n: &u16| self.classes[usize::from(*n)].key.as_str();
        self.by_key.binary_search_by(|n| at(n).cmp(key)).is_ok()
    }

    /// The region's rules of the road; the defaults where the pack has none.
    pub fn road_rules(&self) -> &Arc<Rules> {
        &self.road_rules
    }

    /// Embedding rows.
    pub fn rows(&self) -> usize {
        self.rows.count()
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.rows.dim()
    }

    /// Matches an embedding of unit length; anything else matches nothing.
    pub fn classify(&self, embedding: ArrayView1<'_, f32>) -> Match {
        let mut cosine = [f32::NEG_INFINITY; MAX_CLASSES];
        let cosine = &mut cosine[..self.classes.len()];
        if let Some(embedding) = embedding.as_slice() {
            self.rows.best_of_classes(embedding, cosine);
        }
        self.decide(cosine)
    }

    /// The best cosine of each class; minus infinity for all where nothing can match.
    pub(super) fn class_cosines(&self, embedding: &[f32]) -> Vec<f32> {
        let mut cosines = vec![f32::NEG_INFINITY; self.classes.len()];
        self.rows.best_of_classes(embedding, &mut cosines);
        cosines
    }

    fn decide(&self, cosine: &[f32]) -> Match {
        let logit = |class: usize| self.scale * cosine[class] + self.rules[class].bias;
        let mut best = [0_usize; 3];
        let mut found = 0;
        for class in 0..cosine.len() {
            let place = (0..found)
                .find(|p| logit(class) > logit(best[*p]))
                .unwrap_or(found);
            if place < 3 {
                best.copy_within(place..2, place + 1);
                best[place] = class;
                found = (found + 1).min(3);
            }
        }
        let highest = if found > 0 {
            logit(best[0])
        } else {
            f32::NEG_INFINITY
        };
        if !highest.is_finite() {
            return Match {
                naming: Naming::UnknownSign,
                probability: 0.0,
                margin: 0.0,
                top: heapless::Vec::new(),
            };
        }
        let sum: f32 = (0..cosine.len()).map(|c| (logit(c) - highest).exp()).sum();
        let probability = |class: usize| (logit(class) - highest).exp() / sum;
        let first = best[0];
        let second = if found > 1 { probability(best[1]) } else { 0.0 };
        let top = best[..found]
            .iter()
            .map(|class| Candidate {
                class: Arc::clone(&self.classes[*class]),
                probability: probability(*class),
            })
            .collect();
        Match {
            naming: self.name(first, probability(first), cosine[first]),
            probability: probability(first),
            margin: probability(first) - second,
            top,
        }
    }

    fn name(&self, class: usize, probability: f32, cosine: f32) -> Naming {
        let (info, rule) = (&self.classes[class], self.rules[class]);
        match info.family {
            Family::Background => Naming::NotASign,
            Family::OtherSign => Naming::UnknownSign,
            _ if probability < rule.min_probability || cosine < self.min_cosine => {
                Naming::UnknownSign
            }
            _ => Naming::Sign(Arc::clone(info)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::region) fn class(key: &str, family: Family) -> ClassInfo {
        ClassInfo {
            key: key.to_owned(),
            national_code: None,
            family,
            value: None,
            unit: None,
            label_en: key.to_owned(),
            label_local: key.to_owned(),
        }
    }

    fn bank(min_probability: f32) -> RegionBank {
        let calibration = Calibration {
            scale: 20.0,
            bias: BTreeMap::new(),
            min_probability,
            min_probability_of: BTreeMap::new(),
            min_cosine: 0.5,
        };
        let rows = ndarray::Array2::eye(4);
        RegionBank::new(
            Identity {
                region: RegionCode::WORLD,
                version: "1".into(),
                sha256: "".into(),
                rules: Rules::default(),
            },
            vec![
                class("stop", Family::Priority),
                class("yield", Family::Priority),
                class("leaves", Family::Background),
            ],
            &calibration,
            &[(rows.view(), &[0, 0, 1, 2])],
            4,
        )
    }

    fn named(bank: &RegionBank, embedding: [f32; 4]) -> (Naming, f32) {
        let length = embedding.iter().map(|v| v * v).sum::<f32>().sqrt();
        let unit = ndarray::arr1(&embedding).mapv(|v| v / length);
        let found = bank.classify(unit.view());
        (found.naming, found.probability)
    }

    #[test]
    fn any_row_of_a_class_names_it() {
        let bank = bank(0.8);
        for row in 0..2 {
            let mut embedding = [0.0; 4];
            embedding[row] = 1.0;
            let (naming, probability) = named(&bank, embedding);
            assert_eq!(naming.class().unwrap().key, "stop");
            assert!(probability > 0.99);
        }
    }

    #[test]
    fn background_doubt_and_distance_are_results_of_their_own() {
        let bank = bank(0.8);
        assert_eq!(named(&bank, [0.0, 0.0, 0.0, 1.0]).0, Naming::NotASign);
        assert_eq!(named(&bank, [0.0, 1.0, 1.0, 0.0]).0, Naming::UnknownSign);
        assert_eq!(
            named(&bank, [-1.0, -1.0, -0.2, -1.0]).0,
            Naming::UnknownSign
        );
    }

    #[test]
    fn probabilities_are_ordered_and_at_most_one() {
        let found = bank(0.1).classify(ndarray::arr1(&[0.6, 0.0, 0.64, 0.48]).view());
        let p: Vec<f32> = found.top.iter().map(|c| c.probability).collect();
        assert!(p.windows(2).all(|w| w[0] >= w[1]) && p.iter().sum::<f32>() <= 1.000_01);
        assert!((found.margin - (p[0] - p[1])).abs() < 1e-6);
    }

    #[test]
    fn an_embedding_of_another_length_matches_nothing() {
        let found = bank(0.1).classify(ndarray::arr1(&[1.0, 0.0]).view());
        assert_eq!(
            (found.naming, found.probability),
            (Naming::UnknownSign, 0.0)
        );
    }
}
