//! A drawing made ready to be looked at from any distance.

use tiny_skia::Pixmap;

use super::noise::floor;

/// A drawing and its halvings, premultiplied.
#[derive(Debug)]
pub struct Texture {
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 4]>,
}

impl Texture {
    /// Takes a drawing over.
    pub fn new(drawing: &Pixmap) -> Self {
        let pixels = drawing
            .pixels()
            .iter()
            .map(|p| [p.red(), p.green(), p.blue(), p.alpha()].map(f32::from))
            .collect();
        let mut levels = vec![Level {
            width: drawing.width() as usize,
            height: drawing.height() as usize,
            pixels,
        }];
        while let Some(last) = levels.last().filter(|l| l.width > 1 || l.height > 1) {
            let half = last.halved();
            levels.push(half);
        }
        Self { levels }
    }

    /// Width of the drawing.
    pub fn width_px(&self) -> f32 {
        self.levels[0].width as f32
    }

    /// The level whose pixels are at least `grain` drawing pixels wide.
    pub fn level(&self, grain: f32) -> usize {
        (grain.max(1.0).log2().round() as usize).min(self.levels.len() - 1)
    }

    /// Colour and cover, 0 to 255, at (`u`, `v`) in shares of width and height; clear outside.
    pub fn at(&self, u: f32, v: f32, level: usize) -> [f32; 4] {
        if !(0.0..1.0).contains(&u) || !(0.0..1.0).contains(&v) {
            return [0.0; 4];
        }
        let level = &self.levels[level];
        let (x, y) = (u * level.width as f32 - 0.5, v * level.height as f32 - 0.5);
        let (x0, y0) = (floor(x), floor(y));
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let column = |x: i32| (x.max(0) as usize).min(level.width - 1);
        let row = |y: i32| (y.max(0) as usize).min(level.height - 1) * level.width;
        let (left, right) = (column(x0), column(x0 + 1));
        let (upper, lower) = (row(y0), row(y0 + 1));
        let [a, b, c, d] = [
            level.pixels[upper + left],
            level.pixels[upper + right],
            level.pixels[lower + left],
            level.pixels[lower + right],
        ];
        std::array::from_fn(|i| {
            let top = a[i] + (b[i] - a[i]) * fx;
            let bottom = c[i] + (d[i] - c[i]) * fx;
            top + (bottom - top) * fy
        })
    }
}

impl Level {
    fn halved(&self) -> Self {
        let (width, height) = ((self.width / 2).max(1), (self.height / 2).max(1));
        let at = |x: usize, y: usize| {
            self.pixels[y.min(self.height - 1) * self.width + x.min(self.width - 1)]
        };
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let four = [
                    at(2 * x, 2 * y),
                    at(2 * x + 1, 2 * y),
                    at(2 * x, 2 * y + 1),
                    at(2 * x + 1, 2 * y + 1),
                ];
                pixels.push(std::array::from_fn(|i| {
                    four.iter().map(|p| p[i]).sum::<f32>() / 4.0
                }));
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }
}
