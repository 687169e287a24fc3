//! An engine's folder: its manifest, and whether its files are as they were written.

use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::super::card::file_sha256;
use super::{EngineError, EngineKey};

/// The only format this build reads.
pub(super) const FORMAT: &str = "tsedge-engine/1";
pub(super) const MANIFEST: &str = "engine.toml";
/// Of TensorRT: how long kernels take on this GPU. Not part of the engine, so it may change.
const TIMING_CACHE_ENDING: &str = "timing";

/// `engine.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(super) format: String,
    /// Seconds that the build took.
    pub build_s: f64,
    /// What it was built for.
    pub key: EngineKey,
    pub(super) files: Vec<EngineFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineFile {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// What lies in an engine's folder, to see whether ONNX Runtime added to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(Vec<(String, u64, Option<SystemTime>)>);

impl Snapshot {
    /// Of a folder now.
    pub fn of(folder: &Path) -> Self {
        let names = files_of(folder).unwrap_or_default();
        let names = names.into_iter().filter(|name| !is_timing_cache(name));
        let look = |name: String| {
            let data = std::fs::metadata(folder.join(&name)).ok();
            let bytes = data.as_ref().map_or(0, std::fs::Metadata::len);
            (name, bytes, data.and_then(|d| d.modified().ok()))
        };
        Self(names.map(look).collect())
    }

    /// An error where a file is new or has changed.
    pub fn unchanged(&self, folder: &Path) -> Result<(), EngineError> {
        let now = Self::of(folder);
        match now.0.into_iter().find(|file| !self.0.contains(file)) {
            None => Ok(()),
            Some((what, ..)) => Err(EngineError::Rebuilt {
                folder: folder.to_owned(),
                what,
            }),
        }
    }
}

pub(super) fn is_timing_cache(name: &str) -> bool {
    name.ends_with(TIMING_CACHE_ENDING)
}

/// Names of the files in a folder but the manifest, in order.
pub(super) fn files_of(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.retain(|name| name != MANIFEST);
    names.sort_unstable();
    Ok(names)
}

pub(super) fn read_manifest(folder: &Path) -> Result<Manifest, EngineError> {
    let path = folder.join(MANIFEST);
    let damaged = |what: String| EngineError::Damaged {
        path: path.clone(),
        what,
    };
    let text = std::fs::read_to_string(&path).map_err(|e| damaged(e.to_string()))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|e| damaged(e.message().to_owned()))?;
    if manifest.format != FORMAT {
        return Err(damaged(format!(
            "format is {}, expected {FORMAT}",
            manifest.format
        )));
    }
    Ok(manifest)
}

pub(super) fn check(folder: &Path, file: &EngineFile) -> Result<(), EngineError> {
    // A name out of the folder would be another file's.
    let path = folder.join(Path::new(&file.name).file_name().unwrap_or_default());
    let damaged = |what: String| EngineError::Damaged {
        path: path.clone(),
        what,
    };
    let bytes = std::fs::metadata(&path)
        .map_err(|e| damaged(e.to_string()))?
        .len();
    if bytes != file.bytes {
        return Err(damaged(format!(
            "has {bytes} bytes, was written with {}",
            file.bytes
        )));
    }
    if sum(&path)? != file.sha256 {
        return Err(damaged("is not what was written".to_owned()));
    }
    Ok(())
}

pub(super) fn sum(path: &Path) -> Result<String, EngineError> {
    file_sha256(path).map_err(|source| EngineError::Io {
        path: path.to_owned(),
        source,
    })
}
