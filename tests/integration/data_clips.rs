//! Promise: real dashcam clips give their signs, and nothing else is confirmed.
//!
//! A wrong confirmed sign counts as much as a missing one, so the sets must be equal.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::support::{data, tsedge_ok};

fn confirmed(clip: &str, more: &[&str]) -> Vec<Value> {
    let mut events = replay(clip, more);
    events.retain(|e| e["event"] == "sign_confirmed");
    events
}

fn replay(clip: &str, more: &[&str]) -> Vec<Value> {
    let file = data().join("video").join(clip);
    let scratch = tempfile::tempdir().unwrap();
    let events = scratch.path().join("events.jsonl");
    let mut args = vec!["replay", file.to_str().unwrap(), "--quiet", "--jsonl"];
    args.push(events.to_str().unwrap());
    args.extend(more);
    tsedge_ok(args);
    let lines = std::fs::read_to_string(&events).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn classes(events: &[Value]) -> BTreeSet<String> {
    events
        .iter()
        .map(|e| e["class"].as_str().unwrap().to_owned())
        .collect()
}

fn expect(clip: &str, region: &str, wanted: &[&str]) {
    let found = confirmed(clip, &["--region", region]);
    let wanted: BTreeSet<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
    assert_eq!(classes(&found), wanted, "{clip}: {found:#?}");
}

#[test]
#[ignore = "on recordings: make test-data"]
fn data_sixty_and_children() {
    expect("eu_hu_sh7.mp4", "WORLD", &["speed_limit_60", "children"]);
}

#[test]
#[ignore = "on recordings: make test-data"]
fn data_priority_road_hundred_and_no_bicycles() {
    // The 40 stands on the slip road at the right edge, for half a second.
    let signs = [
        "priority_road",
        "speed_limit_100",
        "no_bicycles",
        "speed_limit_40",
    ];
    expect("eu_hu_sh11.mp4", "WORLD", &signs);
}

#[test]
#[ignore = "on recordings: make test-data"]
fn data_forty_miles_an_hour() {
    let found = confirmed("us_speedlimit_1440p.mp4", &["--region", "US"]);
    assert_eq!(
        classes(&found),
        BTreeSet::from(["speed_limit_40".to_owned()]),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .all(|e| e["unit"] == "mph" && e["value"] == 40.0)
    );
}

#[test]
#[ignore = "on recordings: make test-data"]
fn data_a_highway_without_signs_confirms_none() {
    expect("us_highway_nosigns_udacity.mp4", "US", &[]);
}

/// The full CLIP tower, exported by `training/`, runs through the same path as the small encoder. It was
/// never trained on signs, so it is asked for the best class of what was long in view, not for certainty.
#[test]
#[ignore = "on recordings: make test-data"]
fn data_the_clip_tower_is_just_another_encoder() {
    let tower =
        std::env::var_os("TSEDGE_TOWER").expect("TSEDGE_TOWER must name the folder of its export");
    let tower = Path::new(&tower);
    let scratch = tempfile::tempdir().unwrap();
    let config = scratch.path().join("tower.toml");
    let text = format!(
        "[models]\nencoder = {:?}\npacks = {:?}\n",
        tower.join("encoder.toml"),
        tower.join("packs")
    );
    std::fs::write(&config, text).unwrap();
    let events = replay("eu_hu_sh11.mp4", &["--config", config.to_str().unwrap()]);
    let long = (events.iter())
        .filter(|e| e["event"] == "sign_lost" && e["observations"].as_u64() >= Some(40));
    let best: BTreeSet<&str> = long.filter_map(|e| e["top"][0]["class"].as_str()).collect();
    assert!(best.contains("priority_road"), "{best:?}");
    assert!(best.contains("speed_limit_100"), "{best:?}");
}
