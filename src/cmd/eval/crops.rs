//! `tsedge eval crops SOURCE`: what region packs make of labelled crops.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::made_by;
use crate::cmd::Outcome;
use crate::config;
use crate::evaluate::compare::{self, Change, Verdict};
use crate::evaluate::crops::{self, Draws, FORMAT, Figure, Ingredient, OfPack, Worst};
use crate::evaluate::page::{self, Picture};
use crate::model::card::Kind;
use crate::model::{Card, OnnxRuntime, Providers};
use crate::recognise::Encoder;
use crate::region::Pack;
use crate::region::adapt::crops::{Crop, Sample, encode, list, margin};
use crate::region::install::write_atomically;
use crate::region::pack;
use crate::report::adapt::small_jpeg;
use crate::units::RegionCode;

/// Worst crops on the page, for each pack.
const PICTURES: usize = 24;

/// Measures region packs on labelled crops: a folder of class folders, or a CSV.
///
/// Exit code 1 when a figure is worse than in `--against` by more than chance.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: tsedge eval crops crops.csv --region DE,FR --scenery scenery --json now.json --html now.html \
    --against before.json"
)]
pub struct Args {
    /// A folder with a folder for each class key, or a CSV with the columns path, class and perhaps track, region, split.
    crops: PathBuf,
    /// Packs of these regions; where the CSV has regions, each is shown its own crops, and WORLD all of them.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    region: Vec<String>,
    /// Packs from files, further or instead.
    #[arg(long, value_name = "FILE")]
    pack: Vec<PathBuf>,
    /// Just this part of the CSV, such as test.
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Pictures that show no sign, in any folders: how many are named?
    #[arg(long, value_name = "DIR")]
    scenery: Option<PathBuf>,
    /// An earlier result to compare with.
    #[arg(long, value_name = "JSON")]
    against: Option<PathBuf>,
    /// Write the result, by docs/schema/eval-crops.schema.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Leave out of the JSON what became of each crop; later results can then be compared just roughly.
    #[arg(long)]
    summary: bool,
    /// Leave out of the page the worst crops themselves.
    #[arg(long)]
    no_pictures: bool,
    /// Pictures whose names agree up to the last of this show one sign: `_` for 00012_03.png.
    #[arg(long, value_name = "TEXT")]
    track_until: Option<String>,
    /// Share of a picture's side that lies outside the sign's box, on each side; that of `tsedge collect` by default.
    #[arg(long, value_name = "SHARE")]
    margin: Option<f32>,
    /// Draws of the bootstrap.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    resamples: usize,
    /// Chooses the draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Folder with the models.
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// The ONNX Runtime library; else the usual folders are searched.
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

/// A result, as `docs/schema/eval-crops.schema.json` describes it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct File {
    pub format: String,
    pub made_by: String,
    pub source: String,
    pub split: Option<String>,
    pub encoder: Ingredient,
    pub draws: Draws,
    pub packs: Vec<OfPack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Against {
    pub source: String,
    pub made_by: String,
    pub changes: Vec<Change>,
}

impl File {
    /// Reads a result of this or an earlier run.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(name)?;
        let file: Self = serde_json::from_str(&text).with_context(name)?;
        let format = &file.format;
        ensure!(
            format == FORMAT,
            "{}: format {format}, expected {FORMAT}",
            name()
        );
        Ok(file)
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    ensure!(
        args.resamples >= 100,
        "--resamples is {}, expected 100 or more",
        args.resamples
    );
    // A file that cannot be read is told before a minute of work.
    let earlier = args.against.as_deref().map(File::read).transpose()?;
    let folder = config::models_folder(args.models.as_deref())?;
    let card = Card::read(&folder.join("encoder.toml"), Kind::Encoder)?;
    let listed = listed(args)?;
    let packs = packs(args, &folder, &card, &listed)?;
    let margin = margin(args.margin, card.spec.input.context)?;
    let runtime = OnnxRuntime::load(args.onnxruntime.as_deref())?;
    let mut encoder = Encoder::load(&runtime, &card, &Providers::cpu(), 1)?;
    let scenery = match &args.scenery {
        None => Vec::new(),
        // All of the picture is scenery.
        Some(folder) => encode(scenery(folder, args)?, &mut encoder, 0.0, |_| {})?,
    };
    let samples = encode(listed, &mut encoder, margin, |_| {})?;
    let draws = Draws {
        resamples: args.resamples,
        seed: args.seed,
    };
    let root = args.crops.canonicalize()?;
    let root = if root.is_dir() {
        root
    } else {
        root.parent().unwrap_or(&root).to_owned()
    };
    let name = |s: &Sample| {
        let path = s
            .crop
            .path
            .canonicalize()
            .unwrap_or_else(|_| s.crop.path.clone());
        path.strip_prefix(&root)
            .unwrap_or(&path)
            .display()
            .to_string()
    };
    let (mut found, mut pictures) = (Vec::new(), Vec::new());
    for (path, pack, sha256) in &packs {
        let own = |s: &&Sample| match &s.crop.region {
            Some(region) => pack.region == RegionCode::WORLD || *region == pack.region.as_str(),
            None => true,
        };
        let own: Vec<&Sample> = samples.iter().filter(own).collect();
        ensure!(
            !own.is_empty(),
            "{}: no crop of {}",
            args.crops.display(),
            pack.region
        );
        let scenes: Vec<&Sample> = scenery.iter().collect();
        let (result, worst) = crops::assess((pack, sha256), &own, &scenes, draws, name)
            .map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
        if args.html.is_some() && !args.no_pictures {
            pictures.extend(shown(&own, &worst, pack.region)?);
        }
        found.push(result);
    }
    let against = earlier.map(|earlier| against(args, earlier, &found, draws));
    print(&found, against.as_ref())?;
    let mut file = File {
        format: FORMAT.to_owned(),
        made_by: made_by(),
        source: file_name(&args.crops),
        split: args.split.clone(),
        encoder: Ingredient {
            name: card.spec.name.clone(),
            version: None,
            sha256: card.spec.sha256.clone(),
        },
        draws,
        packs: found,
        against,
    };
    write(args, &mut file, &pictures)?;
    let changes = file.against.iter().flat_map(|a| &a.changes);
    let worse = changes.filter(|c| c.verdict == Verdict::Worse).count();
    if worse > 0 {
        bail!("{worse} figures are worse than in the earlier result, by more than chance");
    }
    Ok(Outcome::Done)
}

fn listed(args: &Args) -> anyhow::Result<Vec<Crop>> {
    let mut listed = list(&args.crops, args.track_until.as_deref())?;
    if let Some(split) = &args.split {
        listed.retain(|c| c.split.as_ref() == Some(split));
        let source = args.crops.display();
        ensure!(
            !listed.is_empty(),
            "{source}: no crop is of the split {split}"
        );
    }
    Ok(listed)
}

/// The packs asked for: those of the CSV's regions and WORLD where none is named.
fn packs(
    args: &Args,
    models: &Path,
    card: &Card,
    listed: &[Crop],
) -> anyhow::Result<Vec<(PathBuf, Pack, String)>> {
    let mut paths = args.pack.clone();
    let mut regions = args.region.clone();
    if paths.is_empty() && regions.is_empty() {
        regions = listed.iter().filter_map(|c| c.region.clone()).collect();
        regions.sort();
        regions.dedup();
        regions.retain(|r| RegionCode::parse(r).is_some());
        regions.push(RegionCode::WORLD.to_string());
    }
    for region in &regions {
        ensure!(
            RegionCode::parse(region).is_some(),
            "--region {region}: expected codes such as DE,FR"
        );
        paths.push(models.join("packs").join(format!("{region}.safetensors")));
    }
    (paths.into_iter())
        .map(|path| {
            let (pack, bytes) = Pack::read(&path)?;
            pack.check_encoder(&card.spec.sha256, card.dim())
                .map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
            Ok((path, pack, pack::sha256(&bytes)))
        })
        .collect()
}

/// Every picture below a folder.
fn scenery(folder: &Path, args: &Args) -> anyhow::Result<Vec<Crop>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
            if path.is_dir() {
                folders.push(path);
            } else if ["png", "jpg", "jpeg"].iter().any(|e| ending == *e) {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let until = args
                    .track_until
                    .as_deref()
                    .and_then(|u| stem.rsplit_once(u));
                let track = until.map_or(stem.as_ref(), |(track, _)| track).to_owned();
                found.push(Crop {
                    track,
                    path,
                    ..Crop::default()
                });
            }
        }
    }
    ensure!(!found.is_empty(), "{}: holds no pictures", folder.display());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn shown(samples: &[&Sample], worst: &[Worst], region: RegionCode) -> anyhow::Result<Vec<Picture>> {
    let picture = |w: &Worst| {
        let crop = &samples[w.sample].crop;
        Ok(Picture {
            region,
            jpeg: small_jpeg(&crop.path).with_context(|| crop.path.display().to_string())?,
            words: format!(
                "{} taken for {} ({:.0} %{})",
                crop.key,
                w.taken_for,
                100.0 * w.probability,
                if w.named { "" } else { ", not named" }
            ),
        })
    };
    worst.iter().take(PICTURES).map(picture).collect()
}

