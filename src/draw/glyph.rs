//! Our own lettering: one centre line a letter, drawn with a pen of even width as road lettering is.
//!
//! A centre line lives in a box of 100 by 100 that stands for the extent of the *pen's centre*, so
//! the same line serves every weight and width.

use tiny_skia::{Path, Transform};

use super::art::parse;

/// Proportions of a lettering, in hundredths of the height of a capital.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Width of a digit, pen included.
    pub width: f32,
    /// Width of the pen.
    pub weight: f32,
    /// Gap between letters.
    pub gap: f32,
}

/// Narrow even lettering, as on German signs.
pub const GERMAN: Face = Face {
    width: 57.0,
    weight: 14.5,
    gap: 13.0,
};
/// Rounder and a little bolder, as on French signs.
pub const FRENCH: Face = Face {
    width: 62.0,
    weight: 16.5,
    gap: 12.0,
};
/// Even and open, as on Swiss signs.
pub const SWISS: Face = Face {
    width: 60.0,
    weight: 15.5,
    gap: 12.0,
};
/// Wide and bold, as on US signs.
pub const AMERICAN: Face = Face {
    width: 68.0,
    weight: 18.0,
    gap: 14.0,
};
/// For labels on video.
pub const LABEL: Face = Face {
    width: 58.0,
    weight: 13.0,
    gap: 20.0,
};

/// Distance from the start of `letter` to the start of the next.
pub fn advance(letter: char, face: &Face) -> f32 {
    let share = line(letter).map_or(0.5, |(share, _)| share);
    box_width(share, face) + face.gap
}

/// Width of a line of text without the gap after its last letter.
pub fn width(text: &str, face: &Face) -> f32 {
    let total: f32 = text.chars().map(|c| advance(c, face)).sum();
    (total - face.gap).max(0.0)
}

/// The centre line of a letter at a capital height of 100; `None` for a space.
pub fn skeleton(letter: char, face: &Face) -> Option<Path> {
    let (share, text) = line(letter)?;
    let pen = face.weight;
    let inner = (box_width(share, face) - pen).max(0.0);
    let place = Transform::from_scale(inner / 100.0, (100.0 - pen) / 100.0)
        .post_translate(pen / 2.0, pen / 2.0);
    parse(text)?.transform(place)
}

fn box_width(share: f32, face: &Face) -> f32 {
    (share * face.width).max(face.weight)
}

