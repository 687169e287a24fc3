//! Where frames come from. A source knows time stamps and pixel formats, nothing of signs.

mod avi;
pub mod camera;
pub mod camera_plan;
#[cfg(feature = "ffmpeg")]
mod ffmpeg;
mod fields;
mod folder;
pub mod gst;
mod h264;
mod h264_params;
mod mjpeg;
mod mp4;
pub mod rtsp;
mod unsupported;
mod upright;
pub mod v4l2;
mod video;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::frame::Frame;
use crate::units::Timestamp;

/// What a source knows before its first frame.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// The file or folder.
    pub path: PathBuf,
    /// Container and codec in words, e.g. `MP4, H.264 High`.
    pub description: String,
    /// Upright width in pixels (after the rotation flag).
    pub width_px: u32,
    /// Upright height in pixels.
    pub height_px: u32,
    /// Frames to expect, where the container says so.
    pub frames: Option<u64>,
    /// Length in time, where the container says so.
    pub duration: Option<Timestamp>,
}

/// What was lost on the way, gathered while reading; empty for a sound file.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    /// Frames that could not be given, as far as can be counted.
    pub lost_frames: u64,
    /// One line each: where and what.
    pub notes: Vec<String>,
}

impl Damage {
    /// Nothing was lost.
    pub fn is_none(&self) -> bool {
        self.lost_frames == 0 && self.notes.is_empty()
    }
}

/// What [`FrameSource::next_frame`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The frame was filled.
    Frame,
    /// There are no more frames; every later call says so again.
    End,
}

/// A stream of upright frames whose `index` counts from 0 and whose `time` never goes back.
pub trait FrameSource: Send {
    /// What is known of the stream.
    fn info(&self) -> &SourceInfo;

    /// Fills `frame`, reusing its buffer. Damage that can be survived is skipped and noted, never an error.
    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, SourceError>;

    /// What was lost so far.
    fn damage(&self) -> &Damage;
}

/// How to open a source.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// A good recording of the same camera, whose parameters salvage one without an index.
    pub like: Option<PathBuf>,
    /// Images a second of a folder of images.
    pub image_rate_hz: f64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            like: None,
            image_rate_hz: 10.0,
        }
    }
}

/// Opens a video file, an image or a folder of images; its kind is told from the content, not from the name.
/// `gst:` and a pipeline of GStreamer opens what comes out of it.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    if let Some(pipeline) = gst::pipeline_of(path) {
        return gst::open(pipeline);
    }
    if path.is_dir() {
        let folder = folder::FolderSource::open(path, options.image_rate_hz)?;
        return Ok(Box::new(folder));
    }
    let mut file = File::open(path).map_err(|e| SourceError::io(path, e))?;
    let head = read_head(&mut file, path)?;
    if head.starts_with(b"\xff\xd8\xff") || head.starts_with(b"\x89PNG") {
        let images = vec![path.to_owned()];
        let image = folder::FolderSource::of_images(path, images, options.image_rate_hz)?;
        return Ok(Box::new(image));
    }
    let opened = open_stream(file, path, options);
    #[cfg(feature = "ffmpeg")]
    if let Err(SourceError::Unsupported { .. }) = opened {
        return Ok(Box::new(ffmpeg::FfmpegSource::open(path)?));
    }
    match opened {
        Err(why @ SourceError::Unsupported { .. }) => gst::open_other(path, why),
        opened => opened,
    }
}

/// Opens video bytes from anywhere; `path` names them in messages.
pub fn open_stream<R: Read + Seek + Send + 'static>(
    mut stream: R,
    path: &Path,
    options: &OpenOptions,
) -> Result<Box<dyn FrameSource>, SourceError> {
    let head = read_head(&mut stream, path)?;
    if mp4::recognises(&head) {
        return mp4::open(stream, path, options);
    }
    if avi::recognises(&head) {
        return avi::open(stream, path);
    }
    Err(SourceError::Unsupported {
        path: path.to_owned(),
        what: unsupported::container(&head),
    })
}

fn read_head(stream: &mut (impl Read + Seek), path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    stream
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .and_then(|_| stream.seek(SeekFrom::Start(0)))
        .map_err(|e| SourceError::io(path, e))?;
    Ok(head)
}

/// Enough to tell one container from another.
const HEAD_BYTES: u64 = 512;

/// Why a source cannot be opened or read on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The container cannot be understood.
    #[error("{} byte {offset}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong and what to do about it.
        what: String,
    },
    /// The content is sound, but of a kind this build does not read.
    #[error("{}: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The kind, and the feature or tool that helps.
        what: String,
    },
}

impl SourceError {
    /// An input error on `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}
