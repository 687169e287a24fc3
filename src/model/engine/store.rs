//! The folder of all engines: finding those that fit, and taking in those that were built.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::card::Card;
use super::super::gpu::Gpu;
use super::files::{
    EngineFile, FORMAT, MANIFEST, Manifest, check, files_of, is_timing_cache, read_manifest, sum,
};
use super::{EngineError, EngineKey, Precision};

/// Pictures a run: the models take one.
const BATCH: u32 = 1;
/// Where engines are kept unless the configuration says otherwise.
pub const FOLDER: &str = "/var/cache/tsedge/engines";

/// The folder of engines, and how they are to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStore {
    /// One folder an engine in it.
    pub folder: PathBuf,
    /// How exactly engines calculate.
    pub precision: Precision,
    /// Folder of calibration tables, `NAME.flatbuffers` for the model of that name; for INT8.
    pub calibration: Option<PathBuf>,
}

impl Default for EngineStore {
    fn default() -> Self {
        Self {
            folder: FOLDER.into(),
            precision: Precision::default(),
            calibration: None,
        }
    }
}

impl EngineStore {
    /// The key of a model at a size on this machine.
    pub fn key(
        &self,
        card: &Card,
        (height_px, width_px): (usize, usize),
        gpu: &Gpu,
        onnxruntime: &str,
    ) -> Result<EngineKey, EngineError> {
        let calibration_sha256 = match self.calibration_table(card) {
            Some(table) => Some(sum(&table)?),
            None if self.precision == Precision::Int8 => return Err(EngineError::NoCalibration),
            None => None,
        };
        Ok(EngineKey {
            model: card.spec.name.clone(),
            model_sha256: card.spec.sha256.clone(),
            input: card.spec.input.name.clone(),
            shape: [BATCH, 3, height_px as u32, width_px as u32],
            free_size: card.spec.input.shape[2..].contains(&0),
            precision: self.precision,
            calibration_sha256,
            tensorrt: gpu.tensorrt.clone(),
            gpu: gpu.name.clone(),
            compute_capability: gpu.compute_capability.clone(),
            onnxruntime: onnxruntime.to_owned(),
        })
    }

    /// The model's table, where engines are of 8 bits.
    pub fn calibration_table(&self, card: &Card) -> Option<PathBuf> {
        let folder = self.calibration.as_ref()?;
        let name = format!("{}.flatbuffers", card.spec.name);
        (self.precision == Precision::Int8).then(|| folder.join(name))
    }

    /// The folder of an engine that can be used as it is.
    pub fn ready(&self, key: &EngineKey) -> Result<PathBuf, EngineError> {
        let folder = self.folder.join(key.folder_name());
        if !folder.join(MANIFEST).is_file() {
            return Err(self.missing(key));
        }
        let manifest = read_manifest(&folder)?;
        if manifest.key != *key {
            return Err(EngineError::Stale {
                key: Box::new(key.clone()),
                differences: key.differences(&manifest.key),
                folder,
            });
        }
        for file in &manifest.files {
            check(&folder, file)?;
        }
        Ok(folder)
    }

    /// Nothing at all, or what was prepared for another machine or model of that name and size.
    fn missing(&self, key: &EngineKey) -> EngineError {
        let near = (self.list().into_iter())
            .filter(|(_, m)| m.key.model == key.model && m.key.shape == key.shape)
            .min_by_key(|(_, m)| key.differences(&m.key).len());
        match near {
            Some((folder, manifest)) => EngineError::Stale {
                key: Box::new(key.clone()),
                differences: key.differences(&manifest.key),
                folder,
            },
            None => EngineError::Missing {
                key: Box::new(key.clone()),
                folder: self.folder.clone(),
            },
        }
    }

    /// All engines whose manifest can be read, by the names of their folders.
    pub fn list(&self) -> Vec<(PathBuf, Manifest)> {
        let folders = std::fs::read_dir(&self.folder).into_iter().flatten();
        let mut found: Vec<_> = (folders.flatten())
            .filter_map(|entry| {
                let folder = entry.path();
                // One that is being built has no manifest yet.
                read_manifest(&folder)
                    .ok()
                    .map(|manifest| (folder, manifest))
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// How long a build is likely to take, from earlier ones on such a GPU: of this model, else of any.
    pub fn estimate(&self, key: &EngineKey) -> Option<Duration> {
        let (mut own, mut any) = (0.0_f64, 0.0_f64);
        for (_, manifest) in self.list() {
            if manifest.key.gpu == key.gpu {
                any = any.max(manifest.build_s);
                if manifest.key.model == key.model {
                    own = own.max(manifest.build_s);
                }
            }
        }
        let seconds = if own > 0.0 { own } else { any };
        (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// Makes an empty folder to build in; the timing cache of a former engine of the model is taken along.
    pub fn begin(&self, key: &EngineKey) -> Result<PathBuf, EngineError> {
        let folder = self.folder.join(format!("{}.part", key.folder_name()));
        let io = |source| EngineError::Io {
            path: folder.clone(),
            source,
        };
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(io)?;
        }
        std::fs::create_dir_all(&folder).map_err(io)?;
        for (from, manifest) in self.list() {
            if manifest.key.gpu != key.gpu || manifest.key.tensorrt != key.tensorrt {
                continue;
            }
            for file in files_of(&from)
                .map_err(io)?
                .iter()
                .filter(|f| is_timing_cache(f))
            {
                // Without it the build takes longer.
                let _ = std::fs::copy(from.join(file), folder.join(file));
            }
        }
        Ok(folder)
    }

    /// Writes the manifest and puts the folder in its place; a former one of the same key goes.
    pub fn finish(&self, key: &EngineKey, build: Duration) -> Result<PathBuf, EngineError> {
        let name = key.folder_name();
        let (part, folder) = (
            self.folder.join(format!("{name}.part")),
            self.folder.join(name),
        );
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| EngineError::Io { path, source }
        };
        let names = files_of(&part).map_err(io(&part))?;
        let mut files = Vec::new();
        for name in names.into_iter().filter(|name| !is_timing_cache(name)) {
            let path = part.join(&name);
            files.push(EngineFile {
                bytes: std::fs::metadata(&path).map_err(io(&path))?.len(),
                sha256: sum(&path)?,
                name,
            });
        }
        if !files.iter().any(|f| f.name.ends_with(".engine")) {
            return Err(EngineError::Damaged {
                path: part,
                what: "ONNX Runtime wrote no engine there".to_owned(),
            });
        }
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            build_s: build.as_secs_f64(),
            key: key.clone(),
            files,
        };
        let text = toml::to_string(&manifest).unwrap_or_default();
        std::fs::write(part.join(MANIFEST), text).map_err(io(&part))?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(io(&folder))?;
        }
        std::fs::rename(&part, &folder).map_err(io(&folder))?;
        Ok(folder)
    }
}
