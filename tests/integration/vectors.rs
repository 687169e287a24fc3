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

/// A picture of no pattern that the code could profit from.
fn noise(format: PixelFormat, width: u32, height: u32, colour: ColourSpec) -> Frame {
    let mut frame = Frame::default();
    frame.colour = colour;
    let mut state = 1_u32;
    for px in frame.reset(format, width, height) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *px = (state >> 24) as u8;
    }
    frame
}

/// Coefficients in the order: luma offset, luma, red of V, green of U, green of V, blue of U.
fn coefficients(colour: ColourSpec) -> [f32; 6] {
    let (kr, kb) = match colour.matrix {
        ColourMatrix::Bt601 => (0.299_f32, 0.114),
        ColourMatrix::Bt709 => (0.2126, 0.0722),
    };
    let kg = 1.0 - kr - kb;
    let (offset, luma, chroma) = if colour.full_range {
        (0.0, 1.0, 1.0)
    } else {
        (16.0, 255.0 / 219.0, 255.0 / 224.0)
    };
    [
        offset,
        luma,
        2.0 * (1.0 - kr) * chroma,
        -2.0 * (1.0 - kb) * kb / kg * chroma,
        -2.0 * (1.0 - kr) * kr / kg * chroma,
        2.0 * (1.0 - kb) * chroma,
    ]
}

/// One sample of a component.
fn sample(s: &tsedge::frame::Samples<'_>, x: usize, y: usize) -> u8 {
    s.data[y * s.row_bytes + x * s.step + s.offset]
}

/// The frame at its own size, one pixel after the other, in integers.
fn plain_same_size(frame: &Frame) -> Vec<u8> {
    let chroma = frame.chroma().unwrap();
    let height = frame.height_px() as usize;
    let rows = if chroma.height == height && height > 1 {
        1
    } else {
        2
    };
    let luma = frame.luma();
    plain_colour(
        frame.colour,
        (frame.width_px() as usize, height),
        |x, y| sample(&luma, x, y),
        |x, y| {
            (
                sample(&chroma.u, x / 2, y / rows),
                sample(&chroma.v, x / 2, y / rows),
            )
        },
    )
}

/// RGB planes of one pixel after the other, in integers.
fn plain_colour(
    colour: ColourSpec,
    (width, height): (usize, usize),
    luma: impl Fn(usize, usize) -> u8,
    chroma: impl Fn(usize, usize) -> (u8, u8),
) -> Vec<u8> {
    let [offset, rest @ ..] = coefficients(colour);
    let offset = offset.round() as i32;
    let [ky, rv, gu, gv, bu] = rest.map(|c| (c * 64.0).round() as i32);
    let mut planes = vec![Vec::new(); 3];
    for y in 0..height {
        for x in 0..width {
            let level = (i32::from(luma(x, y)) - offset) * ky;
            let (u, v) = chroma(x, y);
            let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
            for (plane, add) in planes.iter_mut().zip([rv * v, gu * u + gv * v, bu * u]) {
                // As 16 bits have it.
                let sum = (level + add).clamp(-32768, 32767);
                let sum = (sum + 32).clamp(-32768, 32767);
                plane.push((sum >> 6).clamp(0, 255) as u8);
            }
        }
    }
    planes.concat()
}

/// Taps of one output: the first input and its weights.
fn taps(input: usize, (from, to): (f64, f64), out: usize, i: usize) -> (usize, Vec<f32>) {
    let scale = (to - from) / out as f64;
    let support = scale.max(1.0);
    let centre = from + (i as f64 + 0.5) * scale;
    let low = ((centre - support + 0.5).floor().max(0.0) as usize).min(input - 1);
    let high = ((centre + support + 0.5).floor().max(0.0) as usize).clamp(low + 1, input);
    let weight = |k: usize| (1.0 - (k as f64 + 0.5 - centre).abs() / support).max(0.0) as f32;
    let weights: Vec<f32> = (low..high).map(weight).collect();
    let sum = weights.iter().fold(0.0, |sum, w| sum + w);
    if sum > 0.0 {
        (low, weights.iter().map(|w| w / sum).collect())
    } else {
        (low, vec![1.0])
    }
}

