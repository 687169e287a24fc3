//! Pictures of all signs: one sheet to look at, or one file a sign to test a model on.

use std::path::Path;

use anyhow::Context;
use image::{Rgb, RgbImage};
use tiny_skia::Pixmap;

use super::noise::Random;
use crate::draw::sign::{NationalStyle, class_of, classes, draw_sign, extras};

/// Longer side of a single picture, and of the sign within it.
const CROP_PX: u32 = 96;
const SIGN_PX: u32 = 80;
const COLUMNS: u32 = 14;

/// Writes every sign of every style on one picture.
pub fn write_sheet(path: &Path) -> anyhow::Result<()> {
    let crops = crops(0);
    let rows = (crops.len() as u32).div_ceil(COLUMNS);
    let mut sheet = RgbImage::new(COLUMNS * CROP_PX, rows * CROP_PX);
    for (index, crop) in crops.iter().enumerate() {
        let (column, row) = (index as u32 % COLUMNS, index as u32 / COLUMNS);
        let (width, height) = crop.picture.dimensions();
        let x = i64::from(column * CROP_PX + (CROP_PX - width) / 2);
        let y = i64::from(row * CROP_PX + (CROP_PX - height) / 2);
        image::imageops::replace(&mut sheet, &crop.picture, x, y);
    }
    sheet
        .save(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Writes `STYLE/class/NNN.png` under `folder`, `count` pictures a sign on different grounds.
pub fn write_crops(folder: &Path, count: u32) -> anyhow::Result<()> {
    for number in 0..count {
        for crop in crops(u64::from(number)) {
            let class = class_of(&crop.class);
            let folder = folder.join(crop.style.code()).join(class);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            let path = folder.join(if class == crop.class {
                format!("{number:03}.png")
            } else {
                format!("{}_{number:03}.png", crop.class)
            });
            crop.picture
                .save(&path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

struct Crop {
    style: NationalStyle,
    class: String,
    picture: RgbImage,
}

fn crops(seed: u64) -> Vec<Crop> {
    let mut random = Random::new(seed);
    let mut crops = Vec::new();
    for style in NationalStyle::ALL {
        for class in (classes(style).into_iter()).chain(extras(style).map(str::to_owned)) {
            let Some(sign) = draw_sign(style, &class, SIGN_PX) else {
                continue;
            };
            let picture = on_ground(&sign, &mut random);
            crops.push(Crop {
                style,
                class,
                picture,
            });
        }
    }
    crops
}

/// Puts a sign in the middle of a plain, slightly uneven ground of a random colour, with a margin in proportion
/// to its sides: a detector's box fits a wide board as closely as a disc.
fn on_ground(sign: &Pixmap, random: &mut Random) -> RgbImage {
    let ground = [(); 3].map(|()| 60.0 + 120.0 * random.unit());
    let [width, height] = [sign.width(), sign.height()].map(|side| side * CROP_PX / SIGN_PX);
    let (left, top) = ((width - sign.width()) / 2, (height - sign.height()) / 2);
    RgbImage::from_fn(width, height, |x, y| {
        let shade = 1.0 + 0.1 * (y as f32 / height as f32 - 0.5) + 0.04 * (random.unit() - 0.5);
        let sign_pixel = x
            .checked_sub(left)
            .zip(y.checked_sub(top))
            .filter(|&(x, _)| x < sign.width())
            .and_then(|(x, y)| sign.pixel(x, y));
        let (over, cover) = sign_pixel.map_or(([0; 3], 0.0), |p| {
            ([p.red(), p.green(), p.blue()], f32::from(p.alpha()) / 255.0)
        });
        Rgb(std::array::from_fn(|c| {
            (f32::from(over[c]) + ground[c] * shade * (1.0 - cover)).round() as u8
        }))
    })
}
