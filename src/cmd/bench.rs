//! `tsedge bench`: how fast this machine is, as one table that can be sent and compared.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::Outcome;
use crate::clock::Lap;
use crate::config::{ConfigFile, Plan};
use crate::detect::{Detections, Detector};
use crate::frame::Frame;
use crate::machine::{Machine, MachineState, Memory, restart_peak};
use crate::model::card::file_sha256;
use crate::model::{Card, OnnxRuntime, Provider};
use crate::pipeline::Recognition;
use crate::recognise::Encoder;
use crate::report::bench::{BenchDrive, BenchModel, BenchResult, BenchStage, FORMAT};
use crate::runtime::{Stage, StageTimes};
use crate::source::{self, FrameSource, Next, OpenOptions};

/// The drive that is drawn where no clip is given.
const DRIVE: &str = include_str!("../../scenarios/bench.toml");

/// Times the stages on this machine and prints one table.
///
/// Frames are looked at one after another, as `tsedge run` does; the first ones do not count. Without a clip,
/// a drive is drawn first, by a process of its own.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: tsedge bench --json board.json, and later: tsedge bench --against board.json"
)]
pub struct Args {
    /// A recording to look at, in place of the built-in drive.
    #[arg(long, value_name = "FILE")]
    clip: Option<PathBuf>,
    /// Write the result as JSON; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with an earlier result: the JSON that --json wrote.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Frames that count, at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Frames before them that do not count.
    #[arg(long, value_name = "N", default_value_t = 20)]
    warm_up: u64,
    /// Read signs by this region's pack.
    #[arg(long, value_name = "CODE", default_value = "DE")]
    region: String,
    /// A configuration file.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Folder with models and packs.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Threads inside the detector.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Execution providers in the order to try: tensorrt, cuda, cpu.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    providers: Option<Vec<Provider>>,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let earlier = args.against.as_deref().map(read_earlier).transpose()?;
    let plan = plan(args)?;
    let drawn;
    let (name, clip) = match &args.clip {
        Some(clip) => (clip.file_name().unwrap_or_default().to_string_lossy(), clip),
        None => {
            drawn = Drawn::draw()?;
            ("built-in".into(), &drawn.video)
        }
    };
    let source = source::open(clip, &OpenOptions::default())?;
    let drive = BenchDrive {
        name: name.into_owned(),
        sha256: sha256_of(clip)?,
        width_px: source.info().width_px,
        height_px: source.info().height_px,
        frames: 0,
        warm_up: args.warm_up,
    };
    restart_peak();
    let result = measure(args, &plan, drive, source)?;
    let json = serde_json::to_string_pretty(&result)?;
    match &args.json {
        Some(path) if path.as_os_str() == "-" => {
            say!("{json}");
            return Ok(Outcome::Done);
        }
        Some(path) => {
            std::fs::write(path, json + "\n").with_context(|| path.display().to_string())?;
        }
        None => {}
    }
    say!("{}", result.table(earlier.as_ref()).trim_end());
    Ok(Outcome::Done)
}

fn plan(args: &Args) -> anyhow::Result<Plan> {
    let mut config = ConfigFile::read_or_default(args.config.as_deref())?;
    let mut line = ConfigFile::default();
    line.models.folder = args.models.clone();
    line.runtime.threads = args.threads;
    line.runtime.providers = args.providers.clone();
    line.region.fixed = Some(args.region.clone());
    config.override_with(line);
    Plan::resolve(&config)
}

fn read_earlier(path: &Path) -> anyhow::Result<BenchResult> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    BenchResult::parse(&text)
        .map_err(anyhow::Error::msg)
        .with_context(name)
}

fn sha256_of(path: &Path) -> anyhow::Result<String> {
    if path.is_dir() {
        return Ok(String::new());
    }
    file_sha256(path).with_context(|| path.display().to_string())
}

