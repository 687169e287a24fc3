//! What an engine was built for, and the options it is built with.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::card::hex;

/// How exactly an engine calculates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    Fp32,
    /// 16 bits where TensorRT finds it faster.
    #[default]
    Fp16,
    /// 8 bits by a calibration table, else as FP16.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "FP32",
            Self::Fp16 => "FP16",
            Self::Int8 => "INT8",
        })
    }
}

/// All that an engine depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineKey {
    /// The model's name.
    pub model: String,
    /// Of the ONNX file.
    pub model_sha256: String,
    /// Name, and pictures, channels, height and width of the input.
    pub input: String,
    /// The same numbers, which the engine is fixed to.
    pub shape: [u32; 4],
    /// Whether the model leaves height and width free.
    pub free_size: bool,
    /// How exactly it calculates.
    pub precision: Precision,
    /// Of the calibration table, for INT8.
    pub calibration_sha256: Option<String>,
    /// TensorRT's version.
    pub tensorrt: String,
    /// The GPU's name.
    pub gpu: String,
    /// The GPU's compute capability.
    pub compute_capability: String,
    /// ONNX Runtime's version: it cuts the graph into what TensorRT gets.
    pub onnxruntime: String,
}

impl EngineKey {
    /// The folder's name: legible, and as unique as the key.
    pub fn folder_name(&self) -> String {
        let text = toml::to_string(self).unwrap_or_default();
        let digest = hex(&Sha256::digest(text.as_bytes()));
        format!("{}-{}", self.model, &digest[..16])
    }

    /// What is not the same in `other`, in words, with `other`'s value first.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let short = |sum: &str| sum.get(..12).unwrap_or(sum).to_owned();
        let table = |key: &Self| {
            key.calibration_sha256
                .as_deref()
                .map_or("none".to_owned(), short)
        };
        let rows = [
            (
                "model",
                short(&other.model_sha256),
                short(&self.model_sha256),
            ),
            (
                "precision",
                other.precision.to_string(),
                self.precision.to_string(),
            ),
            ("calibration", table(other), table(self)),
            ("TensorRT", other.tensorrt.clone(), self.tensorrt.clone()),
            ("GPU", other.gpu.clone(), self.gpu.clone()),
            (
                "compute capability",
                other.compute_capability.clone(),
                self.compute_capability.clone(),
            ),
            (
                "ONNX Runtime",
                other.onnxruntime.clone(),
                self.onnxruntime.clone(),
            ),
        ];
        (rows.into_iter())
            .filter(|(_, then, now)| then != now)
            .map(|(what, then, now)| format!("{what} {then}, now {now}"))
            .collect()
    }

    /// The options of ONNX Runtime's provider, by its names.
    pub fn options(
        &self,
        folder: &Path,
        calibration: Option<&Path>,
    ) -> Vec<(&'static str, String)> {
        let on = |flag: bool| if flag { "1" } else { "0" }.to_owned();
        let path = folder.display().to_string();
        let mut options = vec![
            ("trt_engine_cache_enable", on(true)),
            ("trt_engine_cache_path", path.clone()),
            ("trt_engine_cache_prefix", self.model.clone()),
            ("trt_timing_cache_enable", on(true)),
            ("trt_timing_cache_path", path),
            ("trt_fp16_enable", on(self.precision != Precision::Fp32)),
            ("trt_int8_enable", on(self.precision == Precision::Int8)),
        ];
        if let (Precision::Int8, Some(table)) = (self.precision, calibration) {
            options.push((
                "trt_int8_calibration_table_name",
                table.display().to_string(),
            ));
        }
        if self.free_size {
            let [pictures, channels, height, width] = self.shape;
            let shape = format!("{}:{pictures}x{channels}x{height}x{width}", self.input);
            // One size: the smallest, best and largest are the same.
            for name in [
                "trt_profile_min_shapes",
                "trt_profile_opt_shapes",
                "trt_profile_max_shapes",
            ] {
                options.push((name, shape.clone()));
            }
        }
        options
    }
}

impl fmt::Display for EngineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, _, height, width] = self.shape;
        write!(f, "{} {width}x{height} {}", self.model, self.precision)
    }
}
