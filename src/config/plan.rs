//! What the program will do, resolved from a configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::{
    BoardClass, BorderPlan, ConfigFile, DetectConfig, LensConfig, RecogniseConfig, RuntimeConfig,
};
use crate::delivery::sets::folder_in_use;
use crate::detect::{DetectPlan, View};
use crate::model::card::Kind;
use crate::model::{Card, EngineStore, Providers, Unprepared};
use crate::pipeline::RecognitionPlan;
use crate::region::sign::Trust;
use crate::region::{LocatePlan, PackStore};
use crate::track::{Lens, MAX_TRACKS};
use crate::units::RegionCode;

/// More views would look at each part too seldom.
const MAX_VIEWS: usize = 4;

/// What the program will do; everything in it exists and fits together.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The shared library that was asked for by name.
    pub onnxruntime: Option<PathBuf>,
    /// The class of board whose defaults were taken.
    pub board: BoardClass,
    /// Providers in the order to try.
    pub providers: Providers,
    /// Frames looked at side by side.
    pub threads: usize,
    /// The detector's card.
    pub detector: Card,
    /// The encoder's card.
    pub encoder: Card,
    /// Folder of region packs.
    pub packs: PathBuf,
    /// Folder of packs that go before them.
    pub installed_packs: Option<PathBuf>,
    /// Whose packs are believed.
    pub trust: Trust,
    /// How frames are put before the detector.
    pub detect: DetectPlan,
    /// The time the detector may take for a frame; [`Plan::detect`] holds whatever it takes.
    pub detect_budget: Option<Duration>,
    /// Tracking, encoding, confirming.
    pub recognition: RecognitionPlan,
    /// The region to start in.
    pub region: RegionCode,
    /// When another region counts.
    pub locate: LocatePlan,
    /// Where regions lie.
    pub borders: BorderPlan,
}

impl Plan {
    /// The folders of packs, nothing read yet.
    pub fn pack_store(&self) -> PackStore {
        let encoder = &self.encoder;
        PackStore::new(&self.packs, &encoder.spec.sha256, encoder.dim())
            .with_installed(self.installed_packs.as_deref())
            .with_trust(self.trust.clone())
    }

    /// Resolves a configuration; the error names the key or file and what would be right.
    pub fn resolve(config: &ConfigFile) -> anyhow::Result<Self> {
        let models = &config.models;
        let installed = models.installed.as_deref().and_then(folder_in_use);
        let named = [&models.detector, &models.encoder, &models.packs];
        if models.installed.is_some() && named.into_iter().any(Option::is_some) {
            bail!("models.installed: leave out models.detector, models.encoder and models.packs");
        }
        let folder = || models_folder((installed.as_deref()).or(models.folder.as_deref()));
        let or_in_folder = |given: &Option<PathBuf>, name: &str| match given {
            Some(path) => Ok(path.clone()),
            None => folder().map(|f| f.join(name)),
        };
        let detector = Card::read(
            &or_in_folder(&config.models.detector, "detector.toml")?,
            Kind::Detector,
        )?;
        let encoder = Card::read(
            &or_in_folder(&config.models.encoder, "encoder.toml")?,
            Kind::Encoder,
        )?;
        let packs = or_in_folder(&config.models.packs, "packs")?;
        if !packs.is_dir() {
            bail!("models.packs: {} is not a folder", packs.display());
        }
        config.position.check()?;
        let region = config.region.start()?;
        let keys = config.packs.public_keys.clone().unwrap_or_default();
        let trust = Trust::new(config.packs.signatures.unwrap_or_default(), &keys)
            .context("packs.public_keys")?;
        let board = config.runtime.board.unwrap_or_else(BoardClass::here);
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        // More threads than cores would starve each other under real-time priority.
        let own = || match &config.threads.recognise.cores {
            Some(cores) => cores.len().clamp(1, 64),
            None => board.threads(processors()),
        };
        let threads = config.runtime.threads.unwrap_or_else(own);
        if !(1..=64).contains(&threads) {
            bail!("runtime.threads is {threads}, expected 1 to 64");
        }
        let (detect, start_score) = detect_plan(&config.detect, &detector)?;
        let detect_budget = detect_budget(&config.detect)?;
        let mut recognition = RecognitionPlan::default();
        recognition.track.start_score = start_score;
        recognition.lens = lens(&config.lens)?;
        let encode = &mut recognition.encode;
        encode.per_frame = crops_per_frame(&config.recognise)?;
        encode.min_side_px = config.recognise.min_side_px.unwrap_or(encode.min_side_px);
        Ok(Self {
            onnxruntime: config.runtime.onnxruntime.clone(),
            board,
            providers: providers(&config.runtime, board)?,
            threads,
            detector,
            encoder,
            packs,
            installed_packs: config.packs.installed.clone(),
            trust,
            detect,
            detect_budget,
            recognition,
            region,
            locate: config.region.locate()?,
            borders: config.region.borders()?,
        })
    }
}

