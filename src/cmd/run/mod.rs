//! `tsedge run`: live operation, until it is told to stop.

mod delivery;
mod eyes;
mod outputs;
mod service;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

pub(super) use eyes::camera_section;
pub(super) use outputs::CAN_IDS;

use delivery::{delivery, models, works};
use eyes::eyes;
use outputs::outputs;
use service::{Service, end_on_panics, end_on_signals};

use super::Outcome;
use crate::clock::{Clock, Monotonic};
use crate::config::{ConfigFile, Plan, StatusConfig};
use crate::delivery::{ModelSets, start};
use crate::detect::{DetectPlan, Detector, ladder, within_budget};
use crate::model::{ModelError, OnnxRuntime, Provider};
use crate::output::Progress;
use crate::output::status::Preview;
use crate::pipeline::Recognition;
use crate::recognise::Encoder;
use crate::region::{PackStore, PackWatcher, RegionFollower};
use crate::report::collect::CollectPlan;
use crate::runtime::collect::Collecting;
use crate::runtime::live::{LiveCamera, LiveJob, LiveResult, live};
use crate::runtime::packs::{tell_refused, watch_packs};
use crate::runtime::position;
use crate::runtime::shared::Shared;
use crate::units::RegionCode;

/// The detector's picture under overload, by its full size.
pub(super) const SMALLER_PICTURE: f64 = 0.6;

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
        recognition: Recognition::new(
            plan.recognition.for_views(detect.views.len()),
            encoder,
            bank,
        )
        .seen_from(viewpoints),
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
