//! Finds sign-like things in a frame: letterbox, inference, decode, non-maximum suppression.

mod budget;
mod decode;

use std::fmt;

use crate::frame::Frame;
use crate::frame::resample::{Chroma, Resampler, Target};
use crate::model::{Card, Model, ModelError, OnnxRuntime, Provider, Providers};
use crate::units::BoxPx;

pub use budget::{ladder, within_budget};
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

/// Which rows of a frame are looked at, and how large.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// The rows are scaled down until their longer side is at most this.
    pub long_side_px: usize,
    /// Rows looked at, as shares of the height: (top, bottom).
    pub band: (f32, f32),
}

impl View {
    fn input_px(&self, card: &Card, frame_px: (u32, u32)) -> (usize, usize) {
        // Checked when the card was read.
        let multiple = card.spec.input.multiple_of_px.unwrap_or(32);
        let band_height = f64::from(frame_px.1) * f64::from(self.band.1 - self.band.0);
        let scale = (self.long_side_px as f64 / f64::from(frame_px.0).max(band_height)).min(1.0);
        let fit = |px: f64| (((px * scale).round() as usize).max(1)).next_multiple_of(multiple);
        (fit(f64::from(frame_px.0)), fit(band_height))
    }
}

/// How frames are put before the model.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectPlan {
    /// Taken in turn, by the number of the frame: the same frame is always seen the same way.
    pub views: Vec<View>,
    /// Weaker boxes are not reported.
    pub threshold: f32,
    /// Of two boxes that overlap more, the weaker goes.
    pub nms_iou: f32,
}

impl DetectPlan {
    /// Width and height of the model's input for each view of frames of `frame_px` (width, height).
    pub fn inputs_px(&self, card: &Card, frame_px: (u32, u32)) -> Vec<(usize, usize)> {
        let views = self.views.iter();
        views.map(|view| view.input_px(card, frame_px)).collect()
    }

    /// The same views, each smaller by `factor`.
    pub fn scaled(&self, factor: f64) -> Self {
        let mut plan = self.clone();
        for view in &mut plan.views {
            view.long_side_px = (view.long_side_px as f64 * factor) as usize;
        }
        plan
    }
}

impl fmt::Display for DetectPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, view) in self.views.iter().enumerate() {
            let join = if i > 0 { " and in turn " } else { "" };
            let (top, bottom) = (100.0 * view.band.0, 100.0 * view.band.1);
            let px = view.long_side_px;
            write!(f, "{join}rows {top:.0}-{bottom:.0} % at {px} px")?;
        }
        Ok(())
    }
}

/// Where the looked-at rows of a frame lie in the model's input.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Letterbox {
    source: BoxPx,
    width_px: usize,
    height_px: usize,
}

/// A view and the model made for its size.
struct Look {
    view: View,
    model: Model,
    levels: Vec<decode::Level>,
    input_px: (usize, usize),
    filled: Option<Letterbox>,
}

/// A detector for frames of one size; others are fitted into the same input.
pub struct Detector {
    looks: Vec<Look>,
    current: usize,
    threshold: f32,
    nms_iou: f32,
    pad: u8,
    resampler: Resampler,
    candidates: Vec<Detection>,
}

impl Detector {
    /// Loads the model, once a view, for frames of `frame_px` (width, height).
    pub fn load(
        runtime: &OnnxRuntime,
        card: &Card,
        providers: &Providers,
        threads: usize,
        plan: &DetectPlan,
        frame_px: (u32, u32),
    ) -> Result<Self, ModelError> {
        let looks = (plan.views.iter())
            .map(|view| Look::load(runtime, card, providers, threads, *view, frame_px))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            looks,
            current: 0,
            threshold: plan.threshold,
            nms_iou: plan.nms_iou,
            pad: card.spec.input.pad_value.unwrap_or_default(),
            resampler: Resampler::default(),
            candidates: Vec::with_capacity(decode::MAX_CANDIDATES),
        })
    }

    /// Another one like it for another thread; the models are loaded once.
    pub fn twin(&self) -> Result<Self, ModelError> {
        let looks = self
            .looks
            .iter()
            .map(Look::twin)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            looks,
            current: 0,
            threshold: self.threshold,
            nms_iou: self.nms_iou,
            pad: self.pad,
            resampler: Resampler::default(),
            candidates: Vec::with_capacity(decode::MAX_CANDIDATES),
        })
    }

    /// Width and height of the model's input, a view.
    pub fn inputs_px(&self) -> impl Iterator<Item = (usize, usize)> {
        self.looks.iter().map(|look| look.input_px)
    }

    /// Which provider runs the model.
    pub fn provider(&self) -> Provider {
        self.looks
            .first()
            .map_or(Provider::Cpu, |look| look.model.provider())
    }

    /// Brings the frame, or the part of it whose turn it is, into the model's input.
    pub fn prepare(&mut self, frame: &Frame) {
        self.current = (frame.index % self.looks.len() as u64) as usize;
        let look = &mut self.looks[self.current];
        let letterbox = look.letterbox(frame);
        let (width, height) = look.input_px;
        let input = look.model.input();
        if look.filled != Some(letterbox) {
            input.fill(self.pad);
            look.filled = Some(letterbox);
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
        self.looks[self.current].model.run()
    }

    /// Reads the boxes of the last inference, in pixels of the frame that was prepared.
    pub fn decode(&mut self, out: &mut Detections) {
        out.clear();
        let look = &self.looks[self.current];
        let Some(letterbox) = look.filled else { return };
        self.candidates.clear();
        for (i, level) in look.levels.iter().enumerate() {
            level.candidates(look.model.output(i), self.threshold, &mut self.candidates);
        }
        decode::suppress(&mut self.candidates, self.nms_iou, out);
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
}

impl Look {
    fn load(
        runtime: &OnnxRuntime,
        card: &Card,
        providers: &Providers,
        threads: usize,
        view: View,
        frame_px: (u32, u32),
    ) -> Result<Self, ModelError> {
        let (width, height) = view.input_px(card, frame_px);
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
            view,
            model,
            levels,
            input_px: (width, height),
            filled: None,
        })
    }

    fn twin(&self) -> Result<Self, ModelError> {
        Ok(Self {
            view: self.view,
            model: self.model.twin()?,
            levels: self.levels.clone(),
            input_px: self.input_px,
            filled: None,
        })
    }

    fn letterbox(&self, frame: &Frame) -> Letterbox {
        let (w, h) = (frame.width_px() as f32, frame.height_px() as f32);
        // Whole even rows, so that luma and chroma start together.
        let row = |share: f32| (h * share / 2.0).round() * 2.0;
        let source = BoxPx::new(0.0, row(self.view.band.0), w, row(self.view.band.1).min(h));
        let (width, height) = self.input_px;
        let scale = (width as f32 / source.width().max(1.0))
            .min(height as f32 / source.height().max(1.0))
            .min(1.0)
            .min(self.view.long_side_px as f32 / source.longer_side().max(1.0));
        let side = |px: f32, limit: usize| ((px * scale).round() as usize).clamp(1, limit);
        Letterbox {
            source,
            width_px: side(source.width(), width),
            height_px: side(source.height(), height),
        }
    }
}
