//! What needs no object: the road with its markings, fields, and the sky above.

use super::board::Viewpoint;
use super::camera::Camera;
use super::lanes::{self, Colours, LANES, Lanes, blend, each, floor, plain};
use super::noise::{NoiseTile, Random};
use super::picture::{Picture, Rgb};
use super::route::Route;
use super::sky::{HAZE, sky};
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
        let scene = Scene {
            markings: Markings::of(style),
            height_m: camera.height_m,
            focal_px: camera.focal_px,
            horizon,
            blur_m: view.blur_m,
            heading: view.pose.heading as f32,
        };
        for y in 0..picture.height_px {
            let rays = camera.row(y);
            let mut row = picture.row_mut(y);
            for from in (0..rays[0].len()).step_by(LANES) {
                let [right, down] = rays.map(|rays| lanes::load(&rays[from..]));
                let land = down.map(|down| down > horizon);
                let mut colours = [[0.0; LANES]; 3];
                if land.contains(&false) {
                    colours = sky(&self.coarse, &right, &down, scene.heading, scene.focal_px);
                }
                if land.contains(&true) {
                    let painted = self.land(&right, &down, &scene);
                    choose(&mut colours, &painted, &land);
                }
                for (row, colours) in row.iter_mut().zip(&colours) {
                    lanes::store(colours, &mut row[from..]);
                }
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

    /// What lies on the ground.
    fn land(&self, right: &Lanes, down: &Lanes, scene: &Scene) -> Colours {
        let mut ahead_m = [0.0; LANES];
        let (mut index, mut share) = ([0; LANES], [0.0; LANES]);
        // The last bin only ends a stretch.
        let last = self.bins.len() as f32 - 2.0;
        for i in 0..LANES {
            ahead_m[i] = scene.height_m / down[i];
            let bin = ahead_m[i] / BIN_M;
            let whole = floor(bin.max(0.0).min(last));
            index[i] = lanes::bits::<16>(whole);
            share[i] = bin - whole;
        }
        let ends = index.map(|i| (self.bins[i as usize], self.bins[i as usize + 1]));
        let mixed = |n: usize| {
            let (from, to) = (each(|i| ends[i].0[n]), each(|i| ends[i].1[n]));
            each(|i| from[i] + (to[i] - from[i]) * share[i])
        };
        let (middle, along, slant) = (mixed(0), mixed(1), mixed(2));
        let mut place = Place {
            lateral: each(|i| (right[i] * ahead_m[i] - middle[i]) * slant[i]),
            along,
            grain: each(|i| ahead_m[i] / scene.focal_px),
            length: [0.0; LANES],
        };
        place.length = each(|i| ahead_m[i] * place.grain[i] / scene.height_m + scene.blur_m);
        let seen = |i: usize| down[i] > scene.horizon && ahead_m[i] < REACH_M;
        let paved = |i: usize| place.lateral[i].abs() < PAVED_M + place.grain[i];
        let road: [bool; LANES] = std::array::from_fn(|i| seen(i) && paved(i));
        let field: [bool; LANES] = std::array::from_fn(|i| seen(i) && !paved(i));
        let mut colours = [[0.0; LANES]; 3];
        if field.contains(&true) {
            colours = self.fields(&place);
        }
        if road.contains(&true) {
            choose(&mut colours, &self.road(&place, &scene.markings), &road);
        }
        let haze = each(|i| (ahead_m[i] / REACH_M).powi(2) * 0.55);
        blend(&mut colours, HAZE, &haze);
        let beyond: [bool; LANES] = std::array::from_fn(|i| ahead_m[i] >= REACH_M);
        if beyond.contains(&true) {
            choose(&mut colours, &plain(NEAR_WOOD_AT_HORIZON), &beyond);
        }
        colours
    }

    fn road(&self, place: &Place, markings: &Markings) -> Colours {
        let Place {
            lateral,
            along,
            grain,
            length,
        } = place;
        let shown = each(|i| fade(grain[i], 0.05).min(fade(length[i], 0.5)));
        let speck = if any(&shown) {
            let speck = (self.fine).at(lateral, 34.0, along, 6.0);
            each(|i| speck[i] * fade(length[i], 0.5) * fade(grain[i], 0.05) * 13.0)
        } else {
            [0.0; LANES]
        };
        let patch = (self.coarse).at(lateral, 6.0, along, 0.8);
        let light = each(|i| {
            // Wheels polish two tracks a lane.
            let wheel = ((lateral[i].abs() - 1.65).abs() - 0.75).abs();
            (1.0 - wheel / 0.45).max(0.0) * -6.0
        });
        let mut colours = ASPHALT.map(|c| each(|i| c + speck[i] + patch[i] * 5.0 + light[i]));
        let line = |middle: f32| {
            let (left, right) = (middle - LINE_M / 2.0, middle + LINE_M / 2.0);
            all_covered(lateral, left, right, grain)
        };
        let dashed = |line: Lanes, dash: Option<Dash>| match dash {
            Some(dash) if any(&line) => {
                let dashes = all_dashes(along, dash, length);
                each(|i| line[i] * dashes[i])
            }
            _ => line,
        };
        let edges = both(&line(EDGE_LINE_M), &line(-EDGE_LINE_M));
        let mut white = dashed(edges, markings.edge);
        let mut yellow = [0.0; LANES];
        match markings.middle {
            Middle::Dashed(dash) => white = both(&white, &dashed(line(0.0), Some(dash))),
            Middle::DoubleYellow => yellow = both(&line(0.14), &line(-0.14)),
        }
        if any(&white) || any(&yellow) {
            let worn = (self.coarse).at(along, 9.0, lateral, 9.0);
            let paint = each(|i| 1.0 - 0.12 * (worn[i] + 1.0));
            blend(&mut colours, PAINT, &each(|i| white[i] * paint[i]));
            blend(&mut colours, YELLOW_PAINT, &each(|i| yellow[i] * paint[i]));
        }
        let on_road = all_covered(lateral, -PAVED_M, PAVED_M, grain);
        let off_road = each(|i| 1.0 - on_road[i]);
        blend(&mut colours, VERGE, &off_road);
        colours
    }

    fn fields(&self, place: &Place) -> Colours {
        let Place {
            lateral,
            along,
            grain,
            length,
        } = place;
        let out = each(|i| lateral[i].abs());
        let side = each(|i| along[i] * 0.11 + lateral[i].signum() * 40.0);
        let plot = self.coarse.at(&side, 1.0, &out, 0.06);
        let crop = each(|i| (plot[i] * 6.0 - 0.6).clamp(0.0, 1.0));
        let verge = each(|i| 1.0 - ((out[i] - 7.5) / 1.5).clamp(0.0, 1.0));
        let mut colours = plain(FIELD);
        blend(&mut colours, CROP, &crop);
        blend(&mut colours, VERGE, &verge);
        // Grain is finer across than along, as grass seen at a low angle and in motion is.
        let mut tuft = each(|i| fade(length[i], 2.5));
        if any(&tuft) {
            let noise = (self.coarse).at(lateral, 9.0, along, 4.0);
            tuft = each(|i| noise[i] * tuft[i]);
        }
        let mut blade = each(|i| fade(length[i], 0.9).min(fade(grain[i], 0.1)));
        if any(&blade) {
            let noise = (self.fine).at(lateral, 14.0, along, 3.0);
            blade = each(|i| noise[i] * fade(length[i], 0.9) * fade(grain[i], 0.1));
        }
        let broad = (self.coarse).at(along, 0.6, lateral, 0.6);
        let shade = each(|i| 1.0 + 0.30 * tuft[i] + 0.16 * blade[i] + 0.10 * broad[i]);
        colours.map(|c| each(|i| (c[i] * shade[i]).clamp(0.0, 255.0)))
    }
}

/// What is the same all over a picture.
struct Scene {
    markings: Markings,
    height_m: f32,
    focal_px: f32,
    /// Rays that lead farther down meet the ground.
    horizon: f32,
    blur_m: f32,
    heading: f32,
}

/// Where on the road or beside it pixels lie, and how much of it they cover across and along.
struct Place {
    lateral: Lanes,
    along: Lanes,
    grain: Lanes,
    length: Lanes,
}

/// Lines on a road.
struct Markings {
    edge: Option<Dash>,
    middle: Middle,
}

enum Middle {
    Dashed(Dash),
    DoubleYellow,
}

/// A line that is painted for a length in every period.
#[derive(Clone, Copy)]
struct Dash {
    period_m: f32,
    on_m: f32,
}

impl Markings {
    fn of(style: NationalStyle) -> Self {
        let dash = |period_m, on_m| Dash { period_m, on_m };
        let (edge, middle) = match style {
            NationalStyle::De => (None, Middle::Dashed(dash(12.0, 4.0))),
            NationalStyle::Fr => (Some(dash(6.5, 3.0)), Middle::Dashed(dash(13.0, 3.0))),
            NationalStyle::Us | NationalStyle::Ca => (None, Middle::DoubleYellow),
            NationalStyle::Ch => (None, Middle::Dashed(dash(9.0, 3.0))),
        };
        Self { edge, middle }
    }
}

/// Land too far to be told apart has the colour of the woods in haze.
const NEAR_WOOD_AT_HORIZON: Rgb = [118.0, 136.0, 112.0];

fn any(shares: &Lanes) -> bool {
    shares.iter().any(|share| *share > 0.0)
}

/// The larger ones.
fn both(a: &Lanes, b: &Lanes) -> Lanes {
    each(|i| a[i].max(b[i]))
}

/// Takes other colours where told.
#[inline(never)]
fn choose(colours: &mut Colours, others: &Colours, chosen: &[bool; LANES]) {
    for (colours, others) in colours.iter_mut().zip(others) {
        for i in 0..LANES {
            colours[i] = if chosen[i] { others[i] } else { colours[i] };
        }
    }
}

/// Detail of a size vanishes when a pixel covers more than it.
fn fade(covered_m: f32, size_m: f32) -> f32 {
    (1.3 - covered_m / size_m).clamp(0.0, 1.0)
}

#[inline(never)]
fn all_covered(x: &Lanes, low: f32, high: f32, grain: &Lanes) -> Lanes {
    each(|i| covered(x[i], low, high, grain[i]))
}

#[inline(never)]
fn all_dashes(x: &Lanes, dash: Dash, length: &Lanes) -> Lanes {
    each(|i| dashes(x[i], dash.period_m, dash.on_m, length[i]))
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
        let turns = floor(x / period);
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
