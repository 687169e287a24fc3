//! What runs a model: ONNX Runtime's execution providers, in the order to try.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::engine::EngineStore;

/// An ONNX execution provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// NVIDIA TensorRT.
    TensorRt,
    /// NVIDIA CUDA.
    Cuda,
    /// The processor.
    Cpu,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TensorRt => "TensorRT",
            Self::Cuda => "CUDA",
            Self::Cpu => "CPU",
        })
    }
}

impl std::str::FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tensorrt" => Ok(Self::TensorRt),
            "cuda" => Ok(Self::Cuda),
            "cpu" => Ok(Self::Cpu),
            other => Err(format!("`{other}` is not one of tensorrt, cuda, cpu")),
        }
    }
}

/// What to do where a model has no engine that was prepared for this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unprepared {
    /// The model is not loaded, and the error names the command that prepares it.
    #[default]
    Refuse,
    /// The next provider is tried, which is told.
    FallBack,
}

/// Providers in the order to try, and where TensorRT's engines are.
#[derive(Debug, Clone, PartialEq)]
pub struct Providers {
    /// The first that can be had is used.
    pub order: Vec<Provider>,
    /// Engines prepared ahead of time.
    pub engines: EngineStore,
    /// What to do without one.
    pub unprepared: Unprepared,
}

impl Providers {
    /// The processor alone.
    pub fn cpu() -> Self {
        Self {
            order: vec![Provider::Cpu],
            engines: EngineStore::default(),
            unprepared: Unprepared::default(),
        }
    }
}

impl fmt::Display for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, provider) in self.order.iter().enumerate() {
            let join = if i > 0 { ", " } else { "" };
            write!(f, "{join}{provider}")?;
        }
        Ok(())
    }
}
