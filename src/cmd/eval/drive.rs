//! `tsedge eval drive SOURCE`: a drive against its truth or a map.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use super::made_by;
use crate::cmd::{Outcome, replay};
use crate::evaluate::drive::{self, Drive, FORMAT};
use crate::evaluate::events::{self, Told};
use crate::evaluate::{limits, map, page};
use crate::position::track;
use crate::region::install::write_atomically;
use crate::simulate::truth::Truth;

/// Measures a drive against what stood where, or against a map's speed limits.
///
/// Exit codes: 0 done, 1 failed, 2 bad arguments, 3 done but frames were lost or damaged.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tsedge eval drive drive.mp4 --truth drive.truth.json --gps drive.gpx --html drive.html\n  \
    tsedge eval drive drive.jsonl --map limits.geojson --gps drive.gpx --json drive-figures.json"
)]
pub struct Args {
    /// The JSON lines of a drive (.jsonl), or a recording to be replayed first.
    drive: PathBuf,
    /// What stood where, as `tsedge simulate --truth` writes it.
    #[arg(long, value_name = "JSON", required_unless_present = "map")]
    truth: Option<PathBuf>,
    /// Speed limits of a map: GeoJSON or GPX lines (docs/evaluation.md); needs --gps.
    #[arg(long, value_name = "FILE", requires = "gps")]
    map: Option<PathBuf>,
    /// The drive's track; a recording is also replayed by it.
    #[arg(long, value_name = "FILE")]
    gps: Option<PathBuf>,
    /// Seconds of the recording at the track's first fix.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    gps_offset_s: f64,
    /// Replay a recording by this region's pack.
    #[arg(long, value_name = "CODE", conflicts_with = "gps")]
    region: Option<String>,
    /// Leave out signs that never had so many pixels on their longer side.
    #[arg(long, value_name = "PX", default_value_t = 16.0)]
    least_px: f32,
    /// Write the result, by docs/schema/eval-drive.schema.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A configuration file for the replay.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Folder with models and packs.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

#[derive(Serialize)]
struct DriveFile<'a> {
    format: &'a str,
    made_by: String,
    drive: String,
    truth: Option<String>,
    map: Option<String>,
    least_px: f32,
    #[serde(flatten)]
    figures: &'a Drive,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let truth = args.truth.as_deref().map(read_truth).transpose()?;
    let roads = args.map.as_deref().map(map::read).transpose()?;
    let (told, outcome) = told(args)?;
    let mut found = match &truth {
        Some(truth) => drive::assess(truth, &told, args.least_px),
        None => Drive {
            km: 0.0,
            seconds: 0.0,
            signs: None,
            limits: None,
        },
    };
    if let (Some(roads), Some(gps)) = (&roads, &args.gps) {
        let readings = track::read(gps, args.gps_offset_s)?;
        let along = map::along(&readings, roads).with_context(|| gps.display().to_string())?;
        let (way, stretches) = along;
        found.limits = Some(limits::assess(&stretches, &way, &told.limits));
        if truth.is_none() {
            (found.km, found.seconds) = (way.length_m() / 1e3, way.duration_s());
        }
    }
    print(&found)?;
    write(args, &found)?;
    Ok(outcome)
}

fn read_truth(path: &Path) -> anyhow::Result<Truth> {
    let name = || path.display().to_string();
    let file = BufReader::new(File::open(path).with_context(name)?);
    let truth: Truth = serde_json::from_reader(file).with_context(name)?;
    ensure!(
        truth.rate_hz > 0 && truth.frames > 0,
        "{}: a drive without a frame",
        name()
    );
    Ok(truth)
}

