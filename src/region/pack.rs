//! Region packs: safetensors files that hold a region's embeddings, classes and calibration.
//!
//! A pack is parsed within fixed bounds and checked whole before a bank is made of it: version,
//! encoder fingerprint, shapes, unit rows, classes. `docs/pack-format.md` describes the file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::Array2;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use super::bank::{Calibration, MAX_CLASSES, RegionBank};
use super::rules::Rules;
use crate::event::ClassInfo;
use crate::model::card::hex;
use crate::units::RegionCode;

/// The only pack format this build reads.
const FORMAT: &str = "tsedge-pack/1";

/// Larger files are refused unread: 100,000 rows of 512 numbers take 205 MB.
const MAX_PACK_BYTES: u64 = 256 << 20;

/// Rows may be off unit length by so much (f16 rounding).
const UNIT_TOLERANCE: f32 = 2e-3;

/// Why a pack is refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct PackError {
    /// The pack.
    pub path: PathBuf,
    /// What is wrong with it and what would be right.
    pub reason: String,
}

/// Reads one pack for the encoder with the given SHA-256 and embedding length.
pub fn read(path: &Path, encoder_sha256: &str, dim: usize) -> Result<RegionBank, PackError> {
    parse(path, encoder_sha256, dim).map_err(|reason| PackError {
        path: path.to_owned(),
        reason,
    })
}

fn parse(path: &Path, encoder_sha256: &str, dim: usize) -> Result<RegionBank, String> {
    let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > MAX_PACK_BYTES {
        return Err(format!(
            "is {size} bytes, at most {MAX_PACK_BYTES} are read"
        ));
    }
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    from_bytes(&bytes, encoder_sha256, dim)
}

/// A bank from a pack's bytes.
pub fn from_bytes(bytes: &[u8], encoder_sha256: &str, dim: usize) -> Result<RegionBank, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| format!("not a pack: {e}"))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| format!("not a pack: {e}"))?;
    let metadata = header.metadata().clone().unwrap_or_default();

    expect("format", text(&metadata, "format")?, FORMAT)?;
    expect(
        "encoder_sha256",
        text(&metadata, "encoder_sha256")?,
        encoder_sha256,
    )?;
    let region = text(&metadata, "region")?;
    let region = RegionCode::parse(region).ok_or(format!("region `{region}` is not ISO 3166"))?;
    let classes = classes(text(&metadata, "classes")?)?;
    let calibration: Calibration = serde_json::from_str(text(&metadata, "calibration")?)
        .map_err(|e| format!("calibration: {e}"))?;
    check_calibration(&calibration)?;
    let rules = match metadata.get("rules") {
        Some(json) => Rules::from_json(json, &classes)?,
        None => Rules::default(),
    };

    let mut rows = Vec::new();
    let mut class_of = Vec::new();
    for (tensor, indices, needed) in [
        ("text", "class_of", true),
        ("image", "image_class_of", false),
    ] {
        match tensors.tensor(tensor) {
            Ok(view) => {
                let count = append_rows(tensor, &view, dim, &mut rows)?;
                let view = tensors
                    .tensor(indices)
                    .map_err(|_| format!("tensor `{indices}` is missing"))?;
                append_classes(indices, &view, count, classes.len(), &mut class_of)?;
            }
            Err(_) if needed => return Err(format!("tensor `{tensor}` is missing")),
            Err(_) => {}
        }
    }
    let count = class_of.len();
    let rows = Array2::from_shape_vec((count, dim), rows).map_err(|e| e.to_string())?;
    let identity = (
        region,
        Arc::from(text(&metadata, "pack_version")?),
        Arc::from(hex(&Sha256::digest(bytes))),
    );
    Ok(RegionBank::new(identity, classes, &calibration, rows, class_of).with_road_rules(rules))
}

fn text<'a>(metadata: &'a HashMap<String, String>, key: &str) -> Result<&'a str, String> {
    metadata
        .get(key)
        .map(String::as_str)
        .ok_or(format!("metadata `{key}` is missing"))
}

fn expect(what: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what} is {found}, expected {expected}"))
    }
}

