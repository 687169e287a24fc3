//! `tsedge replay FILE`: finds and names the signs of a recording.

use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::config::{ConfigFile, Plan};
use crate::detect::Detector;
use crate::event::Summary;
use crate::model::{ModelError, OnnxRuntime, Provider};
use crate::output::{Output, jsonl::JsonLines, mcap::McapOutput, table::Table};
use crate::pipeline::Recognition;
use crate::position::{Fix, Reading, track};
use crate::recognise::Encoder;
use crate::region::{RegionBank, RegionFollower};
use crate::report::annotate::AnnotatedVideo;
use crate::report::collect::{CollectPlan, Collector, source_name};
use crate::report::html::{HtmlReport, Ingredient, ReportInfo, StageSamples};
use crate::report::sign_map::SignMap;
use crate::report::{FrameSink, summary_text};
use crate::runtime::replay::Drive;
use crate::runtime::{ReplayJob, ReplayResult, Stage, replay};
use crate::source::{self, FrameSource, OpenOptions};

/// Points of a stage's latency curve in the report.
const LATENCY_POINTS: usize = 2000;

/// Finds and names the traffic signs of a recording.
///
/// Exit codes: 0 done, 1 failed, 2 bad arguments, 3 done but frames were lost or damaged.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Example: tsedge replay dashcam.mp4 --region DE --report drive.html")]
pub struct Args {
    /// An MP4, MOV or AVI file, or a folder of images.
    pub(super) file: PathBuf,
    /// Read signs by this region's pack: an ISO 3166 code such as DE, or WORLD.
    #[arg(long, value_name = "CODE", conflicts_with = "gps")]
    pub(super) region: Option<String>,
    /// A track of the drive, .gpx or .nmea; its first fix is at the first frame. Packs change at borders.
    #[arg(long, value_name = "TRACK")]
    pub(super) gps: Option<PathBuf>,
    /// Seconds from the first frame to the track's first fix.
    #[arg(
        long,
        value_name = "S",
        default_value_t = 0.0,
        allow_negative_numbers = true,
        requires = "gps"
    )]
    pub(super) gps_offset_s: f64,
    /// Write events as JSON lines (docs/schema/events.schema.json); `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub(super) jsonl: Option<PathBuf>,
    /// Write events as an MCAP recording, which opens in Foxglove; an older file there is replaced.
    #[arg(long, value_name = "FILE")]
    pub(super) mcap: Option<PathBuf>,
    /// Write the video with boxes and names drawn on it.
    #[arg(long, value_name = "MP4")]
    pub(super) annotate: Option<PathBuf>,
    /// Write where the signs stand, as points for a map.
    #[arg(long, value_name = "FILE", requires = "gps")]
    pub(super) geojson: Option<PathBuf>,
    /// Write a report to look at: one HTML file.
    #[arg(long, value_name = "HTML")]
    pub(super) report: Option<PathBuf>,
    /// Keep crops of signs the model was unsure of in this folder, for labelling.
    #[arg(long, value_name = "DIR")]
    pub(super) collect: Option<PathBuf>,
    /// The folder's pictures take at most so many megabytes.
    #[arg(long, value_name = "MB", default_value_t = 100, requires = "collect")]
    pub(super) collect_mb: u64,
    /// A sound file from the same camera, to read one that has lost its index.
    #[arg(long, value_name = "MP4")]
    pub(super) like: Option<PathBuf>,
    /// Frames a second of a folder of images.
    #[arg(long, value_name = "HZ", default_value_t = 10.0)]
    pub(super) image_rate_hz: f64,
    /// A configuration file.
    #[arg(long, value_name = "TOML")]
    pub(super) config: Option<PathBuf>,
    /// Folder with models and packs.
    #[arg(long, value_name = "DIR")]
    pub(super) models: Option<PathBuf>,
    /// Frames looked at side by side; the number of processors if not given.
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<usize>,
    /// Execution providers in the order to try: tensorrt, cuda, cpu.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) providers: Option<Vec<Provider>>,
    /// Scale frames down until their longer side is at most this before looking for signs.
    #[arg(long, value_name = "PX")]
    pub(super) long_side_px: Option<usize>,
    /// Print nothing but errors.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl Args {
    fn plan(&self) -> anyhow::Result<Plan> {
        let mut config = ConfigFile::read_or_default(self.config.as_deref())?;
        let mut line = ConfigFile::default();
        line.models.folder = self.models.clone();
        line.runtime.threads = self.threads;
        line.runtime.providers = self.providers.clone();
        line.detect.long_side_px = self.long_side_px;
        line.region.fixed = self.region.clone();
        config.override_with(line);
        Plan::resolve(&config)
    }

    /// Two outputs on one file would destroy each other, or the recording.
    fn check_paths(&self) -> anyhow::Result<()> {
        let written = [
            &self.jsonl,
            &self.mcap,
            &self.annotate,
            &self.geojson,
            &self.report,
        ];
        let written: Vec<&PathBuf> = written.into_iter().flatten().collect();
        for (i, path) in written.iter().enumerate() {
            let same = |other: &&PathBuf| {
                let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.to_owned());
                real(other) == real(path)
            };
            if written[..i].iter().any(same) || same(&&self.file) {
                bail!(
                    "{}: would be written over; give each output a name of its own",
                    path.display()
                );
            }
        }
        Ok(())
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    args.check_paths()?;
    let plan = args.plan()?;
    let options = OpenOptions {
        like: args.like.clone(),
        image_rate_hz: args.image_rate_hz,
    };
    let source = source::open(&args.file, &options)?;
    let runtime = OnnxRuntime::load(plan.onnxruntime.as_deref())?;
    let encoder = Encoder::load(&runtime, &plan.encoder, &plan.providers, 1)?;
    let mut packs = plan.pack_store();
    let bank = packs.best(plan.region)?;
    let refused = packs.take_refusals();
    let drive = match &args.gps {
        None => None,
        Some(path) => Some(Drive {
            readings: track::read(path, args.gps_offset_s)?,
            follower: RegionFollower::new(plan.borders.locator(plan.locate)?, packs)?,
        }),
    };
    if !args.quiet {
        print_start(source.as_ref(), &plan, &runtime, &encoder);
    }
    let info = report_info(args, &plan);
    let mut html = (args.report.as_deref().map(|p| HtmlReport::create(p, info))).transpose()?;
    let mut video = (args.annotate.as_deref()).map(|p| AnnotatedVideo::create(p, source.info()));
    let mut collector = (args.collect.as_deref())
        .map(|folder| collector(folder, args, &plan, &bank))
        .transpose()?;
    let mut map = (args.geojson.as_deref().zip(drive.as_ref()))
        .map(|(path, drive)| SignMap::create(path, fixes(&drive.readings)));
    let bar = progress_bar(source.as_ref(), args.quiet);
    let frame_px = (source.info().width_px, source.info().height_px);
    let duration = source.info().duration;
    let mut sinks: Vec<&mut dyn FrameSink> = Vec::new();
    sinks.extend(html.as_mut().map(|s| s as &mut dyn FrameSink));
    sinks.extend(video.as_mut().map(|s| s as &mut dyn FrameSink));
    sinks.extend(map.as_mut().map(|s| s as &mut dyn FrameSink));
    sinks.extend(collector.as_mut().map(|s| s as &mut dyn FrameSink));
    let result = replay(
        ReplayJob {
            source,
            detectors: detectors(&runtime, &plan, frame_px)?,
            recognition: Recognition::new(
                plan.recognition.for_views(plan.detect.views.len()),
                encoder,
                bank,
            ),
            region: plan.region,
            drive,
            refused,
            outputs: outputs(args, &bar)?,
            sinks,
        },
        |frames, time| {
            bar.set_position(frames);
            let played = time.seconds();
            let real = bar.elapsed().as_secs_f64().max(1e-3);
            let of = duration.map_or(String::new(), |d| format!(" of {:.1}", d.seconds()));
            bar.set_message(format!(
                "{played:.1}{of} s, {:.1} x real time",
                played / real
            ));
        },
    );
    bar.finish_and_clear();
    let result = result?;
    let stages = result.times.summary();
    if let Some(video) = video {
        video.finish()?;
    }
    if let (Some(map), Some(path)) = (map, &args.geojson) {
        let signs = map.finish()?;
        eprintln!("{signs} signs on a map: {}", path.display());
    }
    if let (Some(collector), Some(folder)) = (collector, &args.collect) {
        let crops = collector.finish()?;
        eprintln!("{crops} crops to label: {}", folder.display());
    }
    if let Some(html) = html {
        let latency: Vec<(&str, Vec<f32>)> = (Stage::ALL.iter())
            .map(|s| (s.name(), result.times.quantiles_ms(*s, LATENCY_POINTS)))
            .collect();
        let samples: Vec<StageSamples<'_>> = (latency.iter())
            .map(|(stage, ms)| StageSamples { stage, ms })
            .collect();
        html.finish(&result.summary, &stages, &samples, result.wall)?;
    }
    if !args.quiet {
        let media = media_time(&result.summary);
        eprintln!(
            "\n{}",
            summary_text(&result.summary, &stages, media, result.wall)
        );
        print_share(&result);
        for (what, path) in [
            ("report", &args.report),
            ("annotated video", &args.annotate),
        ] {
            if let Some(path) = path {
                eprintln!("{what}: {}", path.display());
            }
        }
    }
    outcome(&result)
}

