//! Areas of one's own: a GeoJSON file of polygons whose regions override the built-in borders.
//!
//! A `FeatureCollection` (RFC 7946) of `Polygon` or `MultiPolygon` features, each with a property
//! `region`: an ISO 3166 code, or `WORLD`. Of areas that overlap the first in the file wins. Areas that
//! cross the 180th meridian are cut in two there, as the RFC asks.

use std::path::Path;

use geojson::{Feature, GeometryValue, Position};
use serde_json::Value;

use crate::units::RegionCode;

/// Larger files are refused unread.
const MAX_BYTES: u64 = 32 << 20;
const MAX_FEATURES: usize = 10_000;

/// Why a file of areas is refused.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {reason}", feature.as_ref().map_or(String::new(), |f| format!(", {f}")))]
pub struct AreaError {
    /// The file.
    pub file: String,
    /// Which feature of it, by its number from 1 and its name, if it is one.
    pub feature: Option<String>,
    /// What is wrong and what would be right.
    pub reason: String,
}

type Point = [f64; 2];

/// One feature.
#[derive(Debug, Clone)]
struct Area {
    region: RegionCode,
    /// West, south, east, north.
    bounds_deg: [f64; 4],
    /// Of all its polygons: outer rings and holes alike, as a point in a hole is crossed twice.
    rings: Vec<Vec<Point>>,
}

/// All areas of a file.
#[derive(Debug, Clone, Default)]
pub struct Areas(Vec<Area>);

impl Areas {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, AreaError> {
        let file = path.display().to_string();
        let refuse = |reason: String| AreaError {
            file: file.clone(),
            feature: None,
            reason,
        };
        let size = std::fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
        if size.len() > MAX_BYTES {
            let size = size.len();
            return Err(refuse(format!(
                "is {size} bytes, at most {MAX_BYTES} are read"
            )));
        }
        let bytes = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
        Self::parse(&bytes, &file)
    }

