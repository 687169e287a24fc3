//! `tsedge models`: TensorRT engines for this machine, built ahead of time, and bundles for a fleet.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Outcome;
use super::run::SMALLER_PICTURE;
use crate::clock::Lap;
use crate::config::{ConfigFile, Plan};
use crate::delivery::bundle;
use crate::detect::ladder;
use crate::model::engine::EngineKey;
use crate::model::gpu::Gpu;
use crate::model::{Card, OnnxRuntime, Precision};
use crate::region::install::write_atomically;

/// Frames of a recording, or of a camera whose configuration does not say.
const FRAME_PX: (u32, u32) = (1280, 720);

/// Lists models, prepares them for this machine's GPU, and bundles them for a fleet.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Prepare(PrepareArgs),
    List(ListArgs),
    Bundle(BundleArgs),
}

/// Puts detector, encoder and packs of a folder into one file, for `tsedge region sign` and `tsedge rollout`.
///
/// They are checked as a unit would: cards against models, packs against the encoder. The same folder gives the same
/// bytes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: tsedge models bundle models --models-version 2026-12 --out models-2026-12.tar\n\
    docs/rollout.md tells the whole way."
)]
struct BundleArgs {
    /// A folder with detector.toml, encoder.toml, their models, and packs/.
    folder: PathBuf,
    /// Where to write the bundle.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Version written into the bundle.
    #[arg(long, value_name = "TEXT")]
    models_version: String,
}

/// Builds TensorRT's engines for this machine's GPU: takes minutes, once.
///
/// `tsedge run` and `tsedge replay` never build one. An engine fits one model, size of frames, precision,
/// TensorRT, ONNX Runtime and kind of GPU: prepare again when one of them changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: tsedge models prepare --config /etc/tsedge/tsedge.toml")]
struct PrepareArgs {
    #[command(flatten)]
    common: Common,
    /// Sizes of frames to prepare for, as 1280x720; those of the cameras in the configuration if not given.
    #[arg(long, value_name = "WxH", value_delimiter = ',', value_parser = frame_size)]
    frames: Vec<(u32, u32)>,
    /// fp32, fp16 or int8; that of the configuration if not given.
    #[arg(long, value_parser = precision)]
    precision: Option<Precision>,
    /// Build also what is there and fits.
    #[arg(long)]
    force: bool,
}

/// Lists models, and engines with what they were prepared for.
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The unit's configuration file.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Folder with models and packs.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Folder of engines; that of the configuration if not given.
    #[arg(long, value_name = "DIR")]
    engines: Option<PathBuf>,
}

impl Common {
    fn config(&self) -> anyhow::Result<ConfigFile> {
        let mut config = ConfigFile::read_or_default(self.config.as_deref())?;
        config.models.only(self.models.as_deref());
        if self.engines.is_some() {
            config.runtime.tensorrt.engines.clone_from(&self.engines);
        }
        Ok(config)
    }
}

fn frame_size(text: &str) -> Result<(u32, u32), String> {
    let parsed = (text.split_once('x')).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    parsed
        .filter(|(w, h)| (64..=8192).contains(w) && (64..=8192).contains(h))
        .ok_or_else(|| format!("`{text}` is not a size such as 1280x720"))
}

fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "fp32" => Ok(Precision::Fp32),
        "fp16" => Ok(Precision::Fp16),
        "int8" => Ok(Precision::Int8),
        other => Err(format!("`{other}` is not one of fp32, fp16, int8")),
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::Prepare(args) => prepare(args),
        Command::List(args) => list(args),
        Command::Bundle(args) => bundle(args),
    }
}

fn bundle(args: &BundleArgs) -> anyhow::Result<Outcome> {
    let folder = &args.folder;
    let bytes =
        bundle::pack(folder, &args.models_version).with_context(|| folder.display().to_string())?;
    let out = args.out.display();
    write_atomically(&args.out, &bytes).with_context(|| out.to_string())?;
    say!(
        "{out}: {} bytes; sign it with `tsedge region sign`",
        bytes.len()
    );
    Ok(Outcome::Done)
}

fn list(args: &ListArgs) -> anyhow::Result<Outcome> {
    let plan = Plan::resolve(&args.common.config()?)?;
    for (role, card) in [("detector", &plan.detector), ("encoder", &plan.encoder)] {
        let spec = &card.spec;
        let fits = match card.model_bytes() {
            Ok(_) => "as its card says".to_owned(),
            Err(e) => e.to_string(),
        };
        say!(
            "{role:<9} {} {}, {} bytes, {fits}",
            spec.name,
            &spec.sha256[..12],
            spec.size_bytes
        );
    }
    let store = &plan.providers.engines;
    let engines = store.list();
    if engines.is_empty() {
        say!("no engines in {}", store.folder.display());
    }
    for (folder, manifest) in engines {
        let key = &manifest.key;
        say!(
            "engine    {key} for {} ({}), TensorRT {}, ONNX Runtime {}, model {}: {}",
            key.gpu,
            key.compute_capability,
            key.tensorrt,
            key.onnxruntime,
            &key.model_sha256[..12.min(key.model_sha256.len())],
            folder.display()
        );
    }
    Ok(Outcome::Done)
}

