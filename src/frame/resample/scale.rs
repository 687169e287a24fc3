//! A whole plane to another size, in integers: for whole frames, where time goes by the pixel.
//!
//! The triangle filter with weights in steps of 1/256 down the columns and 1/16384 along the rows, so that sums fit
//! 16 and 32 bits, the compiler makes vector code for every processor, and all of them give the same bytes. Within
//! two levels of the filter in floats, which crops take.

use crate::frame::Samples;

use super::axis::Axis;

/// Sums of products are taken so many at a time.
const LANES: usize = 8;
/// Parts of one that weights down the columns come in.
const DOWN: f32 = 256.0;
/// And along the rows.
const ALONG: f32 = 16384.0;
/// Sums down the columns keep seven bits of a level's fraction, to fit an `i16`.
const ROW_SHIFT: u32 = 1;
/// What a sum along a row has more than levels: those seven bits, and the fourteen of `ALONG`.
const SHIFT: u32 = 21;
/// Rows that are added up at a time.
const ROWS: usize = 4;

/// Scales planes; keeps its tables and rows.
#[derive(Debug, Default)]
pub struct Scaler {
    x: Axis,
    y: Axis,
    along: Vec<i16>,
    down: Vec<i16>,
    sums: Vec<u16>,
    row: Vec<i16>,
}

impl Scaler {
    /// For planes of `input` pixels, of which the box between `edges` (left, top, right, bottom) becomes `out` pixels.
    pub fn aim(&mut self, input: (usize, usize), [x0, y0, x1, y1]: [f64; 4], out: (usize, usize)) {
        self.x.fill(input.0, (x0, x1), out.0, LANES);
        self.y.fill(input.1, (y0, y1), out.1, LANES);
        whole_steps(&self.x, ALONG, &mut self.along);
        whole_steps(&self.y, DOWN, &mut self.down);
    }

    /// Fills `out`, as large as was aimed for, from a plane.
    pub fn plane(&mut self, samples: &Samples<'_>, out: &mut Vec<u8>) {
        let (width, height) = (self.x.first.len(), self.y.first.len());
        out.resize(width * height, 0);
        match samples.step {
            1 => self.rows::<1>(samples, out, width),
            2 => self.rows::<2>(samples, out, width),
            _ => self.rows::<4>(samples, out, width),
        }
    }

    /// `STEP`: from a sample to the next.
    fn rows<const STEP: usize>(&mut self, samples: &Samples<'_>, out: &mut [u8], width: usize) {
        let span = self.x.span();
        let row_len = span.len() * STEP;
        self.sums.resize(row_len, 0);
        self.row.resize(span.len(), 0);
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            let weights = &self.down[i * self.y.taps..][..self.y.taps];
            let start = self.y.first[i] * samples.row_bytes + span.start * STEP;
            let rows = weights
                .iter()
                .enumerate()
                .filter(|(_, weight)| **weight > 0)
                .map(|(k, weight)| {
                    let row = &samples.data[start + k * samples.row_bytes..][..row_len];
                    (row, weight.unsigned_abs())
                });
            sum_rows(rows, &mut self.sums);
            for (to, from) in self.row.iter_mut().zip(self.sums.chunks_exact(STEP)) {
                *to = (from[samples.offset] >> ROW_SHIFT) as i16;
            }
            match self.x.taps {
                LANES => self.along::<LANES>(span.start, out),
                _ => self.along::<0>(span.start, out),
            }
        }
    }

    /// `K` is the number of taps where it is known to the compiler, else 0.
    fn along<const K: usize>(&self, start: usize, out: &mut [u8]) {
        let taps = if K == 0 { self.x.taps } else { K };
        let weights = self.along.chunks_exact(taps);
        for ((out, first), weights) in out.iter_mut().zip(&self.x.first).zip(weights) {
            let values = &self.row[first - start..][..taps];
            let products = (weights.iter().zip(values)).map(|(w, v)| i32::from(*w) * i32::from(*v));
            let sum: i32 = products.sum();
            *out = ((sum + (1 << (SHIFT - 1))) >> SHIFT) as u8;
        }
    }
}

/// The weights of an axis in whole steps of 1/`one`; those of an output add up to `one`, as each takes over what the
/// one before it lost by rounding.
fn whole_steps(axis: &Axis, one: f32, steps: &mut Vec<i16>) {
    steps.clear();
    for weights in axis.weights.chunks_exact(axis.taps) {
        let (mut exact, mut given) = (0.0, 0.0);
        let last = weights.iter().rposition(|w| *w > 0.0);
        steps.extend(weights.iter().enumerate().map(|(k, weight)| {
            exact += weight * one;
            let upto = if Some(k) == last { one } else { exact.round() };
            let step = upto - given;
            if *weight > 0.0 {
                given = upto;
                step as i16
            } else {
                0
            }
        }));
    }
}

/// Weighted sums down the columns of rows of equal length; the weights add up to 256, so that they fit.
fn sum_rows<'a>(mut rows: impl Iterator<Item = (&'a [u8], u16)>, sums: &mut [u16]) {
    sums.fill(0);
    loop {
        let mut some: [(&[u8], u16); ROWS] = [(&[], 0); ROWS];
        let mut count = 0;
        for (place, row) in some.iter_mut().zip(&mut rows) {
            *place = row;
            count += 1;
        }
        if count == 0 {
            return;
        }
        // Those that are missing are the first once more, with weight 0.
        let first = some[0].0;
        for place in &mut some[count..] {
            place.0 = first;
        }
        let [(a, wa), (b, wb), (c, wc), (d, wd)] = some;
        let four = a.iter().zip(b).zip(c.iter().zip(d));
        for (sum, ((a, b), (c, d))) in sums.iter_mut().zip(four) {
            let product = |value: &u8, weight: u16| u16::from(*value).wrapping_mul(weight);
            *sum = (sum
                .wrapping_add(product(a, wa))
                .wrapping_add(product(b, wb)))
            .wrapping_add(product(c, wc))
            .wrapping_add(product(d, wd));
        }
    }
}
