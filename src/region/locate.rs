//! Which region the car is in, from position fixes, with hysteresis.
//!
//! Borders come from `country-boundaries` (OpenStreetMap). A new country counts after
//! [`LocatePlan::fixes`] fixes in a row and [`LocatePlan::distance_m`] driven inside it, so that a road
//! along a border, or one wrong fix, does not swap packs. Missing fixes keep the region.

use country_boundaries::{BOUNDARIES_ODBL_360X180, CountryBoundaries, LatLon};

use crate::position::{Fix, distance_m};
use crate::units::RegionCode;

/// When a new region counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocatePlan {
    /// Fixes in a row inside it.
    pub fixes: u32,
    /// Distance driven inside it.
    pub distance_m: f64,
}

impl Default for LocatePlan {
    fn default() -> Self {
        Self {
            fixes: 3,
            distance_m: 50.0,
        }
    }
}

/// The country at a position; `None` at sea.
pub fn country_at(
    borders: &CountryBoundaries,
    latitude_deg: f64,
    longitude_deg: f64,
) -> Option<RegionCode> {
    let position = LatLon::new(latitude_deg, longitude_deg).ok()?;
    // Identifiers come smallest first: a subdivision before its country.
    (borders.ids(position).into_iter())
        .find(|id| id.len() == 2)
        .and_then(RegionCode::parse)
}

/// Follows the car; see the module.
#[derive(Debug)]
pub struct RegionLocator {
    borders: CountryBoundaries,
    plan: LocatePlan,
    current: Option<RegionCode>,
    candidate: Option<(RegionCode, u32, f64)>,
    last: Option<Fix>,
}

impl RegionLocator {
    /// With the borders that come with the crate. The error is a fault of the build.
    pub fn new(plan: LocatePlan) -> anyhow::Result<Self> {
        let borders = CountryBoundaries::from_reader(BOUNDARIES_ODBL_360X180)?;
        Ok(Self {
            borders,
            plan,
            current: None,
            candidate: None,
            last: None,
        })
    }

    /// The country at a position, without hysteresis.
    pub fn country_at(&self, latitude_deg: f64, longitude_deg: f64) -> Option<RegionCode> {
        country_at(&self.borders, latitude_deg, longitude_deg)
    }

    /// Takes the next fix; gives the region when it changes. The first fix on land decides at once.
    pub fn update(&mut self, fix: Fix) -> Option<RegionCode> {
        let step = (self.last.as_ref()).map_or(0.0, |last| distance_m(last, &fix));
        self.last = Some(fix);
        let here = self.country_at(fix.latitude_deg, fix.longitude_deg)?;
        if self.current.is_none() {
            self.current = Some(here);
            return Some(here);
        }
        if self.current == Some(here) {
            self.candidate = None;
            return None;
        }
        let (fixes, inside_m) = match self.candidate {
            Some((region, fixes, inside_m)) if region == here => (fixes + 1, inside_m + step),
            _ => (1, 0.0),
        };
        if fixes >= self.plan.fixes && inside_m >= self.plan.distance_m {
            self.current = Some(here);
            self.candidate = None;
            return Some(here);
        }
        self.candidate = Some((here, fixes, inside_m));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    /// A drive along a parallel near Scheibenhard, from Germany (north) to France (south).
    fn fix(second: i64, latitude_deg: f64) -> Fix {
        Fix {
            time: Timestamp::from_ticks(second, 1),
            latitude_deg,
            longitude_deg: 8.157,
        }
    }

    fn regions(latitudes: impl IntoIterator<Item = f64>) -> Vec<(usize, String)> {
        let mut locator = RegionLocator::new(LocatePlan::default()).unwrap();
        (latitudes.into_iter().enumerate())
            .filter_map(|(i, lat)| Some((i, locator.update(fix(i as i64, lat))?.to_string())))
            .collect()
    }

    #[test]
    fn a_crossing_is_found_once() {
        let drive = (0..200).map(|i| 48.990 - f64::from(i) * 0.000_2);
        let found = regions(drive);
        let codes: Vec<&str> = found.iter().map(|(_, r)| r.as_str()).collect();
        assert_eq!(codes, ["DE", "FR"]);
    }

    #[test]
    fn a_fix_abroad_for_a_second_changes_nothing() {
        let drive = (0..60).map(|i| if i == 30 { 48.90 } else { 49.05 });
        assert_eq!(regions(drive), [(0, "DE".to_owned())]);
    }

    #[test]
    fn flapping_along_a_border_changes_nothing() {
        let drive = (0..60).map(|i| if i % 3 == 2 { 48.90 } else { 49.05 });
        assert_eq!(regions(drive), [(0, "DE".to_owned())]);
    }
}
