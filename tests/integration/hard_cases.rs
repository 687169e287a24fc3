//! Promise: what users of other systems report as wrong limits is not advised. Each case is drawn,
//! driven past and replayed with the shipped models.

use serde_json::Value;

use crate::support::tsedge_ok;

const GERMANY: (f64, f64) = (49.02, 8.12);
const KANSAS: (f64, f64) = (38.9, -97.6);

/// A straight road at 72 km/h, in a small picture, with the given signs.
fn scenario(place: (f64, f64), style: &str, length_m: f64, signs: &str) -> String {
    format!(
        r#"
seed = 5
start = 2026-05-04T09:30:00Z
position_rate_hz = 5.0
[camera]
width_px = 640
height_px = 360
rate_hz = 10
field_of_view_deg = 36.0
height_m = 1.35
pitch_deg = -1.0
shutter_ms = 4.0
noise = 2.0
[route]
latitude_deg = {}
longitude_deg = {}
heading_deg = 0.0
[[route.segment]]
length_m = {length_m}
speed_kmh = 72.0
style = "{style}"
[scenery]
trees_per_100_m = 6.0
houses_per_100_m = 0.0
{signs}"#,
        place.0, place.1
    )
}

fn sign(style: &str, class: &str, at_m: f64, more: &str) -> String {
    format!("[[sign]]\nstyle = \"{style}\"\nclass = \"{class}\"\nat_m = {at_m}\n{more}\n")
}

/// All events of a drive.
fn drive(scenario: &str, options: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (toml, video, gpx, out) = (
        file("a.toml"),
        file("a.mp4"),
        file("a.gpx"),
        file("a.jsonl"),
    );
    std::fs::write(&toml, scenario).unwrap();
    tsedge_ok(["simulate", &toml, "--out", &video, "--gpx", &gpx]);
    let mut args = vec![
        "replay",
        &video,
        "--quiet",
        "--threads",
        "1",
        "--jsonl",
        &out,
    ];
    args.extend(options);
    if options.is_empty() {
        args.extend(["--gps", &gpx]);
    }
    tsedge_ok(args);
    let lines = std::fs::read_to_string(&out).unwrap();
    let events: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    for e in &events {
        if e["event"] == "sign_confirmed"
            || e["event"] == "speed_limit"
            || e["event"] == "sign_lost"
        {
            println!("{e}");
        }
    }
    events
}

/// State and value of each change of the limit.
fn limits(events: &[Value]) -> Vec<(String, Option<f64>)> {
    (events.iter())
        .filter(|e| e["event"] == "speed_limit")
        .map(|e| (e["state"].as_str().unwrap().to_owned(), e["value"].as_f64()))
        .collect()
}

fn set(value: f64) -> (String, Option<f64>) {
    ("set".to_owned(), Some(value))
}

#[test]
fn a_height_of_four_and_a_half_metres_is_no_limit_of_forty() {
    let signs = sign("DE", "height_limit", 55.0, "lateral_m = 4.4");
    let events = drive(&scenario(GERMANY, "DE", 60.0, &signs), &[]);
    assert_eq!(limits(&events), []);
}

#[test]
fn a_weight_of_five_and_a_half_tonnes_is_no_limit() {
    let signs = sign("DE", "weight_limit", 55.0, "lateral_m = 4.4");
    let events = drive(&scenario(GERMANY, "DE", 60.0, &signs), &[]);
    assert_eq!(limits(&events), []);
}

#[test]
fn a_route_number_is_no_limit() {
    let signs = sign("US", "route_95", 55.0, "lateral_m = 4.4");
    let events = drive(&scenario(KANSAS, "US", 60.0, &signs), &[]);
    assert_eq!(limits(&events), []);
}

#[test]
fn a_display_between_forty_sixty_and_eighty_is_announced_as_unclear_or_not_at_all() {
    let wavers = "lateral_m = 4.6\nshows = [\"led_60\", \"led_80\"]\nshows_s = 0.4";
    let signs = sign("DE", "led_40", 75.0, wavers);
    let events = drive(&scenario(GERMANY, "DE", 80.0, &signs), &[]);
    assert!(limits(&events).iter().all(|(_, value)| value.is_none()));
}

#[test]
fn a_limit_made_of_lamps_is_read() {
    let signs = sign("DE", "led_60", 75.0, "lateral_m = 4.6");
    let events = drive(&scenario(GERMANY, "DE", 80.0, &signs), &[]);
    assert_eq!(limits(&events), [set(60.0)]);
}

