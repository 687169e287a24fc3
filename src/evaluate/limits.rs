//! The speed limit shown against the one in force, as Regulation (EU) 2021/1958 (ISA) and Euro NCAP's Safe Driving,
//! Vehicle Assistance protocol measure it. `docs/evaluation.md` has the formulas and where they stand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::isa::{self, Isa};
use crate::units::{RoadType, SpeedUnit};

/// Both KPIs of Euro NCAP must be above this.
pub const NCAP_SHARE: f64 = 0.8;

/// A speed limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The number.
    pub value: f32,
    /// Its unit.
    pub unit: SpeedUnit,
}

/// From this time on, this limit was shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// When.
    pub time_s: f64,
    /// `None`: none.
    pub limit: Option<Limit>,
}

/// A piece of the way with one limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Where it begins.
    pub from_m: f64,
    /// Where it ends.
    pub to_m: f64,
    /// The limit in force; `None`: not known, so not judged.
    pub limit: Option<Limit>,
    /// What kind of road it is, where that is known.
    pub road: Option<RoadType>,
}

/// Where the vehicle was when: points of time and distance, both rising.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Way(Vec<(f64, f64)>);

impl Way {
    /// From points in order; those that go back are left out.
    pub fn new(points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut way: Vec<(f64, f64)> = Vec::new();
        for (time_s, at_m) in points {
            if way
                .last()
                .is_none_or(|last| time_s > last.0 && at_m >= last.1)
            {
                way.push((time_s, at_m));
            }
        }
        Self(way)
    }

    /// The distance at a time; before and after the drive, its ends.
    pub fn at(&self, time_s: f64) -> f64 {
        between(&self.0, time_s, |p| p.0, |p| p.1)
    }

    /// When a distance was reached first.
    pub fn when(&self, at_m: f64) -> f64 {
        between(&self.0, at_m, |p| p.1, |p| p.0)
    }

    /// From the first to the last point.
    pub fn length_m(&self) -> f64 {
        let ends = self.0.first().zip(self.0.last());
        ends.map_or(0.0, |(first, last)| last.1 - first.1)
    }

    /// How long it took.
    pub fn duration_s(&self) -> f64 {
        let ends = self.0.first().zip(self.0.last());
        ends.map_or(0.0, |(first, last)| last.0 - first.0)
    }

    fn ends_m(&self) -> (f64, f64) {
        let ends = self.0.first().zip(self.0.last());
        ends.map_or((0.0, 0.0), |(first, last)| (first.1, last.1))
    }
}

type Axis = fn(&(f64, f64)) -> f64;

fn between(points: &[(f64, f64)], x: f64, of: Axis, to: Axis) -> f64 {
    let next = points.partition_point(|p| of(p) < x);
    match (next.checked_sub(1).map(|i| &points[i]), points.get(next)) {
        (Some(a), Some(b)) => to(a) + (to(b) - to(a)) * (x - of(a)) / (of(b) - of(a)),
        (None, Some(end)) | (Some(end), None) => to(end),
        (None, None) => 0.0,
    }
}

/// Distance, and how much of it had the right limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Covered {
    /// Driven.
    pub km: f64,
    /// Of these, with the right limit shown.
    pub right_km: f64,
    /// The share of it.
    pub share: Option<f64>,
}

impl Covered {
    fn add(&mut self, m: f64, right: bool) {
        self.km += m / 1e3;
        self.right_km += if right { m / 1e3 } else { 0.0 };
        self.share = (self.km > 0.0).then(|| self.right_km / self.km);
    }
}

/// Where the limit changes, and what was shown then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Where, along the way.
    pub at_m: f64,
    /// To which limit.
    pub to: Limit,
    /// After so many metres it was shown; `None`: not before the next change.
    pub after_m: Option<f64>,
    /// After so many seconds.
    pub after_s: Option<f64>,
    /// Soon enough for the ISA regulation.
    pub in_time: bool,
}

