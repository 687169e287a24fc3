//! Crops the model was unsure of, kept for labelling (`--collect`; off unless asked for).
//!
//! Of every track the largest crop is held in memory; when the track ends it is written if its naming was
//! in doubt. A crop shows the sign's box and the encoder's margin around it, never more of the scene. The
//! folder stays within its budget: the least doubtful crops go first.
//!
//! | file | for |
//! |---|---|
//! | `crops/*.png` | the pictures |
//! | `tasks.json` | Label Studio: tasks with what the model thought |
//! | `label_config.xml` | Label Studio: the classes to choose from |

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};

use super::FrameSink;
use crate::event::{Event, FrameView, Naming, SignEvent};
use crate::frame::Frame;
use crate::frame::resample::crop_rgb;
use crate::region::install::write_atomically;
use crate::units::TrackId;

/// Larger crops are scaled down to this longer side.
const MAX_SIDE_PX: u32 = 256;
/// A crop is taken anew when the box has grown by this.
const GROWTH: f32 = 1.2;
/// Smaller signs cannot be labelled by anyone.
const MIN_SIDE_PX: f32 = 16.0;
/// A lead over the second class below this is low.
const LOW_MARGIN: f32 = 0.4;

/// What a run collects, and where.
#[derive(Debug, Clone)]
pub struct CollectPlan {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// Pictures take at most this.
    pub budget_bytes: u64,
    /// Share of its size by which a box is grown on each side: the encoder's.
    pub context: f32,
    /// Name of the recording, as a part of file names.
    pub source: String,
    /// The class keys to choose from.
    pub classes: Vec<String>,
}

/// See the module.
pub struct Collector {
    plan: CollectPlan,
    tracks: BTreeMap<TrackId, Held>,
    kept: Vec<Kept>,
    bytes: u64,
}

struct Held {
    crop: RgbImage,
    side_px: f32,
    frame: u64,
    confirmed: Vec<String>,
}

struct Kept {
    file: String,
    bytes: u64,
    doubt: f32,
    task: Value,
}

impl Collector {
    /// Makes the folder; what an earlier run left in it counts towards the budget.
    pub fn create(plan: CollectPlan) -> anyhow::Result<Self> {
        let crops = plan.folder.join("crops");
        std::fs::create_dir_all(&crops).with_context(|| crops.display().to_string())?;
        let mut collector = Self {
            plan,
            tracks: BTreeMap::new(),
            kept: Vec::new(),
            bytes: 0,
        };
        collector.take_over()?;
        Ok(collector)
    }

    /// Crops kept so far.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Nothing was in doubt.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Writes the labelling files.
    pub fn finish(self) -> anyhow::Result<usize> {
        let tasks: Vec<&Value> = self.kept.iter().map(|k| &k.task).collect();
        let mut choices = String::new();
        for key in &self.plan.classes {
            choices.push_str(&format!("    <Choice value=\"{key}\"/>\n"));
        }
        let config = format!(
            "<View>\n  <Image name=\"image\" value=\"$image\"/>\n  <Choices name=\"class\" toName=\"image\" \
             choice=\"single\">\n{choices}  </Choices>\n</View>\n"
        );
        for (name, bytes) in [
            ("tasks.json", serde_json::to_vec_pretty(&tasks)?),
            ("label_config.xml", config.into_bytes()),
        ] {
            let path = self.plan.folder.join(name);
            write_atomically(&path, &bytes).with_context(|| path.display().to_string())?;
        }
        Ok(self.kept.len())
    }

    fn take_over(&mut self) -> anyhow::Result<()> {
        let path = self.plan.folder.join("tasks.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(());
        };
        let tasks: Vec<Value> =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        for task in tasks {
            let file = task["data"]["file"].as_str().unwrap_or_default().to_owned();
            let crop = self.plan.folder.join("crops").join(&file);
            // A crop that a person has taken away needs no label any more.
            if let Ok(metadata) = std::fs::metadata(crop) {
                self.keep(Kept {
                    file,
                    bytes: metadata.len(),
                    doubt: task["data"]["doubt"].as_f64().unwrap_or(0.0) as f32,
                    task,
                })?;
            }
        }
        Ok(())
    }

