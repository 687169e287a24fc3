//! Where live frames come from: a camera, or a recording played at its own speed.

use std::sync::Arc;

use crate::clock::Clock;
use crate::frame::Frame;
use crate::runtime::stop::Stop;
use crate::source::{FrameSource, Next};
use crate::units::Timestamp;

/// What a camera brought within its deadline.
#[derive(Debug)]
pub enum Shot {
    /// The frame was filled; its `time` is the monotonic time of capture.
    Frame,
    /// Nothing came in time; the camera may still be well.
    Late,
    /// The camera is gone, in words; it is tried again with every call.
    Lost(String),
    /// There will be no more frames.
    End,
}

/// A source of live frames. Every call comes back within about 100 ms, or at once when stopped.
pub trait Camera: Send {
    /// In words, e.g. `/dev/video0, 1280x720 YUYV, 30 frames/s`.
    fn description(&self) -> &str;

    /// Width and height of its frames.
    fn frame_px(&self) -> (u32, u32);

    /// Fills `frame` with the next picture.
    fn shoot(&mut self, frame: &mut Frame, stop: &Stop) -> Shot;
}

/// Opens a recording once more.
type Reopen = Box<dyn Fn() -> Option<Box<dyn FrameSource>> + Send>;

/// A recording as a camera: each frame comes when it is due, later if decoding is too slow.
pub struct PlayedFile {
    source: Box<dyn FrameSource>,
    description: String,
    clock: Arc<dyn Clock>,
    /// Monotonic time of the recording's zero.
    zero: Option<Timestamp>,
    again: Option<Reopen>,
    frames_before: u64,
    next_index: u64,
    last: Timestamp,
}

impl PlayedFile {
    /// From an opened recording.
    pub fn new(source: Box<dyn FrameSource>, clock: Arc<dyn Clock>) -> Self {
        let info = source.info();
        let description = format!("{}, played at its own speed", info.path.display());
        Self {
            source,
            description,
            clock,
            zero: None,
            again: None,
            frames_before: 0,
            next_index: 0,
            last: Timestamp::ZERO,
        }
    }

    /// Starts over at the end, with the source that `again` opens; ends where it gives none.
    pub fn repeated(
        mut self,
        again: impl Fn() -> Option<Box<dyn FrameSource>> + Send + 'static,
    ) -> Self {
        self.again = Some(Box::new(again));
        self
    }

    fn restart(&mut self) -> bool {
        let Some(source) = self.again.as_ref().and_then(|again| again()) else {
            return false;
        };
        self.source = source;
        self.frames_before = self.next_index;
        self.zero = None;
        true
    }
}

impl Camera for PlayedFile {
    fn description(&self) -> &str {
        &self.description
    }

    fn frame_px(&self) -> (u32, u32) {
        let info = self.source.info();
        (info.width_px, info.height_px)
    }

    fn shoot(&mut self, frame: &mut Frame, stop: &Stop) -> Shot {
        match self.source.next_frame(frame) {
            Ok(Next::Frame) => {}
            Ok(Next::End) => {
                // An empty recording would be started over for ever.
                let going_on = self.next_index > self.frames_before && self.restart();
                return if going_on { Shot::Late } else { Shot::End };
            }
            Err(e) => return Shot::Lost(e.to_string()),
        }
        let now = self.clock.now();
        let media = frame.time;
        let zero = *self.zero.get_or_insert_with(|| {
            Timestamp::from_nanos(now.nanos().saturating_sub(media.nanos()))
        });
        let due = Timestamp::from_nanos(zero.nanos().saturating_add(media.nanos()));
        stop.wait_until(due, self.clock.as_ref());
        // As a camera's stamp: when the picture was taken, not when it was decoded.
        frame.time = due.max(self.last);
        frame.index += self.frames_before;
        self.next_index = frame.index + 1;
        self.last = frame.time;
        Shot::Frame
    }
}
