//! TensorRT engines, built ahead of time by `tsedge models prepare` and kept in folders of their own.
//!
//! A folder `NAME-KEY` holds `engine.toml` with the key in the clear, the files that ONNX Runtime wrote, and
//! TensorRT's timing cache. An engine is used when its key is that of the model and the machine and its files
//! are as they were written; anything else is told with what differs. Nothing here builds without being asked.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::card::{Card, file_sha256, hex};
use super::gpu::Gpu;

/// The only format this build reads.
const FORMAT: &str = "tsedge-engine/1";
const MANIFEST: &str = "engine.toml";
/// Of TensorRT: how long kernels take on this GPU. Not part of the engine, so it may change.
const TIMING_CACHE_ENDING: &str = "timing";
/// Pictures a run: the models take one.
const BATCH: u32 = 1;
/// Where engines are kept unless the configuration says otherwise.
pub const FOLDER: &str = "/var/cache/tsedge/engines";

/// How exactly an engine calculates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    Fp32,
    /// 16 bits where TensorRT finds it faster.
    #[default]
    Fp16,
    /// 8 bits by a calibration table, else as FP16.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "FP32",
            Self::Fp16 => "FP16",
            Self::Int8 => "INT8",
        })
    }
}

/// All that an engine depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineKey {
    /// The model's name.
    pub model: String,
    /// Of the ONNX file.
    pub model_sha256: String,
    /// Name, and pictures, channels, height and width of the input.
    pub input: String,
    /// The same numbers, which the engine is fixed to.
    pub shape: [u32; 4],
    /// Whether the model leaves height and width free.
    pub free_size: bool,
    /// How exactly it calculates.
    pub precision: Precision,
    /// Of the calibration table, for INT8.
    pub calibration_sha256: Option<String>,
    /// TensorRT's version.
    pub tensorrt: String,
    /// The GPU's name.
    pub gpu: String,
    /// The GPU's compute capability.
    pub compute_capability: String,
    /// ONNX Runtime's version: it cuts the graph into what TensorRT gets.
    pub onnxruntime: String,
}

impl EngineKey {
    /// The folder's name: legible, and as unique as the key.
    pub fn folder_name(&self) -> String {
        let text = toml::to_string(self).unwrap_or_default();
        let digest = hex(&Sha256::digest(text.as_bytes()));
        format!("{}-{}", self.model, &digest[..16])
    }

    /// What is not the same in `other`, in words, with `other`'s value first.
    fn differences(&self, other: &Self) -> Vec<String> {
        let short = |sum: &str| sum.get(..12).unwrap_or(sum).to_owned();
        let table = |key: &Self| {
            key.calibration_sha256
                .as_deref()
                .map_or("none".to_owned(), short)
        };
        let rows = [
            (
                "model",
                short(&other.model_sha256),
                short(&self.model_sha256),
            ),
            (
                "precision",
                other.precision.to_string(),
                self.precision.to_string(),
            ),
            ("calibration", table(other), table(self)),
            ("TensorRT", other.tensorrt.clone(), self.tensorrt.clone()),
            ("GPU", other.gpu.clone(), self.gpu.clone()),
            (
                "compute capability",
                other.compute_capability.clone(),
                self.compute_capability.clone(),
            ),
            (
                "ONNX Runtime",
                other.onnxruntime.clone(),
                self.onnxruntime.clone(),
            ),
        ];
        (rows.into_iter())
            .filter(|(_, then, now)| then != now)
            .map(|(what, then, now)| format!("{what} {then}, now {now}"))
            .collect()
    }

    /// The options of ONNX Runtime's provider, by its names.
    pub fn options(
        &self,
        folder: &Path,
        calibration: Option<&Path>,
    ) -> Vec<(&'static str, String)> {
        let on = |flag: bool| if flag { "1" } else { "0" }.to_owned();
        let path = folder.display().to_string();
        let mut options = vec![
            ("trt_engine_cache_enable", on(true)),
            ("trt_engine_cache_path", path.clone()),
            ("trt_engine_cache_prefix", self.model.clone()),
            ("trt_timing_cache_enable", on(true)),
            ("trt_timing_cache_path", path),
            ("trt_fp16_enable", on(self.precision != Precision::Fp32)),
            ("trt_int8_enable", on(self.precision == Precision::Int8)),
        ];
        if let (Precision::Int8, Some(table)) = (self.precision, calibration) {
            options.push((
                "trt_int8_calibration_table_name",
                table.display().to_string(),
            ));
        }
        if self.free_size {
            let [pictures, channels, height, width] = self.shape;
            let shape = format!("{}:{pictures}x{channels}x{height}x{width}", self.input);
            // One size: the smallest, best and largest are the same.
            for name in [
                "trt_profile_min_shapes",
                "trt_profile_opt_shapes",
                "trt_profile_max_shapes",
            ] {
                options.push((name, shape.clone()));
            }
        }
        options
    }
}

