//! What a person looks at after a replay: the HTML report and the annotated video.

use crate::event::FrameView;
use crate::frame::Frame;

/// Takes every frame of a replay with what was found in it.
pub trait FrameSink: Send {
    /// Takes one frame.
    fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) -> anyhow::Result<()>;
}
