//! What light, rain and the sensor do to a finished picture.

use super::noise::Random;
use super::picture::Picture;
use super::scenario::Weather;

/// Dusk takes red away first.
const DUSK_TINT: [f32; 3] = [0.9, 0.96, 1.1];
const RAIN_GREY: f32 = 158.0;
const STREAK: [f32; 3] = [196.0, 202.0, 208.0];
/// Streaks in a million pixels of a downpour.
const STREAKS: f32 = 900.0;

/// Applies them; repeatable, frame by frame.
pub struct Air {
    light: f32,
    rain: f32,
    noise: f32,
    grain: Vec<i8>,
    levels: [[u8; 256]; 3],
}

impl Air {
    /// For a scenario's weather and sensor.
    pub fn new(weather: &Weather, noise: f32, random: &mut Random) -> Self {
        let grain = (0..1 << 16)
            .map(|_| (random.normal() * noise).clamp(-127.0, 127.0).round() as i8)
            .collect();
        let dusk = (1.0 - weather.light).clamp(0.0, 1.0);
        let levels = std::array::from_fn(|channel| {
            let gain = weather.light * (1.0 + (DUSK_TINT[channel] - 1.0) * dusk);
            std::array::from_fn(|level| {
                let clear = level as f32;
                let hazed = clear + (RAIN_GREY - clear) * 0.3 * weather.rain;
                (hazed * gain).clamp(0.0, 255.0).round() as u8
            })
        });
        Self {
            light: weather.light,
            rain: weather.rain,
            noise,
            grain,
            levels,
        }
    }

    /// How much brighter a board is than the daylight picture, so that headlight shows after the light is taken away.
    pub fn headlight(&self, reflective: bool, distance_m: f32) -> f32 {
        if !reflective || self.light >= 1.0 {
            return 1.0;
        }
        let lit = 0.75 * (1.0 - self.light) * (1.0 - (distance_m / 90.0).min(1.0)).sqrt();
        1.0 + lit / self.light.max(0.05)
    }

    /// Works on a picture in place.
    pub fn apply(&self, picture: &mut Picture, frame: u64, seed: u64) {
        for pixel in &mut picture.pixels {
            for (value, levels) in pixel.iter_mut().zip(&self.levels) {
                *value = levels[usize::from(*value)];
            }
        }
        let mut random = Random::new(seed ^ frame.wrapping_mul(0x9E6D_62D0_6F6A_9A9B));
        if self.rain > 0.0 {
            self.streaks(picture, &mut random);
        }
        if self.noise > 0.0 {
            self.sensor(picture, &mut random);
        }
    }

    fn streaks(&self, picture: &mut Picture, random: &mut Random) {
        let (width, height) = (picture.width_px as f32, picture.height_px as f32);
        // Drops gather light from the whole sky, so they darken less than the scene.
        let glow = 0.3 + 0.7 * self.light.min(1.0);
        let count = (STREAKS * self.rain * width * height / 1e6) as usize;
        for _ in 0..count {
            let (x, y) = (random.unit() * width, random.unit() * height);
            let length = random.between(0.01, 0.05) * height;
            // Drops come towards the car: streaks lean away from the middle.
            let lean = (x / width - 0.5) * 0.5;
            let cover = random.between(0.12, 0.45);
            for step in 0..length as usize {
                let (px, py) = ((x + lean * step as f32) as usize, y as usize + step);
                if px < picture.width_px && py < picture.height_px {
                    let colour = STREAK.map(|c| c * glow * cover);
                    picture.blend(px, py, colour, cover);
                }
            }
        }
    }

    fn sensor(&self, picture: &mut Picture, random: &mut Random) {
        let mask = self.grain.len() - 1;
        for y in 0..picture.height_px {
            let start = random.bits() as usize;
            let (shared_from, own_from) = (start & mask, (start >> 20) & mask);
            for (x, pixel) in picture.row_mut(y).iter_mut().enumerate() {
                // Mostly in brightness; a little apart in each colour.
                let shared = i16::from(self.grain[(shared_from + x) & mask]);
                let own = i16::from(self.grain[(own_from + 3 * x) & mask]) / 3;
                for (value, part) in pixel.iter_mut().zip([own, 0, -own]) {
                    *value = (i16::from(*value) + shared + part).clamp(0, 255) as u8;
                }
            }
        }
    }
}
