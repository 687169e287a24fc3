//! What a pack makes of labelled crops, and how sure that is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::interval::{Estimate, Resampler};
use crate::event::Family;
use crate::model::card::hex;
use crate::region::Pack;
use crate::region::adapt::crops::Sample;
use crate::region::adapt::measure::{calibration_error, confusion, judge};
use crate::units::RegionCode;

/// The files this build writes and reads.
pub const FORMAT: &str = "tsedge-eval-crops/1";
/// Lower ends of the sizes that are told apart, by the shorter side in pixels.
const SIZES_PX: [f32; 6] = [0.0, 16.0, 24.0, 32.0, 48.0, 64.0];
/// The same of mean brightness, 0 to 255.
const LIGHTS: [f32; 5] = [0.0, 30.0, 60.0, 100.0, 160.0];

/// One measure of a pack on crops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Share of crops whose best class is the label.
    TopOne,
    /// Share named, rightly.
    NamedRight,
    /// Share named, wrongly.
    NamedWrong,
    /// Share left unnamed by the thresholds.
    Unnamed,
    /// F1 of the best class, averaged over the labels.
    MacroF1,
    /// Expected calibration error of the best class's probability.
    CalibrationError,
    /// Share of pictures without a sign that are named.
    FalseAcceptance,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TopOne,
        Self::NamedRight,
        Self::NamedWrong,
        Self::Unnamed,
        Self::MacroF1,
        Self::CalibrationError,
        Self::FalseAcceptance,
    ];

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::TopOne => "right at first choice",
            Self::NamedRight => "named right",
            Self::NamedWrong => "named wrong",
            Self::Unnamed => "left unnamed",
            Self::MacroF1 => "macro-F1",
            Self::CalibrationError => "calibration error",
            Self::FalseAcceptance => "scenery named",
        }
    }

    /// Whether a higher value is a better one.
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::TopOne | Self::NamedRight | Self::MacroF1)
    }
}

/// What became of every crop, in columns; kept so that a later result can be compared crop by crop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// What `label` and `best` count in.
    pub classes: Vec<String>,
    /// A digest of each crop's place, so that results hold no names of files.
    pub id: Vec<String>,
    /// The sign or picture that it shows.
    pub track: Vec<u32>,
    /// What it is.
    pub label: Vec<u16>,
    /// The best class.
    pub best: Vec<u16>,
    /// Its probability.
    pub probability: Vec<f32>,
    /// Whether the thresholds believe it: 0 or 1.
    pub named: Vec<u8>,
    /// The same of pictures without a sign.
    pub scenery_id: Vec<String>,
    /// Where they were cut from.
    pub scenery_track: Vec<u32>,
    /// Whether they were named.
    pub scenery_named: Vec<u8>,
}

