//! [`Pack`] to bytes. The same pack gives the same bytes, so the header is written here: the crate's own
//! writer puts metadata in the order of a hash map.

use std::collections::BTreeMap;

use half::f16;
use safetensors::tensor::Dtype;

use super::{FORMAT, Pack, Part, Prototypes, digest};

/// How rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum RowType {
    /// Four bytes a number.
    #[default]
    F32,
    /// Two bytes a number: cosines change by about 0.0002.
    F16,
}

impl Pack {
    /// The file. An error is a value JSON cannot hold.
    pub fn to_bytes(&self, rows: RowType) -> Result<Vec<u8>, String> {
        let json = |e: serde_json::Error| e.to_string();
        let mut metadata: BTreeMap<String, String> = self.notes.clone();
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        put("format", FORMAT.to_owned());
        put("region", self.region.to_string());
        put("pack_version", self.version.clone());
        put("encoder_sha256", self.encoder_sha256.clone());
        put(
            "classes",
            serde_json::to_string(&self.classes).map_err(json)?,
        );
        put(
            "calibration",
            serde_json::to_string(&self.calibration).map_err(json)?,
        );
        if let Some(rules) = &self.rules {
            put("rules", serde_json::to_string(rules).map_err(json)?);
        }

        let mut tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, index, part) in [
            ("text", "class_of", &self.text),
            ("image", "image_class_of", &self.image),
        ] {
            if name == "text" || !part.class_of.is_empty() {
                let (dtype, data) = row_bytes(part, rows);
                let (count, dim) = part.rows.dim();
                tensors.push((name, dtype, vec![count, dim], data));
                let class_of = part.class_of.iter().map(|c| i32::from(*c).to_le_bytes());
                let data = class_of.flatten().collect();
                tensors.push((index, Dtype::I32, vec![count], data));
            }
        }
        let dtypes: Vec<String> = tensors.iter().map(|t| t.1.to_string()).collect();
        let parts = (tensors.iter().zip(&dtypes)).map(|((name, _, shape, data), dtype)| Part {
            name,
            dtype,
            shape,
            data,
        });
        let pairs = metadata.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let digest = digest(pairs, parts);
        metadata.insert("digest".to_owned(), digest);
        // Wider numbers first, so that each lies at a multiple of its size.
        tensors.sort_by_key(|(name, dtype, ..)| (std::cmp::Reverse(dtype.bitsize()), *name));
        let mut header = serde_json::Map::new();
        header.insert("__metadata__".to_owned(), serde_json::json!(metadata));
        let mut end = 0;
        for (name, dtype, shape, data) in &tensors {
            let start = end;
            end += data.len();
            let place = serde_json::json!({
                "dtype": dtype.to_string(), "shape": shape, "data_offsets": [start, end]
            });
            header.insert((*name).to_owned(), place);
        }
        let mut header = serde_json::to_vec(&header).map_err(json)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut bytes = Vec::with_capacity(8 + header.len() + end);
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header);
        for (.., data) in &tensors {
            bytes.extend(data);
        }
        Ok(bytes)
    }
}

fn row_bytes(part: &Prototypes, rows: RowType) -> (Dtype, Vec<u8>) {
    let values = part.rows.iter();
    match rows {
        RowType::F32 => (Dtype::F32, values.flat_map(|v| v.to_le_bytes()).collect()),
        RowType::F16 => {
            let values = values.flat_map(|v| f16::from_f32(*v).to_le_bytes());
            (Dtype::F16, values.collect())
        }
    }
}
