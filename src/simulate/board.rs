//! Flat things standing in the world (signs, posts, trees, house fronts), seen in perspective.

use super::camera::{Camera, Seen};
use super::lanes::{self, LANES, Lanes};
use super::picture::Picture;
use super::route::Pose;
use super::shake::Turn;
use super::texture::{Extent, Texture};
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
        let share = 1.0 / samples.len() as f32;
        let points: Vec<_> = (samples.iter())
            .map(|&(dx, dy, moment)| Point {
                right: dx * step,
                down: dy * step,
                moment,
                moved: solver.moved(moment * view.blur_m),
            })
            .collect();
        let mut hits = vec![[[0.0; LANES]; 2]; points.len()];
        let mut spots = Vec::with_capacity(points.len());
        for y in y {
            let row = camera.row(y);
            for from in x.clone().step_by(LANES) {
                let [right, down] = row.map(|rays| lanes::load(&rays[from..x.end]));
                let mut extent = Extent::new();
                for (at, point) in hits.iter_mut().zip(&points) {
                    *at = solver.hits(point, &right, &down, &blur);
                    extent.add(at);
                }
                // Most of a tree's picture is what lies around the tree.
                if !level.any_drawn(&extent) {
                    continue;
                }
                spots.clear();
                spots.extend(hits.iter().map(|at| level.spots(at)));
                for (i, x) in (from..x.end).take(LANES).enumerate() {
                    let sum = level.sum(&spots, i);
                    if sum[3] > 0.0 {
                        let cover = sum[3] * share / 255.0;
                        let colour = [sum[0], sum[1], sum[2]].map(|c| c * share);
                        picture.blend(x, y, lit.colour(colour, cover), cover);
                    }
                }
            }
        }
    }
}

/// A point of every pixel: its offset as part of a ray, its moment of the exposure, and the board then.
struct Point {
    right: f32,
    down: f32,
    moment: f32,
    moved: Moved,
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

    /// The board as a camera moved ahead by so much sees it.
    fn moved(&self, moved_m: f32) -> Moved {
        let [right, _, ahead] = self.placed.corner;
        let ahead = ahead - moved_m;
        Moved {
            ahead,
            facing: self.normal[0] * right + self.normal[2] * ahead,
        }
    }

    /// Shares of width and height where the rays of pixels meet it, at one of their points; outside 0 to 1
    /// where they do not.
    #[inline(always)]
    fn hits(&self, point: &Point, rights: &Lanes, downs: &Lanes, blur: &Turn) -> [Lanes; 2] {
        let (mut u, mut v) = ([0.0; LANES], [0.0; LANES]);
        let [corner_right, corner_down, _] = self.placed.corner;
        let (moment, across) = (point.moment, self.placed.across);
        for i in 0..LANES {
            let right = rights[i] + point.right + moment * (blur.yaw - downs[i] * blur.roll);
            let down = downs[i] + point.down + moment * (blur.pitch + rights[i] * blur.roll);
            let depth = point.moved.facing / (self.normal[0] * right + self.normal[2]);
            let (x, z) = (right * depth - corner_right, depth - point.moved.ahead);
            let hit = (0.2..f32::INFINITY).contains(&depth);
            u[i] = (x * across[0] + z * across[2]) * self.across_share;
            u[i] = if hit { u[i] } else { -1.0 };
            v[i] = (down * depth - corner_down) * self.down_share;
        }
        [u, v]
    }
}

/// Where the board's corner lies ahead at a moment, and along the board's normal.
struct Moved {
    ahead: f32,
    facing: f32,
}
