//! Turning pictures upright while they are copied out of the decoder.

/// Clockwise turn that makes a stored picture upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Rotation {
    #[default]
    None,
    Quarter,
    Half,
    ThreeQuarter,
}

impl Rotation {
    /// From the transformation matrix of a track header (a, b, u, c, d ... in 16.16); skew and mirror are not turns.
    pub(super) fn from_matrix(a: i32, b: i32, c: i32, d: i32) -> Self {
        match (a.signum(), b.signum(), c.signum(), d.signum()) {
            (0, 1, -1, 0) => Self::Quarter,
            (-1, 0, 0, -1) => Self::Half,
            (0, -1, 1, 0) => Self::ThreeQuarter,
            _ => Self::None,
        }
    }

    /// Size of the upright picture.
    pub(super) fn upright(self, width_px: u32, height_px: u32) -> (u32, u32) {
        match self {
            Self::None | Self::Half => (width_px, height_px),
            Self::Quarter | Self::ThreeQuarter => (height_px, width_px),
        }
    }

    /// Copies a stored plane of `width` x `height` pixels of `N` bytes into `upright`, which has no padding.
    pub(super) fn copy<const N: usize>(
        self,
        stored: &[u8],
        stride: usize,
        (width, height): (usize, usize),
        upright: &mut [u8],
    ) {
        let rows = stored
            .chunks(stride.max(1))
            .take(height)
            .filter_map(|row| row.get(..width * N));
        for (y, row) in rows.enumerate() {
            match self {
                Self::None => upright[y * width * N..][..width * N].copy_from_slice(row),
                Self::Half => {
                    let out = &mut upright[(height - 1 - y) * width * N..][..width * N];
                    for (to, from) in out.chunks_exact_mut(N).rev().zip(row.chunks_exact(N)) {
                        to.copy_from_slice(from);
                    }
                }
                Self::Quarter | Self::ThreeQuarter => {
                    for (x, from) in row.chunks_exact(N).enumerate() {
                        let (column, line) = if self == Self::Quarter {
                            (height - 1 - y, x)
                        } else {
                            (y, width - 1 - x)
                        };
                        upright[(line * height + column) * N..][..N].copy_from_slice(from);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turns_clockwise() {
        // 1 2 3
        // 4 5 6, with a byte of padding a row
        let stored = [1, 2, 3, 0, 4, 5, 6, 0];
        let turned = |rotation: Rotation| {
            let mut out = [0; 6];
            rotation.copy::<1>(&stored, 4, (3, 2), &mut out);
            out
        };
        assert_eq!(turned(Rotation::None), [1, 2, 3, 4, 5, 6]);
        assert_eq!(turned(Rotation::Quarter), [4, 1, 5, 2, 6, 3]);
        assert_eq!(turned(Rotation::Half), [6, 5, 4, 3, 2, 1]);
        assert_eq!(turned(Rotation::ThreeQuarter), [3, 6, 2, 5, 1, 4]);
    }

    #[test]
    fn pixels_of_three_bytes_stay_whole() {
        let mut out = [0; 6];
        Rotation::Half.copy::<3>(&[1, 2, 3, 4, 5, 6], 6, (2, 1), &mut out);
        assert_eq!(out, [4, 5, 6, 1, 2, 3]);
    }
}
