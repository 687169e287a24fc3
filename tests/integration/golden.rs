//! Promise: a replay gives the events it gave before, the same bytes on every run and with any number
//! of threads.
//!
//! Each folder of `tests/golden` names a scenario, the tolerance and the expected events; the drive is
//! rendered by the test. Kinds, order, tracks and classes must be equal; figures may differ within
//! `tolerance.toml`, as rendering and inference round differently between processors.
//! `TSEDGE_BLESS=1` rewrites the expectation and records what made it. `TSEDGE_ARM64` names the program built
//! for ARM64, run by `TSEDGE_EMULATOR` with the ONNX Runtime `TSEDGE_ARM64_ONNXRUNTIME` (`make test-qemu`).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{drive, plan, program, root, succeeds, tsedge_ok};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Tolerance {
    /// File in `scenarios/`, without its ending.
    scenario: String,
    /// The least number of confirmed signs: an empty replay is no proof.
    min_confirmed: usize,
    /// Largest difference allowed, by field.
    within: BTreeMap<String, f64>,
}

fn replay(scenario: &str, threads: &str, out: &Path) -> String {
    replay_by(&mut program(), scenario, threads, out)
}

fn replay_by(program: &mut Command, scenario: &str, threads: &str, out: &Path) -> String {
    let drive = drive(scenario);
    program.args([
        "replay".as_ref(),
        drive.video.as_os_str(),
        "--gps".as_ref(),
        drive.gpx.as_os_str(),
        "--threads".as_ref(),
        threads.as_ref(),
        "--quiet".as_ref(),
        "--jsonl".as_ref(),
        out.as_os_str(),
    ]);
    succeeds(program);
    std::fs::read_to_string(out).unwrap()
}

/// The events of the golden replay `name`, and what they should be.
fn check(name: &str) {
    check_by(&mut program(), name);
}

