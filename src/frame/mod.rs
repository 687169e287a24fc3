//! A picture as the camera or decoder gave it, and the only way pixels leave it: [`resample`].

pub mod resample;
pub mod view;

use crate::units::Timestamp;

/// How the bytes of a frame are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// Planar 4:2:0: Y, then U, then V.
    I420,
    /// Packed 8-bit RGB.
    Rgb8,
}

/// The matrix between YUV and RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourMatrix {
    /// ITU-R BT.601.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
}

/// How YUV samples are to be read; of no meaning for RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColourSpec {
    /// YUV to RGB matrix.
    pub matrix: ColourMatrix,
    /// True: 0..255. False: Y 16..235, U and V 16..240.
    pub full_range: bool,
}

impl ColourSpec {
    /// What H.264 without colour description means in practice: BT.601 below 720 lines, BT.709 from there on.
    pub fn unspecified(height_px: u32) -> Self {
        let matrix = if height_px >= 720 {
            ColourMatrix::Bt709
        } else {
            ColourMatrix::Bt601
        };
        Self {
            matrix,
            full_range: false,
        }
    }
}

/// One upright picture. The buffer is reused: [`Frame::reset`] keeps its capacity.
///
/// Planes lie one after another without padding: I420 is Y (w x h), U, V ((w+1)/2 x (h+1)/2); RGB is w x h x 3.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Counts the frames of the source, from 0.
    pub index: u64,
    /// Media time, or the monotonic time of capture.
    pub time: Timestamp,
    /// How to read YUV samples.
    pub colour: ColourSpec,
    format: PixelFormat,
    width_px: u32,
    height_px: u32,
    data: Vec<u8>,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            index: 0,
            time: Timestamp::ZERO,
            colour: ColourSpec::unspecified(0),
            format: PixelFormat::I420,
            width_px: 0,
            height_px: 0,
            data: Vec::new(),
        }
    }
}

impl Frame {
    /// Gives the frame a new shape and returns its bytes to be filled; allocates only to grow.
    pub fn reset(&mut self, format: PixelFormat, width_px: u32, height_px: u32) -> &mut [u8] {
        self.format = format;
        self.width_px = width_px;
        self.height_px = height_px;
        let luma = width_px as usize * height_px as usize;
        let len = match format {
            PixelFormat::I420 => luma + 2 * self.chroma_len(),
            PixelFormat::Rgb8 => luma * 3,
        };
        self.data.resize(len, 0);
        &mut self.data
    }

    /// Width in pixels.
    pub fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Height in pixels.
    pub fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Arrangement of the bytes.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// All bytes, as laid out in the type's description.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All bytes, to draw on.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// Size of a chroma plane of an I420 frame: (width, height).
    pub fn chroma_size(&self) -> (u32, u32) {
        (self.width_px.div_ceil(2), self.height_px.div_ceil(2))
    }

    /// The planes of an I420 frame: Y, U, V. For RGB the first is all data and the others are empty.
    pub fn planes(&self) -> [&[u8]; 3] {
        match self.format {
            PixelFormat::Rgb8 => [&self.data, &[], &[]],
            PixelFormat::I420 => {
                let luma = self.width_px as usize * self.height_px as usize;
                let (y, uv) = self.data.split_at(luma);
                let (u, v) = uv.split_at(self.chroma_len());
                [y, u, v]
            }
        }
    }

    fn chroma_len(&self) -> usize {
        let (w, h) = self.chroma_size();
        w as usize * h as usize
    }
}
