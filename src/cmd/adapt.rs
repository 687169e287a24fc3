//! `tsedge adapt CROPS --base PACK --out PACK`: a few hundred labelled crops make a region's pack better.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};

use super::Outcome;
use crate::config;
use crate::evaluate::cost::peak_memory_kib;
use crate::model::card::Kind;
use crate::model::{Card, OnnxRuntime, Providers};
use crate::recognise::Encoder;
use crate::region::Pack;
use crate::region::adapt::crops::{self, Sample};
use crate::region::adapt::measure::figures;
use crate::region::adapt::{Adapted, adapt, compare, own_rows, suspicious};
use crate::region::install::{write_atomically, write_pack};
use crate::region::pack::RowType;
use crate::report::adapt::{AdaptReport, Comparison};
use crate::units::RegionCode;

/// Improves a region pack with labelled crops; one core, seconds, no Python.
///
/// Exit code 1, and no pack is written, when the new pack is worse than the base on its own rows or on the
/// reference crops.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: tsedge adapt crops --base models/packs/WORLD.safetensors --region CN \
    --reference known --out CN.safetensors --report adapt.html"
)]
pub struct Args {
    /// A folder with a folder for each class key, or a CSV with the columns path, class and perhaps track.
    crops: PathBuf,
    /// The pack to start from.
    #[arg(long, value_name = "PACK")]
    base: PathBuf,
    /// Where to write the new pack.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Crops the new pack must not be worse on than the base, in the same form; give it once for each set.
    #[arg(long, value_name = "DIR")]
    reference: Vec<PathBuf>,
    /// Crops to measure on and nothing else, in the same form.
    #[arg(long, value_name = "DIR")]
    test: Option<PathBuf>,
    /// Write a page with figures, confusion and the crops that look mislabelled.
    #[arg(long, value_name = "HTML")]
    report: Option<PathBuf>,
    /// Write the figures for other programs (docs/adapt.md).
    #[arg(long, value_name = "JSON")]
    json: Option<PathBuf>,
    /// The region of the new pack; that of the base by default.
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    /// Version written into the pack; the base's with `+adapted` by default.
    #[arg(long, value_name = "TEXT")]
    pack_version: Option<String>,
    /// Pictures whose names agree up to the last of this show one sign: `_` for 00012_03.png.
    #[arg(long, value_name = "TEXT")]
    track_until: Option<String>,
    /// Share of a picture's side that lies outside the sign's box, on each side; that of
    /// `tsedge collect` by default.
    #[arg(long, value_name = "SHARE")]
    margin: Option<f32>,
    /// Folder with the models.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// The ONNX Runtime library; else the usual folders are searched.
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

/// Runs the subcommand.
#[allow(clippy::disallowed_methods)] // the time it took is told, nothing is decided by it
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let folder = config::models_folder(args.models.as_deref())?;
    let card = Card::read(&folder.join("encoder.toml"), Kind::Encoder)?;
    let (base, _) = Pack::read(&args.base)?;
    base.check_encoder(&card.spec.sha256, card.dim())
        .map_err(|e| anyhow::anyhow!("{}: {e}", args.base.display()))?;
    let margin = crops::margin(args.margin, card.spec.input.context)?;