/// The figures of Euro NCAP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ncap {
    /// Share of the distance with the right limit.
    pub kpi_distance: Option<f64>,
    /// Share of the changes that were shown before the next one.
    pub kpi_event: Option<f64>,
    /// The changes.
    pub events: usize,
    /// Those that were shown.
    pub events_right: usize,
}

/// The limit shown against the one in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Where the limit in force is known.
    pub judged: Covered,
    /// Where it is not.
    pub not_judged_km: f64,
    /// By type of road.
    pub roads: BTreeMap<RoadType, Covered>,
    /// Where a wrong limit was shown; the rest showed none.
    pub wrong_km: f64,
    /// Each change of the limit.
    pub changes: Vec<Change>,
    /// The regulation's.
    pub isa: Isa,
    /// Euro NCAP's.
    pub euro_ncap: Ncap,
}

/// Judges what was shown on a way.
pub fn assess(stretches: &[Stretch], way: &Way, shown: &[Shown]) -> Limits {
    let pieces = pieces(way, shown);
    let (mut judged, mut roads) = (Covered::default(), BTreeMap::<RoadType, Covered>::new());
    let (mut not_judged_km, mut wrong_km) = (0.0, 0.0);
    let mut course = vec![(0.0, 0.0)];
    let (start_m, end_m) = way.ends_m();
    for s in stretches {
        let (from, to) = (s.from_m.max(start_m), s.to_m.min(end_m));
        if s.limit.is_none() {
            not_judged_km += (to - from).max(0.0) / 1e3;
            continue;
        }
        for (begin, end, limit) in &pieces {
            let m = end.min(to) - begin.max(from);
            if m <= 0.0 {
                continue;
            }
            let right = *limit == s.limit;
            judged.add(m, right);
            course.push((judged.km, judged.right_km));
            if let Some(road) = s.road {
                roads.entry(road).or_default().add(m, right);
            }
            wrong_km += if !right && limit.is_some() {
                m / 1e3
            } else {
                0.0
            };
        }
    }
    let changes = changes(stretches, way, shown);
    let events_right = changes.iter().filter(|c| c.after_m.is_some()).count();
    let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
    Limits {
        isa: isa::assess(&judged, &roads, &course, &changes),
        euro_ncap: Ncap {
            kpi_distance: judged.share,
            kpi_event: share(events_right, changes.len()),
            events: changes.len(),
            events_right,
        },
        judged,
        not_judged_km,
        roads,
        wrong_km,
        changes,
    }
}

/// From where to where which limit was shown.
fn pieces(way: &Way, shown: &[Shown]) -> Vec<(f64, f64, Option<Limit>)> {
    let (mut from, end_m) = way.ends_m();
    let mut limit = None;
    let mut pieces = Vec::new();
    for s in shown {
        let at = way.at(s.time_s);
        pieces.push((from, at, limit));
        (from, limit) = (at, s.limit);
    }
    pieces.push((from, end_m, limit));
    pieces
}