impl fmt::Display for EngineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, _, height, width] = self.shape;
        write!(f, "{} {width}x{height} {}", self.model, self.precision)
    }
}

/// `engine.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    /// Seconds that the build took.
    pub build_s: f64,
    /// What it was built for.
    pub key: EngineKey,
    files: Vec<EngineFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineFile {
    name: String,
    bytes: u64,
    sha256: String,
}

/// Why no engine can be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// None was prepared.
    #[error("{key}: no engine was prepared in {}; {REMEDY}", folder.display())]
    Missing {
        /// What was wanted.
        key: Box<EngineKey>,
        /// Where engines are kept.
        folder: PathBuf,
    },
    /// One was prepared for something else.
    #[error("{key}: the engine in {} was prepared for {}; {REMEDY}", folder.display(), differences.join(", "))]
    Stale {
        /// What was wanted.
        key: Box<EngineKey>,
        /// The engine's folder.
        folder: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// Its files are not those that were written.
    #[error("{}: {what}; {REMEDY}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// ONNX Runtime did not take it and built another, which took its time.
    #[error("{}: ONNX Runtime did not take the prepared engine and built another ({what}); {REMEDY}", folder.display())]
    Rebuilt {
        /// The engine's folder.
        folder: PathBuf,
        /// The file that is new.
        what: String,
    },
    /// A folder or file cannot be written or read.
    #[error("{}: {source}; run as root, or choose another folder by [runtime.tensorrt] engines", path.display())]
    Io {
        /// The place.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// INT8 without its table.
    #[error(
        "[runtime.tensorrt] precision = \"int8\" needs int8_calibration, a table for each model"
    )]
    NoCalibration,
}

const REMEDY: &str = "prepare it with `tsedge models prepare`, with this unit's --config";

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

fn is_timing_cache(name: &str) -> bool {
    name.ends_with(TIMING_CACHE_ENDING)
}

