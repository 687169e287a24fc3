//! Better, worse, or within noise: a result against an earlier one.
//!
//! On the same crops the bootstrap is paired: both results are taken from each draw, so that what is hard for both
//! cancels out. A change counts when the 95 % interval of the difference leaves out zero, and, on the same crops, at
//! least six tracks differ: with fewer even the exact sign test could not tell them from chance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::crops::{Draws, Figure, OfPack, Results};
use super::interval::{Estimate, Resampler};
use crate::units::RegionCode;

/// Five that all differ in one direction happen by chance in one of 16 cases; six in one of 32.
const LEAST_TRACKS: usize = 6;

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It moved in the right direction, by more than chance.
    Better,
    /// It moved in the wrong direction, by more than chance.
    Worse,
    /// Chance alone could have done it.
    WithinNoise,
}

impl Verdict {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::WithinNoise => "within noise",
        }
    }
}

/// A figure then and now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose crops.
    pub region: RegionCode,
    /// Which figure.
    pub figure: Figure,
    /// Then.
    pub before: f64,
    /// Now.
    pub now: f64,
    /// The difference and its interval.
    pub difference: Estimate,
    /// Crop by crop, on the same crops.
    pub paired: bool,
    /// What it means.
    pub verdict: Verdict,
}

/// All figures that both have.
pub fn changes(before: &OfPack, now: &OfPack, draws: Draws) -> Vec<Change> {
    let pair = (before.results.as_ref().zip(now.results.as_ref()))
        .filter(|(b, n)| b.is_whole() && n.is_whole());
    let pair = pair.and_then(|(b, n)| Some((in_order_of(b, n)?, n)));
    let paired = pair.as_ref().map(|(b, n)| differences(b, n, draws));
    // Both may have been given the same crops and other scenery.
    let own_of = |figure| {
        let found = paired.as_ref()?.get(&figure)?;
        let same = pair.as_ref()?.0.scenery_id == pair.as_ref()?.1.scenery_id;
        (same || figure != Figure::FalseAcceptance).then_some(found)
    };
    (Figure::ALL.into_iter())
        .filter_map(|figure| {
            let (old, new) = (before.figures.get(&figure)?, now.figures.get(&figure)?);
            let own = own_of(figure);
            let difference = own.map_or_else(|| Estimate::difference(new, old), |(d, _)| *d);
            let enough = own.is_none_or(|(_, tracks)| *tracks >= LEAST_TRACKS);
            Some(Change {
                region: now.region,
                figure,
                before: old.value,
                now: new.value,
                difference,
                paired: own.is_some(),
                verdict: verdict(figure, &difference, enough),
            })
        })
        .collect()
}

fn verdict(figure: Figure, difference: &Estimate, enough: bool) -> Verdict {
    let (up, down) = (difference.low > 0.0, difference.high < 0.0);
    match (enough && (up || down), up == figure.more_is_better()) {
        (false, _) => Verdict::WithinNoise,
        (true, true) => Verdict::Better,
        (true, false) => Verdict::Worse,
    }
}

