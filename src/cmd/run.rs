//! `tsedge run`: live operation, until it is told to stop.

use std::io::{Read as _, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Outcome;
use crate::clock::{Clock, Monotonic};
use crate::config::{ConfigFile, FileConfig, Plan};
use crate::detect::{DetectPlan, Detector, ladder, within_budget};
use crate::health::Reason;
use crate::model::{ModelError, OnnxRuntime, Provider};
use crate::output::can::CanOutput;
use crate::output::jsonl::JsonLines;
use crate::output::mcap::McapOutput;
use crate::output::mqtt::{MqttOutput, MqttPlan};
use crate::output::serial::SerialOutput;
use crate::output::status::StatusOutput;
use crate::output::{Output, Progress, RotatingFile};
use crate::pipeline::Recognition;
use crate::recognise::Encoder;
use crate::region::{PackStore, PackWatcher, RegionFollower};
use crate::runtime::camera::PlayedFile;
use crate::runtime::live::{LiveJob, LiveResult, Shared, live};
use crate::runtime::packs::{tell_refused, watch_packs};
use crate::runtime::position;
use crate::source::camera::Camera;
use crate::source::v4l2::{CameraPlan, V4l2Camera};
use crate::source::{self, OpenOptions};

/// The detector's picture under overload, by its full size.
const SMALLER_PICTURE: f64 = 0.6;

/// What is wrong with `[can.ids]` when they are refused.
pub(super) const CAN_IDS: &str =
    "[can.ids]: two messages share an identifier, or one has more than 11 bits";

/// Recognises signs live and tells the vehicle.
///
/// Ends on SIGTERM or SIGINT after the last state was sent; a second signal ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: tsedge run --replay drive.mp4 --region DE --config tsedge.toml")]
pub struct Args {
    /// A configuration file: where events go.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Play a recording at its own speed instead of a camera.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Start the recording over at its end.
    #[arg(long, requires = "replay")]
    repeat: bool,
    /// Read signs by this region's pack: an ISO 3166 code such as DE, or WORLD.
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    /// Folder with models and packs.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Execution providers in the order to try: tensorrt, cuda, cpu.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    providers: Option<Vec<Provider>>,
    /// Ask the running unit, at the address of [status], what it does; print it and end.
    #[arg(long, requires = "config")]
    status: bool,
    /// Threads inside the detector; the number of processors if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Args {
    fn config(&self) -> anyhow::Result<ConfigFile> {
        let mut config = ConfigFile::read_or_default(self.config.as_deref())?;
        let mut line = ConfigFile::default();
        line.models.folder = self.models.clone();
        line.runtime.threads = self.threads;
        line.runtime.providers = self.providers.clone();
        line.region.fixed = self.region.clone();
        config.override_with(line);
        Ok(config)
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let config = args.config()?;
    if args.status {
        return print_status(&config);
    }
    let plan = Plan::resolve(&config)?;
    let clock: Arc<dyn Clock> = Arc::new(Monotonic);
    let shared = Arc::new(Shared::default());
    end_on_signals(&shared)?;
    let camera = camera(args, &config, &clock)?;
    let runtime = OnnxRuntime::load(plan.onnxruntime.as_deref())?;
    let encoder = Encoder::load(&runtime, &plan.encoder, &plan.providers, 1)?;
    let mut packs = plan.pack_store();
    let bank = packs.best(plan.region)?;
    tell_refused(&shared, &packs.take_refusals());
    let load = |detect: &DetectPlan| {
        let (card, px) = (&plan.detector, camera.frame_px());
        Detector::load(&runtime, card, &plan.providers, plan.threads, detect, px)
    };
    let detect = choose_views(&plan, camera.frame_px(), clock.as_ref(), load)?;
    let detectors = [&detect, &detect.scaled(SMALLER_PICTURE)]
        .into_iter()
        .map(load)
        .collect::<Result<_, _>>()?;
    log::info!("{}; region {}", camera.description(), plan.region);
    let position = position(&config, &plan, packs, &shared, &clock)?;
    let fixed = position.is_none().then_some(plan.region);
    watch_packs(
        PackWatcher::new(plan.pack_store()),
        Arc::clone(&shared),
        fixed,
    )?;
    let outputs = outputs(&config, &shared.progress, &clock)?;
    let job = LiveJob {
        camera,
        detectors,
        recognition: Recognition::new(plan.recognition, encoder, bank),
        region: plan.region,
        outputs,
        clock,
    };
    let mut service = Service::default();
    let result = live(job, &shared, || service.look(&shared));
    shared.stop.stop();
    if position.is_some_and(|thread| thread.join().is_err()) {
        bail!("the position thread died");
    }
    let result = result?;
    service.stopping();
    close(&result, &shared.progress)
}

/// The views as configured, or the best ones that there is time for.
fn choose_views(
    plan: &Plan,
    frame_px: (u32, u32),
    clock: &dyn Clock,
    load: impl FnMut(&DetectPlan) -> Result<Detector, ModelError>,
) -> anyhow::Result<DetectPlan> {
    let Some(budget) = plan.detect_budget else {
        return Ok(plan.detect.clone());
    };
    let plans = ladder(&plan.detect);
    let chosen = within_budget(&plans, budget, frame_px, clock, load)?;
    let Some((chosen, took)) = chosen else {
        return Ok(plan.detect.clone());
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let text = format!(
        "the detector takes {:.1} ms a frame, with {chosen}",
        ms(took)
    );
    if took > budget {
        log::warn!("{text}: more than detect.budget_ms = {}", ms(budget));
    } else {
        log::info!("{text}");
    }
    Ok(chosen)
}

/// One screen about a running unit.
fn print_status(config: &ConfigFile) -> anyhow::Result<Outcome> {
    let listen = config
        .status
        .context("the configuration has no [status] listen")?
        .listen;
    let patience = std::time::Duration::from_secs(2);
    let asked = TcpStream::connect_timeout(&listen, patience).and_then(|mut unit| {
        unit.set_read_timeout(Some(patience))?;
        unit.write_all(b"GET /status.json HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        unit.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = asked.with_context(|| format!("no answer from {listen}; is the unit running?"))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    print!("{}", crate::output::status::screen(body)?);
    Ok(Outcome::Done)
}

/// Follows the receiver, if there is one and no region is fixed.
fn position(
    config: &ConfigFile,
    plan: &Plan,
    packs: PackStore,
    shared: &Arc<Shared>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let Some(source) = config.position.open() else {
        return Ok(None);
    };
    if config.region.fixed.is_some() {
        log::warn!(
            "region {} is fixed: {} is not asked",
            plan.region,
            source.name()
        );
        return Ok(None);
    }
    let follower = RegionFollower::new(plan.borders.locator(plan.locate)?, packs)?;
    position::start(source, follower, Arc::clone(shared), Arc::clone(clock))
        .context("cannot start a thread")
        .map(Some)
}

fn camera(
    args: &Args,
    config: &ConfigFile,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Box<dyn Camera>> {
    let Some(file) = &args.replay else {
        let Some(camera) = &config.camera else {
            bail!("no camera: give [camera] in the configuration, or --replay FILE");
        };
        let plan = CameraPlan::try_from(camera)?;
        return Ok(Box::new(V4l2Camera::new(plan, Arc::clone(clock))));
    };
    let open = |file: &PathBuf| source::open(file, &OpenOptions::default());
    let mut played = PlayedFile::new(open(file)?, Arc::clone(clock));
    if args.repeat {
        let file = file.clone();
        played = played.repeated(move || match open(&file) {
            Ok(source) => Some(source),
            Err(e) => {
                log::error!("cannot start the recording over: {e}");
                None
            }
        });
    }
    Ok(Box::new(played))
}

fn outputs(
    config: &ConfigFile,
    progress: &Arc<Progress>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Box<dyn Output>>> {
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    if let Some(can) = &config.can {
        let ids = can.ids.or_default();
        let output = CanOutput::new(&can.interface, can.fd, ids, Arc::clone(progress));
        outputs.push(Box::new(output.context(CAN_IDS)?));
    }
    if let Some(serial) = &config.serial {
        outputs.push(Box::new(SerialOutput::new(
            &serial.device,
            serial.baud,
            serial.flow_control,
            Arc::clone(progress),
        )));
    }
    if let Some(jsonl) = &config.jsonl {
        outputs.push(Box::new(jsonl_output(jsonl)?));
    }
    if let Some(mcap) = &config.mcap {
        let (most, keep) = (mcap.max_mb << 20, mcap.keep);
        let output = McapOutput::record(&mcap.path, most, keep, Arc::clone(clock))?;
        outputs.push(Box::new(output));
    }
    if let Some(mqtt) = &config.mqtt {
        let plan = MqttPlan::try_from(mqtt)?;
        outputs.push(Box::new(MqttOutput::start(plan)?));
    }
    if let Some(status) = &config.status {
        let output = StatusOutput::listen(status.listen, Arc::clone(progress))?;
        log::info!("{}", output.name());
        outputs.push(Box::new(output));
    }
    if outputs.is_empty() {
        log::warn!("no output is configured: nothing will be told");
    }
    Ok(outputs)
}

/// Standard output, or a file that is appended to and rotated.
fn jsonl_output(config: &FileConfig) -> anyhow::Result<JsonLines<Box<dyn Write + Send>>> {
    if config.path.as_os_str() == "-" {
        return Ok(JsonLines::create(&config.path)?);
    }
    let name = format!("jsonl {}", config.path.display());
    let (most, keep) = (config.max_mb << 20, config.keep);
    let file = RotatingFile::open(&config.path, most, keep).with_context(|| name.clone())?;
    Ok(JsonLines::new(name, Box::new(file)))
}

/// The first signal ends the run in order, the second at once.
fn end_on_signals(shared: &Arc<Shared>) -> anyhow::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("ts-signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if shared.stop.is_stopped() {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                log::info!("signal {signal}: stopping");
                shared.stop.stop();
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// What the service manager is told: that the unit is up, what it does, and that it makes progress.
#[derive(Default)]
struct Service {
    ready: bool,
    frames: u64,
    status: String,
}

impl Service {
    /// The watchdog is fed by progress alone: a frame recognised, or a lost camera that is being tried.
    fn look(&mut self, shared: &Shared) {
        let frames = shared.progress.frames();
        let reasons = shared.board.reasons();
        let progress = frames != self.frames || reasons.has(Reason::NoCamera);
        self.frames = frames;
        if progress {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
        if !self.ready && progress {
            self.ready = true;
            let _ = sd_notify::notify(&[NotifyState::Ready]);
        }
        let status = if reasons.is_empty() {
            "normal".to_owned()
        } else {
            format!("degraded: {reasons}")
        };
        if status != self.status {
            let _ = sd_notify::notify(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    fn stopping(&self) {
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
    }
}

fn close(result: &LiveResult, progress: &Progress) -> anyhow::Result<Outcome> {
    let summary = &result.summary;
    eprintln!(
        "{} frames recognised, {} left out; {} signs, {} unknown signs, {} region swaps",
        summary.frames,
        summary.lost_frames,
        summary.signs,
        summary.unknown_signs,
        summary.region_swaps
    );
    let [median, p99, most] = [0.5, 0.99, 1.0].map(|share| progress.latency_ms(share));
    eprintln!(
        "{:<10} {median:>9.2} ms median, {p99:>9.2} ms p99, {most:>9.2} ms most",
        "latency"
    );
    for stage in result.times.summary() {
        eprintln!(
            "{:<10} {:>9.2} ms median, {:>9.2} ms p99, {:>9.2} ms most",
            stage.stage, stage.p50_ms, stage.p99_ms, stage.max_ms
        );
    }
    for output in &result.outputs {
        let fault = output.fault.as_deref().unwrap_or("works");
        eprintln!(
            "{}: {}, {} events dropped",
            output.name, fault, output.dropped
        );
    }
    if !result.late_outputs.is_empty() {
        bail!("did not end in time: {}", result.late_outputs.join(", "));
    }
    Ok(Outcome::Done)
}
