//! `tsedge run` on a recording at its own speed: every frame accounted for, the last state told at the end.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tsedge::region::install::write_pack;
use tsedge::region::pack::{Pack, RowType};

use crate::support::{drive, root};

struct Running {
    child: Child,
    dir: tempfile::TempDir,
}

impl Running {
    /// With JSON lines and a CAN interface that does not exist.
    fn start(more: &[&str]) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        Self::with(dir, "DE", "[can]\ninterface = \"nocan0\"\n", more)
    }

    /// With JSON lines and more configuration.
    fn with(dir: tempfile::TempDir, region: &str, config: &str, more: &[&str]) -> Self {
        let events = dir.path().join("events.jsonl");
        let text = format!("{config}[jsonl]\npath = {events:?}\n");
        let config = dir.path().join("tsedge.toml");
        std::fs::write(&config, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tsedge"))
            .current_dir(root())
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg("--replay")
            .arg(drive("test_de_fr").video)
            .args(["--region", region])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, dir }
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("events.jsonl"));
        let text = text.unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn wait_for(&self, what: impl Fn(&[Value]) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !what(&self.events()) {
            assert!(Instant::now() < end, "waited in vain: {:?}", self.events());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
    }

    fn end(self) -> (std::process::Output, Vec<Value>) {
        let Self { child, dir } = self;
        let output = child.wait_with_output().unwrap();
        let events = std::fs::read_to_string(dir.path().join("events.jsonl")).unwrap();
        assert!(events.ends_with('\n'));
        let events = (events.lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (output, events)
    }
}

fn kinds<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["event"] == kind).collect()
}

#[test]
fn every_frame_is_recognised_or_counted_as_dropped_and_a_missing_bus_is_told() {
    let frames = {
        let video = drive("test_de_fr").video;
        let source = tsedge::source::open(&video, &tsedge::source::OpenOptions::default());
        source.unwrap().info().frames.unwrap()
    };
    let (output, events) = Running::start(&[]).end();
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
    let details = down
        .iter()
        .filter(|h| (h["detail"].as_str()).is_some_and(|detail| detail.starts_with("can nocan0:")));
    assert_eq!(details.count(), 1, "{down:?}");
}

#[test]
fn sigterm_ends_a_run_within_a_second_with_the_last_state_told() {
    let running = Running::start(&["--repeat"]);
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

/// German and French signs by the US pack: what it does not know is in doubt.
#[test]
fn crops_in_doubt_are_kept_while_driving_and_a_folder_that_cannot_be_written_is_told_until_it_can()
{
    let dir = tempfile::TempDir::new().unwrap();
    let folder = dir.path().join("doubts");
    std::fs::write(&folder, "in the way").unwrap();
    let config = format!("[collect]\nfolder = {folder:?}\n");
    let running = Running::with(dir, "US", &config, &["--repeat"]);
    let told = |events: &[Value], words: &str| {
        (kinds(events, "health").iter())
            .any(|h| (h["detail"].as_str()).is_some_and(|detail| detail.starts_with(words)))
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
    let running = Running::with(dir, "DE", "", &["--repeat", "--models", folder]);
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
