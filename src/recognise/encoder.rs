//! The image encoder: a box of a frame in, an embedding of unit length out.

use crate::frame::Frame;
use crate::frame::resample::{Chroma, Resampler, Target};
use crate::model::{Card, Model, ModelError, OnnxRuntime, Providers};
use crate::units::BoxPx;

/// Whatever ONNX the card describes, from a small net to the full CLIP tower.
pub struct Encoder {
    model: Model,
    width_px: usize,
    height_px: usize,
    context: f32,
    dim: usize,
    resampler: Resampler,
}

impl Encoder {
    /// Loads the card's model.
    pub fn load(
        runtime: &OnnxRuntime,
        card: &Card,
        providers: &Providers,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let [_, _, height_px, width_px] = card.spec.input.shape;
        // Both are there: an encoder's card without them is refused when it is read.
        let context = card.spec.input.context.unwrap_or_default();
        let (output, dim) = (card.spec.output.as_ref())
            .map(|o| (o.name.clone(), o.dim))
            .unwrap_or_default();
        let outputs = [(output, vec![1, dim as i64])];
        let model = Model::load(
            runtime,
            card,
            providers,
            threads,
            (height_px, width_px),
            &outputs,
        )?;
        Ok(Self {
            model,
            width_px,
            height_px,
            context,
            dim,
            resampler: Resampler::default(),
        })
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The model behind it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Brings the box, grown by the card's context, into the model's input.
    pub fn prepare(&mut self, frame: &Frame, bbox: BoxPx) -> &[u8] {
        let grown = bbox
            .grown(self.context)
            .clipped(frame.width_px(), frame.height_px());
        self.resampler.rgb(
            frame,
            grown,
            &mut Target {
                data: self.model.input(),
                width_px: self.width_px,
                height_px: self.height_px,
                row_stride: self.width_px,
                plane_stride: self.width_px * self.height_px,
                chroma: Chroma::Full,
            },
        );
        self.model.input()
    }

    /// Time spent in the network since the last call.
    pub fn take_run_time(&mut self) -> std::time::Duration {
        self.model.take_run_time()
    }

    /// Runs the model on what [`Encoder::prepare`] left.
    pub fn infer(&mut self) -> Result<&[f32], ModelError> {
        self.model.run()?;
        Ok(self.model.output(0))
    }
}
