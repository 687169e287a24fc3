//! The figures of Delegated Regulation (EU) 2021/1958 on intelligent speed assistance, Annex I. Points are named where
//! they are used; `docs/evaluation.md` has the formulas and a worked example.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits::{Change, Covered};
use crate::units::RoadType;

/// Least share of the whole distance with the right limit (point 3.4.2.5.2).
pub const TOTAL: f64 = 0.9;
/// Least share on each type of road (the same).
pub const ROAD: f64 = 0.8;
/// The limit of a sign is known at the latest so long after the sign is passed (points 3.4.2.2.1 and 3.4.2.3.1).
const IN_TIME_S: f64 = 2.0;
/// Below this speed a distance counts instead (the same).
const SLOW_MPS: f64 = 20.0 / 3.6;
/// This distance.
const IN_TIME_M: f64 = 10.0;
/// Length of a test drive (point 4.3.1.5).
const LENGTH_KM: f64 = 400.0;
/// A shorter one will do that has at least this length and whose share was steady at its end (the same).
const SHORT_KM: f64 = 300.0;
const STEADY_KM: f64 = 50.0;
const STEADY: f64 = 0.05;
/// Each type of road is at least such a share of a test drive (point 4.3.1.3).
const ROAD_SHARE: f64 = 0.25;

/// What the regulation would say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Isa {
    /// Enough on the whole way and on each type of road that was driven.
    pub met: bool,
    /// Changes of the limit.
    pub changes: usize,
    /// Those known in time.
    pub changes_in_time: usize,
    /// What the drive lacks to be a test drive of the regulation.
    pub lacks: Vec<String>,
}

/// Whether a limit that was shown so long and so far after its sign came in time.
pub fn in_time(after_s: f64, after_m: f64, speed_mps: f64) -> bool {
    after_s <= IN_TIME_S || speed_mps < SLOW_MPS && after_m <= IN_TIME_M
}

/// `course`: judged and right kilometres so far, at every point where the share turns.
pub fn assess(
    judged: &Covered,
    roads: &BTreeMap<RoadType, Covered>,
    course: &[(f64, f64)],
    changes: &[Change],
) -> Isa {
    let enough = |covered: &Covered, least: f64| covered.share.is_some_and(|s| s >= least);
    Isa {
        met: enough(judged, TOTAL) && roads.values().all(|r| enough(r, ROAD)),
        changes: changes.len(),
        changes_in_time: changes.iter().filter(|c| c.in_time).count(),
        lacks: lacks(judged, roads, course),
    }
}

fn lacks(
    judged: &Covered,
    roads: &BTreeMap<RoadType, Covered>,
    course: &[(f64, f64)],
) -> Vec<String> {
    let mut lacks = Vec::new();
    if judged.km < LENGTH_KM && !(judged.km > SHORT_KM && steady(course)) {
        lacks.push(format!("{:.1} of {LENGTH_KM:.0} km", judged.km));
    }
    for road in RoadType::ALL {
        let share = roads.get(&road).map_or(0.0, |r| r.km) / judged.km.max(1e-9);
        if share < ROAD_SHARE {
            let (share, least) = (100.0 * share, 100.0 * ROAD_SHARE);
            lacks.push(format!("{share:.0} of {least:.0} % {} roads", road.name()));
        }
    }
    lacks.push("darkness and repeated roads are not looked at".to_owned());
    lacks
}

/// Whether the share so far stayed within 5 points of its last value on the last 50 km.
fn steady(course: &[(f64, f64)]) -> bool {
    let Some(&(end_km, end_right)) = course.last() else {
        return false;
    };
    let from = end_km - STEADY_KM;
    let next = course.partition_point(|p| p.0 < from);
    // Between two points the share rises or falls all the way: the ends are its extremes.
    let (before, after) = match next.checked_sub(1) {
        Some(i) => (course[i], course[next]),
        None => return false,
    };
    let part = (from - before.0) / (after.0 - before.0);
    let first = (from, before.1 + part * (after.1 - before.1));
    [first]
        .iter()
        .chain(&course[next..])
        .all(|(km, right)| (right / km - end_right / end_km).abs() <= STEADY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(km: f64, right_km: f64) -> Covered {
        Covered {
            km,
            right_km,
            share: Some(right_km / km),
        }
    }

    #[test]
    fn a_sign_has_two_seconds_or_in_slow_traffic_ten_metres() {
        assert!(in_time(2.0, 50.0, 25.0));
        assert!(!in_time(2.1, 9.0, 25.0));
        assert!(in_time(4.0, 9.0, 2.25));
        assert!(!in_time(6.0, 13.5, 2.25));
    }

    #[test]
    fn a_drive_of_320_km_will_do_only_if_its_share_was_steady() {
        let roads: BTreeMap<_, _> = RoadType::ALL
            .into_iter()
            .map(|road| (road, covered(320.0 / 3.0, 100.0)))
            .collect();
        let lacks = |course: &[(f64, f64)]| {
            let &(km, right) = course.last().unwrap();
            assess(&covered(km, right), &roads, course, &[]).lacks
        };
        assert_eq!(lacks(&[(0.0, 0.0), (320.0, 304.0)]).len(), 1);
        // At 270 km the share was 100 %, at the end it is 90: ten points apart.
        let falling = [(0.0, 0.0), (270.0, 270.0), (290.0, 270.0), (320.0, 288.0)];
        assert_eq!(lacks(&falling)[0], "320.0 of 400 km");
        assert_eq!(lacks(&[(0.0, 0.0), (290.0, 290.0)])[0], "290.0 of 400 km");
    }
}
