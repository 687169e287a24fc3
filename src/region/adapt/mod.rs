//! Labelled crops of a region make its pack better, on the board: nothing is trained but a few rows.
//!
//! The crops are dealt by track into parts. Image prototypes (`fit`) are made of all of them; how much of the text
//! stays in these (beta) and the calibration are chosen by judging each part with prototypes made of the others
//! (cross-fitting). A pack that has become worse on what the base knew is refused: its own rows must still match
//! themselves, and so must the reference crops.

pub mod crops;
mod fit;
pub mod measure;
mod mixture;

use crops::Sample;
use measure::{Figures, Verdict, figures, judge};
use mixture::{Mixture, Part, most_text_within_error};

use super::bank::RegionBank;
use super::pack::Pack;

/// Mixtures tried; 1 is the base itself.
const BETAS: [f32; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
const MIN_CROPS: usize = 20;

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
    let parts = Part::dealt(base, &samples);
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
        tried.push(Mixture::new(base, beta, pack, &parts)?);
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