    let runtime = OnnxRuntime::load(args.onnxruntime.as_deref())?;
    let mut encoder = Encoder::load(&runtime, &card, &Providers::cpu(), 1)?;
    let mut encoded = |source: &PathBuf| -> anyhow::Result<Vec<Sample>> {
        let list = crops::list(source, args.track_until.as_deref())?;
        crops::encode(list, &mut encoder, margin, |_| {})
    };
    let samples = encoded(&args.crops)?;
    let reference = (args.reference.iter())
        .map(|source| Ok((source.display().to_string(), encoded(source)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let test = args.test.as_ref().map(&mut encoded).transpose()?;
    let encode_s = started.elapsed().as_secs_f64();
    let fit_started = Instant::now();

    let all = samples.clone();
    let mut made = adapt(&base, samples).with_context(|| args.crops.display().to_string())?;
    name_pack(&mut made, &base, args)?;
    let fit_s = fit_started.elapsed().as_secs_f64();

    let mut comparisons = vec![Comparison {
        what: "left out in turn (chose, calibrated)".to_owned(),
        before: figures(&made.before),
        after: figures(&made.after),
    }];
    let mut refused = None;
    let (rows, matched_before, matched_after) = own_rows(&base, &made.pack)?;
    if matched_after < matched_before {
        refused = Some(format!(
            "of {rows} rows of the base {matched_before} matched themselves, now {matched_after}"
        ));
    }
    let several = reference.len() > 1;
    let mut sets: Vec<(String, &Vec<Sample>, bool)> = (reference.iter())
        .map(|(source, crops)| match several {
            true => (format!("reference {source}"), crops, true),
            false => ("reference".to_owned(), crops, true),
        })
        .collect();
    sets.extend(test.iter().map(|crops| ("test".to_owned(), crops, false)));
    for (what, crops, binding) in sets {
        let (before, after) = compare(&base, &made.pack, crops)?;
        if let (true, Some(worse)) = (binding, after.worse_than(&before)) {
            let set = match several {
                true => what.as_str(),
                false => "the reference crops",
            };
            refused.get_or_insert(format!("worse on {set}, {worse}"));
        }
        comparisons.push(Comparison {
            what,
            before,
            after,
        });
    }
    print_figures(&comparisons)?;
    let doubtful = suspicious(&base, &made.pack, &all)?;
    let facts = facts(
        &made,
        &doubtful,
        (rows, matched_before, matched_after),
        (encode_s, fit_s),
    );
    for (what, value) in &facts {
        say!("{what:<20} {value}");
    }
    if let Some(path) = &args.report {
        let report = AdaptReport {
            facts,
            comparisons: &comparisons,
            judged: (&made.crops, &made.before, &made.after),
            suspicious: (doubtful.into_iter())
                .map(|(i, verdict)| (&all[i], verdict))
                .collect(),
            refused: refused.clone(),
        };
        let page = report.page()?;
        write_atomically(path, page.as_bytes()).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.json {
        let told = serde_json::json!({ "refused": refused, "comparisons": comparisons });
        write_atomically(path, told.to_string().as_bytes())
            .with_context(|| path.display().to_string())?;
    }
    if let Some(why) = refused {
        bail!(
            "refused: {why}; no pack was written. More crops, or crops of more classes, may help"
        );
    }
    let bytes = write_pack(&made.pack, RowType::F32, &args.out)?;
    say!("{}: {bytes} bytes", args.out.display());
    Ok(Outcome::Done)
}

fn name_pack(made: &mut Adapted, base: &Pack, args: &Args) -> anyhow::Result<()> {
    if let Some(code) = &args.region {
        made.pack.region = RegionCode::parse(code)
            .with_context(|| format!("region `{code}` is not an ISO 3166 code such as DE"))?;
    }
    let default = || format!("{}+adapted", base.version);
    made.pack.version = args.pack_version.clone().unwrap_or_else(default);
    let adapted = serde_json::json!({
        "base": format!("{} {}", base.region, base.version),
        "crops": made.crops.len(),
        "rows_added": made.rows,
        "beta": (f64::from(made.beta) * 100.0).round() / 100.0,
    });
    made.pack
        .notes
        .insert("adapted".to_owned(), adapted.to_string());
    made.pack.notes.remove("created");
    Ok(())
}

fn print_figures(comparisons: &[Comparison]) -> anyhow::Result<()> {
    say!(
        "{:<34} {:>6} {:>15} {:>15} {:>15} {:>15}",
        "",
        "crops",
        "first choice",
        "named right",
        "named wrong",
        "ECE"
    );
    for c in comparisons {
        let arrow = |f: fn(&crate::region::adapt::measure::Figures) -> usize| {
            format!(
                "{:.2} > {:.2}",
                c.before.percent(f(&c.before)),
                c.after.percent(f(&c.after))
            )
        };
        say!(
            "{:<34} {:>6} {:>15} {:>15} {:>15} {:>15}",
            c.what,
            c.before.crops,
            arrow(|f| f.right),
            arrow(|f| f.named_right),
            arrow(|f| f.named_wrong),
            format!(
                "{:.4} > {:.4}",
                c.before.calibration_error, c.after.calibration_error
            )
        );
    }
    Ok(())
}

fn facts(
    made: &Adapted,
    doubtful: &[(usize, crate::region::adapt::measure::Verdict)],
    (rows, before, after): (usize, usize, usize),
    (encode_s, fit_s): (f64, f64),
) -> Vec<(String, String)> {
    let c = &made.pack.calibration;
    let mut facts = vec![
        (
            "crops",
            format!("{}, each judged without its own part", made.crops.len()),
        ),
        (
            "beta",
            format!("{:.1} of the text stays in the new rows", made.beta),
        ),
        ("rows added", made.rows.to_string()),
        (
            "base's own rows",
            format!("{before} of {rows} matched themselves before, {after} after"),
        ),
        (
            "calibration",
            format!(
                "scale {}, least probability {:.2}",
                c.scale, c.min_probability
            ),
        ),
        ("look mislabelled", format!("{} crops", doubtful.len())),
        (
            "time",
            format!("{encode_s:.1} s to read and encode, {fit_s:.1} s to fit"),
        ),
    ];
    if let Some(kib) = peak_memory_kib() {
        facts.push(("peak memory", format!("{} MiB", kib / 1024)));
    }
    (facts.into_iter())
        .map(|(what, value)| (what.to_owned(), value))
        .collect()
}
