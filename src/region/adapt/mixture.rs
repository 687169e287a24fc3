//! What a mixture of crops and text makes, judged by crops that had no part in it (cross-fitting).

use std::collections::BTreeMap;

use super::crops::{self, Sample};
use super::fit::{self, Centre};
use super::measure::{Verdict, judge};
use super::{AdaptError, bank_of};
use crate::region::bank::Calibration;
use crate::region::pack::Pack;

/// Each is judged by what the others made.
const PARTS: usize = 5;
/// Of the names given, this share may be wrong, or the threshold rises; it falls while no more than half as many are.
const WRONG_NAME_SHARE: f32 = 0.012;
/// General thresholds lie between these.
const THRESHOLDS: (f32, f32) = (0.5, 0.98);
/// The base's scale counts as much as so many crops.
const SCALE_PRIOR: f32 = 300.0;
/// A class keeps its own threshold until so many crops speak for it.
const MIN_CROPS_OF_A_CLASS: usize = 5;

/// Some of the crops, and the centres made without them.
pub(super) struct Part {
    pub crops: Vec<Sample>,
    others: Vec<Centre>,
}

impl Part {
    /// All crops, dealt out by track.
    pub fn dealt(base: &Pack, samples: &[Sample]) -> Vec<Self> {
        let one = |at: usize| {
            let (own, others): (Vec<&Sample>, Vec<&Sample>) =
                samples.iter().partition(|s| s.part(PARTS) == at);
            Self {
                crops: own.into_iter().cloned().collect(),
                others: fit::centres(base, &others),
            }
        };
        (0..PARTS).map(one).collect()
    }
}

/// What a beta makes: the pack of all crops, and for each part that of the others, which judges it.
pub(super) struct Mixture {
    pub beta: f32,
    pub pack: Pack,
    others: Vec<Pack>,
    /// Cross-entropy of each crop.
    losses: Vec<f32>,
}

impl Mixture {
    /// `pack` has the rows of all crops.
    pub fn new(base: &Pack, beta: f32, pack: Pack, parts: &[Part]) -> Result<Self, AdaptError> {
        let others = (parts.iter()).map(|part| fit::with_rows(base, &part.others, beta));
        let mut mixture = Self {
            beta,
            pack,
            others: others.collect(),
            losses: Vec::new(),
        };
        mixture.fit_scale(parts)?;
        Ok(mixture)
    }

    fn calibrate(&mut self, calibration: &Calibration) {
        for pack in self.others.iter_mut().chain([&mut self.pack]) {
            pack.calibration.clone_from(calibration);
        }
    }

    /// Each crop by the pack that it had no part in, part by part.
    pub fn judged(&self, parts: &[Part]) -> Result<Vec<Verdict>, AdaptError> {
        let mut verdicts = Vec::new();
        for (part, pack) in parts.iter().zip(&self.others) {
            verdicts.extend(judge(&bank_of(pack)?, &part.crops));
        }
        Ok(verdicts)
    }

    /// The scale by the crops, and the cross-entropy of each there. It moves from the base's to that of least loss
    /// the farther the more crops speak for it.
    fn fit_scale(&mut self, parts: &[Part]) -> Result<(), AdaptError> {
        let mut cosines = Vec::new();
        for (part, pack) in parts.iter().zip(&self.others) {
            let bank = bank_of(pack)?;
            for crop in &part.crops {
                let target = pack.class(&crop.crop.key).map_or(0, usize::from);
                cosines.push((bank.class_cosines(&crop.embedding), target));
            }
        }
        let mut calibration = self.pack.calibration.clone();
        let bias: Vec<f32> = (self.pack.classes.iter())
            .map(|c| calibration.bias.get(&c.key).copied().unwrap_or(0.0))
            .collect();
        let losses = |scale: f32| -> Vec<f32> {
            let one = |(cosines, target): &(Vec<f32>, usize)| {
                let logit = |c: usize| scale * cosines[c] + bias[c];
                let highest = (0..cosines.len()).map(logit).fold(f32::MIN, f32::max);
                let sum: f32 = (0..cosines.len()).map(|c| (logit(c) - highest).exp()).sum();
                highest + sum.ln() - logit(*target)
            };
            cosines.iter().map(one).collect()
        };
        let base = calibration.scale;
        let least = (8..=160).map(|half| half as f32 / 2.0).min_by(|a, b| {
            let sum = |scale: &f32| losses(*scale).iter().sum::<f32>();
            sum(a).total_cmp(&sum(b))
        });
        let trust = cosines.len() as f32 / (cosines.len() as f32 + SCALE_PRIOR);
        let scale = base * (least.unwrap_or(base) / base).powf(trust);
        calibration.scale = (10.0 * scale).round() / 10.0;
        self.losses = losses(calibration.scale);
        self.calibrate(&calibration);
        Ok(())
    }

