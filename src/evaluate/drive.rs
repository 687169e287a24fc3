//! Signs told on a drive against those that stood there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::events::{Told, Track};
use super::interval::Estimate;
use super::limits::{self, Limit, Limits, Stretch, Way};
use crate::simulate::truth::{SignTruth, Truth};
use crate::units::BoxPx;

/// The files this build writes and reads.
pub const FORMAT: &str = "tsedge-eval-drive/1";
/// A name belongs to the sign whose true box it covers by so much, intersection over union.
const SAME_SIGN_IOU: f32 = 0.3;
/// Lower ends of the sizes that are told apart: the longest side while visible, in pixels.
const SIZES_PX: [f32; 5] = [0.0, 16.0, 24.0, 40.0, 64.0];

/// Signs of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Signs that stood there.
    pub signs: usize,
    /// Named as what they are.
    pub right: usize,
    /// Named as something else.
    pub wrong: usize,
    /// Not named.
    pub missed: usize,
    /// Names given where no sign stood, or another.
    pub false_names: usize,
}

/// Signs up to a size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OfSize {
    /// From this longest side on, in pixels.
    pub from_px: f32,
    /// Up to here; `None`: all above.
    pub to_px: Option<f32>,
    /// The signs.
    pub counts: Counts,
}

/// How long something took over the signs that were named right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half took at most this.
    pub median: f64,
    /// Nine of ten took at most this.
    pub p90: f64,
    /// The longest.
    pub most: f64,
}

/// From the first frame that a sign was visible in to its first right name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToConfirmed {
    /// In seconds.
    pub seconds: Spread,
    /// In metres driven; `None` when the way is not known.
    pub metres: Option<Spread>,
}

/// Events over 100 km.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Per100Km {
    /// Names of other classes than the sign's.
    pub wrong: f64,
    /// Signs not named.
    pub missed: f64,
    /// Names without a sign.
    pub false_names: f64,
}

/// The signs of a drive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signs {
    /// All of them.
    pub all: Counts,
    /// Of the names given, the share that was right.
    pub precision: Option<Estimate>,
    /// Of the signs, the share that was named right.
    pub recall: Option<Estimate>,
    /// Further tracks of signs that had one; they count in nothing else.
    pub repeated: usize,
    /// Tracks whose first name was not their last.
    pub renamed: usize,
    /// By class.
    pub classes: BTreeMap<String, Counts>,
    /// By size.
    pub sizes: Vec<OfSize>,
    /// How long it took.
    pub to_confirmed: Option<ToConfirmed>,
    /// Over 100 km; `None` when the way is not known.
    pub per_100_km: Option<Per100Km>,
    /// Each sign that was not named right, and each name without one, for people.
    pub mistakes: Vec<String>,
}

/// A drive's figures, as `docs/schema/eval-drive.schema.json` describes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drive {
    /// Its length.
    pub km: f64,
    /// Its duration.
    pub seconds: f64,
    /// Its signs, where the truth says them.
    pub signs: Option<Signs>,
    /// Its speed limits, where the truth or a map says them.
    pub limits: Option<Limits>,
}

/// Where a drive with a truth was when.
pub fn way(truth: &Truth) -> Way {
    let rate_hz = f64::from(truth.rate_hz.max(1));
    Way::new(
        (0_u32..)
            .map(|frame| f64::from(frame) / rate_hz)
            .zip(truth.way_m.iter().copied()),
    )
}

/// The limits that a truth says.
pub fn stretches(truth: &Truth) -> Vec<Stretch> {
    (truth.limits.iter())
        .map(|l| Stretch {
            from_m: l.from_m,
            to_m: l.to_m,
            limit: l.limit.map(|value| Limit {
                value,
                unit: l.unit,
            }),
            road: l.road,
        })
        .collect()
}

/// Everything that a truth allows to say. Signs that never had `least_px` on their longer side are left out.
pub fn assess(truth: &Truth, told: &Told, least_px: f32) -> Drive {
    let way = way(truth);
    let stretches = stretches(truth);
    let known = stretches.iter().any(|s| s.limit.is_some()) && way.length_m() > 0.0;
    Drive {
        km: way.length_m() / 1e3,
        seconds: truth.frames as f64 / f64::from(truth.rate_hz.max(1)),
        signs: Some(signs(truth, &way, told, least_px)),
        limits: known.then(|| limits::assess(&stretches, &way, &told.limits)),
    }
}

