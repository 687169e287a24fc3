//! Promise: positions come from a real gpsd, it may go away and come back, and a border on the way
//! swaps the pack of a running unit.
//!
//! gpsd and gpsfake are those of Debian (`gpsd`, `gpsd-clients`, `gpsd-tools`).

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tsedge::clock::Monotonic;
use tsedge::position::{Fix, Live, PositionSource, Reading, Told, distance_m};
use tsedge::units::Timestamp;

use crate::position_replay::as_nmea;
use crate::support::{drive, root};

/// A fix each 2 m from Germany to France near Scheibenhard.
fn track(from_m: i32, to_m: i32) -> Vec<Reading> {
    const BORDER: f64 = 48.978;
    (from_m..to_m)
        .step_by(2)
        .enumerate()
        .map(|(second, metres)| {
            let latitude = BORDER - f64::from(metres) / 111_195.0;
            let time = Timestamp::from_seconds(second as f64);
            Reading::Fix(Fix::at(time, latitude, 8.157).unwrap())
        })
        .collect()
}

/// gpsfake, which starts a gpsd and feeds it, in a process group of their own; both end with it.
struct Gpsfake(Child);

impl Gpsfake {
    fn start(folder: &Path, readings: &[Reading], port: u16) -> Self {
        let file = folder.join("track.nmea");
        std::fs::write(&file, as_nmea(readings)).unwrap();
        // 20 fixes a second: 40 m/s.
        let child = Command::new("gpsfake")
            .args(["-q", "-1", "-c", "0.05", "-P", &port.to_string()])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        Self(child.expect("gpsfake starts: apt-get install gpsd gpsd-clients gpsd-tools"))
    }
}

impl Drop for Gpsfake {
    fn drop(&mut self) {
        // gpsfake may wait for ever for its own end, in Debian's 3.22 about one time in ten.
        let group = format!("-{}", self.0.id());
        for signal in ["-TERM", "-KILL"] {
            let _ = Command::new("kill").args([signal, "--", &group]).status();
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_secs(2) {
                if !matches!(self.0.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Polls until `wanted` or for 30 s; everything told on the way.
fn until(live: &mut Live, wanted: impl Fn(&Told) -> bool) -> Vec<Told> {
    let mut told = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        match live.poll(&Monotonic) {
            Told::Quiet => std::thread::sleep(Duration::from_millis(5)),
            one => {
                told.push(one);
                if wanted(&told[told.len() - 1]) {
                    return told;
                }
            }
        }
    }
    panic!("not told in 30 s; told {told:?}");
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_gpsd_gives_fixes_goes_away_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (port, way) = (free_port(), track(-100, 100));
    let mut live = Live::gpsd(&format!("127.0.0.1:{port}"));
    // Not there yet.
    assert!(matches!(
        until(&mut live, |t| matches!(t, Told::Down(_)))[..],
        [Told::Down(_)]
    ));
    for round in 0..2 {
        let gpsd = Gpsfake::start(folder.path(), &way, port);
        let told = until(&mut live, |t| matches!(t, Told::Reading(Reading::Fix(_))));
        assert!(told.contains(&Told::Up), "round {round}: {told:?}");
        let mut fixes = Vec::new();
        while fixes.len() < 20 {
            let told = until(&mut live, |t| matches!(t, Told::Reading(Reading::Fix(_))));
            fixes.extend(told.iter().filter_map(|t| match t {
                Told::Reading(Reading::Fix(fix)) => Some(*fix),
                _ => None,
            }));
        }
        drop(gpsd);
        until(&mut live, |t| matches!(t, Told::Down(_)));
        for fix in &fixes {
            let off_m = (way.iter())
                .map(|r| match r {
                    Reading::Fix(at) => distance_m(at.position_deg(), fix.position_deg()),
                    Reading::NoFix(_) => f64::MAX,
                })
                .fold(f64::MAX, f64::min);
            assert!(off_m < 0.1, "{fix:?} is {off_m} m off the track");
        }
        assert!(fixes.windows(2).all(|f| f[0].time <= f[1].time));
    }
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_gpsd_a_running_unit_swaps_its_pack_at_the_border() {
    let folder = tempfile::tempdir().unwrap();
    let (port, events) = (free_port(), folder.path().join("events.jsonl"));
    let config = folder.path().join("tsedge.toml");
    let text = format!(
        "[position]\nsource = \"gpsd\"\ngpsd = \"127.0.0.1:{port}\"\n[jsonl]\npath = {events:?}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut unit = Command::new(env!("CARGO_BIN_EXE_tsedge"))
        .current_dir(root())
        .args(["run", "--repeat", "--replay"])
        .arg(drive("test_de_fr").video)
        .arg("--config")
        .arg(&config)
        .spawn()
        .unwrap();
    // The file is there when the models are loaded.
    wait_for(|| events.exists());
    let told = || -> Vec<Value> {
        let text = std::fs::read_to_string(&events).unwrap();
        // The last line may be half written.
        (text.lines())
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    let regions = |told: &[Value]| -> Vec<String> {
        (told.iter())
            .filter(|e| e["event"] == "region")
            .map(|e| e["to"].as_str().unwrap().to_owned())
            .collect()
    };
    let gpsd = Gpsfake::start(folder.path(), &track(-800, 400), port);
    wait_for(|| regions(&told()).len() == 3);
    assert_eq!(regions(&told()), ["WORLD", "DE", "FR"]);
    drop(gpsd);
    wait_for(|| {
        let told = told();
        let last = told.iter().rfind(|e| e["event"] == "health").unwrap();
        let reasons = last["reasons"].as_array().unwrap();
        reasons.iter().any(|r| r == "no_position")
    });
    let pid = unit.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(asked.success() && unit.wait().unwrap().success());
}

fn wait_for(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(90), "not in 90 s");
        std::thread::sleep(Duration::from_millis(100));
    }
}
