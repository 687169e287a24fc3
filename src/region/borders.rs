//! Which region a place belongs to: areas of one's own first, then the borders of OpenStreetMap.

use country_boundaries::{BOUNDARIES_ODBL_180X90, BoundingBox, CountryBoundaries, LatLon};

use super::areas::Areas;
use crate::position::moved;
use crate::units::RegionCode;

/// Neighbours held ready; where more meet, the first found are.
pub const MAX_NEAR: usize = 8;

/// Regions near a place.
pub type Near = heapless::Vec<RegionCode, MAX_NEAR>;

/// See the module.
#[derive(Debug)]
pub struct Borders {
    countries: CountryBoundaries,
    areas: Areas,
    subdivided: Vec<RegionCode>,
}

impl Borders {
    /// With the borders that are built in. Of the countries in `subdivided` the subdivisions count as
    /// regions (`US-CA`), of all others the country. The error is a fault of the build.
    pub fn new(areas: Areas, subdivided: Vec<RegionCode>) -> anyhow::Result<Self> {
        Ok(Self {
            countries: CountryBoundaries::from_reader(BOUNDARIES_ODBL_180X90)?,
            areas,
            subdivided,
        })
    }

    /// The region at a position in degrees (latitude, longitude); `None` at sea.
    pub fn region_at(&self, position_deg: (f64, f64)) -> Option<RegionCode> {
        if let Some(region) = self.areas.region_at(position_deg) {
            return Some(region);
        }
        let position = LatLon::new(position_deg.0, position_deg.1).ok()?;
        // Smallest first: a subdivision comes before its country.
        (self.countries.ids(position).into_iter())
            .filter_map(RegionCode::parse)
            .find(|id| id.country() == *id || self.subdivided.contains(&id.country()))
    }

    /// The regions within about `near_m` metres, and as far again straight ahead. The borders give no
    /// distance, so places around the car are asked: eight directions at three distances.
    pub fn near(&self, at: (f64, f64), heading_deg: Option<f32>, near_m: f64, near: &mut Near) {
        near.clear();
        let around = (0..8).flat_map(|n| [0.25, 0.5, 1.0].map(|far| (f64::from(n) * 45.0, far)));
        let ahead =
            heading_deg.map(|h| [0.25, 0.5, 0.75, 1.0, 1.5, 2.0].map(|far| (f64::from(h), far)));
        if self.is_far_from_all(at, 2.0 * near_m) {
            near.extend(self.region_at(at));
            return;
        }
        let places = ahead.into_iter().flatten().chain(around);
        let places = places.map(|(heading, far)| moved(at, heading, far * near_m));
        for region in std::iter::once(at)
            .chain(places)
            .filter_map(|p| self.region_at(p))
        {
            if !near.contains(&region) && near.push(region).is_err() {
                return;
            }
        }
    }

    /// One country alone fills the square around a place: there is nothing to look for.
    fn is_far_from_all(&self, at: (f64, f64), near_m: f64) -> bool {
        if !self.areas.is_empty() {
            return false;
        }
        let corner = |heading: f64| moved(at, heading, near_m * std::f64::consts::SQRT_2);
        let ((south, west), (north, east)) = (corner(225.0), corner(45.0));
        BoundingBox::new(south, west, north, east).is_ok_and(|square| {
            let around = self.countries.intersecting_ids(square);
            let regions = (around.iter().filter_map(|id| RegionCode::parse(id)))
                .filter(|id| (id.country() != *id) == self.subdivided.contains(&id.country()));
            regions.count() <= 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn borders() -> Borders {
        let subdivided = ["US", "GB"].map(|c| RegionCode::parse(c).unwrap());
        Borders::new(Areas::default(), subdivided.to_vec()).unwrap()
    }

    fn at(borders: &Borders, latitude: f64, longitude: f64) -> Option<String> {
        borders
            .region_at((latitude, longitude))
            .map(|r| r.to_string())
    }

    #[test]
    fn countries_and_the_subdivisions_that_are_asked_for() {
        let borders = borders();
        for (latitude, longitude, region) in [
            (48.137, 11.575, "DE"),
            (37.775, -122.419, "US-CA"),
            (54.597, -5.93, "GB-NIR"),
            (53.35, -6.26, "IE"),
            (55.953, -3.188, "GB-SCT"),
            (-33.87, 151.21, "AU"),
            (45.5, -73.57, "CA"),
            (32.08, 34.78, "IL"),
            (13.75, 100.5, "TH"),
            (3.15, 101.7, "MY"),
            (1.55, 110.34, "MY"),
            (24.71, 46.68, "SA"),
        ] {
            assert_eq!(at(&borders, latitude, longitude).as_deref(), Some(region));
        }
        assert_eq!(at(&borders, 45.0, -30.0), None, "at sea");
        let whole = Borders::new(Areas::default(), Vec::new()).unwrap();
        assert_eq!(at(&whole, 37.775, -122.419).as_deref(), Some("US"));
    }

    #[test]
    fn areas_override_the_borders() {
        let square = br#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"region":"FR"},
            "geometry":{"type":"Polygon","coordinates":[[[11,48],[12,48],[12,49],[11,49],[11,48]]]}}]}"#;
        let areas = Areas::parse(square, "test").unwrap();
        let borders = Borders::new(areas, Vec::new()).unwrap();
        assert_eq!(at(&borders, 48.137, 11.575).as_deref(), Some("FR"));
        assert_eq!(at(&borders, 47.9, 11.575).as_deref(), Some("DE"));
    }

    #[test]
    fn neighbours_are_found_around_and_further_ahead() {
        let borders = borders();
        let near = |at, heading| {
            let mut near = Near::new();
            borders.near(at, heading, 5_000.0, &mut near);
            let mut names: Vec<String> = near.iter().map(|r| r.to_string()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(near((48.137, 11.575), None), "DE", "Munich");
        // Kehl: the Rhine is 2 km away.
        assert_eq!(near((48.575, 7.84), None), "DE FR");
        // 8 km north of Scheibenhard: only ahead.
        assert_eq!(near((49.045, 8.157), None), "DE");
        assert_eq!(near((49.045, 8.157), Some(180.0)), "DE FR");
        // Basel, where three meet.
        assert_eq!(near((47.577, 7.595), None), "CH DE FR");
    }
}
