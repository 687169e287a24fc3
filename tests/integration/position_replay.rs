//! Promise: the same drive gives the same events whether its track is GPX or NMEA, and a track that
//! begins late or stops is told.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tsedge::position::{Reading, track};

use crate::support::{drive, tsedge_ok};

fn replay(video: &Path, track: &Path, more: &[&str]) -> Vec<Value> {
    let gps = ["--gps", track.to_str().unwrap()];
    drive_events(video, &[&gps, more].concat())
}

fn drive_events(video: &Path, more: &[&str]) -> Vec<Value> {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("events.jsonl");
    let mut args = vec!["replay", video.to_str().unwrap(), "--quiet", "--jsonl"];
    args.push(out.to_str().unwrap());
    args.extend(more);
    tsedge_ok(args);
    let text = std::fs::read_to_string(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The sentences a receiver would have sent on this track.
pub fn as_nmea(readings: &[Reading]) -> String {
    let coordinate = |deg: f64, width: usize, [plus, minus]: [char; 2]| {
        let (whole, minutes) = (deg.abs().trunc(), deg.abs().fract() * 60.0);
        let side = if deg < 0.0 { minus } else { plus };
        format!("{whole:0width$}{minutes:09.6},{side}")
    };
    let sentence = |reading: &Reading| {
        let seconds = 36_000.0 + reading.time().seconds();
        let (hour, minute) = ((seconds / 3600.0) as u32, (seconds / 60.0) as u32 % 60);
        let clock = format!("{hour:02}{minute:02}{:05.2}", seconds % 60.0);
        let body = match reading {
            Reading::Fix(fix) => format!(
                "GNRMC,{clock},A,{},{},,,240526,,,A",
                coordinate(fix.latitude_deg, 2, ['N', 'S']),
                coordinate(fix.longitude_deg, 3, ['E', 'W']),
            ),
            Reading::NoFix(_) => format!("GNRMC,{clock},V,,,,,,,240526,,,N"),
        };
        let sum = body.bytes().fold(0, |a, b| a ^ b);
        format!("${body}*{sum:02X}\r\n")
    };
    readings.iter().map(sentence).collect()
}

fn write(folder: &Path, readings: &[Reading]) -> PathBuf {
    let file = folder.join("track.nmea");
    std::fs::write(&file, as_nmea(readings)).unwrap();
    file
}

/// Coordinates of a sentence are rounded to 2 mm, which is seen in the sixth decimal.
fn without_places(mut events: Vec<Value>) -> Vec<Value> {
    for event in &mut events {
        for path in ["", "/crossing"] {
            if let Some(Value::Object(fields)) = event.pointer_mut(path) {
                fields.remove("latitude_deg");
                fields.remove("longitude_deg");
            }
        }
    }
    events
}

#[test]
fn a_track_as_nmea_gives_the_events_of_the_gpx() {
    let drive = drive("test_de_fr");
    let scratch = tempfile::tempdir().unwrap();
    let nmea = write(scratch.path(), &track::read(&drive.gpx, 0.0).unwrap());
    let from_gpx = without_places(replay(&drive.video, &drive.gpx, &[]));
    let from_nmea = without_places(replay(&drive.video, &nmea, &[]));
    let swap = from_gpx.iter().find(|e| e["from"] == "DE").unwrap();
    assert_eq!(swap["to"], "FR");
    assert_eq!(swap["crossing"]["seen"], true);
    assert!(swap["change"]["classes_gained"].is_u64());
    assert_eq!(from_nmea, from_gpx);
    // No frame is lost to the swap.
    let frames = |events: &[Value]| {
        let last = events.last().unwrap();
        (last["frames"].clone(), last["lost_frames"].clone())
    };
    let fixed = drive_events(&drive.video, &["--region", "DE"]);
    assert_eq!(frames(&from_gpx), frames(&fixed));
}

#[test]
fn a_late_first_fix_and_a_lost_one_are_told() {
    let drive = drive("test_de_fr");
    let scratch = tempfile::tempdir().unwrap();
    // The receiver falls silent after two seconds.
    let mut readings = track::read(&drive.gpx, 0.0).unwrap();
    readings.retain(|r| r.time().seconds() <= 1.0);
    let nmea = write(scratch.path(), &readings);
    let config = scratch.path().join("config.toml");
    std::fs::write(
        &config,
        "[region]\nno_fix_after_s = 1.5\nstale_after_s = 3\nstale_after_m = 20\n",
    )
    .unwrap();
    let events = replay(
        &drive.video,
        &nmea,
        &["--gps-offset-s", "2", "--config", config.to_str().unwrap()],
    );
    let told: Vec<(f64, &str, Vec<&str>)> = (events.iter())
        .filter(|e| e["event"] == "health")
        .map(|e| {
            let reasons = e["reasons"].as_array().unwrap();
            let reasons = reasons.iter().map(|r| r.as_str().unwrap()).collect();
            (
                e["time_s"].as_f64().unwrap(),
                e["state"].as_str().unwrap(),
                reasons,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (0.0, "degraded", vec!["no_position"]),
            (2.0, "normal", vec![]),
            (4.5, "degraded", vec!["no_position"]),
            (6.0, "degraded", vec!["no_position", "region_stale"]),
        ]
    );
    let regions: Vec<&str> = (events.iter())
        .filter(|e| e["event"] == "region")
        .map(|e| e["to"].as_str().unwrap())
        .collect();
    assert_eq!(regions, ["WORLD", "DE"]);
    let first = events.iter().find(|e| e["event"] == "health").unwrap();
    assert!(
        first["detail"].as_str().unwrap().contains("WORLD"),
        "{first}"
    );
}
