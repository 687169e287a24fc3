//! Repeatable chance: a small generator, and tiles of noise made with it.

use super::lanes::{LANES, Lanes, NEAR, bits, each, floor};

/// A generator (splitmix64): the same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts a sequence.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to but without 1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// From `low` up to `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// About normal, mean 0 and deviation 1: the sum of twelve even numbers.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

/// A tile of smooth noise that repeats without a seam, from -1 to 1.
#[derive(Debug)]
pub struct NoiseTile {
    /// The four corners of each cell together: upper left, upper right, lower left, lower right.
    cells: Box<[u32; SIDE * SIDE]>,
}

/// As many as eight bits count.
const SIDE: usize = 256;

impl NoiseTile {
    /// Noise of one grain: neighbours differ freely.
    pub fn fine(random: &mut Random) -> Self {
        Self::new(&grains(random))
    }

    /// Noise of many grains added up, as clouds have.
    pub fn cloudy(random: &mut Random) -> Self {
        let octaves: Vec<_> = (0..5).map(|_| grains(random)).collect();
        let value = |x: usize, y: usize| {
            let mut total = 0.0;
            for (octave, grains) in (0..).zip(&octaves) {
                // 256 is a multiple of every period, so the sum repeats as well.
                let period = SIDE >> (5 - octave);
                let share = period as f32 / SIDE as f32;
                let (x, y) = (x as f32 * share, y as f32 * share);
                let (x0, y0) = (floor(x), floor(y));
                let corners = corners(grains, x0 as usize, y0 as usize, 1 << (3 + octave));
                total += mix(corners.map(f32::from), x - x0, y - y0) / (1 << octave) as f32;
            }
            (total * 80.0).clamp(-127.0, 127.0) as i8
        };
        let values: Vec<_> = (0..SIDE * SIDE)
            .map(|i| value(i % SIDE, i / SIDE))
            .collect();
        Self::new(&values)
    }

    fn new(values: &[i8]) -> Self {
        let mut cells = Box::new([0; SIDE * SIDE]);
        for (i, cell) in cells.iter_mut().enumerate() {
            *cell = u32::from_le_bytes(corners(values, i % SIDE, i / SIDE, SIDE).map(|v| v as u8));
        }
        Self { cells }
    }

    /// The values at points, each mixed from its four neighbours; `times_x` and `times_y` grains are a unit.
    // Not inlined: it is large, and asked for in many places.
    #[inline(never)]
    pub fn at(&self, x: &Lanes, times_x: f32, y: &Lanes, times_y: f32) -> Lanes {
        let (mut x, mut y) = (each(|i| x[i] * times_x), each(|i| y[i] * times_y));
        let far = |at: &Lanes| at.iter().any(|at| at.abs() >= NEAR);
        if far(&x) || far(&y) {
            (x, y) = (x.map(repeated), y.map(repeated));
        }
        let (mut across, mut down) = ([0.0; LANES], [0.0; LANES]);
        let mut index = [0; LANES];
        for i in 0..LANES {
            let (x0, y0) = (floor(x[i]), floor(y[i]));
            (across[i], down[i]) = (x[i] - x0, y[i] - y0);
            index[i] = bits::<8>(x0) + bits::<8>(y0) * SIDE as u32;
        }
        let cells = index.map(|index| self.cells[index as usize % (SIDE * SIDE)]);
        let corner = |i: usize, n: u32| (cells[i] << (24 - 8 * n)) as i32 >> 24;
        each(|i| {
            let corners = [0, 1, 2, 3].map(|n| corner(i, n) as f32);
            mix(corners, across[i], down[i])
        })
    }
}

/// The same place in the first tile.
#[cold]
fn repeated(at: f32) -> f32 {
    if at.abs() < NEAR {
        at
    } else {
        at - (at / SIDE as f32).floor() * SIDE as f32
    }
}

fn grains(random: &mut Random) -> Vec<i8> {
    (0..SIDE * SIDE)
        .map(|_| random.between(-127.0, 127.0) as i8)
        .collect()
}

/// The corners of a cell, in a tile of which the first `period` columns and rows repeat.
fn corners(values: &[i8], x: usize, y: usize, period: usize) -> [i8; 4] {
    let (x0, y0) = (x % period, y % period);
    let (x1, y1) = ((x0 + 1) % period, (y0 + 1) % period);
    [(x0, y0), (x1, y0), (x0, y1), (x1, y1)].map(|(x, y)| values[y * SIDE + x])
}

#[inline(always)]
fn mix([a, b, c, d]: [f32; 4], across: f32, down: f32) -> f32 {
    let upper = a + (b - a) * across;
    let lower = c + (d - c) * across;
    (upper + (lower - upper) * down) / 127.0
}
