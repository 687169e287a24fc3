//! The road as a line on the ground, and where the car is on it when.

use super::scenario::{RoutePart, Segment};
use crate::draw::sign::NationalStyle;
use crate::position::METRES_PER_DEGREE;

/// Distance between the points of the line.
const STEP_M: f64 = 0.5;
/// The road goes on beyond both ends of the drive, so that there is something to see.
const BEFORE_M: f64 = 60.0;
const BEYOND_M: f64 = 500.0;
/// How fast the car takes up a new speed.
const ACCELERATION_M_S2: f64 = 2.0;

/// A place on the ground and a direction: x to the east, y to the north, from the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// East.
    pub x_m: f64,
    /// North.
    pub y_m: f64,
    /// Clockwise from north, in radians.
    pub heading: f64,
}

impl Pose {
    /// Unit vector ahead (east, north).
    pub fn ahead(&self) -> (f64, f64) {
        (self.heading.sin(), self.heading.cos())
    }

    /// Unit vector to the right (east, north).
    pub fn right(&self) -> (f64, f64) {
        (self.heading.cos(), -self.heading.sin())
    }

    /// The point so far ahead and to the right.
    pub fn offset(&self, ahead_m: f64, right_m: f64) -> (f64, f64) {
        let (a, r) = (self.ahead(), self.right());
        (
            self.x_m + a.0 * ahead_m + r.0 * right_m,
            self.y_m + a.1 * ahead_m + r.1 * right_m,
        )
    }
}

/// The road.
#[derive(Debug)]
pub struct Route {
    part: RoutePart,
    points: Vec<Pose>,
}

impl Route {
    /// Lays the road out.
    pub fn new(part: &RoutePart) -> Self {
        let mut pose = Pose {
            x_m: 0.0,
            y_m: 0.0,
            heading: part.heading_deg.to_radians(),
        };
        let (x_m, y_m) = pose.offset(-BEFORE_M, 0.0);
        pose = Pose { x_m, y_m, ..pose };
        let length_m: f64 = part.segments.iter().map(|s| s.length_m).sum();
        let steps = ((BEFORE_M + length_m + BEYOND_M) / STEP_M).ceil() as usize;
        let mut points = Vec::with_capacity(steps + 1);
        for step in 0..=steps {
            points.push(pose);
            let along_m = step as f64 * STEP_M - BEFORE_M;
            // Straight before the start, as is the run-out.
            let curvature = segment_at(&part.segments, along_m).map_or(0.0, |s| s.curvature_per_m);
            let heading = pose.heading + curvature * STEP_M;
            let middle = Pose {
                heading: (pose.heading + heading) / 2.0,
                ..pose
            };
            let (x_m, y_m) = middle.offset(STEP_M, 0.0);
            pose = Pose { x_m, y_m, heading };
        }
        Self {
            part: part.clone(),
            points,
        }
    }

    /// The road's middle at a distance from the start; beyond the ends, the ends.
    pub fn at(&self, along_m: f64) -> Pose {
        let last = self.points.len() - 2;
        let position = ((along_m + BEFORE_M) / STEP_M).max(0.0);
        let index = (position as usize).min(last);
        let share = (position - index as f64).min(1.0);
        let (a, b) = (self.points[index], self.points[index + 1]);
        let mix = |a: f64, b: f64| a + (b - a) * share;
        Pose {
            x_m: mix(a.x_m, b.x_m),
            y_m: mix(a.y_m, b.y_m),
            heading: mix(a.heading, b.heading),
        }
    }

    /// Whose road markings lie there.
    pub fn style(&self, along_m: f64) -> NationalStyle {
        let segments = &self.part.segments;
        segment_at(segments, along_m.max(0.0))
            .or(segments.last())
            .map_or(NationalStyle::De, |s| s.style)
    }

    /// Length of the drive.
    pub fn length_m(&self) -> f64 {
        self.part.segments.iter().map(|s| s.length_m).sum()
    }

    /// Latitude and longitude in degrees of a point on the ground.
    pub fn geographic(&self, x_m: f64, y_m: f64) -> (f64, f64) {
        let latitude = self.part.latitude_deg + y_m / METRES_PER_DEGREE;
        let narrowing = self.part.latitude_deg.to_radians().cos();
        let longitude = self.part.longitude_deg + x_m / (METRES_PER_DEGREE * narrowing);
        (latitude, longitude)
    }

    /// Distance along the road and speed at every tick until the end of the road.
    pub fn drive(&self, ticks_per_second: f64) -> Vec<(f64, f64)> {
        const SUBSTEPS: u32 = 16;
        let dt_s = 1.0 / (ticks_per_second * f64::from(SUBSTEPS));
        let aim = |along_m: f64| {
            segment_at(&self.part.segments, along_m).map_or(0.0, |s| s.speed_kmh / 3.6)
        };
        let (mut along_m, mut speed) = (0.0, aim(0.0));
        let mut ticks = Vec::new();
        while along_m < self.length_m() {
            ticks.push((along_m, speed));
            for _ in 0..SUBSTEPS {
                if let Some(segment) = segment_at(&self.part.segments, along_m) {
                    let limit = ACCELERATION_M_S2 * dt_s;
                    speed += (segment.speed_kmh / 3.6 - speed).clamp(-limit, limit);
                }
                along_m += speed * dt_s;
            }
        }
        ticks
    }
}

fn segment_at(segments: &[Segment], along_m: f64) -> Option<&Segment> {
    let mut end_m = 0.0;
    if along_m < 0.0 {
        return None;
    }
    segments.iter().find(|s| {
        end_m += s.length_m;
        along_m < end_m
    })
}
