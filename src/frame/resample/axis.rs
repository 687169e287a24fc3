//! The taps of one axis, by the triangle filter.

/// The taps of one axis: output `i` is the sum of `weights[i * taps + k]` times input `first[i] + k`.
/// Unused weights are zero, and every tap lies inside the input: rows of equal length are what the
/// compiler can turn into vector code.
#[derive(Debug, Default)]
pub struct Axis {
    /// Weights of an output.
    pub taps: usize,
    /// The input that an output's first weight is for.
    pub first: Vec<usize>,
    /// All weights, output after output; those of one add up to one.
    pub weights: Vec<f32>,
}

impl Axis {
    /// Filter taps for `out` pixels covering `from..to` of an input of `input` pixels; a multiple of `lanes` for each,
    /// where the input has so many.
    pub fn fill(&mut self, input: usize, (from, to): (f64, f64), out: usize, lanes: usize) {
        let scale = (to - from) / out as f64;
        let support = scale.max(1.0);
        let most = (support * 2.0).ceil() as usize + 1;
        self.taps = most.next_multiple_of(lanes).min(input);
        self.first.clear();
        self.weights.clear();
        self.weights.resize(self.taps * out, 0.0);
        for i in 0..out {
            let centre = from + (i as f64 + 0.5) * scale;
            // Pillow's rounding of the bounds, so that both use the same taps.
            let low = ((centre - support + 0.5).floor().max(0.0) as usize).min(input - 1);
            let high = ((centre + support + 0.5).floor().max(0.0) as usize).clamp(low + 1, input);
            let first = low.min(input - self.taps);
            let row = &mut self.weights[i * self.taps..][..self.taps];
            let used = &mut row[low - first..];
            let used_len = used.len().min(high - low);
            let used = &mut used[..used_len];
            let mut sum = 0.0;
            for (k, weight) in used.iter_mut().enumerate() {
                let distance = ((low + k) as f64 + 0.5 - centre).abs() / support;
                *weight = (1.0 - distance).max(0.0) as f32;
                sum += *weight;
            }
            if sum > 0.0 {
                used.iter_mut().for_each(|w| *w /= sum);
            } else {
                used[0] = 1.0;
            }
            self.first.push(first);
        }
    }

    /// The first input of output `i`, and its weights.
    pub fn taps(&self, i: usize) -> (usize, &[f32]) {
        (self.first[i], &self.weights[i * self.taps..][..self.taps])
    }

    /// The input range that any output touches: outputs go forward.
    pub fn span(&self) -> std::ops::Range<usize> {
        let start = self.first.first().copied().unwrap_or(0);
        start..self.first.last().map_or(0, |last| last + self.taps)
    }
}
