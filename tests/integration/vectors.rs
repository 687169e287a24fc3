//! Promise: Rust and Python prepare a crop alike to 1/255, and the encoder gives both the same embedding.
//!
//! `models/golden/preprocess.safetensors` is written by `training/` and read here and by its own tests.

use safetensors::SafeTensors;
use serde::Deserialize;
use tsedge::frame::resample::{Chroma, Resampler, Target};
use tsedge::frame::{ColourMatrix, ColourSpec, Frame, PixelFormat};
use tsedge::recognise::Encoder;
use tsedge::units::BoxPx;

use crate::support::{plan, root, runtime};

#[derive(Deserialize)]
struct Case {
    matrix: String,
    range: String,
    size: usize,
    context: f32,
}

struct Vectors {
    bytes: Vec<u8>,
    cases: Vec<Case>,
    encoder_sha256: String,
}

impl Vectors {
    fn read() -> Self {
        let bytes = std::fs::read(root().join("models/golden/preprocess.safetensors")).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().clone().unwrap();
        let cases: Vec<Case> = serde_json::from_str(&metadata["cases"]).unwrap();
        assert!(cases.len() >= 4, "too few cases to mean anything");
        Self {
            bytes,
            cases,
            encoder_sha256: metadata["encoder_sha256"].clone(),
        }
    }

    fn tensor(&self, name: &str) -> Option<(Vec<usize>, Vec<u8>)> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).ok()?;
        Some((view.shape().to_vec(), view.data().to_vec()))
    }

    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let bytes = self.tensor(name)?.1;
        Some(
            bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect(),
        )
    }

    fn frame(&self, i: usize) -> Frame {
        let plane = |name: &str| self.tensor(&format!("{name}_{i}")).unwrap();
        let (shape, luma) = plane("y");
        let case = &self.cases[i];
        let mut frame = Frame::default();
        frame.colour = ColourSpec {
            matrix: match case.matrix.as_str() {
                "bt601" => ColourMatrix::Bt601,
                "bt709" => ColourMatrix::Bt709,
                other => panic!("matrix {other}"),
            },
            full_range: case.range == "full",
        };
        let data = frame.reset(PixelFormat::I420, shape[1] as u32, shape[0] as u32);
        data.copy_from_slice(&[luma, plane("u").1, plane("v").1].concat());
        frame
    }

    fn bbox(&self, i: usize) -> BoxPx {
        let edges = self.floats(&format!("box_{i}")).unwrap();
        BoxPx::new(edges[0], edges[1], edges[2], edges[3])
    }
}

#[test]
fn crops_agree_with_python_to_one_level() {
    let vectors = Vectors::read();
    for (i, case) in vectors.cases.iter().enumerate() {
        let frame = vectors.frame(i);
        let (size, expected) = (
            case.size,
            vectors.tensor(&format!("expected_{i}")).unwrap().1,
        );
        let mut found = vec![0; 3 * size * size];
        let bbox = vectors
            .bbox(i)
            .grown(case.context)
            .clipped(frame.width_px(), frame.height_px());
        Resampler::default().rgb(
            &frame,
            bbox,
            &mut Target {
                data: &mut found,
                width_px: size,
                height_px: size,
                row_stride: size,
                plane_stride: size * size,
                chroma: Chroma::Full,
            },
        );
        let off = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(off <= Some(1), "case {i}: {off:?} levels off");
    }
}

#[test]
fn embeddings_agree_with_python() {
    let vectors = Vectors::read();
    let plan = plan("WORLD");
    assert_eq!(
        vectors.encoder_sha256, plan.encoder.spec.sha256,
        "vectors of another encoder"
    );
    let mut encoder = Encoder::load(&runtime(), &plan.encoder, &plan.providers, 1).unwrap();
    let mut compared = 0;
    for i in 0..vectors.cases.len() {
        let Some(expected) = vectors.floats(&format!("embedding_{i}")) else {
            continue;
        };
        encoder.prepare(&vectors.frame(i), vectors.bbox(i));
        let found = encoder.infer().unwrap();
        let cosine: f32 = found.iter().zip(&expected).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.995, "case {i}: cosine {cosine}");
        compared += 1;
    }
    assert!(compared > 0, "no vector fits the encoder");
}
