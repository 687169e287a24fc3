//! How far the car has driven, and when it turned off the road it was on, from position fixes.

use crate::position::METRES_PER_DEGREE;
use crate::units::Timestamp;

/// No road vehicle is faster: a longer step is a jump of the receiver.
const FASTEST_M_PER_S: f64 = 90.0;
/// After a longer pause between fixes nobody knows what was driven.
const LONGEST_GAP_S: f64 = 10.0;
/// The way after a fix is taken on at the speed before it, for this long.
const EXTRAPOLATE_S: f64 = 2.0;
/// Steps shorter than this have no reliable direction.
const STEP_M: f64 = 4.0;
/// A turn off the road: so much change of direction over so little way.
const TURN_DEG: f64 = 60.0;
const TURN_WITHIN_M: f64 = 45.0;

/// A position at a time.
#[derive(Debug, Clone, Copy)]
struct Place {
    time: Timestamp,
    latitude_deg: f64,
    longitude_deg: f64,
}

impl Place {
    /// North and east of `from`, in metres; they are near each other.
    fn offset_m(&self, from: &Self) -> (f64, f64) {
        let north = self.latitude_deg - from.latitude_deg;
        let east = (self.longitude_deg - from.longitude_deg + 540.0).rem_euclid(360.0) - 180.0;
        let shrink = from.latitude_deg.to_radians().cos();
        (north * METRES_PER_DEGREE, east * shrink * METRES_PER_DEGREE)
    }

    fn distance_m(&self, from: &Self) -> f64 {
        let (north, east) = self.offset_m(from);
        north.hypot(east)
    }
}

/// Follows the fixes; see the module.
#[derive(Debug, Clone, Default)]
pub struct Odometer {
    last: Option<Place>,
    driven_m: f64,
    speed_m_per_s: f64,
    /// Counts the gaps and jumps, over which the distance is not known.
    breaks: u32,
    /// Where the last direction was taken from.
    anchor: Option<Place>,
    /// (driven, heading) of the last steps, oldest first.
    headings: heapless::Deque<(f64, f64), 16>,
    turned: bool,
}

/// A point on the way, to measure from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    driven_m: f64,
    breaks: u32,
}

impl Odometer {
    /// Takes the next fix: latitude and longitude in degrees.
    pub fn fix(&mut self, time: Timestamp, (latitude_deg, longitude_deg): (f64, f64)) {
        let fix = Place {
            time,
            latitude_deg,
            longitude_deg,
        };
        let Some(last) = self.last.replace(fix) else {
            self.anchor = Some(fix);
            return;
        };
        let gap_s = fix.time.seconds_since(last.time);
        let step_m = fix.distance_m(&last);
        if gap_s <= 0.0 || gap_s > LONGEST_GAP_S || step_m > FASTEST_M_PER_S * gap_s {
            self.breaks += 1;
            self.speed_m_per_s = 0.0;
            self.anchor = Some(fix);
            self.headings.clear();
            return;
        }
        self.driven_m += step_m;
        self.speed_m_per_s = step_m / gap_s;
        if let Some(anchor) = self.anchor
            && fix.distance_m(&anchor) >= STEP_M
        {
            let (north, east) = fix.offset_m(&anchor);
            self.direction(east.atan2(north).to_degrees());
            self.anchor = Some(fix);
        }
    }

    fn direction(&mut self, heading: f64) {
        while (self.headings.front()).is_some_and(|(at, _)| self.driven_m - at > TURN_WITHIN_M) {
            self.headings.pop_front();
        }
        let off = |other: f64| (heading - other + 540.0).rem_euclid(360.0) - 180.0;
        if (self.headings.iter()).any(|(_, before)| off(*before).abs() > TURN_DEG) {
            self.turned = true;
            self.headings.clear();
        }
        if self.headings.is_full() {
            self.headings.pop_front();
        }
        // There is room.
        let _ = self.headings.push_back((self.driven_m, heading));
    }

    /// Whether the car turned off its road since this was asked last.
    pub fn take_turn(&mut self) -> bool {
        std::mem::take(&mut self.turned)
    }

    /// Where the car is on its way at `time`; `None` without a recent fix.
    pub fn mark(&self, time: Timestamp) -> Option<Mark> {
        let since_s = time.seconds_since(self.last?.time);
        if !(-LONGEST_GAP_S..=LONGEST_GAP_S).contains(&since_s) {
            return None;
        }
        Some(Mark {
            driven_m: self.driven_m + self.speed_m_per_s * since_s.clamp(0.0, EXTRAPOLATE_S),
            breaks: self.breaks,
        })
    }
}

impl Mark {
    /// Driven from `earlier` to here, in metres; `None` when a gap lies between.
    pub fn since(self, earlier: Self) -> Option<f64> {
        (self.breaks == earlier.breaks).then_some((self.driven_m - earlier.driven_m).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(odometer: &mut Odometer, second: f64, north_m: f64, east_m: f64) {
        let shrink = 48_f64.to_radians().cos();
        let place = (
            48.0 + north_m / METRES_PER_DEGREE,
            8.0 + east_m / METRES_PER_DEGREE / shrink,
        );
        odometer.fix(Timestamp::from_seconds(second), place);
    }

    #[test]
    fn distance_is_summed_and_unknown_over_a_jump() {
        let mut odometer = Odometer::default();
        drive(&mut odometer, 0.0, 0.0, 0.0);
        let start = odometer.mark(Timestamp::ZERO).unwrap();
        for second in 1..=10 {
            drive(
                &mut odometer,
                f64::from(second),
                20.0 * f64::from(second),
                0.0,
            );
        }
        let here = odometer.mark(Timestamp::from_seconds(10.5)).unwrap();
        assert!((here.since(start).unwrap() - 210.0).abs() < 1.0);
        assert!(!odometer.take_turn());
        drive(&mut odometer, 11.0, 9000.0, 0.0);
        let here = odometer.mark(Timestamp::from_seconds(11.0)).unwrap();
        assert_eq!(here.since(start), None);
        assert_eq!(odometer.mark(Timestamp::from_seconds(60.0)), None);
    }

    #[test]
    fn a_corner_is_a_turn_and_a_bend_is_none() {
        let mut corner = Odometer::default();
        for second in 0..6 {
            drive(
                &mut corner,
                f64::from(second),
                10.0 * f64::from(second),
                0.0,
            );
        }
        for second in 6..10 {
            drive(
                &mut corner,
                f64::from(second),
                50.0,
                10.0 * f64::from(second - 5),
            );
        }
        assert!(corner.take_turn() && !corner.take_turn());
        let mut bend = Odometer::default();
        for second in 0..40 {
            let angle = f64::from(second) * 0.1;
            drive(
                &mut bend,
                f64::from(second),
                200.0 * angle.sin(),
                200.0 * (1.0 - angle.cos()),
            );
        }
        assert!(!bend.take_turn());
    }
}
