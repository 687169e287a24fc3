//! A drawing made ready to be looked at from any distance.

use tiny_skia::Pixmap;

use super::lanes::{LANES, Lanes, bits, floor};

/// A drawing and its halvings, premultiplied.
#[derive(Debug)]
pub struct Texture {
    levels: Vec<Level>,
}

/// One of them. Between its pixels, and beyond its outermost ones, lie cells.
#[derive(Debug)]
pub struct Level {
    width: usize,
    height: usize,
    /// Framed by its own outermost pixels, so that every cell has four corners.
    pixels: Vec<[f32; 4]>,
    /// Blocks of cells in which something is drawn.
    drawn: Vec<bool>,
}

/// Cells to the side of a block.
const BLOCK: usize = 8;

/// Where points lie in a level: their cells and how far across and down these.
pub struct Spots {
    column: [i32; LANES],
    row: [i32; LANES],
    across: Lanes,
    down: Lanes,
}

/// The smallest and the largest of some shares of width and height, lane by lane.
pub struct Extent {
    low: [Lanes; 2],
    high: [Lanes; 2],
}

impl Extent {
    /// Of no shares.
    pub fn new() -> Self {
        Self {
            low: [[f32::MAX; LANES]; 2],
            high: [[f32::MIN; LANES]; 2],
        }
    }

    /// Takes in more of them.
    #[inline(always)]
    pub fn add(&mut self, at: &[Lanes; 2]) {
        for n in 0..2 {
            for i in 0..LANES {
                let (low, high, at) = (&mut self.low[n][i], &mut self.high[n][i], at[n][i]);
                *low = if at < *low { at } else { *low };
                *high = if at > *high { at } else { *high };
            }
        }
    }
}

impl Texture {
    /// Takes a drawing over.
    pub fn new(drawing: &Pixmap) -> Self {
        let pixel = |x: u32, y: u32| {
            let pixel = drawing.pixel(x, y);
            pixel.map_or([0.0; 4], |p| {
                [p.red(), p.green(), p.blue(), p.alpha()].map(f32::from)
            })
        };
        let (width, height) = (drawing.width() as usize, drawing.height() as usize);
        let mut levels = vec![Level::new(width, height, |x, y| pixel(x as u32, y as u32))];
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
    pub fn level(&self, grain: f32) -> &Level {
        let level = (grain.max(1.0).log2().round() as usize).min(self.levels.len() - 1);
        &self.levels[level]
    }
}

impl Level {
    fn new(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [f32; 4]) -> Self {
        let mut pixels = Vec::with_capacity((width + 2) * (height + 2));
        for y in 0..height + 2 {
            for x in 0..width + 2 {
                let inside = |at: usize, size: usize| at.saturating_sub(1).min(size - 1);
                pixels.push(pixel(inside(x, width), inside(y, height)));
            }
        }
        let blocks = (width / BLOCK + 1, height / BLOCK + 1);
        let mut drawn = vec![false; blocks.0 * blocks.1];
        for (y, x) in (0..=height).flat_map(|y| (0..=width).map(move |x| (y, x))) {
            let corners = [0, 1, width + 2, width + 3].map(|n| pixels[y * (width + 2) + x + n]);
            if corners.iter().flatten().any(|v| *v != 0.0) {
                drawn[y / BLOCK * blocks.0 + x / BLOCK] = true;
            }
        }
        Self {
            width,
            height,
            pixels,
            drawn,
        }
    }

    /// Whether anything may be drawn there.
    pub fn any_drawn(&self, extent: &Extent) -> bool {
        let blocks = |n: usize, size: usize| {
            let (low, high) = (extent.low[n], extent.high[n]);
            let low = low
                .into_iter()
                .fold(f32::MAX, |a, b| if b < a { b } else { a });
            let high = high
                .into_iter()
                .fold(f32::MIN, |a, b| if b > a { b } else { a });
            // What has rays beside the drawing has its outermost cells as well.
            let block = |share: f32| {
                let cell = floor(share.clamp(0.0, 1.0) * size as f32 - 0.5) + 1.0;
                bits::<16>(cell) as usize / BLOCK
            };
            (low < 1.0 && high >= 0.0).then(|| block(low)..block(high) + 1)
        };
        let (Some(columns), Some(mut rows)) = (blocks(0, self.width), blocks(1, self.height))
        else {
            return false;
        };
        let across = self.width / BLOCK + 1;
        rows.any(|row| self.drawn[row * across..][columns.clone()].contains(&true))
    }

    /// Where points given in shares of width and height lie.
    #[inline(always)]
    pub fn spots(&self, [u, v]: &[Lanes; 2]) -> Spots {
        let mut spots = Spots {
            column: [0; LANES],
            row: [0; LANES],
            across: [0.0; LANES],
            down: [0.0; LANES],
        };
        let (width, height) = (self.width as f32, self.height as f32);
        for i in 0..LANES {
            let within = (u[i] >= 0.0) & (u[i] < 1.0) & (v[i] >= 0.0) & (v[i] < 1.0);
            let (x, y) = (u[i] * width - 0.5, v[i] * height - 0.5);
            let (x0, y0) = (floor(x), floor(y));
            (spots.across[i], spots.down[i]) = (x - x0, y - y0);
            spots.column[i] = if within {
                bits::<16>(x0 + 1.0) as i32
            } else {
                -1
            };
            spots.row[i] = bits::<16>(y0 + 1.0) as i32;
        }
        spots
    }

    /// Colours and covers, 0 to 255, of a lane's spots added up; clear outside the drawing.
    // Not inlined, it keeps its sums in one vector.
    #[inline(never)]
    pub fn sum(&self, spots: &[Spots], i: usize) -> [f32; 4] {
        let mut sum = [0.0; 4];
        for spots in spots {
            let Ok(column) = usize::try_from(spots.column[i]) else {
                continue;
            };
            let upper = spots.row[i] as usize * (self.width + 2) + column;
            let lower = upper + self.width + 2;
            let (upper, lower) = (
                &self.pixels[upper..upper + 2],
                &self.pixels[lower..lower + 2],
            );
            let (across, down) = (spots.across[i], spots.down[i]);
            for (c, sum) in sum.iter_mut().enumerate() {
                let top = upper[0][c] + (upper[1][c] - upper[0][c]) * across;
                let bottom = lower[0][c] + (lower[1][c] - lower[0][c]) * across;
                *sum += top + (bottom - top) * down;
            }
        }
        sum
    }

    fn halved(&self) -> Self {
        let (width, height) = ((self.width / 2).max(1), (self.height / 2).max(1));
        let at = |x: usize, y: usize| {
            let (x, y) = (x.min(self.width - 1), y.min(self.height - 1));
            self.pixels[(y + 1) * (self.width + 2) + x + 1]
        };
        Self::new(width, height, |x, y| {
            let four = [
                at(2 * x, 2 * y),
                at(2 * x + 1, 2 * y),
                at(2 * x, 2 * y + 1),
                at(2 * x + 1, 2 * y + 1),
            ];
            std::array::from_fn(|i| four.iter().map(|p| p[i]).sum::<f32>() / 4.0)
        })
    }
}
