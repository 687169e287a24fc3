//! The limits of a map along a drive's track.
//!
//! GeoJSON: lines with the property `maxspeed` as OpenStreetMap has it (`50`, `30 mph`) and perhaps `road` (`urban`,
//! `rural`, `motorway`) or `highway`. GPX: tracks or routes whose name is the limit and whose type is the road.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use geojson::{FeatureCollection, GeometryValue};

use super::limits::{Limit, Stretch, Way};
use crate::position::{Fix, METRES_PER_DEGREE, Reading, distance_m};
use crate::units::{RoadType, SpeedUnit};

/// A road farther from a fix is another one.
const FARTHEST_M: f64 = 25.0;
/// A road that leads elsewhere is another one.
const MOST_TURN_DEG: f64 = 45.0;

/// A road of the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Road {
    /// Latitude and longitude in degrees, point after point.
    pub line: Vec<(f64, f64)>,
    /// Its limit; `None` where the map has none that can be judged.
    pub limit: Option<Limit>,
    /// Its type, where the map says so.
    pub road: Option<RoadType>,
}

/// Reads a map by its ending, `.geojson`, `.json` or `.gpx`.
pub fn read(path: &Path) -> anyhow::Result<Vec<Road>> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(name)?;
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    let roads = match ending.to_str() {
        Some("geojson" | "json") => geojson(&bytes).with_context(name)?,
        Some("gpx") => gpx(&bytes).with_context(name)?,
        _ => bail!("{}: not a map; expected a .geojson or .gpx file", name()),
    };
    let known = roads.iter().any(|r| r.limit.is_some());
    ensure!(known, "{}: no line has a speed limit (`maxspeed`)", name());
    Ok(roads)
}

fn geojson(bytes: &[u8]) -> anyhow::Result<Vec<Road>> {
    let text = std::str::from_utf8(bytes)?;
    let features = FeatureCollection::try_from(text.parse::<geojson::GeoJson>()?)?;
    let mut roads = Vec::new();
    for feature in features {
        let property = |key: &str| {
            let value = feature.property(key)?;
            value
                .as_str()
                .map(str::to_owned)
                .or_else(|| Some(value.as_f64()?.to_string()))
        };
        let limit = property("maxspeed").as_deref().and_then(maxspeed);
        let road = property("road").as_deref().and_then(RoadType::parse);
        let road = road.or_else(|| highway(property("highway")?.as_str()));
        let lines = match feature.geometry.as_ref().map(|g| &g.value) {
            Some(GeometryValue::LineString { coordinates }) => std::slice::from_ref(coordinates),
            Some(GeometryValue::MultiLineString { coordinates }) => coordinates,
            _ => continue,
        };
        for line in lines {
            let point =
                |p: &geojson::Position| Some((*p.as_slice().get(1)?, *p.as_slice().first()?));
            let line = line.iter().filter_map(point).collect();
            roads.push(Road { line, limit, road });
        }
    }
    Ok(roads)
}

fn gpx(bytes: &[u8]) -> anyhow::Result<Vec<Road>> {
    let gpx = gpx::read(bytes).context("not GPX")?;
    let mut roads = Vec::new();
    for track in &gpx.tracks {
        let limit = track.name.as_deref().and_then(maxspeed);
        let road = track.type_.as_deref().and_then(RoadType::parse);
        for segment in &track.segments {
            let points = segment.points.iter();
            let line = points.map(|p| (p.point().y(), p.point().x())).collect();
            roads.push(Road { line, limit, road });
        }
    }
    for route in &gpx.routes {
        let points = route.points.iter();
        roads.push(Road {
            line: points.map(|p| (p.point().y(), p.point().x())).collect(),
            limit: route.name.as_deref().and_then(maxspeed),
            road: route.type_.as_deref().and_then(RoadType::parse),
        });
    }
    Ok(roads)
}

/// OpenStreetMap's form: a number in km/h, or one with `mph`. Others (`none`, `signals`) are not judged.
fn maxspeed(text: &str) -> Option<Limit> {
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("mph") {
        Some(number) => (number, SpeedUnit::MilesPerHour),
        None => (
            text.strip_suffix("km/h").unwrap_or(text),
            SpeedUnit::KilometresPerHour,
        ),
    };
    let value: f32 = number.trim().parse().ok()?;
    (value > 0.0 && value < 300.0).then_some(Limit { value, unit })
}

/// Values that leave no doubt; a `primary` road may be in a town or not.
fn highway(value: &str) -> Option<RoadType> {
    match value {
        "motorway" | "motorway_link" | "trunk" | "trunk_link" => Some(RoadType::Motorway),
        "residential" | "living_street" => Some(RoadType::Urban),
        _ => None,
    }
}

