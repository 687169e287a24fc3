//! Sky with clouds, and the hills and woods where it ends.

use super::lanes::{Colours, LANES, Lanes, blend, each, plain};
use super::noise::NoiseTile;
use super::picture::Rgb;

/// Where the sky meets the land, and what far land fades into.
pub const HAZE: Rgb = [196.0, 208.0, 214.0];
const ZENITH: Rgb = [86.0, 138.0, 202.0];
const CLOUD: Rgb = [238.0, 240.0, 242.0];
const NEAR_WOOD: Rgb = [70.0, 94.0, 66.0];
const FAR_HILL: Rgb = [124.0, 146.0, 158.0];

/// No hill reaches higher, as a share of its distance.
const HIGHEST_RIDGE: f32 = 0.03;
/// And no wood, which is 0.0115 high where its waves meet.
const HIGHEST_WOOD: f32 = 0.012;

/// The colours of pixels above the horizon; rays lead so far to the right and down.
pub fn sky(
    clouds: &NoiseTile,
    right: &Lanes,
    down: &Lanes,
    heading: f32,
    focal_px: f32,
) -> Colours {
    let up = each(|i| -down[i]);
    let mut colours = plain(HAZE);
    blend(
        &mut colours,
        ZENITH,
        &each(|i| (up[i] * 2.6).clamp(0.0, 1.0)),
    );
    let far = each(|i| 1.0 / (up[i].max(0.0) + 0.06));
    let (sin, cos) = heading.sin_cos();
    let east = each(|i| (right[i] * cos + sin) * far[i]);
    let north = each(|i| (cos - right[i] * sin) * far[i]);
    let large = clouds.at(&east, 9.0, &north, 9.0);
    let small = clouds.at(&east, 31.0, &north, 31.0);
    let cloud = each(|i| {
        let puff = large[i] + 0.4 * small[i];
        (puff * 1.9).clamp(0.0, 1.0) * (up[i] * 9.0).clamp(0.0, 1.0) * 0.8
    });
    blend(&mut colours, CLOUD, &cloud);
    if up.iter().any(|up| *up <= HIGHEST_RIDGE) {
        hills(&mut colours, right, &up, heading, focal_px);
    }
    colours
}

fn hills(colours: &mut Colours, right: &Lanes, up: &Lanes, heading: f32, focal_px: f32) {
    let below = |height: f32, up: f32| ((height - up) * focal_px + 0.5).clamp(0.0, 1.0);
    let (mut hills, mut woods) = ([0.0; LANES], [0.0; LANES]);
    for i in 0..LANES {
        if up[i] > HIGHEST_RIDGE {
            continue;
        }
        let bearing = heading + right[i].atan();
        let wave = |k: f32, phase: f32| (bearing * k + phase).sin();
        let ridge = 0.016 + 0.007 * wave(5.0, 0.4) + 0.004 * wave(13.0, 1.9);
        hills[i] = below(ridge, up[i]);
        if below(HIGHEST_WOOD, up[i]) > 0.0 {
            let wood = 0.007 + 0.0025 * wave(17.0, 2.2) + 0.0012 * wave(71.0, 0.9);
            let tops = 0.0008 * wave(233.0, 0.1);
            woods[i] = below(wood + tops, up[i]);
        }
    }
    blend(colours, FAR_HILL, &hills);
    blend(colours, NEAR_WOOD, &woods);
}
