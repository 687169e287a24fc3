//! `tsedge run` on a recording at its own speed: every frame accounted for, the last state told at the end.

use std::time::{Duration, Instant};

use crate::running::{Running, kinds};
use crate::support::drive;

#[test]
fn every_frame_is_recognised_or_counted_as_dropped_and_a_missing_bus_is_told() {
    let frames = {
        let video = drive("test_de_fr").video;
        let source = tsedge::source::open(&video, &tsedge::source::OpenOptions::default());
        source.unwrap().info().frames.unwrap()
    };
    let (output, events) = Running::replay(&[]).end();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let summary = kinds(&events, "summary")[0];
    let count = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(count("frames") + count("lost_frames"), frames);
    assert!(count("frames") > frames / 4, "{summary}");
    let health = kinds(&events, "health");
    assert_eq!(health[0]["state"], "init");
    let down: Vec<_> = (health.iter())
        .filter(|h| {
            h["reasons"]
                .as_array()
                .unwrap()
                .contains(&"output_down".into())
        })
        .collect();
    assert!(!down.is_empty());
    assert!(
        down[0]["detail"]
            .as_str()
            .unwrap()
            .starts_with("can nocan0:")
    );
    // Told once, not with every message that could not be sent.
    let details = down.iter().filter(|h| h.get("detail").is_some());
    assert_eq!(details.count(), 1, "{down:?}");
}

#[test]
fn sigterm_ends_a_run_within_a_second_with_the_last_state_told() {
    let running = Running::replay(&["--repeat"]);
    running.wait_for(|events| (kinds(events, "health").iter()).any(|h| h["state"] != "init"));
    let start = Instant::now();
    running.terminate();
    let (output, events) = running.end();
    let took = start.elapsed();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(events.last().unwrap()["event"], "summary");
    // A second is promised; a machine full of other tests gets some more.
    assert!(took < Duration::from_secs(5), "{took:?}");
}
