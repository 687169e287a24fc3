//! A picture as the camera or decoder gave it, and the only way pixels leave it: [`resample`].

pub mod resample;
pub mod view;

use std::sync::Arc;

use crate::units::Timestamp;

/// How the bytes of a frame are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// Planar 4:2:0: Y, then U, then V.
    I420,
    /// Packed 8-bit RGB.
    Rgb8,
    /// 4:2:0: Y, then U and V by turns.
    Nv12,
    /// Packed 4:2:2: Y U Y V.
    Yuyv,
    /// Packed 4:2:2: U Y V Y.
    Uyvy,
    /// Brightness alone.
    Grey8,
}

/// One component of a picture: where its samples lie.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// Bytes that hold them, and others between.
    pub data: &'a [u8],
    /// From a sample to the next in a row; the first is at `offset` of its row.
    pub step: usize,
    /// Bytes before the first sample of a row.
    pub offset: usize,
    /// From a row to the next.
    pub row_bytes: usize,
}

/// Both colour components of a YUV picture.
#[derive(Debug, Clone, Copy)]
pub struct ChromaSamples<'a> {
    /// Blue difference.
    pub u: Samples<'a>,
    /// Red difference.
    pub v: Samples<'a>,
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Owns picture buffers and lends them to frames, e.g. a camera's mapped memory.
pub trait Lender: Send + Sync {
    /// The bytes of a lent buffer; they do not change until it is given back.
    fn bytes(&self, buffer: u32) -> &[u8];

    /// The frame that held the buffer is done with it.
    fn give_back(&self, buffer: u32);
}

/// A frame's bytes: its own, or lent.
enum Bytes {
    Own(Vec<u8>),
    Lent {
        lender: Arc<dyn Lender>,
        buffer: u32,
        len: usize,
    },
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Own(data) => data,
            Self::Lent {
                lender,
                buffer,
                len,
            } => &lender.bytes(*buffer)[..*len],
        }
    }

    /// Bytes of its own, with the contents lost if they were lent.
    fn own(&mut self) -> &mut Vec<u8> {
        if let Self::Lent { .. } = self {
            *self = Self::Own(Vec::new());
        }
        match self {
            Self::Own(data) => data,
            Self::Lent { .. } => unreachable!("made its own just now"),
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if let Self::Lent { lender, buffer, .. } = self {
            lender.give_back(*buffer);
        }
    }
}

impl Clone for Bytes {
    fn clone(&self) -> Self {
        Self::Own(self.as_slice().to_vec())
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own(data) => write!(f, "{} bytes", data.len()),
            Self::Lent { buffer, len, .. } => write!(f, "{len} bytes of buffer {buffer}"),
        }
    }
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
/// Planes lie one after another without padding: I420 is Y (w x h), U, V ((w+1)/2 x (h+1)/2); NV12 has one plane
/// of U and V by turns; RGB is w x h x 3; the packed 4:2:2 formats need an even width.
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
    data: Bytes,
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
            data: Bytes::Own(Vec::new()),
        }
    }
}

impl Frame {
    /// Gives the frame a new shape and returns its bytes to be filled; allocates only to grow.
    pub fn reset(&mut self, format: PixelFormat, width_px: u32, height_px: u32) -> &mut [u8] {
        self.format = format;
        self.width_px = width_px;
        self.height_px = height_px;
        let len = Self::byte_len(format, width_px, height_px);
        let data = self.data.own();
        data.resize(len, 0);
        data
    }

    /// Gives the frame a new shape and bytes that stay with their owner. False, and nothing changes, when the
    /// buffer is too short for the shape.
    pub fn lend(
        &mut self,
        (format, width_px, height_px): (PixelFormat, u32, u32),
        lender: Arc<dyn Lender>,
        buffer: u32,
    ) -> bool {
        let len = Self::byte_len(format, width_px, height_px);
        if lender.bytes(buffer).len() < len {
            return false;
        }
        self.format = format;
        self.width_px = width_px;
        self.height_px = height_px;
        self.data = Bytes::Lent {
            lender,
            buffer,
            len,
        };
        true
    }

