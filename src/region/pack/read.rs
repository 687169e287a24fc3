//! Bytes to [`Pack`], within bounds; every refusal says what was found and what was expected.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read as _;
use std::path::Path;

use half::f16;
use ndarray::Array2;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{
    FORMAT, FORMAT_WITHOUT_DIGEST, MAX_HEADER_BYTES, MAX_PACK_BYTES, MAX_RULES_BYTES,
    MAX_TEXT_BYTES, Pack, PackError, Part, Prototypes, UNIT_TOLERANCE, digest, sha256,
};
use crate::event::ClassInfo;
use crate::region::bank::{Calibration, MAX_CLASSES, RegionBank};
use crate::region::rows::MAX_DIM;
use crate::units::RegionCode;

/// The file's bytes, when it is a plain file within [`MAX_PACK_BYTES`].
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err("is not a plain file".to_owned());
    }
    let size = metadata.len();
    if size > MAX_PACK_BYTES {
        return Err(format!(
            "is {size} bytes, at most {MAX_PACK_BYTES} are read"
        ));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // A file that grows meanwhile is cut, and refused as damaged.
    let read = file.take(MAX_PACK_BYTES).read_to_end(&mut bytes);
    read.map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// A bank from a pack's bytes, for the encoder with the given SHA-256 and embedding length.
pub fn from_bytes(bytes: &[u8], encoder_sha256: &str, dim: usize) -> Result<RegionBank, String> {
    let pack = Pack::parse(bytes)?;
    pack.check_encoder(encoder_sha256, dim)?;
    pack.bank(&sha256(bytes))
}

impl Pack {
    /// Reads and parses a file; gives its bytes too.
    pub fn read(path: &Path) -> Result<(Self, Vec<u8>), PackError> {
        let read = read_bytes(path).and_then(|bytes| Ok((Self::parse(&bytes)?, bytes)));
        read.map_err(|reason| PackError {
            path: path.to_owned(),
            reason,
        })
    }

    /// The encoder must be the one the rows were made for.
    pub fn check_encoder(&self, encoder_sha256: &str, dim: usize) -> Result<(), String> {
        expect("encoder_sha256", &self.encoder_sha256, encoder_sha256)?;
        expect("row length", &self.dim().to_string(), &dim.to_string())
    }

    /// Parses and checks everything that can be checked without an encoder.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let length = bytes.first_chunk().map(|b| u64::from_le_bytes(*b));
        if let Some(length) = length.filter(|length| *length > MAX_HEADER_BYTES) {
            return Err(format!(
                "not a pack: a header of {length} bytes, at most {MAX_HEADER_BYTES} are read"
            ));
        }
        let not_a_pack = |e| format!("not a pack: {e}");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_a_pack)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(not_a_pack)?;
        let mut metadata = header.metadata().clone().unwrap_or_default();
        check_digest(&mut metadata, &tensors)?;

        let mut take = |key: &str| take(&mut metadata, key);
        let region = take("region")?;
        let region =
            RegionCode::parse(&region).ok_or(format!("region `{region}` is not ISO 3166"))?;
        let version = take("pack_version")?;
        let encoder_sha256 = take("encoder_sha256")?;
        let classes = classes(&take("classes")?)?;
        let calibration: Calibration =
            serde_json::from_str(&take("calibration")?).map_err(|e| format!("calibration: {e}"))?;
        check_calibration(&calibration)?;
        let rules = metadata.remove("rules").map(|r| rules(&r)).transpose()?;
        for (what, text) in [
            ("pack_version", &version),
            ("encoder_sha256", &encoder_sha256),
        ] {
            check_text(what, text)?;
        }
        let text = prototypes(&tensors, ("text", "class_of"), None, classes.len())?;
        let text = text.ok_or("tensor `text` is missing")?;
        let dim = text.rows.ncols();
        let image = prototypes(
            &tensors,
            ("image", "image_class_of"),
            Some(dim),
            classes.len(),
        )?;
        let pack = Self {
            region,
            version,
            encoder_sha256,
            classes,
            calibration,
            text,
            image: image.unwrap_or_else(|| Prototypes::none(dim)),
            rules,
            notes: metadata.into_iter().collect::<BTreeMap<_, _>>(),
        };
        pack.road_rules()?;
        Ok(pack)
    }
}

/// Takes format and digest out of the metadata.
fn check_digest(
    metadata: &mut HashMap<String, String>,
    tensors: &SafeTensors<'_>,
) -> Result<(), String> {
    let format = metadata.get("format").map_or("", String::as_str);
    let found = metadata.get("digest").cloned();
    match (format, &found) {
        (FORMAT_WITHOUT_DIGEST, None) => {}
        (FORMAT_WITHOUT_DIGEST | FORMAT, Some(found)) => {
            let views: Vec<(String, TensorView<'_>)> = tensors.tensors();
            let dtypes: Vec<String> = views.iter().map(|(_, v)| v.dtype().to_string()).collect();
            let parts = views.iter().zip(&dtypes).map(|((name, view), dtype)| Part {
                name,
                dtype,
                shape: view.shape(),
                data: view.data(),
            });
            let pairs = metadata.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            expect("digest of the contents", &digest(pairs, parts), found)
                .map_err(|e| format!("damaged: {e}"))?;
        }
        (FORMAT, None) => return Err("metadata `digest` is missing".to_owned()),
        (other, _) => expect("format", other, FORMAT)?,
    }
    metadata.remove("format");
    metadata.remove("digest");
    Ok(())
}

fn take(metadata: &mut HashMap<String, String>, key: &str) -> Result<String, String> {
    (metadata.remove(key)).ok_or_else(|| format!("metadata `{key}` is missing"))
}

fn expect(what: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what} is {found}, expected {expected}"))
    }
}

