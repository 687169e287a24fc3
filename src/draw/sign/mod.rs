//! Traffic signs of several countries, drawn from plate, symbol and number.
//!
//! A drawing is put together from data (`design`), so a new sign is a few lines. Class keys are
//! those of the region packs.

mod design;
mod extra;
mod plate;
mod road;
mod symbol;

use serde::{Deserialize, Serialize};
use tiny_skia::Pixmap;

use super::art::Part;
use super::canvas::{Canvas, Placement};
use super::colour::WHITE;
use design::{Design, Mark};

/// Whose rules a sign is drawn by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NationalStyle {
    /// Germany.
    #[serde(rename = "DE")]
    De,
    /// France.
    #[serde(rename = "FR")]
    Fr,
    /// United States.
    #[serde(rename = "US")]
    Us,
    /// Switzerland.
    #[serde(rename = "CH")]
    Ch,
    /// Canada.
    #[serde(rename = "CA")]
    Ca,
}

impl NationalStyle {
    /// All styles.
    pub const ALL: [Self; 5] = [Self::De, Self::Fr, Self::Us, Self::Ch, Self::Ca];

    /// The country's code.
    pub fn code(self) -> &'static str {
        match self {
            Self::De => "DE",
            Self::Fr => "FR",
            Self::Us => "US",
            Self::Ch => "CH",
            Self::Ca => "CA",
        }
    }
}

/// The keys of all signs drawn in a style, speed limits first.
pub fn classes(style: NationalStyle) -> Vec<String> {
    let mut keys: Vec<String> = design::speeds(style)
        .map(|value| format!("speed_limit_{value}"))
        .collect();
    keys.extend(
        (design::KEYS.iter().chain(road::KEYS))
            .filter(|key| design_of(style, key).is_some())
            .map(|key| (*key).to_owned()),
    );
    keys
}

/// The keys of further drawings: easily taken for another sign, deciding whom it is for, or of one class
/// with another.
pub fn extras(style: NationalStyle) -> impl Iterator<Item = &'static str> {
    (extra::KEYS.iter().chain(road::MORE_TOWNS).copied())
        .filter(move |key| design_of(style, key).is_some())
}

/// The class of the packs that a drawing stands for: several may stand for one.
pub fn class_of(key: &str) -> &str {
    road::class(key).unwrap_or_else(|| extra::class(key))
}

fn design_of(style: NationalStyle, key: &str) -> Option<Design> {
    design::of(style, key)
        .or_else(|| road::of(style, key))
        .or_else(|| extra::of(style, key))
}

/// Width and height of the sign as it stands beside an ordinary road, in metres.
pub fn true_size_m(style: NationalStyle, class: &str) -> Option<(f32, f32)> {
    let design = design_of(style, class)?;
    Some((design.width_m, design.width_m * design.shape.aspect()))
}

/// Draws a sign; the longer side of the picture is `size_px`. `None` for a class the style lacks.
pub fn draw_sign(style: NationalStyle, class: &str, size_px: u32) -> Option<Pixmap> {
    let design = design_of(style, class)?;
    let aspect = design.shape.aspect();
    let width_px = size_px as f32 / aspect.max(1.0);
    let size = |v: f32| (v.round() as u32).max(1);
    let mut canvas = Canvas::new(size(width_px), size(width_px * aspect), width_px / 100.0)?;
    paint(&design, &mut canvas);
    Some(canvas.into_pixmap())
}

fn paint(design: &Design, canvas: &mut Canvas) {
    let mut ground = WHITE;
    for &(inset, colour) in &design.rings {
        design.shape.fill(canvas, inset, colour);
        ground = colour;
    }
    for mark in &design.marks {
        match mark {
            Mark::Symbol { parts, at, colour } => canvas.symbol(parts, *at, *colour, ground),
            Mark::Text {
                text,
                cx,
                cy,
                height,
                face,
                colour,
            } => canvas.text(text, *cx, *cy, *height, face, *colour),
            Mark::Plate {
                shape,
                at,
                inset,
                colour,
            } => canvas.placed(*at, |canvas| shape.fill(canvas, *inset, *colour)),
            Mark::Bar {
                from,
                to,
                width,
                colour,
            } => canvas.bar(*from, *to, *width, *colour),
            Mark::Ring {
                radius,
                width,
                colour,
            } => canvas.ring(50.0, 50.0, *radius, *width, *colour),
            Mark::Turned {
                parts,
                turns,
                at,
                colour,
            } => {
                for turn in 0..*turns {
                    let degrees = 360.0 / f32::from(*turns) * f32::from(turn);
                    canvas.turned(degrees, 50.0, 50.0, |canvas| {
                        canvas.symbol(parts, *at, *colour, ground);
                    });
                }
            }
        }
    }
}

/// A placement at the centre (`cx`, `cy`) that makes the symbol's box `size` wide.
fn at(cx: f32, cy: f32, size: f32) -> Placement {
    Placement {
        cx,
        cy,
        scale: size / 100.0,
        mirrored: false,
    }
}

fn mirrored(place: Placement) -> Placement {
    Placement {
        mirrored: true,
        ..place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_every_style_is_drawn_with_its_true_shape() {
        for style in NationalStyle::ALL {
            let mut classes = classes(style);
            classes.extend(extras(style).map(str::to_owned));
            assert!(classes.len() > 25, "{style:?}");
            for class in classes {
                let (width_m, height_m) = true_size_m(style, &class).unwrap();
                let picture = draw_sign(style, &class, 64).unwrap();
                let aspect = picture.height() as f32 / picture.width() as f32;
                assert!(
                    (aspect - height_m / width_m).abs() < 0.03,
                    "{style:?} {class}"
                );
                let inside = picture.pixel(picture.width() / 2, picture.height() / 2);
                assert_eq!(inside.unwrap().alpha(), 255, "{style:?} {class}");
            }
        }
        assert!(draw_sign(NationalStyle::De, "speed_limit_7", 64).is_none());
        assert!(draw_sign(NationalStyle::Us, "priority_road", 64).is_none());
    }

    #[test]
    fn no_two_classes_of_a_style_look_alike() {
        for style in NationalStyle::ALL {
            let drawn: Vec<_> = classes(style)
                .into_iter()
                .map(|class| (draw_sign(style, &class, 48).unwrap().take(), class))
                .collect();
            for (i, (a, class_a)) in drawn.iter().enumerate() {
                for (b, class_b) in &drawn[..i] {
                    assert_ne!(a, b, "{style:?} {class_a} {class_b}");
                }
            }
        }
    }

    #[test]
    fn the_plate_fills_its_picture() {
        for (style, class) in [
            (NationalStyle::De, "stop"),
            (NationalStyle::De, "yield"),
            (NationalStyle::Fr, "general_warning"),
            (NationalStyle::De, "priority_road"),
            (NationalStyle::Us, "speed_limit_40"),
        ] {
            let picture = draw_sign(style, class, 200).unwrap();
            let (w, h) = (picture.width(), picture.height());
            let opaque = |x: u32, y: u32| picture.pixel(x, y).unwrap().alpha() > 64;
            assert!(
                (0..h).any(|y| opaque(1, y)) && (0..h).any(|y| opaque(w - 2, y)),
                "{class}"
            );
            assert!(
                (0..w).any(|x| opaque(x, 1)) && (0..w).any(|x| opaque(x, h - 2)),
                "{class}"
            );
        }
    }
}
