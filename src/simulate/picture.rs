//! The picture under way: packed RGB, and the step from it to the 4:2:0 frame of a camera.

use crate::frame::{ColourMatrix, ColourSpec, Frame, PixelFormat};

/// Red, green, blue, 0 to 255.
pub type Rgb = [f32; 3];

/// A picture of packed 8-bit RGB.
#[derive(Debug)]
pub struct Picture {
    /// Width.
    pub width_px: usize,
    /// Height.
    pub height_px: usize,
    /// Rows of pixels.
    pub pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// A black picture.
    pub fn new(width_px: u32, height_px: u32) -> Self {
        let (width_px, height_px) = (width_px as usize, height_px as usize);
        Self {
            width_px,
            height_px,
            pixels: vec![[0; 3]; width_px * height_px],
        }
    }

    /// A row of pixels.
    pub fn row_mut(&mut self, y: usize) -> &mut [[u8; 3]] {
        &mut self.pixels[y * self.width_px..(y + 1) * self.width_px]
    }

    /// Lays a premultiplied colour with the given cover (0 to 1) over a pixel.
    pub fn blend(&mut self, x: usize, y: usize, colour: Rgb, cover: f32) {
        let pixel = &mut self.pixels[y * self.width_px + x];
        for (under, over) in pixel.iter_mut().zip(colour) {
            *under = (over + f32::from(*under) * (1.0 - cover) + 0.5) as u8;
        }
    }

    /// Turns it into an I420 frame of even size, in the colours usual for its height.
    pub fn write_to(&self, frame: &mut Frame) {
        let (width, height) = (self.width_px, self.height_px);
        frame.colour = ColourSpec::unspecified(height as u32);
        let [y_of, u_of, v_of] = weights(frame.colour.matrix);
        let data = frame.reset(PixelFormat::I420, width as u32, height as u32);
        let (luma, chroma) = data.split_at_mut(width * height);
        let (u, v) = chroma.split_at_mut(width * height / 4);
        for (out, pixel) in luma.iter_mut().zip(&self.pixels) {
            *out = ((dot(y_of, pixel.map(i32::from)) + 16 * ONE + ONE / 2) >> SHIFT) as u8;
        }
        for cy in 0..height / 2 {
            let (upper, lower) = self.pixels[2 * cy * width..][..2 * width].split_at(width);
            for cx in 0..width / 2 {
                let four = [
                    upper[2 * cx],
                    upper[2 * cx + 1],
                    lower[2 * cx],
                    lower[2 * cx + 1],
                ];
                let sum = std::array::from_fn(|c| four.iter().map(|p| i32::from(p[c])).sum());
                let level = |of| (((dot(of, sum) >> 2) + 128 * ONE + ONE / 2) >> SHIFT) as u8;
                u[cy * (width / 2) + cx] = level(u_of);
                v[cy * (width / 2) + cx] = level(v_of);
            }
        }
    }
}

const SHIFT: i32 = 14;
const ONE: i32 = 1 << SHIFT;

fn dot(weights: [i32; 3], rgb: [i32; 3]) -> i32 {
    weights[0] * rgb[0] + weights[1] * rgb[1] + weights[2] * rgb[2]
}

/// Weights of red, green and blue in Y, U and V of limited range.
fn weights(matrix: ColourMatrix) -> [[i32; 3]; 3] {
    let (red, blue) = match matrix {
        ColourMatrix::Bt601 => (0.299, 0.114),
        ColourMatrix::Bt709 => (0.2126, 0.0722),
    };
    let luma = [red, 1.0 - red - blue, blue];
    let scaled = |row: [f64; 3], range: f64| {
        row.map(|w| (w * range / 255.0 * f64::from(ONE)).round() as i32)
    };
    let towards = |channel: usize| {
        let share = 2.0 * (1.0 - luma[channel]);
        std::array::from_fn(|c| (f64::from(u8::from(c == channel)) - luma[c]) / share)
    };
    [
        scaled(luma, 219.0),
        scaled(towards(2), 224.0),
        scaled(towards(0), 224.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_colours_have_the_standard_levels() {
        for (rgb, expected) in [
            ([255, 255, 255], [235, 128, 128]),
            ([0, 0, 0], [16, 128, 128]),
            ([255, 0, 0], [81, 90, 240]),
            ([0, 0, 255], [41, 240, 110]),
        ] {
            let mut picture = Picture::new(64, 64);
            picture.pixels.fill(rgb);
            let mut frame = Frame::default();
            picture.write_to(&mut frame);
            let found = frame.planes().map(|plane| plane[0]);
            for (a, b) in found.into_iter().zip(expected) {
                assert!(a.abs_diff(b) <= 1, "{rgb:?}: {found:?}");
            }
        }
    }
}
