//! What is kept of a drive for its report.

use std::time::Duration;

use crate::event::{RegionEvent, SignEvent, SpeedAdvice};
use crate::units::{RegionCode, Timestamp};

/// A list that stops growing; what came too late is counted.
#[derive(Debug)]
pub struct Bounded<T> {
    /// The first `limit` items.
    pub items: Vec<T>,
    /// How many more there were.
    pub left_out: usize,
    limit: usize,
}

impl<T> Bounded<T> {
    pub fn new(limit: usize) -> Self {
        Self {
            items: Vec::new(),
            left_out: 0,
            limit,
        }
    }

    pub fn push(&mut self, item: T) {
        if self.is_full() {
            self.left_out += 1;
        } else {
            self.items.push(item);
        }
    }

    pub fn is_full(&self) -> bool {
        self.items.len() >= self.limit
    }
}

/// A JPEG picture.
#[derive(Debug)]
pub struct Picture {
    pub jpeg: Vec<u8>,
    pub width_px: u32,
    pub height_px: u32,
}

/// The frame of a confirmation, made small, and where in it the sign is.
#[derive(Debug)]
pub struct Scene {
    pub picture: Picture,
    /// Left, top, width and height of the sign's box, in percent of the picture.
    pub box_percent: [f32; 4],
}

/// A track that was named, or that ended as an unknown sign.
#[derive(Debug)]
pub struct SignCard {
    /// The confirmation, or the end of an unknown sign.
    pub event: SignEvent,
    pub position_deg: Option<(f64, f64)>,
    pub crop: Option<Picture>,
    pub scene: Option<Scene>,
}

/// Where the car was at a time.
#[derive(Debug, Clone, Copy)]
pub struct RoutePoint {
    pub time: Timestamp,
    pub position_deg: (f64, f64),
    pub region: RegionCode,
}

/// The track of the car: one point a second at first, fewer on long drives.
#[derive(Debug)]
pub struct Route {
    pub points: Vec<RoutePoint>,
    step_s: f64,
}

impl Route {
    const LIMIT: usize = 4096;

    pub fn new() -> Self {
        Self {
            points: Vec::new(),
            step_s: 1.0,
        }
    }

    pub fn add(&mut self, point: RoutePoint) {
        let due = self.points.last().is_none_or(|last| {
            point.region != last.region || point.time.seconds_since(last.time) >= self.step_s - 1e-6
        });
        if !due {
            return;
        }
        self.points.push(point);
        if self.points.len() >= Self::LIMIT {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.step_s *= 2.0;
        }
    }
}

/// A region that came to count.
#[derive(Debug, Clone)]
pub struct Swap {
    pub event: RegionEvent,
    /// Time it took, where there was a pack before.
    pub took: Option<Duration>,
}

/// A whole drive.
#[derive(Debug)]
pub struct Journal {
    pub start: Timestamp,
    pub end: Timestamp,
    pub frame_px: (u32, u32),
    /// In the order of their confirmation.
    pub signs: Bounded<SignCard>,
    pub unknown: Bounded<SignCard>,
    pub advice: Bounded<SpeedAdvice>,
    pub regions: Bounded<Swap>,
    pub route: Route,
}

impl Journal {
    /// Length in seconds; never zero, so that shares of it can be taken.
    pub fn duration_s(&self) -> f64 {
        self.end.seconds_since(self.start).max(0.001)
    }

    /// The regions that were entered on the way.
    pub fn swaps(&self) -> impl Iterator<Item = &Swap> {
        (self.regions.items.iter()).filter(|swap| swap.event.from.is_some())
    }

    /// Numbers the regions in the order in which they came, for their colours.
    pub fn region_order(&self) -> Vec<RegionCode> {
        let mut order = Vec::new();
        let seen = (self.regions.items.iter().map(|r| r.event.to))
            .chain(self.signs.items.iter().map(|s| s.event.region))
            .chain(self.route.points.iter().map(|p| p.region));
        for region in seen {
            if !order.contains(&region) {
                order.push(region);
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_route_is_thinned_evenly() {
        let mut route = Route::new();
        for second in 0..20_000 {
            route.add(RoutePoint {
                time: Timestamp::from_seconds(f64::from(second)),
                position_deg: (48.0, 8.0),
                region: RegionCode::WORLD,
            });
        }
        assert!(route.points.len() < Route::LIMIT);
        let steps: Vec<f64> = (route.points.windows(2))
            .map(|p| p[1].time.seconds_since(p[0].time))
            .collect();
        assert!(steps.iter().all(|s| *s <= 8.0), "{steps:?}");
        assert!(route.points.last().unwrap().time.seconds() > 19_990.0);
    }
}