/// Those asked for, else the board's.
fn providers(config: &RuntimeConfig, board: BoardClass) -> anyhow::Result<Providers> {
    let given = config.providers.as_ref();
    if given.is_some_and(Vec::is_empty) {
        bail!("runtime.providers is empty: name at least `cpu`");
    }
    let (own, tensorrt) = (EngineStore::default(), &config.tensorrt);
    if let Some(tables) = &tensorrt.int8_calibration
        && !tables.is_dir()
    {
        let tables = tables.display();
        bail!("runtime.tensorrt.int8_calibration: {tables} is not a folder");
    }
    Ok(Providers {
        order: given.cloned().unwrap_or_else(|| board.providers()),
        engines: EngineStore {
            folder: tensorrt.engines.clone().unwrap_or(own.folder),
            precision: tensorrt.precision.unwrap_or_default(),
            calibration: tensorrt.int8_calibration.clone(),
        },
        // Who names a provider means it; a default must not keep a unit from starting.
        unprepared: tensorrt.unprepared.unwrap_or(match given {
            Some(_) => Unprepared::Refuse,
            None => Unprepared::FallBack,
        }),
    })
}

fn lens(config: &LensConfig) -> anyhow::Result<Lens> {
    let Some(field_of_view_deg) = config.field_of_view_deg else {
        return Ok(Lens::default());
    };
    Lens::given(field_of_view_deg).with_context(|| {
        format!("lens.field_of_view_deg is {field_of_view_deg}, expected 5 to 170")
    })
}

/// What the budget pays, at the declared cost of a crop.
fn crops_per_frame(config: &RecogniseConfig) -> anyhow::Result<usize> {
    let budget_ms = config.budget_ms.unwrap_or(6.0);
    let cost_ms = config.crop_cost_ms.unwrap_or(1.5);
    if !(cost_ms > 0.0 && cost_ms.is_finite() && budget_ms.is_finite()) {
        bail!(
            "recognise.budget_ms {budget_ms} and recognise.crop_cost_ms {cost_ms}: expected more than 0"
        );
    }
    let affordable = (budget_ms / cost_ms).floor().min(MAX_TRACKS as f32) as usize;
    let crops = config.crops_per_frame.unwrap_or(affordable);
    if config.crops_per_frame == Some(0) {
        bail!("recognise.crops_per_frame is 0: nothing would be recognised");
    }
    if crops == 0 {
        bail!(
            "recognise.budget_ms {budget_ms} pays no crop of recognise.crop_cost_ms {cost_ms}: nothing would be recognised"
        );
    }
    Ok(crops)
}

fn detect_plan(config: &DetectConfig, card: &Card) -> anyhow::Result<(DetectPlan, f32)> {
    let Some(of_card) = card.spec.detector else {
        bail!("{}: no [detector] section", card.model_path.display());
    };
    let start = config.score_threshold.unwrap_or(of_card.score_threshold);
    let low = config.low_threshold.unwrap_or(of_card.low_threshold);
    if !(0.0 < low && low <= start && start < 1.0) {
        bail!(
            "detect.low_threshold {low} and detect.score_threshold {start}: expected 0 < low <= score < 1"
        );
    }
    let one = |key: &str, long_side_px: Option<usize>, band: Option<[f32; 2]>| {
        let [top, bottom] = band.unwrap_or([0.0, 0.9]);
        if !(0.0 <= top && top < bottom && bottom <= 1.0) {
            bail!("{key}.band is [{top}, {bottom}], expected 0 <= top < bottom <= 1");
        }
        let long_side_px = long_side_px.unwrap_or(of_card.long_side_px);
        if !(64..=8192).contains(&long_side_px) {
            bail!("{key}.long_side_px is {long_side_px}, expected 64 to 8192");
        }
        let band = (top, bottom);
        Ok(View { long_side_px, band })
    };
    let views = match &config.views {
        None => vec![one("detect", config.long_side_px, config.band)?],
        Some(views) if !(1..=MAX_VIEWS).contains(&views.len()) => {
            bail!(
                "detect.views has {} views, expected 1 to {MAX_VIEWS}",
                views.len()
            )
        }
        Some(_) if config.long_side_px.is_some() || config.band.is_some() => {
            bail!(
                "detect.views replaces detect.long_side_px and detect.band: give one or the other"
            )
        }
        Some(views) => (views.iter())
            .map(|view| one("detect.views", view.long_side_px, view.band))
            .collect::<anyhow::Result<_>>()?,
    };
    let plan = DetectPlan {
        views,
        threshold: low,
        nms_iou: of_card.nms_iou,
    };
    Ok((plan, start))
}

/// The folder given, or one of the usual places.
pub fn models_folder(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    given.map_or_else(usual_models_folder, |folder| Ok(folder.to_owned()))
}

fn detect_budget(config: &DetectConfig) -> anyhow::Result<Option<Duration>> {
    let Some(ms) = config.budget_ms else {
        return Ok(None);
    };
    if !(1.0..=10_000.0).contains(&ms) {
        bail!("detect.budget_ms is {ms}, expected 1 to 10000");
    }
    if config.views.is_some() {
        bail!("detect.budget_ms chooses the views: leave out detect.views");
    }
    Ok(Some(Duration::from_secs_f64(ms / 1e3)))
}

