//! From a prompt file to a pack: sentences through the text encoder into the image encoder's space.

mod catalogue;
mod head;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use ndarray::Array2;
use sha2::{Digest as _, Sha256};

pub use catalogue::{Region, SignClass};
pub use head::TextHead;

use super::bank::Calibration;
use super::pack::{Pack, Prototypes};
use crate::event::Family;
use crate::model::TextModel;
use crate::model::card::hex;

/// What packs are built with.
pub struct Builder {
    /// Sentence to embedding.
    pub text: TextModel,
    /// From its space into the image encoder's.
    pub head: TextHead,
}

impl Builder {
    /// The pack of the region that `file` describes.
    ///
    /// What sentences cannot give comes from `base`, a pack for the same encoder (WORLD): the rows of
    /// background and unnamed signs, and the calibration. A class that `base` has no photo of keeps its
    /// higher threshold.
    pub fn build(&mut self, file: &Path, world: &Path, base: &Pack) -> anyhow::Result<Pack> {
        ensure!(
            self.head.encoder_sha256() == base.encoder_sha256,
            "the base pack is for encoder {}, the text head for {}",
            base.encoder_sha256,
            self.head.encoder_sha256()
        );
        let region = Region::read(file, world)?;
        let prompts = region.prompts();
        let mut rows = Array2::zeros((prompts.len(), self.head.dim()));
        for (i, (sentence, _)) in prompts.iter().enumerate() {
            if i > 0 && prompts[i - 1].0 == *sentence {
                let (before, mut row) =
                    rows.multi_slice_mut((ndarray::s![i - 1, ..], ndarray::s![i, ..]));
                row.assign(&before);
                continue;
            }
            let embedding = self.text.embed(sentence);
            let embedding = embedding.with_context(|| format!("`{sentence}`"))?;
            let row = self.head.project(&embedding)?;
            rows.row_mut(i).assign(&row);
        }
        let classes: Vec<_> = region.classes.iter().map(|c| c.info.clone()).collect();
        let mut pack = Pack {
            region: region.code,
            version: "1".to_owned(),
            encoder_sha256: base.encoder_sha256.clone(),
            calibration: calibration(base, &classes),
            text: Prototypes {
                rows,
                class_of: prompts.iter().map(|(_, class)| *class).collect(),
            },
            image: Prototypes::none(self.head.dim()),
            rules: region.rules,
            notes: notes(file, world, base)?,
            classes,
        };
        pack.image = trained_rows(base, &pack)?;
        Ok(pack)
    }
}

/// The base's, for the classes that the region has.
fn calibration(base: &Pack, classes: &[crate::event::ClassInfo]) -> Calibration {
    let own = |of: &BTreeMap<String, f32>| {
        let kept = of
            .iter()
            .filter(|(key, _)| classes.iter().any(|c| c.key == **key));
        kept.map(|(key, value)| (key.clone(), *value)).collect()
    };
    Calibration {
        bias: own(&base.calibration.bias),
        min_probability_of: own(&base.calibration.min_probability_of),
        ..base.calibration.clone()
    }
}

/// Rows of background and other signs, which training made and no sentence describes.
fn trained_rows(base: &Pack, pack: &Pack) -> anyhow::Result<Prototypes> {
    let mut rows = Vec::new();
    let mut class_of = Vec::new();
    for (row, class) in base.image.iter() {
        let info = &base.classes[usize::from(class)];
        if matches!(info.family, Family::Background | Family::OtherSign)
            && let Some(own) = pack.class(&info.key)
        {
            rows.extend(row);
            class_of.push(own);
        }
    }
    let rows = Array2::from_shape_vec((class_of.len(), base.dim()), rows)?;
    Ok(Prototypes { rows, class_of })
}

fn notes(file: &Path, world: &Path, base: &Pack) -> anyhow::Result<BTreeMap<String, String>> {
    let mut prompts = Sha256::new();
    for path in [world, file] {
        prompts.update(std::fs::read(path)?);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let provenance = serde_json::json!({
        "built_from": name,
        "base": format!("{} {}", base.region, base.version),
    });
    let mut notes = BTreeMap::from([
        ("prompts_sha256".to_owned(), hex(&prompts.finalize())),
        ("provenance".to_owned(), provenance.to_string()),
    ]);
    if let Some(licence) = base.notes.get("licence") {
        notes.insert("licence".to_owned(), licence.clone());
    }
    Ok(notes)
}
