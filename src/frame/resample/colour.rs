//! YUV to RGB.

use crate::frame::{ColourMatrix, ColourSpec};

/// Coefficients of ITU-R BT.601 and BT.709 for 8-bit samples.
pub struct YuvToRgb {
    luma_offset: f32,
    luma: f32,
    red_v: f32,
    green_u: f32,
    green_v: f32,
    blue_u: f32,
}

impl YuvToRgb {
    /// For the colours that a frame says it has.
    pub fn new(colour: ColourSpec) -> Self {
        let (kr, kb) = match colour.matrix {
            ColourMatrix::Bt601 => (0.299, 0.114),
            ColourMatrix::Bt709 => (0.2126, 0.0722),
        };
        let kg = 1.0 - kr - kb;
        let (luma_offset, luma, chroma) = if colour.full_range {
            (0.0, 1.0, 1.0)
        } else {
            (16.0, 255.0 / 219.0, 255.0 / 224.0)
        };
        Self {
            luma_offset,
            luma,
            red_v: 2.0 * (1.0 - kr) * chroma,
            green_u: -2.0 * (1.0 - kb) * kb / kg * chroma,
            green_v: -2.0 * (1.0 - kr) * kr / kg * chroma,
            blue_u: 2.0 * (1.0 - kb) * chroma,
        }
    }

    /// What luma gives to each colour.
    pub fn luma(&self, y: f32) -> f32 {
        (y - self.luma_offset) * self.luma
    }

    /// What chroma adds to red, green and blue.
    pub fn chroma(&self, u: f32, v: f32) -> [f32; 3] {
        let (u, v) = (u - 128.0, v - 128.0);
        [
            self.red_v * v,
            self.green_u * u + self.green_v * v,
            self.blue_u * u,
        ]
    }

    /// The same in 1/64 steps: within three levels, in 16-bit lanes, and the same on every processor.
    pub fn fixed(&self) -> [i16; 6] {
        [
            self.luma_offset,
            self.luma * 64.0,
            self.red_v * 64.0,
            self.green_u * 64.0,
            self.green_v * 64.0,
            self.blue_u * 64.0,
        ]
        .map(|c| c.round() as i16)
    }
}
