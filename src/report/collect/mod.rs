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

mod doubt;
mod folder;

use std::path::Path;

pub use doubt::{Doubtful, Doubts};
pub use folder::{CollectPlan, CropFolder};

use super::FrameSink;
use crate::event::FrameView;
use crate::frame::Frame;

/// Collects in a replay.
pub struct Collector {
    doubts: Doubts,
    folder: CropFolder,
}

impl Collector {
    /// For crops with so much around the sign's box, as a share of its size.
    pub fn create(plan: CollectPlan, context: f32) -> anyhow::Result<Self> {
        Ok(Self {
            doubts: Doubts::new(context),
            folder: CropFolder::open(plan)?,
        })
    }

    /// Writes the lists; the number of crops in the folder.
    pub fn finish(self) -> anyhow::Result<usize> {
        self.folder.write_lists()?;
        Ok(self.folder.len())
    }
}

impl FrameSink for Collector {
    fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) -> anyhow::Result<()> {
        (self.doubts).frame(frame, view, |doubtful| self.folder.add(&doubtful))
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

    use crate::event::{Candidate, ClassInfo, Event, Family, Naming, SignEvent, TrackView};
    use crate::frame::PixelFormat;
    use crate::units::{BoxPx, RegionCode, Timestamp, TrackId};
    use serde_json::Value;

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
            placement: None,
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
        let mut collector = Collector::create(plan(folder.path(), 1 << 20), 0.05).unwrap();
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
            let mut collector = Collector::create(plan(folder.path(), budget), 0.05).unwrap();
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
