//! Finds sign-like things in a frame: letterbox, inference, decode, non-maximum suppression.

mod decode;

use crate::frame::Frame;
use crate::frame::resample::{Chroma, Resampler, Target};
use crate::model::{Card, Model, ModelError, OnnxRuntime, Provider};
use crate::units::BoxPx;

pub use decode::MAX_DETECTIONS;

/// A box that may hold a sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Where, in frame pixels.
    pub bbox: BoxPx,
    /// How sure, 0 to 1.
    pub score: f32,
}

/// All detections of a frame, best first.
pub type Detections = heapless::Vec<Detection, MAX_DETECTIONS>;

/// How the frame is put before the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectPlan {
    /// The frame is scaled down until its longer side is at most this.
    pub long_side_px: usize,
    /// Rows looked at, as shares of the height: (top, bottom).
    pub band: (f32, f32),
    /// Weaker boxes are not reported.
    pub threshold: f32,
    /// Of two boxes that overlap more, the weaker goes.
    pub nms_iou: f32,
}

/// Where the looked-at rows of a frame lie in the model's input.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Letterbox {
    source: BoxPx,
    width_px: usize,
    height_px: usize,
}

/// A detector for frames of one size; others are fitted into the same input.
pub struct Detector {
    model: Model,
    plan: DetectPlan,
    levels: Vec<decode::Level>,
    input_px: (usize, usize),
    pad: u8,
    filled: Option<Letterbox>,
    resampler: Resampler,
    candidates: Vec<Detection>,
}

impl Detector {
    /// Loads the model for frames of `frame_px` (width, height).
    pub fn load(
        runtime: &OnnxRuntime,
        card: &Card,
        providers: &[Provider],
        threads: usize,
        plan: DetectPlan,
        frame_px: (u32, u32),
    ) -> Result<Self, ModelError> {
        // Checked when the card was read.
        let multiple = card.spec.input.multiple_of_px.unwrap_or(32);
        let band_height = f64::from(frame_px.1) * f64::from(plan.band.1 - plan.band.0);
        let scale = (plan.long_side_px as f64 / f64::from(frame_px.0).max(band_height)).min(1.0);
        let fit = |px: f64| (((px * scale).round() as usize).max(1)).next_multiple_of(multiple);
        let (width, height) = (fit(f64::from(frame_px.0)), fit(band_height));
        let levels: Vec<decode::Level> = (card.spec.outputs.iter())
            .map(|o| decode::Level {
                stride_px: o.stride_px,
                columns: width / o.stride_px,
                rows: height / o.stride_px,
            })
            .collect();
        let outputs: Vec<(String, Vec<i64>)> = (card.spec.outputs.iter().zip(&levels))
            .map(|(o, l)| (o.name.clone(), vec![1, 5, l.rows as i64, l.columns as i64]))
            .collect();
        let model = Model::load(runtime, card, providers, threads, (height, width), &outputs)?;
        Ok(Self {
            model,
            plan,
            levels,
            input_px: (width, height),
            pad: card.spec.input.pad_value.unwrap_or_default(),
            filled: None,
            resampler: Resampler::default(),
            candidates: Vec::with_capacity(decode::MAX_CANDIDATES),
        })
    }

    /// Another one like it for another thread; the model is loaded once.
    pub fn twin(&self) -> Result<Self, ModelError> {
        Ok(Self {
            model: self.model.twin()?,
            plan: self.plan,
            levels: self.levels.clone(),
            input_px: self.input_px,
            pad: self.pad,
            filled: None,
            resampler: Resampler::default(),
            candidates: Vec::with_capacity(decode::MAX_CANDIDATES),
        })
    }

    /// Width and height of the model's input.
    pub fn input_px(&self) -> (usize, usize) {
        self.input_px
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Brings the frame into the model's input.
    pub fn prepare(&mut self, frame: &Frame) {
        let letterbox = self.letterbox(frame);
        let (width, height) = self.input_px;
        let input = self.model.input();
        if self.filled != Some(letterbox) {
            input.fill(self.pad);
            self.filled = Some(letterbox);
        }
        self.resampler.rgb(
            frame,
            letterbox.source,
            &mut Target {
                data: input,
                width_px: letterbox.width_px,
                height_px: letterbox.height_px,
                row_stride: width,
                plane_stride: width * height,
                chroma: Chroma::Half,
            },
        );
    }

    /// Runs the model on what [`Detector::prepare`] left.
    pub fn infer(&mut self) -> Result<(), ModelError> {
        self.model.run()
    }

    /// Reads the boxes of the last inference, in pixels of the frame that was prepared.
    pub fn decode(&mut self, out: &mut Detections) {
        out.clear();
        let Some(letterbox) = self.filled else { return };
        self.candidates.clear();
        for (i, level) in self.levels.iter().enumerate() {
            level.candidates(
                self.model.output(i),
                self.plan.threshold,
                &mut self.candidates,
            );
        }
        decode::suppress(&mut self.candidates, self.plan.nms_iou, out);
        let source = letterbox.source;
        let (sx, sy) = (
            source.width() / letterbox.width_px as f32,
            source.height() / letterbox.height_px as f32,
        );
        for d in out.iter_mut() {
            let b = d.bbox;
            d.bbox = BoxPx::new(
                (source.x0 + b.x0 * sx).clamp(source.x0, source.x1),
                (source.y0 + b.y0 * sy).clamp(source.y0, source.y1),
                (source.x0 + b.x1 * sx).clamp(source.x0, source.x1),
                (source.y0 + b.y1 * sy).clamp(source.y0, source.y1),
            );
        }
        out.retain(|d| d.bbox.is_usable());
    }

    /// All three steps.
    pub fn detect(&mut self, frame: &Frame, out: &mut Detections) -> Result<(), ModelError> {
        self.prepare(frame);
        self.infer()?;
        self.decode(out);
        Ok(())
    }

    fn letterbox(&self, frame: &Frame) -> Letterbox {
        let (w, h) = (frame.width_px() as f32, frame.height_px() as f32);
        // Whole even rows, so that luma and chroma start together.
        let row = |share: f32| (h * share / 2.0).round() * 2.0;
        let source = BoxPx::new(0.0, row(self.plan.band.0), w, row(self.plan.band.1).min(h));
        let (width, height) = self.input_px;
        let scale = (width as f32 / source.width().max(1.0))
            .min(height as f32 / source.height().max(1.0))
            .min(1.0)
            .min(self.plan.long_side_px as f32 / source.longer_side().max(1.0));
        let side = |px: f32, limit: usize| ((px * scale).round() as usize).clamp(1, limit);
        Letterbox {
            source,
            width_px: side(source.width(), width),
            height_px: side(source.height(), height),
        }
    }
}
