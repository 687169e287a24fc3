//! The model card: what an ONNX file is, what it takes and gives, and whose it is.
//!
//! A card is TOML beside the model. Nothing in it has a default: a model that does not say how its
//! input is made is refused. The file must have the size and SHA-256 that the card names.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The only card format this build reads.
const FORMAT: &str = "tsedge-model/1";

/// Larger models are refused before they are read.
const MAX_MODEL_BYTES: u64 = 1 << 30;

/// What the model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Crop to embedding.
    Encoder,
    /// Frame to boxes.
    Detector,
}

/// A card and the place it was read from.
#[derive(Debug, Clone)]
pub struct Card {
    /// The card's contents.
    pub spec: Spec,
    /// The ONNX file.
    pub model_path: PathBuf,
}

/// The contents of a card.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Must be `tsedge-model/1`.
    pub format: String,
    /// What it is for.
    pub kind: Kind,
    /// Short name.
    pub name: String,
    /// ONNX file, relative to the card.
    pub file: PathBuf,
    /// Of the ONNX file, lower-case hex.
    pub sha256: String,
    /// Of the ONNX file.
    pub size_bytes: u64,
    /// Of the weights.
    pub licence: String,
    /// What goes in.
    pub input: Input,
    /// What an encoder gives.
    pub output: Option<EncoderOutput>,
    /// What a detector gives, in order.
    #[serde(default)]
    pub outputs: Vec<DetectorOutput>,
    /// How a detector's boxes are chosen.
    pub detector: Option<DetectorSpec>,
    /// Data, recipe and measured figures; for people.
    #[serde(default)]
    pub provenance: toml::Table,
}

/// The picture a model takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name in the graph.
    pub name: String,
    /// Must be `u8`.
    pub dtype: String,
    /// Must be `NCHW`.
    pub layout: String,
    /// Must be `RGB`.
    pub colour: String,
    /// Batch, channels, height, width; 0 for a free height or width.
    pub shape: [usize; 4],
    /// Must be `triangle`.
    pub resize: String,
    /// Encoder: share of its size by which a box is grown on each side.
    pub context: Option<f32>,
    /// Detector: height and width are multiples of it.
    pub multiple_of_px: Option<usize>,
    /// Detector: fills what the frame does not cover.
    pub pad_value: Option<u8>,
}

/// An embedding.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderOutput {
    /// Name in the graph.
    pub name: String,
    /// Length of the embedding.
    pub dim: usize,
}

/// One level of a detector: `[1, 5, h / stride, w / stride]` of dx, dy, log w, log h, score logit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorOutput {
    /// Name in the graph.
    pub name: String,
    /// Input pixels a cell.
    pub stride_px: usize,
}

/// How boxes are chosen.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorSpec {
    /// A box of this score may start a track.
    pub score_threshold: f32,
    /// A box of this score may continue one.
    pub low_threshold: f32,
    /// Of two boxes that overlap more, the weaker goes.
    pub nms_iou: f32,
    /// The longer side of the input that the model was chosen for.
    pub long_side_px: usize,
}

/// Why a card or its model is refused.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The card or model cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The card is not the TOML it must be.
    #[error("{}: {source}", path.display())]
    Syntax {
        /// The card.
        path: PathBuf,
        /// Line, column and cause.
        source: Box<toml::de::Error>,
    },
    /// A value that this build cannot serve, or that the model does not keep.
    #[error("{}: {what} is {found}, expected {expected}", path.display())]
    Mismatch {
        /// The card or model.
        path: PathBuf,
        /// Which value.
        what: &'static str,
        /// As found.
        found: String,
        /// As needed.
        expected: String,
    },
}

impl Card {
    /// Length of an encoder's embedding; 0 for other models.
    pub fn dim(&self) -> usize {
        self.spec.output.as_ref().map_or(0, |o| o.dim)
    }

    /// Reads and checks a card of the given kind.
    pub fn read(path: &Path, kind: Kind) -> Result<Self, CardError> {
        let text = std::fs::read_to_string(path).map_err(|source| CardError::Io {
            path: path.to_owned(),
            source,
        })?;
        let spec: Spec = toml::from_str(&text).map_err(|source| CardError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        check_spec(path, &spec, kind)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let model_path = folder.join(&spec.file);
        Ok(Self { spec, model_path })
    }

    /// Reads the ONNX file, refusing one that is not the card's.
    pub fn model_bytes(&self) -> Result<Vec<u8>, CardError> {
        let path = &self.model_path;
        let io = |source| CardError::Io {
            path: path.clone(),
            source,
        };
        let mismatch = |what, found, expected| CardError::Mismatch {
            path: path.clone(),
            what,
            found,
            expected,
        };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size != self.spec.size_bytes || size > MAX_MODEL_BYTES {
            let expected = format!("{} (at most {MAX_MODEL_BYTES})", self.spec.size_bytes);
            return Err(mismatch("size in bytes", size.to_string(), expected));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        let found = hex(&Sha256::digest(&bytes));
        if found != self.spec.sha256 {
            return Err(mismatch("sha256", found, self.spec.sha256.clone()));
        }
        Ok(bytes)
    }
}

fn check_spec(path: &Path, spec: &Spec, kind: Kind) -> Result<(), CardError> {
    let must = |what, found: String, expected: &str| {
        if found == expected {
            return Ok(());
        }
        Err(CardError::Mismatch {
            path: path.to_owned(),
            what,
            found,
            expected: expected.to_owned(),
        })
    };
    must("format", spec.format.clone(), FORMAT)?;
    must("kind", format!("{:?}", spec.kind), &format!("{kind:?}"))?;
    must("input.dtype", spec.input.dtype.clone(), "u8")?;
    must("input.layout", spec.input.layout.clone(), "NCHW")?;
    must("input.colour", spec.input.colour.clone(), "RGB")?;
    must("input.resize", spec.input.resize.clone(), "triangle")?;
    must(
        "batch and channels",
        format!("{:?}", &spec.input.shape[..2]),
        "[1, 3]",
    )?;
    let complete = match kind {
        Kind::Encoder => {
            let [_, _, height, width] = spec.input.shape;
            let context = spec.input.context.is_some_and(|c| (0.0..1.0).contains(&c));
            context && height > 0 && width > 0 && spec.output.as_ref().is_some_and(|o| o.dim > 0)
        }
        Kind::Detector => {
            spec.input.multiple_of_px.is_some_and(|m| m > 0)
                && spec.input.pad_value.is_some()
                && spec.detector.is_some()
                && !spec.outputs.is_empty()
                && spec.outputs.iter().all(|o| o.stride_px > 0)
        }
    };
    let expected = match kind {
        Kind::Encoder => "shape, input.context (0 to 1) and [output] with dim",
        Kind::Detector => "input.multiple_of_px, input.pad_value, [[outputs]] and [detector]",
    };
    let found = if complete { expected } else { "incomplete" };
    must("card", found.to_owned(), expected)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 of a file of any size.
pub fn file_sha256(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut sum = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut part)? {
            0 => return Ok(hex(&sum.finalize())),
            n => sum.update(&part[..n]),
        }
    }
}
