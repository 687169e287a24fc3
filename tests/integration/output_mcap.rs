//! MCAP recordings, read by the reader of another language (`make test-system` installs it).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tsedge::clock::Monotonic;
use tsedge::event::{Event, Naming};
use tsedge::output::Output;
use tsedge::output::jsonl::JsonLines;
use tsedge::output::mcap::McapOutput;
use tsedge::units::Timestamp;

use crate::output_events::{limit_60, one_of_each, sign};
use crate::running::repeated_by;
use crate::support::{drive, root, tsedge_ok};

/// What the other reader makes of a file.
#[derive(Default)]
struct Read {
    count: Option<u64>,
    schemas: BTreeMap<String, Value>,
    /// Topic, schema, time, data.
    messages: Vec<(String, String, u64, Value)>,
}

fn read(file: &Path, cut: bool) -> Read {
    let python = std::env::var("TSEDGE_PEERS_PYTHON")
        .expect("TSEDGE_PEERS_PYTHON names a Python with the package mcap");
    let output = Command::new(python)
        .arg(root().join("tests/peers/mcap_read.py"))
        .args(cut.then_some("--cut"))
        .arg(file)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut read = Read::default();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        if let Some(count) = line["count"].as_u64() {
            read.count = Some(count);
        } else if line["schema"].is_string() {
            read.schemas.insert(text("schema"), line["text"].take());
        } else {
            let (topic, of, at) = (text("topic"), text("of"), line["at"].as_u64().unwrap());
            read.messages.push((topic, of, at, line["data"].take()));
        }
    }
    read
}

impl Read {
    /// Events as they are, without positions.
    fn events(&self) -> Vec<&Value> {
        let events = self.messages.iter().filter(|m| m.0 != "/tsedge/position");
        events.map(|m| &m.3).collect()
    }

    /// Every message follows the schema of its channel.
    fn check(&self) {
        for (_, of, _, data) in &self.messages {
            let schema = jsonschema::draft202012::new(&self.schemas[of]).unwrap();
            assert!(schema.is_valid(data), "{of}: {data}");
        }
    }
}

fn as_lines(events: &[Event]) -> Vec<Value> {
    let mut lines = JsonLines::new("test", Vec::new());
    for event in events {
        lines.emit(event).unwrap();
    }
    lines.finish().unwrap();
    let text = String::from_utf8(lines.into_writer()).unwrap();
    (text.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn event(frame: u64) -> Event {
    let mut sign = sign(Naming::Sign(limit_60()));
    sign.frame = frame;
    sign.time = Timestamp::from_nanos(frame as i64 * 1_000_000);
    Event::SignConfirmed(sign)
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_mcap_has_the_events_of_the_json_lines_and_positions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drive.mcap");
    let mut events = one_of_each();
    events.sort_by_key(Event::time);
    for _ in 0..2 {
        // An older file is replaced.
        let mut output = McapOutput::create(&path).unwrap();
        for event in &events {
            output.emit(event).unwrap();
        }
        output.finish().unwrap();
    }
    let read = read(&path, false);
    read.check();
    let lines = as_lines(&events);
    assert_eq!(read.events(), lines.iter().collect::<Vec<_>>());
    for (topic, _, at, data) in &read.messages {
        if let Some(kind) = data["event"].as_str() {
            assert_eq!(*topic, format!("/tsedge/{kind}"));
            let at_s = *at as f64 * 1e-9;
            assert!((at_s - data["time_s"].as_f64().unwrap()).abs() < 0.001);
        } else {
            assert!(data["latitude"].is_number() && data["longitude"].is_number());
        }
    }
    let positions = read.messages.len() - lines.len();
    assert!(positions > 0);
    assert_eq!(read.count, Some(read.messages.len() as u64));
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_mcap_files_are_put_aside_whole_when_they_have_grown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.mcap");
    let open = || McapOutput::record(&path, 200_000, 9, Arc::new(Monotonic)).unwrap();
    let mut output = open();
    for frame in 0..900 {
        output.emit(&event(frame)).unwrap();
        output
            .tick(Timestamp::from_seconds(frame as f64 * 0.1))
            .unwrap();
    }
    // As after a restart: the file is not gone on with.
    output.finish().unwrap();
    let mut output = open();
    output.emit(&event(900)).unwrap();
    output.finish().unwrap();
    let mut frames = Vec::new();
    let aside = (1..9)
        .rev()
        .map(|n| dir.path().join(format!("events.{n}.mcap")));
    for file in aside.filter(|f| f.exists()).chain([path.clone()]) {
        let read = read(&file, false);
        read.check();
        let size = std::fs::metadata(&file).unwrap().len();
        assert!(size < 300_000, "{size}");
        frames.extend(read.events().iter().map(|e| e["frame"].as_u64().unwrap()));
        // Times of day, as other recordings have.
        assert!(read.messages[0].2 > 1_600_000_000_000_000_000);
    }
    assert_eq!(frames, (0..=900).collect::<Vec<_>>());
    assert!(dir.path().join("events.3.mcap").exists());
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_mcap_of_a_killed_unit_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let (path, config) = (
        dir.path().join("events.mcap"),
        dir.path().join("tsedge.toml"),
    );
    std::fs::write(&config, format!("[mcap]\npath = {path:?}\n")).unwrap();
    let mut unit = repeated_by(&config).spawn().unwrap();
    let start = Instant::now();
    let mut kinds = Vec::new();
    while !kinds.contains(&"sign_confirmed".to_owned()) {
        assert!(start.elapsed() < Duration::from_secs(90), "{kinds:?}");
        std::thread::sleep(Duration::from_millis(300));
        if path.exists() {
            let read = read(&path, true);
            let kind = |e: &&Value| e["event"].as_str().unwrap().to_owned();
            kinds = read.events().iter().map(kind).collect();
        }
    }
    unit.kill().unwrap();
    unit.wait().unwrap();
    let read = read(&path, true);
    read.check();
    assert!(read.events().len() >= kinds.len());
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_mcap_of_a_replay_is_the_same_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let (jsonl, mut bytes) = (dir.path().join("a.jsonl"), Vec::new());
    for name in ["a.mcap", "b.mcap"] {
        let path = dir.path().join(name);
        tsedge_ok([
            "replay".as_ref(),
            drive("test_de_fr").video.as_os_str(),
            "--region".as_ref(),
            "DE".as_ref(),
            "--quiet".as_ref(),
            "--jsonl".as_ref(),
            jsonl.as_os_str(),
            "--mcap".as_ref(),
            path.as_os_str(),
        ]);
        bytes.push(std::fs::read(&path).unwrap());
    }
    assert!(bytes[0] == bytes[1]);
    let read = read(&dir.path().join("a.mcap"), false);
    read.check();
    let lines = std::fs::read_to_string(&jsonl).unwrap();
    assert_eq!(read.events().len(), lines.lines().count());
}
