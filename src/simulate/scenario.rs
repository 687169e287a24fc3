//! What a drive is made of, as written in a scenario file.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::draw::sign::{NationalStyle, true_size_m};
use crate::units::{RoadType, SpeedUnit};

/// Widest picture.
pub const WIDEST_PX: usize = 3840;

/// A scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Chooses the scenery and the noise.
    pub seed: u64,
    /// Date and time of the first frame, e.g. `2026-05-04T09:30:00Z`.
    pub start: toml::value::Datetime,
    /// Positions a second in the GPX track.
    #[serde(default = "one_hz")]
    pub position_rate_hz: f64,
    /// The camera.
    pub camera: CameraPart,
    /// Light and weather.
    #[serde(default)]
    pub weather: Weather,
    /// The road.
    pub route: RoutePart,
    /// What grows and stands beside it.
    #[serde(default)]
    pub scenery: Scenery,
    /// The signs.
    #[serde(default, rename = "sign")]
    pub signs: Vec<Sign>,
}

fn one_hz() -> f64 {
    1.0
}

/// The camera behind the windscreen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraPart {
    /// Picture width, even.
    pub width_px: u32,
    /// Picture height, even.
    pub height_px: u32,
    /// Frames a second.
    pub rate_hz: u32,
    /// Horizontal angle of view.
    pub field_of_view_deg: f32,
    /// Height above the road.
    pub height_m: f32,
    /// Looking down by.
    #[serde(default)]
    pub pitch_deg: f32,
    /// Radial distortion: negative bends straight lines as a wide lens does.
    #[serde(default)]
    pub distortion_k1: f32,
    /// Exposure time; blurs what moves.
    #[serde(default)]
    pub shutter_ms: f32,
    /// Deviation of the sensor's noise, in steps of 255.
    #[serde(default)]
    pub noise: f32,
    /// How it shakes.
    #[serde(default)]
    pub shake: ShakePart,
}

/// How the camera shakes on its mount: smooth jitter, and potholes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShakePart {
    /// Nodding, as a deviation.
    pub pitch_deg: f32,
    /// Looking from side to side, as a deviation.
    pub yaw_deg: f32,
    /// Leaning over, as a deviation.
    pub roll_deg: f32,
    /// How often it goes there and back in a second.
    pub rate_hz: f32,
    /// Potholes a minute.
    pub potholes_per_min: f32,
    /// How far a pothole makes it nod.
    pub pothole_deg: f32,
}

impl Default for ShakePart {
    fn default() -> Self {
        Self {
            pitch_deg: 0.0,
            yaw_deg: 0.0,
            roll_deg: 0.0,
            rate_hz: 4.0,
            potholes_per_min: 0.0,
            pothole_deg: 1.0,
        }
    }
}

/// Light and weather.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weather {
    /// 1 in daylight, 0.3 at dusk.
    pub light: f32,
    /// 0 for none, 1 for a downpour.
    pub rain: f32,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            light: 1.0,
            rain: 0.0,
        }
    }
}

/// Where the road lies and how it is driven.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutePart {
    /// Where the drive starts.
    pub latitude_deg: f64,
    /// Where the drive starts.
    pub longitude_deg: f64,
    /// Direction at the start, clockwise from north.
    pub heading_deg: f64,
    /// The road, piece by piece.
    #[serde(rename = "segment")]
    pub segments: Vec<Segment>,
}

/// A piece of road of even curvature.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Length.
    pub length_m: f64,
    /// Speed the car aims for.
    pub speed_kmh: f64,
    /// One over the radius, positive to the right.
    #[serde(default)]
    pub curvature_per_m: f64,
    /// Whose road markings it has.
    pub style: NationalStyle,
    /// The speed limit in force, where the truth shall say one.
    pub limit: Option<f32>,
    /// Its unit.
    #[serde(default = "metric")]
    pub unit: SpeedUnit,
    /// What kind of road it is.
    pub road: Option<RoadType>,
}

fn metric() -> SpeedUnit {
    SpeedUnit::KilometresPerHour
}

/// What grows and stands beside the road.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenery {
    /// Trees on both sides together.
    pub trees_per_100_m: f32,
    /// Houses on both sides together.
    pub houses_per_100_m: f32,
}

impl Default for Scenery {
    fn default() -> Self {
        Self {
            trees_per_100_m: 12.0,
            houses_per_100_m: 1.0,
        }
    }
}

/// Side of the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Left of the road.
    Left,
    /// Right of the road.
    Right,
}

/// A sign beside the road, facing the car.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// Class key, e.g. `speed_limit_50`.
    pub class: String,
    /// Whose drawing.
    pub style: NationalStyle,
    /// Distance along the road from the start.
    pub at_m: f64,
    /// Side of the road.
    #[serde(default = "right")]
    pub side: Side,
    /// From the road's middle to the sign's.
    #[serde(default = "beside_the_road")]
    pub lateral_m: f64,
    /// From the ground to the sign's middle.
    #[serde(default = "post_height")]
    pub height_m: f32,
    /// Turned away from the road by.
    #[serde(default)]
    pub yaw_deg: f64,
    /// Width where it is not the usual one, e.g. on fast roads.
    pub width_m: Option<f32>,
    /// Stuck on the back of a lorry that drives ahead at this speed.
    pub lorry_kmh: Option<f64>,
    /// Further drawings that a display shows in turn.
    #[serde(default)]
    pub shows: Vec<String>,
    /// For how long it shows each.
    #[serde(default = "half_a_second")]
    pub shows_s: f64,
}