/// Names of the files in a folder but the manifest, in order.
fn files_of(folder: &Path) -> std::io::Result<Vec<String>> {
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

fn read_manifest(folder: &Path) -> Result<Manifest, EngineError> {
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

fn check(folder: &Path, file: &EngineFile) -> Result<(), EngineError> {
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

fn sum(path: &Path) -> Result<String, EngineError> {
    file_sha256(path).map_err(|source| EngineError::Io {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::super::card::Kind;
    use super::*;

    fn orin() -> Gpu {
        Gpu {
            name: "Orin".to_owned(),
            compute_capability: "8.7".to_owned(),
            tensorrt: "10.3.0".to_owned(),
        }
    }

    fn card(kind: Kind) -> Card {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let name = match kind {
            Kind::Detector => "detector.toml",
            Kind::Encoder => "encoder.toml",
        };
        Card::read(&models.join(name), kind).unwrap()
    }

    fn detector_key(store: &EngineStore, gpu: &Gpu) -> EngineKey {
        (store.key(&card(Kind::Detector), (672, 1280), gpu, "1.32.0")).unwrap()
    }

    fn store() -> (tempfile::TempDir, EngineStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = EngineStore {
            folder: folder.path().join("engines"),
            ..EngineStore::default()
        };
        (folder, store)
    }

    fn prepare(store: &EngineStore, key: &EngineKey, seconds: u64) -> PathBuf {
        let part = store.begin(key).unwrap();
        std::fs::write(part.join("sign_1_sm87.engine"), "an engine").unwrap();
        std::fs::write(part.join("sign_1_sm87.profile"), "its profile").unwrap();
        std::fs::write(part.join("cache_sm87.timing"), "timing").unwrap();
        store.finish(key, Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn what_was_prepared_is_found_and_nothing_else_is() {
        let (_folder, store) = store();
        let key = detector_key(&store, &orin());
        let error = store.ready(&key).unwrap_err();
        assert!(matches!(error, EngineError::Missing { .. }));
        assert!(error.to_string().contains("`tsedge models prepare`"));
        let folder = prepare(&store, &key, 90);
        assert_eq!(store.ready(&key).unwrap(), folder);
        let mut wide = key.clone();
        wide.shape[3] = 1920;
        let error = store.ready(&wide).unwrap_err();
        assert!(matches!(error, EngineError::Missing { .. }), "{error}");
    }

    #[test]
    fn any_change_of_machine_model_or_precision_makes_it_stale_and_is_named() {
        let (_folder, mut store) = store();
        let key = detector_key(&store, &orin());
        prepare(&store, &key, 90);
        type Change = dyn Fn(&mut EngineKey);
        let cases: [(&str, &Change); 6] = [
            ("TensorRT 10.3.0, now 10.7.0", &|k| {
                k.tensorrt = "10.7.0".into()
            }),
            ("GPU Orin, now Thor", &|k| k.gpu = "Thor".into()),
            ("compute capability 8.7, now 11.0", &|k| {
                k.compute_capability = "11.0".into();
            }),
            ("model 219c3bf73eba, now 000000000000", &|k| {
                k.model_sha256 = "0".repeat(64);
            }),
            ("ONNX Runtime 1.32.0, now 1.33.0", &|k| {
                k.onnxruntime = "1.33.0".into()
            }),
            ("precision FP16, now FP32", &|k| {
                k.precision = Precision::Fp32
            }),
        ];
        for (words, change) in cases {
            let mut other = key.clone();
            change(&mut other);
            assert_ne!(other.folder_name(), key.folder_name());
            let error = store.ready(&other).unwrap_err();
            assert!(matches!(error, EngineError::Stale { .. }), "{error}");
            assert!(error.to_string().contains(words), "{words}: {error}");
        }
        store.precision = Precision::Int8;
        let error = store.key(&card(Kind::Detector), (672, 1280), &orin(), "1.32.0");
        assert!(matches!(error, Err(EngineError::NoCalibration)));
    }

    #[test]
    fn a_damaged_engine_is_refused_and_one_that_runtime_built_anew_is_noticed() {
        let (_folder, store) = store();
        let key = detector_key(&store, &orin());
        let folder = prepare(&store, &key, 90);
        let before = Snapshot::of(&folder);
        std::fs::write(folder.join("cache_sm87.timing"), "longer timing").unwrap();
        before.unchanged(&folder).unwrap();
        store.ready(&key).unwrap();
        let engine = folder.join("sign_1_sm87.engine");
        std::fs::write(&engine, "an engima").unwrap();
        let error = store.ready(&key).unwrap_err().to_string();
        assert!(error.contains("is not what was written"), "{error}");
        std::fs::write(&engine, "cut").unwrap();
        let error = store.ready(&key).unwrap_err().to_string();
        assert!(error.contains("has 3 bytes, was written with 9"), "{error}");
        std::fs::write(folder.join("sign_2_sm87.engine"), "another").unwrap();
        let error = before.unchanged(&folder).unwrap_err();
        assert!(matches!(error, EngineError::Rebuilt { .. }), "{error}");
    }

    #[test]
    fn an_interrupted_build_leaves_nothing_that_is_used() {
        let (_folder, store) = store();
        let key = detector_key(&store, &orin());
        let part = store.begin(&key).unwrap();
        std::fs::write(part.join("half.engine.tmp"), "half").unwrap();
        assert!(store.list().is_empty());
        let error = store.finish(&key, Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("wrote no engine"), "{error}");
        assert!(matches!(
            store.ready(&key),
            Err(EngineError::Missing { .. })
        ));
        prepare(&store, &key, 1);
        store.ready(&key).unwrap();
    }

    #[test]
    fn the_estimate_comes_from_earlier_builds_and_their_timing_cache_is_taken_along() {
        let (_folder, store) = store();
        let key = detector_key(&store, &orin());
        assert_eq!(store.estimate(&key), None);
        prepare(&store, &key, 90);
        assert_eq!(store.estimate(&key), Some(Duration::from_secs(90)));
        let encoder = store.key(&card(Kind::Encoder), (48, 48), &orin(), "1.32.0");
        let encoder = encoder.unwrap();
        assert_eq!(store.estimate(&encoder), Some(Duration::from_secs(90)));
        let part = store.begin(&encoder).unwrap();
        assert!(part.join("cache_sm87.timing").is_file());
        let other = Gpu {
            name: "Thor".to_owned(),
            ..orin()
        };
        assert_eq!(store.estimate(&detector_key(&store, &other)), None);
    }

    #[test]
    fn the_options_keep_caches_in_the_folder_and_fix_the_shape() {
        let (_folder, mut store) = store();
        let options = |key: &EngineKey, store: &EngineStore, card: &Card| {
            let table = store.calibration_table(card);
            let options = key.options(Path::new("/e"), table.as_deref());
            options
                .into_iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
        };
        let detector = card(Kind::Detector);
        let key = detector_key(&store, &orin());
        let found = options(&key, &store, &detector);
        assert_eq!(
            found,
            [
                "trt_engine_cache_enable=1",
                "trt_engine_cache_path=/e",
                "trt_engine_cache_prefix=sign-lite",
                "trt_timing_cache_enable=1",
                "trt_timing_cache_path=/e",
                "trt_fp16_enable=1",
                "trt_int8_enable=0",
                "trt_profile_min_shapes=image:1x3x672x1280",
                "trt_profile_opt_shapes=image:1x3x672x1280",
                "trt_profile_max_shapes=image:1x3x672x1280",
            ]
        );
        let tables = tempfile::tempdir().unwrap();
        std::fs::write(tables.path().join("edge-48.flatbuffers"), "table").unwrap();
        store.precision = Precision::Int8;
        store.calibration = Some(tables.path().to_owned());
        let encoder = card(Kind::Encoder);
        let key = store.key(&encoder, (48, 48), &orin(), "1.32.0").unwrap();
        let found = options(&key, &store, &encoder).join(" ");
        assert!(found.contains("trt_int8_enable=1 trt_int8_calibration_table_name="));
        assert!(!found.contains("profile"), "the encoder's size is its own");
    }
}
