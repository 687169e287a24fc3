//! Quantities that carry their unit, used by every stage.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time, in nanoseconds: media time in a replay, the monotonic clock when live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The start of the media, or of the monotonic clock.
    pub const ZERO: Self = Self(0);

    /// From whole nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From `ticks` of a clock with `per_second` ticks a second, rounded to the nearest nanosecond.
    /// A `per_second` of zero gives zero.
    pub fn from_ticks(ticks: i64, per_second: u32) -> Self {
        if per_second == 0 {
            return Self::ZERO;
        }
        let nanos = (i128::from(ticks) * 1_000_000_000 + i128::from(per_second / 2))
            .div_euclid(i128::from(per_second));
        Self(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// From seconds.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e9).round() as i64)
    }

    /// Whole nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is the later one.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e9
    }
}

/// An axis-aligned box in frame pixels: left, top, right, bottom; pixel edges, not centres.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BoxPx {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

impl BoxPx {
    /// From the edges.
    pub const fn new(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self { x0, y0, x1, y1 }
    }

    /// From the centre and the size.
    pub fn from_centre(cx: f32, cy: f32, width: f32, height: f32) -> Self {
        Self::new(
            cx - width / 2.0,
            cy - height / 2.0,
            cx + width / 2.0,
            cy + height / 2.0,
        )
    }

    /// Width; never negative.
    pub fn width(&self) -> f32 {
        (self.x1 - self.x0).max(0.0)
    }

    /// Height; never negative.
    pub fn height(&self) -> f32 {
        (self.y1 - self.y0).max(0.0)
    }

    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The longer side.
    pub fn longer_side(&self) -> f32 {
        self.width().max(self.height())
    }

    /// Centre (x, y).
    pub fn centre(&self) -> (f32, f32) {
        ((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }

    /// Area of the overlap with another box.
    pub fn intersection(&self, other: &Self) -> f32 {
        Self::new(
            self.x0.max(other.x0),
            self.y0.max(other.y0),
            self.x1.min(other.x1),
            self.y1.min(other.y1),
        )
        .area()
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(&self, other: &Self) -> f32 {
        let inter = self.intersection(other);
        let union = self.area() + other.area() - inter;
        if union > 0.0 { inter / union } else { 0.0 }
    }

    /// Grown by `share` of its width and height on each side.
    pub fn grown(&self, share: f32) -> Self {
        let (dx, dy) = (self.width() * share, self.height() * share);
        Self::new(self.x0 - dx, self.y0 - dy, self.x1 + dx, self.y1 + dy)
    }

    /// Cut to a frame of the given size.
    pub fn clipped(&self, width_px: u32, height_px: u32) -> Self {
        let (w, h) = (width_px as f32, height_px as f32);
        Self::new(
            self.x0.clamp(0.0, w),
            self.y0.clamp(0.0, h),
            self.x1.clamp(0.0, w),
            self.y1.clamp(0.0, h),
        )
    }

    /// Edges rounded to whole pixels, for outputs.
    pub fn rounded(&self) -> [i32; 4] {
        [self.x0, self.y0, self.x1, self.y1].map(|v| v.round() as i32)
    }

    /// All edges finite and at least one pixel of area.
    pub fn is_usable(&self) -> bool {
        [self.x0, self.y0, self.x1, self.y1]
            .iter()
            .all(|v| v.is_finite())
            && self.area() >= 1.0
    }
}

/// The unit speed limits are posted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpeedUnit {
    /// Kilometres per hour.
    #[serde(rename = "km/h")]
    KilometresPerHour,
    /// Miles per hour.
    #[serde(rename = "mph")]
    MilesPerHour,
}

impl fmt::Display for SpeedUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KilometresPerHour => "km/h",
            Self::MilesPerHour => "mph",
        })
    }
}

/// Identifies a track for the life of the process; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TrackId(pub u32);

/// ISO 3166-1 alpha-2 country or ISO 3166-2 subdivision, or `WORLD`; upper case, at most 6 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionCode {
    bytes: [u8; 6],
    len: u8,
}

impl RegionCode {
    /// The region used when the country is not known.
    pub const WORLD: Self = Self {
        bytes: *b"WORLD\0",
        len: 5,
    };

    /// Parses `DE`, `US-CA` or `WORLD`; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let country = |s: &str| s.len() == 2 && s.bytes().all(|b| b.is_ascii_uppercase());
        let ok = match text.split_once('-') {
            _ if text == "WORLD" => true,
            None => country(text),
            Some((c, s)) => {
                country(c)
                    && (1..=3).contains(&s.len())
                    && s.bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            }
        };
        ok.then(|| {
            let mut bytes = [0; 6];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Self {
                bytes,
                len: text.len() as u8,
            }
        })
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("WORLD")
    }

    /// The country of a subdivision; itself otherwise.
    pub fn country(&self) -> Self {
        match self.as_str().split_once('-') {
            Some((country, _)) => Self::parse(country).unwrap_or(*self),
            None => *self,
        }
    }
}

impl fmt::Display for RegionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RegionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RegionCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RegionCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("`{text}` is not a region's code"));
        Self::parse(&text).ok_or_else(wrong)
    }
}

/// What kind of road, as the regulation on speed assistance parts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoadType {
    /// Roads and streets in towns.
    Urban,
    /// Roads outside of them.
    Rural,
    /// Motorways, expressways and dual carriageways.
    Motorway,
}

impl RoadType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Urban, Self::Rural, Self::Motorway];

    /// As it stands in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Urban => "urban",
            Self::Rural => "rural",
            Self::Motorway => "motorway",
        }
    }

    /// From its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|road| road.name() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_codes_follow_iso_3166() {
        for good in ["DE", "US-CA", "GB-SCT", "WORLD", "FR-75"] {
            assert_eq!(RegionCode::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "D", "de", "DEU", "DE-", "DE-ABCD", "world", "D1"] {
            assert_eq!(RegionCode::parse(bad), None, "{bad}");
        }
        assert_eq!(RegionCode::parse("US-CA").unwrap().country().as_str(), "US");
    }

    #[test]
    fn ticks_round_to_the_nearest_nanosecond() {
        assert_eq!(Timestamp::from_ticks(1, 30).nanos(), 33_333_333);
        assert_eq!(Timestamp::from_ticks(2, 30).nanos(), 66_666_667);
        assert_eq!(Timestamp::from_ticks(-1, 1000).nanos(), -1_000_000);
        assert_eq!(Timestamp::from_ticks(5, 0), Timestamp::ZERO);
    }
}
