//! Writing video: H.264 in MP4, frame by frame, with flat memory and the same bytes on every run.

mod h264;
mod mp4;

pub use h264::H264Writer;
