//! One model ready to run: session, provider, and buffers bound once.
//!
//! Takes a picture written into [`Model::input`], gives [`Model::output`]. On the CPU a run allocates
//! nothing on the Rust heap. Threads that run one model share its session. Refuses a model whose graph is not what its card says.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::AsPointer;
use ort::ep::{ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};
use ort::memory::Allocator;
use ort::session::IoBinding;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{Tensor, TensorElementType, ValueType};

use super::card::{Card, CardError, Kind};
use super::engine::{EngineError, EngineKey, Snapshot};
use super::gpu::Gpu;
use super::provider::{Provider, Providers, Unprepared};
use super::runtime::OnnxRuntime;

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The card or the file.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The graph is not what the card says.
    #[error("{model}: {what} is {found}, but its card says {expected}")]
    Shape {
        /// The model's name.
        model: String,
        /// Which part.
        what: String,
        /// In the graph.
        found: String,
        /// In the card.
        expected: String,
    },
    /// No provider of the list could be had.
    #[error("{model}: none of the providers asked for can be had: {tried}")]
    NoProvider {
        /// The model's name.
        model: String,
        /// Each with its reason.
        tried: String,
    },
    /// TensorRT was asked for, and its engine was not prepared.
    #[error("TensorRT: {0}")]
    Engine(#[from] EngineError),
    /// ONNX Runtime failed.
    #[error("{model}: {source}")]
    Runtime {
        /// The model's name.
        model: String,
        /// Its message.
        source: ort::Error,
    },
}

/// A loaded model; see the module.
pub struct Model {
    name: String,
    session: Arc<Session>,
    binding: IoBinding,
    input_name: String,
    input: Tensor<u8>,
    shape: [i64; 4],
    output_shapes: Vec<(String, Vec<i64>)>,
    outputs: Vec<Tensor<f32>>,
    provider: Provider,
    run_time: Duration,
}

impl Model {
    /// Loads the card's model on the first provider of `wanted` that can be had, with `threads` threads.
    ///
    /// `height_px` and `width_px` fix a free input size; `outputs` are names and shapes, in order.
    pub fn load(
        runtime: &OnnxRuntime,
        card: &Card,
        wanted: &Providers,
        threads: usize,
        (height_px, width_px): (usize, usize),
        outputs: &[(String, Vec<i64>)],
    ) -> Result<Self, ModelError> {
        let name = card.spec.name.clone();
        let bytes = card.model_bytes()?;
        let size = (height_px as i64, width_px as i64);
        let to_open = ToOpen {
            runtime,
            card,
            bytes: &bytes,
            threads,
            size,
        };
        let (session, provider) = to_open.first_of(wanted)?;
        let shape = [1, 3, size.0, size.1];
        check_graph(&name, &session, &card.spec.input.name, &shape, outputs)?;
        Self::bind(
            name,
            Arc::new(session),
            card.spec.input.name.clone(),
            shape,
            outputs.to_vec(),
            provider,
        )
    }

    /// The same model with buffers of its own, for another thread: the session is shared, and with it
    /// its weights and the memory that runs one after another need.
    pub fn twin(&self) -> Result<Self, ModelError> {
        Self::bind(
            self.name.clone(),
            Arc::clone(&self.session),
            self.input_name.clone(),
            self.shape,
            self.output_shapes.clone(),
            self.provider,
        )
    }

    fn bind(
        name: String,
        session: Arc<Session>,
        input_name: String,
        shape: [i64; 4],
        output_shapes: Vec<(String, Vec<i64>)>,
        provider: Provider,
    ) -> Result<Self, ModelError> {
        let failed = |source| ModelError::Runtime {
            model: name.clone(),
            source,
        };
        let allocator = Allocator::default();
        let mut binding = session.create_binding().map_err(failed)?;
        let input = Tensor::<u8>::new(&allocator, shape).map_err(failed)?;
        binding.bind_input(&input_name, &input).map_err(failed)?;
        let mut outputs = Vec::with_capacity(output_shapes.len());
        for (output, shape) in &output_shapes {
            let mut tensor = Tensor::<f32>::new(&allocator, shape.clone()).map_err(failed)?;
            binding.bind_output(output, &mut tensor).map_err(failed)?;
            outputs.push(tensor);
        }
        let mut model = Self {
            name,
            session,
            binding,
            input_name,
            input,
            shape,
            output_shapes,
            outputs,
            provider,
            run_time: Duration::ZERO,
        };
        model.input().fill(0);
        // The first run sizes the arenas; it also proves that the outputs have the promised shapes.
        model.run()?;
        model.take_run_time();
        Ok(model)
    }

