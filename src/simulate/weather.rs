//! What light, rain and the sensor do to a picture.

use super::noise::Random;
use super::picture::{Picture, Rgb};
use super::scenario::{WIDEST_PX, Weather};

/// Dusk takes red away first.
const DUSK_TINT: [f32; 3] = [0.9, 0.96, 1.1];
const RAIN_GREY: f32 = 158.0;
/// Share of the light that a downpour swallows on its way to the camera.
const VEIL: f32 = 0.3;
const STREAK: [f32; 3] = [196.0, 202.0, 208.0];
/// Streaks in a million pixels of a downpour.
const STREAKS: f32 = 900.0;

/// The share of daylight by which a headlight brightens a near board in the dark. With the daylight that is
/// left it stays below one: a camera exposes so that signs are not washed out.
const HEADLIGHT: f32 = 0.75;
const HEADLIGHT_REACH_M: f32 = 90.0;

/// The sensor's noise repeats after so many grains; a row takes up to three a pixel.
const GRAINS: usize = 1 << 16;

/// Applies them; repeatable, frame by frame.
pub struct Air {
    light: f32,
    rain: f32,
    noise: f32,
    grain: Vec<i8>,
    ambient: Lit,
    levels: [[u8; 256]; 3],
}

/// What becomes of a colour seen in daylight, channel by channel: reflectance times light, and haze before it.
#[derive(Debug, Clone, Copy)]
pub struct Lit {
    gain: [f32; 3],
    haze: [f32; 3],
}

impl Lit {
    /// For a premultiplied colour and its cover (0 to 1); cut once, at what the picture can hold.
    pub fn colour(&self, clear: Rgb, cover: f32) -> Rgb {
        std::array::from_fn(|c| {
            (clear[c] * self.gain[c] + cover * self.haze[c]).clamp(0.0, 255.0 * cover)
        })
    }
}

impl Air {
    /// For a scenario's weather and sensor.
    pub fn new(weather: &Weather, noise: f32, random: &mut Random) -> Self {
        let mut grain: Vec<i8> = (0..GRAINS)
            .map(|_| (random.normal() * noise).clamp(-127.0, 127.0).round() as i8)
            .collect();
        // Begun anew, so that a row may start at any grain.
        grain.extend_from_within(..3 * WIDEST_PX);
        let dusk = (1.0 - weather.light).clamp(0.0, 1.0);
        let tint = DUSK_TINT.map(|channel| 1.0 + (channel - 1.0) * dusk);
        let veil = VEIL * weather.rain;
        let ambient = Lit {
            gain: tint.map(|tint| weather.light * tint * (1.0 - veil)),
            haze: tint.map(|tint| weather.light * tint * RAIN_GREY * veil),
        };
        let levels = std::array::from_fn(|channel| {
            std::array::from_fn(|level| {
                ambient.colour([level as f32; 3], 1.0)[channel].round() as u8
            })
        });
        Self {
            light: weather.light,
            rain: weather.rain,
            noise,
            grain,
            ambient,
            levels,
        }
    }

    /// How a board is lit; those that throw headlight back, by that too.
    pub fn on_board(&self, reflective: bool, distance_m: f32) -> Lit {
        if !reflective || self.light >= 1.0 {
            return self.ambient;
        }
        let near = (1.0 - (distance_m / HEADLIGHT_REACH_M).min(1.0)).sqrt();
        let headlight = HEADLIGHT * (1.0 - self.light) * near * (1.0 - VEIL * self.rain);
        Lit {
            gain: self.ambient.gain.map(|gain| gain + headlight),
            ..self.ambient
        }
    }

    /// Lights what is painted in daylight, in place.
    pub fn light(&self, picture: &mut Picture) {
        for (plane, levels) in picture.planes.iter_mut().zip(&self.levels) {
            // Daylight changes nothing.
            if (0..=255)
                .zip(levels)
                .any(|(level, lit): (u8, _)| level != *lit)
            {
                for value in plane {
                    *value = levels[usize::from(*value)];
                }
            }
        }
    }

    /// Puts rain and the sensor's noise on a finished picture.
    pub fn finish(&self, picture: &mut Picture, frame: u64, seed: u64) {
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
        let (mask, width) = (GRAINS - 1, picture.width_px);
        let mut apart = vec![0; width];
        for y in 0..picture.height_px {
            let start = random.bits() as usize;
            let shared = &self.grain[start & mask..][..width];
            let own = self.grain[(start >> 20) & mask..].iter().step_by(3);
            apart
                .iter_mut()
                .zip(own)
                .for_each(|(apart, own)| *apart = own / 3);
            // Mostly in brightness; a little apart in each colour.
            for (row, sign) in picture.row_mut(y).into_iter().zip([1, 0, -1]) {
                for ((value, &shared), &apart) in row.iter_mut().zip(shared).zip(&apart) {
                    let noisy = i16::from(*value) + i16::from(shared) + sign * i16::from(apart);
                    *value = noisy.clamp(0, 255) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn air(light: f32, rain: f32) -> Air {
        Air::new(&Weather { light, rain }, 0.0, &mut Random::new(1))
    }

    #[test]
    fn daylight_changes_nothing() {
        let lit = air(1.0, 0.0).on_board(true, 10.0);
        let clear = [3.25, 120.0, 254.5];
        assert_eq!(lit.colour(clear, 1.0), clear);
    }

    #[test]
    fn a_board_in_the_headlights_keeps_its_shades_apart() {
        for (light, rain) in [(0.05, 0.0), (0.35, 0.0), (0.35, 0.6), (0.9, 1.0)] {
            let air = air(light, rain);
            let grey = |level: f32| {
                let lit = air.on_board(true, 10.0);
                lit.colour([level; 3], 1.0)
            };
            for c in 0..3 {
                assert!(grey(255.0)[c] < 255.0, "light {light}: washed out");
                assert!(grey(255.0)[c] > 1.3 * grey(160.0)[c], "light {light}");
            }
            let unlit = air.on_board(false, 10.0).colour([200.0; 3], 1.0);
            assert!(grey(200.0)[1] > unlit[1]);
        }
    }
}