    /// Thresholds by the crops. A class that had a higher one of its own, for want of photos, joins the others when
    /// that makes no more of its names wrong. The general one rises from the base's until few enough names are
    /// wrong, or falls while few enough would be with one more wrong name than there is.
    pub fn set_thresholds(&mut self, base: &Pack, parts: &[Part]) -> Result<(), AdaptError> {
        let general = base.calibration.min_probability;
        let mut calibration = self.pack.calibration.clone();
        // Judged once, with no threshold: one only says which of these names count.
        self.calibrate(&Calibration {
            min_probability: 0.0,
            min_probability_of: BTreeMap::new(),
            ..calibration.clone()
        });
        let mut names = self.judged(parts)?;
        names.retain(|v| v.named);
        let wrong_of = |key: &str, threshold: f32| {
            let counts = |v: &&Verdict| v.best == key && !v.right && v.probability >= threshold;
            names.iter().filter(counts).count()
        };
        let crops = crops::counts(parts.iter().flat_map(|part| &part.crops));
        calibration.min_probability_of.retain(|key, own| {
            let few = |count: &usize| *count < MIN_CROPS_OF_A_CLASS;
            crops.get(key.as_str()).is_none_or(few) || wrong_of(key, general) > wrong_of(key, *own)
        });
        let allowed = |threshold: f32, share: f32, more_wrong: usize| {
            let least = |key: &str| calibration.min_probability_of.get(key).copied();
            let named = |v: &&Verdict| v.probability >= least(&v.best).unwrap_or(threshold);
            let named: Vec<&Verdict> = names.iter().filter(named).collect();
            let wrong = named.iter().filter(|v| !v.right).count() + more_wrong;
            wrong as f32 <= share * named.len() as f32
        };
        let mut threshold = general;
        while threshold < THRESHOLDS.1 && !allowed(threshold, WRONG_NAME_SHARE, 0) {
            threshold = (threshold + 0.01).min(THRESHOLDS.1);
        }
        while threshold - 0.01 >= THRESHOLDS.0
            && allowed(threshold - 0.01, WRONG_NAME_SHARE / 2.0, 1)
        {
            threshold -= 0.01;
        }
        calibration.min_probability = (100.0 * threshold).round() / 100.0;
        self.calibrate(&calibration);
        Ok(())
    }
}

/// Of the mixtures whose loss is within one standard error of the least, the one with most text: a few
/// crops do not outvote what the base knows by chance.
pub(super) fn most_text_within_error(mut tried: Vec<Mixture>) -> Option<Mixture> {
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    let best = tried
        .iter()
        .min_by(|a, b| mean(&a.losses).total_cmp(&mean(&b.losses)))?
        .losses
        .clone();
    let within = |losses: &[f32]| {
        let more: Vec<f32> = losses.iter().zip(&best).map(|(a, b)| a - b).collect();
        let centre = mean(&more);
        let squares: Vec<f32> = more.iter().map(|v| (v - centre).powi(2)).collect();
        centre <= (mean(&squares) / more.len() as f32).sqrt()
    };
    tried.retain(|mixture| within(&mixture.losses));
    tried.into_iter().max_by(|a, b| a.beta.total_cmp(&b.beta))
}
