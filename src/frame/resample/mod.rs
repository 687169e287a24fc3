//! From a box of a frame to a small planar RGB picture, straight from the frame's own pixels.
//!
//! The filter is the separable triangle ("anti-aliased bilinear") of Pillow's
//! `resize(size, BILINEAR, box=…)`: support of one output pixel or one input pixel, whichever is
//! larger, taps cut at the picture's border and weights renormalised. Each plane of a 4:2:0 frame is
//! resampled on its own and the colour conversion is done at the target size, so the cost follows
//! the box and not the frame. Crops are made in floats: `training/` has the same in Python, and `models/golden`
//! holds both to 1/255. Whole frames are made in integers (`scale`, `convert`): twice as fast, and within a
//! few levels of it.
//!
//! A [`Resampler`] keeps its tables and rows: nothing is allocated once the largest size was seen.

mod axis;
mod colour;
mod convert;
mod scale;

use crate::frame::{ChromaSamples, Frame, PixelFormat, Samples};
use crate::units::BoxPx;

use axis::Axis;
use colour::YuvToRgb;
use scale::Scaler;

/// Where the picture goes: the top left `width_px` x `height_px` of three planes of `u8`.
pub struct Target<'a> {
    /// All three planes, R, G, B.
    pub data: &'a mut [u8],
    /// Width to fill.
    pub width_px: usize,
    /// Height to fill.
    pub height_px: usize,
    /// Bytes from a row to the next.
    pub row_stride: usize,
    /// Bytes from a plane to the next.
    pub plane_stride: usize,
    /// How much is made of a 4:2:0 frame's colour.
    pub chroma: Chroma,
}

/// How chroma comes to the target's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chroma {
    /// Filtered to the target's size, as `training/` does: for crops.
    Full,
    /// Filtered to half the target's size, each sample used for four pixels: for whole frames.
    Half,
}

/// Floats that a vector of every processor holds.
const LANES: usize = 4;

/// Resamples boxes of frames; see the module.
#[derive(Debug, Default)]
pub struct Resampler {
    x: Axis,
    y: Axis,
    chroma_x: Axis,
    chroma_y: Axis,
    column_sums: Vec<f32>,
    rows: [Vec<f32>; 4],
    chroma_rows: [Vec<f32>; 2],
    scaler: Scaler,
    scaled: [Vec<u8>; 3],
    adds: [Vec<i16>; 3],
}

impl Resampler {
    /// Stretches `bbox` (cut to the frame; at least one pixel) onto `target`.
    pub fn rgb(&mut self, frame: &Frame, bbox: BoxPx, target: &mut Target<'_>) {
        let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
        if width == 0 || height == 0 || target.width_px == 0 || target.height_px == 0 {
            return;
        }
        let bbox = inside(bbox, frame);
        let (x0, x1) = (f64::from(bbox.x0), f64::from(bbox.x1));
        let (y0, y1) = (f64::from(bbox.y0), f64::from(bbox.y1));
        if target.chroma == Chroma::Half
            && let Some(chroma) = frame.chroma()
        {
            return self.half(frame, &chroma, bbox, target);
        }
        (self.x).fill(width, (x0, x1), target.width_px, LANES);
        (self.y).fill(height, (y0, y1), target.height_px, LANES);
        for row in self.rows.iter_mut().chain(&mut self.chroma_rows) {
            row.resize(target.width_px, 0.0);
        }
        match (frame.format(), frame.chroma()) {
            (PixelFormat::Rgb8, _) => self.from_rgb(frame, target),
            (_, Some(chroma)) => self.from_yuv(frame, &chroma, [x0, y0, x1, y1], target),
            (_, None) => self.from_grey(frame, target),
        }
    }