/// Width as a share of a digit's, and the centre line. Small letters take the form of capitals.
fn line(letter: char) -> Option<(f32, &'static str)> {
    Some(match letter.to_ascii_uppercase() {
        '0' => (
            1.0,
            "M0 29 C0 12 22 0 50 0 C78 0 100 12 100 29 V71 C100 88 78 100 50 100 C22 100 0 88 0 71 Z",
        ),
        '1' => (0.6, "M0 24 L66 0 V100"),
        '2' => (
            0.98,
            "M0 27 C2 11 22 0 50 0 C78 0 100 11 100 28 C100 45 84 54 58 68 C30 83 2 88 0 100 H100",
        ),
        '3' => (
            1.0,
            "M0 22 C6 8 26 0 50 0 C78 0 96 9 96 25 C96 40 80 47 50 47 H40 M50 47 C82 47 100 57 100 73 C100 90 78 100 50 100 C24 100 4 91 0 76",
        ),
        '4' => (1.06, "M58 0 L0 76 H100 M72 48 V100"),
        '5' => (
            1.0,
            "M94 0 H14 L7 48 C18 39 32 36 50 36 C80 36 100 48 100 67 C100 89 78 100 50 100 C26 100 6 91 0 78",
        ),
        '6' => (
            1.0,
            "M82 0 C40 18 0 42 0 70 C0 89 22 100 50 100 C78 100 100 89 100 70 C100 51 78 40 50 40 C28 40 10 48 3 58",
        ),
        '7' => (0.96, "M0 0 H100 L36 100"),
        '8' => (
            1.0,
            "M50 46 C24 46 6 38 6 23 C6 9 24 0 50 0 C76 0 94 9 94 23 C94 38 76 46 50 46 C20 46 0 57 0 73 C0 90 22 100 50 100 C78 100 100 90 100 73 C100 57 80 46 50 46 Z",
        ),
        '9' => (
            1.0,
            "M18 100 C60 82 100 58 100 30 C100 11 78 0 50 0 C22 0 0 11 0 30 C0 49 22 60 50 60 C72 60 90 52 97 42",
        ),
        'A' => (1.12, "M0 100 L50 0 L100 100 M18 66 H82"),
        'B' => (
            1.0,
            "M0 0 H56 C84 0 96 10 96 24 C96 38 84 47 56 47 H0 Z M0 47 H56 C86 47 100 58 100 73 C100 89 86 100 56 100 H0 Z",
        ),
        'C' => (
            1.0,
            "M100 24 C94 9 76 0 52 0 C20 0 0 12 0 29 V71 C0 88 20 100 52 100 C76 100 94 91 100 76",
        ),
        'D' => (
            1.02,
            "M0 0 H46 C82 0 100 12 100 32 V68 C100 88 82 100 46 100 H0 Z",
        ),
        'E' => (0.9, "M100 0 H0 V100 H100 M0 48 H86"),
        'F' => (0.86, "M100 0 H0 V100 M0 48 H84"),
        'G' => (
            1.02,
            "M98 22 C92 8 76 0 52 0 C20 0 0 12 0 29 V71 C0 88 20 100 52 100 C82 100 100 88 100 70 V56 H58",
        ),
        'H' => (1.02, "M0 0 V100 M100 0 V100 M0 48 H100"),
        'I' => (0.2, "M50 0 V100"),
        'J' => (0.8, "M100 0 V70 C100 90 78 100 50 100 C22 100 4 92 0 78"),
        'K' => (1.02, "M0 0 V100 M96 0 L4 62 M34 44 L100 100"),
        'L' => (0.84, "M0 0 V100 H100"),
        'M' => (1.24, "M0 100 V0 L50 70 L100 0 V100"),
        'N' => (1.06, "M0 100 V0 L100 100 V0"),
        'O' => (
            1.06,
            "M0 31 C0 12 22 0 50 0 C78 0 100 12 100 31 V69 C100 88 78 100 50 100 C22 100 0 88 0 69 Z",
        ),
        'P' => (
            0.98,
            "M0 100 V0 H54 C86 0 100 11 100 28 C100 45 86 56 54 56 H0",
        ),
        'Q' => (
            1.06,
            "M0 31 C0 12 22 0 50 0 C78 0 100 12 100 31 V69 C100 88 78 100 50 100 C22 100 0 88 0 69 Z M60 74 L100 104",
        ),
        'R' => (
            1.0,
            "M0 100 V0 H54 C86 0 100 10 100 27 C100 43 86 53 54 53 H0 M58 53 L100 100",
        ),
        'S' => (
            0.98,
            "M96 22 C90 8 74 0 50 0 C20 0 4 10 4 25 C4 41 22 45 50 49 C80 53 100 58 100 74 C100 90 80 100 50 100 C24 100 6 92 0 77",
        ),
        'T' => (0.96, "M0 0 H100 M50 0 V100"),
        'U' => (
            1.02,
            "M0 0 V70 C0 89 22 100 50 100 C78 100 100 89 100 70 V0",
        ),
        'V' => (1.1, "M0 0 L50 100 L100 0"),
        'W' => (1.5, "M0 0 L25 100 L50 14 L75 100 L100 0"),
        'X' => (1.06, "M0 0 L100 100 M100 0 L0 100"),
        'Y' => (1.08, "M0 0 L50 52 L100 0 M50 52 V100"),
        'Z' => (0.98, "M0 0 H100 L0 100 H100"),
        '-' => (0.56, "M0 54 H100"),
        '_' => (0.9, "M0 108 H100"),
        '.' => (0.2, "M50 99 V100"),
        ',' => (0.2, "M50 98 V112"),
        ':' => (0.2, "M50 32 V33 M50 93 V94"),
        '/' => (0.66, "M0 100 L100 0"),
        '#' => (1.1, "M32 4 L22 96 M78 4 L68 96 M0 32 H100 M0 68 H100"),
        '%' => (
            1.5,
            "M16 0 C2 0 2 34 16 34 C30 34 30 0 16 0 Z M84 66 C70 66 70 100 84 100 C98 100 98 66 84 66 Z M84 0 L16 100",
        ),
        '(' => (0.42, "M100 -6 C0 26 0 74 100 106"),
        ')' => (0.42, "M0 -6 C100 26 100 74 0 106"),
        '+' => (0.84, "M0 52 H100 M50 20 V84"),
        '=' => (0.84, "M0 36 H100 M0 68 H100"),
        '!' => (0.2, "M50 0 V64 M50 99 V100"),
        '?' => (
            0.9,
            "M0 24 C4 8 24 0 50 0 C80 0 100 10 100 26 C100 44 50 44 50 70 M50 99 V100",
        ),
        '\'' => (0.2, "M50 0 V22"),
        '°' => (0.5, "M50 0 C-10 0 -10 36 50 36 C110 36 110 0 50 0 Z"),
        '>' => (0.84, "M0 24 L100 54 L0 84"),
        '<' => (0.84, "M100 24 L0 54 L100 84"),
        ' ' => return None,
        // Shown as an empty frame, so that a missing letter is seen and not silently dropped.
        _ => (0.9, "M0 0 H100 V100 H0 Z"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_stays_near_its_box() {
        for letter in ('!'..='~').chain(['°', 'ß']) {
            let path = skeleton(letter, &GERMAN).unwrap();
            let b = path.bounds();
            assert!(
                b.left() > -10.0 && b.right() < advance(letter, &GERMAN) + 10.0,
                "{letter}"
            );
            assert!(b.top() > -20.0 && b.bottom() < 120.0, "{letter}");
        }
    }

    #[test]
    fn digits_have_the_width_of_the_face() {
        assert!((width("0", &GERMAN) - GERMAN.width).abs() < 1e-3);
        let gap = width("50", &GERMAN) - width("5", &GERMAN) - width("0", &GERMAN);
        assert!((gap - GERMAN.gap).abs() < 1e-3);
    }
}
