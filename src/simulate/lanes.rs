//! Neighbouring pixels worked on together: loops over a fixed few of them become vector instructions.

use super::picture::Rgb;

/// So many at once.
pub const LANES: usize = 8;
/// One number of each.
pub type Lanes = [f32; LANES];

/// The first of a row's numbers; what the row lacks is filled with its last.
pub fn load(row: &[f32]) -> Lanes {
    match row.first_chunk() {
        Some(lanes) => *lanes,
        None => std::array::from_fn(|i| row.get(i).or(row.last()).copied().unwrap_or(0.0)),
    }
}

/// Puts levels, rounded, into a row as far as it goes.
#[inline(always)]
pub fn store(levels: &Lanes, row: &mut [u8]) {
    let mut rounded = [0; LANES];
    for i in 0..LANES {
        rounded[i] = bits::<8>(floor(levels[i] + 0.5)) as u8;
    }
    let count = LANES.min(row.len());
    row[..count].copy_from_slice(&rounded[..count]);
}

/// Numbers nearer to zero than this can be cut to whole ones here.
pub const NEAR: f32 = (1 << 22) as f32;
/// Around it `f32` holds whole numbers only, and its last bits are those of the number.
const WHOLE: f32 = 3.0 * NEAR;

/// `f32::floor` of a number that is near: that is a call on processors without SSE 4.1, and a cast is done lane
/// by lane.
#[inline(always)]
pub fn floor(x: f32) -> f32 {
    let nearest = x + WHOLE - WHOLE;
    nearest - if nearest > x { 1.0 } else { 0.0 }
}

/// The last bits of a whole number that is near.
#[inline(always)]
pub fn bits<const COUNT: u32>(whole: f32) -> u32 {
    const { assert!(COUNT <= 22) };
    (whole + WHOLE).to_bits() & ((1 << COUNT) - 1)
}

/// The same of every lane.
#[inline(always)]
pub fn each(of: impl Fn(usize) -> f32) -> Lanes {
    let mut lanes = [0.0; LANES];
    for (i, lane) in lanes.iter_mut().enumerate() {
        *lane = of(i);
    }
    lanes
}

/// Colours, channel by channel.
pub type Colours = [Lanes; 3];

/// All of one colour.
pub fn plain(colour: Rgb) -> Colours {
    colour.map(|level| [level; LANES])
}

/// Lays a colour over others, each with its share.
#[inline(never)]
pub fn blend(under: &mut Colours, over: Rgb, share: &Lanes) {
    for (under, over) in under.iter_mut().zip(over) {
        for (under, share) in under.iter_mut().zip(share) {
            *under += (over - *under) * share;
        }
    }
}