impl Results {
    /// Crops.
    pub fn len(&self) -> usize {
        self.id.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    /// The best class is the label.
    pub fn right(&self, crop: usize) -> bool {
        self.best[crop] == self.label[crop]
    }

    /// Columns of one length, and numbers that name something; a file may say anything.
    pub fn is_whole(&self) -> bool {
        let (n, s) = (self.id.len(), self.scenery_id.len());
        let classes = self.classes.len();
        [self.track.len(), self.label.len(), self.best.len()] == [n; 3]
            && [self.probability.len(), self.named.len()] == [n; 2]
            && [self.scenery_track.len(), self.scenery_named.len()] == [s; 2]
            && (self.label.iter().chain(&self.best)).all(|c| usize::from(*c) < classes)
            && self.track.iter().all(|t| (*t as usize) < n.max(1))
            && self.scenery_track.iter().all(|t| (*t as usize) < s.max(1))
    }

    /// Tracks of crops.
    pub fn tracks(&self) -> usize {
        self.track.iter().max().map_or(0, |last| *last as usize + 1)
    }

    /// Tracks of scenery.
    pub fn scenery_tracks(&self) -> usize {
        let last = self.scenery_track.iter().max();
        last.map_or(0, |last| *last as usize + 1)
    }

    /// Each figure, in the order of [`Figure::ALL`], where tracks count as often as they say.
    pub fn figures(&self, tracks: &[u32], scenery: &[u32]) -> [Option<f64>; 7] {
        let mut all = 0.0_f64;
        let (mut right, mut named_right, mut named_wrong) = (0.0_f64, 0.0_f64, 0.0_f64);
        let mut of_class = vec![[0_u32; 3]; self.classes.len()];
        for i in 0..self.len() {
            let weight = tracks[self.track[i] as usize];
            let (named, hit) = (self.named[i] != 0, self.right(i));
            let w = f64::from(weight);
            all += w;
            right += if hit { w } else { 0.0 };
            named_right += if hit && named { w } else { 0.0 };
            named_wrong += if !hit && named { w } else { 0.0 };
            let [label, best] = [self.label[i], self.best[i]].map(usize::from);
            of_class[label][0] += weight;
            of_class[best][1] += weight;
            of_class[label][2] += if hit { weight } else { 0 };
        }
        let share = |part: f64| (all > 0.0).then(|| part / all);
        let f1: Vec<f64> = (of_class.iter())
            .filter(|[labels, ..]| *labels > 0)
            .map(f1)
            .collect();
        let verdicts = (0..self.len()).map(|i| {
            let weight = tracks[self.track[i] as usize];
            (self.probability[i], self.right(i), weight)
        });
        let (mut scenes, mut accepted) = (0.0_f64, 0.0_f64);
        for (track, named) in self.scenery_track.iter().zip(&self.scenery_named) {
            let weight = f64::from(scenery[*track as usize]);
            scenes += weight;
            accepted += weight * f64::from(*named);
        }
        [
            share(right),
            share(named_right),
            share(named_wrong),
            share(all - named_right - named_wrong),
            (!f1.is_empty()).then(|| f1.iter().sum::<f64>() / f1.len() as f64),
            (all > 0.0).then(|| calibration_error(verdicts)),
            (scenes > 0.0).then(|| accepted / scenes),
        ]
    }

    /// Each figure with its interval.
    pub fn estimates(&self, resamples: usize, seed: u64) -> BTreeMap<Figure, Estimate> {
        let (tracks, scenery) = (self.tracks(), self.scenery_tracks());
        let plain = self.figures(&vec![1; tracks], &vec![1; scenery]);
        let mut draws: [Vec<f64>; 7] = Default::default();
        let mut of_tracks = Resampler::new(tracks, seed);
        let mut of_scenery = Resampler::new(scenery, seed ^ 1);
        for _ in 0..resamples {
            let found = self.figures(of_tracks.draw(), of_scenery.draw());
            for (draws, value) in draws.iter_mut().zip(found) {
                draws.extend(value);
            }
        }
        (Figure::ALL.into_iter().zip(plain).zip(&mut draws))
            .filter_map(|((figure, value), draws)| {
                let found = Estimate::of(value?, draws);
                let found = match figure {
                    Figure::MacroF1 | Figure::CalibrationError => found,
                    Figure::FalseAcceptance => found.or_wilson(scenery),
                    _ => found.or_wilson(tracks),
                };
                Some((figure, found))
            })
            .collect()
    }
}

fn f1([labels, taken, hits]: &[u32; 3]) -> f64 {
    2.0 * f64::from(*hits) / f64::from(labels + taken)
}

/// A pack or model, as it can be found again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ingredient {
    /// Region or name.
    pub name: String,
    /// Version, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Of the file.
    pub sha256: String,
}

/// Crops of a range of sizes or lights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// From here on.
    pub from: f32,
    /// Up to here, which is no part of it; `None`: all above.
    pub to: Option<f32>,
    /// Crops.
    pub crops: usize,
    /// Named, rightly.
    pub named_right: usize,
    /// Named, wrongly.
    pub named_wrong: usize,
}

/// Crops of one label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfClass {
    /// The label.
    pub class: String,
    /// Crops.
    pub crops: usize,
    /// The best class is the label.
    pub right: usize,
    /// Named, rightly.
    pub named_right: usize,
    /// Named, wrongly.
    pub named_wrong: usize,
    /// Of the best class.
    pub f1: f64,
}

/// A label taken for another class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confused {
    /// What it is.
    pub label: String,
    /// What it was taken for.
    pub taken_for: String,
    /// How often.
    pub crops: usize,
}

/// Crops of classes that the pack does not have: any name is a wrong one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotInPack {
    /// Crops; they are no part of the figures.
    pub crops: usize,
    /// Of these, named.
    pub named: usize,
}