    fn end(&mut self, sign: &SignEvent) -> anyhow::Result<()> {
        let Some(held) = self.tracks.remove(&sign.track) else {
            return Ok(());
        };
        let Some((reason, doubt)) = doubt(sign, &held.confirmed) else {
            return Ok(());
        };
        let file = format!("{}-{}-{}.png", self.plan.source, sign.track.0, held.frame);
        let mut png = Cursor::new(Vec::new());
        held.crop.write_to(&mut png, ImageFormat::Png)?;
        let png = png.into_inner();
        let guess = sign.top.first();
        let mut task = json!({
            "data": {
                "image": format!("/data/local-files/?d=crops/{file}"),
                "file": file, "source": self.plan.source, "frame": held.frame, "track": sign.track.0,
                "region": sign.region.as_str(), "reason": reason, "doubt": doubt,
            },
        });
        if let Some(guess) = guess {
            task["predictions"] = json!([{
                "model_version": "tsedge", "score": guess.probability,
                "result": [{
                    "from_name": "class", "to_name": "image", "type": "choices",
                    "value": { "choices": [guess.class.key] },
                }],
            }]);
        }
        let path = self.plan.folder.join("crops").join(&file);
        write_atomically(&path, &png).with_context(|| path.display().to_string())?;
        self.keep(Kept {
            file,
            bytes: png.len() as u64,
            doubt,
            task,
        })
    }

    /// Adds a crop, and drops the least doubtful ones beyond the budget.
    fn keep(&mut self, kept: Kept) -> anyhow::Result<()> {
        if let Some(same) = self.kept.iter().position(|k| k.file == kept.file) {
            self.bytes -= self.kept.remove(same).bytes;
        }
        self.bytes += kept.bytes;
        self.kept.push(kept);
        while self.bytes > self.plan.budget_bytes {
            let doubts = self.kept.iter().enumerate().map(|(i, k)| (i, k.doubt));
            let Some((least, _)) = doubts.min_by(|a, b| a.1.total_cmp(&b.1)) else {
                break;
            };
            let gone = self.kept.remove(least);
            self.bytes -= gone.bytes;
            let path = self.plan.folder.join("crops").join(&gone.file);
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

impl FrameSink for Collector {
    fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) -> anyhow::Result<()> {
        for event in view.events {
            match event {
                Event::SignLost(sign) => self.end(sign)?,
                Event::SignConfirmed(sign) => {
                    if let (Some(held), Some(class)) =
                        (self.tracks.get_mut(&sign.track), sign.naming.class())
                    {
                        held.confirmed.push(class.key.clone());
                    }
                }
                _ => {}
            }
        }
        for track in view.tracks.iter().filter(|t| t.detected) {
            let side_px = track.bbox.longer_side();
            let before = self.tracks.get(&track.track);
            let least = before.map_or(MIN_SIDE_PX, |held| held.side_px * GROWTH);
            if side_px < least {
                continue;
            }
            let grown = track.bbox.grown(self.plan.context);
            let side = (grown.longer_side().ceil() as u32).clamp(1, MAX_SIDE_PX);
            let bbox = grown.clipped(frame.width_px(), frame.height_px());
            let confirmed = match (self.tracks.remove(&track.track), track.naming.class()) {
                (Some(held), _) => held.confirmed,
                (None, Some(class)) => vec![class.key.clone()],
                (None, None) => Vec::new(),
            };
            let held = Held {
                crop: crop_rgb(frame, bbox, side),
                side_px,
                frame: frame.index,
                confirmed,
            };
            self.tracks.insert(track.track, held);
        }
        Ok(())
    }
}

/// Why a track's naming is in doubt, and how much, 0 to 1; `None` when it is not.
fn doubt(sign: &SignEvent, confirmed: &[String]) -> Option<(&'static str, f32)> {
    let probability = |i: usize| sign.top.get(i).map_or(0.0, |c| c.probability);
    let margin = (probability(0) - probability(1)).clamp(0.0, 1.0);
    let mut confirmed = confirmed.to_vec();
    confirmed.dedup();
    match sign.naming {
        _ if confirmed.len() > 1 => Some(("contradiction", 1.0)),
        Naming::UnknownSign => Some(("unknown_sign", 1.0 - 0.5 * margin)),
        Naming::Undecided => Some(("undecided", 0.9 - 0.5 * margin)),
        Naming::Sign(_) if margin < LOW_MARGIN => Some(("low_margin", 0.8 - margin)),
        _ => None,
    }
}

/// A recording's name as a part of file names.
pub fn source_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    };
    stem.chars().map(plain).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::event::{Candidate, ClassInfo, Family, TrackView};
    use crate::frame::PixelFormat;
    use crate::units::{BoxPx, RegionCode, Timestamp};

