//! Drawings of what is no sign: trees, house fronts, posts.

use std::f32::consts::TAU;

use tiny_skia::{Path, PathBuilder, Pixmap, Rect};

use super::noise::Random;
use crate::draw::canvas::Canvas;
use crate::draw::colour::Rgb;

/// Clumps of leaves in a crown.
const LEAVES: u32 = 900;

/// A tree with a round crown; width 0.7 of its height.
pub fn tree(random: &mut Random) -> Option<Pixmap> {
    let mut canvas = Canvas::new(224, 320, 3.2)?;
    canvas.bar((35.0, 100.0), (35.0, 55.0), 4.5, Rgb(78, 62, 48));
    canvas.bar((35.0, 72.0), (25.0, 52.0), 2.0, Rgb(78, 62, 48));
    canvas.bar((35.0, 68.0), (46.0, 48.0), 2.0, Rgb(78, 62, 48));
    let tint = random.between(0.8, 1.15);
    for step in 0..LEAVES {
        let (angle, reach) = (random.unit() * TAU, random.unit().sqrt());
        let x = 35.0 + angle.cos() * reach * 28.0;
        let y = 39.0 + angle.sin() * reach * 34.0;
        // Leaves laid on later are more to the light, which comes from the upper left.
        let later = step as f32 / LEAVES as f32;
        let sun = 0.5 + 0.4 * later - 0.006 * (y - 39.0) - 0.004 * (x - 35.0);
        let shade = sun * tint * random.between(0.82, 1.18);
        let level = |v: f32| (v * shade).clamp(0.0, 255.0) as u8;
        let colour = Rgb(level(78.0), level(112.0), level(46.0));
        let radius = 1.0 + 2.2 * (1.0 - reach * 0.6);
        canvas.fill(&PathBuilder::from_circle(x, y, radius)?, colour);
    }
    Some(canvas.into_pixmap())
}

/// The back of a lorry: a light box over a dark bumper with lamps; 25 wide and 33 high.
pub fn lorry() -> Option<Pixmap> {
    let mut canvas = Canvas::new(250, 330, 2.5)?;
    canvas.fill(&rect(0.0, 0.0, 100.0, 118.0)?, Rgb(214, 216, 218));
    canvas.bar((50.0, 2.0), (50.0, 116.0), 1.0, Rgb(150, 152, 156));
    canvas.fill(&rect(2.0, 118.0, 98.0, 131.0)?, Rgb(44, 44, 48));
    for x in [4.0, 82.0] {
        canvas.fill(&rect(x, 121.0, x + 14.0, 126.0)?, Rgb(150, 24, 24));
    }
    Some(canvas.into_pixmap())
}

/// The front of a house, 10 wide and 8 high.
pub fn house(random: &mut Random) -> Option<Pixmap> {
    let mut canvas = Canvas::new(320, 256, 3.2)?;
    let walls = [
        Rgb(224, 214, 196),
        Rgb(206, 186, 158),
        Rgb(232, 230, 224),
        Rgb(196, 120, 92),
    ];
    let roofs = [Rgb(142, 66, 48), Rgb(96, 74, 66), Rgb(110, 112, 118)];
    let wall = walls[random.bits() as usize % walls.len()];
    let roof = roofs[random.bits() as usize % roofs.len()];
    let darker = |c: Rgb| Rgb(c.0 / 4 * 3, c.1 / 4 * 3, c.2 / 4 * 3);
    canvas.fill(&rect(8.0, 34.0, 92.0, 80.0)?, wall);
    canvas.fill(&rect(8.0, 74.0, 92.0, 80.0)?, darker(wall));
    canvas.fill(
        &polygon(&[(2.0, 36.0), (16.0, 2.0), (84.0, 2.0), (98.0, 36.0)])?,
        roof,
    );
    for row in 1..6 {
        let y = 2.0 + row as f32 * 5.7;
        let inset = 16.0 - (y - 2.0) / 34.0 * 14.0;
        canvas.bar((inset, y), (100.0 - inset, y), 0.5, darker(roof));
    }
    for x in [16.0, 36.0, 72.0] {
        canvas.fill(&rect(x - 1.0, 43.0, x + 13.0, 61.0)?, Rgb(238, 238, 234));
        canvas.fill(&rect(x, 44.0, x + 12.0, 60.0)?, Rgb(64, 76, 88));
        canvas.bar((x + 6.0, 44.0), (x + 6.0, 60.0), 1.0, Rgb(238, 238, 234));
    }
    canvas.fill(&rect(54.0, 48.0, 65.0, 80.0)?, Rgb(88, 58, 40));
    Some(canvas.into_pixmap())
}

/// A round steel post, light on the left.
pub fn post() -> Option<Pixmap> {
    let mut canvas = Canvas::new(8, 64, 1.0)?;
    for (x, level) in [(1.0, 168), (3.0, 176), (5.0, 148), (7.0, 112)] {
        canvas.bar((x, 0.0), (x, 64.0), 2.0, Rgb(level, level, level + 3));
    }
    Some(canvas.into_pixmap())
}

/// A white roadside post with a black band, 0.12 wide and 1 high.
pub fn marker() -> Option<Pixmap> {
    let mut canvas = Canvas::new(24, 200, 2.0)?;
    canvas.fill(&rect(0.0, 0.0, 12.0, 100.0)?, Rgb(232, 232, 228));
    canvas.fill(
        &polygon(&[(0.0, 22.0), (12.0, 16.0), (12.0, 38.0), (0.0, 44.0)])?,
        Rgb(26, 26, 28),
    );
    canvas.fill(&rect(4.5, 25.0, 8.5, 36.0)?, Rgb(216, 150, 60));
    Some(canvas.into_pixmap())
}

fn rect(left: f32, top: f32, right: f32, bottom: f32) -> Option<Path> {
    Some(PathBuilder::from_rect(Rect::from_ltrb(
        left, top, right, bottom,
    )?))
}

fn polygon(corners: &[(f32, f32)]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (i, &(x, y)) in corners.iter().enumerate() {
        if i == 0 {
            builder.move_to(x, y);
        } else {
            builder.line_to(x, y);
        }
    }
    builder.close();
    builder.finish()
}