fn signs(truth: &Truth, way: &Way, told: &Told, least_px: f32) -> Signs {
    let visible = |s: &&SignTruth| !s.boxes.is_empty() && s.max_px >= least_px;
    let standing: Vec<&SignTruth> = truth.signs.iter().filter(visible).collect();
    let mut of_sign: BTreeMap<usize, Vec<&Track>> = BTreeMap::new();
    let (mut all, mut classes) = (Counts::default(), BTreeMap::<String, Counts>::new());
    let (mut sizes, mut mistakes) = (sizes(), Vec::new());
    for track in told.tracks.iter().filter(|t| t.last.is_some()) {
        match sign_of(truth, track) {
            // Small ones that were read all the same are no mistakes.
            Some(sign) => of_sign.entry(sign.id).or_default().push(track),
            None => {
                let name = track.last.clone().unwrap_or_default();
                let first = track.named.first().map_or(0.0, |n| n.time_s);
                mistakes.push(format!("{first:.1} s: {name} where no sign stood"));
                all.false_names += 1;
                classes.entry(name).or_default().false_names += 1;
            }
        }
    }
    let (mut seconds, mut metres) = (Vec::new(), Vec::new());
    let mut repeated = 0;
    for sign in &standing {
        let tracks = of_sign.get(&sign.id).map_or(&[][..], Vec::as_slice);
        let right = tracks
            .iter()
            .find(|t| t.last.as_deref() == Some(&sign.class));
        repeated += tracks.len().saturating_sub(1);
        let size = sizes.iter_mut().rfind(|s| sign.max_px >= s.from_px);
        let class = classes.entry(sign.class.clone()).or_default();
        let mut count = |f: fn(&mut Counts)| {
            f(&mut all);
            f(class);
        };
        count(|c| c.signs += 1);
        let outcome: fn(&mut Counts) = match (right, tracks.first()) {
            (Some(_), _) => |c| c.right += 1,
            (None, Some(_)) => |c| c.wrong += 1,
            (None, None) => |c| c.missed += 1,
        };
        count(outcome);
        if let Some(size) = size {
            size.counts.signs += 1;
            outcome(&mut size.counts);
        }
        let at = format!(
            "{} at {:.0} m, {:.0} px at most",
            sign.class, sign.at_m, sign.max_px
        );
        match (right, tracks.first()) {
            (Some(track), _) => {
                let first = track.named.iter().find(|n| n.class == sign.class);
                if let (Some(first), Some(seen)) = (first, sign.first_frame) {
                    let seen_s = seen as f64 / f64::from(truth.rate_hz.max(1));
                    seconds.push(first.time_s - seen_s);
                    metres.push(way.at(first.time_s) - way.at(seen_s));
                }
            }
            (None, Some(track)) => {
                let name = track.last.clone().unwrap_or_default();
                mistakes.push(format!("{at}: taken for {name}"));
                classes.entry(name).or_default().false_names += 1;
            }
            (None, None) => mistakes.push(format!("{at}: not named")),
        }
    }
    let km = way.length_m() / 1e3;
    let over = |count: usize| 100.0 * count as f64 / km;
    let known = way.length_m() > 0.0;
    let metres = spread(&mut metres).filter(|_| known);
    let first_is_last = |t: &&Track| t.named.first().map(|n| &n.class) != t.last.as_ref();
    Signs {
        precision: Estimate::share(all.right, all.right + all.wrong + all.false_names),
        recall: Estimate::share(all.right, all.signs),
        repeated,
        renamed: told.tracks.iter().filter(first_is_last).count(),
        to_confirmed: spread(&mut seconds).map(|seconds| ToConfirmed { seconds, metres }),
        per_100_km: known.then(|| Per100Km {
            wrong: over(all.wrong),
            missed: over(all.missed),
            false_names: over(all.false_names),
        }),
        all,
        classes,
        sizes,
        mistakes,
    }
}

fn sizes() -> Vec<OfSize> {
    (SIZES_PX.iter().enumerate())
        .map(|(i, from_px)| OfSize {
            from_px: *from_px,
            to_px: SIZES_PX.get(i + 1).copied(),
            counts: Counts::default(),
        })
        .collect()
}

