//! Labelled crops of a region make its pack better, on the board: nothing is trained but a few rows.
//!
//! The crops are dealt by track into parts. Image prototypes (`fit`) are made of all of them; how much of the text
//! stays in these (beta) and the calibration are chosen by judging each part with prototypes made of the others
//! (cross-fitting). A pack that has become worse on what the base knew is refused: its own rows must still match
//! themselves, and so must the reference crops.

pub mod crops;
mod fit;
pub mod measure;

use crops::Sample;
use fit::Centre;
use measure::{Figures, Verdict, figures, judge};

use super::bank::{Calibration, RegionBank};
use super::pack::Pack;

/// Mixtures tried; 1 is the base itself.
const BETAS: [f32; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Each is judged by what the others made.
const PARTS: usize = 5;
const MIN_CROPS: usize = 20;
/// Of the names given, this share may be wrong, or the threshold rises; it falls while no more than half as many are.
const WRONG_NAME_SHARE: f32 = 0.012;
/// General thresholds lie between these.
const THRESHOLDS: (f32, f32) = (0.5, 0.98);
/// The base's scale counts as much as so many crops.
const SCALE_PRIOR: f32 = 300.0;
/// A class keeps its own threshold until so many crops speak for it.
const MIN_CROPS_OF_A_CLASS: usize = 5;

/// What [`adapt`] made.
#[derive(Debug)]
pub struct Adapted {
    /// The pack, not yet judged by a reference.
    pub pack: Pack,
    /// Share of the text in the new rows.
    pub beta: f32,
    /// Rows added.
    pub rows: usize,
    /// The crops, part by part.
    pub crops: Vec<Sample>,
    /// Each by the base.
    pub before: Vec<Verdict>,
    /// Each by rows made of the other parts.
    pub after: Vec<Verdict>,
}

/// Why no pack was made.
#[derive(Debug, thiserror::Error)]
pub enum AdaptError {
    /// A label that the base does not have.
    #[error(
        "class `{0}` is not in the base pack; `tsedge region inspect --classes` lists its classes"
    )]
    UnknownClass(String),
    /// Not enough to choose by.
    #[error("{0} crops are too few; {MIN_CROPS} are needed")]
    TooFew(usize),
    /// The base is not sound.
    #[error("{0}")]
    Pack(String),
}

/// A pack from `base` and labelled crops; see the module.
pub fn adapt(base: &Pack, samples: Vec<Sample>) -> Result<Adapted, AdaptError> {
    if let Some(unknown) = samples.iter().find(|s| base.class(&s.crop.key).is_none()) {
        return Err(AdaptError::UnknownClass(unknown.crop.key.clone()));
    }
    if samples.len() < MIN_CROPS {
        return Err(AdaptError::TooFew(samples.len()));
    }
    let all = fit::centres(base, &samples.iter().collect::<Vec<_>>());
    let parts: Vec<Part> = (0..PARTS).map(|at| Part::of(at, base, &samples)).collect();
    let bank = bank_of(base)?;
    let before = parts.iter().flat_map(|part| judge(&bank, &part.crops));
    let before = before.collect();
    let own_rows = rows_that_match(&bank, base);
    let mut tried: Vec<Mixture> = Vec::new();
    for beta in BETAS {
        let pack = fit::with_rows(base, &all, beta);
        let kept = rows_that_match(&bank_of(&pack)?, base);
        if (own_rows.iter().zip(&kept)).any(|(before, now)| *before && !now) {
            continue;
        }
        let others = (parts.iter()).map(|part| fit::with_rows(base, &part.others, beta));
        let mut mixture = Mixture {
            beta,
            pack,
            others: others.collect(),
            losses: Vec::new(),
        };
        mixture.fit_scale(&parts)?;
        tried.push(mixture);
    }
    // Beta 1 is the base, whose rows match as they did: there is always one.
    let mut mixture = most_text_within_error(tried)
        .ok_or_else(|| AdaptError::Pack("no mixture keeps its rows".to_owned()))?;
    mixture.set_thresholds(base, &parts)?;
    let after = mixture.judged(&parts)?;
    Ok(Adapted {
        rows: mixture.pack.image.class_of.len() - base.image.class_of.len(),
        pack: mixture.pack,
        beta: mixture.beta,
        crops: parts.into_iter().flat_map(|part| part.crops).collect(),
        before,
        after,
    })
}

fn bank_of(pack: &Pack) -> Result<RegionBank, AdaptError> {
    pack.bank("").map_err(AdaptError::Pack)
}

/// Some of the crops, and the centres made without them.
struct Part {
    crops: Vec<Sample>,
    others: Vec<Centre>,
}

impl Part {
    fn of(at: usize, base: &Pack, samples: &[Sample]) -> Self {
        let (own, others): (Vec<&Sample>, Vec<&Sample>) =
            samples.iter().partition(|s| s.part(PARTS) == at);
        Self {
            crops: own.into_iter().cloned().collect(),
            others: fit::centres(base, &others),
        }
    }
}