fn classes(json: &str) -> Result<Vec<ClassInfo>, String> {
    let classes: Vec<ClassInfo> =
        serde_json::from_str(json).map_err(|e| format!("classes: {e}"))?;
    if classes.is_empty() || classes.len() > MAX_CLASSES {
        return Err(format!(
            "{} classes, expected 1 to {MAX_CLASSES}",
            classes.len()
        ));
    }
    let mut keys: Vec<&str> = classes.iter().map(|c| c.key.as_str()).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("class `{}` is there twice", pair[0])),
        None => Ok(classes),
    }
}

fn check_calibration(c: &Calibration) -> Result<(), String> {
    let share = |v: f32| (0.0..=1.0).contains(&v);
    let sound = c.scale.is_finite()
        && c.scale > 0.0
        && c.bias.values().all(|v| v.is_finite())
        && share(c.min_probability)
        && c.min_probability_of.values().all(|v| share(*v))
        && (-1.0..=1.0).contains(&c.min_cosine);
    sound
        .then_some(())
        .ok_or_else(|| "calibration: a value is out of its range".to_owned())
}

fn append_rows(
    name: &str,
    view: &TensorView<'_>,
    dim: usize,
    rows: &mut Vec<f32>,
) -> Result<usize, String> {
    let shape = view.shape();
    if view.dtype() != Dtype::F32 || shape.len() != 2 || shape[1] != dim || shape[0] == 0 {
        let dtype = view.dtype();
        return Err(format!(
            "tensor `{name}` is {dtype:?} {shape:?}, expected F32 [1.., {dim}]"
        ));
    }
    let start = rows.len();
    rows.extend(
        view.data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
    );
    for (i, row) in rows[start..].chunks_exact(dim).enumerate() {
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        let off = (length - 1.0).abs();
        if off.is_nan() || off > UNIT_TOLERANCE {
            return Err(format!(
                "tensor `{name}` row {i} has length {length}, expected 1"
            ));
        }
    }
    Ok(shape[0])
}

fn append_classes(
    name: &str,
    view: &TensorView<'_>,
    rows: usize,
    classes: usize,
    class_of: &mut Vec<u16>,
) -> Result<(), String> {
    if view.dtype() != Dtype::I32 || view.shape() != [rows] {
        let (dtype, shape) = (view.dtype(), view.shape());
        return Err(format!(
            "tensor `{name}` is {dtype:?} {shape:?}, expected I32 [{rows}]"
        ));
    }
    for bytes in view.data().chunks_exact(4) {
        let class = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        match u16::try_from(class) {
            Ok(index) if usize::from(index) < classes => class_of.push(index),
            _ => return Err(format!("tensor `{name}` names class {class} of {classes}")),
        }
    }
    Ok(())
}

/// The packs of a folder, read when first needed and then kept.
#[derive(Debug)]
pub struct PackStore {
    folder: PathBuf,
    encoder_sha256: String,
    dim: usize,
    banks: BTreeMap<String, Arc<RegionBank>>,
}

