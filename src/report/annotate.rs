//! The video of a replay with boxes and names drawn on it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::FrameSink;
use crate::draw::annotate::Annotator;
use crate::event::FrameView;
use crate::frame::Frame;
use crate::media::H264Writer;
use crate::source::SourceInfo;

/// Draws and encodes; see the module.
pub struct AnnotatedVideo {
    path: PathBuf,
    rate_hz: f32,
    writer: Option<H264Writer>,
    annotator: Annotator,
    title: String,
}

impl AnnotatedVideo {
    /// For a source; the file is made with the first frame, whose colours it takes over.
    pub fn create(path: &Path, source: &SourceInfo) -> Self {
        let rate_hz = match (source.frames, source.duration) {
            (Some(frames), Some(duration)) if duration.seconds() > 0.0 => {
                (frames as f64 / duration.seconds()).clamp(1.0, 240.0) as f32
            }
            _ => 30.0,
        };
        Self {
            path: path.to_owned(),
            rate_hz,
            writer: None,
            annotator: Annotator::default(),
            title: String::new(),
        }
    }

    /// Makes the file whole. Without a frame there is none.
    pub fn finish(self) -> anyhow::Result<()> {
        self.writer.map_or(Ok(()), H264Writer::finish)
    }
}

impl FrameSink for AnnotatedVideo {
    fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) -> anyhow::Result<()> {
        self.title.clear();
        // Writing to a string does not fail.
        let _ = write!(self.title, "{} {:.2} s", view.region, frame.time.seconds());
        let drawn = self.annotator.draw(frame, view.tracks, &self.title);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(H264Writer::create(&self.path, self.rate_hz, drawn.colour)?),
        };
        writer.frame(drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Naming, TrackView};
    use crate::frame::PixelFormat;
    use crate::source::{self, Next, OpenOptions};
    use crate::units::{BoxPx, RegionCode, Timestamp, TrackId};

    fn info() -> SourceInfo {
        SourceInfo {
            path: PathBuf::from("a"),
            description: String::new(),
            width_px: 160,
            height_px: 120,
            frames: None,
            duration: None,
        }
    }

    #[test]
    fn boxes_partly_outside_are_drawn_and_every_frame_is_kept() {
        for format in [PixelFormat::I420, PixelFormat::Rgb8] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.mp4");
            let mut video = AnnotatedVideo::create(&path, &info());
            for n in 0..4 {
                let mut frame = Frame::default();
                frame.index = n;
                frame.time = Timestamp::from_ticks(n as i64, 10);
                frame.reset(format, 160, 120).fill(100);
                let track = TrackView {
                    track: TrackId(3),
                    bbox: BoxPx::new(100.0, 60.0, 190.0, 90.0),
                    naming: Naming::UnknownSign,
                    probability: 0.5,
                    detected: true,
                    placement: None,
                };
                let view = FrameView {
                    tracks: &[track],
                    events: &[],
                    region: RegionCode::WORLD,
                    position_deg: None,
                    swap_took: None,
                };
                video.frame(&frame, &view).unwrap();
            }
            video.finish().unwrap();
            let mut source = source::open(&path, &OpenOptions::default()).unwrap();
            let mut frame = Frame::default();
            let mut frames = 0;
            while source.next_frame(&mut frame).unwrap() == Next::Frame {
                frames += 1;
                // The left edge of the box, on the grey ground.
                let luma = frame.planes()[0][75 * 160 + 100];
                assert!(luma > 140, "{luma}");
            }
            assert_eq!(frames, 4);
        }
    }
}