/// The sign whose box covers the track's best at any of its names.
fn sign_of<'a>(truth: &'a Truth, track: &Track) -> Option<&'a SignTruth> {
    let mut best: Option<(f32, &SignTruth)> = None;
    for named in &track.named {
        for sign in &truth.signs {
            let Ok(at) = sign.boxes.binary_search_by_key(&named.frame, |b| b.0) else {
                continue;
            };
            let [x0, y0, x1, y1] = sign.boxes[at].1;
            let iou = BoxPx::new(x0, y0, x1, y1).iou(&named.bbox);
            if iou >= SAME_SIGN_IOU && best.is_none_or(|(most, _)| iou > most) {
                best = Some((iou, sign));
            }
        }
    }
    best.map(|(_, sign)| sign)
}

fn spread(values: &mut [f64]) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let most = *values.last()?;
    let at = |share: f64| values[((share * values.len() as f64).ceil() as usize).max(1) - 1];
    Some(Spread {
        median: at(0.5),
        p90: at(0.9),
        most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::events::Named;

    fn sign(id: usize, class: &str, frame: u64, side: f32) -> SignTruth {
        let boxes = (frame..frame + 10).map(|f| (f, [100.0, 100.0, 100.0 + side, 100.0 + side]));
        SignTruth {
            id,
            class: class.to_owned(),
            style: crate::draw::sign::NationalStyle::De,
            at_m: 50.0,
            latitude_deg: 0.0,
            longitude_deg: 0.0,
            first_frame: Some(frame),
            last_frame: Some(frame + 9),
            min_px: side,
            max_px: side,
            boxes: boxes.collect(),
        }
    }

    fn track(track: u32, frame: u64, side: f32, names: &[&str]) -> Track {
        let named = |(n, class): (usize, &&str)| Named {
            time_s: (frame + n as u64) as f64 / 10.0,
            frame: frame + n as u64,
            class: (*class).to_owned(),
            bbox: BoxPx::new(101.0, 101.0, 101.0 + side, 101.0 + side),
        };
        Track {
            track,
            named: names.iter().enumerate().map(named).collect(),
            last: names.last().map(|n| (*n).to_owned()),
        }
    }

    /// The example of docs/evaluation.md: four signs on two kilometres at 20 m/s, 10 frames a second.
    #[test]
    fn the_counts_agree_with_the_worked_example() {
        let truth = Truth {
            width_px: 640,
            height_px: 360,
            rate_hz: 10,
            frames: 1001,
            regions: Vec::new(),
            signs: vec![
                sign(0, "stop", 100, 30.0),
                sign(1, "yield", 200, 50.0),
                sign(2, "no_entry", 300, 20.0),
                sign(3, "stop", 400, 10.0),
            ],
            way_m: (0..1001).map(|f| f64::from(f) * 2.0).collect(),
            limits: Vec::new(),
        };
        let told = Told {
            tracks: vec![
                // Seen at frame 100, named at 105: half a second, ten metres.
                track(1, 105, 30.0, &["stop"]),
                // First taken for a stop, then right.
                track(2, 203, 50.0, &["stop", "yield"]),
                // A second track of the same sign.
                track(3, 207, 50.0, &["yield"]),
                // Taken for something else.
                track(4, 304, 20.0, &["no_stopping"]),
                // No sign stands there in this frame.
                track(5, 600, 30.0, &["stop"]),
                // A name that was taken back.
                Track {
                    last: None,
                    ..track(6, 700, 30.0, &["yield"])
                },
            ],
            ..Told::default()
        };
        let found = assess(&truth, &told, 16.0).signs.unwrap();
        let all = Counts {
            signs: 3,
            right: 2,
            wrong: 1,
            missed: 0,
            false_names: 1,
        };
        assert_eq!(found.all, all);
        // Two right of four names; two right of three signs.
        assert_eq!(found.precision.unwrap().value, 0.5);
        assert!((found.recall.unwrap().value - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!((found.repeated, found.renamed), (1, 2));
        let to_confirmed = found.to_confirmed.unwrap();
        assert!((to_confirmed.seconds.most - 0.5).abs() < 1e-9);
        assert!((to_confirmed.metres.unwrap().most - 10.0).abs() < 1e-9);
        // One wrong name on two kilometres are fifty on a hundred.
        assert!((found.per_100_km.unwrap().wrong - 50.0).abs() < 1e-9);
        assert_eq!(found.classes["no_stopping"].false_names, 1);
        assert_eq!(found.sizes[1].counts.signs, 1);
        // The sign of ten pixels counts when it is asked for.
        assert_eq!(assess(&truth, &told, 8.0).signs.unwrap().all.missed, 1);
    }
}
