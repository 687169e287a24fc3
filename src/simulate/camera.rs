//! From a point in front of the car to a pixel, and back to a ray.

use super::scenario::CameraPart;
use super::shake::Turn;

/// A point or direction seen from the car: metres to the right, down from the camera, and ahead.
pub type Seen = [f32; 3];

/// A pinhole with one radial distortion term, looking along the car's axis, tilted down a little; shaken
/// from there.
#[derive(Debug)]
pub struct Camera {
    /// Picture width.
    pub width_px: u32,
    /// Picture height.
    pub height_px: u32,
    /// Height above the road.
    pub height_m: f32,
    /// Focal length.
    pub focal_px: f32,
    centre: (f32, f32),
    k1: f32,
    pitch_deg: f32,
    turn: Turn,
    attitude: Attitude,
    /// Where each pixel looks from the camera, and from the car: to the right, and down.
    straight: [Vec<f32>; 2],
    rays: [Vec<f32>; 2],
}

/// Sines and cosines of how the camera is turned from the car's axes.
#[derive(Debug, Clone, Copy)]
struct Attitude {
    pitch: (f32, f32),
    yaw: (f32, f32),
    roll: (f32, f32),
}

impl Attitude {
    fn new(pitch_deg: f32, turn: Turn) -> Self {
        Self {
            pitch: (pitch_deg.to_radians() + turn.pitch).sin_cos(),
            yaw: turn.yaw.sin_cos(),
            roll: turn.roll.sin_cos(),
        }
    }

    /// From the camera's directions to the car's: undone in the order roll, pitch, yaw.
    fn to_car(self, [x, y, z]: Seen) -> Seen {
        let ((sin_p, cos_p), (sin_y, cos_y), (sin_r, cos_r)) = (self.pitch, self.yaw, self.roll);
        let (x, y) = (x * cos_r - y * sin_r, y * cos_r + x * sin_r);
        let (y, z) = (y * cos_p + z * sin_p, z * cos_p - y * sin_p);
        [x * cos_y + z * sin_y, y, z * cos_y - x * sin_y]
    }

    /// And back.
    fn to_camera(self, [x, y, z]: Seen) -> Seen {
        let ((sin_p, cos_p), (sin_y, cos_y), (sin_r, cos_r)) = (self.pitch, self.yaw, self.roll);
        let (x, z) = (x * cos_y - z * sin_y, z * cos_y + x * sin_y);
        let (y, z) = (y * cos_p - z * sin_p, z * cos_p + y * sin_p);
        [x * cos_r + y * sin_r, y * cos_r - x * sin_r, z]
    }
}

impl Camera {
    /// Works out the ray of every pixel once.
    pub fn new(part: &CameraPart) -> Self {
        let (width_px, height_px) = (part.width_px, part.height_px);
        let half = part.field_of_view_deg.to_radians() / 2.0;
        let mut camera = Self {
            width_px,
            height_px,
            height_m: part.height_m,
            focal_px: width_px as f32 / 2.0 / half.tan(),
            centre: (width_px as f32 / 2.0, height_px as f32 / 2.0),
            k1: part.distortion_k1,
            pitch_deg: part.pitch_deg,
            turn: Turn::default(),
            attitude: Attitude::new(part.pitch_deg, Turn::default()),
            straight: [Vec::new(), Vec::new()],
            rays: [Vec::new(), Vec::new()],
        };
        for (x, y) in (0..height_px).flat_map(|y| (0..width_px).map(move |x| (x, y))) {
            let [right, down] = camera.unbent(x as f32 + 0.5, y as f32 + 0.5);
            camera.straight[0].push(right);
            camera.straight[1].push(down);
        }
        camera.rays = camera.straight.clone();
        camera.cast_rays();
        camera
    }

    /// Looks elsewhere than its mount points.
    pub fn turn(&mut self, turn: Turn) {
        if turn != self.turn {
            self.turn = turn;
            self.attitude = Attitude::new(self.pitch_deg, turn);
            self.cast_rays();
        }
    }

    fn cast_rays(&mut self) {
        let attitude = self.attitude;
        let [rights, downs] = &mut self.rays;
        let straight = self.straight[0].iter().zip(&self.straight[1]);
        for ((right, down), (&x, &y)) in rights.iter_mut().zip(downs).zip(straight) {
            let seen = attitude.to_car([x, y, 1.0]);
            (*right, *down) = (seen[0] / seen[2], seen[1] / seen[2]);
        }
    }