    fn class(key: &str) -> Arc<ClassInfo> {
        Arc::new(ClassInfo {
            key: key.to_owned(),
            national_code: None,
            family: Family::Priority,
            value: None,
            unit: None,
            label_en: key.to_owned(),
            label_local: key.to_owned(),
        })
    }

    fn plan(folder: &Path, budget_bytes: u64) -> CollectPlan {
        CollectPlan {
            folder: folder.to_owned(),
            budget_bytes,
            context: 0.05,
            source: "drive".to_owned(),
            classes: vec!["stop".to_owned(), "yield".to_owned()],
        }
    }

    fn bbox() -> BoxPx {
        BoxPx::new(20.0, 10.0, 60.0, 50.0)
    }

    /// A track seen once and lost, with so much probability for its best class.
    fn pass(collector: &mut Collector, id: u32, naming: &Naming, probability: f32) {
        let mut frame = Frame::default();
        let noise = |i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        let data = frame.reset(PixelFormat::Rgb8, 100, 80);
        data.iter_mut()
            .enumerate()
            .for_each(|(i, px)| *px = noise(i + id as usize));
        let track = TrackView {
            track: TrackId(id),
            bbox: bbox(),
            naming: naming.clone(),
            probability,
            detected: true,
        };
        let candidate = |key, probability| Candidate {
            class: class(key),
            probability,
        };
        let lost = SignEvent {
            time: Timestamp::ZERO,
            frame: 0,
            camera: None,
            track: TrackId(id),
            naming: naming.clone(),
            probability,
            top: [
                candidate("stop", probability),
                candidate("yield", 1.0 - probability),
            ]
            .into_iter()
            .collect(),
            region: RegionCode::WORLD,
            bbox: bbox(),
            placement: None,
            observations: 5,
            first_seen: Timestamp::ZERO,
        };
        let mut view = FrameView {
            tracks: std::slice::from_ref(&track),
            events: &[],
            region: RegionCode::WORLD,
            position_deg: None,
            swap_took: None,
        };
        collector.frame(&frame, &view).unwrap();
        let events = [Event::SignLost(lost)];
        (view.tracks, view.events) = (&[], &events);
        collector.frame(&frame, &view).unwrap();
    }

    #[test]
    fn only_doubtful_signs_are_kept_and_nothing_around_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut collector = Collector::create(plan(folder.path(), 1 << 20)).unwrap();
        pass(&mut collector, 1, &Naming::Sign(class("stop")), 0.99);
        pass(&mut collector, 2, &Naming::UnknownSign, 0.6);
        pass(&mut collector, 3, &Naming::Sign(class("stop")), 0.55);
        assert_eq!(collector.finish().unwrap(), 2);
        let tasks = std::fs::read_to_string(folder.path().join("tasks.json")).unwrap();
        let tasks: Vec<Value> = serde_json::from_str(&tasks).unwrap();
        let reasons: Vec<&str> = tasks
            .iter()
            .map(|t| t["data"]["reason"].as_str().unwrap())
            .collect();
        assert_eq!(reasons, ["unknown_sign", "low_margin"]);
        for task in &tasks {
            let file = task["data"]["file"].as_str().unwrap();
            let picture = image::open(folder.path().join("crops").join(file)).unwrap();
            // A box of 40 px and 5 % of it on each side.
            assert_eq!((picture.width(), picture.height()), (44, 44));
        }
    }

    #[test]
    fn the_budget_holds_over_runs_and_the_least_doubtful_goes() {
        let folder = tempfile::tempdir().unwrap();
        let budget = 15_000;
        for run in 0..2 {
            let mut collector = Collector::create(plan(folder.path(), budget)).unwrap();
            for id in 0..5 {
                let probability = 0.5 + 0.1 * id as f32;
                pass(
                    &mut collector,
                    10 * run + id,
                    &Naming::UnknownSign,
                    probability,
                );
            }
            collector.finish().unwrap();
            let files = std::fs::read_dir(folder.path().join("crops")).unwrap();
            let sizes: Vec<u64> = files
                .map(|f| f.unwrap().metadata().unwrap().len())
                .collect();
            assert!(
                sizes.iter().sum::<u64>() <= budget && sizes.len() == 2,
                "{sizes:?}"
            );
        }
        let tasks = std::fs::read_to_string(folder.path().join("tasks.json")).unwrap();
        let tasks: Vec<Value> = serde_json::from_str(&tasks).unwrap();
        let tracks: Vec<i64> = tasks
            .iter()
            .map(|t| t["data"]["track"].as_i64().unwrap())
            .collect();
        assert_eq!(tracks, [0, 10], "the most doubtful of each run");
    }
}