/// A pack on its crops.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfPack {
    /// Whose crops.
    pub region: RegionCode,
    /// The pack.
    pub pack: Ingredient,
    /// Crops.
    pub crops: usize,
    /// Signs or pictures that they show.
    pub tracks: usize,
    /// Pictures without a sign.
    pub scenery: usize,
    /// Crops of classes that the pack does not have.
    pub not_in_pack: NotInPack,
    /// The figures.
    pub figures: BTreeMap<Figure, Estimate>,
    /// Mean of the best class's probability, and its deviation from crop to crop.
    pub confidence: (f64, f64),
    /// By the shorter side of the sign in pixels.
    pub by_size: Vec<Range>,
    /// By mean brightness of the crop, 0 to 255.
    pub by_light: Vec<Range>,
    /// By label.
    pub classes: Vec<OfClass>,
    /// Most often first.
    pub confusion: Vec<Confused>,
    /// Crop by crop, unless it was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Results>,
}

/// A crop that was taken for something else, with how sure the pack was.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Which of the samples.
    pub sample: usize,
    /// What it was taken for.
    pub taken_for: String,
    /// How surely.
    pub probability: f32,
    /// The thresholds believed it.
    pub named: bool,
}

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draws {
    /// How many.
    pub resamples: usize,
    /// Which.
    pub seed: u64,
}

/// Judges samples by a pack; `name` gives what a picture is called in digests. Worst crops come surest first.
pub fn assess(
    (pack, sha256): (&Pack, &str),
    samples: &[&Sample],
    scenery: &[&Sample],
    draws: Draws,
    name: impl Fn(&Sample) -> String,
) -> Result<(OfPack, Vec<Worst>), String> {
    let bank = pack.bank(sha256)?;
    let nothing = |s: &Sample| {
        let class = pack.class(&s.crop.key);
        class.is_some_and(|c| pack.classes[usize::from(c)].family == Family::Background)
    };
    let (bare, signs): (Vec<&Sample>, Vec<&Sample>) =
        (samples.iter().copied()).partition(|s| nothing(s));
    let scenery: Vec<Sample> = (bare.iter().chain(scenery)).map(|s| (*s).clone()).collect();
    let (known, foreign): (Vec<&Sample>, Vec<&Sample>) =
        (signs.iter().copied()).partition(|s| pack.class(&s.crop.key).is_some());
    let owned = |list: &[&Sample]| list.iter().map(|s| (*s).clone()).collect::<Vec<Sample>>();
    let (known, foreign) = (owned(&known), owned(&foreign));
    let verdicts = judge(&bank, &known);
    let index = |key: &str| pack.class(key).unwrap_or_default();
    let id = |s: &Sample| hex(&Sha256::digest(name(s).as_bytes())[..8]);
    let accepted = judge(&bank, &scenery);
    let results = Results {
        classes: pack.classes.iter().map(|c| c.key.clone()).collect(),
        id: known.iter().map(id).collect(),
        track: numbered(&known),
        label: known.iter().map(|s| index(&s.crop.key)).collect(),
        best: verdicts.iter().map(|v| index(&v.best)).collect(),
        probability: verdicts.iter().map(|v| v.probability).collect(),
        named: verdicts.iter().map(|v| u8::from(v.named)).collect(),
        scenery_id: scenery.iter().map(id).collect(),
        scenery_track: numbered(&scenery),
        scenery_named: accepted.iter().map(|v| u8::from(v.named)).collect(),
    };
    let mut worst: Vec<Worst> = (verdicts.iter().zip(&known))
        .filter(|(v, _)| !v.right)
        .filter_map(|(v, s)| {
            let same = |other: &&Sample| other.crop.path == s.crop.path;
            Some(Worst {
                sample: samples.iter().position(same)?,
                taken_for: v.best.clone(),
                probability: v.probability,
                named: v.named,
            })
        })
        .collect();
    worst.sort_by(|a, b| {
        let sure = b.probability.total_cmp(&a.probability);
        b.named
            .cmp(&a.named)
            .then(sure)
            .then(a.sample.cmp(&b.sample))
    });
    let confused = confusion(&known, &verdicts).into_iter();
    let sizes: Vec<f32> = known.iter().map(|s| s.side_px).collect();
    let lights: Vec<f32> = known.iter().map(|s| s.light).collect();
    let found = OfPack {
        region: pack.region,
        pack: Ingredient {
            name: pack.region.to_string(),
            version: Some(pack.version.clone()),
            sha256: sha256.to_owned(),
        },
        crops: known.len(),
        tracks: results.tracks(),
        scenery: scenery.len(),
        not_in_pack: NotInPack {
            crops: foreign.len(),
            named: judge(&bank, &foreign).iter().filter(|v| v.named).count(),
        },
        figures: results.estimates(draws.resamples, draws.seed),
        confidence: mean_and_deviation(&results.probability),
        by_size: ranges(&SIZES_PX, &sizes, &results),
        by_light: ranges(&LIGHTS, &lights, &results),
        classes: by_class(&results),
        confusion: confused
            .map(|(label, taken_for, crops)| Confused {
                label,
                taken_for,
                crops,
            })
            .collect(),
        results: Some(results),
    };
    Ok((found, worst))
}

