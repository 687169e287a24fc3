//! JPEG pictures of a video, each on its own. Cameras that leave out the Huffman tables mean the standard's.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::upright::Rotation;
use super::video::{Decode, Decoded, Packet};
use crate::frame::{Frame, PixelFormat};
use crate::units::Timestamp;

/// Bounds what a hostile header can make the decoder allocate.
const MAX_SIDE_PX: usize = 8192;
const MAX_PIXELS: usize = 36 << 20;

/// Decodes MJPEG to RGB.
#[derive(Default)]
pub(super) struct MjpegDecoder {
    rotation: Rotation,
    stored: Vec<u8>,
}

impl MjpegDecoder {
    pub(super) fn new(rotation: Rotation) -> Self {
        Self {
            rotation,
            stored: Vec::new(),
        }
    }

    fn picture(&mut self, data: &[u8], frame: &mut Frame) -> Option<()> {
        // Strict: half a picture is a lost picture.
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(MAX_SIDE_PX)
            .set_max_height(MAX_SIDE_PX)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
        decoder.decode_headers().ok()?;
        let info = decoder.info()?;
        let (width, height) = (usize::from(info.width), usize::from(info.height));
        if width * height > MAX_PIXELS {
            return None;
        }
        let (upright_w, upright_h) = self
            .rotation
            .upright(u32::from(info.width), u32::from(info.height));
        if self.rotation == Rotation::None {
            return decoder
                .decode_into(frame.reset(PixelFormat::Rgb8, upright_w, upright_h))
                .ok();
        }
        self.stored.resize(width * height * 3, 0);
        decoder.decode_into(&mut self.stored).ok()?;
        let out = frame.reset(PixelFormat::Rgb8, upright_w, upright_h);
        self.rotation
            .copy::<3>(&self.stored, width * 3, (width, height), out);
        Some(())
    }
}

impl Decode for MjpegDecoder {
    fn decode(&mut self, data: &[u8], packet: &Packet, frame: &mut Frame) -> Decoded {
        match self.picture(data, frame) {
            Some(()) => Decoded::Picture(packet.time),
            None => Decoded::Damaged,
        }
    }

    fn pending(&mut self, _frame: &mut Frame) -> Option<Timestamp> {
        None
    }

    fn finish(&mut self) {}

    fn take_lost(&mut self) -> u64 {
        0
    }
}
