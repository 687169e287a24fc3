//! `tsedge check`: is everything there to run? All faults at once.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::Outcome;
use super::run::{CAN_IDS, camera_section};
use crate::config::{CameraConfig, ConfigFile, Plan};
use crate::delivery::DeliveryPlan;
use crate::delivery::sets::{folder_in_use, is_on_trial};
use crate::detect::Detector;
use crate::evaluate::drift::{References, references};
use crate::model::OnnxRuntime;
use crate::output::can::VehicleState;
use crate::output::mqtt::MqttPlan;
use crate::recognise::Encoder;
use crate::source::camera_plan::CameraPlan;
use crate::source::rtsp::RtspCamera;
use crate::source::v4l2;
use crate::track::Lens;

/// Checks configuration, models, packs and outputs, and tells all faults at once.
///
/// Exit codes: 0 all is well (there may be warnings), 1 `tsedge run` would not work.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: tsedge check --config /etc/tsedge/tsedge.toml")]
pub struct Args {
    /// A configuration file.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Folder with models and packs.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

/// What was found: faults keep the unit from running, warnings do not.
#[derive(Default)]
struct Findings {
    good: Vec<String>,
    warnings: Vec<String>,
    faults: Vec<String>,
}

impl Findings {
    /// Notes a step's success in words, or its fault.
    fn step<T>(&mut self, good: impl FnOnce(&T) -> String, tried: anyhow::Result<T>) -> Option<T> {
        match tried {
            Ok(value) => {
                self.good.push(good(&value));
                Some(value)
            }
            Err(e) => {
                self.faults.push(format!("{e:#}"));
                None
            }
        }
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut found = Findings::default();
    let config = match &args.config {
        Some(path) => {
            let words = |_: &ConfigFile| format!("configuration {}", path.display());
            found.step(words, ConfigFile::read(path))
        }
        None => Some(ConfigFile::default()),
    };
    if let Some(mut config) = config {
        config.models.only(args.models.as_deref());
        check_newest_models(&config, &mut found);
        check_devices(&config, &mut found);
    }
    for (kind, lines) in [
        ("ok", &found.good),
        ("warning", &found.warnings),
        ("FAULT", &found.faults),
    ] {
        for line in lines {
            eprintln!("{kind:<8}{line}");
        }
    }
    if found.faults.is_empty() {
        Ok(Outcome::Done)
    } else {
        anyhow::bail!("{} of the checks failed", found.faults.len())
    }
}

/// Models that came do not keep a unit from starting: it goes back by itself. Those on trial are tried by `tsedge run`,
/// which counts how often it does not survive them.
fn check_newest_models(config: &ConfigFile, found: &mut Findings) {
    let mut own = config.clone();
    let installed = own.models.installed.take();
    let installed = installed.filter(|folder| folder_in_use(folder).is_some());
    let Some(installed) = installed else {
        return check_models(config, found);
    };
    if is_on_trial(&installed) {
        let text = "models that came by MQTT are on trial; those before them:";
        found.good.push(text.to_owned());
        return check_models(&own, found);
    }
    let mut newest = Findings::default();
    check_models(config, &mut newest);
    if newest.faults.is_empty() {
        found.good.append(&mut newest.good);
        return found.warnings.append(&mut newest.warnings);
    }
    let warnings = newest
        .faults
        .iter()
        .map(|fault| format!("installed models: {fault}"));
    found.warnings.extend(warnings);
    check_models(&own, found);
}

fn check_models(config: &ConfigFile, found: &mut Findings) {
    let words = |plan: &Plan| {
        let (detector, encoder) = (&plan.detector.spec, &plan.encoder.spec);
        let installed = config.models.installed.as_deref().and_then(folder_in_use);
        let folder = installed.map(|folder| format!(", {}", folder.display()));
        let folder = folder.unwrap_or_default();
        format!("models {} and {}{folder}", detector.name, encoder.name)
    };
    let Some(plan) = found.step(words, Plan::resolve(config)) else {
        return;
    };
    let (class, threads) = (plan.board, plan.threads);
    let board = format!(
        "board class {class}: providers {}, {threads} threads",
        plan.providers
    );
    found.good.push(board);
    let runtime = OnnxRuntime::load(plan.onnxruntime.as_deref()).map_err(Into::into);
    let words = |runtime: &OnnxRuntime| format!("ONNX Runtime {}", runtime.path().display());
    let runtime = found.step(words, runtime);
    if let Some(runtime) = &runtime {
        let providers = &plan.providers;
        let encoder = Encoder::load(runtime, &plan.encoder, providers, 1).map_err(Into::into);
        let on = |e: &Encoder| format!("encoder on {}", e.model().provider());
        found.step(on, encoder);
        let cameras = config.cameras().unwrap_or_default();
        let sizes = cameras.iter().map(|(_, camera)| camera.size_px.into());
        let px = sizes.max().unwrap_or((1280, 720));
        let detector = Detector::load(runtime, &plan.detector, providers, 1, &plan.detect, px);
        let on = |d: &Detector| {
            let views = d
                .inputs_px()
                .map(|(width, height)| format!("{width}x{height}"));
            let views = views.collect::<Vec<_>>().join(" and ");
            format!("detector on {}, {views}", d.provider())
        };
        found.step(on, detector.map_err(Into::into));
    }
    check_packs(&plan, found);
}

/// Every pack in the folders: a damaged one would be refused at the border.
fn check_packs(plan: &Plan, found: &mut Findings) {
    let mut good = 0;
    let store = plan.pack_store();
    for region in store.regions().unwrap_or_default() {
        match store.read(&store.path_of(region), region) {
            Ok(_) => good += 1,
            Err(e) => found.faults.push(e.to_string()),
        }
    }
    let folders = store.folders().map(|folder| folder.display().to_string());
    let folders = folders.collect::<Vec<_>>().join(" and ");
    found.good.push(format!("{good} region packs in {folders}"));
}

fn check_camera(name: Option<Arc<str>>, camera: &CameraConfig, found: &mut Findings) {
    let section = camera_section(name.as_deref());
    let words = |plan: &CameraPlan| match plan {
        CameraPlan::V4l2(plan) => format!("{section} {}", plan.device.display()),
        CameraPlan::Rtsp(plan) => format!("{section} {}", plan.url()),
        CameraPlan::Gst(plan) => format!("{section} {}", plan.pipeline()),
    };
    let plan = (camera.viewpoint(name, Lens::default()))
        .and_then(|_| camera.share())
        .and_then(|_| camera.resolve());
    let plan = found.step(words, plan.with_context(|| section.clone()));
    let absent = plan.and_then(|plan| match plan {
        CameraPlan::V4l2(plan) => (!v4l2::is_camera(&plan.device))
            .then(|| format!("{}: no camera there yet", plan.device.display())),
        CameraPlan::Rtsp(plan) => RtspCamera::obstacle(plan),
        // Its words and elements were checked; devices open with the unit.
        CameraPlan::Gst(_) => None,
    });
    found.warnings.extend(absent);
}

fn check_devices(config: &ConfigFile, found: &mut Findings) {
    match config.threads.check() {
        Ok(()) => found.warnings.extend(config.threads.without_cores()),
        Err(fault) => found.faults.push(fault.to_string()),
    }
    match config.cameras() {
        Err(fault) => found.faults.push(fault.to_string()),
        Ok(cameras) if cameras.is_empty() => found
            .warnings
            .push("no [camera]: only --replay works".to_owned()),
        Ok(cameras) => {
            for (name, camera) in cameras {
                check_camera(name, camera, found);
            }
        }
    }
    if let Some(can) = &config.can {
        let there = std::path::Path::new("/sys/class/net")
            .join(&can.interface)
            .exists();
        if !there {
            let interface = &can.interface;
            found
                .warnings
                .push(format!("{interface}: no such CAN interface yet"));
        }
    }
    if let Some(serial) = config.serial.as_ref().filter(|s| !s.device.exists()) {
        let device = serial.device.display();
        found
            .warnings
            .push(format!("{device}: no such serial device yet"));
    }
    if let Some(can) = &config.can
        && VehicleState::new(can.ids.or_default()).is_none()
    {
        found.faults.push(CAN_IDS.to_owned());
    }
    if let Some(mqtt) = &config.mqtt {
        let words = |plan: &MqttPlan| {
            let how = if plan.tls.is_some() { "TLS" } else { "no TLS" };
            format!("MQTT broker {}:{}, {how}", plan.host, plan.port)
        };
        let plan = found.step(words, MqttPlan::try_from(mqtt));
        if plan.is_some_and(|plan| plan.tls.is_none()) && mqtt.password_file.is_some() {
            let text = "[mqtt] broker: without mqtts:// the password is sent readable by others";
            found.warnings.push(text.to_owned());
        }
    }
    if let Some(delivery) = &config.delivery {
        let words = |plan: &DeliveryPlan| format!("[delivery] offers under {}", plan.topic);
        found.step(words, delivery.plan(config));
        if config.models.installed.is_none() {
            let text = "[delivery] takes packs alone: no folder for models, [models] installed";
            found.good.push(text.to_owned());
        }
    }
    if let Some(status) = &config.status {
        let listen = status.listen;
        if !listen.ip().is_loopback() {
            let fault = format!("[status] listen: {listen} is not a loopback address");
            found.faults.push(fault);
        }
        if let Err(e) = status.preview_token() {
            found.faults.push(format!("{e:#}"));
        }
    }
    if let Some(reference) = config.drift.as_ref().and_then(|d| d.reference.as_ref()) {
        let words = |_: &References| format!("[drift] reference {}", reference.display());
        found.step(words, references(reference));
    }
    for (key, path) in [
        (
            "[collect] folder",
            config.collect.as_ref().map(|c| &c.folder),
        ),
        ("[drift] folder", config.drift.as_ref().map(|d| &d.folder)),
        ("[jsonl] path", config.jsonl.as_ref().map(|f| &f.path)),
        ("[mcap] path", config.mcap.as_ref().map(|f| &f.path)),
    ] {
        let folder = path.and_then(|path| path.parent());
        if let Some(folder) = folder.filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
            let folder = folder.display();
            found
                .faults
                .push(format!("{key}: there is no folder {folder}"));
        }
    }
}
