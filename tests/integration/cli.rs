//! Promise: exit codes and errors that scripts and people can act on.

use std::path::Path;

use tsedge::config::ConfigFile;

use crate::support::{drive, root, tsedge};

fn failed(args: &[&str], code: i32) -> String {
    let output = tsedge(args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    errors
}

#[test]
fn bad_arguments_give_2() {
    assert!(failed(&["replay"], 2).contains("<FILE>"));
    assert!(failed(&["replay", "a.mp4", "--threads", "many"], 2).contains("--threads"));
    assert!(
        failed(&["replay", "a.mp4", "--providers", "gpu"], 2)
            .contains("one of tensorrt, cuda, cpu")
    );
}

#[test]
fn what_cannot_be_read_gives_1_and_is_named() {
    assert!(failed(&["replay", "none.mp4"], 1).contains("none.mp4"));
    assert!(failed(&["replay", "Cargo.toml"], 1).contains("Cargo.toml"));
    let region = failed(&["replay", "a.mp4", "--region", "Germany"], 1);
    assert!(
        region.contains("`Germany` is not an ISO 3166 code"),
        "{region}"
    );
    let models = failed(&["replay", "a.mp4", "--models", "docs"], 1);
    assert!(models.contains("docs/detector.toml"), "{models}");
}

#[test]
fn a_missing_onnx_runtime_says_where_it_looked_and_what_to_run() {
    let video = drive("test_de_fr").video;
    let run = |library: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tsedge"))
            .current_dir(root())
            .env("ORT_DYLIB_PATH", library)
            .args(["replay".as_ref(), video.as_os_str()])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = run("nowhere/libonnxruntime.so");
    assert!(
        missing.contains("Looked at: nowhere/libonnxruntime.so. Run `make setup`"),
        "{missing}"
    );
    // A shared library, but not ONNX Runtime.
    let libc = [
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib/aarch64-linux-gnu/libm.so.6",
    ];
    let other = libc.into_iter().find(|p| Path::new(p).exists()).unwrap();
    assert!(run(other).contains("Run `make setup`"));
}

#[test]
fn a_provider_that_cannot_be_had_is_told_and_the_next_is_taken() {
    let video = drive("test_de_fr").video;
    let file = video.to_str().unwrap();
    let output = tsedge(["replay", file, "--providers", "cuda,cpu"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    // This library has no CUDA on machines without a GPU; where it has, the provider is named all the same.
    assert!(errors.contains("asked for CUDA, CPU"), "{errors}");
    let on_cpu =
        errors.contains("on CPU (asked for") && errors.contains("runs on CPU; refused: CUDA:");
    assert!(on_cpu || errors.contains("on CUDA (asked for"), "{errors}");
}

#[test]
fn a_cut_recording_is_replayed_as_far_as_it_goes_and_gives_3() {
    let whole = std::fs::read(drive("test_de_fr").video).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("cut.mp4");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let like = drive("test_de_fr").video;
    // The index is at the end of the file: without it only a good file of the same camera helps.
    let without = failed(&["replay", file.to_str().unwrap()], 1);
    assert!(without.contains("--like"), "{without}");
    let errors = failed(
        &[
            "replay",
            file.to_str().unwrap(),
            "--like",
            like.to_str().unwrap(),
        ],
        3,
    );
    assert!(errors.contains("cut.mp4"), "{errors}");
}

#[test]
fn a_wrong_model_is_refused_with_both_values() {
    let scratch = tempfile::tempdir().unwrap();
    let models = root().join("models");
    for name in ["detector.toml", "detector.onnx", "encoder.onnx"] {
        std::fs::copy(models.join(name), scratch.path().join(name)).unwrap();
    }
    let card = std::fs::read_to_string(models.join("encoder.toml")).unwrap();
    let video = drive("test_de_fr").video;
    let packs = models.join("packs");
    let refuse = |from: &str, to: &str| {
        let changed: String = (card.lines())
            .map(|line| {
                if line.starts_with(from) {
                    format!("{to}\n")
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        assert_ne!(changed, card, "the card has a line that starts with {from}");
        std::fs::write(scratch.path().join("encoder.toml"), changed).unwrap();
        std::fs::create_dir_all(scratch.path().join("packs")).unwrap();
        let folder = scratch.path().to_str().unwrap();
        failed(&["replay", video.to_str().unwrap(), "--models", folder], 1)
    };
    assert!(packs.is_dir());
    let sha = refuse("sha256", "sha256 = \"00\"");
    assert!(
        sha.contains("sha256 is ") && sha.contains("expected 00"),
        "{sha}"
    );
    let size = refuse("size_bytes", "size_bytes = 7");
    assert!(
        size.contains("size in bytes is ") && size.contains("expected 7"),
        "{size}"
    );
    let shape = refuse("shape", "shape = [1, 3, 31, 31]");
    assert!(
        shape.contains("[1, 3, 31, 31]") && shape.contains("but its card says"),
        "{shape}"
    );
    let dim = refuse("dim", "dim = 7");
    assert!(dim.contains("[1, 7]"), "{dim}");
    let typo = refuse("licence", "lisence = \"x\"");
    assert!(
        typo.contains("encoder.toml") && typo.contains("lisence"),
        "{typo}"
    );
}

#[test]
fn check_tells_all_faults_at_once_and_takes_the_shipped_example() {
    let dir = tempfile::TempDir::new().unwrap();
    let bad = dir.path().join("bad.toml");
    let text = "[models]\nfolder = \"docs\"\n[can]\ninterface = \"can0\"\n[can.ids]\nstatus = 1\nsign = 1\n\
        [status]\nlisten = \"0.0.0.0:80\"\n[jsonl]\npath = \"no-such-folder/x\"\n\
        [camera]\nurl = \"rtsp://user:hunter2@camera/\"\n[threads]\ncapture = { fifo = 100 }\n\
        [mcap]\npath = \"no-such-place/x\"\n[mqtt]\nbroker = \"localhost\"\n";
    std::fs::write(&bad, text).unwrap();
    let errors = failed(&["check", "--config", bad.to_str().unwrap()], 1);
    for fault in [
        "docs/detector.toml",
        "share an identifier",
        "not a loopback",
        "[jsonl] path: there is no folder no-such-folder",
        "[mcap] path: there is no folder no-such-place",
        "`localhost` is not mqtt://HOST",
        "[camera]: url holds a user or password",
        "threads.capture.fifo is 100, expected 1 to 99",
    ] {
        assert!(errors.contains(fault), "{fault}: {errors}");
    }
    assert!(!errors.contains("hunter2"), "{errors}");
    assert!(errors.contains("8 of the checks failed"), "{errors}");
    let example = std::fs::read_to_string(root().join("systemd/tsedge.toml")).unwrap();
    let there = dir.path().join("events.jsonl");
    let good = dir.path().join("good.toml");
    let log = "/var/log/tsedge/events.jsonl";
    assert!(example.contains(log));
    std::fs::write(&good, example.replace(log, there.to_str().unwrap())).unwrap();
    let output = tsedge(["check", "--config", good.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("region packs in"), "{said}");
    let typo = dir.path().join("typo.toml");
    std::fs::write(&typo, "[can]\ninterfaces = \"can0\"\n").unwrap();
    let errors = failed(&["check", "--config", typo.to_str().unwrap()], 1);
    assert!(
        errors.contains("line 2") && errors.contains("interfaces"),
        "{errors}"
    );
}

#[test]
fn the_configurations_of_the_pages_are_read() {
    let mut found = 0;
    for page in [
        "live",
        "boards",
        "gstreamer",
        "rollout",
        "boards/jetson-orin-nano",
        "boards/raspberry-pi-5",
        "boards/generic",
    ] {
        let page = std::fs::read_to_string(root().join(format!("docs/{page}.md"))).unwrap();
        for block in page.split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap();
            let config = ConfigFile::parse(text).unwrap_or_else(|e| panic!("{e} in {text}"));
            config.threads.check().unwrap();
            config.cameras().unwrap();
            found += 1;
        }
    }
    assert!(found >= 13, "{found}");
}

#[test]
fn what_the_shipped_example_has_as_comments_is_right_too() {
    let example = std::fs::read_to_string(root().join("systemd/tsedge.toml")).unwrap();
    let all: Vec<&str> = (example.lines())
        .map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let key = bare.split(" = ").next().unwrap_or_default();
            let is_key = !key.contains(' ') && bare.contains(" = ");
            if bare.starts_with('[') || is_key {
                bare
            } else {
                line
            }
        })
        .collect();
    let config = tsedge::config::ConfigFile::parse(&all.join("\n")).unwrap();
    let delivery = config.delivery.as_ref().unwrap().plan(&config).unwrap();
    assert_eq!(delivery.prefix, "cars/7");
    assert!(config.serial.is_some() && config.mcap.is_some() && config.collect.is_some());
    assert_eq!(config.cameras.len(), 3);
    assert!(config.runtime.tensorrt.unprepared.is_some());
    assert!(config.drift.unwrap().reference.is_some());
}
