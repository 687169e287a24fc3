//! Repeatable chance: a small generator, and tiles of noise made with it.

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
    values: Vec<i8>,
}

const SIDE: usize = 256;

/// The largest whole number that is not above `x`: `f32::floor` is a call on processors without SSE 4.1.
pub(super) fn floor(x: f32) -> i32 {
    let cut = x as i32;
    cut - i32::from((cut as f32) > x)
}

impl NoiseTile {
    /// Noise of one grain: neighbours differ freely.
    pub fn fine(random: &mut Random) -> Self {
        let values = (0..SIDE * SIDE)
            .map(|_| (random.between(-127.0, 127.0)) as i8)
            .collect();
        Self { values }
    }

    /// Noise of many grains added up, as clouds have.
    pub fn cloudy(random: &mut Random) -> Self {
        let octaves: Vec<Self> = (0..5).map(|_| Self::fine(random)).collect();
        let value = |x: usize, y: usize| {
            let mut total = 0.0;
            for (octave, noise) in (0..).zip(&octaves) {
                // 256 is a multiple of every period, so the sum repeats as well.
                let period = SIDE >> (5 - octave);
                let share = period as f32 / SIDE as f32;
                total += noise.wrapped(x as f32 * share, y as f32 * share, 1 << (3 + octave))
                    / (1 << octave) as f32;
            }
            (total * 80.0).clamp(-127.0, 127.0) as i8
        };
        let values = (0..SIDE * SIDE)
            .map(|i| value(i % SIDE, i / SIDE))
            .collect();
        Self { values }
    }

    /// The value at a point in grains, mixed from its four neighbours.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        self.wrapped(x, y, SIDE)
    }

    fn wrapped(&self, x: f32, y: f32, period: usize) -> f32 {
        let (x0, y0) = (floor(x), floor(y));
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let mask = period - 1;
        let (x0, y0) = (x0 as usize & mask, y0 as usize & mask);
        let (x1, y1) = ((x0 + 1) & mask, (y0 + 1) & mask);
        let value = |x: usize, y: usize| f32::from(self.values[y * SIDE + x]);
        let upper = value(x0, y0) + (value(x1, y0) - value(x0, y0)) * fx;
        let lower = value(x0, y1) + (value(x1, y1) - value(x0, y1)) * fx;
        (upper + (lower - upper) * fy) / 127.0
    }
}