    /// Colour at half the target's size, all in integers.
    fn half(
        &mut self,
        frame: &Frame,
        chroma: &ChromaSamples<'_>,
        bbox: BoxPx,
        target: &mut Target<'_>,
    ) {
        let of = YuvToRgb::new(frame.colour);
        let same_size = (bbox.width(), bbox.height())
            == (target.width_px as f32, target.height_px as f32)
            && [bbox.x0, bbox.y0].iter().all(|edge| edge % 2.0 == 0.0);
        if same_size {
            let corner = (bbox.x0 as usize, bbox.y0 as usize);
            let planes = (frame.luma(), *chroma);
            return convert::same_size(planes, corner, &of, &mut self.adds, target);
        }
        let edges = [bbox.x0, bbox.y0, bbox.x1, bbox.y1].map(f64::from);
        let frame_px = (frame.width_px() as usize, frame.height_px() as usize);
        let full = (target.width_px, target.height_px);
        let half = (full.0.div_ceil(2), full.1.div_ceil(2));
        let chroma_px = (chroma.width, chroma.height);
        let chroma_edges = in_chroma(edges, chroma, frame_px.1);
        let [luma_plane, u_plane, v_plane] = &mut self.scaled;
        let scaler = &mut self.scaler;
        scaler.aim(frame_px, edges, full);
        scaler.plane(&frame.luma(), luma_plane);
        scaler.aim(chroma_px, chroma_edges, half);
        scaler.plane(&chroma.u, u_plane);
        scaler.plane(&chroma.v, v_plane);
        let scaled = |data, width| Samples {
            data,
            step: 1,
            offset: 0,
            row_bytes: width,
        };
        let chroma = ChromaSamples {
            u: scaled(u_plane, half.0),
            v: scaled(v_plane, half.0),
            width: half.0,
            height: half.1,
        };
        let planes = (scaled(luma_plane, full.0), chroma);
        convert::same_size(planes, (0, 0), &of, &mut self.adds, target);
    }

    #[allow(clippy::wrong_self_convention)] // named by their input
    fn from_yuv(
        &mut self,
        frame: &Frame,
        chroma: &ChromaSamples<'_>,
        edges: [f64; 4],
        target: &mut Target<'_>,
    ) {
        let (columns, rows) = (target.width_px, target.height_px);
        let [x0, y0, x1, y1] = in_chroma(edges, chroma, frame.height_px() as usize);
        (self.chroma_x).fill(chroma.width, (x0, x1), columns, LANES);
        (self.chroma_y).fill(chroma.height, (y0, y1), rows, LANES);
        let toward_rgb = YuvToRgb::new(frame.colour);
        let samples = frame.luma();
        for i in 0..rows {
            let sums = &mut self.column_sums;
            let [luma, red_add, green_add, blue_add] = &mut self.rows;
            resample_row(&samples, &self.x, self.y.taps(i), sums, luma);
            let [u, v] = &mut self.chroma_rows;
            let (x, taps) = (&self.chroma_x, self.chroma_y.taps(i));
            resample_row(&chroma.u, x, taps, sums, u);
            resample_row(&chroma.v, x, taps, sums, v);
            for (j, (u, v)) in u.iter().zip(&*v).enumerate() {
                let [r, g, b] = toward_rgb.chroma(*u, *v);
                (red_add[j], green_add[j], blue_add[j]) = (r, g, b);
            }
            let adds = [red_add, green_add, blue_add];
            for (out, add) in target_rows(target, i).into_iter().zip(adds) {
                for ((out, y), add) in out.iter_mut().zip(&*luma).zip(&*add) {
                    *out = to_u8(toward_rgb.luma(*y) + add);
                }
            }
        }
    }

    #[allow(clippy::wrong_self_convention)]
    fn from_grey(&mut self, frame: &Frame, target: &mut Target<'_>) {
        let (samples, toward_rgb) = (frame.luma(), YuvToRgb::new(frame.colour));
        for i in 0..target.height_px {
            let (sums, [luma, ..]) = (&mut self.column_sums, &mut self.rows);
            resample_row(&samples, &self.x, self.y.taps(i), sums, luma);
            for out in target_rows(target, i) {
                for (out, y) in out.iter_mut().zip(&*luma) {
                    *out = to_u8(toward_rgb.luma(*y));
                }
            }
        }
    }

    #[allow(clippy::wrong_self_convention)]
    fn from_rgb(&mut self, frame: &Frame, target: &mut Target<'_>) {
        let samples = frame.luma();
        for i in 0..target.height_px {
            let sums = &mut self.column_sums;
            sum_columns::<3>(&samples, &self.x, self.y.taps(i), sums);
            for (channel, out) in target_rows(target, i).into_iter().enumerate() {
                let row = &mut self.rows[0];
                along_row::<3>(sums, &self.x, channel, row);
                for (from, to) in row.iter().zip(out) {
                    *to = to_u8(*from);
                }
            }
        }
    }
}

/// The box cut to the frame, and widened to a pixel where less is left.
fn inside(bbox: BoxPx, frame: &Frame) -> BoxPx {
    let (w, h) = (frame.width_px() as f32, frame.height_px() as f32);
    let side = |from: f32, to: f32, limit: f32| {
        let from = if from.is_finite() { from } else { 0.0 };
        let to = if to.is_finite() { to } else { limit };
        let from = from.clamp(0.0, (limit - 1.0).max(0.0));
        (from, to.clamp(from + 1.0, limit.max(from + 1.0)))
    };
    let (x0, x1) = side(bbox.x0, bbox.x1, w);
    let (y0, y1) = side(bbox.y0, bbox.y1, h);
    BoxPx::new(x0, y0, x1, y1)
}

