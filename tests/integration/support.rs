//! What several modules need: the program, the checkout, a scratch folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tsedge::config::{ConfigFile, Plan};
use tsedge::model::OnnxRuntime;

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The data folder of the tests on real clips.
#[cfg(feature = "data-tests")]
pub fn data() -> PathBuf {
    let folder = std::env::var_os("TSEDGE_DATA").map(PathBuf::from);
    folder.expect("TSEDGE_DATA must name the data folder (crops, frames, video, gps)")
}

/// Runs the program in the checkout.
pub fn tsedge<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tsedge"))
        .current_dir(root())
        .args(args)
        .output()
        .expect("the program starts")
}

/// Runs the program and expects success.
pub fn tsedge_ok<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let output = tsedge(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    output
}

/// ONNX Runtime as `make setup` leaves it.
pub fn runtime() -> OnnxRuntime {
    let library = root().join(".runtime/libonnxruntime.so");
    OnnxRuntime::load(Some(&library)).expect("`make setup` was run")
}

/// The shipped models, one thread, for a region.
pub fn plan(region: &str) -> Plan {
    let mut config = ConfigFile::default();
    config.models.folder = Some(root().join("models"));
    config.region.fixed = Some(region.to_owned());
    config.runtime.threads = Some(1);
    Plan::resolve(&config).expect("the shipped models resolve")
}

/// A drive rendered from a scenario, kept for the whole test run: several tests replay it.
pub fn drive(scenario: &str) -> Drive {
    static RENDER: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = RENDER.lock().unwrap_or_else(|e| e.into_inner());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drives");
    std::fs::create_dir_all(&folder).unwrap();
    let file = |ending: &str| folder.join(format!("{scenario}.{ending}"));
    let (done, drive) = (
        file(&format!("{}.done", std::process::id())),
        Drive {
            video: file("mp4"),
            gpx: file("gpx"),
            truth: file("truth.json"),
        },
    );
    if !done.exists() {
        let source = root().join("scenarios").join(format!("{scenario}.toml"));
        let mut args = vec!["simulate".into(), source.into_os_string()];
        for (option, path) in [
            ("--out", &drive.video),
            ("--gpx", &drive.gpx),
            ("--truth", &drive.truth),
        ] {
            args.push(option.into());
            args.push(path.into());
        }
        tsedge_ok(args);
        std::fs::write(done, "").unwrap();
    }
    drive
}

/// A rendered drive.
pub struct Drive {
    /// MP4.
    pub video: PathBuf,
    /// Track.
    pub gpx: PathBuf,
    /// What stood where.
    pub truth: PathBuf,
}