    /// Gives lent bytes back to their owner; the frame is empty then. Own bytes stay, to be used again.
    pub fn release(&mut self) {
        if let Bytes::Lent { .. } = self.data {
            self.data = Bytes::Own(Vec::new());
            (self.width_px, self.height_px) = (0, 0);
        }
    }

    /// A copy that owns its bytes.
    pub fn copied(&self) -> Self {
        let mut copy = Self {
            index: self.index,
            time: self.time,
            colour: self.colour,
            ..Self::default()
        };
        copy.reset(self.format, self.width_px, self.height_px)
            .copy_from_slice(self.data());
        copy
    }

    /// Bytes of a picture.
    pub fn byte_len(format: PixelFormat, width_px: u32, height_px: u32) -> usize {
        let (width, height) = (width_px as usize, height_px as usize);
        match format {
            PixelFormat::I420 | PixelFormat::Nv12 => {
                width * height + 2 * width.div_ceil(2) * height.div_ceil(2)
            }
            PixelFormat::Rgb8 => width * height * 3,
            PixelFormat::Yuyv | PixelFormat::Uyvy => width.next_multiple_of(2) * height * 2,
            PixelFormat::Grey8 => width * height,
        }
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
        self.data.as_slice()
    }

    /// All bytes, to draw on. Lent bytes are copied first.
    pub fn data_mut(&mut self) -> &mut [u8] {
        if let Bytes::Lent { .. } = self.data {
            self.data = self.data.clone();
        }
        self.data.own()
    }

    /// Samples of a colour component: (width, height).
    pub fn chroma_size(&self) -> (u32, u32) {
        let height = match self.format {
            PixelFormat::Yuyv | PixelFormat::Uyvy => self.height_px,
            _ => self.height_px.div_ceil(2),
        };
        (self.width_px.div_ceil(2), height)
    }

    /// The planes of an I420 frame: Y, U, V. For other formats the first is all data and the others are empty.
    pub fn planes(&self) -> [&[u8]; 3] {
        let data = self.data();
        if self.format != PixelFormat::I420 {
            return [data, &[], &[]];
        }
        let (y, uv) = data.split_at(self.width_px as usize * self.height_px as usize);
        let (u, v) = uv.split_at(uv.len() / 2);
        [y, u, v]
    }

    /// Brightness; of RGB, green.
    pub fn luma(&self) -> Samples<'_> {
        let (data, width) = (self.data(), self.width_px as usize);
        let (step, offset) = match self.format {
            PixelFormat::I420 | PixelFormat::Nv12 | PixelFormat::Grey8 => (1, 0),
            PixelFormat::Rgb8 => (3, 1),
            PixelFormat::Yuyv => (2, 0),
            PixelFormat::Uyvy => (2, 1),
        };
        let row_bytes = match self.format {
            PixelFormat::Yuyv | PixelFormat::Uyvy => width.next_multiple_of(2) * 2,
            _ => width * step,
        };
        Samples {
            data,
            step,
            offset,
            row_bytes,
        }
    }

    /// The colour of a YUV picture; none for RGB and grey.
    pub fn chroma(&self) -> Option<ChromaSamples<'_>> {
        let (width, height) = self.chroma_size();
        let (width, height) = (width as usize, height as usize);
        let samples = |data, step, offset| Samples {
            data,
            step,
            offset,
            row_bytes: width * step,
        };
        let after_luma = || &self.data()[self.width_px as usize * self.height_px as usize..];
        let (u, v) = match self.format {
            PixelFormat::Rgb8 | PixelFormat::Grey8 => return None,
            PixelFormat::I420 => {
                let [_, u, v] = self.planes();
                (samples(u, 1, 0), samples(v, 1, 0))
            }
            PixelFormat::Nv12 => (samples(after_luma(), 2, 0), samples(after_luma(), 2, 1)),
            PixelFormat::Yuyv => (samples(self.data(), 4, 1), samples(self.data(), 4, 3)),
            PixelFormat::Uyvy => (samples(self.data(), 4, 0), samples(self.data(), 4, 2)),
        };
        Some(ChromaSamples {
            u,
            v,
            width,
            height,
        })
    }
}
