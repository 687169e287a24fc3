//! `tsedge eval sheet`: cost and safety of a pack, by measuring.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::{crops, made_by};
use crate::cmd::Outcome;
use crate::config::{ConfigFile, Plan};
use crate::detect::{Detections, Detector};
use crate::evaluate::cost::{Latency, Meter, peak_memory_kib};
use crate::evaluate::crops::Ingredient;
use crate::evaluate::page;
use crate::evaluate::sheet::{self, Cost, FORMAT, Sheet};
use crate::frame::{Frame, PixelFormat};
use crate::model::OnnxRuntime;
use crate::recognise::Encoder;
use crate::region::install::write_atomically;
use crate::region::{Pack, pack};
use crate::units::BoxPx;

const FRAME_PX: (u32, u32) = (1280, 720);
const CROPS: usize = 300;
/// A usual sign.
const SIGN_M: f64 = 0.6;

/// Writes the cost and safety sheet of a pack: measured here and now, and from what its files and results say.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: tsedge eval sheet --region DE --crops now.json --html DE-sheet.html --json DE-sheet.json"
)]
pub struct Args {
    /// The pack of this region.
    #[arg(long, value_name = "CODE", required_unless_present = "pack")]
    region: Option<String>,
    /// A pack from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "region")]
    pack: Option<PathBuf>,
    /// A result of `tsedge eval crops` for this pack.
    #[arg(long, value_name = "JSON")]
    crops: Option<PathBuf>,
    /// Runs of the detector to take the time of.
    #[arg(long, value_name = "N", default_value_t = 30)]
    runs: usize,
    /// Write the sheet, by docs/schema/eval-sheet.schema.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A configuration file: models, providers, lens.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Folder with models and packs.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    ensure!(
        args.json.is_some() || args.html.is_some(),
        "give --html or --json: a sheet is a file"
    );
    let result = args.crops.as_deref().map(crops::File::read).transpose()?;
    let mut config = ConfigFile::read_or_default(args.config.as_deref())?;
    if args.models.is_some() {
        config.models.only(args.models.as_deref());
    }
    let plan = Plan::resolve(&config)?;
    let path = match (&args.pack, &args.region) {
        (Some(path), _) => path.clone(),
        (None, region) => plan.packs.join(format!(
            "{}.safetensors",
            region.as_deref().unwrap_or_default()
        )),
    };
    let (pack, bytes) = Pack::read(&path)?;
    pack.check_encoder(&plan.encoder.spec.sha256, plan.encoder.dim())
        .map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    let sha256 = pack::sha256(&bytes);
    let cost = cost(args, &plan, (&pack, &sha256, bytes.len()))?;
    let of = result
        .as_ref()
        .and_then(|file| file.packs.iter().find(|p| p.pack.sha256 == sha256));
    if let (Some(file), None) = (&args.crops, of) {
        anyhow::bail!(
            "{}: holds no result of this very pack ({} {})",
            file.display(),
            pack.region,
            &sha256[..12]
        );
    }
    let view_deg = config.lens.field_of_view_deg.unwrap_or(60.0);
    let focal_px = f64::from(FRAME_PX.0) / 2.0 / f64::from(view_deg / 2.0).to_radians().tan();
    let classes: Vec<String> = (pack.classes.iter())
        .filter(|c| c.family != crate::event::Family::Background)
        .map(|c| c.key.clone())
        .collect();
    let quality = of.map(|of| {
        let source = args.crops.as_deref().map(name).unwrap_or_default();
        sheet::quality(&source, of, &classes, |px| {
            SIGN_M * focal_px / f64::from(px)
        })
    });
    let (probability, side) = (
        pack.calibration.min_probability,
        plan.recognition.encode.min_side_px,
    );
    let spec = |card: &crate::model::Card| Ingredient {
        name: card.spec.name.clone(),
        version: None,
        sha256: card.spec.sha256.clone(),
    };
    let made = Sheet {
        format: FORMAT.to_owned(),
        made_by: made_by(),
        pack: Ingredient {
            name: pack.region.to_string(),
            version: Some(pack.version.clone()),
            sha256,
        },
        encoder: spec(&plan.encoder),
        detector: spec(&plan.detector),
        made_of: made_of(&plan, &pack),
        conditions: sheet::conditions(quality.as_ref(), probability, side),
        cost,
        quality,
    };
    for (path, text) in [
        (&args.html, page::sheet(&made)),
        (
            &args.json,
            format!("{}\n", serde_json::to_string_pretty(&made)?),
        ),
    ] {
        let Some(path) = path else { continue };
        write_atomically(path, text.as_bytes()).with_context(|| path.display().to_string())?;
        say!("{}", path.display());
    }
    Ok(Outcome::Done)
}

