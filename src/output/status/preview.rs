//! A picture of what a camera sees now, for whoever knows the token. While nobody asks, nothing is copied.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use image::codecs::jpeg::JpegEncoder;
use sha2::{Digest as _, Sha256};

use crate::draw::annotate::Annotator;
use crate::event::{FrameView, TrackView};
use crate::frame::resample::crop_rgb;
use crate::frame::{Frame, PixelFormat};
use crate::units::{BoxPx, RegionCode};

/// The longer side of the picture.
const LONG_SIDE_PX: u32 = 960;
const QUALITY: u8 = 80;

/// Between the recognition, which has the frames, and the status page, which is asked for them.
pub struct Preview {
    /// Its digest: comparing digests takes no longer for a better guess.
    token: [u8; 32],
    cameras: Vec<Option<Arc<str>>>,
    /// The camera that is asked for, counted from 1; 0 for none.
    wanted: AtomicUsize,
    sight: Mutex<Option<Sight>>,
}

/// A copy of a frame with what was found in it.
pub(super) struct Sight {
    frame: Frame,
    tracks: Vec<TrackView>,
    region: RegionCode,
}

impl Preview {
    /// Of these cameras, in the order of the recognition.
    pub fn new(token: &str, cameras: Vec<Option<Arc<str>>>) -> Self {
        Self {
            token: Sha256::digest(token).into(),
            cameras,
            wanted: AtomicUsize::new(0),
            sight: Mutex::new(None),
        }
    }

    /// From the recognition: a frame and what was found in it. Costs a copy when it was asked for.
    pub fn offer(&self, camera: usize, frame: &Frame, view: &FrameView<'_>) {
        if self.wanted.load(Ordering::Relaxed) != camera + 1 {
            return;
        }
        self.wanted.store(0, Ordering::Relaxed);
        *self.lock() = Some(Sight {
            frame: frame.copied(),
            tracks: view.tracks.to_vec(),
            region: view.region,
        });
    }

    pub(super) fn allows(&self, token: Option<&str>) -> bool {
        token.is_some_and(|token| <[u8; 32]>::from(Sha256::digest(token)) == self.token)
    }

    /// Asks for a frame of the camera with this name, or of the first; false where there is none.
    pub(super) fn want(&self, name: Option<&str>) -> bool {
        let named = |own: &Option<Arc<str>>| name.is_none() || own.as_deref() == name;
        let Some(camera) = self.cameras.iter().position(named) else {
            return false;
        };
        *self.lock() = None;
        self.wanted.store(camera + 1, Ordering::Relaxed);
        true
    }

    pub(super) fn take(&self) -> Option<Sight> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sight>> {
        // What is guarded is replaced whole.
        self.sight.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Sight {
    /// With boxes and names drawn on it.
    pub fn jpeg(&self) -> image::ImageResult<Vec<u8>> {
        let (width, height) = (self.frame.width_px() as f32, self.frame.height_px() as f32);
        let scale = (LONG_SIDE_PX as f32 / width.max(height)).min(1.0);
        let small = picture(&self.frame, scale);
        let mut frame = Frame::default();
        let pixels = frame.reset(PixelFormat::Rgb8, small.width(), small.height());
        pixels.copy_from_slice(&small);
        let mut tracks = self.tracks.clone();
        for track in &mut tracks {
            let BoxPx { x0, y0, x1, y1 } = track.bbox;
            track.bbox = BoxPx::new(x0 * scale, y0 * scale, x1 * scale, y1 * scale);
        }
        let mut annotator = Annotator::default();
        let drawn = annotator.draw(&frame, &tracks, &self.region.to_string());
        let mut bytes = Vec::new();
        picture(drawn, 1.0)
            .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
        Ok(bytes)
    }
}

fn picture(frame: &Frame, scale: f32) -> image::RgbImage {
    let (width, height) = (frame.width_px() as f32, frame.height_px() as f32);
    let long_side_px = (width.max(height) * scale).round() as u32;
    crop_rgb(frame, BoxPx::new(0.0, 0.0, width, height), long_side_px)
}
