//! `tsedge run` on a recording at its own speed: every frame accounted for, the last state told at the end.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use tsedge::region::install::write_pack;
use tsedge::region::pack::{Pack, RowType};

use crate::running::{Running, kinds};
use crate::support::{drive, root};

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
    assert!(down[0]["detail"].as_str().unwrap().contains("can nocan0:"));
    // Told once, not with every message that could not be sent.
    let details = down
        .iter()
        .filter(|h| (h["detail"].as_str()).is_some_and(|detail| detail.contains("can nocan0:")));
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

#[test]
fn a_killed_unit_recognises_again_three_seconds_after_its_restart() {
    let up = |events: &[Value]| (kinds(events, "health").iter()).any(|h| h["state"] != "init");
    let mut running = repeated("DE", tempfile::TempDir::new().unwrap(), "", &[]);
    running.wait_for(up);
    running.restart();
    let (start, before) = (Instant::now(), running.events().len());
    running.wait_for(|events| up(&events[before..]));
    let took = start.elapsed();
    println!("first recognised frame {took:.2?} after the restart");
    // Three seconds are promised; a machine full of other tests gets some more.
    assert!(took < Duration::from_secs(8), "{took:?}");
    running.terminate();
    running.end();
}

#[test]
fn a_unit_at_work_holds_at_most_200_mb() {
    let running = repeated("DE", tempfile::TempDir::new().unwrap(), "", &[]);
    running.wait_for(|events| !kinds(events, "sign_confirmed").is_empty());
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    running.terminate();
    running.end();
    let most = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let most_kb: u64 = (most.unwrap().trim().strip_suffix(" kB").unwrap())
        .parse()
        .unwrap();
    println!("resident at most {most_kb} kB");
    assert!(most_kb * 1024 <= 200_000_000, "{most_kb} kB");
}

/// The drive over and over.
fn repeated(region: &str, dir: tempfile::TempDir, config: &str, more: &[&str]) -> Running {
    let drive = drive("test_de_fr").video;
    let replay = ["--repeat".as_ref(), "--replay".as_ref(), drive.as_os_str()];
    let more = more.iter().map(OsStr::new);
    Running::in_region(region, dir, &[], config, replay.into_iter().chain(more))
}

/// German and French signs by the US pack: what it does not know is in doubt.
#[test]
fn crops_in_doubt_are_kept_while_driving_and_a_folder_that_cannot_be_written_is_told_until_it_can()
{
    let dir = tempfile::TempDir::new().unwrap();
    let folder = dir.path().join("doubts");
    std::fs::write(&folder, "in the way").unwrap();
    let config = format!("[collect]\nfolder = {folder:?}\n");
    let running = repeated("US", dir, &config, &[]);
    let told = |events: &[Value], words: &str| {
        (kinds(events, "health").iter())
            .any(|h| (h["detail"].as_str()).is_some_and(|detail| detail.contains(words)))
    };
    running.wait_for(|events| told(events, "collect: "));
    std::fs::remove_file(&folder).unwrap();
    running.wait_for(|events| told(events, "all outputs work again"));
    let tasks = std::fs::read_to_string(folder.join("tasks.json")).unwrap();
    let tasks: Vec<Value> = serde_json::from_str(&tasks).unwrap();
    assert!(!tasks.is_empty());
    for task in tasks {
        let file = task["data"]["file"].as_str().unwrap();
        assert!(folder.join("crops").join(file).is_file(), "{task}");
    }
    running.terminate();
    running.end();
}

#[test]
fn a_pack_dropped_in_while_driving_is_live_within_a_second() {
    let models = tempfile::TempDir::new().unwrap();
    let packs = models.path().join("packs");
    std::fs::create_dir(&packs).unwrap();
    for entry in std::fs::read_dir(root().join("models")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::os::unix::fs::symlink(entry.path(), models.path().join(entry.file_name()))
                .unwrap();
        }
    }
    for region in ["DE", "WORLD"] {
        let file = format!("{region}.safetensors");
        std::fs::copy(root().join("models/packs").join(&file), packs.join(&file)).unwrap();
    }
    let folder = models.path().to_str().unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let running = repeated("DE", dir, "", &["--models", folder]);
    running.wait_for(|events| !kinds(events, "sign_seen").is_empty());
    let (mut pack, _) = Pack::read(&packs.join("DE.safetensors")).unwrap();
    pack.version = "2".to_owned();
    let dropped = Instant::now();
    write_pack(&pack, RowType::F32, &packs.join("DE.safetensors")).unwrap();
    let newest = |events: &[Value]| {
        kinds(events, "region")
            .last()
            .map(|e| e["pack_version"].clone())
    };
    running.wait_for(|events| newest(events) == Some("2".into()));
    let took = dropped.elapsed();
    // A second is promised; a machine full of other tests gets some more.
    assert!(took < Duration::from_secs(4), "{took:?}");
    running.terminate();
    let (output, _) = running.end();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_running_unit_shows_what_it_sees_to_who_has_the_token() {
    let dir = tempfile::TempDir::new().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "a-token-of-some-length\n").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let config = format!("[status]\nlisten = \"{address}\"\npreview_token_file = {token:?}\n");
    let running = repeated("DE", dir, &config, &[]);
    running.wait_for(|events| (kinds(events, "health").iter()).any(|h| h["state"] != "init"));
    let mut unit = TcpStream::connect(address).unwrap();
    write!(
        unit,
        "GET /preview.jpg?token=a-token-of-some-length HTTP/1.0\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    unit.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let picture = image::load_from_memory(&answer[body..]).unwrap();
    assert_eq!((picture.width(), picture.height()), (640, 360));
    running.terminate();
    running.end();
}
