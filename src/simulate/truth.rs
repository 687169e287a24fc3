//! What stood where, and in which frames it could be seen.

use serde::{Deserialize, Serialize};

use super::scenario::{Scenario, Sign};
use crate::draw::sign::{NationalStyle, class_of};
use crate::units::{BoxPx, RegionCode, RoadType, SpeedUnit};

/// A sign counts as visible from this length of its longer side on, while it is whole in the picture.
pub const VISIBLE_PX: f32 = 8.0;

/// The truth of a drive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Truth {
    /// Picture width.
    pub width_px: u32,
    /// Picture height.
    pub height_px: u32,
    /// Frames a second.
    pub rate_hz: u32,
    /// Frames rendered.
    pub frames: u64,
    /// Where the car was, by country: the first entry is the start.
    pub regions: Vec<RegionTruth>,
    /// Every sign of the scenario, in its order.
    pub signs: Vec<SignTruth>,
    /// Distance along the road, frame by frame.
    #[serde(default)]
    pub way_m: Vec<f64>,
    /// The speed limit in force along the road.
    #[serde(default)]
    pub limits: Vec<LimitTruth>,
}

/// A stretch of road with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LimitTruth {
    /// Where it begins, along the road.
    pub from_m: f64,
    /// Where it ends.
    pub to_m: f64,
    /// The limit; `None` where it is not known.
    pub limit: Option<f32>,
    /// Its unit.
    pub unit: SpeedUnit,
    /// What kind of road it is.
    pub road: Option<RoadType>,
}

/// The car entered a country.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegionTruth {
    /// The country; `None` where there is none.
    pub region: Option<RegionCode>,
    /// The first frame in it.
    pub frame: u64,
    /// Its time.
    pub time_s: f64,
}

/// A sign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignTruth {
    /// Number in the scenario, from 0.
    pub id: usize,
    /// Class key.
    pub class: String,
    /// Whose drawing.
    pub style: NationalStyle,
    /// Distance along the road.
    pub at_m: f64,
    /// Where it stands.
    pub latitude_deg: f64,
    /// Where it stands.
    pub longitude_deg: f64,
    /// First frame it was visible in.
    pub first_frame: Option<u64>,
    /// Last frame it was visible in.
    pub last_frame: Option<u64>,
    /// Longer side of its box, smallest while visible.
    pub min_px: f32,
    /// Longer side of its box, largest while visible.
    pub max_px: f32,
    /// Frame, left, top, right, bottom while visible.
    pub boxes: Vec<(u64, [f32; 4])>,
}

impl Truth {
    /// Before the first frame; `positions` are the signs' latitudes and longitudes.
    pub fn new(scenario: &Scenario, positions: &[(f64, f64)]) -> Self {
        let sign = |(id, (sign, &(latitude_deg, longitude_deg))): (usize, (&Sign, &(f64, f64)))| {
            SignTruth {
                id,
                class: class_of(&sign.class).to_owned(),
                style: sign.style,
                at_m: sign.at_m,
                latitude_deg,
                longitude_deg,
                first_frame: None,
                last_frame: None,
                min_px: 0.0,
                max_px: 0.0,
                boxes: Vec::new(),
            }
        };
        Self {
            width_px: scenario.camera.width_px,
            height_px: scenario.camera.height_px,
            rate_hz: scenario.camera.rate_hz,
            frames: 0,
            regions: Vec::new(),
            way_m: Vec::new(),
            limits: limits(scenario),
            signs: scenario
                .signs
                .iter()
                .zip(positions)
                .enumerate()
                .map(sign)
                .collect(),
        }
    }

    /// Notes how far along the road a frame was taken.
    pub fn way(&mut self, along_m: f64) {
        self.way_m.push((along_m * 100.0).round() / 100.0);
    }

    /// Notes the country of a frame.
    pub fn region(&mut self, frame: u64, region: Option<RegionCode>) {
        if self.regions.last().is_none_or(|last| last.region != region) {
            let time_s = frame as f64 / f64::from(self.rate_hz);
            self.regions.push(RegionTruth {
                region,
                frame,
                time_s,
            });
        }
    }

    /// Notes where a sign appeared in a frame.
    pub fn sign(&mut self, id: usize, frame: u64, bounds: BoxPx) {
        let whole = bounds.clipped(self.width_px, self.height_px) == bounds;
        let longer = bounds.longer_side();
        if !whole || longer < VISIBLE_PX {
            return;
        }
        let sign = &mut self.signs[id];
        let tenths = |v: f32| (v * 10.0).round() / 10.0;
        if sign.boxes.is_empty() {
            sign.first_frame = Some(frame);
            sign.min_px = tenths(longer);
        }
        sign.last_frame = Some(frame);
        sign.min_px = sign.min_px.min(tenths(longer));
        sign.max_px = sign.max_px.max(tenths(longer));
        let corners = [bounds.x0, bounds.y0, bounds.x1, bounds.y1].map(tenths);
        sign.boxes.push((frame, corners));
    }
}

/// Neighbours that agree are one stretch.
fn limits(scenario: &Scenario) -> Vec<LimitTruth> {
    let mut all: Vec<LimitTruth> = Vec::new();
    let mut from_m = 0.0;
    for segment in &scenario.route.segments {
        let next = LimitTruth {
            from_m,
            to_m: from_m + segment.length_m,
            limit: segment.limit,
            unit: segment.unit,
            road: segment.road,
        };
        from_m = next.to_m;
        match all.last_mut() {
            Some(last)
                if (last.limit, last.unit, last.road) == (next.limit, next.unit, next.road) =>
            {
                last.to_m = next.to_m;
            }
            _ => all.push(next),
        }
    }
    all
}
