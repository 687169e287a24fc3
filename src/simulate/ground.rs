//! What needs no object: sky, hills, fields and the road with its markings.

use super::board::Viewpoint;
use super::camera::Camera;
use super::noise::{NoiseTile, Random};
use super::picture::{Picture, Rgb};
use super::route::Route;
use crate::draw::sign::NationalStyle;

/// The road is known this far ahead; beyond lies haze.
const REACH_M: f32 = 420.0;
const BIN_M: f32 = 0.5;
/// From the middle to the edge of the paving, and to the edge line's middle.
const PAVED_M: f32 = 3.75;
const EDGE_LINE_M: f32 = 3.3;
const LINE_M: f32 = 0.13;

const ASPHALT: Rgb = [96.0, 96.0, 99.0];
const PAINT: Rgb = [226.0, 226.0, 220.0];
const YELLOW_PAINT: Rgb = [222.0, 176.0, 52.0];
const VERGE: Rgb = [112.0, 122.0, 66.0];
const FIELD: Rgb = [104.0, 130.0, 62.0];
const CROP: Rgb = [168.0, 158.0, 84.0];
const HAZE: Rgb = [196.0, 208.0, 214.0];
const ZENITH: Rgb = [86.0, 138.0, 202.0];
const CLOUD: Rgb = [238.0, 240.0, 242.0];
const NEAR_WOOD: Rgb = [70.0, 94.0, 66.0];
const FAR_HILL: Rgb = [124.0, 146.0, 158.0];

/// Paints the background of a picture.
pub struct Ground {
    fine: NoiseTile,
    coarse: NoiseTile,
    /// For each distance ahead: the road's middle to the right, the distance along it, its slant.
    bins: Vec<[f32; 3]>,
}

impl Ground {
    /// With noise of its own.
    pub fn new(random: &mut Random) -> Self {
        Self {
            fine: NoiseTile::fine(random),
            coarse: NoiseTile::cloudy(random),
            bins: Vec::new(),
        }
    }

    /// Paints every pixel.
    pub fn paint(
        &mut self,
        picture: &mut Picture,
        camera: &Camera,
        route: &Route,
        along_m: f64,
        view: &Viewpoint,
    ) {
        self.look_ahead(route, along_m, view);
        let style = route.style(along_m + 15.0);
        let horizon = 2.0 / camera.focal_px;
        for y in 0..picture.height_px {
            let rays = camera.row(y);
            for (pixel, &[right, down]) in picture.row_mut(y).iter_mut().zip(rays) {
                let colour = if down > horizon {
                    self.land(right, down, camera, style, view.blur_m)
                } else {
                    self.sky(right, down, camera, view.pose.heading as f32)
                };
                *pixel = colour.map(|c| (c + 0.5) as u8);
            }
        }
    }

    fn look_ahead(&mut self, route: &Route, along_m: f64, view: &Viewpoint) {
        let (ahead, right) = (view.pose.ahead(), view.pose.right());
        let count = (REACH_M / BIN_M) as usize + 2;
        self.bins.clear();
        let mut walked_m = along_m - 4.0;
        let seen = |along: f64| {
            let p = route.at(along);
            let (x, y) = (p.x_m - view.pose.x_m, p.y_m - view.pose.y_m);
            (
                x * ahead.0 + y * ahead.1,
                x * right.0 + y * right.1,
                p.heading,
            )
        };
        for bin in 0..count {
            let target = bin as f64 * f64::from(BIN_M);
            // The road bends gently, so walking on by what is missing closes in at once.
            for _ in 0..3 {
                walked_m += target - seen(walked_m).0;
            }
            let (_, across, heading) = seen(walked_m);
            let slant = (heading - view.pose.heading).cos();
            self.bins
                .push([across as f32, walked_m as f32, slant as f32]);
        }
    }

    fn land(
        &self,
        right: f32,
        down: f32,
        camera: &Camera,
        style: NationalStyle,
        blur_m: f32,
    ) -> Rgb {
        let ahead_m = camera.height_m / down;
        if ahead_m >= REACH_M {
            return NEAR_WOOD_AT_HORIZON;
        }
        let bin = ahead_m / BIN_M;
        let (index, share) = (bin as usize, bin.fract());
        let (a, b) = (self.bins[index], self.bins[index + 1]);
        let mix = |i: usize| a[i] + (b[i] - a[i]) * share;
        let lateral = (right * ahead_m - mix(0)) * mix(2);
        let along = mix(1);
        // What one pixel covers on the ground, across and along.
        let grain = ahead_m / camera.focal_px;
        let length = ahead_m * grain / camera.height_m + blur_m;
        let colour = if lateral.abs() < PAVED_M + grain {
            self.road(lateral, along, grain, length, style)
        } else {
            self.fields(lateral, along, grain, length)
        };
        let haze = (ahead_m / REACH_M).powi(2) * 0.55;
        blend(colour, HAZE, haze)
    }

