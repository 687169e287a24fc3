//! Where the signs of a drive stand, as GeoJSON (RFC 7946): one point a sign, for maps and surveys.
//!
//! Every look at a sign gives a place: the car's, between the fixes before and after the frame, and from there
//! the sign's bearing and distance. The looks of a track are averaged by their precision, along the line of
//! sight and across it; so the last and nearest count most. Deviations do not shrink with the number of looks:
//! what is wrong in one, such as the size that the sign is taken to have, is wrong in all.

use std::path::{Path, PathBuf};

use anyhow::Context;
use geojson::{Feature, FeatureCollection, Geometry, GeometryValue, JsonObject, JsonValue};

use super::FrameSink;
use crate::event::{ClassInfo, Event, FrameView, Naming, Placement};
use crate::frame::Frame;
use crate::position::{Fix, distance_m, heading_deg, moved};
use crate::units::{RegionCode, Timestamp, TrackId};

/// Fixes further apart than this in time do not say where the car was between them.
const LONGEST_GAP_S: f64 = 5.0;
/// The car's direction comes from the way driven over at least so much.
const LEAST_WAY_M: f64 = 2.0;

/// Collects the signs; see the module.
pub struct SignMap {
    path: PathBuf,
    drive: Drive,
    tracks: Vec<Seen>,
    features: Vec<Feature>,
}

/// The car's way.
struct Drive(Vec<(Timestamp, (f64, f64))>);

/// A sign that is in the picture.
struct Seen {
    track: TrackId,
    naming: Naming,
    probability: f32,
    region: RegionCode,
    first: Timestamp,
    last: Timestamp,
    looks: u32,
    heading_deg: f64,
    place: Estimate,
}

/// A weighted mean of points around an origin, in metres east and north.
#[derive(Debug, Clone, Default)]
struct Estimate {
    origin: (f64, f64),
    /// Sum of the inverse covariances: east-east, east-north, north-north.
    weight: [f64; 3],
    /// Sum of those times the points.
    pull: [f64; 2],
    deviation_m: f64,
}

impl SignMap {
    /// For a drive along `fixes`; the file is written at the end.
    pub fn create(path: &Path, fixes: impl Iterator<Item = Fix>) -> Self {
        Self {
            path: path.to_owned(),
            drive: Drive(fixes.map(|fix| (fix.time, fix.position_deg())).collect()),
            tracks: Vec::new(),
            features: Vec::new(),
        }
    }

    /// Writes the file; the number of signs in it.
    pub fn finish(mut self) -> anyhow::Result<usize> {
        for seen in std::mem::take(&mut self.tracks) {
            self.features.extend(seen.feature());
        }
        let signs = self.features.len();
        let collection = FeatureCollection::new(self.features);
        std::fs::write(&self.path, format!("{collection}\n"))
            .with_context(|| self.path.display().to_string())?;
        Ok(signs)
    }
}

impl FrameSink for SignMap {
    fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) -> anyhow::Result<()> {
        let car = self.drive.at(frame.time);
        for track in view.tracks.iter().filter(|track| track.detected) {
            let known = self.tracks.iter().position(|s| s.track == track.track);
            let seen = match (known, car) {
                (Some(n), _) => &mut self.tracks[n],
                (None, None) => continue,
                (None, Some((position_deg, heading_deg))) => {
                    self.tracks.push(Seen {
                        track: track.track,
                        naming: Naming::Undecided,
                        probability: 0.0,
                        region: view.region,
                        first: frame.time,
                        last: frame.time,
                        looks: 0,
                        heading_deg,
                        place: Estimate::around(position_deg),
                    });
                    let last = self.tracks.len() - 1;
                    &mut self.tracks[last]
                }
            };
            seen.naming = track.naming.clone();
            seen.probability = track.probability;
            seen.region = view.region;
            if let (Some((position_deg, heading_deg)), Some(placement)) = (car, track.placement) {
                seen.last = frame.time;
                seen.looks += 1;
                seen.heading_deg = heading_deg;
                seen.place.add(position_deg, heading_deg, placement);
            }
        }
        for event in view.events {
            let Event::SignLost(sign) = event else {
                continue;
            };
            if let Some(n) = self.tracks.iter().position(|s| s.track == sign.track) {
                let mut seen = self.tracks.swap_remove(n);
                seen.naming = sign.naming.clone();
                seen.probability = sign.probability;
                self.features.extend(seen.feature());
            }
        }
        Ok(())
    }
}

