//! What a pack makes of labelled crops.

use std::collections::BTreeMap;

use serde::Serialize;

use super::crops::Sample;
use crate::event::Naming;
use crate::region::RegionBank;

/// Bins of the expected calibration error.
const BINS: usize = 15;

/// What became of one crop.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The best class.
    pub best: String,
    /// Its probability.
    pub probability: f32,
    /// The thresholds believe it, and it is a sign.
    pub named: bool,
    /// The best class is the label.
    pub right: bool,
}

/// Figures over a set of crops.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Figures {
    /// Crops.
    pub crops: usize,
    /// The best class is the label.
    pub right: usize,
    /// Named, and right.
    pub named_right: usize,
    /// Named, and wrong.
    pub named_wrong: usize,
    /// Expected calibration error of the best class's probability, 0 to 1.
    pub calibration_error: f32,
}

impl Figures {
    /// Percent of the crops.
    pub fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.crops.max(1) as f64
    }

    /// What got worse against `before` on the same crops; `None` when nothing did.
    pub fn worse_than(&self, before: &Self) -> Option<String> {
        let rows = [
            ("right at first choice", before.right, self.right, true),
            ("named right", before.named_right, self.named_right, true),
            ("named wrong", before.named_wrong, self.named_wrong, false),
        ];
        let worse = rows.into_iter().find(|(_, old, new, more_is_better)| {
            if *more_is_better {
                new < old
            } else {
                new > old
            }
        });
        worse.map(|(what, old, new, _)| {
            format!("{what}: {old} before, {new} after, of {}", self.crops)
        })
    }
}

/// Each crop by the bank, in order.
pub fn judge(bank: &RegionBank, samples: &[Sample]) -> Vec<Verdict> {
    let one = |sample: &Sample| {
        let found = bank.classify(sample.embedding.as_slice().into());
        let best = found.first().map_or("", |class| class.key.as_str());
        // A class of signs that have no name: so called by the pack, it is right, but not named.
        Verdict {
            right: best == sample.crop.key,
            best: best.to_owned(),
            probability: found.probability,
            named: matches!(found.naming, Naming::Sign(_)),
        }
    };
    samples.iter().map(one).collect()
}

/// The figures of verdicts.
pub fn figures(verdicts: &[Verdict]) -> Figures {
    let count = |f: &dyn Fn(&Verdict) -> bool| verdicts.iter().filter(|v| f(v)).count();
    let weighted = verdicts.iter().map(|v| (v.probability, v.right, 1));
    Figures {
        crops: verdicts.len(),
        right: count(&|v| v.right),
        named_right: count(&|v| v.right && v.named),
        named_wrong: count(&|v| !v.right && v.named),
        calibration_error: calibration_error(weighted) as f32,
    }
}

/// Expected calibration error of (probability, right, how often it counts).
pub fn calibration_error(verdicts: impl Iterator<Item = (f32, bool, u32)>) -> f64 {
    let mut bins = [(0.0_f64, 0.0_f64); BINS];
    let mut all = 0.0_f64;
    for (probability, right, weight) in verdicts {
        let (weight, bin) = (f64::from(weight), (probability * BINS as f32) as usize);
        let bin = &mut bins[bin.min(BINS - 1)];
        bin.0 += weight * f64::from(probability);
        bin.1 += weight * f64::from(u8::from(right));
        all += weight;
    }
    let gap: f64 = bins.iter().map(|(p, right)| (p - right).abs()).sum();
    gap / all.max(1.0)
}

/// How often a label was taken for another class, most often first.
pub fn confusion(samples: &[Sample], verdicts: &[Verdict]) -> Vec<(String, String, usize)> {
    let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (sample, verdict) in samples.iter().zip(verdicts).filter(|(_, v)| !v.right) {
        *pairs.entry((&sample.crop.key, &verdict.best)).or_default() += 1;
    }
    let mut pairs: Vec<_> = (pairs.into_iter())
        .map(|((a, b), n)| (a.to_owned(), b.to_owned(), n))
        .collect();
    pairs.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (&a.0, &a.1).cmp(&(&b.0, &b.1))));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_count_and_the_worse_is_named() {
        let verdict = |right, named, probability| Verdict {
            best: String::new(),
            probability,
            named,
            right,
        };
        let before = figures(&[verdict(true, true, 0.9), verdict(false, false, 0.3)]);
        assert_eq!(
            (before.right, before.named_right, before.named_wrong),
            (1, 1, 0)
        );
        assert!((before.calibration_error - 0.2).abs() < 1e-6);
        let after = figures(&[verdict(true, true, 0.9), verdict(false, true, 0.9)]);
        assert_eq!(
            after.worse_than(&before).unwrap(),
            "named wrong: 0 before, 1 after, of 2"
        );
        assert_eq!(before.worse_than(&before), None);
    }
}
