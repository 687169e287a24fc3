//! The colours that signs are painted in.

use tiny_skia::{Color, Paint};

/// An opaque 8-bit colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// To fill or to stroke with.
    pub fn paint(self) -> Paint<'static> {
        let mut paint = Paint::default();
        paint.set_color(Color::from_rgba8(self.0, self.1, self.2, 255));
        paint.anti_alias = true;
        paint
    }
}

/// Traffic red.
pub const RED: Rgb = Rgb(196, 22, 32);
/// Traffic yellow.
pub const YELLOW: Rgb = Rgb(250, 200, 10);
/// Signal green.
pub const GREEN: Rgb = Rgb(0, 138, 82);
/// Traffic blue.
pub const BLUE: Rgb = Rgb(12, 76, 158);
/// Reflecting white.
pub const WHITE: Rgb = Rgb(244, 244, 242);
/// Jet black.
pub const BLACK: Rgb = Rgb(24, 24, 26);
/// Of works.
pub const ORANGE: Rgb = Rgb(242, 122, 20);