fn fixes(readings: &[Reading]) -> impl Iterator<Item = Fix> {
    readings.iter().filter_map(|reading| match reading {
        Reading::Fix(fix) => Some(*fix),
        _ => None,
    })
}

fn outcome(result: &ReplayResult) -> anyhow::Result<Outcome> {
    for note in &result.damage.notes {
        eprintln!("tsedge: {note}");
    }
    if !result.failed_outputs.is_empty() {
        bail!("output failed: {}", result.failed_outputs.join("; "));
    }
    Ok(if result.damage.is_none() {
        Outcome::Done
    } else {
        Outcome::DataLost
    })
}

fn collector(
    folder: &Path,
    args: &Args,
    plan: &Plan,
    bank: &RegionBank,
) -> anyhow::Result<Collector> {
    let to = CollectPlan {
        folder: folder.to_owned(),
        budget_bytes: args.collect_mb * 1_000_000,
        source: source_name(&args.file),
        classes: bank.classes().iter().map(|c| c.key.clone()).collect(),
    };
    Collector::create(to, plan.encoder.spec.input.context.unwrap_or_default())
}

/// One detector a thread; they share the model.
fn detectors(
    runtime: &OnnxRuntime,
    plan: &Plan,
    frame_px: (u32, u32),
) -> Result<Vec<Detector>, ModelError> {
    let first = Detector::load(
        runtime,
        &plan.detector,
        &plan.providers,
        1,
        &plan.detect,
        frame_px,
    )?;
    let mut detectors = Vec::with_capacity(plan.threads);
    for _ in 1..plan.threads {
        detectors.push(first.twin()?);
    }
    detectors.push(first);
    Ok(detectors)
}

