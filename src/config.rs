//! What the user wrote, and what the program will do.
//!
//! [`ConfigFile`] is syntax only: unknown keys are errors with line and column. [`Plan::resolve`] joins it
//! with the command line, reads the model cards and checks that everything exists and fits together.

mod board;
mod camera;
mod delivery;
mod live;
mod mqtt;
mod place;
mod plan;
mod secret;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

pub use board::BoardClass;
pub use camera::{CameraConfig, NamedCamera, check_name};
pub use delivery::DeliveryConfig;
pub use live::{
    CanConfig, CollectConfig, DriftConfig, FileConfig, IdsConfig, SerialConfig, StatusConfig,
};
pub use mqtt::MqttConfig;
pub use place::{BorderPlan, PositionConfig, PositionKind, RegionConfig};
pub use plan::{Plan, models_folder};

use crate::model::{Precision, Provider, Unprepared};
use crate::region::sign::Signatures;
use crate::runtime::threads::ThreadPlans;

/// A configuration file; every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// ONNX Runtime.
    pub runtime: RuntimeConfig,
    /// Where threads run and how urgently (`tsedge run`).
    pub threads: ThreadPlans,
    /// Models and packs.
    pub models: ModelsConfig,
    /// The detector.
    pub detect: DetectConfig,
    /// The camera's lens.
    pub lens: LensConfig,
    /// Encoding and confirmation.
    pub recognise: RecogniseConfig,
    /// The receiver (`tsedge run`).
    pub position: PositionConfig,
    /// Which region's signs are read.
    pub region: RegionConfig,
    /// The camera (`tsedge run`).
    pub camera: Option<CameraConfig>,
    /// Several cameras by their names (`tsedge run`).
    pub cameras: BTreeMap<String, CameraConfig>,
    /// Whose packs are believed.
    pub packs: PacksConfig,
    /// The CAN bus (`tsedge run`).
    pub can: Option<CanConfig>,
    /// A serial line (`tsedge run`).
    pub serial: Option<SerialConfig>,
    /// JSON lines (`tsedge run`).
    pub jsonl: Option<FileConfig>,
    /// An MCAP recording (`tsedge run`).
    pub mcap: Option<FileConfig>,
    /// An MQTT broker (`tsedge run`).
    pub mqtt: Option<MqttConfig>,
    /// Packs and models that come by MQTT (`tsedge run`).
    pub delivery: Option<DeliveryConfig>,
    /// Crops that were in doubt (`tsedge run`).
    pub collect: Option<CollectConfig>,
    /// Statistics that tell when to evaluate again (`tsedge run`).
    pub drift: Option<DriftConfig>,
    /// Status page (`tsedge run`).
    pub status: Option<StatusConfig>,
}

/// `[runtime]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// The shared library; else the usual folders are searched.
    pub onnxruntime: Option<PathBuf>,
    /// The class of board whose defaults are taken; told from the device tree by default.
    pub board: Option<BoardClass>,
    /// Execution providers in the order to try; the board's by default.
    pub providers: Option<Vec<Provider>>,
    /// Frames looked at side by side in a replay, threads inside the detector live; by default as many
    /// as `threads.recognise` has cores, else the board's.
    pub threads: Option<usize>,
    /// Engines of TensorRT.
    pub tensorrt: TensorRtConfig,
}

/// `[runtime.tensorrt]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TensorRtConfig {
    /// Folder of the engines that `tsedge models prepare` builds; `/var/cache/tsedge/engines` by default.
    pub engines: Option<PathBuf>,
    /// `fp32`, `fp16` (the default) or `int8`.
    pub precision: Option<Precision>,
    /// Folder of calibration tables `NAME.flatbuffers`, for `int8`.
    pub int8_calibration: Option<PathBuf>,
    /// Without an engine for this machine: `refuse` to start, or `fall_back` to the next provider. By default
    /// `refuse` where `providers` are given, else `fall_back`.
    pub unprepared: Option<Unprepared>,
}

/// `[models]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsConfig {
    /// Folder with `detector.toml`, `encoder.toml` and `packs/`; else the usual folders are searched.
    pub folder: Option<PathBuf>,
    /// The detector's card.
    pub detector: Option<PathBuf>,
    /// The encoder's card.
    pub encoder: Option<PathBuf>,
    /// Folder of region packs.
    pub packs: Option<PathBuf>,
    /// Folder of models that came by MQTT; they go before all of the above. It need not be there yet.
    pub installed: Option<PathBuf>,
}

impl ModelsConfig {
    /// The command line names a folder: what was installed does not count then.
    pub fn only(&mut self, folder: Option<&Path>) {
        if let Some(folder) = folder {
            self.folder = Some(folder.to_owned());
            self.installed = None;
        }
    }
}

