//! How far a figure may be off by chance: the bootstrap over tracks, and Wilson's interval for counts.
//!
//! Pictures of one sign are alike, so whole tracks are drawn, with replacement; the interval is that of percentiles
//! (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, sections 13.3 and 8.5). The same seed gives the
//! same interval on every machine.

use serde::{Deserialize, Serialize};

use crate::simulate::noise::Random;

/// Share of the draws that an interval leaves out on each side.
const TAIL: f64 = 0.025;
/// Of a normal distribution, so many deviations leave out [`TAIL`].
const Z: f64 = 1.959_964;

/// A figure and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// As measured.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Standard deviation over the draws.
    pub deviation: f64,
}

impl Estimate {
    /// From a value and what the draws gave.
    pub fn of(value: f64, draws: &mut [f64]) -> Self {
        draws.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = draws.len().saturating_sub(1);
            draws
                .get((share * last as f64).round() as usize)
                .copied()
                .unwrap_or(value)
        };
        let count = draws.len().max(1) as f64;
        let mean = draws.iter().sum::<f64>() / count;
        let squares: f64 = draws.iter().map(|d| (d - mean).powi(2)).sum();
        Self {
            value,
            low: at(TAIL),
            high: at(1.0 - TAIL),
            deviation: (squares / count).sqrt(),
        }
    }

    /// Where all draws were alike, as when nothing went wrong, the bootstrap says nothing about chance: a share of so
    /// many tracks then has Wilson's interval.
    pub fn or_wilson(self, tracks: usize) -> Self {
        let count = (self.value * tracks as f64).round() as usize;
        match Self::share(count, tracks).filter(|_| self.deviation == 0.0) {
            Some(share) => Self {
                value: self.value,
                deviation: (share.high - share.low) / (2.0 * Z),
                ..share
            },
            None => self,
        }
    }

    /// The difference `now - before` of two figures that have nothing in common.
    pub fn difference(now: &Self, before: &Self) -> Self {
        let value = now.value - before.value;
        let deviation = now.deviation.hypot(before.deviation);
        Self {
            value,
            low: value - Z * deviation,
            high: value + Z * deviation,
            deviation,
        }
    }

    /// A share of counts, with Wilson's interval (E. B. Wilson, JASA 22, 1927); `None` of nothing.
    pub fn share(count: usize, of: usize) -> Option<Self> {
        if of == 0 {
            return None;
        }
        let (n, p) = (of as f64, count as f64 / of as f64);
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some(Self {
            value: p,
            low: (centre - half).max(0.0),
            high: (centre + half).min(1.0),
            deviation: (p * (1.0 - p) / n).sqrt(),
        })
    }
}

/// Draws groups with replacement: how often each is in a draw.
pub struct Resampler {
    random: Random,
    counts: Vec<u32>,
}

impl Resampler {
    /// For so many groups.
    pub fn new(groups: usize, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            counts: vec![0; groups],
        }
    }

    /// The next draw.
    pub fn draw(&mut self) -> &[u32] {
        self.counts.fill(0);
        let groups = self.counts.len() as u64;
        for _ in 0..groups {
            // The remainder's bias is far below what a thousand draws can show.
            let chosen = (self.random.bits() % groups) as usize;
            self.counts[chosen] += 1;
        }
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_agrees_with_a_worked_example() {
        // 8 of 10: (0.8 + 0.192) / 1.384 = 0.7168, half width 0.2266 by hand.
        let share = Estimate::share(8, 10).unwrap();
        assert!((share.low - 0.4902).abs() < 1e-3 && (share.high - 0.9433).abs() < 1e-3);
        assert_eq!(Estimate::share(0, 0), None);
        assert_eq!(Estimate::share(5, 5).unwrap().high, 1.0);
        // Nothing went wrong in 114 tracks: all draws are alike, and 97 to 100 % is what that says.
        let alike = Estimate::of(1.0, &mut [1.0; 100]).or_wilson(114);
        assert!(alike.low > 0.96 && alike.low < 0.97 && alike.deviation > 0.0);
    }

    #[test]
    fn the_bootstrap_of_a_mean_has_the_known_deviation() {
        // 400 of 0 and 1 in turn: deviation of the mean is 0.5 / sqrt(400).
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let mut draws = Vec::new();
        let mut resampler = Resampler::new(values.len(), 1);
        for _ in 0..2000 {
            let counts = resampler.draw();
            let sum: f64 = counts
                .iter()
                .zip(&values)
                .map(|(c, v)| f64::from(*c) * v)
                .sum();
            draws.push(sum / 400.0);
        }
        let found = Estimate::of(0.5, &mut draws);
        assert!((found.deviation - 0.025).abs() < 0.002, "{found:?}");
        assert!((found.low - 0.451).abs() < 0.006 && (found.high - 0.549).abs() < 0.006);
    }
}
