//! Where a sign stands relative to the camera, from its box, its true size and the angle of view.

use crate::event::Placement;
use crate::units::BoxPx;

/// Deviation of a detected edge-to-edge length, in pixels.
const BOX_PX: f32 = 1.5;
/// How well a configured angle of view is known, as a share of the focal length.
const GIVEN_SHARE: f32 = 0.03;
/// And an assumed one: dashcams see 45 to 75 degrees of the road.
const ASSUMED_SHARE: f32 = 0.25;

/// The camera's lens, as far as directions need it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lens {
    /// Horizontal angle of view in degrees.
    pub field_of_view_deg: f32,
    /// It was configured, not assumed.
    pub is_given: bool,
}

impl Default for Lens {
    fn default() -> Self {
        Self {
            field_of_view_deg: 60.0,
            is_given: false,
        }
    }
}

impl Lens {
    /// A lens whose angle of view is known; `None` where no lens has such.
    pub fn given(field_of_view_deg: f32) -> Option<Self> {
        let is_given = (5.0..=170.0).contains(&field_of_view_deg);
        is_given.then_some(Self {
            field_of_view_deg,
            is_given,
        })
    }

    /// Distance and bearing of a sign whose upright box has a longer side of `longer_side_m` metres, give
    /// or take `deviation_share` of it. `None` for a box cut by the frame's edge.
    pub fn place(
        &self,
        bbox: BoxPx,
        (width_px, height_px): (u32, u32),
        longer_side_m: f32,
        deviation_share: f32,
    ) -> Option<Placement> {
        let side_px = bbox.longer_side();
        let (w, h) = (width_px as f32, height_px as f32);
        let is_whole = bbox.x0 >= 1.0 && bbox.y0 >= 1.0 && bbox.x1 <= w - 1.0 && bbox.y1 <= h - 1.0;
        if !is_whole || side_px < 1.0 {
            return None;
        }
        let focal_px = w / 2.0 / (self.field_of_view_deg.to_radians() / 2.0).tan();
        let focal_share = if self.is_given {
            GIVEN_SHARE
        } else {
            ASSUMED_SHARE
        };
        let aside = (bbox.centre().0 - w / 2.0) / focal_px;
        let up = (bbox.centre().1 - h / 2.0) / focal_px;
        let depth_m = longer_side_m * focal_px / side_px;
        let distance_m = depth_m * (1.0 + aside * aside + up * up).sqrt();
        let share =
            (deviation_share.powi(2) + focal_share.powi(2) + (BOX_PX / side_px).powi(2)).sqrt();
        // d atan(a) = da / (1 + a^2), and the focal length scales a.
        let bearing_error = (BOX_PX / focal_px).hypot(aside * focal_share) / (1.0 + aside * aside);
        Some(Placement {
            distance_m,
            distance_deviation_m: distance_m * share,
            bearing_deg: aside.atan().to_degrees(),
            bearing_deviation_deg: bearing_error.to_degrees(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENS: Lens = Lens {
        field_of_view_deg: 50.0,
        is_given: true,
    };

    proptest! {
        #[test]
        fn a_projected_sign_is_placed_where_it_stands(
            depth_m in 8.0_f32..120.0, aside_share in -0.7_f32..0.7, up_m in -1.0_f32..4.0, size_m in 0.4_f32..1.2,
        ) {
            let focal_px = 640.0 / 25_f32.to_radians().tan();
            let x_m = aside_share * depth_m * 25_f32.to_radians().tan();
            let side_px = size_m * focal_px / depth_m;
            let bbox = BoxPx::from_centre(
                640.0 + focal_px * x_m / depth_m, 360.0 - focal_px * up_m / depth_m, side_px, side_px);
            let Some(place) = LENS.place(bbox, (1280, 720), size_m, 0.2) else {
                return Ok(()); // partly outside of the picture
            };
            let true_m = (depth_m.powi(2) + x_m.powi(2) + up_m.powi(2)).sqrt();
            prop_assert!((place.distance_m - true_m).abs() < 0.01 * true_m);
            prop_assert!((place.bearing_deg - (x_m / depth_m).atan().to_degrees()).abs() < 0.05);
            prop_assert!(place.distance_deviation_m > 0.2 * true_m);
            // A sign 20 % smaller than the standard is within one deviation of the truth.
            let smaller = LENS.place(bbox, (1280, 720), size_m / 0.8, 0.25).unwrap();
            prop_assert!((smaller.distance_m - true_m).abs() <= smaller.distance_deviation_m);
        }
    }

    #[test]
    fn a_box_cut_by_the_edge_has_no_distance() {
        let cut = BoxPx::new(1250.0, 300.0, 1280.0, 360.0);
        assert_eq!(LENS.place(cut, (1280, 720), 0.6, 0.2), None);
    }

    #[test]
    fn an_assumed_angle_of_view_widens_both_deviations() {
        let bbox = BoxPx::new(900.0, 300.0, 930.0, 330.0);
        let assumed = Lens {
            is_given: false,
            ..LENS
        };
        let place = |lens: Lens| lens.place(bbox, (1280, 720), 0.6, 0.2).unwrap();
        let (a, b) = (place(LENS), place(assumed));
        assert!(b.distance_deviation_m > a.distance_deviation_m);
        assert!(b.bearing_deviation_deg > a.bearing_deviation_deg);
    }
}
