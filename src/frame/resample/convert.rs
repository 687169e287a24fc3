//! To RGB without scaling, in integers.

use crate::frame::{ChromaSamples, Samples};

use super::colour::YuvToRgb;
use super::{Target, target_rows};

/// A box with even corners at its own size: integers only, each chroma sample for its pixels.
///
/// What a chroma row adds to red, green and blue is worked out once for its luma rows, in rows of `i16` that
/// the compiler turns into vector code.
pub fn same_size(
    (luma, chroma): (Samples<'_>, ChromaSamples<'_>),
    corner: (usize, usize),
    of: &YuvToRgb,
    adds: &mut [Vec<i16>; 3],
    target: &mut Target<'_>,
) {
    let of = of.fixed();
    match (luma.step, chroma.u.step) {
        (1, 1) => with_steps::<1, 1, 2>((luma, chroma), corner, of, adds, target),
        (1, _) => with_steps::<1, 2, 2>((luma, chroma), corner, of, adds, target),
        _ => with_steps::<2, 4, 1>((luma, chroma), corner, of, adds, target),
    }
}

/// `LUMA` and `CHROMA` are the steps of the samples, `ROWS` the luma rows of a chroma row.
fn with_steps<const LUMA: usize, const CHROMA: usize, const ROWS: usize>(
    (luma, chroma): (Samples<'_>, ChromaSamples<'_>),
    (left, top): (usize, usize),
    [offset, ky, rv, gu, gv, bu]: [i16; 6],
    adds: &mut [Vec<i16>; 3],
    target: &mut Target<'_>,
) {
    let chroma_width = target.width_px.div_ceil(2);
    for row in adds.iter_mut() {
        row.resize(chroma_width * 2, 0);
    }
    for i in 0..target.height_px {
        if i % ROWS == 0 {
            let row = |samples: &Samples<'_>| {
                let at = (top + i) / ROWS * samples.row_bytes + left / 2 * CHROMA;
                (at, samples.offset)
            };
            let ((u_at, u_off), (v_at, v_off)) = (row(&chroma.u), row(&chroma.v));
            let us = chroma.u.data[u_at..][..chroma_width * CHROMA].chunks_exact(CHROMA);
            let vs = chroma.v.data[v_at..][..chroma_width * CHROMA].chunks_exact(CHROMA);
            // A loop a colour: with all three in one, the compiler makes no vector code.
            let [red, green, blue] = &mut *adds;
            let centred = |chunk: &[u8], offset: usize| i16::from(chunk[offset]) - 128;
            for (pair, v) in red.chunks_exact_mut(2).zip(vs.clone()) {
                let add = rv * centred(v, v_off);
                (pair[0], pair[1]) = (add, add);
            }
            for (pair, (u, v)) in green.chunks_exact_mut(2).zip(us.clone().zip(vs)) {
                let add = gu * centred(u, u_off) + gv * centred(v, v_off);
                (pair[0], pair[1]) = (add, add);
            }
            for (pair, u) in blue.chunks_exact_mut(2).zip(us) {
                let add = bu * centred(u, u_off);
                (pair[0], pair[1]) = (add, add);
            }
        }
        let at = (top + i) * luma.row_bytes + left * LUMA;
        let y_row = &luma.data[at..][..target.width_px * LUMA];
        for (out, add) in target_rows(target, i).into_iter().zip(&*adds) {
            for ((out, y), add) in out.iter_mut().zip(y_row.chunks_exact(LUMA)).zip(add) {
                let y = (i16::from(y[luma.offset]) - offset) * ky;
                *out = ((y.saturating_add(*add).saturating_add(32)) >> 6).clamp(0, 255) as u8;
            }
        }
    }
}
