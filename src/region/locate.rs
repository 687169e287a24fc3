//! Which region the car is in, from readings of its position.
//!
//! A new region counts after [`LocatePlan::fixes`] fixes in a row inside it, the last of them at least
//! [`LocatePlan::inside_m`] from the first: a road along a border, a receiver that trembles, or a fix
//! abroad for a second change nothing. Across a gap or a jump nothing is counted on. The first fix of
//! all decides at once. Without a position the region is kept: [`Standing`] says how far to trust it.
//!
//! Times are those of the readings; there is no thread and no clock here.

use super::borders::{Borders, Near};
use crate::event::Crossing;
use crate::position::{Fix, Reading, distance_m};
use crate::units::{RegionCode, Timestamp};

/// When a new region counts, and how long an old one holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocatePlan {
    /// Fixes in a row inside it.
    pub fixes: u32,
    /// Distance from the first of them.
    pub inside_m: f64,
    /// Regions so near are held ready; twice as far straight ahead.
    pub near_m: f64,
    /// Without a fix for so long, there is no position.
    pub no_fix_after_s: f64,
    /// The region is stale after so long without a fix, and
    pub stale_after_s: f64,
    /// when the car may have come so far.
    pub stale_after_m: f64,
    /// Fixes that are less sure than this do not count.
    pub max_error_m: f32,
}

impl Default for LocatePlan {
    fn default() -> Self {
        Self {
            fixes: 3,
            inside_m: 50.0,
            near_m: 5_000.0,
            no_fix_after_s: 5.0,
            stale_after_s: 60.0,
            stale_after_m: 1_000.0,
            max_error_m: 100.0,
        }
    }
}

/// Fixes further apart than this in time say nothing of what lies between them.
const GAP_S: f64 = 10.0;
/// No car is faster: 360 km/h.
const FASTEST_MPS: f64 = 100.0;
/// Neighbouring fixes of a sound receiver may differ by so much on top.
const TREMBLE_M: f64 = 30.0;
/// A car that stood at its last fix may have moved off since.
const SLOWEST_MPS: f64 = 1.5;

/// What is known of the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// There never was a fix.
    #[default]
    Never,
    /// The place is known.
    Known,
    /// Not at the moment; the region is kept.
    Missing,
    /// Not for so long and so far that the region may be wrong; it is kept.
    Stale,
}

/// Another region counts from now on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entered {
    /// The region.
    pub region: RegionCode,
    /// Its first fix; none for the first region of all.
    pub crossing: Option<Crossing>,
}

/// Fixes in a row in a region that does not count yet.
#[derive(Debug)]
struct Candidate {
    region: RegionCode,
    crossing: Crossing,
    fixes: u32,
    reached_m: f64,
}

/// Follows the car; see the module.
#[derive(Debug)]
pub struct RegionLocator {
    borders: Borders,
    plan: LocatePlan,
    current: Option<RegionCode>,
    candidate: Option<Candidate>,
    last: Option<Fix>,
    /// Speed at the last fix, as told or as driven.
    speed_mps: f64,
    near: Near,
    looked_at: Option<(f64, f64)>,
}

impl RegionLocator {
    /// Within `borders`.
    pub fn new(plan: LocatePlan, borders: Borders) -> Self {
        Self {
            borders,
            plan,
            current: None,
            candidate: None,
            last: None,
            speed_mps: 0.0,
            near: Near::new(),
            looked_at: None,
        }
    }

    /// The region that counts.
    pub fn current(&self) -> Option<RegionCode> {
        self.current
    }

    /// The last fix that counted.
    pub fn last(&self) -> Option<&Fix> {
        self.last.as_ref()
    }

    /// The regions that may be next, and the one the car is in.
    pub fn near(&self) -> &[RegionCode] {
        &self.near
    }

    /// Takes the next reading; says when another region counts.
    pub fn take(&mut self, reading: &Reading) -> Option<Entered> {
        match reading {
            Reading::Fix(fix) if fix.accuracy_m.is_none_or(|e| e <= self.plan.max_error_m) => {
                self.fix(fix)
            }
            // The time since the last good fix says all.
            Reading::Fix(_) | Reading::NoFix(_) => None,
        }
    }

