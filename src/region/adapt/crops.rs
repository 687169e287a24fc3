//! Labelled crops: a folder for each class, a CSV of path, class and track, or what Label Studio exports of
//! the tasks that `--collect` wrote; encoded once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::frame::{Frame, PixelFormat};
use crate::recognise::Encoder;
use crate::units::BoxPx;

/// A picture of one sign and what a person says it shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Crop {
    /// The picture.
    pub path: PathBuf,
    /// The class's key.
    pub key: String,
    /// Pictures of one physical sign share it: they are in one part of the split.
    pub track: String,
    /// Whose sign it is, where a CSV says so.
    pub region: Option<String>,
    /// Its part of the data set, such as `test`, where a CSV says so.
    pub split: Option<String>,
}

/// An encoded crop.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Where it came from.
    pub crop: Crop,
    /// Unit length.
    pub embedding: Vec<f32>,
    /// The shorter side of the sign's box.
    pub side_px: f32,
    /// Mean brightness of the picture, 0 to 255.
    pub light: f32,
}

impl Sample {
    /// Which of so many parts it is dealt to, by the hash of its track.
    pub fn part(&self, parts: usize) -> usize {
        let hash = Sha256::digest(self.crop.track.as_bytes());
        let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        number as usize % parts
    }
}

/// Lists a folder of class folders, a CSV, or a JSON export of Label Studio (pictures lie beside it or in
/// `crops`). `track_until`: a picture's track is its name up to the last of it.
///
/// A CSV's header names `path` (relative to the file, or to `crops` beside it), `class` (or `unified_class`), and
/// perhaps `track` (or else `source_path`, the picture that it was cut from), `region` and `split`.
pub fn list(source: &Path, track_until: Option<&str>) -> anyhow::Result<Vec<Crop>> {
    let listed = match source.extension() {
        _ if source.is_dir() => list_folder(source),
        Some(ending) if ending == "json" => list_export(source),
        _ => list_csv(source),
    };
    let mut crops = listed.with_context(|| source.display().to_string())?;
    ensure!(!crops.is_empty(), "{}: holds no crops", source.display());
    if let Some(until) = track_until.filter(|u| !u.is_empty()) {
        for crop in &mut crops {
            // Folders are no part of the name.
            let name = crop.track.rfind('/').map_or(0, |slash| slash + 1);
            if let Some(at) = crop.track[name..].rfind(until) {
                crop.track.truncate(name + at);
            }
        }
    }
    crops.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(crops)
}

fn list_folder(folder: &Path) -> anyhow::Result<Vec<Crop>> {
    let mut crops = Vec::new();
    let at = |path: &Path| path.display().to_string();
    for class in std::fs::read_dir(folder).with_context(|| at(folder))? {
        let class = class?.path();
        let key = class
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !class.is_dir() || key.starts_with('.') {
            continue;
        }
        for picture in std::fs::read_dir(&class).with_context(|| at(&class))? {
            let path = picture?.path();
            let ending = path
                .extension()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            if matches!(ending.as_str(), "png" | "jpg" | "jpeg") {
                let track = track_of(&path);
                crops.push(Crop {
                    key: key.clone(),
                    track,
                    path,
                    ..Crop::default()
                });
            }
        }
    }
    Ok(crops)
}

#[derive(Deserialize)]
struct Row {
    path: PathBuf,
    #[serde(alias = "unified_class")]
    class: String,
    track: Option<String>,
    source_path: Option<String>,
    region: Option<String>,
    split: Option<String>,
}

fn list_csv(file: &Path) -> anyhow::Result<Vec<Crop>> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut crops = Vec::new();
    for row in csv::Reader::from_path(file)?.deserialize() {
        let row: Row = row?;
        let beside = folder.join("crops").join(&row.path);
        let path = Some(folder.join(&row.path)).filter(|path| path.is_file() || !beside.is_file());
        let path = path.unwrap_or(beside);
        let given = |cell: Option<String>| cell.filter(|text| !text.is_empty());
        let track = given(row.track).or_else(|| given(row.source_path));
        crops.push(Crop {
            key: row.class,
            track: track.unwrap_or_else(|| track_of(&path)),
            region: given(row.region),
            split: given(row.split),
            path,
        });
    }
    Ok(crops)
}

/// The last annotation of each task counts; tasks without one, or skipped, are left out.
fn list_export(file: &Path) -> anyhow::Result<Vec<Crop>> {
    let tasks: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut crops = Vec::new();
    for task in &tasks {
        let annotations = task["annotations"].as_array().into_iter().flatten();
        let valid = annotations.filter(|a| !a["was_cancelled"].as_bool().unwrap_or(false));
        let results = valid.flat_map(|a| a["result"].as_array().into_iter().flatten());
        let Some(key) = results
            .filter_map(|r| r["value"]["choices"][0].as_str())
            .next_back()
        else {
            continue;
        };
        let image = task["data"]["image"]
            .as_str()
            .context("a task without data.image")?;
        let name = image.rsplit(['/', '=']).next().unwrap_or(image);
        let beside = [folder.join("crops").join(name), folder.join(name)];
        let path = beside.iter().find(|p| p.is_file());
        let path =
            path.with_context(|| format!("{name} lies neither in crops nor beside the file"))?;
        let data = &task["data"];
        let track = match (data["source"].as_str(), data["track"].as_u64()) {
            (Some(source), Some(track)) => format!("{source}-{track}"),
            _ => track_of(path),
        };
        crops.push(Crop {
            key: key.to_owned(),
            track,
            path: path.clone(),
            ..Crop::default()
        });
    }
    Ok(crops)
}