/// What a beta makes: the pack of all crops, and for each part that of the others, which judges it.
struct Mixture {
    beta: f32,
    pack: Pack,
    others: Vec<Pack>,
    /// Cross-entropy of each crop.
    losses: Vec<f32>,
}

impl Mixture {
    fn calibrate(&mut self, calibration: &Calibration) {
        for pack in self.others.iter_mut().chain([&mut self.pack]) {
            pack.calibration.clone_from(calibration);
        }
    }

    /// Each crop by the pack that it had no part in, part by part.
    fn judged(&self, parts: &[Part]) -> Result<Vec<Verdict>, AdaptError> {
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
    fn set_thresholds(&mut self, base: &Pack, parts: &[Part]) -> Result<(), AdaptError> {
        let mut calibration = self.pack.calibration.clone();
        for (key, count) in crops::counts(parts.iter().flat_map(|part| &part.crops)) {
            let own = calibration.min_probability_of.get(key).copied();
            let Some(own) = own.filter(|_| count >= MIN_CROPS_OF_A_CLASS) else {
                continue;
            };
            let wrong_names = |mixture: &Self| {
                let verdicts = mixture.judged(parts)?;
                let wrong = |v: &&Verdict| v.best == key && v.named && !v.right;
                Ok::<usize, AdaptError>(verdicts.iter().filter(wrong).count())
            };
            let before = wrong_names(self)?;
            calibration.min_probability_of.remove(key);
            self.calibrate(&calibration);
            if wrong_names(self)? > before {
                let of_a_class = &mut calibration.min_probability_of;
                of_a_class.insert(key.to_owned(), own);
                self.calibrate(&calibration);
            }
        }
        let mut allowed = |threshold: f32, share: f32, more_wrong: usize| {
            calibration.min_probability = threshold;
            self.calibrate(&calibration);
            let found = figures(&self.judged(parts)?);
            let wrong = found.named_wrong + more_wrong;
            let names = found.named_right + found.named_wrong;
            Ok::<bool, AdaptError>(wrong as f32 <= share * names as f32)
        };
        let mut threshold = base.calibration.min_probability;
        while threshold < THRESHOLDS.1 && !allowed(threshold, WRONG_NAME_SHARE, 0)? {
            threshold = (threshold + 0.01).min(THRESHOLDS.1);
        }
        while threshold - 0.01 >= THRESHOLDS.0
            && allowed(threshold - 0.01, WRONG_NAME_SHARE / 2.0, 1)?
        {
            threshold -= 0.01;
        }
        calibration.min_probability = (100.0 * threshold).round() / 100.0;
        self.calibrate(&calibration);
        Ok(())
    }
}

/// For each row of `of`: whether the bank's best class for it is its own.
fn rows_that_match(bank: &RegionBank, of: &Pack) -> Vec<bool> {
    (of.text.iter().chain(of.image.iter()))
        .map(|(row, class)| {
            let found = bank.classify(row);
            let best = found.first().map(|class| class.key.as_str());
            best == Some(of.classes[usize::from(class)].key.as_str())
        })
        .collect()
}

/// Of the base's rows, how many match their own class: by the base, and by the new pack.
pub fn own_rows(base: &Pack, new: &Pack) -> Result<(usize, usize, usize), AdaptError> {
    let count = |pack: &Pack| {
        let matched = rows_that_match(&bank_of(pack)?, base);
        Ok((matched.len(), matched.iter().filter(|m| **m).count()))
    };
    let ((all, before), (_, after)) = (count(base)?, count(new)?);
    Ok((all, before, after))
}

/// Of the mixtures whose loss is within one standard error of the least, the one with most text: a few
/// crops do not outvote what the base knows by chance.
fn most_text_within_error(mut tried: Vec<Mixture>) -> Option<Mixture> {
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

/// The same crops by two packs; the second is refused when it is worse.
pub fn compare(
    base: &Pack,
    new: &Pack,
    samples: &[Sample],
) -> Result<(Figures, Figures), AdaptError> {
    let of = |pack: &Pack| Ok(figures(&judge(&bank_of(pack)?, samples)));
    Ok((of(base)?, of(new)?))
}

/// Crops whose label looks wrong, surest first: the base is at least 90 % sure of another class, or the new pack
/// 80 %, though it was made with that very label. Index and verdict.
pub fn suspicious(
    base: &Pack,
    new: &Pack,
    samples: &[Sample],
) -> Result<Vec<(usize, Verdict)>, AdaptError> {
    let against = |pack: &Pack, least: f32| {
        let verdicts = judge(&bank_of(pack)?, samples).into_iter();
        let doubted = verdicts.map(move |v| (!v.right && v.probability >= least).then_some(v));
        Ok(doubted.collect::<Vec<Option<Verdict>>>())
    };
    let (old, new) = (against(base, 0.9)?, against(new, 0.8)?);
    let mut found: Vec<(usize, Verdict)> = (old.into_iter().zip(new).enumerate())
        .filter_map(|(i, (old, new))| Some((i, old.or(new)?)))
        .collect();
    found.sort_by(|a, b| b.1.probability.total_cmp(&a.1.probability));
    Ok(found)
}
