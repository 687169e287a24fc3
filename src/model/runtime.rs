//! Finds and loads the ONNX Runtime shared library, once a process: later calls share the first one's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// File name of the library, as wheels and development packages have it.
const LIBRARY: &str = "libonnxruntime.so";
/// As packages of systems have it.
const VERSIONED: &str = "libonnxruntime.so.1";

/// ONNX Runtime allows one environment a process.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// The loaded library.
#[derive(Clone)]
pub struct OnnxRuntime {
    environment: ort::environment::Environment,
    path: PathBuf,
    version: String,
    workers: Option<Workers>,
}

/// What a model's threads do first.
type Start = Arc<dyn Fn() + Send + Sync>;

/// Starts the threads of a model: named, and with something to do first.
#[derive(Clone)]
pub(super) struct Workers(Start);

impl ort::environment::ThreadManager for Workers {
    type Thread = JoinHandle<()>;

    fn create(&self, work: impl FnOnce() + Send + 'static) -> ort::Result<JoinHandle<()>> {
        let start = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name("ts-model".to_owned())
            .spawn(move || {
                start();
                work();
            })
            .map_err(ort::Error::wrap)
    }

    fn join(thread: JoinHandle<()>) -> ort::Result<()> {
        thread.join().map_err(|_| ort::Error::new("a thread died"))
    }
}

/// Why no library could be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// None was found.
    #[error(
        "ONNX Runtime not found. Looked at: {}. Run `make setup`, or point ORT_DYLIB_PATH at {LIBRARY}",
        looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NotFound {
        /// Every place tried.
        looked: Vec<PathBuf>,
    },
    /// The one found cannot be used.
    #[error(
        "{}: {reason}. Run `make setup`, or point ORT_DYLIB_PATH at ONNX Runtime 1.24 or newer",
        path.display()
    )]
    Unusable {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
}

impl OnnxRuntime {
    /// Loads the library from `ORT_DYLIB_PATH`, else `configured`, else the usual folders.
    ///
    /// A place that was asked for by name is the only one tried: a wrong path never falls back silently.
    pub fn load(configured: Option<&Path>) -> Result<Self, RuntimeError> {
        let asked = std::env::var_os("ORT_DYLIB_PATH")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
            .or_else(|| configured.map(Path::to_owned));
        let looked = asked.map_or_else(usual_places, |path| vec![path]);
        let Some(path) = looked.iter().find(|p| p.is_file()) else {
            return Err(RuntimeError::NotFound { looked });
        };
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        let unusable = |reason: String| RuntimeError::Unusable {
            path: path.clone(),
            reason,
        };
        let absolute = path.canonicalize().map_err(|e| unusable(e.to_string()))?;
        let environment = ort::init_from(&absolute)
            .map_err(|e| unusable(e.to_string()))?
            .with_telemetry(false)
            .build()
            .map_err(|e| unusable(e.to_string()))?;
        let runtime = Self {
            environment,
            version: version(&absolute).unwrap_or_else(|| "of unknown version".to_owned()),
            path: absolute,
            workers: None,
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The same for models whose threads begin with `start`.
    pub fn with_workers(mut self, start: impl Fn() + Send + Sync + 'static) -> Self {
        self.workers = Some(Workers(Arc::new(start)));
        self
    }

    pub(super) fn workers(&self) -> Option<&Workers> {
        self.workers.as_ref()
    }

    /// Where the library was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version, e.g. `1.32.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn environment(&self) -> &ort::environment::Environment {
        &self.environment
    }
}

/// What the library says of itself; `ort` checks it, and keeps it to itself.
#[allow(unsafe_code)]
fn version(path: &Path) -> Option<String> {
    // SAFETY: `ort` has loaded the same library, so that this only counts one more user of it; the function and
    // its result are ONNX Runtime's stable interface: a static table, and a static text.
    unsafe {
        let library = libloading::Library::new(path).ok()?;
        let get: libloading::Symbol<'_, unsafe extern "C" fn() -> *const ort::sys::OrtApiBase> =
            library.get(b"OrtGetApiBase\0").ok()?;
        let text = ((*get()).GetVersionString)();
        let text = std::ffi::CStr::from_ptr(text);
        text.to_str().ok().map(str::to_owned)
    }
}

/// A checkout's own copy, beside the program (the package `tsedge-onnxruntime`), then the system's folders.
fn usual_places() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from(".runtime")];
    if let Ok(program) = std::env::current_exe() {
        // target/release/tsedge -> the checkout is two folders up.
        folders.extend(
            program
                .ancestors()
                .skip(1)
                .take(4)
                .map(|a| a.join(".runtime")),
        );
        folders.extend(program.parent().map(|bin| bin.join("../lib/tsedge")));
    }
    folders.extend(
        [
            "/usr/local/lib",
            "/opt/onnxruntime/lib",
            concat!("/usr/lib/", env!("TSEDGE_ARCH"), "-linux-gnu"),
            "/usr/lib",
        ]
        .map(PathBuf::from),
    );
    let names = |folder: PathBuf| [LIBRARY, VERSIONED].map(|name| folder.join(name));
    folders.into_iter().flat_map(names).collect()
}