/// `TSEDGE_MODELS`, `models` here or beside the program, or the system's.
fn usual_models_folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("TSEDGE_MODELS").filter(|v| !v.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    let mut places = vec![PathBuf::from("models")];
    if let Ok(program) = std::env::current_exe() {
        places.extend(
            program
                .ancestors()
                .skip(1)
                .take(4)
                .map(|a| a.join("models")),
        );
    }
    places.push(PathBuf::from("/usr/share/tsedge/models"));
    match places.iter().find(|p| p.join("detector.toml").is_file()) {
        Some(folder) => Ok(folder.clone()),
        None => {
            let looked: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
            bail!(
                "no models found. Looked for detector.toml in: {}. Name the folder with --models or TSEDGE_MODELS",
                looked.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Precision, Provider};

    #[test]
    fn a_boards_defaults_give_way_to_the_configuration() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let resolve = |text: &str| {
            let mut config = ConfigFile::parse(text).unwrap();
            config.models.folder = Some(models.clone());
            Plan::resolve(&config).unwrap()
        };
        let plan = resolve("[runtime]\nboard = 'jetson-orin'");
        assert_eq!(plan.providers.order, [Provider::TensorRt, Provider::Cpu]);
        assert_eq!(plan.providers.unprepared, Unprepared::FallBack);
        let plan = resolve("[runtime]\nboard = 'jetson-orin'\nproviders = ['tensorrt']");
        assert_eq!(plan.providers.unprepared, Unprepared::Refuse);
        let plan = resolve(
            "[runtime]\nboard = 'raspberry-pi-5'\nthreads = 4\n[runtime.tensorrt]\nengines = '/e'\nprecision = 'fp32'",
        );
        assert_eq!(plan.providers.order, [Provider::Cpu]);
        assert_eq!(plan.threads, 4);
        assert_eq!(
            resolve("[threads]\nrecognise = { cores = [0], fifo = 50 }").threads,
            1
        );
        assert_eq!(plan.providers.engines.folder, Path::new("/e"));
        assert_eq!(plan.providers.engines.precision, Precision::Fp32);
    }

    #[test]
    fn the_shipped_models_resolve_and_bad_values_are_named() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let resolve = |text: &str| {
            let mut config = ConfigFile::parse(text).unwrap();
            config.models.folder = Some(models.clone());
            Plan::resolve(&config).map_err(|e| format!("{e:#}"))
        };
        assert_eq!(
            resolve("[region]\nfixed = 'DE'").unwrap().region.as_str(),
            "DE"
        );
        for (text, key) in [
            ("[region]\nfixed = 'Germany'", "region `Germany`"),
            (
                "[region]\nfixes = 0",
                "region.fixes is 0, expected 1 to 100",
            ),
            ("[region]\nstale_after_s = 2", "region.stale_after_s is 2"),
            (
                "[region]\nareas = 'none.geojson'",
                "none.geojson: No such file",
            ),
            (
                "[region]\nsubdivisions = ['US-CA']",
                "`US-CA` is not a country",
            ),
            ("[position]\nsource = 'nmea'", "position.device"),
            ("[position]\nbaud = 4800", "position.baud is set"),
            (
                "[position]\nsource = 'gpsd'\ngpsd = 'here'",
                "expected host:port",
            ),
            ("[runtime]\nthreads = 0", "runtime.threads is 0"),
            ("[runtime]\nproviders = []", "runtime.providers is empty"),
            (
                "[runtime.tensorrt]\nint8_calibration = 'none'",
                "int8_calibration: none is not a folder",
            ),
            ("[detect]\nband = [0.8, 0.2]", "detect.band is [0.8, 0.2]"),
            ("[detect]\nviews = []", "detect.views has 0 views"),
            (
                "[detect]\nband = [0.0, 0.5]\nviews = [{ long_side_px = 640 }]",
                "detect.views replaces",
            ),
            (
                "[detect]\nviews = [{ band = [0.5, 0.5] }]",
                "detect.views.band is [0.5, 0.5]",
            ),
            ("[detect]\nbudget_ms = 0", "detect.budget_ms is 0"),
            (
                "[detect]\nlow_threshold = 0.99",
                "detect.low_threshold 0.99",
            ),
            ("[detect]\nlong_side_px = 10", "detect.long_side_px is 10"),
            (
                "[recognise]\ncrops_per_frame = 0",
                "recognise.crops_per_frame is 0",
            ),
            ("[packs]\nsignatures = 'required'", "packs.public_keys"),
            ("[packs]\npublic_keys = ['x']", "public key `x`"),
            (
                "[recognise]\nbudget_ms = 0.5",
                "recognise.budget_ms 0.5 pays no crop",
            ),
            ("[recognise]\ncrop_cost_ms = 0", "recognise.crop_cost_ms 0"),
            (
                "[lens]\nfield_of_view_deg = 200",
                "lens.field_of_view_deg is 200",
            ),
            ("[models]\nencoder = 'none.toml'", "none.toml: No such file"),
            (
                "[models]\ninstalled = 'i'\npacks = 'p'",
                "models.installed: leave out",
            ),
        ] {
            let error = resolve(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
