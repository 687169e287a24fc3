//! Several cameras and one recogniser: each is looked at, tracks are of one camera, events say of which.

use std::collections::BTreeMap;

use serde_json::Value;
use tsedge::source::{self, OpenOptions};

use crate::running::{Running, kinds};
use crate::support::{drive, failed_run};

const CONFIG: &str = "[cameras.front]\nfield_of_view_deg = 36.0\nshare = 2\n\
    [cameras.left]\nfield_of_view_deg = 36.0\nbearing_deg = -90.0\n";

#[test]
fn signs_of_several_cameras_are_told_apart_and_those_aside_set_no_limit() {
    let video = drive("test_de_fr").video;
    let frames = source::open(&video, &OpenOptions::default())
        .unwrap()
        .info()
        .frames
        .unwrap();
    let [front, left] = ["front", "left"].map(|name| format!("{name}={}", video.display()));
    let replay = ["--replay", &front, "--replay", &left];
    let (output, events) = Running::start(&[], CONFIG, replay.map(AsRef::as_ref)).end();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let summary = kinds(&events, "summary")[0];
    let count = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(count("frames") + count("lost_frames"), 2 * frames);
    let mut camera_of: BTreeMap<u64, &str> = BTreeMap::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for sign in ["sign_seen", "sign_confirmed", "sign_lost"]
        .iter()
        .flat_map(|kind| kinds(&events, kind))
    {
        let camera = sign["camera"].as_str().unwrap();
        let own = *camera_of
            .entry(sign["track"].as_u64().unwrap())
            .or_insert(camera);
        assert_eq!(own, camera, "{sign}");
        *seen.entry(camera).or_default() += usize::from(sign["event"] == "sign_confirmed");
        if let Some(bearing_deg) = sign["bearing_deg"].as_f64() {
            let from = if camera == "left" { -90.0 } else { 0.0 };
            assert!((bearing_deg - from).abs() <= 25.0, "{sign}");
        }
    }
    assert!(seen["front"] > 0 && seen["left"] > 0, "{seen:?}");
    for limit in kinds(&events, "speed_limit") {
        if let Some(track) = limit["track"].as_u64() {
            assert_eq!(camera_of[&track], "front", "{limit}");
        }
    }
    let health = kinds(&events, "health");
    let names = |h: &Value| {
        h["cameras"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(
        health.iter().all(|h| names(h) == ["front", "left"]),
        "{health:?}"
    );
}

#[test]
fn recordings_of_several_cameras_need_names_of_their_own() {
    let video = drive("test_de_fr").video;
    let video = video.to_str().unwrap();
    let named = format!("front={video}");
    for (replay, fault) in [
        ([video, video], "NAME=FILE"),
        ([named.as_str(), named.as_str()], "of that name already"),
        ([named.as_str(), "Rear=x.mp4"], "1 to 8 of a-z"),
    ] {
        let errors = failed_run(&["--replay", replay[0], "--replay", replay[1]]);
        assert!(errors.contains(fault), "{fault}: {errors}");
    }
}
