//! Where the car is: position fixes over time.

pub mod gpx;

use crate::units::Timestamp;

/// A position at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fix {
    /// Media time in a replay.
    pub time: Timestamp,
    /// WGS 84 latitude.
    pub latitude_deg: f64,
    /// WGS 84 longitude.
    pub longitude_deg: f64,
}

/// Distance between two fixes on the sphere; a few metres off over the distances driven between fixes.
pub fn distance_m(a: &Fix, b: &Fix) -> f64 {
    const EARTH_RADIUS_M: f64 = 6_371_008.8;
    let (la, lb) = (a.latitude_deg.to_radians(), b.latitude_deg.to_radians());
    let half = |d: f64| (d / 2.0).sin().powi(2);
    let h = half(lb - la)
        + la.cos() * lb.cos() * half((b.longitude_deg - a.longitude_deg).to_radians());
    2.0 * EARTH_RADIUS_M * h.min(1.0).sqrt().asin()
}
