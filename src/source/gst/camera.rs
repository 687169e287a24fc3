//! A pipeline as a camera: started, lost and started anew as others are.

use std::sync::Arc;
use std::time::Duration;

use gstreamer as gst;

use super::super::camera::{Camera, Loss, Missed, STALL, Shot};
use super::GstPlan;
use super::picture::{fill, size_of};
use super::pipeline::{Pipeline, Pulled};
use crate::clock::Clock;
use crate::frame::Frame;
use crate::units::Timestamp;

/// Hardware may take its time for the first picture.
const FIRST: Duration = Duration::from_secs(5);

pub(super) struct GstCamera {
    plan: GstPlan,
    clock: Arc<dyn Clock>,
    description: String,
    frame_px: (u32, u32),
    open: Option<Open>,
    loss: Loss,
    frames: u64,
    missed: Missed,
    last: Timestamp,
}

/// While it runs.
struct Open {
    pipeline: Pipeline,
    /// The one that told the size.
    first: Option<gst::Sample>,
    patient_until: Timestamp,
}

impl GstCamera {
    pub(super) fn new(plan: GstPlan, clock: Arc<dyn Clock>) -> Self {
        let mut camera = Self {
            description: format!("GStreamer: {}", plan.pipeline),
            frame_px: plan.size_px,
            plan,
            clock,
            open: None,
            loss: Loss::default(),
            frames: 0,
            missed: Missed::default(),
            last: Timestamp::ZERO,
        };
        // So that its size is known before the detector is made; a failure is told by the first shot.
        if let Ok(mut open) = camera.start() {
            if let Pulled::Sample(sample) = open.pipeline.pull(FIRST) {
                camera.frame_px = size_of(&sample).unwrap_or(camera.frame_px);
                open.first = Some(sample);
            }
            camera.open = Some(open);
        }
        camera
    }

    fn start(&self) -> Result<Open, String> {
        let pipeline = Pipeline::parse(&self.plan.pipeline)?;
        pipeline.start()?;
        Ok(Open {
            pipeline,
            first: None,
            patient_until: later(self.clock.now(), FIRST),
        })
    }

    fn lose(&mut self, why: String) -> Shot {
        self.open = None;
        let why = format!("{}: {why}", self.description);
        self.loss.begins(self.clock.now(), why)
    }
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(from.nanos().saturating_add(by))
}

impl Camera for GstCamera {
    fn description(&self) -> &str {
        &self.description
    }

    fn frame_px(&self) -> (u32, u32) {
        self.frame_px
    }

    fn shoot(&mut self, frame: &mut Frame, patience: Duration) -> Shot {
        if self.open.is_none() {
            if let Some(lost) = self.loss.pause(self.clock.now()) {
                return lost;
            }
            match self.start() {
                Ok(open) => self.open = Some(open),
                Err(words) => return self.lose(words),
            }
        }
        let Some(open) = &mut self.open else {
            return Shot::Late;
        };
        let pulled = match open.first.take() {
            Some(sample) => Pulled::Sample(sample),
            None => open.pipeline.pull(patience),
        };
        let arrived = self.clock.now();
        let sample = match pulled {
            Pulled::Sample(sample) => sample,
            Pulled::Nothing if arrived < open.patient_until => return Shot::Late,
            Pulled::Nothing => return self.lose("no picture".to_owned()),
            Pulled::End => return self.lose("the pipeline has ended".to_owned()),
            Pulled::Failed(words) => return self.lose(words),
        };
        let age = open.pipeline.age(&sample).unwrap_or_default();
        if let Err(words) = fill(&sample, frame) {
            self.missed.damaged += 1;
            if arrived < open.patient_until {
                return Shot::Late;
            }
            return self.lose(words.to_string());
        }
        open.patient_until = later(arrived, STALL);
        let captured = arrived.nanos().saturating_sub(age.as_nanos() as i64);
        frame.time = Timestamp::from_nanos(captured).max(self.last);
        frame.index = self.frames;
        self.frames += 1;
        self.last = frame.time;
        self.loss.ends();
        Shot::Frame
    }

    fn take_missed(&mut self) -> Missed {
        std::mem::take(&mut self.missed)
    }
}