/// `[detect]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    /// The frame is scaled down until its longer side is at most this; the card's choice by default.
    pub long_side_px: Option<usize>,
    /// Rows looked at, as shares of the height, `[top, bottom]`; by default all but the lowest tenth,
    /// where cameras show the bonnet and burn in their texts.
    pub band: Option<[f32; 2]>,
    /// Several views taken in turn, frame by frame, in place of `long_side_px` and `band`: such as a band
    /// around the horizon in full resolution, and the whole frame at half of it.
    pub views: Option<Vec<ViewConfig>>,
    /// Milliseconds a frame that the detector may take (`tsedge run`): the best views that this machine has
    /// time for are chosen at the start. A replay does not measure, so that it stays repeatable.
    pub budget_ms: Option<f64>,
    /// Score that starts a track; the card's choice by default.
    pub score_threshold: Option<f32>,
    /// Score that continues one; the card's choice by default.
    pub low_threshold: Option<f32>,
}

/// `[lens]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LensConfig {
    /// Horizontal angle of view, for distances and bearings; 60 by default, which makes them vague.
    pub field_of_view_deg: Option<f32>,
}

/// One of `detect.views`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewConfig {
    /// As in `[detect]`.
    pub long_side_px: Option<usize>,
    /// As in `[detect]`.
    pub band: Option<[f32; 2]>,
}

/// `[recognise]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecogniseConfig {
    /// Time for encoding a frame's crops, in milliseconds; 6 by default.
    pub budget_ms: Option<f32>,
    /// What one crop is taken to cost, in milliseconds; 1.5 by default. A declared figure, not a
    /// measured one: the same recording gives the same events on a slower machine.
    pub crop_cost_ms: Option<f32>,
    /// Encoder calls a frame, at most; else as many as the budget pays.
    pub crops_per_frame: Option<usize>,
    /// Smaller boxes are not encoded.
    pub min_side_px: Option<f32>,
}

/// `[packs]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PacksConfig {
    /// `required` or `optional`, which is the default.
    pub signatures: Option<Signatures>,
    /// Minisign public keys in base64: the second line of a `.pub` file.
    pub public_keys: Option<Vec<String>>,
    /// Folder of packs that were installed on this machine; they go before those of the models. It need
    /// not be there yet.
    pub installed: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the file that was named, if one was.
    pub fn read_or_default(path: Option<&Path>) -> anyhow::Result<Self> {
        path.map_or_else(|| Ok(Self::default()), Self::read)
    }

    /// Reads a file; the error names line and column.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Parses the text of a file.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// A value given on the command line replaces the file's.
    pub fn override_with(&mut self, other: Self) {
        fn put<T>(own: &mut Option<T>, other: Option<T>) {
            if other.is_some() {
                *own = other;
            }
        }
        put(&mut self.runtime.onnxruntime, other.runtime.onnxruntime);
        put(&mut self.runtime.board, other.runtime.board);
        put(&mut self.runtime.providers, other.runtime.providers);
        put(&mut self.runtime.threads, other.runtime.threads);
        self.models.only(other.models.folder.as_deref());
        put(&mut self.models.detector, other.models.detector);
        put(&mut self.models.encoder, other.models.encoder);
        put(&mut self.models.packs, other.models.packs);
        put(&mut self.models.installed, other.models.installed);
        if other.detect.long_side_px.is_some() || other.detect.band.is_some() {
            self.detect.views = None;
        }
        put(&mut self.detect.views, other.detect.views);
        put(&mut self.detect.budget_ms, other.detect.budget_ms);
        put(&mut self.detect.long_side_px, other.detect.long_side_px);
        put(&mut self.detect.band, other.detect.band);
        put(
            &mut self.detect.score_threshold,
            other.detect.score_threshold,
        );
        put(&mut self.detect.low_threshold, other.detect.low_threshold);
        put(
            &mut self.lens.field_of_view_deg,
            other.lens.field_of_view_deg,
        );
        put(&mut self.recognise.budget_ms, other.recognise.budget_ms);
        put(
            &mut self.recognise.crop_cost_ms,
            other.recognise.crop_cost_ms,
        );
        put(
            &mut self.recognise.crops_per_frame,
            other.recognise.crops_per_frame,
        );
        put(&mut self.recognise.min_side_px, other.recognise.min_side_px);
        put(&mut self.region.fixed, other.region.fixed);
        put(&mut self.packs.signatures, other.packs.signatures);
        put(&mut self.packs.public_keys, other.packs.public_keys);
        put(&mut self.packs.installed, other.packs.installed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_with_line_and_column() {
        let error = ConfigFile::parse("[detect]\nlong_side_px = 960\nbnad = [0, 1]\n").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("line 3, column 1") && text.contains("bnad"),
            "{text}"
        );
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let mut file =
            ConfigFile::parse("[runtime]\nthreads = 4\nproviders = [\"cuda\", \"cpu\"]").unwrap();
        let mut line = ConfigFile::default();
        line.runtime.threads = Some(1);
        file.override_with(line);
        assert_eq!(file.runtime.threads, Some(1));
        assert_eq!(
            file.runtime.providers,
            Some(vec![Provider::Cuda, Provider::Cpu])
        );
    }
}
