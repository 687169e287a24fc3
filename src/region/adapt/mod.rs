//! Labelled crops of a region make its pack better, on the board: nothing is trained but a few rows.
//!
//! The crops are split by track. One part gives image prototypes (`fit`); the other chooses how much of
//! the text stays in them (beta) and calibrates. A pack that has become worse on what the base knew is
//! refused: its own rows must still match themselves, and so must the reference crops.

pub mod crops;
mod fit;
pub mod measure;

use crops::Sample;
use measure::{Figures, Verdict, figures, judge};

use super::bank::RegionBank;
use super::pack::Pack;

/// Mixtures tried; 1 is the base itself.
const BETAS: [f32; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Of the names given, this share may be wrong on the held-out part, or the threshold rises.
const WRONG_NAME_SHARE: f32 = 0.012;
/// The base's scale counts as much as so many held-out crops.
const SCALE_PRIOR: f32 = 300.0;
/// A class keeps its own threshold until so many held-out crops speak for it.
const MIN_HELD_OUT: usize = 5;

/// What [`adapt`] made.
#[derive(Debug)]
pub struct Adapted {
    /// The pack, not yet judged by a reference.
    pub pack: Pack,
    /// Share of the text in the new rows.
    pub beta: f32,
    /// Rows added.
    pub rows: usize,
    /// Crops the rows were made of.
    pub fitted: usize,
    /// Crops that chose and calibrated.
    pub held_out: Vec<Sample>,
    /// The held-out part by the base.
    pub before: Vec<Verdict>,
    /// And by the new pack.
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
    /// Not enough to split.
    #[error("{fit} crops to fit by and {held_out} held out are too few; 20 of each are needed")]
    TooFew {
        /// On the one side.
        fit: usize,
        /// On the other.
        held_out: usize,
    },
    /// The base is not sound.
    #[error("{0}")]
    Pack(String),
}

/// A pack from `base` and labelled crops; see the module.
pub fn adapt(base: &Pack, samples: Vec<Sample>) -> Result<Adapted, AdaptError> {
    if let Some(unknown) = samples.iter().find(|s| base.class(&s.crop.key).is_none()) {
        return Err(AdaptError::UnknownClass(unknown.crop.key.clone()));
    }
    let (held_out, fit): (Vec<Sample>, Vec<Sample>) =
        samples.into_iter().partition(Sample::is_held_out);
    if fit.len().min(held_out.len()) < 20 {
        return Err(AdaptError::TooFew {
            fit: fit.len(),
            held_out: held_out.len(),
        });
    }
    let bank = |pack: &Pack| pack.bank("").map_err(AdaptError::Pack);
    let before = judge(&bank(base)?, &held_out);
    let centres = fit::centres(base, &fit.iter().collect::<Vec<_>>());
    let own_rows = rows_that_match(&bank(base)?, base);
    let mut tried: Vec<(f32, Vec<f32>, Pack)> = Vec::new();
    for beta in BETAS {
        let mut pack = if beta == 1.0 {
            base.clone()
        } else {
            fit::with_rows(base, &centres, beta)
        };
        let kept = rows_that_match(&bank(&pack)?, base);
        if (own_rows.iter().zip(&kept)).any(|(before, now)| *before && !now) {
            continue;
        }
        let (scale, losses) = fit_scale(&pack, &held_out)?;
        pack.calibration.scale = scale;
        tried.push((beta, losses, pack));
    }
    // Beta 1 is the base, whose rows match as they did: there is always one.
    let (beta, _, mut pack) = most_text_within_error(tried)
        .ok_or_else(|| AdaptError::Pack("no mixture keeps its rows".to_owned()))?;
    set_thresholds(base, &mut pack, &held_out)?;
    let after = judge(&bank(&pack)?, &held_out);
    let rows = pack.image.class_of.len() - base.image.class_of.len();
    Ok(Adapted {
        pack,
        beta,
        rows,
        fitted: fit.len(),
        held_out,
        before,
        after,
    })
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
        let bank = pack.bank("").map_err(AdaptError::Pack)?;
        let matched = rows_that_match(&bank, base);
        Ok((matched.len(), matched.iter().filter(|m| **m).count()))
    };
    let ((all, before), (_, after)) = (count(base)?, count(new)?);
    Ok((all, before, after))
}