fn against(args: &Args, earlier: File, now: &[OfPack], draws: Draws) -> Against {
    let changes = now.iter().flat_map(|now| {
        let before = earlier.packs.iter().find(|p| p.region == now.region);
        before.map_or(Vec::new(), |before| compare::changes(before, now, draws))
    });
    Against {
        source: args.against.as_deref().map(file_name).unwrap_or_default(),
        changes: changes.collect(),
        made_by: earlier.made_by,
    }
}

fn print(packs: &[OfPack], against: Option<&Against>) -> anyhow::Result<()> {
    for p in packs {
        say!(
            "{}: {} crops of {} tracks, {} of scenery",
            p.region,
            p.crops,
            p.tracks,
            p.scenery
        );
        for (figure, e) in &p.figures {
            let [value, low, high] = [e.value, e.low, e.high].map(|v| 100.0 * v);
            let words = figure.words();
            say!("  {words:<22} {value:>7.2} %  ({low:.2} to {high:.2})");
        }
    }
    let Some(against) = against else {
        return Ok(());
    };
    say!("against {}:", against.source);
    for c in &against.changes {
        let [before, now] = [c.before, c.now].map(|v| 100.0 * v);
        let (region, words) = (c.region.to_string(), Figure::words(c.figure));
        let verdict = c.verdict.words();
        say!("  {region:<6} {words:<22} {before:>7.2} > {now:>7.2} %  {verdict}");
    }
    Ok(())
}

fn write(args: &Args, file: &mut File, pictures: &[Picture]) -> anyhow::Result<()> {
    if let Some(path) = &args.html {
        let facts = [
            ("made by", file.made_by.clone()),
            (
                "crops",
                match &file.split {
                    Some(split) => format!("{}, split {split}", file.source),
                    None => file.source.clone(),
                },
            ),
            (
                "encoder",
                format!("{} {}", file.encoder.name, &file.encoder.sha256[..12]),
            ),
            (
                "bootstrap",
                format!("{} draws, seed {}", args.resamples, args.seed),
            ),
        ];
        let facts = facts.map(|(what, value)| (what.to_owned(), value));
        let against = file
            .against
            .as_ref()
            .map(|a| (a.source.as_str(), a.changes.as_slice()));
        let text = page::crops(&file.packs, against, pictures, &facts);
        write_atomically(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.json {
        if args.summary {
            file.packs.iter_mut().for_each(|p| p.results = None);
        }
        let mut text = serde_json::to_string(file)?;
        text.push('\n');
        write_atomically(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
