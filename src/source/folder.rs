//! A folder of images, in the natural order of their names, at a fixed rate.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use super::video::Ledger;
use super::{Damage, FrameSource, Next, SourceError, SourceInfo};
use crate::frame::{Frame, PixelFormat};
use crate::units::Timestamp;

const MAX_SIDE_PX: u32 = 16_384;
const MAX_DECODE_BYTES: u64 = 512 << 20;

/// The images of a folder.
pub(super) struct FolderSource {
    info: SourceInfo,
    images: std::vec::IntoIter<PathBuf>,
    rate_hz: f64,
    position: u64,
    given: u64,
    ledger: Ledger,
}

impl FolderSource {
    /// Of the JPEG and PNG files in `folder`.
    pub(super) fn open(folder: &Path, rate_hz: f64) -> Result<Self, SourceError> {
        let entries = std::fs::read_dir(folder).map_err(|e| SourceError::io(folder, e))?;
        let mut images = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| SourceError::io(folder, e))?.path();
            if is_image_name(&path) {
                images.push(path);
            }
        }
        images.sort_by(|a, b| natural_order(&name_of(a), &name_of(b)));
        Self::of_images(folder, images, rate_hz)
    }

    /// Of `images` in the order given.
    pub(super) fn of_images(
        path: &Path,
        images: Vec<PathBuf>,
        rate_hz: f64,
    ) -> Result<Self, SourceError> {
        let unsupported = |what: String| SourceError::Unsupported {
            path: path.to_owned(),
            what,
        };
        if images.is_empty() {
            return Err(unsupported(
                "the folder holds no .jpg, .jpeg or .png file".to_owned(),
            ));
        }
        if !(rate_hz.is_finite() && rate_hz > 0.0) {
            return Err(unsupported(format!("{rate_hz} images a second is no rate")));
        }
        let (width_px, height_px) = images
            .iter()
            .find_map(|p| upright_size(p))
            .unwrap_or((0, 0));
        let count = images.len() as u64;
        Ok(Self {
            info: SourceInfo {
                path: path.to_owned(),
                description: format!("{count} images at {rate_hz} a second"),
                width_px,
                height_px,
                frames: Some(count),
                duration: Some(Timestamp::from_seconds(count as f64 / rate_hz)),
            },
            images: images.into_iter(),
            rate_hz,
            position: 0,
            given: 0,
            ledger: Ledger::default(),
        })
    }
}

impl FrameSource for FolderSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        for path in self.images.by_ref() {
            let time = Timestamp::from_seconds(self.position as f64 / self.rate_hz);
            self.position += 1;
            match decode(&path) {
                Ok(picture) => {
                    let rgb = picture.into_rgb8();
                    frame
                        .reset(PixelFormat::Rgb8, rgb.width(), rgb.height())
                        .copy_from_slice(&rgb);
                    frame.time = time;
                    frame.index = self.given;
                    self.given += 1;
                    return Ok(Next::Frame);
                }
                Err(e) => {
                    self.ledger.lose(1);
                    self.ledger.note(|| format!("{}: {e}", path.display()));
                }
            }
        }
        Ok(Next::End)
    }

    fn damage(&self) -> &Damage {
        self.ledger.damage()
    }
}

fn is_image_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| {
        ["jpg", "jpeg", "png"]
            .iter()
            .any(|known| e.eq_ignore_ascii_case(known))
    })
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn decoder(path: &Path) -> image::ImageResult<(impl ImageDecoder, Orientation)> {
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

fn upright_size(path: &Path) -> Option<(u32, u32)> {
    let (decoder, orientation) = decoder(path).ok()?;
    let (width, height) = decoder.dimensions();
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    Some(if turned {
        (height, width)
    } else {
        (width, height)
    })
}

fn decode(path: &Path) -> image::ImageResult<DynamicImage> {
    let (decoder, orientation) = decoder(path)?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Names as people count them: `img2` before `img10`.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let digits = (leading_digits(left), leading_digits(right));
        if !digits.0.is_empty() && !digits.1.is_empty() {
            let (x, y) = (
                digits.0.trim_start_matches('0'),
                digits.1.trim_start_matches('0'),
            );
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            if order != Ordering::Equal {
                return order;
            }
            left = &left[digits.0.len()..];
            right = &right[digits.1.len()..];
            continue;
        }
        let (mut l, mut r) = (left.chars(), right.chars());
        match (l.next(), r.next()) {
            (Some(x), Some(y)) if x == y => (left, right) = (l.as_str(), r.as_str()),
            // Equal but for leading zeros: any order that is always the same.
            (None, None) => return a.cmp(b),
            (x, y) => return x.cmp(&y),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_people_count() {
        let mut names = [
            "f10.png", "f2.png", "f1.png", "e99.png", "f02.png", "f2a.png", "f.png",
        ];
        names.sort_by(|a, b| natural_order(a, b));
        let ordered = [
            "e99.png", "f.png", "f1.png", "f02.png", "f2.png", "f2a.png", "f10.png",
        ];
        assert_eq!(names, ordered);
    }
}
