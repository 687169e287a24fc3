//! Drawings as data: outlines written in a few letters, in a box of 100 by 100, y downwards.
//!
//! `M x y` moves, `L x y` `H x` `V y` draw lines, `Q` and `C` curves, `O x y r` a circle, `Z` closes.

use tiny_skia::{Path, PathBuilder};

/// The colour of a part, resolved when it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// The symbol's own colour, black or white by the kind of sign.
    Main,
    /// The colour the symbol stands on, for holes.
    Ground,
    /// Traffic red.
    Red,
    /// Traffic yellow.
    Yellow,
    /// Signal green.
    Green,
}

/// One outline of a drawing, filled or drawn as a line.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// The inside of the outline.
    Fill(Ink, &'static str),
    /// A line along the outline, with round ends, of the given width.
    Line(Ink, f32, &'static str),
}

/// Reads an outline; `None` when the text is no outline.
pub fn parse(text: &str) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let mut rest = text.trim_start();
    while let Some(command) = rest.chars().next() {
        rest = &rest[command.len_utf8()..];
        let end = rest
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let numbers = numbers(&rest[..end])?;
        rest = &rest[end..];
        let (last_x, last_y) = builder.last_point().map_or((0.0, 0.0), |p| (p.x, p.y));
        match (command, numbers.as_slice()) {
            ('M', &[x, y]) => builder.move_to(x, y),
            ('L', points) if !points.is_empty() && points.len() % 2 == 0 => {
                for p in points.chunks_exact(2) {
                    builder.line_to(p[0], p[1]);
                }
            }
            ('H', &[x]) => builder.line_to(x, last_y),
            ('V', &[y]) => builder.line_to(last_x, y),
            ('Q', &[x1, y1, x, y]) => builder.quad_to(x1, y1, x, y),
            ('C', &[x1, y1, x2, y2, x, y]) => builder.cubic_to(x1, y1, x2, y2, x, y),
            ('O', &[x, y, r]) => builder.push_circle(x, y, r),
            ('Z', &[]) => builder.close(),
            _ => return None,
        }
    }
    builder.finish()
}

fn numbers(text: &str) -> Option<Vec<f32>> {
    text.split_ascii_whitespace()
        .map(|n| n.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_are_read_and_nonsense_is_refused() {
        let path = parse("M0 0 L10 0 10 20 H0 V5 Z O50 50 10").unwrap();
        let bounds = path.bounds();
        assert_eq!(
            (bounds.left(), bounds.top(), bounds.right(), bounds.bottom()),
            (0.0, 0.0, 60.0, 60.0)
        );
        for bad in ["", "M0", "X1 2", "M0 0 L1", "M0 0 C1 2 3 4", "M0 zero"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
