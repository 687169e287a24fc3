//! How the camera's mount shakes: a smooth function of time, the same for the same seed.

use std::f64::consts::TAU;

use super::noise::Random;
use super::scenario::ShakePart;

/// Waves added up on each axis; their rates lie between these shares of the scenario's.
const WAVES: usize = 6;
const RATES: (f32, f32) = (0.5, 1.8);
/// A pothole makes the camera nod so fast, and it comes to rest in this time.
const POTHOLE_HZ: f64 = 6.0;
const POTHOLE_REST_S: f64 = 0.15;
/// It also leans over by this share of that, one wheel being in it.
const POTHOLE_ROLL: f64 = 0.5;

/// Where the camera looks besides where its mount points, in radians: down, to the right, leaning clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Turn {
    /// Down.
    pub pitch: f32,
    /// To the right.
    pub yaw: f32,
    /// Clockwise, as seen by the camera's user.
    pub roll: f32,
}

/// The shaking of a drive.
#[derive(Debug)]
pub struct Shake {
    part: ShakePart,
    /// Rate (radians a second) and phase, for each axis.
    waves: [[(f64, f64); WAVES]; 3],
    seed: u64,
}

impl Shake {
    /// With waves of its own.
    pub fn new(part: ShakePart, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5A5A_0F0F_3C3C_9696);
        let waves = std::array::from_fn(|_| {
            std::array::from_fn(|_| {
                let rate_hz = f64::from(part.rate_hz * random.between(RATES.0, RATES.1));
                (rate_hz * TAU, f64::from(random.unit()) * TAU)
            })
        });
        Self { part, waves, seed }
    }

    /// Where it looks at a time.
    pub fn at(&self, time_s: f64) -> Turn {
        let part = &self.part;
        let nod_deg = f64::from(part.pothole_deg) * self.potholes(time_s);
        let turn = |axis: usize, deviation_deg: f32, more_deg: f64| {
            let degrees = f64::from(deviation_deg) * self.jitter(axis, time_s) + more_deg;
            degrees.to_radians() as f32
        };
        Turn {
            pitch: turn(0, part.pitch_deg, nod_deg),
            yaw: turn(1, part.yaw_deg, 0.0),
            roll: turn(2, part.roll_deg, POTHOLE_ROLL * nod_deg),
        }
    }

    /// How far it turns during an exposure whose middle is then.
    pub fn during(&self, time_s: f64, exposure_s: f64) -> Turn {
        let half_s = exposure_s / 2.0;
        let (from, to) = (self.at(time_s - half_s), self.at(time_s + half_s));
        Turn {
            pitch: to.pitch - from.pitch,
            yaw: to.yaw - from.yaw,
            roll: to.roll - from.roll,
        }
    }

    /// A sum of waves of deviation 1.
    fn jitter(&self, axis: usize, time_s: f64) -> f64 {
        let sum: f64 = (self.waves[axis].iter())
            .map(|(rate, phase)| (rate * time_s + phase).sin())
            .sum();
        sum * (2.0 / WAVES as f64).sqrt()
    }

    /// What is left of the nods of this stretch's pothole and the last one's; a whole one reaches about 1.
    fn potholes(&self, time_s: f64) -> f64 {
        let every_s = 60.0 / f64::from(self.part.potholes_per_min);
        if !every_s.is_finite() {
            return 0.0;
        }
        let stretch = (time_s / every_s).floor();
        let nod = |stretch: f64| {
            let mut random = Random::new(self.seed ^ (stretch as i64 as u64).wrapping_mul(0xD1B5));
            let since_s = time_s - every_s * (stretch + f64::from(random.unit()));
            if since_s < 0.0 {
                return 0.0;
            }
            let decay = (-since_s / POTHOLE_REST_S).exp();
            // 1.28 makes the first swing reach 1.
            1.28 * decay * (TAU * POTHOLE_HZ * since_s).sin()
        };
        nod(stretch) + nod(stretch - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: ShakePart = ShakePart {
        pitch_deg: 0.3,
        yaw_deg: 0.1,
        roll_deg: 0.2,
        rate_hz: 4.0,
        potholes_per_min: 0.0,
        pothole_deg: 1.0,
    };

    fn pitches(part: ShakePart) -> Vec<f64> {
        let shake = Shake::new(part, 7);
        let degrees = |n: u32| f64::from(shake.at(f64::from(n) / 1000.0).pitch).to_degrees();
        (0..60_000).map(degrees).collect()
    }

    #[test]
    fn the_jitter_is_smooth_and_deviates_as_asked() {
        let all = pitches(PART);
        let mean_square = all.iter().map(|v| v * v).sum::<f64>() / all.len() as f64;
        assert!((mean_square.sqrt() - 0.3).abs() < 0.03, "{mean_square}");
        // No wave is faster than 1.8 times 4 Hz, and six of them reach at most 3.5 deviations.
        let fastest = 0.3 * 3.5 * TAU * 7.2 / 1000.0;
        assert!(all.windows(2).all(|w| (w[1] - w[0]).abs() < fastest));
    }

    #[test]
    fn potholes_come_as_often_and_reach_as_far_as_asked() {
        let all = pitches(ShakePart {
            pitch_deg: 0.0,
            potholes_per_min: 12.0,
            ..PART
        });
        let starts = all.windows(2).filter(|w| w[0] < 0.9 && w[1] >= 0.9).count();
        assert!((11..=12).contains(&starts), "{starts}");
        let most = all.iter().fold(0.0, |a: f64, b| a.max(*b));
        assert!((0.9..1.4).contains(&most), "{most}");
    }

    #[test]
    fn without_the_key_nothing_moves() {
        let shake = Shake::new(ShakePart::default(), 7);
        assert_eq!(shake.at(12.3), Turn::default());
    }
}
