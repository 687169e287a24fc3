//! Boxes and names drawn onto a frame, straight onto the 4:2:0 planes.

use std::fmt::Write as _;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster};

use crate::event::{Naming, TrackView};
use crate::frame::{ColourMatrix, ColourSpec, Frame, PixelFormat};
use crate::units::BoxPx;

const TEXT_HEIGHT_PX: i32 = 20;

/// A colour as limited-range Y, U, V.
type Yuv = [u8; 3];

const GREEN: Yuv = [150, 60, 60];
const AMBER: Yuv = [180, 40, 155];
const GREY: Yuv = [170, 128, 128];
const DARK: u8 = 24;

/// Draws on a copy, whose memory it keeps.
#[derive(Debug, Default)]
pub struct Annotator {
    canvas: Frame,
    text: String,
}

impl Annotator {
    /// The frame (I420 or RGB) as I420, with a box and a name for each track and a title in the corner.
    pub fn draw<'a>(
        &mut self,
        frame: &Frame,
        tracks: impl IntoIterator<Item = &'a TrackView>,
        title: &str,
    ) -> &Frame {
        copy_as_i420(frame, &mut self.canvas);
        for track in tracks {
            let colour = match track.naming {
                Naming::Sign(_) => GREEN,
                Naming::Undecided => AMBER,
                _ => GREY,
            };
            let thick = if track.detected { 2 } else { 1 };
            outline(&mut self.canvas, track.bbox, colour, thick);
            self.caption(track);
            let y = track.bbox.y0 as i32 - TEXT_HEIGHT_PX - 3;
            let at = (track.bbox.x0 as i32, y);
            label(&mut self.canvas, &self.text, at, colour);
        }
        label(&mut self.canvas, title, (8, 8), GREY);
        &self.canvas
    }

    fn caption(&mut self, track: &TrackView) {
        self.text.clear();
        let name = match &track.naming {
            Naming::Sign(class) => class.label_en.as_str(),
            Naming::UnknownSign => "unknown sign",
            Naming::NotASign => "no sign",
            Naming::Undecided => "?",
        };
        let (number, percent) = (track.track.0, track.probability * 100.0);
        // Writing to a string does not fail.
        let _ = write!(self.text, "{number} {name} {percent:.0} %");
    }
}

/// The frame as 4:2:0; pictures of a folder come as RGB.
fn copy_as_i420(frame: &Frame, canvas: &mut Frame) {
    canvas.index = frame.index;
    canvas.time = frame.time;
    let (width, height) = (frame.width_px(), frame.height_px());
    if frame.format() == PixelFormat::I420 {
        canvas.colour = frame.colour;
        canvas
            .reset(PixelFormat::I420, width, height)
            .copy_from_slice(frame.data());
        return;
    }
    canvas.colour = ColourSpec {
        matrix: ColourMatrix::Bt601,
        full_range: false,
    };
    let data = canvas.reset(PixelFormat::I420, width, height);
    let (w, h) = (width as usize, height as usize);
    let (luma, chroma) = data.split_at_mut(w * h);
    let (u, v) = chroma.split_at_mut(w.div_ceil(2) * h.div_ceil(2));
    for (i, px) in frame.data().chunks_exact(3).enumerate() {
        let [r, g, b] = [px[0], px[1], px[2]].map(i32::from);
        luma[i] = ((66 * r + 129 * g + 25 * b + 128) / 256 + 16) as u8;
        let (x, y) = (i % w, i / w);
        if x % 2 == 0 && y % 2 == 0 {
            let at = y / 2 * w.div_ceil(2) + x / 2;
            u[at] = ((-38 * r - 74 * g + 112 * b + 128 + 32_768) / 256) as u8;
            v[at] = ((112 * r - 94 * g - 18 * b + 128 + 32_768) / 256) as u8;
        }
    }
}

/// Sets one pixel: luma mixed by `cover` (0 to 255), chroma where it is mostly covered.
fn put(canvas: &mut Frame, (x, y): (i32, i32), colour: Yuv, cover: u8) {
    let (width, height) = (canvas.width_px() as i32, canvas.height_px() as i32);
    if x < 0 || y < 0 || x >= width || y >= height {
        return;
    }
    let (chroma_width, chroma_height) = canvas.chroma_size();
    let plane = (width * height) as usize;
    let chroma_plane = chroma_width as usize * chroma_height as usize;
    let data = canvas.data_mut();
    let luma = &mut data[(y * width + x) as usize];
    let (from, to) = (i32::from(*luma), i32::from(colour[0]));
    *luma = (from + (to - from) * i32::from(cover) / 255) as u8;
    if cover > 127 {
        let at = plane + (y / 2) as usize * chroma_width as usize + (x / 2) as usize;
        data[at] = colour[1];
        data[at + chroma_plane] = colour[2];
    }
}

fn outline(canvas: &mut Frame, bbox: BoxPx, colour: Yuv, thick: i32) {
    let [x0, y0, x1, y1] = bbox.rounded();
    for k in 0..thick {
        for x in x0 - k..=x1 + k {
            put(canvas, (x, y0 - k), colour, 255);
            put(canvas, (x, y1 + k), colour, 255);
        }
        for y in y0 - k..=y1 + k {
            put(canvas, (x0 - k, y), colour, 255);
            put(canvas, (x1 + k, y), colour, 255);
        }
    }
}

/// Text on a dark ground, moved inside the picture.
fn label(canvas: &mut Frame, text: &str, (x, y): (i32, i32), colour: Yuv) {
    let glyph_width = get_raster('0', FontWeight::Regular, RasterHeight::Size20)
        .map_or(0, |glyph| glyph.width() as i32);
    let width = glyph_width * text.chars().count() as i32;
    let x = x.min(canvas.width_px() as i32 - width).max(0);
    let y = y.max(0);
    for row in 0..TEXT_HEIGHT_PX {
        for column in 0..width {
            put(canvas, (x + column, y + row), [DARK, 128, 128], 160);
        }
    }
    for (n, character) in text.chars().enumerate() {
        // The font has Latin letters only; others are shown as a question mark.
        let raster = |c| get_raster(c, FontWeight::Regular, RasterHeight::Size20);
        let Some(glyph) = raster(character).or_else(|| raster('?')) else {
            continue;
        };
        let left = x + n as i32 * glyph_width;
        for (row, line) in glyph.raster().iter().enumerate() {
            for (column, cover) in line.iter().enumerate().filter(|(_, c)| **c > 0) {
                put(
                    canvas,
                    (left + column as i32, y + row as i32),
                    colour,
                    *cover,
                );
            }
        }
    }
}
