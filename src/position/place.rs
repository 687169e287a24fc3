//! Distances and directions on the sphere.

const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Along a meridian.
pub const METRES_PER_DEGREE: f64 = EARTH_RADIUS_M * std::f64::consts::PI / 180.0;

/// Distance between two positions in degrees (latitude, longitude), in metres; a few metres off over the
/// distances driven between fixes.
pub fn distance_m(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (la, lb) = (a.0.to_radians(), b.0.to_radians());
    let half = |d: f64| (d / 2.0).sin().powi(2);
    let h = half(lb - la) + la.cos() * lb.cos() * half((b.1 - a.1).to_radians());
    2.0 * EARTH_RADIUS_M * h.min(1.0).sqrt().asin()
}

/// The position `distance_m` metres from `from` in the direction `heading_deg`, clockwise from north.
pub fn moved(from: (f64, f64), heading_deg: f64, distance_m: f64) -> (f64, f64) {
    let (angle, heading) = (distance_m / EARTH_RADIUS_M, heading_deg.to_radians());
    let latitude = from.0.to_radians();
    let reached = (latitude.sin() * angle.cos() + latitude.cos() * angle.sin() * heading.cos())
        .clamp(-1.0, 1.0)
        .asin();
    let east = (heading.sin() * angle.sin() * latitude.cos())
        .atan2(angle.cos() - latitude.sin() * reached.sin());
    let longitude = from.1 + east.to_degrees();
    (
        reached.to_degrees(),
        (longitude + 540.0).rem_euclid(360.0) - 180.0,
    )
}

/// Direction from `from` to `to`, in degrees clockwise from north, 0 to 360.
pub fn heading_deg(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (la, lb) = (from.0.to_radians(), to.0.to_radians());
    let east = (to.1 - from.1).to_radians();
    let x = la.cos() * lb.sin() - la.sin() * lb.cos() * east.cos();
    (east.sin() * lb.cos())
        .atan2(x)
        .to_degrees()
        .rem_euclid(360.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_degree_of_latitude_is_111_km() {
        assert!((distance_m((48.0, 8.0), (49.0, 8.0)) - 111_195.0).abs() < 10.0);
    }

    proptest! {
        #[test]
        fn what_is_moved_lies_at_the_distance(
            latitude in -80.0_f64..80.0, longitude in -180.0_f64..180.0,
            heading in 0.0_f64..360.0, metres in 1.0_f64..50_000.0,
        ) {
            let to = moved((latitude, longitude), heading, metres);
            prop_assert!((-180.0..=180.0).contains(&to.1));
            prop_assert!((distance_m((latitude, longitude), to) / metres - 1.0).abs() < 1e-3);
        }
    }
}
