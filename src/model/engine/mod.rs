//! TensorRT engines, built ahead of time by `tsedge models prepare` and kept in folders of their own.
//!
//! A folder `NAME-KEY` holds `engine.toml` with the key in the clear, the files that ONNX Runtime wrote, and
//! TensorRT's timing cache. An engine is used when its key is that of the model and the machine and its files
//! are as they were written; anything else is told with what differs. Nothing here builds without being asked.

mod files;
mod key;
mod store;

use std::path::PathBuf;

pub use files::{Manifest, Snapshot};
pub use key::{EngineKey, Precision};
pub use store::{EngineStore, FOLDER};

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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::card::{Card, Kind};
    use super::super::gpu::Gpu;
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
        let other_model = format!("model {}, now 000000000000", &key.model_sha256[..12]);
        type Change = dyn Fn(&mut EngineKey);
        let cases: [(&str, &Change); 6] = [
            ("TensorRT 10.3.0, now 10.7.0", &|k| {
                k.tensorrt = "10.7.0".into()
            }),
            ("GPU Orin, now Thor", &|k| k.gpu = "Thor".into()),
            ("compute capability 8.7, now 11.0", &|k| {
                k.compute_capability = "11.0".into();
            }),
            (&other_model, &|k| {
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
        std::fs::write(tables.path().join("edge-56-deep.flatbuffers"), "table").unwrap();
        store.precision = Precision::Int8;
        store.calibration = Some(tables.path().to_owned());
        let encoder = card(Kind::Encoder);
        let key = store.key(&encoder, (48, 48), &orin(), "1.32.0").unwrap();
        let found = options(&key, &store, &encoder).join(" ");
        assert!(found.contains("trt_int8_enable=1 trt_int8_calibration_table_name="));
        assert!(!found.contains("profile"), "the encoder's size is its own");
    }
}