/// Texts of a pack are shown on terminals, where nothing in them may steer one, and are in every event.
fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT_BYTES {
        let length = text.len();
        return Err(format!(
            "{what} has a text of {length} bytes, at most {MAX_TEXT_BYTES}"
        ));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("{what} has the control character {c:?}")),
        None => Ok(()),
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
    let mut keys = HashSet::new();
    for class in &classes {
        if class.key.is_empty() {
            return Err("a class without a key".to_owned());
        }
        if !keys.insert(class.key.as_str()) {
            return Err(format!("class `{}` is there twice", class.key));
        }
        check_text("a class key", &class.key)?;
        let what = format!("class `{}`", class.key);
        for text in [&class.label_en, &class.label_local] {
            check_text(&what, text)?;
        }
        check_text(&what, class.national_code.as_deref().unwrap_or_default())?;
        if class.value.is_some_and(|v| !v.is_finite()) {
            return Err(format!("{what} has a value that is no number"));
        }
    }
    Ok(classes)
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

fn rules(json: &str) -> Result<serde_json::Value, String> {
    if json.len() > MAX_RULES_BYTES {
        let length = json.len();
        return Err(format!(
            "rules: {length} bytes, at most {MAX_RULES_BYTES} are read"
        ));
    }
    serde_json::from_str(json).map_err(|e| format!("rules: {e}"))
}

fn prototypes(
    tensors: &SafeTensors<'_>,
    (name, index): (&str, &str),
    dim: Option<usize>,
    classes: usize,
) -> Result<Option<Prototypes>, String> {
    let Ok(view) = tensors.tensor(name) else {
        return Ok(None);
    };
    let rows = rows(name, &view, dim)?;
    let view = tensors.tensor(index);
    let view = view.map_err(|_| format!("tensor `{index}` is missing"))?;
    let class_of = class_of(index, &view, rows.nrows(), classes)?;
    Ok(Some(Prototypes { rows, class_of }))
}

fn rows(name: &str, view: &TensorView<'_>, dim: Option<usize>) -> Result<Array2<f32>, String> {
    let (dtype, shape) = (view.dtype(), view.shape());
    let fits = match *shape {
        [count, length] => {
            count > 0 && (1..=MAX_DIM).contains(&length) && dim.is_none_or(|dim| dim == length)
        }
        _ => false,
    };
    if !fits || !matches!(dtype, Dtype::F32 | Dtype::F16) {
        let length = dim.map_or(format!("1..={MAX_DIM}"), |dim| dim.to_string());
        return Err(format!(
            "tensor `{name}` is {dtype:?} {shape:?}, expected F32 or F16 [1.., {length}]"
        ));
    }
    let data = view.data();
    let values: Vec<f32> = if dtype == Dtype::F32 {
        let (values, _) = data.as_chunks();
        values.iter().map(|b| f32::from_le_bytes(*b)).collect()
    } else {
        let (values, _) = data.as_chunks();
        (values.iter().map(|b| f16::from_le_bytes(*b).to_f32())).collect()
    };
    let rows = Array2::from_shape_vec((shape[0], shape[1]), values).map_err(|e| e.to_string())?;
    for (i, row) in rows.outer_iter().enumerate() {
        let length = row.dot(&row).sqrt();
        let off = (length - 1.0).abs();
        if off.is_nan() || off > UNIT_TOLERANCE {
            return Err(format!(
                "tensor `{name}` row {i} has length {length}, expected 1"
            ));
        }
    }
    Ok(rows)
}

fn class_of(
    name: &str,
    view: &TensorView<'_>,
    rows: usize,
    classes: usize,
) -> Result<Vec<u16>, String> {
    if view.dtype() != Dtype::I32 || view.shape() != [rows] {
        let (dtype, shape) = (view.dtype(), view.shape());
        return Err(format!(
            "tensor `{name}` is {dtype:?} {shape:?}, expected I32 [{rows}]"
        ));
    }
    let (indices, _) = view.data().as_chunks();
    let class = |bytes: &[u8; 4]| {
        let class = i32::from_le_bytes(*bytes);
        let index = u16::try_from(class).ok();
        index
            .filter(|index| usize::from(*index) < classes)
            .ok_or_else(|| format!("tensor `{name}` names class {class} of {classes}"))
    };
    indices.iter().map(class).collect()
}