/// One filtered sample: down the columns first, then along the row, in this order.
fn filtered(s: &tsedge::frame::Samples<'_>, x: &(usize, Vec<f32>), y: &(usize, Vec<f32>)) -> f32 {
    let column = |column: usize| {
        (y.1.iter().enumerate()).fold(0.0_f32, |sum, (k, w)| {
            sum + w * f32::from(sample(s, column, y.0 + k))
        })
    };
    (x.1.iter().enumerate()).fold(0.0_f32, |sum, (k, w)| sum + w * column(x.0 + k))
}

/// A sample of a whole frame at another size, in integers: weights in steps of 1/256 down the columns and of
/// 1/16384 along the row.
fn scaled(s: &tsedge::frame::Samples<'_>, x: &(usize, Vec<f32>), y: &(usize, Vec<f32>)) -> u8 {
    let steps = |weights: &[f32], one: f32| -> Vec<i64> {
        let (mut exact, mut given) = (0.0, 0);
        let last = weights.iter().rposition(|w| *w > 0.0).unwrap();
        (weights.iter().enumerate())
            .map(|(k, weight)| {
                exact += weight * one;
                let upto = if k == last { one } else { exact.round() } as i64;
                let step = if *weight > 0.0 { upto - given } else { 0 };
                given += step;
                step
            })
            .collect()
    };
    let (down, along) = (steps(&y.1, 256.0), steps(&x.1, 16384.0));
    let column = |column: usize| -> i64 {
        let sum: i64 = (down.iter().enumerate())
            .map(|(k, w)| w * i64::from(sample(s, column, y.0 + k)))
            .sum();
        sum >> 1
    };
    let sum: i64 = (along.iter().enumerate())
        .map(|(k, w)| w * column(x.0 + k))
        .sum();
    u8::try_from((sum + (1 << 20)) >> 21).unwrap()
}

/// A whole frame or a band of it stretched to a size, one pixel after the other, in integers.
fn plain_frame(frame: &Frame, bbox: BoxPx, (width, height): (usize, usize)) -> Vec<u8> {
    let (luma, chroma) = (frame.luma(), frame.chroma().unwrap());
    let (frame_width, frame_height) = (frame.width_px() as usize, frame.height_px() as usize);
    let rows = if chroma.height == frame_height {
        1.0
    } else {
        2.0
    };
    let (x, y) = (
        (f64::from(bbox.x0), f64::from(bbox.x1)),
        (f64::from(bbox.y0), f64::from(bbox.y1)),
    );
    let half = (width.div_ceil(2), height.div_ceil(2));
    plain_colour(
        frame.colour,
        (width, height),
        |j, i| {
            let (x, y) = (
                taps(frame_width, x, width, j),
                taps(frame_height, y, height, i),
            );
            scaled(&luma, &x, &y)
        },
        |j, i| {
            let x = taps(chroma.width, (x.0 / 2.0, x.1 / 2.0), half.0, j / 2);
            let y = taps(chroma.height, (y.0 / rows, y.1 / rows), half.1, i / 2);
            (scaled(&chroma.u, &x, &y), scaled(&chroma.v, &x, &y))
        },
    )
}