    fn fix(&mut self, fix: &Fix) -> Option<Entered> {
        let step = self.last.map(|last| {
            let step_m = distance_m(last.position_deg(), fix.position_deg());
            (fix.time.seconds_since(last.time), step_m)
        });
        // A reading that comes late or twice tells nothing new.
        if step.is_some_and(|(step_s, _)| step_s <= 0.0) {
            return None;
        }
        let unbroken = step.filter(|(step_s, step_m)| {
            *step_s <= GAP_S && *step_m <= FASTEST_MPS * step_s + TREMBLE_M
        });
        let driven_mps = unbroken.map(|(step_s, step_m)| step_m / step_s);
        self.speed_mps = fix.speed_mps.map(f64::from).or(driven_mps).unwrap_or(0.0);
        self.last = Some(*fix);
        self.look_around(fix);
        // At sea the last land counts.
        let here = self.borders.region_at(fix.position_deg())?;
        match self.current {
            None => {
                self.current = Some(here);
                Some(Entered {
                    region: here,
                    crossing: None,
                })
            }
            Some(current) if current == here => {
                self.candidate = None;
                None
            }
            Some(_) => self.abroad(here, fix, unbroken.is_some()),
        }
    }

    /// A fix in another region than the one that counts.
    fn abroad(&mut self, here: RegionCode, fix: &Fix, unbroken: bool) -> Option<Entered> {
        let goes_on = |c: &Candidate| unbroken && c.region == here;
        let candidate = match self.candidate.take().filter(goes_on) {
            Some(mut candidate) => {
                let from_first_m = distance_m(candidate.crossing.position_deg, fix.position_deg());
                candidate.reached_m = candidate.reached_m.max(from_first_m);
                candidate.fixes += 1;
                candidate
            }
            None => Candidate {
                region: here,
                crossing: Crossing {
                    time: fix.time,
                    position_deg: fix.position_deg(),
                    seen: unbroken,
                },
                fixes: 1,
                reached_m: 0.0,
            },
        };
        if candidate.fixes >= self.plan.fixes && candidate.reached_m >= self.plan.inside_m {
            self.current = Some(here);
            return Some(Entered {
                region: here,
                crossing: Some(candidate.crossing),
            });
        }
        self.candidate = Some(candidate);
        None
    }

    /// Looks for neighbours anew when the car has come an eighth of the way to where they may be.
    fn look_around(&mut self, fix: &Fix) {
        let at = fix.position_deg();
        let due = |last: (f64, f64)| distance_m(last, at) >= self.plan.near_m / 8.0;
        if self.looked_at.is_none_or(due) {
            self.looked_at = Some(at);
            self.borders
                .near(at, fix.heading_deg, self.plan.near_m, &mut self.near);
        }
    }