    /// Parses the bytes of `file`.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, AreaError> {
        let refuse = |feature: Option<String>, reason: String| AreaError {
            file: file.to_owned(),
            feature,
            reason,
        };
        let mut collection: Value =
            serde_json::from_slice(bytes).map_err(|e| refuse(None, e.to_string()))?;
        if collection["type"] != "FeatureCollection" {
            return Err(refuse(
                None,
                "is not a GeoJSON FeatureCollection".to_owned(),
            ));
        }
        let Some(features) = collection["features"].as_array_mut() else {
            return Err(refuse(None, "`features` is not a list".to_owned()));
        };
        if features.is_empty() || features.len() > MAX_FEATURES {
            let count = features.len();
            let reason = format!("{count} features, expected 1 to {MAX_FEATURES}");
            return Err(refuse(None, reason));
        }
        (features.drain(..).enumerate())
            .map(|(n, feature)| {
                let named = name(n, &feature);
                area(feature).map_err(|reason| refuse(Some(named), reason))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The region of the first area that holds a position in degrees (latitude, longitude).
    pub fn region_at(&self, (latitude, longitude): (f64, f64)) -> Option<RegionCode> {
        (self.0.iter())
            .find(|area| area.holds([longitude, latitude]))
            .map(|area| area.region)
    }
}

fn name(n: usize, feature: &Value) -> String {
    let name = [&feature["id"], &feature["properties"]["name"]];
    match name.into_iter().find(|v| v.is_string() || v.is_number()) {
        Some(name) => format!("feature {} ({name})", n + 1),
        None => format!("feature {}", n + 1),
    }
}

fn area(feature: Value) -> Result<Area, String> {
    let feature = serde_json::from_value::<Feature>(feature).map_err(|e| e.to_string())?;
    let region = (feature.properties.as_ref()).and_then(|p| p.get("region")?.as_str());
    let region = region.ok_or("has no property `region`, such as \"DE\" or \"US-CA\"")?;
    let region = RegionCode::parse(region)
        .ok_or_else(|| format!("region `{region}` is not ISO 3166, such as DE or US-CA"))?;
    let polygons = match feature.geometry.map(|g| g.value) {
        Some(GeometryValue::Polygon { coordinates }) => vec![coordinates],
        Some(GeometryValue::MultiPolygon { coordinates }) => coordinates,
        _ => return Err("is neither a Polygon nor a MultiPolygon".to_owned()),
    };
    let rings = (polygons.iter().flatten())
        .enumerate()
        .map(|(n, points)| ring(points).map_err(|e| format!("ring {}: {e}", n + 1)))
        .collect::<Result<Vec<_>, _>>()?;
    if rings.is_empty() {
        return Err("has no ring".to_owned());
    }
    let mut bounds_deg = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
    for [x, y] in rings.iter().flatten() {
        let [west, south, east, north] = bounds_deg;
        bounds_deg = [west.min(*x), south.min(*y), east.max(*x), north.max(*y)];
    }
    Ok(Area {
        region,
        bounds_deg,
        rings,
    })
}

fn ring(points: &[Position]) -> Result<Vec<Point>, String> {
    let points: Vec<Point> = (points.iter())
        .map(|p| match p.as_slice() {
            [x, y, ..] if x.abs() <= 180.0 && y.abs() <= 90.0 => Ok([*x, *y]),
            other => Err(format!("{other:?} is no longitude and latitude in degrees")),
        })
        .collect::<Result<_, _>>()?;
    if points.len() < 4 || points.first() != points.last() {
        let count = points.len();
        return Err(format!(
            "{count} positions; a ring has at least four and ends where it begins"
        ));
    }
    Ok(points)
}

impl Area {
    fn holds(&self, [x, y]: Point) -> bool {
        let [west, south, east, north] = self.bounds_deg;
        if !(west..=east).contains(&x) || !(south..=north).contains(&y) {
            return false;
        }
        // Inside when a line to the east meets the rings an odd number of times.
        let mut inside = false;
        for pair in self.rings.iter().flat_map(|ring| ring.windows(2)) {
            let ([ax, ay], [bx, by]) = (pair[0], pair[1]);
            if (ay > y) != (by > y) && x < ax + (y - ay) / (by - ay) * (bx - ax) {
                inside = !inside;
            }
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feature(region: &str, geometry: &str) -> String {
        format!(
            r#"{{"type":"Feature","id":"yard","properties":{{"region":"{region}"}},"geometry":{geometry}}}"#
        )
    }

    fn collection(features: &[String]) -> String {
        let features = features.join(",");
        format!(r#"{{"type":"FeatureCollection","features":[{features}]}}"#)
    }

    /// A square around (48, 8) with a hole in its middle.
    const SQUARE: &str = r#"{"type":"Polygon","coordinates":[
        [[7,47],[9,47],[9,49],[7,49],[7,47]], [[7.9,47.9],[8.1,47.9],[8.1,48.1],[7.9,48.1],[7.9,47.9]]]}"#;

    fn parse(text: &str) -> Result<Areas, String> {
        Areas::parse(text.as_bytes(), "areas.geojson").map_err(|e| e.to_string())
    }

    #[test]
    fn the_first_area_that_holds_a_place_gives_its_region() {
        let two = r#"{"type":"MultiPolygon","coordinates":[
            [[[8,48],[20,48],[20,50],[8,50],[8,48]]], [[[-5,0],[-4,0],[-4,1],[-5,1],[-5,0]]]]}"#;
        let areas = parse(&collection(&[feature("DE", SQUARE), feature("US-CA", two)])).unwrap();
        let at = |latitude, longitude| {
            let region = areas.region_at((latitude, longitude));
            region.map(|r| r.to_string())
        };
        assert_eq!(at(48.5, 8.5).as_deref(), Some("DE"));
        assert_eq!(
            at(48.05, 8.05).as_deref(),
            Some("US-CA"),
            "the hole shows what lies below"
        );
        assert_eq!(at(47.95, 7.95), None);
        assert_eq!(at(0.5, -4.5).as_deref(), Some("US-CA"));
        assert_eq!(at(0.5, -3.5), None);
    }

    #[test]
    fn errors_name_the_file_the_feature_and_what_would_be_right() {
        let open = r#"{"type":"Polygon","coordinates":[[[7,47],[9,47],[9,49],[7,49]]]}"#;
        let far = r#"{"type":"Polygon","coordinates":[[[7,47],[9,147],[9,49],[7,47]]]}"#;
        let point = r#"{"type":"Point","coordinates":[7,47]}"#;
        for (text, wanted) in [
            ("{", "areas.geojson: EOF"),
            (
                r#"{"type":"Feature"}"#,
                "areas.geojson: is not a GeoJSON FeatureCollection",
            ),
            (&collection(&[]), "areas.geojson: 0 features"),
            (
                &collection(&[feature("DE", SQUARE), feature("Bavaria", SQUARE)]),
                "areas.geojson, feature 2 (\"yard\"): region `Bavaria` is not ISO 3166",
            ),
            (
                &collection(&[feature("DE", open)]),
                "feature 1 (\"yard\"): ring 1: 4 positions; a ring",
            ),
            (
                &collection(&[feature("DE", far)]),
                "ring 1: [9.0, 147.0] is no longitude",
            ),
            (
                &collection(&[feature("DE", point)]),
                "is neither a Polygon nor",
            ),
            (
                &collection(&[feature("DE", SQUARE).replace("region", "area")]),
                "no property `region`",
            ),
            (
                &collection(&["{}".to_owned()]),
                "areas.geojson, feature 1: ",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(wanted), "{error}, not {wanted}");
        }
    }

    proptest! {
        #[test]
        fn a_rectangle_holds_what_lies_in_it(
            west in -170.0_f64..160.0, south in -80.0_f64..70.0, wide in 0.1_f64..9.0, tall in 0.1_f64..9.0,
            x in -0.5_f64..1.5, y in -0.5_f64..1.5,
        ) {
            let (east, north) = (west + wide, south + tall);
            let ring = format!("[[{west},{south}],[{east},{south}],[{east},{north}],[{west},{north}],[{west},{south}]]");
            let polygon = format!(r#"{{"type":"Polygon","coordinates":[{ring}]}}"#);
            let areas = parse(&collection(&[feature("DE", &polygon)])).unwrap();
            let inside = (0.0..1.0).contains(&x) && (0.0..1.0).contains(&y);
            let found = areas.region_at((south + y * tall, west + x * wide)).is_some();
            prop_assert!(found == inside || [x, y].iter().any(|v| v.abs() < 1e-9 || (v - 1.0).abs() < 1e-9));
        }
    }
}
