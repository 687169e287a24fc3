//! Promise: TensorRT's engines are prepared by command, fit the machine, and are never built by a run.
//!
//! No GPU is needed: libraries of the names of NVIDIA's, compiled here, stand for one. What a real TensorRT
//! does with the options has not been tried.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;
use tsedge::model::EngineStore;
use tsedge::model::gpu::Gpu;

use crate::support::{drive, plan, root, runtime};

/// A machine of a GPU and TensorRT of this version; a GPU that fails where it is 0.
fn machine(tensorrt: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let code = if tensorrt == 0 { 100 } else { 0 };
    let cuda = format!(
        "int cuInit(unsigned f) {{ return {code}; }}
         int cuDeviceGet(int *d, int n) {{ *d = n; return 0; }}
         int cuDeviceGetName(char *s, int n, int d) {{ __builtin_strncpy(s, \"Orin\", n); return 0; }}
         int cuDeviceGetAttribute(int *v, int what, int d) {{ *v = what == 75 ? 8 : 7; return 0; }}"
    );
    let nvinfer = format!("int getInferLibVersion(void) {{ return {tensorrt}; }}");
    for (name, text) in [("libcuda.so.1", cuda), ("libnvinfer.so.10", nvinfer)] {
        let source = folder.path().join(format!("{name}.c"));
        std::fs::write(&source, text).unwrap();
        let library = folder.path().join(name);
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(&source);
        assert!(cc.status().unwrap().success());
    }
    folder
}

fn on(machine: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tsedge"))
        .current_dir(root())
        .env("LD_LIBRARY_PATH", machine)
        .args(args)
        .output()
        .unwrap()
}

fn said(output: &Output, code: i32) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn without_a_gpu_or_tensorrt_in_onnx_runtime_preparing_says_so() {
    let engines = tempfile::tempdir().unwrap();
    let folder = engines.path().to_str().unwrap();
    let prepare = [
        "models",
        "prepare",
        "--frames",
        "1280x720",
        "--engines",
        folder,
    ];
    let text = said(&on(machine(0).path(), &prepare), 1);
    assert!(text.contains("cuInit failed with 100"), "{text}");
    let text = said(&on(machine(100_300).path(), &prepare), 1);
    assert!(
        text.contains("Orin with compute capability 8.7, TensorRT 10.3.0, ONNX Runtime 1."),
        "{text}"
    );
    assert!(
        text.contains("1 of 3: edge-56-deep 56x56 FP16: building"),
        "{text}"
    );
    assert!(text.contains("has no estimate"), "{text}");
    // The library from PyPI has no TensorRT.
    assert!(text.contains("TensorRT: edge-56-deep: "), "{text}");
    let text = said(
        &on(
            machine(100_300).path(),
            &["models", "list", "--engines", folder],
        ),
        0,
    );
    assert!(
        text.contains("encoder   edge-56-deep") && text.contains("no engines in"),
        "{text}"
    );
}

#[test]
fn a_run_without_a_prepared_engine_is_refused_or_falls_back_as_configured() {
    let machine = machine(100_300);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tsedge.toml");
    let engines = folder.path().join("engines");
    let write = |more: &str| {
        let text = format!("[runtime.tensorrt]\nengines = {engines:?}\n{more}");
        std::fs::write(&config, text).unwrap();
    };
    let clip = drive("test_de_fr").video;
    let (clip, config_path) = (clip.to_str().unwrap(), config.to_str().unwrap());
    write("");
    let replay = [
        "replay",
        clip,
        "--config",
        config_path,
        "--providers",
        "tensorrt,cpu",
    ];
    let run = [
        "run",
        "--replay",
        clip,
        "--config",
        config_path,
        "--providers",
        "tensorrt,cpu",
    ];
    for args in [&replay[..], &run[..]] {
        let text = said(&on(machine.path(), args), 1);
        assert!(
            text.contains("no engine was prepared in") && text.contains("`tsedge models prepare`"),
            "{text}"
        );
    }
    write("unprepared = \"fall_back\"\n");
    let text = said(&on(machine.path(), &replay), 0);
    assert!(text.contains("runs on CPU; refused: TensorRT: "), "{text}");
    assert!(text.contains("`tsedge models prepare`"), "{text}");
    assert!(!engines.exists(), "nothing is built");
    // The default of a Jetson starts, and says what is missing.
    write("[runtime]\nboard = \"jetson-orin\"\n");
    let text = said(&on(machine.path(), &["check", "--config", config_path]), 0);
    assert!(text.contains("board class jetson-orin"), "{text}");
    assert!(text.contains("runs on CPU; refused: TensorRT: "), "{text}");
}

#[test]
fn an_engine_of_another_tensorrt_is_refused_and_one_that_fits_is_given_to_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let store = EngineStore {
        folder: folder.path().join("engines"),
        ..EngineStore::default()
    };
    let gpu = Gpu {
        name: "Orin".to_owned(),
        compute_capability: "8.7".to_owned(),
        tensorrt: "10.3.0".to_owned(),
    };
    let encoder = plan("DE").encoder;
    let key = (store.key(&encoder, (56, 56), &gpu, runtime().version())).unwrap();
    let part = store.begin(&key).unwrap();
    std::fs::write(part.join("edge-56-deep_1_sm87.engine"), "an engine").unwrap();
    store.finish(&key, Duration::from_secs(90)).unwrap();
    let config = folder.path().join("tsedge.toml");
    let text = format!("[runtime.tensorrt]\nengines = {:?}\n", store.folder);
    std::fs::write(&config, text).unwrap();
    let clip = drive("test_de_fr").video;
    let args = [
        "replay",
        clip.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--providers",
        "tensorrt",
    ];
    let newer = said(&on(machine(100_700).path(), &args), 1);
    assert!(
        newer.contains("was prepared for TensorRT 10.3.0, now 10.7.0"),
        "{newer}"
    );
    // It fits: what is missing now is TensorRT in the library.
    let same = said(&on(machine(100_300).path(), &args), 1);
    assert!(
        same.contains("none of the providers asked for can be had: TensorRT: "),
        "{same}"
    );
    assert!(!same.contains("models prepare"), "{same}");
    let engines = store.folder.to_str().unwrap();
    let list = said(
        &on(
            machine(100_300).path(),
            &["models", "list", "--engines", engines],
        ),
        0,
    );
    assert!(
        list.contains("edge-56-deep 56x56 FP16 for Orin (8.7), TensorRT 10.3.0"),
        "{list}"
    );
}
