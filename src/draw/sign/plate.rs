//! The plates under the symbols: outline and rings of colour, outermost first.

use tiny_skia::{Path, PathBuilder, Rect};

use super::super::canvas::Canvas;
use super::super::colour::Rgb;

/// The outline of a sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// A disc.
    Circle,
    /// Standing on its side.
    TriangleUp,
    /// Standing on its tip.
    TriangleDown,
    /// Eight sides.
    Octagon,
    /// A square standing on its corner.
    Diamond,
    /// Upright, height as a share of the width.
    Rectangle(f32),
}

/// Height of an equal-sided triangle of side one.
const TRIANGLE: f32 = 0.866;
/// Radius of the round corners of a triangle, and of the other plates, at a width of 100.
const TRIANGLE_CORNER: f32 = 5.0;
const CORNER: f32 = 4.0;

impl Shape {
    /// Height as a share of the width.
    pub fn aspect(self) -> f32 {
        match self {
            Self::Circle | Self::Octagon | Self::Diamond => 1.0,
            // The round corners cut more off the tips than off the side.
            Self::TriangleUp | Self::TriangleDown => {
                (100.0 - 2.0 * TRIANGLE_CORNER) / 100.0 * TRIANGLE + 2.0 * TRIANGLE_CORNER / 100.0
            }
            Self::Rectangle(aspect) => aspect,
        }
    }

    /// Fills the shape, moved inwards by `inset`, in a box 100 wide.
    pub fn fill(self, canvas: &mut Canvas, inset: f32, colour: Rgb) {
        // A corner's radius shrinks with the inset, as a line drawn along the edge would have it.
        let corner = match self {
            Self::Circle | Self::Octagon => 0.0,
            Self::TriangleUp | Self::TriangleDown => (TRIANGLE_CORNER - inset * 0.6).max(1.0),
            Self::Diamond | Self::Rectangle(_) => (CORNER - inset * 0.6).max(1.5),
        };
        if let Some(path) = self.outline(inset + corner) {
            canvas.fill_rounded(&path, corner, colour);
        }
    }

    fn outline(self, inset: f32) -> Option<Path> {
        let height = self.aspect() * 100.0;
        match self {
            Self::Circle => PathBuilder::from_circle(50.0, 50.0, 50.0 - inset),
            Self::Rectangle(_) => Some(PathBuilder::from_rect(Rect::from_ltrb(
                inset,
                inset,
                100.0 - inset,
                height - inset,
            )?)),
            Self::Octagon => polygon(8, 50.0, 50.0, (50.0 - inset) / 0.9239, 22.5),
            Self::Diamond => {
                // The tips are rounded, so the corner of the square lies outside the box.
                let reach = 50.0 + (CORNER - inset) * std::f32::consts::SQRT_2 - CORNER;
                polygon(4, 50.0, 50.0, reach, 0.0)
            }
            Self::TriangleUp | Self::TriangleDown => {
                let centre =
                    TRIANGLE_CORNER + (100.0 - 2.0 * TRIANGLE_CORNER) * TRIANGLE * 2.0 / 3.0;
                let inner_radius = (100.0 - 2.0 * TRIANGLE_CORNER) * TRIANGLE / 3.0;
                let reach = (inner_radius + TRIANGLE_CORNER - inset) * 2.0;
                if self == Self::TriangleUp {
                    polygon(3, 50.0, centre, reach, -90.0)
                } else {
                    polygon(3, 50.0, height - centre, reach, 90.0)
                }
            }
        }
    }
}

fn polygon(corners: u8, cx: f32, cy: f32, reach: f32, first_deg: f32) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for corner in 0..corners {
        let angle = (first_deg + 360.0 * f32::from(corner) / f32::from(corners)).to_radians();
        let (x, y) = (cx + reach * angle.cos(), cy + reach * angle.sin());
        if corner == 0 {
            builder.move_to(x, y);
        } else {
            builder.line_to(x, y);
        }
    }
    builder.close();
    builder.finish()
}