    /// The model's name, from its card.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The provider that was got.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Time spent in [`Model::run`] since the last call.
    pub fn take_run_time(&mut self) -> Duration {
        std::mem::take(&mut self.run_time)
    }

    /// The planar RGB picture to fill before [`Model::run`].
    pub fn input(&mut self) -> &mut [u8] {
        self.input.extract_tensor_mut().1
    }

    /// Output `i` of the last run.
    pub fn output(&self, i: usize) -> &[f32] {
        self.outputs[i].extract_tensor().1
    }

    /// Runs the model on what [`Model::input`] holds.
    #[allow(unsafe_code)]
    #[allow(clippy::disallowed_methods)] // measured for the summary, nothing is decided by it
    pub fn run(&mut self) -> Result<(), ModelError> {
        if self.provider != Provider::Cpu {
            // A device input is a copy made when it is bound.
            self.binding
                .bind_input(&self.input_name, &self.input)
                .map_err(|source| self.failed(source))?;
        }
        let start = Instant::now();
        let options: *const ort::sys::OrtRunOptions = std::ptr::null();
        // SAFETY: session and binding are alive and belong together; the binding is used by this thread
        // alone (`&mut self`), and ONNX Runtime lets threads run one session at the same time; null
        // options mean the defaults; input and outputs are owned by `self` and outlive the call. ort's own `run_binding` would allocate its result map on every call.
        let status = unsafe {
            let run = ort::api().RunWithBinding;
            ort::Error::result_from_status(run(
                self.session.ptr().cast_mut(),
                options,
                self.binding.ptr(),
            ))
        };
        self.run_time += start.elapsed();
        status.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: ort::Error) -> ModelError {
        ModelError::Runtime {
            model: self.name.clone(),
            source,
        }
    }
}

/// A model about to be opened.
struct ToOpen<'a> {
    runtime: &'a OnnxRuntime,
    card: &'a Card,
    bytes: &'a [u8],
    threads: usize,
    size: (i64, i64),
}

impl ToOpen<'_> {
    /// Opens a session on the first provider that can be had, and says which were refused and why.
    fn first_of(&self, wanted: &Providers) -> Result<(Session, Provider), ModelError> {
        let model = &self.card.spec.name;
        let mut tried = Vec::new();
        for provider in &wanted.order {
            let session = match provider {
                Provider::TensorRt => match self.on_prepared_engine(wanted)? {
                    Ok(session) => Ok(session),
                    Err(why) => Err(why),
                },
                Provider::Cuda => {
                    let cuda = ort::ep::CUDA::default().build().error_on_failure();
                    self.on(&[cuda]).map_err(|e| e.to_string())
                }
                Provider::Cpu => self.on(&[]).map_err(|e| e.to_string()),
            };
            match session {
                Ok(session) => {
                    if !tried.is_empty() {
                        log::warn!("{model}: runs on {provider}; refused: {}", tried.join("; "));
                    }
                    return Ok((session, *provider));
                }
                Err(why) => tried.push(format!("{provider}: {why}")),
            }
        }
        Err(ModelError::NoProvider {
            model: model.clone(),
            tried: tried.join("; "),
        })
    }

    /// On TensorRT with an engine that was prepared: one is never built here. The inner error is why another
    /// provider is tried.
    fn on_prepared_engine(
        &self,
        wanted: &Providers,
    ) -> Result<Result<Session, String>, ModelError> {
        let gpu = match Gpu::find() {
            Ok(gpu) => gpu,
            Err(e) => return Ok(Err(e.to_string())),
        };
        let store = &wanted.engines;
        let size = (self.size.0 as usize, self.size.1 as usize);
        let ready = (store.key(self.card, size, &gpu, self.runtime.version()))
            .and_then(|key| Ok((store.ready(&key)?, key)));
        let (folder, key) = match ready {
            Ok(ready) => ready,
            Err(e) if wanted.unprepared == Unprepared::FallBack => return Ok(Err(e.to_string())),
            Err(e) => return Err(e.into()),
        };
        let before = Snapshot::of(&folder);
        let table = store.calibration_table(self.card);
        let session = self.on(&tensorrt(&key, &folder, table.as_deref()));
        if session.is_ok() {
            before.unchanged(&folder)?;
        }
        Ok(session.map_err(|e| e.to_string()))
    }

    fn on(&self, providers: &[ExecutionProviderDispatch]) -> ort::Result<Session> {
        let mut builder = builder(self.runtime, self.threads, self.size)?;
        if self.card.spec.kind == Kind::Encoder {
            builder = exact(builder)?;
        }
        if !providers.is_empty() {
            builder = builder.with_execution_providers(providers)?;
        }
        builder.commit_from_memory(self.bytes)
    }
}

