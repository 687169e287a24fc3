//! A pixmap with a transform, and the few strokes the drawings need.

use tiny_skia::{FillRule, LineCap, LineJoin, Path, PathBuilder, Pixmap, Stroke, Transform};

use super::art::{Ink, Part, parse};
use super::colour::{self, Rgb};
use super::glyph::{self, Face};

/// Where a drawing goes: its centre and the share of its 100-by-100 box it is drawn at.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// Centre, in the canvas' units.
    pub cx: f32,
    /// Centre, in the canvas' units.
    pub cy: f32,
    /// Size of the drawing's box in the canvas' units, divided by 100.
    pub scale: f32,
    /// Left and right changed over.
    pub mirrored: bool,
}

/// Draws in units of its own on a pixmap.
pub struct Canvas {
    pixmap: Pixmap,
    transform: Transform,
}

impl Canvas {
    /// A clear canvas of the given size whose unit is `px_per_unit` pixels; `None` for an empty size.
    pub fn new(width_px: u32, height_px: u32, px_per_unit: f32) -> Option<Self> {
        Some(Self {
            pixmap: Pixmap::new(width_px, height_px)?,
            transform: Transform::from_scale(px_per_unit, px_per_unit),
        })
    }

    /// The finished picture.
    pub fn into_pixmap(self) -> Pixmap {
        self.pixmap
    }

    /// Fills the inside of a path.
    pub fn fill(&mut self, path: &Path, colour: Rgb) {
        self.fill_at(path, colour, Transform::identity());
    }

    /// Fills the inside of a path grown by `radius` with round corners.
    pub fn fill_rounded(&mut self, path: &Path, radius: f32, colour: Rgb) {
        self.fill(path, colour);
        if radius > 0.0 {
            self.line_at(
                path,
                &round_line(radius * 2.0),
                colour,
                Transform::identity(),
            );
        }
    }

    /// Draws a symbol; `main` and `ground` are the colours of [`Ink::Main`] and [`Ink::Ground`].
    pub fn symbol(&mut self, parts: &[Part], at: Placement, main: Rgb, ground: Rgb) {
        let flip = if at.mirrored { -1.0 } else { 1.0 };
        let place = Transform::from_translate(-50.0, -50.0)
            .post_scale(at.scale * flip, at.scale)
            .post_translate(at.cx, at.cy);
        for part in parts {
            let (ink, text) = match *part {
                Part::Fill(ink, text) | Part::Line(ink, _, text) => (ink, text),
            };
            let colour = match ink {
                Ink::Main => main,
                Ink::Ground => ground,
                Ink::Red => colour::RED,
                Ink::Yellow => colour::YELLOW,
                Ink::Green => colour::GREEN,
            };
            let Some(path) = parse(text) else { continue };
            match *part {
                Part::Fill(..) => self.fill_at(&path, colour, place),
                Part::Line(_, width, _) => {
                    self.line_at(&path, &round_line(width), colour, place);
                }
            }
        }
    }

    /// Writes `text` centred on (`cx`, `cy`) with capitals of the given height.
    pub fn text(&mut self, text: &str, cx: f32, cy: f32, height: f32, face: &Face, colour: Rgb) {
        let scale = height / 100.0;
        let mut x = cx - glyph::width(text, face) * scale / 2.0;
        let stroke = Stroke {
            width: face.weight * scale,
            line_cap: LineCap::Square,
            line_join: LineJoin::Miter,
            miter_limit: 2.0,
            dash: None,
        };
        for letter in text.chars() {
            if let Some(path) = glyph::skeleton(letter, face) {
                let place =
                    Transform::from_scale(scale, scale).post_translate(x, cy - height / 2.0);
                if let Some(path) = path.transform(place) {
                    self.line_at(&path, &stroke, colour, Transform::identity());
                }
            }
            x += glyph::advance(letter, face) * scale;
        }
    }

    /// Draws a straight bar with square-cut ends.
    pub fn bar(&mut self, from: (f32, f32), to: (f32, f32), width: f32, colour: Rgb) {
        let mut builder = PathBuilder::new();
        builder.move_to(from.0, from.1);
        builder.line_to(to.0, to.1);
        if let Some(path) = builder.finish() {
            let stroke = Stroke {
                width,
                ..Stroke::default()
            };
            self.line_at(&path, &stroke, colour, Transform::identity());
        }
    }

    /// Draws a ring whose middle line has the given radius.
    pub fn ring(&mut self, cx: f32, cy: f32, radius: f32, width: f32, colour: Rgb) {
        if let Some(path) = PathBuilder::from_circle(cx, cy, radius) {
            self.line_at(&path, &round_line(width), colour, Transform::identity());
        }
    }

    /// Draws with the whole 100-by-100 box put at a placement.
    pub fn placed(&mut self, at: Placement, draw: impl FnOnce(&mut Self)) {
        let place = Transform::from_translate(-50.0, -50.0)
            .post_scale(at.scale, at.scale)
            .post_translate(at.cx, at.cy);
        self.within(place, draw);
    }

    /// Draws turned clockwise around a point.
    pub fn turned(&mut self, degrees: f32, cx: f32, cy: f32, draw: impl FnOnce(&mut Self)) {
        self.within(Transform::from_rotate_at(degrees, cx, cy), draw);
    }

    fn within(&mut self, place: Transform, draw: impl FnOnce(&mut Self)) {
        let outer = self.transform;
        self.transform = place.post_concat(outer);
        draw(self);
        self.transform = outer;
    }

    fn fill_at(&mut self, path: &Path, colour: Rgb, place: Transform) {
        let transform = place.post_concat(self.transform);
        self.pixmap
            .fill_path(path, &colour.paint(), FillRule::Winding, transform, None);
    }

    fn line_at(&mut self, path: &Path, stroke: &Stroke, colour: Rgb, place: Transform) {
        let transform = place.post_concat(self.transform);
        self.pixmap
            .stroke_path(path, &colour.paint(), stroke, transform, None);
    }
}

fn round_line(width: f32) -> Stroke {
    Stroke {
        width,
        line_cap: LineCap::Round,
        line_join: LineJoin::Round,
        ..Stroke::default()
    }
}
