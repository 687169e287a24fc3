//! Time of each stage on one core: `cargo bench`. Names are `stage/what/size`.
//!
//! The models are the shipped ones; `make setup` must have been run. Frames are synthetic noise with
//! structure: the time of no stage but the video decoder (measured by `tsedge replay`) depends on content.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tsedge::config::{ConfigFile, Plan};
use tsedge::detect::{Detection, Detections, Detector};
use tsedge::event::{ClassInfo, Family};
use tsedge::frame::resample::{Chroma, Resampler, Target};
use tsedge::frame::{Frame, PixelFormat};
use tsedge::model::OnnxRuntime;
use tsedge::recognise::Encoder;
use tsedge::region::bank::Calibration;
use tsedge::region::pack::Prototypes;
use tsedge::region::{Pack, PackStore};
use tsedge::track::{TrackPlan, Tracker};
use tsedge::units::{BoxPx, RegionCode, Timestamp};

fn frame(width: u32, height: u32) -> Frame {
    let mut frame = Frame::default();
    let data = frame.reset(PixelFormat::I420, width, height);
    for (i, px) in data.iter_mut().enumerate() {
        *px = (i.wrapping_mul(2_654_435_761) >> 24) as u8 / 2 + (i / 1000 % 100) as u8;
    }
    frame
}

fn resample(c: &mut Criterion) {
    let frame = frame(1280, 720);
    let mut group = c.benchmark_group("resample");
    let whole = BoxPx::new(0.0, 0.0, 1280.0, 720.0);
    let cases = [
        ("frame", whole, 1280, 720),
        ("frame", whole, 960, 540),
        ("crop", BoxPx::new(600.3, 200.1, 640.9, 242.0), 48, 48),
        ("crop", BoxPx::new(600.3, 200.1, 800.9, 402.0), 48, 48),
    ];
    for (what, bbox, width, height) in cases {
        let mut data = vec![0; width * height * 3];
        let mut resampler = Resampler::default();
        let name = format!("{}x{} to {width}x{height}", bbox.width(), bbox.height());
        group.bench_function(BenchmarkId::new(what, name), |b| {
            b.iter(|| {
                let mut target = Target {
                    data: &mut data,
                    width_px: width,
                    height_px: height,
                    row_stride: width,
                    plane_stride: width * height,
                    chroma: if what == "frame" {
                        Chroma::Half
                    } else {
                        Chroma::Full
                    },
                };
                resampler.rgb(&frame, bbox, &mut target);
            });
        });
    }
    group.finish();
}

fn track(c: &mut Criterion) {
    for count in [5_usize, 50] {
        let boxes = |n: usize| -> Vec<Detection> {
            (0..count)
                .map(|i| {
                    let (x, y) = ((i % 10) as f32 * 120.0 + n as f32, (i / 10) as f32 * 130.0);
                    Detection {
                        bbox: BoxPx::new(x, y, x + 30.0, y + 30.0),
                        score: 0.9,
                    }
                })
                .collect()
        };
        let frames: Vec<Vec<Detection>> = (0..60).map(boxes).collect();
        let mut tracker = Tracker::new(TrackPlan::default());
        let mut n = 0;
        c.bench_function(&format!("track/update/{count} tracks"), |b| {
            b.iter(|| {
                n += 1;
                tracker.update(
                    Timestamp::from_ticks(n as i64, 30),
                    (1280, 720),
                    &frames[n % 60],
                );
            });
        });
    }
}

fn networks(c: &mut Criterion) {
    let mut config = ConfigFile::default();
    config.models.folder = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    let plan = Plan::resolve(&config).unwrap();
    let runtime = OnnxRuntime::load(Some(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime/libonnxruntime.so"),
    ))
    .unwrap();
    let frame = frame(1280, 720);

    let mut detector = Detector::load(
        &runtime,
        &plan.detector,
        &plan.providers,
        1,
        &plan.detect,
        (1280, 720),
    )
    .unwrap();
    let (width, height) = detector.inputs_px().next().unwrap();
    let mut found = Detections::new();
    c.bench_function(&format!("detect/all/{width}x{height}"), |b| {
        b.iter(|| detector.detect(&frame, &mut found).unwrap());
    });
    c.bench_function(&format!("detect/network/{width}x{height}"), |b| {
        b.iter(|| detector.infer().unwrap())
    });
    c.bench_function(&format!("detect/decode/{width}x{height}"), |b| {
        b.iter(|| detector.decode(&mut found))
    });

    let mut encoder = Encoder::load(&runtime, &plan.encoder, &plan.providers, 1).unwrap();
    let bbox = BoxPx::new(600.3, 200.1, 640.9, 242.0);
    c.bench_function("encode/crop and network/40x42", |b| {
        b.iter(|| {
            encoder.prepare(&frame, bbox);
            encoder.infer().unwrap()[0]
        });
    });
    let bank = PackStore::new(&plan.packs, &plan.encoder.spec.sha256, encoder.dim())
        .best(plan.region)
        .unwrap();
    let embedding = ndarray::Array1::from(encoder.infer().unwrap().to_vec());
    c.bench_function(&format!("match/WORLD/{} rows", bank.rows()), |b| {
        b.iter(|| bank.classify(embedding.view()));
    });
}

/// A pack of so many prompts, as the encoder's rows would lie: at random.
fn pack_of(prompts: usize, classes: usize, dim: usize) -> Pack {
    let mut state = 1_u32;
    let mut rows = ndarray::Array2::from_shape_fn((prompts, dim), |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    for mut row in rows.rows_mut() {
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    let class = |c: usize| ClassInfo {
        key: format!("class_{c}"),
        national_code: None,
        family: Family::Prohibition,
        value: None,
        unit: None,
        label_en: String::new(),
        label_local: String::new(),
    };
    Pack {
        region: RegionCode::WORLD,
        version: String::new(),
        encoder_sha256: String::new(),
        classes: (0..classes).map(class).collect(),
        calibration: Calibration {
            scale: 15.0,
            bias: BTreeMap::new(),
            min_probability: 0.5,
            min_probability_of: BTreeMap::new(),
            min_cosine: 0.2,
        },
        text: Prototypes {
            rows,
            class_of: (0..prompts).map(|i| (i % classes) as u16).collect(),
        },
        image: Prototypes::none(dim),
        rules: None,
        notes: BTreeMap::new(),
    }
}

fn matching(c: &mut Criterion) {
    for (prompts, classes) in [(1_000, 100), (100_000, 1_000)] {
        let pack = pack_of(prompts, classes, 192);
        let bank = pack.bank("").unwrap();
        let embedding = pack.text.rows.row(prompts / 2);
        c.bench_function(&format!("match/{prompts} prompts of 192"), |b| {
            b.iter(|| bank.classify(embedding).probability);
        });
    }
}

criterion_group!(benches, resample, track, matching, networks);
criterion_main!(benches);
