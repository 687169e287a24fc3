//! A pipeline with our sink at its end: started, asked for pictures, stopped.

use std::path::Path;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;

/// Formats that frames are read in, best first.
const FORMATS: [&str; 6] = ["NV12", "I420", "YUY2", "UYVY", "RGB", "GRAY8"];
const SINK: &str = "tsedge";
/// Pictures that wait for us; more would be old before they are looked at.
const WAITING: u32 = 2;
/// Whatever GStreamer has a decoder for, upright, in a format of ours.
const OF_FILE: &str =
    "filesrc name=file ! decodebin ! videoflip video-direction=auto ! videoconvert";

/// What a pipeline brought.
pub(super) enum Pulled {
    Sample(gst::Sample),
    /// Nothing in time.
    Nothing,
    /// It has ended.
    End,
    /// It failed, in words.
    Failed(String),
}

/// Stopped when dropped.
pub(super) struct Pipeline {
    pipeline: gst::Pipeline,
    sink: AppSink,
}

impl Pipeline {
    /// Checks a pipeline's words and that its elements are installed; nothing is opened yet.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        gst::init().map_err(|e| e.to_string())?;
        if text.is_empty() {
            return Err("the pipeline is empty".to_owned());
        }
        if text.contains("appsink") {
            return Err(
                "the sink is added by tsedge: end the pipeline before `! appsink`".to_owned(),
            );
        }
        let whole = format!("{text} ! appsink name={SINK}");
        let parsed = gst::parse::launch(&whole).map_err(|e| e.message().to_owned())?;
        let pipeline = (parsed.downcast::<gst::Pipeline>())
            .map_err(|_| "is a single element, not a pipeline".to_owned())?;
        let sink = pipeline
            .by_name(SINK)
            .and_then(|s| s.downcast::<AppSink>().ok());
        let sink = sink.ok_or("has no end that the sink could be put to")?;
        let caps = gst::Caps::builder("video/x-raw").field("format", gst::List::new(FORMATS));
        sink.set_caps(Some(&caps.build()));
        // Frames are taken as they come; who waits is the caller.
        sink.set_sync(false);
        sink.set_max_buffers(WAITING);
        sink.set_drop(false);
        Ok(Self { pipeline, sink })
    }

    /// For any file.
    pub(super) fn of_file(path: &Path) -> Result<Self, String> {
        let pipeline = Self::parse(OF_FILE)?;
        let source = pipeline.pipeline.by_name("file");
        let source = source.ok_or("has no file source")?;
        source.set_property("location", path.to_str().ok_or("the name is not UTF-8")?);
        Ok(pipeline)
    }

    pub(super) fn start(&self) -> Result<(), String> {
        let started = self.pipeline.set_state(gst::State::Playing);
        started.map(drop).map_err(|_| {
            self.fault()
                .unwrap_or_else(|| "cannot be started".to_owned())
        })
    }

    /// The next picture, waiting for `patience` at most.
    pub(super) fn pull(&self, patience: Duration) -> Pulled {
        let patience = gst::ClockTime::try_from(patience).unwrap_or(gst::ClockTime::SECOND);
        if let Some(sample) = self.sink.try_pull_sample(patience) {
            return Pulled::Sample(sample);
        }
        match self.fault() {
            Some(words) => Pulled::Failed(words),
            None if self.sink.is_eos() => Pulled::End,
            None => Pulled::Nothing,
        }
    }

    /// How long ago a picture was taken, by the pipeline's clock.
    pub(super) fn age(&self, sample: &gst::Sample) -> Option<Duration> {
        let shown = sample.buffer()?.pts()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let taken = segment.to_running_time(shown)?;
        let now = self.pipeline.current_running_time()?;
        Some(now.saturating_sub(taken).into())
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        self.pipeline
            .query_duration::<gst::ClockTime>()
            .map(Into::into)
    }

    /// The first error that an element told since the last call.
    fn fault(&self) -> Option<String> {
        let bus = self.pipeline.bus()?;
        let message = bus.pop_filtered(&[gst::MessageType::Error])?;
        let gst::MessageView::Error(error) = message.view() else {
            return None;
        };
        let element = error.src().map(|s| format!("{}: ", s.name()));
        Some(format!(
            "{}{}",
            element.unwrap_or_default(),
            error.error().message()
        ))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // One that cannot be stopped has failed already.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