/// The drive's events: read, or made by a replay.
fn told(args: &Args) -> anyhow::Result<(Told, Outcome)> {
    let ending = args
        .drive
        .extension()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if ending == "jsonl" {
        return Ok((read_events(&args.drive)?, Outcome::Done));
    }
    if args.gps.is_none() && args.region.is_none() {
        bail!(
            "{}: a recording needs --gps or --region, by which it is replayed",
            args.drive.display()
        );
    }
    let kept = std::env::temp_dir().join(format!("tsedge-eval-{}.jsonl", std::process::id()));
    let replayed = replay::run(&replay::Args {
        file: args.drive.clone(),
        gps: args.gps.clone(),
        gps_offset_s: args.gps_offset_s,
        region: args.region.clone(),
        jsonl: Some(kept.clone()),
        config: args.config.clone(),
        models: args.models.clone(),
        image_rate_hz: 10.0,
        quiet: true,
        ..replay::Args::default()
    });
    let told = replayed.and_then(|outcome| Ok((read_events(&kept)?, outcome)));
    // What is left of it helps no one.
    let _ = std::fs::remove_file(&kept);
    told
}

fn read_events(path: &Path) -> anyhow::Result<Told> {
    let name = || path.display().to_string();
    let file = BufReader::new(File::open(path).with_context(name)?);
    events::read(file).with_context(name)
}

fn print(found: &Drive) -> anyhow::Result<()> {
    say!("{:.2} km in {:.0} s", found.km, found.seconds);
    if let Some(s) = &found.signs {
        let a = &s.all;
        say!(
            "signs      {}: {} right, {} wrong, {} not named; {} names without a sign",
            a.signs,
            a.right,
            a.wrong,
            a.missed,
            a.false_names
        );
        for (what, share) in [("precision", s.precision), ("recall", s.recall)] {
            if let Some(e) = share {
                say!(
                    "{what:<10} {:.1} % ({:.1} to {:.1})",
                    100.0 * e.value,
                    100.0 * e.low,
                    100.0 * e.high
                );
            }
        }
        if let Some(t) = &s.to_confirmed {
            say!(
                "named      {:.1} s after first visible (median), {:.1} s at most",
                t.seconds.median,
                t.seconds.most
            );
        }
        if let Some(p) = &s.per_100_km {
            say!(
                "per 100 km {:.1} wrong, {:.1} not named, {:.1} without a sign",
                p.wrong,
                p.missed,
                p.false_names
            );
        }
    }
    if let Some(l) = &found.limits {
        let percent =
            |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.1} %", 100.0 * s));
        say!(
            "limit      right on {} of {:.2} km",
            percent(l.judged.share),
            l.judged.km
        );
        for (road, c) in &l.roads {
            say!(
                "  {:<9}right on {} of {:.2} km",
                road.name(),
                percent(c.share),
                c.km
            );
        }
        let n = &l.euro_ncap;
        say!(
            "Euro NCAP  KPI distance {}, KPI event {} ({} of {})",
            percent(n.kpi_distance),
            percent(n.kpi_event),
            n.events_right,
            n.events
        );
        say!(
            "ISA        shares of distance {}, limits known in time {} of {}",
            if l.isa.met { "met" } else { "not met" },
            l.isa.changes_in_time,
            l.isa.changes
        );
        say!(
            "           to be a test drive of the regulation it lacks: {}",
            l.isa.lacks.join("; ")
        );
    }
    Ok(())
}

fn write(args: &Args, found: &Drive) -> anyhow::Result<()> {
    let name = |path: &Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let (truth, map) = (
        args.truth.as_deref().map(name),
        args.map.as_deref().map(name),
    );
    if let Some(path) = &args.html {
        let facts: Vec<(String, String)> = [
            ("made by", Some(made_by())),
            ("drive", Some(name(&args.drive))),
            ("truth", truth.clone()),
            ("map", map.clone()),
            (
                "signs from",
                Some(format!("{} px on the longer side", args.least_px)),
            ),
        ]
        .into_iter()
        .filter_map(|(what, value)| Some((what.to_owned(), value?)))
        .collect();
        let text = page::drive(found, &facts);
        write_atomically(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.json {
        let result = DriveFile {
            format: FORMAT,
            made_by: made_by(),
            drive: name(&args.drive),
            truth,
            map,
            least_px: args.least_px,
            figures: found,
        };
        let mut text = serde_json::to_string_pretty(&result)?;
        text.push('\n');
        write_atomically(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
