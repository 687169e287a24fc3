//! A recording as a camera, played at its own speed.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::frame::Frame;
use crate::source::camera::{Camera, Missed, Shot};
use crate::source::{Damage, FrameSource, Next, SourceError, SourceInfo};
use crate::units::Timestamp;

/// Opens a recording once more.
type Reopen = Box<dyn Fn() -> Option<Box<dyn FrameSource>> + Send>;

/// Each frame comes when it is due, later if decoding is too slow.
pub struct PlayedFile {
    source: Box<dyn FrameSource>,
    description: String,
    clock: Arc<dyn Clock>,
    /// Monotonic time of the recording's zero.
    zero: Option<Timestamp>,
    /// Decoded, not yet due.
    next: Option<Frame>,
    again: Option<Reopen>,
    frames_before: u64,
    next_index: u64,
    last: Timestamp,
    missed: Missed,
    /// Frames that the recording has lost so far.
    lost: u64,
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
            next: None,
            again: None,
            frames_before: 0,
            next_index: 0,
            last: Timestamp::ZERO,
            missed: Missed::default(),
            lost: 0,
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
        // An empty recording would be started over for ever.
        let empty = self.next_index <= self.frames_before;
        let Some(again) = self.again.as_ref().filter(|_| !empty) else {
            return false;
        };
        // The old decoder goes before the new one comes: side by side they would leave holes in memory.
        self.source = Box::new(Over(self.source.info().clone(), Damage::default()));
        let Some(source) = again() else {
            return false;
        };
        self.source = source;
        self.frames_before = self.next_index;
        (self.zero, self.lost) = (None, 0);
        true
    }

    /// Decodes the next frame and works out when it is due.
    fn decode(&mut self, frame: &mut Frame) -> Shot {
        let next = self.source.next_frame(frame);
        let lost = self.source.damage().lost_frames;
        self.missed.damaged += lost.saturating_sub(self.lost);
        self.lost = lost;
        match next {
            Ok(Next::Frame) => {}
            Ok(Next::End) => {
                return if self.restart() {
                    Shot::Late
                } else {
                    Shot::End
                };
            }
            Err(e) => return Shot::Lost(e.to_string()),
        }
        let (now, media) = (self.clock.now().nanos(), frame.time.nanos());
        let zero = *(self.zero).get_or_insert(Timestamp::from_nanos(now.saturating_sub(media)));
        let due = Timestamp::from_nanos(zero.nanos().saturating_add(media));
        // As a camera's stamp: when the picture was taken, not when it was decoded.
        frame.time = due.max(self.last);
        frame.index += self.frames_before;
        self.next_index = frame.index + 1;
        self.last = frame.time;
        Shot::Frame
    }
}

/// A recording that was played.
struct Over(SourceInfo, Damage);

impl FrameSource for Over {
    fn info(&self) -> &SourceInfo {
        &self.0
    }

    fn next_frame(&mut self, _: &mut Frame) -> Result<Next, SourceError> {
        Ok(Next::End)
    }

    fn damage(&self) -> &Damage {
        &self.1
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

    #[allow(clippy::disallowed_methods)] // the recording's own pace
    fn shoot(&mut self, frame: &mut Frame, patience: Duration) -> Shot {
        if let Some(next) = &mut self.next {
            std::mem::swap(frame, next);
        } else {
            match self.decode(frame) {
                Shot::Frame => {}
                other => return other,
            }
        }
        let left_s = frame.time.seconds_since(self.clock.now());
        if left_s > patience.as_secs_f64() {
            std::thread::sleep(patience);
            let kept = self.next.get_or_insert_with(Frame::default);
            std::mem::swap(frame, kept);
            return Shot::Late;
        }
        if left_s > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(left_s));
        }
        self.next = None;
        Shot::Frame
    }
    fn take_missed(&mut self) -> Missed {
        std::mem::take(&mut self.missed)
    }
}