    /// The rays of a row of pixels: metres to the right, and metres down, for each metre ahead.
    pub fn row(&self, y: usize) -> [&[f32]; 2] {
        let width = self.width_px as usize;
        (self.rays.each_ref()).map(|rays| &rays[y * width..(y + 1) * width])
    }

    /// Where a point appears; `None` when it is not well in front.
    pub fn project(&self, point: Seen) -> Option<(f32, f32)> {
        let [right, down, ahead] = self.attitude.to_camera(point);
        if ahead < 0.2 {
            return None;
        }
        let (x, y) = (right / ahead, down / ahead);
        let bend = 1.0 + self.k1 * (x * x + y * y);
        Some((
            self.centre.0 + self.focal_px * x * bend,
            self.centre.1 + self.focal_px * y * bend,
        ))
    }

    /// Where a pixel looks, for each metre along the optical axis.
    fn unbent(&self, x_px: f32, y_px: f32) -> [f32; 2] {
        let (bent_x, bent_y) = (
            (x_px - self.centre.0) / self.focal_px,
            (y_px - self.centre.1) / self.focal_px,
        );
        // The distortion has no closed inverse; with the small terms allowed this converges fast.
        let (mut x, mut y) = (bent_x, bent_y);
        for _ in 0..20 {
            let bend = 1.0 + self.k1 * (x * x + y * y);
            (x, y) = (bent_x / bend, bent_y / bend);
        }
        [x, y]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::scenario::ShakePart;
    use proptest::prelude::*;

    fn camera(pitch_deg: f32, distortion_k1: f32) -> Camera {
        Camera::new(&CameraPart {
            width_px: 320,
            height_px: 180,
            rate_hz: 10,
            field_of_view_deg: 50.0,
            height_m: 1.4,
            pitch_deg,
            distortion_k1,
            shutter_ms: 0.0,
            noise: 0.0,
            shake: ShakePart::default(),
        })
    }

    #[test]
    fn what_the_camera_turns_towards_moves_the_other_way() {
        let mut camera = camera(0.0, 0.0);
        let ahead = [0.0, 0.0, 50.0];
        let turn = |pitch, yaw, roll| Turn { pitch, yaw, roll };
        camera.turn(turn(0.01, 0.0, 0.0));
        assert!(camera.project(ahead).unwrap().1 < 89.0);
        camera.turn(turn(0.0, 0.01, 0.0));
        assert!(camera.project(ahead).unwrap().0 < 159.0);
        // What is to the right rises in the picture of a camera that leans to the right.
        camera.turn(turn(0.0, 0.0, 0.01));
        assert!(camera.project([20.0, 0.0, 50.0]).unwrap().1 < 90.0);
        camera.turn(Turn::default());
        assert_eq!(camera.project(ahead).unwrap(), (160.0, 90.0));
    }

    proptest! {
        #[test]
        fn a_sign_appears_at_focal_length_times_size_over_distance(
            size_m in 0.3f32..1.5, distance_m in 5.0f32..80.0, right_m in -2.0f32..2.0,
        ) {
            let camera = camera(0.0, 0.0);
            let (left, _) = camera.project([right_m, -1.0, distance_m]).unwrap();
            let (right, _) = camera.project([right_m + size_m, -1.0, distance_m]).unwrap();
            let expected = camera.focal_px * size_m / distance_m;
            prop_assert!((right - left - expected).abs() < 0.01 + 1e-4 * expected);
        }

        #[test]
        fn the_ray_of_a_pixel_leads_back_to_it(
            x in 0usize..320, y in 0usize..180, k1 in -0.2f32..0.2, pitch in -5f32..5.0, ahead in 1f32..100.0,
            shake in (-0.05f32..0.05, -0.05f32..0.05, -0.05f32..0.05),
        ) {
            let mut camera = camera(pitch, k1);
            camera.turn(Turn { pitch: shake.0, yaw: shake.1, roll: shake.2 });
            let [right, down] = camera.row(y).map(|rays| rays[x]);
            let (px, py) = camera.project([right * ahead, down * ahead, ahead]).unwrap();
            prop_assert!((px - x as f32 - 0.5).abs() < 0.02 && (py - y as f32 - 0.5).abs() < 0.02);
        }
    }
}