#[test]
fn a_limit_for_lorries_is_not_one_s_own() {
    let own = sign("DE", "speed_limit_100", 42.0, "lateral_m = 4.4");
    let signs =
        own + &sign(
            "DE",
            "speed_limit_60",
            108.0,
            "lateral_m = 4.4\nheight_m = 2.4",
        ) + &sign(
            "DE",
            "plate_lorries",
            108.0,
            "lateral_m = 4.4\nheight_m = 1.92\nwidth_m = 0.6",
        );
    let events = drive(&scenario(GERMANY, "DE", 114.0, &signs), &[]);
    let values: Vec<_> = limits(&events).iter().map(|(_, value)| *value).collect();
    assert!(
        values.iter().all(|v| *v == Some(100.0)) && !values.is_empty(),
        "{values:?}"
    );
}

#[test]
fn an_exit_s_limit_is_not_one_s_own() {
    let signs = sign("DE", "speed_limit_100", 42.0, "lateral_m = 4.4")
        + &sign("DE", "speed_limit_60", 100.0, "lateral_m = 14.0");
    let events = drive(&scenario(GERMANY, "DE", 106.0, &signs), &[]);
    assert_eq!(limits(&events), [set(100.0)]);
}

#[test]
fn an_exit_s_limit_beside_one_s_own_is_not_taken() {
    let signs = sign("DE", "speed_limit_100", 70.0, "lateral_m = 4.4")
        + &sign("DE", "speed_limit_60", 70.0, "lateral_m = 9.5");
    let events = drive(&scenario(GERMANY, "DE", 78.0, &signs), &[]);
    assert_eq!(limits(&events), [set(100.0)]);
}

#[test]
fn a_sticker_on_the_back_of_a_lorry_is_no_limit() {
    let sticker = "lateral_m = 2.4\nheight_m = 1.5\nwidth_m = 0.4\nlorry_kmh = 71.0";
    let signs = sign("DE", "speed_limit_80", 16.0, sticker);
    let events = drive(&scenario(GERMANY, "DE", 100.0, &signs), &[]);
    assert_eq!(limits(&events), []);
    // Closed up to and overtaken by the lorry's leaving: it brakes no one.
    let slow = sticker.replace("71.0", "66.0");
    let signs = sign("DE", "speed_limit_80", 22.0, &slow);
    let events = drive(&scenario(GERMANY, "DE", 160.0, &signs), &[]);
    assert_eq!(limits(&events), []);
}

/// Canada looks like the United States and counts in kilometres. Its pack says so, and no pack that
/// says otherwise is read.
#[test]
fn canada_is_not_announced_in_miles() {
    use tsedge::region::Rules;
    let text =
        std::fs::read_to_string(crate::support::root().join("models/prompts/CA.toml")).unwrap();
    let table: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(table["speed_unit"].as_str(), Some("km/h"));
    let json = serde_json::to_string(&table["rules"]).unwrap();
    let class = |unit: &str| {
        let json = serde_json::json!([{"key": "speed_limit_80", "national_code": null, "family": "speed_limit",
            "value": 80.0, "unit": unit, "label_en": "", "label_local": ""}]);
        serde_json::from_value::<Vec<tsedge::event::ClassInfo>>(json).unwrap()
    };
    assert!(Rules::from_json(&json, &class("km/h")).is_ok());
    let refused = Rules::from_json(&json, &class("mph")).unwrap_err();
    assert_eq!(
        refused,
        "class `speed_limit_80` is in mph, the rules in km/h"
    );
}

/// The same with the Canadian pack on a drawn drive.
#[test]
fn maximum_eighty_is_eighty_kilometres() {
    let signs = sign("CA", "speed_limit_80", 50.0, "lateral_m = 4.4");
    let events = drive(&scenario((45.6, -75.6), "CA", 55.0, &signs), &[]);
    assert_eq!(limits(&events), [set(80.0)]);
    let limit = events.iter().find(|e| e["event"] == "speed_limit").unwrap();
    assert_eq!(limit["unit"], "km/h");
}

#[test]
fn a_limit_that_stands_alone_is_set_when_it_is_passed() {
    let signs = sign("DE", "speed_limit_80", 50.0, "lateral_m = 4.4");
    let events = drive(&scenario(GERMANY, "DE", 55.0, &signs), &[]);
    assert_eq!(limits(&events), [set(80.0)]);
    let time_s = |kind: &str| {
        let event = events.iter().find(|e| e["event"] == kind).unwrap();
        event["time_s"].as_f64().unwrap()
    };
    assert!(time_s("sign_confirmed") < time_s("speed_limit"));
    // 50 m at 20 m/s, less the last metres in which the sign is out of the picture.
    assert!(
        (1.8..2.7).contains(&time_s("speed_limit")),
        "{}",
        time_s("speed_limit")
    );
}