impl Drive {
    /// Where the car was and which way it went.
    fn at(&self, time: Timestamp) -> Option<((f64, f64), f64)> {
        let fixes = &self.0;
        let next = fixes.partition_point(|(at, _)| *at <= time);
        let before = next.checked_sub(1)?;
        let (from, to) = (fixes[before], fixes.get(next).copied()?);
        let gap_s = to.0.seconds_since(from.0);
        if gap_s > LONGEST_GAP_S {
            return None;
        }
        let share = time.seconds_since(from.0) / gap_s.max(1e-9);
        // Before a stop the way back tells the direction, after it the way ahead.
        let heading = (0..=before)
            .rev()
            .take_while(|n| to.0.seconds_since(fixes[*n].0) <= 4.0 * LONGEST_GAP_S)
            .map(|n| fixes[n].1)
            .find(|behind| distance_m(*behind, to.1) >= LEAST_WAY_M)
            .map(|behind| heading_deg(behind, to.1))?;
        let way_m = distance_m(from.1, to.1);
        let place = moved(from.1, heading_deg(from.1, to.1), share * way_m);
        Some((place, heading))
    }
}

impl Estimate {
    fn around(origin: (f64, f64)) -> Self {
        Self {
            origin,
            deviation_m: f64::INFINITY,
            ..Self::default()
        }
    }

    fn add(&mut self, car_deg: (f64, f64), heading_deg: f64, seen: Placement) {
        let distance = f64::from(seen.distance_m);
        let towards_deg = heading_deg + f64::from(seen.bearing_deg);
        let point = self.metres(moved(car_deg, towards_deg, distance));
        let along = f64::from(seen.distance_deviation_m).max(0.1);
        let across = (distance * f64::from(seen.bearing_deviation_deg).to_radians()).max(0.1);
        let (east, north) = towards_deg.to_radians().sin_cos();
        let (a, c) = (along.powi(-2), across.powi(-2));
        let weight = [
            a * east * east + c * north * north,
            (a - c) * east * north,
            a * north * north + c * east * east,
        ];
        for (sum, w) in self.weight.iter_mut().zip(weight) {
            *sum += w;
        }
        self.pull[0] += weight[0] * point.0 + weight[1] * point.1;
        self.pull[1] += weight[1] * point.0 + weight[2] * point.1;
        self.deviation_m = self.deviation_m.min(along.hypot(across));
    }

    /// Metres east and north of the origin; exact enough over the range of a camera.
    fn metres(&self, (latitude, longitude): (f64, f64)) -> (f64, f64) {
        let north = distance_m(self.origin, (latitude, self.origin.1));
        let east = distance_m(self.origin, (self.origin.0, longitude));
        let eastward = (longitude - self.origin.1 + 540.0).rem_euclid(360.0) - 180.0;
        (
            east.copysign(eastward),
            north.copysign(latitude - self.origin.0),
        )
    }

    fn position_deg(&self) -> Option<(f64, f64)> {
        let [ee, en, nn] = self.weight;
        let det = ee * nn - en * en;
        let east = (nn * self.pull[0] - en * self.pull[1]) / det;
        let north = (ee * self.pull[1] - en * self.pull[0]) / det;
        let way = east.hypot(north);
        let towards_deg = east.atan2(north).to_degrees();
        (det > 0.0).then(|| moved(self.origin, towards_deg, way))
    }
}

impl Seen {
    /// A point, for what was named as a sign and had a place.
    fn feature(&self) -> Option<Feature> {
        let class = self.naming.class()?;
        let (latitude, longitude) = self.place.position_deg()?;
        let degrees = |v: f64| (v * 1e7).round() / 1e7;
        Some(Feature {
            geometry: Some(Geometry::new(GeometryValue::new_point([
                degrees(longitude),
                degrees(latitude),
            ]))),
            properties: Some(self.properties(class)),
            ..Feature::default()
        })
    }