/// The edges of a box in samples of chroma, of which a frame of `height` rows has half as many, or as many.
fn in_chroma([x0, y0, x1, y1]: [f64; 4], chroma: &ChromaSamples<'_>, height: usize) -> [f64; 4] {
    let rows = if chroma.height == height { 1.0 } else { 2.0 };
    [x0 / 2.0, y0 / rows, x1 / 2.0, y1 / rows]
}

/// One output row of a component: down the columns first, then along the row.
fn resample_row(
    samples: &Samples<'_>,
    x: &Axis,
    taps: (usize, &[f32]),
    sums: &mut Vec<f32>,
    out: &mut [f32],
) {
    fn with_step<const C: usize>(
        samples: &Samples<'_>,
        x: &Axis,
        taps: (usize, &[f32]),
        sums: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        sum_columns::<C>(samples, x, taps, sums);
        along_row::<C>(sums, x, samples.offset, out);
    }
    match samples.step {
        1 => with_step::<1>(samples, x, taps, sums, out),
        2 => with_step::<2>(samples, x, taps, sums, out),
        3 => with_step::<3>(samples, x, taps, sums, out),
        _ => with_step::<4>(samples, x, taps, sums, out),
    }
}

/// Weighted sums down the columns that `x` touches, of all `C` bytes of each step.
fn sum_columns<const C: usize>(
    samples: &Samples<'_>,
    x: &Axis,
    (first_row, row_weights): (usize, &[f32]),
    sums: &mut Vec<f32>,
) {
    let span = x.span();
    sums.clear();
    sums.resize(span.len() * C, 0.0);
    for (k, weight) in row_weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
        let start = (first_row + k) * samples.row_bytes + span.start * C;
        let row = &samples.data[start..start + sums.len()];
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += weight * f32::from(*value);
        }
    }
}

fn along_row<const C: usize>(sums: &[f32], x: &Axis, channel: usize, row: &mut [f32]) {
    let start = x.span().start;
    match x.taps {
        4 => along::<C, 4>(sums, start, x, channel, row),
        8 => along::<C, 8>(sums, start, x, channel, row),
        _ => along::<C, 0>(sums, start, x, channel, row),
    }
}

/// Along the row of one channel; `K` is the number of taps where it is known to the compiler, else 0.
fn along<const C: usize, const K: usize>(
    sums: &[f32],
    start: usize,
    x: &Axis,
    channel: usize,
    out: &mut [f32],
) {
    let taps = if K == 0 { x.taps } else { K };
    for ((out, first), weights) in out
        .iter_mut()
        .zip(&x.first)
        .zip(x.weights.chunks_exact(taps))
    {
        let values = &sums[(first - start) * C..][..taps * C];
        *out = (weights.iter().zip(values.chunks_exact(C)))
            .map(|(w, value)| w * value[channel])
            .sum();
    }
}

/// The three rows `i` of a target.
fn target_rows<'a>(target: &'a mut Target<'_>, i: usize) -> [&'a mut [u8]; 3] {
    let (start, width) = (i * target.row_stride, target.width_px);
    let (red, rest) = target.data.split_at_mut(target.plane_stride);
    let (green, blue) = rest.split_at_mut(target.plane_stride);
    [red, green, blue].map(|plane| &mut plane[start..start + width])
}

fn to_u8(value: f32) -> u8 {
    // The cast saturates.
    (value + 0.5) as u8
}