fn half_a_second() -> f64 {
    0.5
}

fn right() -> Side {
    Side::Right
}

fn beside_the_road() -> f64 {
    5.0
}

fn post_height() -> f32 {
    2.2
}

impl Sign {
    /// Width and height.
    pub fn size_m(&self) -> Option<(f32, f32)> {
        let (width, height) = true_size_m(self.style, &self.class)?;
        let grown = self.width_m.map_or(1.0, |w| w / width);
        Some((width * grown, height * grown))
    }
}

impl ShakePart {
    fn check(&self) -> anyhow::Result<()> {
        for (name, value, low, high) in [
            ("pitch_deg", self.pitch_deg, 0.0, 3.0),
            ("yaw_deg", self.yaw_deg, 0.0, 3.0),
            ("roll_deg", self.roll_deg, 0.0, 3.0),
            ("rate_hz", self.rate_hz, 0.1, 30.0),
            ("potholes_per_min", self.potholes_per_min, 0.0, 60.0),
            ("pothole_deg", self.pothole_deg, 0.0, 3.0),
        ] {
            let name = format!("camera.shake: {name}");
            within(&name, f64::from(value), low, high)?;
        }
        Ok(())
    }
}

impl Scenario {
    /// Reads and checks a file. Errors name the file and the line, or the sign or segment, at fault.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// From text.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        let c = &self.camera;
        let even = |v: u32| v.is_multiple_of(2) && (64..=WIDEST_PX as u32).contains(&v);
        ensure!(
            even(c.width_px) && even(c.height_px),
            "camera: {} x {} pixels; both must be even and from 64 to {WIDEST_PX}",
            c.width_px,
            c.height_px
        );
        within("camera: rate_hz", f64::from(c.rate_hz), 1.0, 240.0)?;
        let angle = f64::from(c.field_of_view_deg);
        within("camera: field_of_view_deg", angle, 10.0, 120.0)?;
        within("camera: height_m", f64::from(c.height_m), 0.3, 5.0)?;
        within("camera: pitch_deg", f64::from(c.pitch_deg), -10.0, 10.0)?;
        let k1 = f64::from(c.distortion_k1);
        within("camera: distortion_k1", k1, -0.2, 0.2)?;
        within("camera: shutter_ms", f64::from(c.shutter_ms), 0.0, 50.0)?;
        within("camera: noise", f64::from(c.noise), 0.0, 40.0)?;
        c.shake.check()?;
        within("position_rate_hz", self.position_rate_hz, 0.1, 100.0)?;
        let light = f64::from(self.weather.light);
        within("weather: light", light, 0.05, 1.5)?;
        within("weather: rain", f64::from(self.weather.rain), 0.0, 1.0)?;
        within("route: latitude_deg", self.route.latitude_deg, -80.0, 80.0)?;
        let longitude = self.route.longitude_deg;
        within("route: longitude_deg", longitude, -180.0, 180.0)?;
        ensure!(!self.route.segments.is_empty(), "route: no segment");
        for (n, segment) in (1..).zip(&self.route.segments) {
            let name = |key: &str| format!("segment {n}: {key}");
            within(&name("length_m"), segment.length_m, 1.0, 1e6)?;
            within(&name("speed_kmh"), segment.speed_kmh, 1.0, 250.0)?;
            let curvature = segment.curvature_per_m;
            within(&name("curvature_per_m"), curvature, -0.02, 0.02)?;
            let limit = f64::from(segment.limit.unwrap_or(1.0));
            within(&name("limit"), limit, 1.0, 250.0)?;
        }
        for (n, sign) in (1..).zip(&self.signs) {
            let drawn = |class: &String| true_size_m(sign.style, class).is_some();
            if let Some(class) =
                (std::iter::once(&sign.class).chain(&sign.shows)).find(|c| !drawn(c))
            {
                bail!(
                    "sign {n}: no drawing of `{class}` in style {}; `tsedge simulate --crops DIR` writes all there are",
                    sign.style.code()
                );
            }
            let name = |key: &str| format!("sign {n} ({}): {key}", sign.class);
            within(&name("at_m"), sign.at_m, 0.0, 1e6)?;
            within(&name("lateral_m"), sign.lateral_m, 0.0, 50.0)?;
            let height = f64::from(sign.height_m);
            within(&name("height_m"), height, 0.3, 12.0)?;
            within(&name("yaw_deg"), sign.yaw_deg, -80.0, 80.0)?;
            within(
                &name("lorry_kmh"),
                sign.lorry_kmh.unwrap_or(0.0),
                0.0,
                130.0,
            )?;
            within(&name("shows_s"), sign.shows_s, 0.02, 60.0)?;
            let width = f64::from(sign.width_m.unwrap_or(1.0));
            within(&name("width_m"), width, 0.1, 6.0)?;
        }
        Ok(())
    }
}

fn within(name: &str, value: f64, low: f64, high: f64) -> anyhow::Result<()> {
    ensure!(
        (low..=high).contains(&value),
        "{name} is {value}; it must be from {low} to {high}"
    );
    Ok(())
}
