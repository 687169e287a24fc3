//! `tsedge run`: live operation, until it is told to stop.

use std::io::{Read as _, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Outcome;
use crate::clock::{Clock, Monotonic};
use crate::config::{CameraConfig, ConfigFile, FileConfig, Plan, StatusConfig, check_name};
use crate::delivery::{Delivery, ModelSets, start};
use crate::detect::{DetectPlan, Detector, ladder, within_budget};
use crate::health::Reason;
use crate::model::{ModelError, OnnxRuntime, Provider};
use crate::output::can::CanOutput;
use crate::output::jsonl::JsonLines;
use crate::output::mcap::McapOutput;
use crate::output::mqtt::{Guest, MqttOutput, MqttPlan};
use crate::output::serial::SerialOutput;
use crate::output::status::{Preview, StatusOutput};
use crate::output::{Output, Progress, RotatingFile};
use crate::pipeline::{Recognition, Viewpoint};
use crate::recognise::Encoder;
use crate::region::{PackStore, PackWatcher, RegionFollower};
use crate::report::collect::CollectPlan;
use crate::runtime::camera::PlayedFile;
use crate::runtime::collect::Collecting;
use crate::runtime::drift::DriftOutput;
use crate::runtime::live::{LiveCamera, LiveJob, LiveResult, Shared, live};
use crate::runtime::packs::{tell_refused, watch_packs};
use crate::runtime::position;
use crate::source::camera::Camera;
use crate::source::{self, OpenOptions, gst};
use crate::units::RegionCode;

/// The detector's picture under overload, by its full size.
pub(super) const SMALLER_PICTURE: f64 = 0.6;

/// Why a unit with TensorRT takes no models by MQTT.
const PREPARED: &str = "this unit runs models by TensorRT, whose engines are prepared ahead: install models there, and \
    run `tsedge models prepare`";

/// What is wrong with `[can.ids]` when they are refused.
pub(super) const CAN_IDS: &str =
    "[can.ids]: two messages share an identifier, or one has more than 11 bits";

/// Recognises signs live and tells the vehicle.
///
/// Ends on SIGTERM or SIGINT after the last state was sent; a second signal ends it at once. Exit code 4: it ended by
/// itself, to be started anew by the models that came.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: tsedge run --replay drive.mp4 --region DE --config tsedge.toml")]
pub struct Args {
    /// A configuration file: where events go.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Play a recording at its own speed instead of a camera; NAME=FILE, once a camera, in place of several.
    #[arg(long, value_name = "FILE")]
    replay: Vec<String>,
    /// Start the recordings over at their end.
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
    let mut models = models(&config)?;
    let plan = match &mut models {
        Some(models) => start::plan(&config, models, works)?,
        None => Plan::resolve(&config)?,
    };
    let clock: Arc<dyn Clock> = Arc::new(Monotonic);
    config.threads.check()?;
    let eyes = eyes(args, &config, &plan, &clock)?;
    let names = eyes.iter().map(|eye| eye.viewpoint.camera.clone());
    let shared = Arc::new(Shared::new(config.threads.clone(), names));
    if let Some(why) = models.as_mut().and_then(ModelSets::take_gone) {
        shared
            .board
            .say(format!("models that came are given up: {why}"));
    }
    end_on_signals(&shared)?;
    end_on_panics(&shared);
    let runtime = OnnxRuntime::load(plan.onnxruntime.as_deref())?;
    let (place, board) = (shared.threads.recognise.clone(), Arc::clone(&shared.board));
    let runtime = runtime.with_workers(move || place.place(&board));
    let encoder = Encoder::load(&runtime, &plan.encoder, &plan.providers, 1)?;
    let restart = Arc::new(AtomicBool::new(false));
    let delivery = delivery(&config, &plan, models, (&shared, &restart))?;
    let mut packs = plan.pack_store();
    let bank = packs.best(plan.region)?;
    tell_refused(&shared, &packs.take_refusals());
    let load = |detect: &DetectPlan, px| {
        let card = &plan.detector;
        Detector::load(&runtime, card, &plan.providers, plan.threads, detect, px)
    };
    // Cameras with frames of the same size share their detectors.
    let mut sizes: Vec<(u32, u32)> = eyes.iter().map(|eye| eye.camera.frame_px()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let largest = sizes.last().copied().unwrap_or_default();
    let detect = choose_views(&plan, largest, clock.as_ref(), |views| load(views, largest))?;
    let views = [&detect, &detect.scaled(SMALLER_PICTURE)];
    let detectors = (sizes.iter())
        .map(|px| views.into_iter().map(|views| load(views, *px)).collect())
        .collect::<Result<_, _>>()?;
    for eye in &eyes {
        let name = eye.viewpoint.camera.iter().map(|name| format!("{name}: "));
        let name = name.collect::<String>();
        log::info!("{name}{}; region {}", eye.camera.description(), plan.region);
    }
    let position = position(&config, &plan, packs, &shared, &clock)?;
    let fixed = position.is_none().then_some(plan.region);
    watch_packs(
        PackWatcher::new(plan.pack_store()),
        Arc::clone(&shared),
        fixed,
    )?;
    let names = eyes.iter().map(|eye| eye.viewpoint.camera.clone());
    let preview = preview(&config, names.collect())?;
    let outputs = outputs(&config, &shared, preview.as_ref(), delivery, &clock)?;
    let collect = collect(&config, &plan, &shared)?;
    let viewpoints = eyes.iter().map(|eye| eye.viewpoint.clone()).collect();
    let cameras = eyes.into_iter().map(|eye| LiveCamera {
        name: eye.viewpoint.camera,
        detector: sizes
            .binary_search(&eye.camera.frame_px())
            .unwrap_or_default(),
        camera: eye.camera,
        share: eye.share,
    });
    let job = LiveJob {
        cameras: cameras.collect(),
        detectors,
        recognition: Recognition::new(plan.recognition, encoder, bank).seen_from(viewpoints),
        region: plan.region,
        collect,
        preview,
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
    let outcome = close(&result, &shared.progress)?;
    Ok(if restart.load(Ordering::Acquire) {
        Outcome::Restart
    } else {
        outcome
    })
}

/// Models that came by MQTT, if there is a folder for them.
fn models(config: &ConfigFile) -> anyhow::Result<Option<ModelSets>> {
    let Some(folder) = &config.models.installed else {
        return Ok(None);
    };
    let name = || format!("[models] installed {}", folder.display());
    ModelSets::open(folder).map(Some).with_context(name)
}

/// Whether a unit can start by a plan; models on trial are loaded for it, others have been before.
fn works(plan: &Plan, on_trial: bool) -> anyhow::Result<()> {
    if on_trial {
        let (runtime, providers) = (
            OnnxRuntime::load(plan.onnxruntime.as_deref())?,
            &plan.providers,
        );
        Encoder::load(&runtime, &plan.encoder, providers, 1)?;
        let (card, detect) = (&plan.detector, &plan.detect);
        Detector::load(&runtime, card, providers, 1, detect, (1280, 720))?;
    } else {
        plan.encoder.model_bytes()?;
        plan.detector.model_bytes()?;
    }
    plan.pack_store().best(plan.region)?;
    Ok(())
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
        .as_ref()
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
    say!("{}", crate::output::status::screen(body)?.trim_end());
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

/// A camera, and how it is looked at.
struct Eye {
    camera: Box<dyn Camera>,
    viewpoint: Viewpoint,
    share: u8,
}

impl Eye {
    fn new(
        name: Option<Arc<str>>,
        config: &CameraConfig,
        plan: &Plan,
        open: impl FnOnce() -> anyhow::Result<Box<dyn Camera>>,
    ) -> anyhow::Result<Self> {
        let section = camera_section(name.as_deref());
        let viewpoint = config.viewpoint(name, plan.recognition.lens);
        Ok(Self {
            viewpoint: viewpoint.with_context(|| section.clone())?,
            share: config.share().with_context(|| section.clone())?,
            camera: open().with_context(|| section)?,
        })
    }
}

/// As it stands in the configuration.
pub(super) fn camera_section(name: Option<&str>) -> String {
    name.map_or("[camera]".to_owned(), |name| format!("[cameras.{name}]"))
}

/// The cameras, or recordings in their place.
fn eyes(
    args: &Args,
    config: &ConfigFile,
    plan: &Plan,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Eye>> {
    let configured = config.cameras()?;
    if args.replay.is_empty() {
        if configured.is_empty() {
            bail!(
                "no camera: give [camera] or [cameras.NAME] in the configuration, or --replay FILE"
            );
        }
        let open = |(name, camera): (_, &CameraConfig)| {
            let clock = Arc::clone(clock);
            Eye::new(name, camera, plan, || Ok(camera.resolve()?.open(clock)?))
        };
        return configured.into_iter().map(open).collect();
    }
    let mut eyes: Vec<Eye> = Vec::new();
    for (name, file) in recordings(&args.replay)? {
        let own = configured.iter().find(|(other, _)| *other == name);
        let own = own.map_or_else(CameraConfig::default, |(_, camera)| (*camera).clone());
        let played = || played(file, args.repeat, Arc::clone(clock));
        eyes.push(Eye::new(name, &own, plan, played)?);
    }
    Ok(eyes)
}

/// One file, or several with the names of the cameras that they stand in for.
fn recordings(replay: &[String]) -> anyhow::Result<Vec<(Option<Arc<str>>, PathBuf)>> {
    if let [file] = replay
        && (!file.contains('=')
            || Path::new(file).exists()
            || gst::pipeline_of(Path::new(file)).is_some())
    {
        return Ok(vec![(None, file.into())]);
    }
    let mut all: Vec<(Option<Arc<str>>, PathBuf)> = Vec::new();
    for text in replay {
        let (name, file) = text.split_once('=').with_context(|| {
            format!("--replay {text}: several recordings are given as NAME=FILE")
        })?;
        check_name(name).with_context(|| format!("--replay {text}"))?;
        let name = Some(name.into());
        if all.iter().any(|(other, _)| *other == name) {
            bail!("--replay {text}: there is a recording of that name already");
        }
        all.push((name, file.into()));
    }
    Ok(all)
}

fn played(file: PathBuf, repeat: bool, clock: Arc<dyn Clock>) -> anyhow::Result<Box<dyn Camera>> {
    let open = |file: &PathBuf| source::open(file, &OpenOptions::default());
    let mut played = PlayedFile::new(open(&file)?, clock);
    if repeat {
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

/// Keeps crops for labelling, if the configuration says so. Classes to choose from are the world's.
#[allow(clippy::disallowed_methods)] // the wall clock names files, and decides nothing
fn collect(
    config: &ConfigFile,
    plan: &Plan,
    shared: &Arc<Shared>,
) -> anyhow::Result<Option<Collecting>> {
    let Some(collect) = &config.collect else {
        return Ok(None);
    };
    let world = plan.pack_store().best(RegionCode::WORLD)?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH);
    let to = CollectPlan {
        folder: collect.folder.clone(),
        budget_bytes: collect.max_mb * 1_000_000,
        // Track numbers start anew with every run.
        source: format!("run{}", started.map_or(0, |since| since.as_secs())),
        classes: world.classes().iter().map(|c| c.key.clone()).collect(),
    };
    let context = plan.encoder.spec.input.context.unwrap_or_default();
    (Collecting::start(to, context, Arc::clone(shared)).context("cannot start a thread")).map(Some)
}

/// Pictures for the status page, if there is a token for them.
fn preview(
    config: &ConfigFile,
    cameras: Vec<Option<Arc<str>>>,
) -> anyhow::Result<Option<Arc<Preview>>> {
    let token = (config.status.as_ref()).map(StatusConfig::preview_token);
    let token = token.transpose()?.flatten();
    Ok(token.map(|token| Arc::new(Preview::new(&token, cameras))))
}

/// Packs and models that come by MQTT, if the configuration says so.
fn delivery(
    config: &ConfigFile,
    plan: &Plan,
    models: Option<ModelSets>,
    (shared, restart): (&Arc<Shared>, &Arc<AtomicBool>),
) -> anyhow::Result<Option<Box<dyn Guest>>> {
    let Some(delivery) = &config.delivery else {
        return Ok(None);
    };
    let mut delivery = Delivery::open(delivery.plan(config)?, plan.pack_store())?;
    if let Some(models) = models {
        let prepared = plan.providers.order.contains(&Provider::TensorRt);
        delivery = delivery.with_models(if prepared {
            Err(PREPARED.to_owned())
        } else {
            Ok(models)
        });
    }
    let (shared, restart) = (Arc::clone(shared), Arc::clone(restart));
    let delivery = delivery.restarted_by(move |why| {
        log::warn!("{why}: starting anew");
        // Told on every output before these end.
        shared.board.say(format!("{why}: the unit starts anew"));
        restart.store(true, Ordering::Release);
        shared.stop.stop();
    });
    Ok(Some(Box::new(delivery)))
}

fn outputs(
    config: &ConfigFile,
    shared: &Shared,
    preview: Option<&Arc<Preview>>,
    delivery: Option<Box<dyn Guest>>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Box<dyn Output>>> {
    let progress = &shared.progress;
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
        outputs.push(Box::new(MqttOutput::start_with(plan, delivery)?));
    }
    if let Some(status) = &config.status {
        let mut output = StatusOutput::listen(status.listen, Arc::clone(progress))?;
        if let Some(preview) = preview {
            output = output.with_preview(Arc::clone(preview));
        }
        log::info!("{}", output.name());
        outputs.push(Box::new(output));
    }
    if outputs.is_empty() {
        log::warn!("no output is configured: nothing will be told");
    }
    if let Some(drift) = &config.drift {
        let (reference, board) = (drift.reference.as_deref(), Arc::clone(&shared.board));
        let output = DriftOutput::start(&drift.folder, reference, board).context("[drift]")?;
        outputs.push(Box::new(output));
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

/// No part of the unit dies in silence: whatever thread panics, it ends, and the service manager starts it anew.
fn end_on_panics(shared: &Arc<Shared>) {
    let (usual, shared) = (std::panic::take_hook(), Arc::clone(shared));
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        shared.died();
    }));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_thread_panics_the_unit_ends() {
        let shared = Arc::new(Shared::default());
        end_on_panics(&shared);
        let thread = std::thread::Builder::new().name("ts-out-0".to_owned());
        let died = thread.spawn(|| panic!("an output")).unwrap().join();
        assert!(died.is_err() && shared.stop.is_stopped());
    }
}