/// A box as a picture of at most `long_side_px`, aspect kept: for people to look at, so it allocates.
pub fn crop_rgb(frame: &Frame, bbox: BoxPx, long_side_px: u32) -> image::RgbImage {
    if frame.width_px() == 0 || frame.height_px() == 0 {
        return image::RgbImage::new(1, 1);
    }
    let bbox = inside(bbox, frame);
    let scale = long_side_px as f32 / bbox.longer_side().max(1.0);
    let side = |px: f32| ((px * scale).round() as u32).clamp(1, long_side_px.max(1));
    let (width, height) = (side(bbox.width()), side(bbox.height()));
    let plane = width as usize * height as usize;
    let mut data = vec![0; plane * 3];
    Resampler::default().rgb(
        frame,
        bbox,
        &mut Target {
            data: &mut data,
            width_px: width as usize,
            height_px: height as usize,
            row_stride: width as usize,
            plane_stride: plane,
            chroma: Chroma::Full,
        },
    );
    image::RgbImage::from_fn(width, height, |x, y| {
        let at = y as usize * width as usize + x as usize;
        image::Rgb([data[at], data[plane + at], data[2 * plane + at]])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ColourMatrix, ColourSpec};
    use proptest::prelude::*;

    fn grey_ramp(width: u32, height: u32, full_range: bool) -> Frame {
        let mut frame = Frame::default();
        let luma = (width * height) as usize;
        let data = frame.reset(PixelFormat::I420, width, height);
        for (i, px) in data.iter_mut().enumerate() {
            *px = if i < luma { (i % 200) as u8 + 20 } else { 128 };
        }
        frame.colour.full_range = full_range;
        frame
    }

    fn whole(frame: &Frame, width: usize, height: usize) -> Vec<u8> {
        let mut data = vec![0; width * height * 3];
        let bbox = BoxPx::new(0.0, 0.0, frame.width_px() as f32, frame.height_px() as f32);
        Resampler::default().rgb(
            frame,
            bbox,
            &mut Target {
                data: &mut data,
                width_px: width,
                height_px: height,
                row_stride: width,
                plane_stride: width * height,
                chroma: Chroma::Half,
            },
        );
        data
    }

    #[test]
    fn grey_keeps_its_level_at_its_own_size() {
        let frame = grey_ramp(33, 17, true);
        let rgb = whole(&frame, 33, 17);
        let luma = frame.planes()[0];
        for plane in rgb.chunks(33 * 17) {
            assert_eq!(plane, luma);
        }
    }

    #[test]
    fn a_band_is_the_same_rows_of_the_whole() {
        let frame = grey_ramp(33, 18, true);
        let all = whole(&frame, 33, 18);
        let mut band = vec![0; 33 * 10 * 3];
        let mut target = Target {
            data: &mut band,
            width_px: 33,
            height_px: 10,
            row_stride: 33,
            plane_stride: 330,
            chroma: Chroma::Half,
        };
        let rows = BoxPx::new(0.0, 4.0, 33.0, 14.0);
        Resampler::default().rgb(&frame, rows, &mut target);
        for (plane, whole) in band.chunks(330).zip(all.chunks(33 * 18)) {
            assert_eq!(plane, &whole[33 * 4..33 * 14]);
        }
    }

    #[test]
    fn limited_range_black_and_white_reach_the_ends() {
        for (level, want) in [(16, 0), (235, 255), (0, 0), (255, 255)] {
            let mut frame = grey_ramp(8, 8, false);
            frame.data_mut()[..64].fill(level);
            for size in [8, 5] {
                assert!(
                    whole(&frame, size, size).iter().all(|v| *v == want),
                    "{level}"
                );
            }
        }
    }

    #[test]
    fn integer_and_float_conversion_agree_within_three_levels() {
        for matrix in [ColourMatrix::Bt601, ColourMatrix::Bt709] {
            for full_range in [false, true] {
                let colour = ColourSpec { matrix, full_range };
                for seed in 0..5000_u32 {
                    let mix = seed.wrapping_mul(2_654_435_761);
                    let [y, u, v, _] = mix.to_le_bytes();
                    let mut frame = Frame {
                        colour,
                        ..Frame::default()
                    };
                    let data = frame.reset(PixelFormat::I420, 1, 1);
                    data.copy_from_slice(&[y, u, v]);
                    let got = whole(&frame, 1, 1);
                    let want = {
                        let of = YuvToRgb::new(colour);
                        of.chroma(u.into(), v.into())
                            .map(|add| of.luma(y.into()) + add)
                    };
                    for (g, w) in got.iter().zip(want) {
                        let off = (f32::from(*g) - w.clamp(0.0, 255.0)).abs();
                        assert!(off <= 3.0, "{y} {u} {v} {colour:?}: {got:?} {want:?}");
                    }
                }
            }
        }
    }

    /// The same picture in another arrangement.
    fn rearranged(from: &Frame, format: PixelFormat) -> Frame {
        let (w, h) = (from.width_px() as usize, from.height_px() as usize);
        let [y, u, v] = from.planes();
        let mut frame = Frame {
            colour: from.colour,
            ..Frame::default()
        };
        let data = frame.reset(format, w as u32, h as u32);
        let at = |x: usize, row: usize| row / 2 * w.div_ceil(2) + x / 2;
        match format {
            PixelFormat::Nv12 => {
                data[..w * h].copy_from_slice(y);
                for (pair, (u, v)) in data[w * h..].chunks_exact_mut(2).zip(u.iter().zip(v)) {
                    pair.copy_from_slice(&[*u, *v]);
                }
            }
            PixelFormat::Yuyv | PixelFormat::Uyvy => {
                for (i, four) in data.chunks_exact_mut(4).enumerate() {
                    let (row, x) = (i / (w / 2), i % (w / 2) * 2);
                    let luma = &y[row * w + x..];
                    let (u, v) = (u[at(x, row)], v[at(x, row)]);
                    let packed = [luma[0], u, luma[1], v];
                    four.copy_from_slice(&packed);
                    if format == PixelFormat::Uyvy {
                        four.copy_from_slice(&[u, luma[0], v, luma[1]]);
                    }
                }
            }
            _ => panic!("not a YUV format of cameras"),
        }
        frame
    }

    #[test]
    fn every_camera_format_gives_the_same_picture() {
        let mut frame = Frame::default();
        let (w, h) = (64, 48);
        let data = frame.reset(PixelFormat::I420, w, h);
        for (i, byte) in data.iter_mut().enumerate() {
            // Chroma rows come in equal pairs, so that 4:2:2 and 4:2:0 hold the same.
            *byte = (i * 7 % 200 + 20) as u8;
        }
        let luma = (w * h) as usize;
        for plane in data[luma..].chunks_exact_mut(luma / 4) {
            for (row, samples) in plane.chunks_exact_mut(w as usize / 2).enumerate() {
                samples.fill(60 + 5 * (row / 12) as u8);
            }
        }
        for format in [PixelFormat::Nv12, PixelFormat::Yuyv, PixelFormat::Uyvy] {
            let other = rearranged(&frame, format);
            let whole_off = whole(&frame, 64, 48)
                .iter()
                .zip(whole(&other, 64, 48))
                .map(|(a, b)| a.abs_diff(b))
                .max();
            assert_eq!(whole_off, Some(0), "{format:?} at its own size");
            let scaled: Vec<u8> = whole(&frame, 30, 20)
                .iter()
                .zip(whole(&other, 30, 20))
                .map(|(a, b)| a.abs_diff(b))
                .collect();
            // At a step of chroma the rows of 4:2:0 lie elsewhere than those of 4:2:2.
            let far = scaled.iter().filter(|d| **d > 1).count();
            assert!(far * 4 < scaled.len(), "{format:?} scaled: {far}");
        }
    }

    #[test]
    fn grey_frames_have_no_colour() {
        let ramp = grey_ramp(32, 16, true);
        let mut grey = Frame::default();
        grey.colour.full_range = true;
        let luma = ramp.planes()[0];
        grey.reset(PixelFormat::Grey8, 32, 16).copy_from_slice(luma);
        for size in [(32, 16), (11, 7)] {
            let (a, b) = (whole(&ramp, size.0, size.1), whole(&grey, size.0, size.1));
            assert!(a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) <= 1));
        }
    }

    proptest! {
        #[test]
        fn any_format_and_box_is_survived(
            x0 in -50.0_f32..80.0, y0 in -50.0_f32..80.0, w in -5.0_f32..90.0, h in -5.0_f32..90.0,
            fw in 1_u32..40, fh in 1_u32..40, out in 1_usize..50, which in 0_usize..6,
        ) {
            let format = [PixelFormat::I420, PixelFormat::Rgb8, PixelFormat::Nv12, PixelFormat::Yuyv,
                PixelFormat::Uyvy, PixelFormat::Grey8][which];
            let mut frame = Frame::default();
            frame.reset(format, fw, fh).fill(100);
            let mut data = vec![0; out * out * 3];
            Resampler::default().rgb(&frame, BoxPx::new(x0, y0, x0 + w, y0 + h), &mut Target {
                data: &mut data, width_px: out, height_px: out, row_stride: out, plane_stride: out * out,
                chroma: if out % 2 == 0 { Chroma::Half } else { Chroma::Full },
            });
        }

        #[test]
        fn any_box_is_survived_and_stays_in_range(
            x0 in -50.0_f32..80.0, y0 in -50.0_f32..80.0, w in -5.0_f32..90.0, h in -5.0_f32..90.0,
            fw in 1_u32..40, fh in 1_u32..40, out in 1_usize..50,
        ) {
            let frame = grey_ramp(fw, fh, true);
            let mut data = vec![0; out * out * 3];
            Resampler::default().rgb(&frame, BoxPx::new(x0, y0, x0 + w, y0 + h), &mut Target {
                data: &mut data, width_px: out, height_px: out, row_stride: out, plane_stride: out * out,
                chroma: if out % 2 == 0 { Chroma::Half } else { Chroma::Full },
            });
            let luma = frame.planes()[0];
            let (low, high) = (luma.iter().min().unwrap(), luma.iter().max().unwrap());
            prop_assert!(data.iter().all(|v| (low..=high).contains(&v)));
        }
    }
}