impl PackStore {
    /// Of a folder with files `<REGION>.safetensors`.
    pub fn new(folder: &Path, encoder_sha256: &str, dim: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            encoder_sha256: encoder_sha256.to_owned(),
            dim,
            banks: BTreeMap::new(),
        }
    }

    /// The pack of exactly this region; `None` when the folder has none.
    pub fn exact(&mut self, region: RegionCode) -> Result<Option<Arc<RegionBank>>, PackError> {
        if let Some(bank) = self.banks.get(region.as_str()) {
            return Ok(Some(Arc::clone(bank)));
        }
        let path = self.folder.join(format!("{region}.safetensors"));
        if !path.is_file() {
            return Ok(None);
        }
        let bank = read(&path, &self.encoder_sha256, self.dim)?;
        if bank.region() != region {
            let reason = format!("is the pack of {}, expected {region}", bank.region());
            return Err(PackError { path, reason });
        }
        let bank = Arc::new(bank);
        self.banks.insert(region.to_string(), Arc::clone(&bank));
        Ok(Some(bank))
    }

    /// Lets go of all packs but those of `regions`; they are read again when needed.
    pub fn retain(&mut self, regions: &[RegionCode]) {
        self.banks
            .retain(|name, _| regions.iter().any(|region| region.as_str() == name));
    }

    /// The best pack for a region: its own, its country's, or WORLD.
    pub fn best(&mut self, region: RegionCode) -> Result<Arc<RegionBank>, PackError> {
        for candidate in [region, region.country(), RegionCode::WORLD] {
            if let Some(bank) = self.exact(candidate)? {
                return Ok(bank);
            }
        }
        Err(PackError {
            path: self.folder.clone(),
            reason: format!("has neither {region}.safetensors nor WORLD.safetensors"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack() -> Vec<u8> {
        let rows: Vec<u8> = [1.0_f32, 0.0, 0.0, 1.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let class_of: Vec<u8> = [0_i32, 1].iter().flat_map(|v| v.to_le_bytes()).collect();
        let class = |key: &str, family: &str| {
            format!(
                r#"{{"key":"{key}","national_code":null,"family":"{family}","value":null,"unit":null,"label_en":"{key}","label_local":"{key}"}}"#
            )
        };
        let classes = format!(
            "[{},{}]",
            class("stop", "priority"),
            class("exit", "background")
        );
        let metadata: HashMap<String, String> = [
            ("format", FORMAT),
            ("region", "DE"),
            ("pack_version", "1"),
            ("encoder_sha256", "abc"),
            ("classes", &classes),
            (
                "calibration",
                r#"{"scale":20,"min_probability":0.5,"min_cosine":0.1}"#,
            ),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
        let tensors = [
            (
                "text",
                TensorView::new(Dtype::F32, vec![2, 2], &rows).unwrap(),
            ),
            (
                "class_of",
                TensorView::new(Dtype::I32, vec![2], &class_of).unwrap(),
            ),
        ];
        safetensors::serialize(tensors, Some(metadata)).unwrap()
    }

    #[test]
    fn a_sound_pack_becomes_a_bank() {
        let bank = from_bytes(&pack(), "abc", 2).unwrap();
        assert_eq!(
            (bank.region().as_str(), bank.rows(), bank.dim()),
            ("DE", 2, 2)
        );
        let found = bank.classify(ndarray::arr1(&[1.0, 0.0]).view(), 0.0);
        assert_eq!(found.naming.class().unwrap().key, "stop");
    }

    #[test]
    fn each_refusal_names_both_values() {
        let sound = pack();
        let swapped = |from: &str, to: &str| {
            assert_eq!(from.len(), to.len());
            let at = sound
                .windows(from.len())
                .position(|w| w == from.as_bytes())
                .unwrap();
            let mut bytes = sound.clone();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            from_bytes(&bytes, "abc", 2).unwrap_err()
        };
        assert_eq!(
            swapped("tsedge-pack/1", "tsedge-pack/9"),
            "format is tsedge-pack/9, expected tsedge-pack/1"
        );
        assert_eq!(swapped("\"DE\"", "\"de\""), "region `de` is not ISO 3166");
        assert_eq!(swapped("exit", "stop"), "class `stop` is there twice");
        assert_eq!(
            from_bytes(&sound, "other", 2).unwrap_err(),
            "encoder_sha256 is abc, expected other"
        );
        assert_eq!(
            from_bytes(&sound, "abc", 3).unwrap_err(),
            "tensor `text` is F32 [2, 2], expected F32 [1.., 3]"
        );
        let mut nan = sound.clone();
        let at = nan
            .windows(4)
            .rposition(|w| w == 1.0_f32.to_le_bytes())
            .unwrap();
        nan[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(
            from_bytes(&nan, "abc", 2)
                .unwrap_err()
                .contains("has length NaN, expected 1")
        );
    }

    #[test]
    fn the_shipped_packs_carry_their_region_s_rules() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs");
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
            let metadata = header.metadata().clone().unwrap();
            let classes = classes(&metadata["classes"]).unwrap();
            match metadata.get("rules") {
                Some(json) => drop(Rules::from_json(json, &classes).unwrap()),
                None => assert_eq!(metadata["region"], "WORLD"),
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_packs_never_panic(flips in prop::collection::vec((0_usize..5000, any::<u8>()), 1..8), cut in 0_usize..5000) {
            let mut bytes = pack();
            let len = bytes.len();
            for (at, value) in flips { bytes[at % len] ^= value; }
            bytes.truncate(if cut < len { cut } else { len });
            if let Ok(bank) = from_bytes(&bytes, "abc", 2) {
                prop_assert!(bank.rows() == 2);
                bank.classify(ndarray::arr1(&[1.0, 0.0]).view(), 0.0);
            }
        }
    }
}
