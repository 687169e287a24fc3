//! The folder of crops that wait for a label, and its lists.

use std::io::Cursor;
use std::path::PathBuf;

use anyhow::Context;
use image::ImageFormat;
use serde_json::{Value, json};

use super::doubt::Doubtful;
use crate::region::install::write_atomically;

/// What is collected, and where.
#[derive(Debug, Clone)]
pub struct CollectPlan {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// Pictures take at most this.
    pub budget_bytes: u64,
    /// Name of the recording, as a part of file names.
    pub source: String,
    /// The class keys to choose from.
    pub classes: Vec<String>,
}

/// See the module.
pub struct CropFolder {
    plan: CollectPlan,
    kept: Vec<Kept>,
    bytes: u64,
}

struct Kept {
    file: String,
    bytes: u64,
    doubt: f32,
    task: Value,
}

impl CropFolder {
    /// Makes the folder; what an earlier run left in it counts towards the budget.
    pub fn open(plan: CollectPlan) -> anyhow::Result<Self> {
        let crops = plan.folder.join("crops");
        std::fs::create_dir_all(&crops).with_context(|| crops.display().to_string())?;
        let mut folder = Self {
            plan,
            kept: Vec::new(),
            bytes: 0,
        };
        folder.take_over()?;
        Ok(folder)
    }

    /// Crops in it.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Nothing was in doubt.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Adds a crop, and drops the least doubtful ones beyond the budget.
    pub fn add(&mut self, doubtful: &Doubtful) -> anyhow::Result<()> {
        let Doubtful { sign, frame, .. } = doubtful;
        let (source, track) = (&self.plan.source, sign.track.0);
        let file = format!("{source}-{track}-{frame}.png");
        let mut png = Cursor::new(Vec::new());
        doubtful.crop.write_to(&mut png, ImageFormat::Png)?;
        let png = png.into_inner();
        let mut task = json!({
            "data": {
                "image": format!("/data/local-files/?d=crops/{file}"),
                "file": file, "source": source, "frame": frame, "track": track,
                "region": sign.region.as_str(), "reason": doubtful.reason, "doubt": doubtful.doubt,
            },
        });
        if let Some(guess) = sign.top.first() {
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
            doubt: doubtful.doubt,
            task,
        })
    }

    /// Writes the labelling files.
    pub fn write_lists(&self) -> anyhow::Result<()> {
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
        Ok(())
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