fn outputs(args: &Args, bar: &ProgressBar) -> anyhow::Result<Vec<Box<dyn Output>>> {
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    if let Some(path) = &args.jsonl {
        outputs.push(Box::new(JsonLines::create(path)?));
    }
    if let Some(path) = &args.mcap {
        outputs.push(Box::new(McapOutput::create(path)?));
    }
    let jsonl_on_stdout = args.jsonl.as_deref() == Some(Path::new("-"));
    if !args.quiet && !jsonl_on_stdout {
        let bar = bar.clone();
        let print = move |line: &str| bar.suspend(|| writeln!(std::io::stdout(), "{line}"));
        outputs.push(Box::new(Table::new(Table::wants_colour(), Box::new(print))));
    }
    Ok(outputs)
}

fn print_start(source: &dyn FrameSource, plan: &Plan, runtime: &OnnxRuntime, encoder: &Encoder) {
    let info = source.info();
    eprintln!(
        "{}: {}, {}x{}",
        info.path.display(),
        info.description,
        info.width_px,
        info.height_px
    );
    eprintln!(
        "models {} and {} on {} (asked for {}), {} threads, {}",
        plan.detector.spec.name,
        plan.encoder.spec.name,
        encoder.model().provider(),
        plan.providers,
        plan.threads,
        runtime.path().display()
    );
}

/// Where the frame's time goes besides the networks and the decoder: the part that is ours.
fn print_share(result: &ReplayResult) {
    let total: f64 = Stage::ALL.iter().map(|s| result.times.total_ms(*s)).sum();
    let ours: f64 = [Stage::Resample, Stage::Recognise, Stage::Output]
        .iter()
        .map(|s| result.times.total_ms(*s))
        .sum();
    if total > 0.0 {
        eprintln!(
            "outside decoding and networks: {:.1} % of the time",
            100.0 * ours / total
        );
    }
}

fn media_time(summary: &Summary) -> Duration {
    let mean_frame_s = summary.time.seconds() / (summary.frames.max(2) - 1) as f64;
    Duration::from_secs_f64((mean_frame_s * summary.frames as f64).max(0.0))
}

fn progress_bar(source: &dyn FrameSource, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = match source.info().frames {
        Some(frames) => ProgressBar::new(frames),
        None => ProgressBar::no_length(),
    };
    let template = "{bar:30} {pos}/{len} frames, {per_sec}, {msg}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn report_info(args: &Args, plan: &Plan) -> ReportInfo {
    let name = |path: &Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let model = |role: &str, card: &crate::model::Card| Ingredient {
        role: role.to_owned(),
        name: card.spec.name.clone(),
        sha256: card.spec.sha256.clone(),
    };
    let ingredients = vec![
        model("detector", &plan.detector),
        model("encoder", &plan.encoder),
    ];
    ReportInfo {
        source: name(&args.file),
        position_source: match &args.gps {
            Some(track) => format!("track {}", name(track)),
            None => format!("region {}, as given", plan.region),
        },
        ingredients,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Args {
        Line::try_parse_from([&["replay"], words].concat())
            .unwrap()
            .args
    }

    #[test]
    fn outputs_never_share_a_file_with_each_other_or_the_recording() {
        let same = parse(&["a.mp4", "--jsonl", "x", "--report", "x"]);
        assert!(
            same.check_paths()
                .unwrap_err()
                .to_string()
                .starts_with("x: would be written over")
        );
        assert!(
            parse(&["a.mp4", "--annotate", "a.mp4"])
                .check_paths()
                .is_err()
        );
        assert!(
            parse(&["a.mp4", "--annotate", "b.mp4", "--jsonl", "c"])
                .check_paths()
                .is_ok()
        );
    }

    #[test]
    fn region_and_track_exclude_each_other() {
        assert!(
            Line::try_parse_from(["replay", "a.mp4", "--region", "DE", "--gps", "t.gpx"]).is_err()
        );
        assert!(Line::try_parse_from(["replay", "a.mp4", "--gps-offset-s", "3"]).is_err());
    }
}