fn prepare(args: &PrepareArgs) -> anyhow::Result<Outcome> {
    let mut config = args.common.config()?;
    if args.precision.is_some() {
        config.runtime.tensorrt.precision = args.precision;
    }
    let plan = Plan::resolve(&config)?;
    let sizes = frame_sizes(args, &config)?;
    let gpu = Gpu::find()?;
    let runtime = OnnxRuntime::load(plan.onnxruntime.as_deref())?;
    let store = &plan.providers.engines;
    let mut wanted: Vec<(&Card, EngineKey)> = Vec::new();
    for (card, size) in inputs(&plan, &sizes) {
        wanted.push((card, store.key(card, size, &gpu, runtime.version())?));
    }
    say!(
        "{} with compute capability {}, TensorRT {}, ONNX Runtime {}; engines in {}",
        gpu.name,
        gpu.compute_capability,
        gpu.tensorrt,
        runtime.version(),
        store.folder.display()
    );
    let all = wanted.len();
    for (n, (card, key)) in wanted.into_iter().enumerate() {
        let title = format!("{} of {all}: {key}", n + 1);
        if !args.force && store.ready(&key).is_ok() {
            say!("{title}: is there");
            continue;
        }
        let table = store.calibration_table(card);
        let took = with_progress(&title, store.estimate(&key), || {
            let part = store.begin(&key)?;
            crate::model::session::build_engine(&runtime, card, &key, &part, table.as_deref())
                .with_context(|| format!("{title}: TensorRT"))
        })?;
        let folder = store.finish(&key, took)?;
        say!(
            "{title}: built in {:.0} s, {}",
            took.as_secs_f64(),
            folder.display()
        );
    }
    Ok(Outcome::Done)
}

/// Of the frames that the unit will see.
fn frame_sizes(args: &PrepareArgs, config: &ConfigFile) -> anyhow::Result<Vec<(u32, u32)>> {
    if !args.frames.is_empty() {
        return Ok(args.frames.clone());
    }
    let cameras = config.cameras()?;
    let sizes: Vec<(u32, u32)> = cameras.iter().map(|(_, c)| c.size_px.into()).collect();
    Ok(if sizes.is_empty() {
        vec![FRAME_PX]
    } else {
        sizes
    })
}

/// Every model at every size of its input (height, width) that a run may ask for, each once.
fn inputs<'a>(plan: &'a Plan, frames: &[(u32, u32)]) -> Vec<(&'a Card, (usize, usize))> {
    let [_, _, height, width] = plan.encoder.spec.input.shape;
    let mut all = vec![(&plan.encoder, (height, width))];
    let mut views = match plan.detect_budget {
        Some(_) => ladder(&plan.detect),
        None => vec![plan.detect.clone()],
    };
    // What a unit shrinks to when it cannot keep up.
    views.extend(
        views
            .clone()
            .iter()
            .map(|view| view.scaled(SMALLER_PICTURE)),
    );
    for frame_px in frames {
        for view in &views {
            for (width, height) in view.inputs_px(&plan.detector, *frame_px) {
                let size = (height, width);
                if !all[1..].iter().any(|(_, other)| *other == size) {
                    all.push((&plan.detector, size));
                }
            }
        }
    }
    all
}

/// Runs `work`, which says nothing while it runs, and shows that it does; the time it took.
fn with_progress(
    title: &str,
    estimate: Option<Duration>,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    let expect = match estimate {
        Some(time) => format!("about {:.0} s, as before", time.as_secs_f64().max(1.0)),
        None => "minutes; the first on this machine has no estimate".to_owned(),
    };
    let bar = match estimate {
        Some(time) => ProgressBar::new(time.as_secs().max(1)),
        None => ProgressBar::new_spinner(),
    };
    if std::io::stderr().is_terminal() {
        let template = match estimate {
            Some(_) => "{msg} {bar:30} {elapsed} of {len} s",
            None => "{msg} {spinner} {elapsed}",
        };
        bar.set_style(ProgressStyle::with_template(template)?);
        bar.set_message(title.to_owned());
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    eprintln!("{title}: building, {expect}");
    let mut took = Duration::ZERO;
    let mut lap = Lap::start();
    // A bar of seconds fills by itself, from a thread of its own.
    let ticker = bar.clone();
    let done = std::sync::atomic::AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let shown = std::thread::Builder::new().name("ts-progress".to_owned());
        let shown = shown.spawn_scoped(scope, || {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                ticker.set_position(ticker.elapsed().as_secs());
                ticker.tick();
                std::thread::park_timeout(Duration::from_millis(200));
            }
        });
        let result = work();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Ok(shown) = shown {
            shown.thread().unpark();
        }
        result
    });
    lap.add_to(&mut took);
    bar.finish_and_clear();
    result.map(|()| took)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn plan(text: &str) -> Plan {
        let mut config = ConfigFile::parse(text).unwrap();
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        config.models.folder = Some(models);
        Plan::resolve(&config).unwrap()
    }

    #[test]
    fn every_input_that_a_run_may_ask_for_is_prepared_once() {
        let sizes = |text: &str, frames: &[(u32, u32)]| -> Vec<(usize, usize)> {
            let plan = plan(text);
            inputs(&plan, frames)
                .into_iter()
                .map(|(_, size)| size)
                .collect()
        };
        // The encoder, the whole frame but its lowest tenth, and the same at 60 %.
        let one = [(56, 56), (672, 1280), (416, 768)];
        assert_eq!(sizes("", &[(1280, 720)]), one);
        assert_eq!(sizes("", &[(1280, 720), (1280, 720)]), one);
        let more = sizes("[detect]\nbudget_ms = 20", &[(1280, 720)]);
        assert!(
            more.len() > one.len() && one.iter().all(|size| more.contains(size)),
            "{more:?}"
        );
    }

    #[test]
    fn sizes_and_precisions_are_read() {
        assert_eq!(frame_size("1280x720"), Ok((1280, 720)));
        for wrong in ["1280", "0x720", "axb", "1280x720x3"] {
            assert!(
                frame_size(wrong).unwrap_err().contains("1280x720"),
                "{wrong}"
            );
        }
        assert_eq!(precision("int8"), Ok(Precision::Int8));
        assert!(precision("fp8").is_err());
    }
}