    /// How things stand at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let Some(last) = &self.last else {
            return Standing::Never;
        };
        let blind_s = now.seconds_since(last.time);
        let may_have_come_m = self.speed_mps.max(SLOWEST_MPS) * blind_s;
        if blind_s < self.plan.no_fix_after_s {
            Standing::Known
        } else if blind_s >= self.plan.stale_after_s && may_have_come_m >= self.plan.stale_after_m {
            Standing::Stale
        } else {
            Standing::Missing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::METRES_PER_DEGREE;
    use crate::region::areas::Areas;
    use proptest::prelude::*;

    fn locator() -> RegionLocator {
        let borders = Borders::new(Areas::default(), Vec::new()).unwrap();
        RegionLocator::new(LocatePlan::default(), borders)
    }

    /// On the road through Scheibenhard: Germany in the north, France in the south.
    const LONGITUDE: f64 = 8.157;
    const BORDER: f64 = 48.978;
    const DE: f64 = BORDER + 0.02;
    const FR: f64 = BORDER - 0.02;
    const METRE: f64 = 1.0 / METRES_PER_DEGREE;

    fn fix(time_s: f64, latitude_deg: f64) -> Fix {
        Fix::at(Timestamp::from_seconds(time_s), latitude_deg, LONGITUDE).unwrap()
    }

    /// Fixes a second apart; where and when regions came to count.
    fn regions(latitudes: impl IntoIterator<Item = f64>) -> Vec<(usize, String)> {
        let mut locator = locator();
        (latitudes.into_iter().enumerate())
            .filter_map(|(i, latitude)| {
                let entered = locator.take(&Reading::Fix(fix(i as f64, latitude)))?;
                Some((i, entered.region.to_string()))
            })
            .collect()
    }

    fn codes(found: &[(usize, String)]) -> Vec<&str> {
        found.iter().map(|(_, region)| region.as_str()).collect()
    }

    #[test]
    fn a_crossing_counts_once_after_three_fixes_and_fifty_metres() {
        let mut locator = locator();
        let mut crossed = Vec::new();
        for i in 0..200 {
            let latitude = DE - f64::from(i) * 22.0 * METRE;
            crossed.extend(locator.take(&Reading::Fix(fix(f64::from(i), latitude))));
        }
        assert_eq!(crossed.len(), 2);
        assert_eq!(crossed[0].crossing, None);
        let crossing = crossed[1].crossing.unwrap();
        assert!(crossing.seen);
        let first = crossing.position_deg;
        let before = (first.0 + 22.0 * METRE, first.1);
        let at = |place| locator.borders.region_at(place).unwrap().to_string();
        assert_eq!((at(before), at(first)), ("DE".to_owned(), "FR".to_owned()));
    }

    #[test]
    fn the_new_region_counts_three_fixes_and_fifty_metres_inside() {
        // 40 m a second: the third fix is 80 m inside. 12 m a second: the sixth is 60 m inside.
        for (metres, late) in [(40.0, 2), (12.0, 5)] {
            let drive: Vec<f64> = (0..300)
                .map(|i| DE - f64::from(i) * metres * METRE)
                .collect();
            let locator = locator();
            let inside =
                |l: &f64| locator.borders.region_at((*l, LONGITUDE)).unwrap().as_str() == "FR";
            let first = drive.iter().position(inside).unwrap();
            assert_eq!(regions(drive)[1], (first + late, "FR".to_owned()));
        }
    }

    #[test]
    fn a_fix_abroad_for_a_second_changes_nothing() {
        for abroad in [FR, DE - 200.0 * METRE, 40.0] {
            let drive = (0..60).map(|i| if i == 30 { abroad } else { DE });
            assert_eq!(regions(drive), [(0, "DE".to_owned())], "{abroad}");
        }
    }

    #[test]
    fn flapping_along_a_border_changes_nothing() {
        let drive = (0..600).map(|i| if i % 3 == 2 { FR } else { DE });
        assert_eq!(regions(drive), [(0, "DE".to_owned())]);
        // Standing on the line with a receiver that trembles by ten metres.
        let drive = (0..600).map(|i| BORDER + f64::from(i * 7 % 20 - 10) * METRE);
        assert_eq!(regions(drive).len(), 1);
    }

    #[test]
    fn a_jump_counts_only_when_the_car_then_drives_there() {
        // Thrown 4 km over the border for as long as a reflection lasts: the car does not move there.
        let thrown = (0..60).map(|i| if (20..40).contains(&i) { FR } else { DE });
        assert_eq!(codes(&regions(thrown)), ["DE"]);
        // Carried over, or the first fix was wrong: it drives on from there.
        let carried = (0..60).map(|i| match i {
            0..20 => DE,
            _ => FR - f64::from(i) * 20.0 * METRE,
        });
        let found = regions(carried);
        assert_eq!(found[1..], [(23, "FR".to_owned())]);
    }

    #[test]
    fn a_gap_keeps_the_region_and_says_how_far_to_trust_it() {
        let mut locator = locator();
        let at = Timestamp::from_seconds;
        assert_eq!(locator.standing(at(1e6)), Standing::Never);
        for i in 0..10 {
            let latitude = DE - f64::from(i) * 20.0 * METRE;
            locator.take(&Reading::Fix(fix(f64::from(i), latitude)));
        }
        for (time_s, standing) in [
            (10.0, Standing::Known),
            (15.0, Standing::Missing),
            (68.0, Standing::Missing),
            (70.0, Standing::Stale),
        ] {
            locator.take(&Reading::NoFix(at(time_s)));
            assert_eq!(locator.standing(at(time_s)), standing, "at {time_s} s");
        }
        assert_eq!(locator.current().unwrap().as_str(), "DE");
        // Out of the tunnel, in France.
        let after: Vec<Entered> = (0..10)
            .filter_map(|i| {
                let latitude = FR - f64::from(i) * 20.0 * METRE;
                locator.take(&Reading::Fix(fix(180.0 + f64::from(i), latitude)))
            })
            .collect();
        assert_eq!(after.len(), 1);
        let crossing = after[0].crossing.unwrap();
        assert_eq!((crossing.seen, crossing.time), (false, at(180.0)));
        assert_eq!(locator.standing(at(190.0)), Standing::Known);
    }

    #[test]
    fn a_parked_car_is_not_stale_for_long_and_a_fast_one_not_at_once() {
        let mut parked = locator();
        for i in 0..5 {
            parked.take(&Reading::Fix(fix(f64::from(i), DE)));
        }
        let at = Timestamp::from_seconds;
        assert_eq!(parked.standing(at(600.0)), Standing::Missing);
        assert_eq!(parked.standing(at(700.0)), Standing::Stale);
        let mut fast = locator();
        let fix = Fix {
            speed_mps: Some(60.0),
            ..fix(0.0, DE)
        };
        fast.take(&Reading::Fix(fix));
        // 3 km, but only 50 s.
        assert_eq!(fast.standing(at(50.0)), Standing::Missing);
        assert_eq!(fast.standing(at(60.0)), Standing::Stale);
    }

    #[test]
    fn a_cold_start_takes_the_first_good_fix_and_corrects_a_wrong_one() {
        let mut locator = locator();
        assert_eq!(locator.take(&Reading::NoFix(Timestamp::ZERO)), None);
        let poor = Fix {
            accuracy_m: Some(3_000.0),
            ..fix(1.0, FR)
        };
        assert_eq!(locator.take(&Reading::Fix(poor)), None);
        assert_eq!(
            locator.standing(Timestamp::from_seconds(1.0)),
            Standing::Never
        );
        let first = locator.take(&Reading::Fix(fix(2.0, FR))).unwrap();
        assert_eq!((first.region.as_str(), first.crossing), ("FR", None));
        let corrected: Vec<Entered> = (3..10)
            .filter_map(|i| {
                locator.take(&Reading::Fix(fix(
                    f64::from(i),
                    DE + f64::from(i) * 20.0 * METRE,
                )))
            })
            .collect();
        assert_eq!(corrected.len(), 1);
        assert_eq!(corrected[0].region.as_str(), "DE");
    }

    #[test]
    fn readings_that_come_late_or_twice_tell_nothing() {
        let mut locator = locator();
        locator.take(&Reading::Fix(fix(100.0, DE)));
        for i in 0..50 {
            let late = fix(f64::from(i), FR - f64::from(i) * 20.0 * METRE);
            assert_eq!(locator.take(&Reading::Fix(late)), None);
        }
        assert_eq!(locator.current().unwrap().as_str(), "DE");
    }

    proptest! {
        /// However the car drives, a region never counts before its fixes and metres are there.
        #[test]
        fn a_region_counts_only_after_its_fixes_and_metres(
            steps in prop::collection::vec((-60.0_f64..60.0, 0.2_f64..15.0), 1..200),
        ) {
            let (mut locator, mut latitude, mut time) = (locator(), BORDER, 0.0);
            let mut way: Vec<(f64, f64)> = Vec::new();
            let mut current = None;
            for (metres, seconds) in steps {
                latitude += metres * METRE;
                time += seconds;
                way.push((time, latitude));
                let Some(entered) = locator.take(&Reading::Fix(fix(time, latitude))) else { continue };
                if current.replace(entered.region).is_some() {
                    let crossing = entered.crossing.unwrap();
                    let inside: Vec<&(f64, f64)> = (way.iter())
                        .filter(|(t, _)| *t >= crossing.time.seconds() - 1e-6)
                        .collect();
                    prop_assert!(inside.len() >= 3);
                    prop_assert!(inside.iter().all(|(_, l)| locator.borders.region_at((*l, LONGITUDE)) == Some(entered.region)));
                    let far = inside.iter().map(|(_, l)| (l - crossing.position_deg.0).abs() / METRE).fold(0.0, f64::max);
                    prop_assert!(far >= 49.9, "{far} m");
                }
            }
        }
    }
}
