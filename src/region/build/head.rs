//! The projection from the text encoder's space into the image encoder's: `text_head.safetensors`.

use std::path::Path;

use anyhow::{Context, ensure};
use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

const FORMAT: &str = "tsedge-text-head/1";

/// `row = normalise((embedding - mean) · matrix)`.
pub struct TextHead {
    encoder_sha256: String,
    mean: Array1<f32>,
    matrix: Array2<f32>,
}

impl TextHead {
    /// Reads a head made for the text encoder with `text_sha256`.
    pub fn read(path: &Path, text_sha256: &str) -> anyhow::Result<Self> {
        let read = || {
            let bytes = std::fs::read(path)?;
            let (_, header) = SafeTensors::read_metadata(&bytes)?;
            let metadata = header.metadata().clone().unwrap_or_default();
            let value = |key: &str| metadata.get(key).map_or("missing", String::as_str);
            ensure!(
                value("format") == FORMAT,
                "format is {}, expected {FORMAT}",
                value("format")
            );
            ensure!(
                value("text_sha256") == text_sha256,
                "is for the text encoder {}, expected {text_sha256}",
                value("text_sha256")
            );
            let tensors = SafeTensors::deserialize(&bytes)?;
            let (mean, matrix) = (tensors.tensor("mean")?, tensors.tensor("matrix")?);
            let (wide, shape) = (mean.shape().to_vec(), matrix.shape().to_vec());
            ensure!(
                wide.len() == 1 && shape.len() == 2 && shape[0] == wide[0] && shape[1] > 0,
                "mean is {wide:?} and matrix {shape:?}, expected [W] and [W, D]"
            );
            Ok(Self {
                encoder_sha256: value("encoder_sha256").to_owned(),
                mean: Array1::from_vec(floats(&mean)?),
                matrix: Array2::from_shape_vec((shape[0], shape[1]), floats(&matrix)?)?,
            })
        };
        read().with_context(|| path.display().to_string())
    }

    /// The image encoder it leads to.
    pub fn encoder_sha256(&self) -> &str {
        &self.encoder_sha256
    }

    /// Length of a row.
    pub fn dim(&self) -> usize {
        self.matrix.ncols()
    }

    /// The row of a sentence's embedding.
    pub fn project(&self, embedding: &[f32]) -> anyhow::Result<Array1<f32>> {
        ensure!(
            embedding.len() == self.mean.len(),
            "the text encoder gives {} numbers, its head takes {}",
            embedding.len(),
            self.mean.len()
        );
        let row = (&ndarray::aview1(embedding) - &self.mean).dot(&self.matrix);
        let length = row.dot(&row).sqrt();
        ensure!(length > 0.0, "its row has no length");
        Ok(row / length)
    }
}

fn floats(view: &TensorView<'_>) -> anyhow::Result<Vec<f32>> {
    ensure!(
        view.dtype() == Dtype::F32,
        "a tensor is {:?}, expected F32",
        view.dtype()
    );
    let (values, _) = view.data().as_chunks();
    Ok(values.iter().map(|b| f32::from_le_bytes(*b)).collect())
}