/// Builds the engine of a model at an input size and lets ONNX Runtime write it to `folder`: takes minutes.
pub fn build_engine(
    runtime: &OnnxRuntime,
    card: &Card,
    key: &EngineKey,
    folder: &Path,
    calibration: Option<&Path>,
) -> Result<(), ModelError> {
    let bytes = card.model_bytes()?;
    let [_, _, height, width] = key.shape.map(i64::from);
    let to_open = ToOpen {
        runtime,
        card,
        bytes: &bytes,
        threads: 1,
        size: (height, width),
    };
    let session = to_open.on(&tensorrt(key, folder, calibration));
    session.map(drop).map_err(|source| ModelError::Runtime {
        model: card.spec.name.clone(),
        source,
    })
}

/// TensorRT, and CUDA for what it leaves.
fn tensorrt(
    key: &EngineKey,
    folder: &Path,
    calibration: Option<&Path>,
) -> [ExecutionProviderDispatch; 2] {
    let options = key.options(folder, calibration);
    let tensorrt = (options.into_iter()).fold(ort::ep::TensorRT::default(), |ep, (name, value)| {
        ep.with_arbitrary_config(name, value)
    });
    [
        tensorrt.build().error_on_failure(),
        ort::ep::CUDA::default().build().error_on_failure(),
    ]
}

/// x86 without VNNI adds pairs of byte products in 16 bits, which saturate: cosines of the encoder's embeddings fell
/// to .99 on average and .74 at worst (QEMU's Haswell). There, and only there, this takes the slower way that is
/// exact. Not for the detector: ONNX Runtime refuses it where strips share their weights, and those cannot saturate
/// (`training/detector/weight_range.py`).
pub(super) fn exact(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    #[cfg(target_arch = "x86_64")]
    if !(is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni")) {
        return Ok(builder.with_config_entry("session.x64quantprecision", "1")?);
    }
    Ok(builder)
}

fn builder(
    runtime: &OnnxRuntime,
    threads: usize,
    (height, width): (i64, i64),
) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(runtime.environment())?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_intra_op_spinning(false)?
        // A pattern is one more block beside those that the first run left behind.
        .with_memory_pattern(false)?
        .with_dimension_override("height", height)?
        .with_dimension_override("width", width)?;
    Ok(match runtime.workers() {
        Some(workers) => builder.with_thread_manager(workers.clone())?,
        None => builder,
    })
}

fn check_graph(
    model: &str,
    session: &Session,
    input: &str,
    shape: &[i64],
    outputs: &[(String, Vec<i64>)],
) -> Result<(), ModelError> {
    let describe =
        |name: &str, ty: TensorElementType, shape: &[i64]| format!("{name} {ty} {shape:?}");
    let graph = |outlets: &[ort::value::Outlet]| -> Vec<String> {
        outlets
            .iter()
            .map(|o| match o.dtype() {
                ValueType::Tensor { ty, shape, .. } => describe(o.name(), *ty, shape),
                other => format!("{} {other:?}", o.name()),
            })
            .collect()
    };
    let differs = |what: &str, found: String, expected: String| ModelError::Shape {
        model: model.to_owned(),
        what: what.to_owned(),
        found,
        expected,
    };
    let (found, expected) = (
        graph(session.inputs()),
        vec![describe(input, TensorElementType::Uint8, shape)],
    );
    if found != expected {
        return Err(differs("input", found.join(", "), expected.join(", ")));
    }
    // Free sizes may stay symbolic (-1) in the declared outputs; the warm-up run settles those.
    let found: Vec<&str> = session.outputs().iter().map(|o| o.name()).collect();
    let expected: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    if found != expected {
        return Err(differs("outputs", found.join(", "), expected.join(", ")));
    }
    for (outlet, (name, want)) in session.outputs().iter().zip(outputs) {
        let ok = match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => {
                *ty == TensorElementType::Float32
                    && shape.len() == want.len()
                    && shape.iter().zip(want).all(|(s, w)| *s == -1 || s == w)
            }
            _ => false,
        };
        if !ok {
            let expected = describe(name, TensorElementType::Float32, want);
            return Err(differs(
                "output",
                graph(std::slice::from_ref(outlet)).join(""),
                expected,
            ));
        }
    }
    Ok(())
}