/// A crop stretched to a size, one pixel after the other, in single precision.
fn plain_crop(frame: &Frame, bbox: BoxPx, (width, height): (usize, usize)) -> Vec<u8> {
    let [offset, ky, rv, gu, gv, bu] = coefficients(frame.colour);
    let (luma, chroma) = (frame.luma(), frame.chroma().unwrap());
    let frame_px = (frame.width_px() as usize, frame.height_px() as usize);
    let shared_rows = if chroma.height == frame_px.1 {
        1.0
    } else {
        2.0
    };
    let (x, y) = (
        (f64::from(bbox.x0), f64::from(bbox.x1)),
        (f64::from(bbox.y0), f64::from(bbox.y1)),
    );
    let part = |(from, to): (f64, f64), by: f64| (from / by, to / by);
    let mut planes = vec![Vec::new(); 3];
    for i in 0..height {
        for j in 0..width {
            let (tx, ty) = (
                taps(frame_px.0, x, width, j),
                taps(frame_px.1, y, height, i),
            );
            let cx = taps(chroma.width, part(x, 2.0), width, j);
            let cy = taps(chroma.height, part(y, shared_rows), height, i);
            let level = (filtered(&luma, &tx, &ty) - offset) * ky;
            let u = filtered(&chroma.u, &cx, &cy) - 128.0;
            let v = filtered(&chroma.v, &cx, &cy) - 128.0;
            for (plane, add) in planes.iter_mut().zip([rv * v, gu * u + gv * v, bu * u]) {
                plane.push((level + add + 0.5) as u8);
            }
        }
    }
    planes.concat()
}

#[test]
fn frames_and_crops_have_the_bytes_of_a_plain_calculation() {
    let resampled = |frame: &Frame, bbox, (width, height): (usize, usize), chroma| {
        let mut data = vec![0; 3 * width * height];
        let mut target = Target {
            data: &mut data,
            width_px: width,
            height_px: height,
            row_stride: width,
            plane_stride: width * height,
            chroma,
        };
        Resampler::default().rgb(frame, bbox, &mut target);
        data
    };
    let formats = [
        PixelFormat::I420,
        PixelFormat::Nv12,
        PixelFormat::Yuyv,
        PixelFormat::Uyvy,
    ];
    for (n, format) in formats.into_iter().enumerate() {
        for (full_range, matrix) in [(false, ColourMatrix::Bt601), (true, ColourMatrix::Bt709)] {
            let colour = ColourSpec { matrix, full_range };
            // Sizes that fill vectors and sizes that leave a rest.
            for (width, height) in [(64, 32), (70, 38), (18, 6)] {
                let frame = noise(format, width, height, colour);
                let whole = BoxPx::new(0.0, 0.0, width as f32, height as f32);
                let size = (width as usize, height as usize);
                let found = resampled(&frame, whole, size, Chroma::Half);
                assert!(
                    found == plain_same_size(&frame),
                    "{format:?} {width}x{height}"
                );
            }
            let frame = noise(format, 98, 74, colour);
            // Down, up, a band, and so far down that a weight is less than a step.
            for (bbox, size) in [
                (BoxPx::new(0.0, 0.0, 98.0, 74.0), (65, 49)),
                (BoxPx::new(0.0, 0.0, 98.0, 74.0), (49, 37)),
                (BoxPx::new(0.0, 0.0, 98.0, 74.0), (120, 100)),
                (BoxPx::new(0.0, 10.3, 98.0, 51.9), (62, 20)),
                (BoxPx::new(0.0, 0.0, 98.0, 74.0), (2, 3)),
            ] {
                let found = resampled(&frame, bbox, size, Chroma::Half);
                assert!(
                    found == plain_frame(&frame, bbox, size),
                    "{format:?} {bbox:?} {size:?}"
                );
            }
            for (bbox, size) in [
                (BoxPx::new(3.3, 2.1, 90.9, 70.0), (48, 48)),
                (BoxPx::new(40.2, 30.7, 61.5, 49.0), (48, 48)),
                (BoxPx::new(0.0, 0.0, 98.0, 74.0), (21 + n, 13)),
            ] {
                let found = resampled(&frame, bbox, size, Chroma::Full);
                assert!(
                    found == plain_crop(&frame, bbox, size),
                    "{format:?} {bbox:?}"
                );
            }
        }
    }
}