/// `earlier` with its crops and classes in the order of `later`; `None` when they are not the same.
fn in_order_of(earlier: &Results, later: &Results) -> Option<Results> {
    let sorted = |ids: &[String]| {
        let mut places: Vec<(String, usize)> = ids.iter().cloned().zip(0..).collect();
        places.sort();
        places
    };
    let order = |from: &[String], to: &[String]| {
        let (from, to) = (sorted(from), sorted(to));
        let same = from.len() == to.len() && from.iter().zip(&to).all(|(a, b)| a.0 == b.0);
        let mut order = vec![0; to.len()];
        for (a, b) in from.iter().zip(&to) {
            order[b.1] = a.1;
        }
        same.then_some(order)
    };
    let crops = order(&earlier.id, &later.id)?;
    let scenes = order(&earlier.scenery_id, &later.scenery_id);
    // A class that only the earlier pack had is no label of the later one.
    let class: Vec<u16> = (earlier.classes.iter())
        .map(|key| later.classes.iter().position(|c| c == key))
        .map(|at| at.map_or(later.classes.len(), |at| at) as u16)
        .collect();
    let of_class = |column: &[u16]| -> Vec<u16> {
        (crops.iter())
            .map(|i| class[usize::from(column[*i])])
            .collect()
    };
    let label = of_class(&earlier.label);
    if label != later.label {
        return None;
    }
    let mut classes = later.classes.clone();
    classes.push(String::new());
    Some(Results {
        classes,
        id: later.id.clone(),
        track: later.track.clone(),
        label,
        best: of_class(&earlier.best),
        probability: crops.iter().map(|i| earlier.probability[*i]).collect(),
        named: crops.iter().map(|i| earlier.named[*i]).collect(),
        scenery_id: scenes
            .as_ref()
            .map_or(Vec::new(), |_| later.scenery_id.clone()),
        scenery_track: scenes
            .as_ref()
            .map_or(Vec::new(), |_| later.scenery_track.clone()),
        scenery_named: (scenes.iter().flatten())
            .map(|i| earlier.scenery_named[*i])
            .collect(),
    })
}

/// The difference of each figure, and how many tracks have a part in it.
fn differences(
    before: &Results,
    now: &Results,
    draws: Draws,
) -> BTreeMap<Figure, (Estimate, usize)> {
    let (tracks, scenery) = (now.tracks(), now.scenery_tracks());
    let at = |tracks: &[u32], scenery: &[u32]| {
        let (b, n) = (
            before.figures(tracks, scenery),
            now.figures(tracks, scenery),
        );
        [0, 1, 2, 3, 4, 5, 6].map(|i| Some(n[i]? - b[i]?))
    };
    let plain = at(&vec![1; tracks], &vec![1; scenery]);
    let mut of_tracks = Resampler::new(tracks, draws.seed);
    let mut of_scenery = Resampler::new(scenery, draws.seed ^ 1);
    let mut drawn: [Vec<f64>; 7] = Default::default();
    for _ in 0..draws.resamples {
        let found = at(of_tracks.draw(), of_scenery.draw());
        for (drawn, value) in drawn.iter_mut().zip(found) {
            drawn.extend(value);
        }
    }
    (Figure::ALL.into_iter().zip(plain).zip(&mut drawn))
        .filter_map(|((figure, value), drawn)| {
            let touched = touched(figure, before, now);
            Some((figure, (Estimate::of(value?, drawn), touched)))
        })
        .collect()
}