/// Of the mixtures whose loss is within one standard error of the least, the one with most text: a few
/// crops do not outvote what the base knows by chance.
fn most_text_within_error(mut tried: Vec<(f32, Vec<f32>, Pack)>) -> Option<(f32, Vec<f32>, Pack)> {
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    let best = tried
        .iter()
        .min_by(|a, b| mean(&a.1).total_cmp(&mean(&b.1)))?
        .1
        .clone();
    let within = |losses: &[f32]| {
        let more: Vec<f32> = losses.iter().zip(&best).map(|(a, b)| a - b).collect();
        let centre = mean(&more);
        let squares: Vec<f32> = more.iter().map(|v| (v - centre).powi(2)).collect();
        centre <= (mean(&squares) / more.len() as f32).sqrt()
    };
    tried.retain(|(_, losses, _)| within(losses));
    tried.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))
}

/// The scale by the held-out crops, and the cross-entropy of each there. It moves from the base's to that of
/// least loss the farther the more crops speak for it.
fn fit_scale(pack: &Pack, samples: &[Sample]) -> Result<(f32, Vec<f32>), AdaptError> {
    let bank = pack.bank("").map_err(AdaptError::Pack)?;
    let mut cosines = Vec::with_capacity(samples.len());
    for sample in samples {
        let target = pack.class(&sample.crop.key).map_or(0, usize::from);
        cosines.push((bank.class_cosines(&sample.embedding), target));
    }
    let bias: Vec<f32> = (pack.classes.iter())
        .map(|c| pack.calibration.bias.get(&c.key).copied().unwrap_or(0.0))
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
    let base = pack.calibration.scale;
    let least = (8..=160).map(|half| half as f32 / 2.0).min_by(|a, b| {
        let sum = |scale: &f32| losses(*scale).iter().sum::<f32>();
        sum(a).total_cmp(&sum(b))
    });
    let trust = samples.len() as f32 / (samples.len() as f32 + SCALE_PRIOR);
    let scale = base * (least.unwrap_or(base) / base).powf(trust);
    let scale = (10.0 * scale).round() / 10.0;
    Ok((scale, losses(scale)))
}

/// Thresholds by the held-out part: the general one rises until few enough names are wrong; a class that
/// had a higher one of its own, for want of photos, joins the others when its crops allow it.
fn set_thresholds(base: &Pack, pack: &mut Pack, held_out: &[Sample]) -> Result<(), AdaptError> {
    let judged = |pack: &Pack| Ok(judge(&pack.bank("").map_err(AdaptError::Pack)?, held_out));
    let seen = crops::counts(held_out.iter());
    for (key, count) in &seen {
        if *count >= MIN_HELD_OUT {
            let own = pack.calibration.min_probability_of.remove(*key);
            let verdicts = judged(pack)?;
            let wrong = verdicts
                .iter()
                .any(|v| v.best == *key && v.named && !v.right);
            if let (true, Some(own)) = (wrong, own) {
                pack.calibration
                    .min_probability_of
                    .insert((*key).to_owned(), own);
            }
        }
    }
    let mut floor = base.calibration.min_probability;
    loop {
        pack.calibration.min_probability = floor;
        let found = figures(&judged(pack)?);
        let names = found.named_right + found.named_wrong;
        if found.named_wrong as f32 <= WRONG_NAME_SHARE * names as f32 || floor >= 0.98 {
            return Ok(());
        }
        floor = (floor + 0.01).min(0.98);
    }
}

/// The same crops by two packs; the second is refused when it is worse.
pub fn compare(
    base: &Pack,
    new: &Pack,
    samples: &[Sample],
) -> Result<(Figures, Figures), AdaptError> {
    let of = |pack: &Pack| {
        let bank = pack.bank("").map_err(AdaptError::Pack)?;
        Ok(figures(&judge(&bank, samples)))
    };
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
        let bank = pack.bank("").map_err(AdaptError::Pack)?;
        let verdicts = judge(&bank, samples).into_iter();
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