fn track_of(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Encodes crops; `margin` is the share of the picture on each side that lies outside the sign's box.
pub fn encode(
    crops: Vec<Crop>,
    encoder: &mut Encoder,
    margin: f32,
    mut progress: impl FnMut(usize),
) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::with_capacity(crops.len());
    let mut frame = Frame::default();
    for (i, crop) in crops.into_iter().enumerate() {
        read_into(&crop.path, &mut frame).with_context(|| crop.path.display().to_string())?;
        let (width, height) = (frame.width_px() as f32, frame.height_px() as f32);
        let (x, y) = (margin * width, margin * height);
        encoder.prepare(&frame, BoxPx::new(x, y, width - x, height - y));
        let embedding = encoder.infer()?.to_vec();
        samples.push(Sample {
            crop,
            embedding,
            side_px: width.min(height) * (1.0 - 2.0 * margin),
            light: brightness(&frame),
        });
        progress(i + 1);
    }
    Ok(samples)
}

fn read_into(path: &Path, frame: &mut Frame) -> anyhow::Result<()> {
    let picture = image::ImageReader::open(path)?
        .with_guessed_format()?
        .decode()?
        .into_rgb8();
    let (width, height) = picture.dimensions();
    if width.min(height) < 4 {
        bail!("{width}x{height} pixels are too few");
    }
    frame
        .reset(PixelFormat::Rgb8, width, height)
        .copy_from_slice(&picture);
    Ok(())
}

fn brightness(frame: &Frame) -> f32 {
    let sum: u64 = frame.data().iter().map(|v| u64::from(*v)).sum();
    sum as f32 / frame.data().len().max(1) as f32
}

/// Counts by class.
pub fn counts<'a>(samples: impl Iterator<Item = &'a Sample>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for sample in samples {
        *counts.entry(sample.crop.key.as_str()).or_default() += 1;
    }
    counts
}

/// What lies around the sign in a crop, as a share of its side: as given, else as the encoder has it with
/// `context`, a share of the sign's.
pub fn margin(given: Option<f32>, context: Option<f32>) -> anyhow::Result<f32> {
    let context = context.unwrap_or_default();
    let margin = given.unwrap_or(context / (1.0 + 2.0 * context));
    ensure!(
        (0.0..0.45).contains(&margin),
        "--margin is {margin}, expected 0 to 0.45"
    );
    Ok(margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_csv_list_the_same_crops() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "stop/00001_03.png",
            "stop/00002_00.jpg",
            "yield/7.PNG",
            "stop/notes.txt",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let csv = folder.path().join("list.csv");
        std::fs::write(
            &csv,
            "class,path,track\nyield,yield/7.PNG,7\nstop,stop/00001_03.png,\nstop,stop/00002_00.jpg,00002_00\n",
        )
        .unwrap();
        let found = list(folder.path(), Some("_")).unwrap();
        assert_eq!(list(&csv, Some("_")).unwrap(), found);
        // As Label Studio exports it: one label changed by hand, one task skipped, one not done.
        let export = folder.path().join("export.json");
        std::fs::create_dir(folder.path().join("crops")).unwrap();
        std::fs::write(folder.path().join("crops/a-4-17.png"), "").unwrap();
        std::fs::write(
            &export,
            r#"[{"data":{"image":"/data/local-files/?d=crops/a-4-17.png","source":"a","track":4},
                 "annotations":[{"was_cancelled":false,"result":[{"value":{"choices":["yield"]}}]}],
                 "predictions":[{"result":[{"value":{"choices":["stop"]}}]}]},
                {"data":{"image":"crops/b.png"},"annotations":[{"was_cancelled":true,"result":[{"value":{"choices":["stop"]}}]}]},
                {"data":{"image":"crops/c.png"},"annotations":[]}]"#,
        )
        .unwrap();
        let exported = list(&export, None).unwrap();
        assert_eq!(exported.len(), 1);
        assert_eq!(
            (exported[0].key.as_str(), exported[0].track.as_str()),
            ("yield", "a-4")
        );

        let tracks: Vec<(&str, &str)> = found
            .iter()
            .map(|c| (c.key.as_str(), c.track.as_str()))
            .collect();
        assert_eq!(
            tracks,
            [("stop", "00001"), ("stop", "00002"), ("yield", "7")]
        );
    }
}