/// Loads and runs the models, and looks at the clock and the meter.
#[allow(clippy::disallowed_methods)] // the time it takes is what is asked for
fn cost(
    args: &Args,
    plan: &Plan,
    (pack, sha256, bytes): (&Pack, &str, usize),
) -> anyhow::Result<Cost> {
    let ms = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
    let started = Instant::now();
    let runtime = OnnxRuntime::load(plan.onnxruntime.as_deref())?;
    let mut encoder = Encoder::load(&runtime, &plan.encoder, &plan.providers, 1)?;
    let mut detector = Detector::load(
        &runtime,
        &plan.detector,
        &plan.providers,
        1,
        &plan.detect,
        FRAME_PX,
    )?;
    let bank = pack.bank(sha256).map_err(anyhow::Error::msg)?;
    let load_ms = ms(started);
    let frame = picture();
    let mut meter = Meter::find(Path::new("/sys"));
    let mut timed = |runs: usize, run: &mut dyn FnMut(usize) -> anyhow::Result<()>| {
        run(0)?;
        let look = |meter: &mut Option<Meter>| {
            if let Some(meter) = meter {
                meter.look(started.elapsed().as_secs_f64());
            }
            meter.as_ref().map(Meter::joules)
        };
        let before = look(&mut meter);
        let mut took = Vec::with_capacity(runs);
        for i in 0..runs {
            let start = Instant::now();
            run(i)?;
            took.push(ms(start));
            look(&mut meter);
        }
        let used = look(&mut meter).zip(before).map(|(now, then)| now - then);
        anyhow::Ok((
            Latency::of(took),
            used.map(|joules| joules / runs.max(1) as f64),
        ))
    };
    let mut found = Detections::new();
    let (detect, joules_a_frame) =
        timed(args.runs, &mut |_| Ok(detector.detect(&frame, &mut found)?))?;
    let (encode, joules_a_crop) = timed(CROPS, &mut |i| {
        let x = (i * 37 % 1200) as f32;
        encoder.prepare(&frame, BoxPx::new(x, 300.0, x + 40.0, 340.0));
        bank.classify(encoder.infer()?.into());
        Ok(())
    })?;
    let files = plan.encoder.spec.size_bytes + plan.detector.spec.size_bytes;
    Ok(Cost {
        machine: machine(),
        load_average: load_average(),
        provider: encoder.model().provider().to_string(),
        frame_px: FRAME_PX,
        load_ms,
        detect,
        encode,
        peak_memory_mib: peak_memory_kib().map(|kib| kib as f64 / 1024.0),
        energy_counter: meter.as_ref().map(|m| m.name().to_owned()),
        joules_a_frame,
        joules_a_crop,
        file_bytes: files + bytes as u64,
    })
}

/// Something to look at; what it shows does not change the time.
fn picture() -> Frame {
    let mut frame = Frame::default();
    let (width, height) = FRAME_PX;
    for (i, byte) in (0_usize..).zip(frame.reset(PixelFormat::Rgb8, width, height)) {
        *byte = (i * 31 / 97 % 251) as u8;
    }
    frame
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    // ARM boards name themselves in the device tree.
    let board = || std::fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
    let model = model.map_or_else(board, |m| m.trim_start_matches([' ', '\t', ':']).to_owned());
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cpus} processors", model.trim_end_matches('\0').trim())
}

fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Provenance as the files have it; numbers of pictures and minutes stand there where training wrote them.
fn made_of(plan: &Plan, pack: &Pack) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let notes = pack.notes.iter().filter(|(key, _)| *key != "digest");
    lines.extend(notes.map(|(key, value)| (format!("pack: {key}"), value.clone())));
    for (what, card) in [("encoder", &plan.encoder), ("detector", &plan.detector)] {
        let own = card
            .spec
            .provenance
            .iter()
            .filter(|(_, value)| !value.is_table());
        lines.extend(own.map(|(key, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (format!("{what}: {key}"), text)
        }));
        let minutes = ["minutes", "hours", "seconds"].iter();
        if !minutes
            .clone()
            .any(|key| card.spec.provenance.contains_key(*key))
        {
            lines.push((
                format!("{what}: minutes"),
                "not recorded by its training".to_owned(),
            ));
        }
    }
    lines
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