/// The way of a track and the map's limits along it.
pub fn along(readings: &[Reading], roads: &[Road]) -> anyhow::Result<(Way, Vec<Stretch>)> {
    let fixes: Vec<&Fix> = (readings.iter())
        .filter_map(|r| match r {
            Reading::Fix(fix) => Some(fix),
            _ => None,
        })
        .collect();
    ensure!(fixes.len() > 1, "a track of one fix is no drive");
    let (mut at_m, mut points) = (0.0, Vec::new());
    let mut stretches: Vec<Stretch> = Vec::new();
    for (i, fix) in fixes.iter().enumerate() {
        points.push((fix.time.seconds(), at_m));
        let Some(next) = fixes.get(i + 1) else { break };
        let (here, there) = (fix.position_deg(), next.position_deg());
        let to_m = at_m + distance_m(here, there);
        let found = nearest(roads, here, there);
        let stretch = Stretch {
            from_m: at_m,
            to_m,
            limit: found.and_then(|r| r.limit),
            road: found.and_then(|r| r.road),
        };
        match stretches.last_mut() {
            Some(last) if (last.limit, last.road) == (stretch.limit, stretch.road) => {
                last.to_m = to_m
            }
            _ => stretches.push(stretch),
        }
        at_m = to_m;
    }
    Ok((Way::new(points), stretches))
}

/// The road nearest to the middle of a step that leads its way, in either direction.
fn nearest(roads: &[Road], here: (f64, f64), there: (f64, f64)) -> Option<&Road> {
    let middle = ((here.0 + there.0) / 2.0, (here.1 + there.1) / 2.0);
    let east = METRES_PER_DEGREE * middle.0.to_radians().cos();
    let flat = |p: (f64, f64)| {
        (
            (p.1 - middle.1) * east,
            (p.0 - middle.0) * METRES_PER_DEGREE,
        )
    };
    let (a, b) = (flat(here), flat(there));
    let step = (b.0 - a.0, b.1 - a.1);
    let mut best: Option<(f64, &Road)> = None;
    for road in roads {
        for pair in road.line.windows(2) {
            let (p, q) = (flat(pair[0]), flat(pair[1]));
            let (dx, dy) = (q.0 - p.0, q.1 - p.1);
            let length = dx.hypot(dy);
            if length == 0.0 {
                continue;
            }
            let along = (-(p.0 * dx + p.1 * dy) / (length * length)).clamp(0.0, 1.0);
            let off_m = (p.0 + along * dx).hypot(p.1 + along * dy);
            let moved = step.0.hypot(step.1);
            let cosine = (step.0 * dx + step.1 * dy).abs() / (moved * length).max(1e-9);
            // A standing car leads nowhere.
            let same_way = moved < 1.0 || cosine >= MOST_TURN_DEG.to_radians().cos();
            if same_way && off_m <= FARTHEST_M && best.is_none_or(|(least, _)| off_m < least) {
                best = Some((off_m, road));
            }
        }
    }
    best.map(|(_, road)| road)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    #[test]
    fn a_track_gets_the_limits_of_the_roads_it_follows() {
        let map = r#"{"type":"FeatureCollection","features":[
            {"type":"Feature","properties":{"maxspeed":"50","road":"urban"},
             "geometry":{"type":"LineString","coordinates":[[8.0,50.0],[8.0,50.01]]}},
            {"type":"Feature","properties":{"maxspeed":100,"highway":"trunk"},
             "geometry":{"type":"LineString","coordinates":[[8.0,50.01],[8.0,50.02]]}},
            {"type":"Feature","properties":{"maxspeed":"30 mph"},
             "geometry":{"type":"LineString","coordinates":[[7.99,50.005],[8.01,50.005]]}}]}"#;
        let roads = geojson(map.as_bytes()).unwrap();
        assert_eq!(roads[2].limit.unwrap().unit, SpeedUnit::MilesPerHour);
        // North along the first two; the third crosses.
        let readings: Vec<Reading> = (0..=40)
            .filter_map(|i| {
                let time = Timestamp::from_seconds(f64::from(i));
                Fix::at(time, 50.0 + f64::from(i) * 0.0005, 8.00005)
            })
            .map(Reading::Fix)
            .collect();
        let (way, stretches) = along(&readings, &roads).unwrap();
        assert!((way.length_m() - 0.02 * METRES_PER_DEGREE).abs() < 10.0);
        let limits: Vec<f32> = stretches.iter().map(|s| s.limit.unwrap().value).collect();
        assert_eq!(limits, [50.0, 100.0]);
        assert_eq!(stretches[1].road, Some(RoadType::Motorway));
        assert!((stretches[0].to_m - 0.01 * METRES_PER_DEGREE).abs() < 60.0);
    }

    #[test]
    fn a_gpx_track_is_named_by_its_limit() {
        let map = r#"<?xml version="1.0"?><gpx version="1.1" creator="t"><trk><name>80</name><type>rural</type>
            <trkseg><trkpt lat="50" lon="8"/><trkpt lat="50.1" lon="8"/></trkseg></trk></gpx>"#;
        let roads = gpx(map.as_bytes()).unwrap();
        assert_eq!(
            (roads[0].limit.unwrap().value, roads[0].road),
            (80.0, Some(RoadType::Rural))
        );
        assert_eq!(maxspeed("none"), None);
    }
}