fn check_by(program: &mut Command, name: &str) {
    let folder = root().join("tests/golden").join(name);
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    let tolerance: Tolerance = toml::from_str(&read("tolerance.toml")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("a.jsonl");
    let found = replay_by(program, &tolerance.scenario, "1", &out);
    let confirmed = found
        .lines()
        .filter(|l| l.contains("\"sign_confirmed\""))
        .count();
    assert!(
        confirmed >= tolerance.min_confirmed,
        "{confirmed} confirmed signs, at least {} expected:\n{found}",
        tolerance.min_confirmed
    );
    if std::env::var_os("TSEDGE_BLESS").is_some() {
        bless(&folder, &found);
        return;
    }
    let expected = read("expected.jsonl");
    let (found, expected): (Vec<&str>, Vec<&str>) =
        (found.lines().collect(), expected.lines().collect());
    let mut most = BTreeMap::new();
    for (n, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let (found_event, expected_event) = (parse(found), parse(expected));
        differences(&found_event, &expected_event, "", &mut most);
        if let Err(difference) = same(&found_event, &expected_event, "", &tolerance.within) {
            panic!(
                "{name} line {}: {difference}\nfound    {found}\nexpected {expected}",
                n + 1
            );
        }
    }
    assert_eq!(found.len(), expected.len(), "{name}: number of events");
    println!(
        "{name}: {} events, most that differs: {most:?}",
        found.len()
    );
}

/// By field, the largest difference of two numbers; runners-up apart.
fn differences(found: &Value, expected: &Value, field: &str, most: &mut BTreeMap<String, f64>) {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a.iter().filter(|(key, _)| *key != "top") {
                differences(value, b.get(key).unwrap_or(&Value::Null), key, most);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for (a, b) in a.iter().zip(b) {
                differences(a, b, field, most);
            }
        }
        (Value::Number(a), Value::Number(b)) if a != b => {
            let off = (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
            let most = most.entry(field.to_owned()).or_default();
            *most = most.max(off);
        }
        _ => {}
    }
}

/// Equal but for numbers within the tolerance of their field.
fn same(
    found: &Value,
    expected: &Value,
    field: &str,
    within: &BTreeMap<String, f64>,
) -> Result<(), String> {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            if !a.keys().eq(b.keys()) {
                return Err(format!("fields of `{field}` differ"));
            }
            a.iter()
                .try_for_each(|(key, value)| same(value, &b[key], key, within))
        }
        (Value::Array(a), Value::Array(b)) if field == "top" => {
            // Runners-up may change places; the best may not.
            let best = |v: &[Value]| v.first().cloned().unwrap_or(Value::Null);
            same(&best(a), &best(b), field, within)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .try_for_each(|(a, b)| same(a, b, field, within)),
        (Value::Number(a), Value::Number(b)) => {
            let off = (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
            let allowed = within.get(field).copied().unwrap_or(0.0);
            if off <= allowed + 1e-9 {
                Ok(())
            } else {
                Err(format!("`{field}` is {a}, expected {b} within {allowed}"))
            }
        }
        _ if found == expected => Ok(()),
        _ => Err(format!("`{field}` is {found}, expected {expected}")),
    }
}

fn bless(folder: &Path, found: &str) {
    let plan = plan("WORLD");
    std::fs::write(folder.join("expected.jsonl"), found).unwrap();
    let reference = format!(
        "detector {} sha256 {}\nencoder {} sha256 {}\n",
        plan.detector.spec.name,
        plan.detector.spec.sha256,
        plan.encoder.spec.name,
        plan.encoder.spec.sha256
    );
    std::fs::write(folder.join("REFERENCE"), reference).unwrap();
}

#[test]
fn germany_to_france() {
    check("de_fr");
}

#[test]
fn united_states() {
    check("us");
}

/// The program for ARM64, emulated.
fn arm64() -> Command {
    let named = |variable: &str| {
        let path = std::env::var_os(variable).map(std::path::PathBuf::from);
        root().join(path.unwrap_or_else(|| panic!("{variable} is not set: run `make test-qemu`")))
    };
    let mut program = Command::new(named("TSEDGE_EMULATOR"));
    program
        .current_dir(root())
        .env("ORT_DYLIB_PATH", named("TSEDGE_ARM64_ONNXRUNTIME"))
        .arg(named("TSEDGE_ARM64"));
    program
}

#[test]
#[ignore = "of the program for ARM64: make test-qemu"]
fn qemu_arm64_gives_the_events_of_germany_to_france() {
    check_by(&mut arm64(), "de_fr");
}

#[test]
#[ignore = "of the program for ARM64: make test-qemu"]
fn qemu_arm64_gives_the_events_of_the_united_states() {
    check_by(&mut arm64(), "us");
}

#[test]
fn the_same_bytes_on_every_run_and_for_any_number_of_threads() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name);
    let one = replay("test_de_fr", "1", &file("1"));
    assert!(one.contains("\"sign_confirmed\""));
    assert_eq!(one, replay("test_de_fr", "1", &file("1 again")));
    assert_eq!(one, replay("test_de_fr", "2", &file("2")));
    assert_eq!(one, replay("test_de_fr", "5", &file("5")));
}

#[test]
fn views_in_turn_find_the_signs_and_give_the_same_bytes_for_any_number_of_threads() {
    let scratch = tempfile::tempdir().unwrap();
    let config = scratch.path().join("views.toml");
    let views = "[detect]\nviews = [{ band = [0.2, 0.75] }, { long_side_px = 640 }]\n";
    std::fs::write(&config, views).unwrap();
    let drive = drive("test_de_fr");
    let [one, three] = ["1", "3"].map(|threads| {
        let out = scratch.path().join(threads);
        tsedge_ok([
            "replay".as_ref(),
            drive.video.as_os_str(),
            "--config".as_ref(),
            config.as_os_str(),
            "--threads".as_ref(),
            threads.as_ref(),
            "--quiet".as_ref(),
            "--jsonl".as_ref(),
            out.as_os_str(),
        ]);
        std::fs::read_to_string(out).unwrap()
    });
    assert_eq!(one, three);
    assert!(one.contains("\"speed_limit_50\""), "{one}");
}

#[test]
fn what_differs_is_found() {
    let within = BTreeMap::from([("probability".to_owned(), 0.1)]);
    let event = |class: &str, probability: f64| serde_json::json!({"class": class, "probability": probability, "frame": 3});
    let same = |a: &Value, b: &Value| super::golden::same(a, b, "", &within);
    assert!(same(&event("stop", 0.9), &event("stop", 0.85)).is_ok());
    assert!(same(&event("stop", 0.9), &event("stop", 0.7)).is_err());
    assert!(same(&event("stop", 0.9), &event("yield", 0.9)).is_err());
    assert!(same(&event("stop", 0.9), &serde_json::json!({"class": "stop"})).is_err());
}