    fn properties(&self, class: &ClassInfo) -> JsonObject {
        let tenths = |v: f64| JsonValue::from((v * 10.0).round() / 10.0);
        let thousandths = |v: f64| JsonValue::from((v * 1e3).round() / 1e3);
        let mut all = JsonObject::new();
        let mut put = |key: &str, value: JsonValue| all.insert(key.to_owned(), value);
        put("class", class.key.as_str().into());
        put("label", class.label_en.as_str().into());
        put("label_local", class.label_local.as_str().into());
        if let Some(code) = &class.national_code {
            put("national_code", code.as_str().into());
        }
        if let Some(value) = class.value {
            put("value", value.into());
        }
        if let Some(unit) = class.unit {
            put("unit", unit.to_string().into());
        }
        put("region", self.region.to_string().into());
        put("probability", thousandths(f64::from(self.probability)));
        put("seen_heading_deg", tenths(self.heading_deg));
        put("deviation_m", tenths(self.place.deviation_m));
        put("looks", self.looks.into());
        put("track", self.track.0.into());
        put("first_seen_s", thousandths(self.first.seconds()));
        put("last_seen_s", thousandths(self.last.seconds()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(s: f64) -> Timestamp {
        Timestamp::from_nanos((s * 1e9) as i64)
    }

    proptest! {
        /// A car drives straight past a sign and sees it without error.
        #[test]
        fn a_sign_seen_without_error_is_put_where_it_stands(
            latitude in -70.0_f64..70.0, longitude in -180.0_f64..180.0,
            heading in 0.0_f64..360.0, ahead_m in 45.0_f64..90.0, aside_m in -8.0_f64..8.0,
        ) {
            let start = (latitude, longitude);
            let sign = moved(moved(start, heading, ahead_m), heading + 90.0, aside_m);
            let fixes = (0..=5).map(|n| (seconds(f64::from(n)), moved(start, heading, 10.0 * f64::from(n))));
            let drive = Drive(fixes.collect());
            let mut place = Estimate::around(start);
            for tenth in 0..40 {
                let (car, towards) = drive.at(seconds(f64::from(tenth) / 10.0)).unwrap();
                let distance_m = distance_m(car, sign) as f32;
                let bearing_deg = (heading_deg(car, sign) - towards + 540.0).rem_euclid(360.0) - 180.0;
                place.add(car, towards, Placement {
                    distance_m, bearing_deg: bearing_deg as f32,
                    distance_deviation_m: 0.3 * distance_m, bearing_deviation_deg: 1.0,
                });
            }
            let off_m = distance_m(place.position_deg().unwrap(), sign);
            prop_assert!(off_m < 0.1, "{off_m} m off");
        }
    }

    #[test]
    fn nothing_is_placed_in_gaps_before_the_first_fix_or_while_the_direction_is_not_known() {
        let north = |m: f64| moved((48.0, 8.0), 0.0, m);
        let drive = Drive(vec![
            (seconds(1.0), north(0.0)),
            (seconds(2.0), north(0.0)),
            (seconds(3.0), north(20.0)),
            (seconds(4.0), north(20.0)),
            (seconds(20.0), north(300.0)),
        ]);
        for unknown_s in [0.5, 1.5, 10.0, 30.0] {
            assert_eq!(drive.at(seconds(unknown_s)), None, "{unknown_s} s");
        }
        for known_s in [2.5, 3.5] {
            let (_, heading) = drive.at(seconds(known_s)).unwrap();
            let off = (heading + 180.0).rem_euclid(360.0) - 180.0;
            assert!(off.abs() < 0.01, "{known_s} s: {heading}");
        }
    }

    #[test]
    fn a_place_never_seen_is_none() {
        assert_eq!(Estimate::around((1.0, 2.0)).position_deg(), None);
    }
}
