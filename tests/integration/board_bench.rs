//! Promise: one table tells how fast a board is, and a later one is compared with it.

use tsedge::report::bench::BenchResult;
use tsedge::simulate::drive::Drive;
use tsedge::simulate::scenario::Scenario;

use crate::support::{drive, root, tsedge, tsedge_ok};

#[test]
fn a_table_of_all_stages_is_printed_kept_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("board.json");
    let (kept, clip) = (kept.to_str().unwrap(), drive("test_de_fr").video);
    let clip = clip.to_str().unwrap();
    let common = ["bench", "--clip", clip, "--warm-up", "5"];
    let run = |more: &[&str]| {
        let output = tsedge_ok(common.iter().chain(more));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = run(&["--frames", "60", "--json", kept]);
    let result = BenchResult::parse(&std::fs::read_to_string(kept).unwrap()).unwrap();
    let names: Vec<&str> = result.stages.iter().map(|s| s.stage.as_str()).collect();
    assert_eq!(
        names,
        [
            "decode", "resample", "detect", "track", "crop", "encode", "match", "frame"
        ]
    );
    for stage in &result.stages {
        let s = stage;
        assert!(
            s.p50_ms <= s.p99_ms && s.p99_ms <= s.max_ms && s.max_ms > 0.0,
            "{s:?}"
        );
        assert!(s.frames <= 60, "{s:?}");
        assert!(table.contains(&format!("\n{:<12} ", s.stage)), "{table}");
    }
    assert_eq!((result.drive.frames, result.drive.warm_up), (60, 5));
    assert!(result.frames_per_s > 0.0 && result.memory.peak_mib >= result.memory.resident_mib);
    assert!(result.models.iter().all(|m| m.provider == "CPU"));
    assert!(result.onnxruntime.starts_with("1."));
    assert!(!result.machine.cpu.is_empty() && !result.machine.kernel.is_empty());
    let again = run(&["--frames", "60", "--against", kept]);
    assert!(
        again.contains("p50 x") && again.contains("against"),
        "{again}"
    );
    assert!(!again.contains("not the same machine") && !again.contains("not the same drive"));
    // Fewer frames make another drive, which is said.
    let fewer = run(&["--frames", "3", "--against", kept]);
    assert!(fewer.contains("not the same drive"), "{fewer}");
    let json = run(&["--frames", "3", "--json", "-"]);
    assert_eq!(BenchResult::parse(&json).unwrap().drive.frames, 3);
}

#[test]
fn what_cannot_be_compared_or_has_no_frames_left_is_refused() {
    let clip = drive("test_de_fr").video;
    let clip = clip.to_str().unwrap();
    for (args, words) in [
        (["--against", "Cargo.toml"], "Cargo.toml: "),
        (["--warm-up", "5000"], "has no frames after 5000 to warm up"),
    ] {
        let output = tsedge(["bench", "--clip", clip].iter().chain(&args));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}

#[test]
fn the_built_in_drive_is_ten_seconds_of_signs() {
    let scenario = Scenario::read(&root().join("scenarios/bench.toml")).unwrap();
    let drive = Drive::new(scenario).unwrap();
    assert_eq!(drive.frames(), 301);
}