    fn road(&self, lateral: f32, along: f32, grain: f32, length: f32, style: NationalStyle) -> Rgb {
        let speck = self.fine.at(lateral * 34.0, along * 6.0)
            * fade(length, 0.5)
            * fade(grain, 0.05)
            * 13.0;
        let patch = self.coarse.at(lateral * 6.0, along * 0.8) * 5.0;
        // Wheels polish two tracks a lane.
        let wheel = ((lateral.abs() - 1.65).abs() - 0.75).abs();
        let worn = (1.0 - wheel / 0.45).max(0.0) * -6.0;
        let mut colour = ASPHALT.map(|c| c + speck + patch + worn);
        let line =
            |middle: f32| covered(lateral, middle - LINE_M / 2.0, middle + LINE_M / 2.0, grain);
        let edge = line(EDGE_LINE_M).max(line(-EDGE_LINE_M));
        let paint = 1.0 - 0.12 * (self.coarse.at(along * 9.0, lateral * 9.0) + 1.0);
        let white = match style {
            NationalStyle::De => edge.max(line(0.0) * dashes(along, 12.0, 4.0, length)),
            NationalStyle::Fr => (edge * dashes(along, 6.5, 3.0, length))
                .max(line(0.0) * dashes(along, 13.0, 3.0, length)),
            NationalStyle::Us | NationalStyle::Ca => edge,
            NationalStyle::Ch => edge.max(line(0.0) * dashes(along, 9.0, 3.0, length)),
        };
        colour = blend(colour, PAINT, white * paint);
        if matches!(style, NationalStyle::Us | NationalStyle::Ca) {
            let double = line(0.14).max(line(-0.14));
            colour = blend(colour, YELLOW_PAINT, double * paint);
        }
        let off_road = 1.0 - covered(lateral, -PAVED_M, PAVED_M, grain);
        blend(colour, VERGE, off_road)
    }

    fn fields(&self, lateral: f32, along: f32, grain: f32, length: f32) -> Rgb {
        let out = lateral.abs();
        let plot = self
            .coarse
            .at(along * 0.11 + lateral.signum() * 40.0, out * 0.06);
        let field = blend(FIELD, CROP, (plot * 6.0 - 0.6).clamp(0.0, 1.0));
        let verge = 1.0 - ((out - 7.5) / 1.5).clamp(0.0, 1.0);
        let base = blend(field, VERGE, verge);
        // Grain is finer across than along, as grass seen at a low angle and in motion is.
        let tuft = self.coarse.at(lateral * 9.0, along * 4.0) * fade(length, 2.5);
        let blade =
            self.fine.at(lateral * 14.0, along * 3.0) * fade(length, 0.9) * fade(grain, 0.1);
        let shade =
            1.0 + 0.30 * tuft + 0.16 * blade + 0.10 * self.coarse.at(along * 0.6, lateral * 0.6);
        base.map(|c| (c * shade).clamp(0.0, 255.0))
    }

    fn sky(&self, right: f32, down: f32, camera: &Camera, heading: f32) -> Rgb {
        let up = -down;
        let rise = (up * 2.6).clamp(0.0, 1.0);
        let mut colour = blend(HAZE, ZENITH, rise);
        let far = 1.0 / (up.max(0.0) + 0.06);
        let (sin, cos) = heading.sin_cos();
        let (east, north) = (right * cos + sin, cos - right * sin);
        let puff = self.coarse.at(east * far * 9.0, north * far * 9.0)
            + 0.4 * self.coarse.at(east * far * 31.0, north * far * 31.0);
        let cloud = (puff * 1.9).clamp(0.0, 1.0) * (up * 9.0).clamp(0.0, 1.0) * 0.8;
        colour = blend(colour, CLOUD, cloud);
        if up > HIGHEST_RIDGE {
            return colour;
        }
        let bearing = heading + right.atan();
        let wave = |k: f32, phase: f32| (bearing * k + phase).sin();
        let ridge = 0.016 + 0.007 * wave(5.0, 0.4) + 0.004 * wave(13.0, 1.9);
        let wood = 0.007 + 0.0025 * wave(17.0, 2.2) + 0.0012 * wave(71.0, 0.9);
        let tops = 0.0008 * wave(233.0, 0.1);
        let below = |height: f32| ((height - up) * camera.focal_px + 0.5).clamp(0.0, 1.0);
        colour = blend(colour, FAR_HILL, below(ridge));
        blend(colour, NEAR_WOOD, below(wood + tops))
    }
}

/// No hill reaches higher, as a share of its distance.
const HIGHEST_RIDGE: f32 = 0.03;

/// Land too far to be told apart has the colour of the woods in haze.
const NEAR_WOOD_AT_HORIZON: Rgb = [118.0, 136.0, 112.0];

fn blend(under: Rgb, over: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|c| under[c] + (over[c] - under[c]) * share)
}

/// Detail of a size vanishes when a pixel covers more than it.
fn fade(covered_m: f32, size_m: f32) -> f32 {
    (1.3 - covered_m / size_m).clamp(0.0, 1.0)
}

/// Share of a pixel of width `grain` at `x` that lies between `low` and `high`.
fn covered(x: f32, low: f32, high: f32, grain: f32) -> f32 {
    let left = (x - grain / 2.0).max(low);
    let right = (x + grain / 2.0).min(high);
    ((right - left) / grain).clamp(0.0, 1.0)
}

/// Share of the stretch `length` around `x` that lies on dashes of length `on` every `period`.
fn dashes(x: f32, period: f32, on: f32, length: f32) -> f32 {
    let painted_until = |x: f32| {
        let turns = (x / period).floor();
        turns * on + (x - turns * period).min(on)
    };
    ((painted_until(x + length / 2.0) - painted_until(x - length / 2.0)) / length).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_a_share_of_the_pixel() {
        assert_eq!(covered(0.5, 0.0, 1.0, 0.5), 1.0);
        assert_eq!(covered(0.0, 0.0, 1.0, 0.5), 0.5);
        assert_eq!(covered(2.0, 0.0, 1.0, 0.5), 0.0);
        assert_eq!(covered(0.0, -0.05, 0.05, 1.0), 0.1);
    }

    #[test]
    fn dashes_far_away_become_an_even_grey() {
        assert!((dashes(2.0, 12.0, 4.0, 0.1) - 1.0).abs() < 1e-4);
        assert_eq!(dashes(8.0, 12.0, 4.0, 0.1), 0.0);
        assert!((dashes(17.0, 12.0, 4.0, 120.0) - 1.0 / 3.0).abs() < 1e-3);
    }
}