fn changes(stretches: &[Stretch], way: &Way, shown: &[Shown]) -> Vec<Change> {
    let (start_m, end_m) = way.ends_m();
    let mut changes = Vec::new();
    for (i, s) in stretches.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| stretches[i].limit);
        let (Some(to), true) = (s.limit, before.is_some_and(|b| b != s.limit)) else {
            continue;
        };
        // Until the limit changes again: a road type may change before.
        let end = stretches[i..].iter().find(|n| n.limit != s.limit);
        let until_s = way.when(end.map_or(end_m, |n| n.from_m).min(end_m));
        if s.from_m <= start_m || s.from_m >= end_m {
            continue;
        }
        let passed_s = way.when(s.from_m);
        let at_sign = shown.iter().rfind(|n| n.time_s <= passed_s);
        let right_at_sign = at_sign.is_some_and(|n| n.limit == Some(to));
        let later = shown
            .iter()
            .find(|n| n.time_s > passed_s && n.time_s < until_s && n.limit == Some(to));
        let when_s = match right_at_sign {
            true => Some(passed_s),
            false => later.map(|n| n.time_s),
        };
        let after_m = when_s.map(|t| way.at(t) - s.from_m);
        let after_s = when_s.map(|t| t - passed_s);
        let speed_mps = way.at(passed_s + 0.5) - way.at(passed_s - 0.5);
        changes.push(Change {
            at_m: s.from_m,
            to,
            after_m,
            after_s,
            in_time: after_s
                .zip(after_m)
                .is_some_and(|(s, m)| isa::in_time(s, m, speed_mps)),
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kmh(value: f32) -> Option<Limit> {
        let unit = SpeedUnit::KilometresPerHour;
        Some(Limit { value, unit })
    }

    fn stretch(from_m: f64, to_m: f64, limit: Option<Limit>, road: RoadType) -> Stretch {
        Stretch {
            from_m,
            to_m,
            limit,
            road: Some(road),
        }
    }

    /// The example of docs/evaluation.md: a kilometre at 10 m/s.
    #[test]
    fn the_shares_and_delays_agree_with_the_worked_example() {
        let stretches = [
            stretch(0.0, 400.0, kmh(50.0), RoadType::Urban),
            stretch(400.0, 900.0, kmh(100.0), RoadType::Rural),
            stretch(900.0, 1000.0, kmh(80.0), RoadType::Rural),
        ];
        let way = Way::new([(0.0, 0.0), (100.0, 1000.0)]);
        let shown = [
            (2.0, kmh(50.0)),
            (43.0, kmh(100.0)),
            (70.0, kmh(70.0)),
            (76.0, kmh(100.0)),
        ];
        let shown = shown.map(|(time_s, limit)| Shown { time_s, limit });
        let found = assess(&stretches, &way, &shown);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        // Right: 20 to 400, 430 to 700, 760 to 900.
        near(found.judged.right_km, 0.79);
        near(found.judged.share.unwrap(), 0.79);
        near(found.roads[&RoadType::Urban].share.unwrap(), 0.95);
        near(found.roads[&RoadType::Rural].share.unwrap(), 410.0 / 600.0);
        // Wrong: 400 to 430, 700 to 760, 900 to 1000; none at all: 0 to 20.
        near(found.wrong_km, 0.19);
        assert_eq!(found.changes.len(), 2);
        near(found.changes[0].after_m.unwrap(), 30.0);
        near(found.changes[0].after_s.unwrap(), 3.0);
        assert_eq!(found.changes[1].after_m, None);
        assert_eq!(found.euro_ncap.kpi_event, Some(0.5));
        near(found.euro_ncap.kpi_distance.unwrap(), 0.79);
        assert!(!found.isa.met);
        // 100 came 3 s after its sign at 10 m/s, 80 never.
        assert_eq!((found.isa.changes, found.isa.changes_in_time), (2, 0));
        assert_eq!(
            found.isa.lacks[..2],
            ["1.0 of 400 km", "0 of 25 % motorway roads"]
        );
    }

    #[test]
    fn what_is_not_known_is_not_judged_and_a_limit_seen_early_has_no_delay() {
        let stretches = [
            stretch(0.0, 500.0, None, RoadType::Motorway),
            stretch(500.0, 700.0, kmh(80.0), RoadType::Rural),
            // The same limit in town is no change.
            stretch(700.0, 1000.0, kmh(80.0), RoadType::Urban),
        ];
        let way = Way::new([(0.0, 0.0), (100.0, 1000.0)]);
        let shown = [Shown {
            time_s: 45.0,
            limit: kmh(80.0),
        }];
        let found = assess(&stretches, &way, &shown);
        assert!((found.not_judged_km - 0.5).abs() < 1e-9);
        assert_eq!(found.judged.share, Some(1.0));
        assert_eq!(found.changes.len(), 1);
        assert_eq!(found.changes[0].after_m, Some(0.0));
        assert!(found.changes[0].in_time);
        assert!(found.isa.met);
        // Eighty miles are not eighty kilometres.
        let miles = Limit {
            value: 80.0,
            unit: SpeedUnit::MilesPerHour,
        };
        let shown = [Shown {
            time_s: 45.0,
            limit: Some(miles),
        }];
        assert_eq!(assess(&stretches, &way, &shown).judged.share, Some(0.0));
    }
}
