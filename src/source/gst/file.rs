//! A pipeline that ends, read as a recording: every picture, in order, at its media time.

use std::path::Path;
use std::time::Duration;

use gstreamer as gst;

use super::super::video::Ledger;
use super::super::{Damage, FrameSource, Next, SourceError, SourceInfo};
use super::picture::{fill, size_of};
use super::pipeline::{Pipeline, Pulled};
use crate::frame::Frame;
use crate::units::Timestamp;

/// A pipeline that brings nothing for so long will bring nothing more.
const STALL: Duration = Duration::from_secs(10);

pub(super) struct GstFile {
    info: SourceInfo,
    pipeline: Pipeline,
    /// The one that told the size.
    first: Option<gst::Sample>,
    first_time: Option<i64>,
    last: Timestamp,
    given: u64,
    ended: bool,
    ledger: Ledger,
}

impl GstFile {
    pub(super) fn open(path: &Path, pipeline: Pipeline) -> Result<Self, String> {
        pipeline.start()?;
        let first = match pipeline.pull(STALL) {
            Pulled::Sample(sample) => sample,
            Pulled::Failed(words) => return Err(words),
            Pulled::End => return Err("there is no picture in it".to_owned()),
            Pulled::Nothing => return Err("brings no picture".to_owned()),
        };
        let (width_px, height_px) = size_of(&first).ok_or("its pictures have no size")?;
        let duration = pipeline.duration();
        Ok(Self {
            info: SourceInfo {
                path: path.to_owned(),
                description: "GStreamer".to_owned(),
                width_px,
                height_px,
                frames: None,
                duration: duration.map(|d| Timestamp::from_seconds(d.as_secs_f64())),
            },
            pipeline,
            first: Some(first),
            first_time: None,
            last: Timestamp::ZERO,
            given: 0,
            ended: false,
            ledger: Ledger::default(),
        })
    }

    fn stamp(&mut self, sample: &gst::Sample, frame: &mut Frame) {
        let shown = sample.buffer().and_then(gst::BufferRef::pts);
        if let Some(shown) = shown {
            let nanos = i64::try_from(shown.nseconds()).unwrap_or(i64::MAX);
            let first = *self.first_time.get_or_insert(nanos);
            let since = Timestamp::from_nanos(nanos.saturating_sub(first));
            self.last = self.last.max(since);
        }
        frame.time = self.last;
        frame.index = self.given;
        self.given += 1;
    }
}

impl FrameSource for GstFile {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        while !self.ended {
            let pulled = match self.first.take() {
                Some(sample) => Pulled::Sample(sample),
                None => self.pipeline.pull(STALL),
            };
            match pulled {
                Pulled::Sample(sample) => match fill(&sample, frame) {
                    Ok(()) => {
                        self.stamp(&sample, frame);
                        return Ok(Next::Frame);
                    }
                    Err(words) => {
                        self.ledger.lose(1);
                        self.ledger.note(|| format!("GStreamer: {words}"));
                    }
                },
                Pulled::End => self.ended = true,
                Pulled::Failed(words) => {
                    self.ended = true;
                    self.ledger.note(|| format!("GStreamer: {words}"));
                }
                Pulled::Nothing => {
                    self.ended = true;
                    let after = self.given;
                    let line = || format!("GStreamer: nothing more came after {after} frames");
                    self.ledger.note(line);
                }
            }
        }
        Ok(Next::End)
    }

    fn damage(&self) -> &Damage {
        self.ledger.damage()
    }
}
