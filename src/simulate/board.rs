//! Flat things standing in the world (signs, posts, trees, house fronts), seen in perspective.

use super::camera::{Camera, Seen};
use super::picture::Picture;
use super::route::Pose;
use super::shake::Turn;
use super::texture::Texture;
use super::weather::Lit;
use crate::units::BoxPx;

/// A drawing standing upright at a place: the middle of its lower edge, its width direction, its size.
#[derive(Debug, Clone, Copy)]
pub struct Board {
    /// East of the start.
    pub x_m: f64,
    /// North of the start.
    pub y_m: f64,
    /// Height of the lower edge above the ground.
    pub bottom_m: f32,
    /// Direction from its left edge to its right edge, as a compass heading in radians.
    pub heading: f64,
    /// Width and height.
    pub size_m: (f32, f32),
    /// Which drawing.
    pub texture: usize,
    /// Throws headlight back.
    pub reflective: bool,
}

/// The board in the car's view: a corner and the two edges from it.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    corner: Seen,
    across: Seen,
    down: Seen,
    reflective: bool,
}

/// Where the camera looks from, and how fast it moves while the shutter is open.
#[derive(Debug, Clone, Copy)]
pub struct Viewpoint {
    /// On the ground, below the camera.
    pub pose: Pose,
    /// Way driven during the exposure.
    pub blur_m: f32,
    /// Turn during the exposure.
    pub blur_turn: Turn,
}

impl Board {
    /// Seen from a viewpoint.
    pub fn placed(&self, camera: &Camera, view: &Viewpoint) -> Placed {
        let (ahead, right) = (view.pose.ahead(), view.pose.right());
        let seen = |x: f64, y: f64| {
            let (x, y) = (x - view.pose.x_m, y - view.pose.y_m);
            (
                (x * right.0 + y * right.1) as f32,
                (x * ahead.0 + y * ahead.1) as f32,
            )
        };
        let (width, height) = self.size_m;
        let half = f64::from(width) / 2.0;
        let side = (self.heading.sin(), self.heading.cos());
        let left = seen(self.x_m - side.0 * half, self.y_m - side.1 * half);
        let end = seen(self.x_m + side.0 * half, self.y_m + side.1 * half);
        Placed {
            corner: [left.0, camera.height_m - self.bottom_m - height, left.1],
            across: [end.0 - left.0, 0.0, end.1 - left.1],
            down: [0.0, height, 0.0],
            reflective: self.reflective,
        }
    }
}

impl Placed {
    /// Distance ahead of the nearer edge.
    pub fn distance_m(&self) -> f32 {
        self.corner[2].min(self.corner[2] + self.across[2])
    }

    /// The box around it in the picture, not cut to the picture; `None` when it is not in front.
    pub fn bounds(&self, camera: &Camera) -> Option<BoxPx> {
        let mut bounds = BoxPx::new(f32::MAX, f32::MAX, f32::MIN, f32::MIN);
        // The middles of the edges count too: a lens can bend an edge outwards.
        for (u, v) in (0..3).flat_map(|u| (0..3).map(move |v| (u, v))) {
            let (u, v) = (u as f32 / 2.0, v as f32 / 2.0);
            let point =
                std::array::from_fn(|i| self.corner[i] + self.across[i] * u + self.down[i] * v);
            let (x, y) = camera.project(point)?;
            bounds.x0 = bounds.x0.min(x);
            bounds.y0 = bounds.y0.min(y);
            bounds.x1 = bounds.x1.max(x);
            bounds.y1 = bounds.y1.max(y);
        }
        Some(bounds)
    }