fn measure(
    args: &Args,
    plan: &Plan,
    mut drive: BenchDrive,
    mut source: Box<dyn FrameSource>,
) -> anyhow::Result<BenchResult> {
    let runtime = OnnxRuntime::load(plan.onnxruntime.as_deref())?;
    let frame_px = (drive.width_px, drive.height_px);
    let encoder = Encoder::load(&runtime, &plan.encoder, &plan.providers, 1)?;
    let detector = Detector::load(
        &runtime,
        &plan.detector,
        &plan.providers,
        plan.threads,
        &plan.detect,
        frame_px,
    )?;
    let models = vec![
        model("detector", &plan.detector, detector.provider()),
        model("encoder", &plan.encoder, encoder.model().provider()),
    ];
    let bank = plan.pack_store().best(plan.region)?;
    let recognition = Recognition::new(
        plan.recognition.for_views(plan.detect.views.len()),
        encoder,
        bank,
    );
    let before = MachineState::now();
    let times = look(args, source.as_mut(), detector, recognition)?;
    let after = MachineState::now();
    drive.frames = times.samples(Stage::Frame);
    ensure!(
        drive.frames > 0,
        "{}: has no frames after {} to warm up",
        drive.name,
        args.warm_up
    );
    Ok(BenchResult {
        format: FORMAT.to_owned(),
        version: concat!(env!("CARGO_PKG_VERSION"), " (", env!("TSEDGE_COMMIT"), ")").to_owned(),
        machine: Machine::this(),
        class: plan.board.to_string(),
        onnxruntime: runtime.version().to_owned(),
        threads: plan.threads,
        models,
        frames_per_s: drive.frames as f64 / times.total_ms(Stage::Frame) * 1e3,
        drive,
        stages: stages(&times),
        memory: Memory::now(),
        before,
        after,
    })
}

fn model(role: &str, card: &Card, provider: Provider) -> BenchModel {
    BenchModel {
        role: role.to_owned(),
        name: card.spec.name.clone(),
        sha256: card.spec.sha256.clone(),
        provider: provider.to_string(),
    }
}

/// Every frame through every stage, one after another.
fn look(
    args: &Args,
    source: &mut dyn FrameSource,
    mut detector: Detector,
    mut recognition: Recognition,
) -> anyhow::Result<StageTimes> {
    let mut times = StageTimes::default();
    let (mut frame, mut detections) = (Frame::default(), Detections::new());
    let last = args.frames.map(|n| args.warm_up.saturating_add(n));
    let mut seen = 0;
    while last.is_none_or(|last| seen < last) {
        let zero = std::time::Duration::ZERO;
        let [mut decode, mut resample, mut detect, mut step] = [zero; 4];
        let mut lap = Lap::start();
        if source.next_frame(&mut frame)? == Next::End {
            break;
        }
        lap.add_to(&mut decode);
        detector.prepare(&frame);
        lap.add_to(&mut resample);
        detector.infer()?;
        detector.decode(&mut detections);
        lap.add_to(&mut detect);
        recognition.begin();
        recognition.step(&frame, &detections)?;
        lap.add_to(&mut step);
        let (parts, encode) = (
            recognition.take_step_times(),
            recognition.take_encode_time(),
        );
        seen += 1;
        if seen <= args.warm_up {
            continue;
        }
        times.add(Stage::Decode, decode);
        times.add(Stage::Resample, resample);
        times.add(Stage::Detect, detect);
        times.add(Stage::Track, parts.track);
        for (stage, time) in [
            (Stage::Crop, parts.crop),
            (Stage::Encode, encode),
            (Stage::Match, parts.matching),
        ] {
            if time > zero {
                times.add(stage, time);
            }
        }
        times.add(Stage::Frame, decode + resample + detect + step);
    }
    Ok(times)
}

fn stages(times: &StageTimes) -> Vec<BenchStage> {
    let ran = Stage::ALL.into_iter().filter(|s| times.samples(*s) > 0);
    (ran.zip(times.summary()))
        .map(|(stage, s)| BenchStage {
            stage: s.stage.to_owned(),
            frames: times.samples(stage),
            p50_ms: s.p50_ms,
            p99_ms: s.p99_ms,
            max_ms: s.max_ms,
        })
        .collect()
}

/// The built-in drive, drawn into a folder that goes with it. Another process draws it, so that memory is
/// that of recognition alone.
struct Drawn {
    folder: PathBuf,
    video: PathBuf,
}

impl Drawn {
    fn draw() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("tsedge-bench-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let video = folder.join("drive.mp4");
        let drawn = Self { folder, video };
        let scenario = drawn.folder.join("bench.toml");
        std::fs::write(&scenario, DRIVE).with_context(|| scenario.display().to_string())?;
        eprintln!("drawing the drive, ten seconds of it; --clip takes a recording instead");
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let status = Command::new(program)
            .arg("simulate")
            .arg(&scenario)
            .arg("--out")
            .arg(&drawn.video)
            .stdin(Stdio::null())
            .status()
            .context("cannot draw the drive")?;
        if !status.success() {
            bail!("the drive could not be drawn: {status}; give a recording with --clip");
        }
        Ok(drawn)
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        // What is left in the folder for temporary files goes with the next start.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