/// A number for each track.
fn numbered(samples: &[Sample]) -> Vec<u32> {
    let mut numbers: BTreeMap<(Option<&str>, &str), u32> = BTreeMap::new();
    (samples.iter())
        .map(|s| {
            let next = numbers.len() as u32;
            let key = (s.crop.region.as_deref(), s.crop.track.as_str());
            *numbers.entry(key).or_insert(next)
        })
        .collect()
}

fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let squares: f64 = (values.iter())
        .map(|v| (f64::from(*v) - mean).powi(2))
        .sum();
    (mean, (squares / count).sqrt())
}

fn ranges(lower: &[f32], values: &[f32], results: &Results) -> Vec<Range> {
    let mut ranges: Vec<Range> = (lower.iter().enumerate())
        .map(|(i, from)| Range {
            from: *from,
            to: lower.get(i + 1).copied(),
            crops: 0,
            named_right: 0,
            named_wrong: 0,
        })
        .collect();
    for (i, value) in values.iter().enumerate() {
        let Some(range) = ranges.iter_mut().rfind(|r| *value >= r.from) else {
            continue;
        };
        range.crops += 1;
        if results.named[i] != 0 {
            let right = results.right(i);
            range.named_right += usize::from(right);
            range.named_wrong += usize::from(!right);
        }
    }
    ranges
}

fn by_class(results: &Results) -> Vec<OfClass> {
    let mut counts = vec![[0_u32; 3]; results.classes.len()];
    let mut named = vec![[0_usize; 2]; results.classes.len()];
    for i in 0..results.len() {
        let [label, best] = [results.label[i], results.best[i]].map(usize::from);
        let right = results.right(i);
        counts[label][0] += 1;
        counts[best][1] += 1;
        counts[label][2] += u32::from(right);
        named[label][usize::from(right)] += usize::from(results.named[i]);
    }
    (results.classes.iter().zip(counts).zip(named))
        .filter(|((_, counts), _)| counts[0] > 0)
        .map(|((class, counts), [named_wrong, named_right])| OfClass {
            class: class.clone(),
            crops: counts[0] as usize,
            right: counts[2] as usize,
            named_right,
            named_wrong,
            f1: f1(&counts),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_agree_with_those_worked_out_by_hand() {
        // Four crops of two classes, as in docs/evaluation.md: a, a, a, b taken for a, a, b, b; the wrong one is unnamed.
        let results = Results {
            classes: vec!["a".to_owned(), "b".to_owned()],
            id: ["1", "2", "3", "4"].map(str::to_owned).to_vec(),
            track: vec![0, 1, 2, 3],
            label: vec![0, 0, 0, 1],
            best: vec![0, 0, 1, 1],
            probability: vec![0.9, 0.9, 0.5, 0.9],
            named: vec![1, 1, 0, 1],
            scenery_id: ["5", "6"].map(str::to_owned).to_vec(),
            scenery_track: vec![0, 1],
            scenery_named: vec![1, 0],
        };
        assert!(results.is_whole());
        let found = results.figures(&[1; 4], &[1; 2]).map(Option::unwrap);
        // F1 of a: 2 * 2 / (3 + 2) = 0.8; of b: 2 * 1 / (1 + 2) = 0.667. Calibration: 3 at 0.9 all right, 1 at 0.5 wrong.
        let expected = [
            0.75,
            0.75,
            0.0,
            0.25,
            (0.8 + 2.0 / 3.0) / 2.0,
            (0.3 + 0.5) / 4.0,
            0.5,
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        // A track that counts twice is two of the kind.
        let twice = results.figures(&[1, 1, 2, 1], &[1; 2]);
        assert!((twice[0].unwrap() - 0.6).abs() < 1e-9);
        let mut torn = results;
        torn.best[0] = 7;
        assert!(!torn.is_whole());
    }
}