    /// Draws it: every pixel is a mean over a grid of points, each at its own moment of the exposure.
    pub fn draw(
        &self,
        picture: &mut Picture,
        camera: &Camera,
        texture: &Texture,
        view: &Viewpoint,
        lit: &Lit,
    ) {
        let Some(bounds) = self.bounds(camera) else {
            return;
        };
        let longer = bounds.longer_side();
        // How far the picture moves during the exposure, at the board.
        let reach = (bounds.centre().0 - camera.width_px as f32 / 2.0)
            .hypot(bounds.centre().1 - camera.height_px as f32 / 2.0);
        let blur = view.blur_turn;
        let smear = reach * view.blur_m / self.distance_m().max(1.0)
            + camera.focal_px * blur.yaw.hypot(blur.pitch)
            + reach * blur.roll.abs();
        let margin = 1.0 + smear / 2.0;
        let x = clamp_range(bounds.x0 - margin, bounds.x1 + margin, picture.width_px);
        let y = clamp_range(bounds.y0 - margin, bounds.y1 + margin, picture.height_px);
        // Signs are what the picture is for; the rest may be a little rougher.
        let grid = match (self.reflective, longer < 60.0 || smear > 3.0) {
            (true, true) => 4,
            (true, false) | (false, true) => 3,
            (false, false) => 2,
        };
        let samples = samples(grid);
        let shown_px = bounds.width().max(0.5);
        let level = texture.level(texture.width_px() / shown_px / grid as f32 * 1.5);
        let solver = Solver::new(self);
        let step = 1.0 / camera.focal_px;
        for y in y {
            let row = camera.row(y);
            for x in x.clone() {
                let [right, down] = row[x];
                let mut sum = [0.0; 4];
                for &(dx, dy, moment) in &samples {
                    let ray = [
                        right + dx * step + moment * (blur.yaw - down * blur.roll),
                        down + dy * step + moment * (blur.pitch + right * blur.roll),
                        1.0,
                    ];
                    if let Some((u, v)) = solver.hit(ray, moment * view.blur_m) {
                        let colour = texture.at(u, v, level);
                        for (total, part) in sum.iter_mut().zip(colour) {
                            *total += part;
                        }
                    }
                }
                if sum[3] > 0.0 {
                    let share = 1.0 / samples.len() as f32;
                    let cover = sum[3] * share / 255.0;
                    let colour = [sum[0], sum[1], sum[2]].map(|c| c * share);
                    picture.blend(x, y, lit.colour(colour, cover), cover);
                }
            }
        }
    }
}

/// Points of a pixel (offsets in pixels) with their moments (-0.5 to 0.5) of the exposure.
fn samples(grid: usize) -> Vec<(f32, f32, f32)> {
    let count = grid * grid;
    (0..count)
        .map(|i| {
            let offset = |k: usize| (k as f32 + 0.5) / grid as f32 - 0.5;
            // Neighbouring points take moments far apart.
            let moment = (i * 7 % count) as f32;
            (
                offset(i % grid),
                offset(i / grid),
                (moment + 0.5) / count as f32 - 0.5,
            )
        })
        .collect()
}

fn clamp_range(low: f32, high: f32, end: usize) -> std::ops::Range<usize> {
    let cut = |v: f32| v.clamp(0.0, end as f32) as usize;
    cut(low.floor())..cut(high.ceil())
}

/// Meets a ray with the board's plane.
struct Solver {
    placed: Placed,
    normal: Seen,
    across_share: f32,
    down_share: f32,
}

impl Solver {
    fn new(placed: &Placed) -> Self {
        let (a, d) = (placed.across, placed.down);
        Self {
            placed: *placed,
            // `across` is level and `down` is upright, so the cross product is short.
            normal: [-a[2] * d[1], 0.0, a[0] * d[1]],
            across_share: 1.0 / (a[0] * a[0] + a[2] * a[2]),
            down_share: 1.0 / d[1],
        }
    }

    /// Shares of width and height where the ray from a camera moved ahead by `moved_m` meets it.
    fn hit(&self, ray: Seen, moved_m: f32) -> Option<(f32, f32)> {
        let corner = [
            self.placed.corner[0],
            self.placed.corner[1],
            self.placed.corner[2] - moved_m,
        ];
        let facing = self.normal[0] * ray[0] + self.normal[2] * ray[2];
        let depth = (self.normal[0] * corner[0] + self.normal[2] * corner[2]) / facing;
        if !depth.is_finite() || depth < 0.2 {
            return None;
        }
        let (x, z) = (ray[0] * depth - corner[0], ray[2] * depth - corner[2]);
        let u = (x * self.placed.across[0] + z * self.placed.across[2]) * self.across_share;
        let v = (ray[1] * depth - corner[1]) * self.down_share;
        Some((u, v))
    }
}