/// Tracks that a figure sees otherwise.
fn touched(figure: Figure, before: &Results, now: &Results) -> usize {
    let mut tracks: Vec<u32> = if figure == Figure::FalseAcceptance {
        // None where the scenery is another.
        (0..before.scenery_id.len())
            .filter(|i| before.scenery_named[*i] != now.scenery_named[*i])
            .map(|i| now.scenery_track[i])
            .collect()
    } else {
        let sees = |r: &Results, i: usize| {
            let (right, named) = (r.right(i), r.named[i] != 0);
            match figure {
                Figure::TopOne => (right, 0, 0),
                Figure::NamedRight => (right && named, 0, 0),
                Figure::NamedWrong => (!right && named, 0, 0),
                Figure::Unnamed => (named, 0, 0),
                Figure::MacroF1 | Figure::FalseAcceptance => (true, r.best[i], 0),
                Figure::CalibrationError => (right, 0, r.probability[i].to_bits()),
            }
        };
        (0..now.len())
            .filter(|i| sees(before, *i) != sees(now, *i))
            .map(|i| now.track[i])
            .collect()
    };
    tracks.sort_unstable();
    tracks.dedup();
    tracks.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::crops::{Ingredient, NotInPack};

    const DRAWS: Draws = Draws {
        resamples: 1000,
        seed: 0,
    };

    /// Crops of ten classes, two a sign; every `wrong`-th is taken for another class.
    fn made(crops: usize, wrong: impl Fn(usize) -> bool) -> OfPack {
        let label: Vec<u16> = (0..crops).map(|i| (i % 10) as u16).collect();
        let best = (0..crops).map(|i| {
            if wrong(i) {
                (label[i] + 1) % 10
            } else {
                label[i]
            }
        });
        let results = Results {
            classes: (0..10).map(|c| format!("class_{c}")).collect(),
            id: (0..crops).map(|i| format!("{i:05}")).collect(),
            track: (0..crops).map(|i| (i / 2) as u32).collect(),
            best: best.collect(),
            label,
            probability: vec![0.95; crops],
            named: vec![1; crops],
            ..Results::default()
        };
        OfPack {
            region: RegionCode::WORLD,
            pack: Ingredient {
                name: "WORLD".to_owned(),
                version: None,
                sha256: String::new(),
            },
            crops,
            tracks: results.tracks(),
            scenery: 0,
            not_in_pack: NotInPack::default(),
            figures: results.estimates(DRAWS.resamples, DRAWS.seed),
            confidence: (0.95, 0.0),
            by_size: Vec::new(),
            by_light: Vec::new(),
            classes: Vec::new(),
            confusion: Vec::new(),
            results: Some(results),
        }
    }

    fn top_one(before: &OfPack, now: &OfPack) -> Change {
        let mut changes = changes(before, now, DRAWS);
        changes.retain(|c| c.figure == Figure::TopOne);
        changes.remove(0)
    }

    #[test]
    fn two_points_are_found_on_many_crops_and_left_open_on_few() {
        let (before, now) = (
            made(2000, |i| i % 25 == 0),
            made(2000, |i| i % 25 == 0 || i % 50 == 7),
        );
        let change = top_one(&before, &now);
        assert!((change.difference.value + 0.02).abs() < 1e-9 && change.paired);
        assert_eq!(change.verdict, Verdict::Worse);
        assert_eq!(top_one(&now, &before).verdict, Verdict::Better);
        // The same two points on a hundred crops are two crops.
        let (before, now) = (
            made(100, |i| i % 25 == 0),
            made(100, |i| i % 25 == 0 || i % 50 == 7),
        );
        let change = top_one(&before, &now);
        assert!((change.difference.value + 0.02).abs() < 1e-9);
        assert_eq!(change.verdict, Verdict::WithinNoise);
        assert_eq!(top_one(&before, &before).verdict, Verdict::WithinNoise);
    }

    #[test]
    fn as_many_that_became_right_as_wrong_are_noise() {
        let (before, now) = (made(2000, |i| i % 50 == 3), made(2000, |i| i % 50 == 7));
        assert_eq!(top_one(&before, &now).verdict, Verdict::WithinNoise);
    }

    #[test]
    fn other_crops_are_compared_unpaired_and_the_order_does_not_matter() {
        let before = made(2000, |i| i % 25 == 0);
        let mut shuffled = before.clone();
        if let Some(r) = &mut shuffled.results {
            r.id.reverse();
            r.label.reverse();
            r.best.reverse();
        }
        assert!(top_one(&shuffled, &before).paired);
        assert_eq!(top_one(&shuffled, &before).difference.value, 0.0);
        let mut summary = before.clone();
        summary.results = None;
        // Unpaired, two points of 96 % need more crops than 2,000; eight do not.
        let now = made(2000, |i| i % 25 == 0 || i % 50 == 7);
        let change = top_one(&summary, &now);
        assert!(!change.paired && change.difference.deviation > 0.004);
        let far = made(2000, |i| i % 25 == 0 || i % 12 == 7);
        assert_eq!(top_one(&summary, &far).verdict, Verdict::Worse);
    }
}
