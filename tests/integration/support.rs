//! What several modules need: the program, the checkout, a scratch folder.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tsedge::config::{ConfigFile, Plan};
use tsedge::event::{ClassInfo, Family};
use tsedge::model::OnnxRuntime;
use tsedge::region::Pack;
use tsedge::region::bank::Calibration;
use tsedge::region::pack::Prototypes;
use tsedge::units::RegionCode;

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The data folder of the tests on real clips.
pub fn data() -> PathBuf {
    let folder = std::env::var_os("TSEDGE_DATA").map(PathBuf::from);
    folder.expect("TSEDGE_DATA must name the data folder (crops, frames, video, gps)")
}

/// The program, to be run in the checkout.
pub fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tsedge"));
    program.current_dir(root());
    program
}

/// Runs the program in the checkout.
pub fn tsedge<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let output = program().args(args).output();
    output.expect("the program starts")
}

/// Runs the program and expects success.
pub fn tsedge_ok<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    succeeds(program().args(args))
}

/// Runs a command and expects success.
pub fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
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

/// A small pack for the encoder `abc`: `classes` classes of three rows each in `dim` dimensions.
pub fn small_pack(region: &str, version: &str, classes: usize, dim: usize) -> Pack {
    let class = |c: usize| ClassInfo {
        key: format!("class_{c}"),
        national_code: Some(format!("{c}")),
        family: match c {
            0 => Family::Background,
            _ => Family::Prohibition,
        },
        value: None,
        unit: None,
        label_en: format!("Class {c}"),
        label_local: format!("Klasse {c}"),
    };
    let mut rows = ndarray::Array2::from_shape_fn((classes * 3, dim), |(i, j)| {
        ((i * 31 + j * 17) as f32 * 0.618).fract() - 0.5
    });
    for mut row in rows.rows_mut() {
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    Pack {
        region: RegionCode::parse(region).unwrap(),
        version: version.to_owned(),
        encoder_sha256: "abc".to_owned(),
        classes: (0..classes).map(class).collect(),
        calibration: Calibration {
            scale: 15.0,
            bias: BTreeMap::new(),
            min_probability: 0.5,
            min_probability_of: BTreeMap::new(),
            min_cosine: 0.2,
        },
        text: Prototypes {
            rows,
            class_of: (0..classes * 3).map(|i| (i / 3) as u16).collect(),
        },
        image: Prototypes::none(dim),
        rules: None,
        notes: BTreeMap::from([("licence".to_owned(), "none".to_owned())]),
    }
}

/// `tsedge run` that fails; what it says.
pub fn failed_run(args: &[&str]) -> String {
    let output = tsedge(["run"].iter().chain(args));
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

/// How often each fault is repeated: so often, or as `TSEDGE_ROUNDS` says.
pub fn rounds(usual: usize) -> usize {
    number_in("TSEDGE_ROUNDS").unwrap_or(usual)
}

/// The number that an environment variable holds, where it is set.
pub fn number_in(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap())
}

/// Sorts them, and says what is usual and what was worst.
pub fn spread(seconds: &mut [f64]) -> String {
    seconds.sort_by(f64::total_cmp);
    let (median, worst) = (seconds[seconds.len() / 2], seconds[seconds.len() - 1]);
    format!("median {median:.2} s, worst {worst:.2} s")
}
