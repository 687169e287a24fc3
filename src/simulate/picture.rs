//! The picture under way: RGB in three planes, and the step from it to the 4:2:0 frame of a camera.

use crate::frame::{ColourMatrix, ColourSpec, Frame, PixelFormat};

/// Red, green, blue, 0 to 255.
pub type Rgb = [f32; 3];

/// A picture of 8-bit RGB.
#[derive(Debug)]
pub struct Picture {
    /// Width.
    pub width_px: usize,
    /// Height.
    pub height_px: usize,
    /// Red, green and blue, in rows of pixels: loops over one colour become vector instructions.
    pub planes: [Vec<u8>; 3],
}

impl Picture {
    /// A black picture.
    pub fn new(width_px: u32, height_px: u32) -> Self {
        let (width_px, height_px) = (width_px as usize, height_px as usize);
        Self {
            width_px,
            height_px,
            planes: std::array::from_fn(|_| vec![0; width_px * height_px]),
        }
    }

    /// A row of pixels.
    pub fn row_mut(&mut self, y: usize) -> [&mut [u8]; 3] {
        let row = y * self.width_px..(y + 1) * self.width_px;
        (self.planes.each_mut()).map(|plane| &mut plane[row.clone()])
    }

    /// Lays a premultiplied colour with the given cover (0 to 1) over a pixel.
    pub fn blend(&mut self, x: usize, y: usize, colour: Rgb, cover: f32) {
        for (plane, over) in self.planes.iter_mut().zip(colour) {
            let under = &mut plane[y * self.width_px + x];
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
        let [red, green, blue] = &self.planes;
        for (((out, &r), &g), &b) in luma.iter_mut().zip(red).zip(green).zip(blue) {
            *out = ((dot(y_of, [r, g, b].map(i32::from)) + 16 * ONE + ONE / 2) >> SHIFT) as u8;
        }
        let mut sums = [(); 3].map(|()| vec![0; width / 2]);
        let half_rows = u
            .chunks_exact_mut(width / 2)
            .zip(v.chunks_exact_mut(width / 2));
        for (cy, (u, v)) in half_rows.enumerate() {
            for (sums, plane) in sums.iter_mut().zip(&self.planes) {
                let (upper, lower) = plane[2 * cy * width..][..2 * width].split_at(width);
                let fours = upper.chunks_exact(2).zip(lower.chunks_exact(2));
                for (sum, (upper, lower)) in sums.iter_mut().zip(fours) {
                    *sum = [upper[0], upper[1], lower[0], lower[1]]
                        .map(i32::from)
                        .iter()
                        .sum();
                }
            }
            let [red, green, blue] = &sums;
            let sums = red.iter().zip(green).zip(blue);
            for ((u, v), ((&r, &g), &b)) in u.iter_mut().zip(v).zip(sums) {
                let level = |of| (((dot(of, [r, g, b]) >> 2) + 128 * ONE + ONE / 2) >> SHIFT) as u8;
                (*u, *v) = (level(u_of), level(v_of));
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
            for (plane, level) in picture.planes.iter_mut().zip(rgb) {
                plane.fill(level);
            }
            let mut frame = Frame::default();
            picture.write_to(&mut frame);
            let found = frame.planes().map(|plane| plane[0]);
            for (a, b) in found.into_iter().zip(expected) {
                assert!(a.abs_diff(b) <= 1, "{rgb:?}: {found:?}");
            }
        }
    }
}
