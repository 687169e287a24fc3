//! ONNX models: the shared library that runs them, the card that describes them, the session.

pub mod card;
pub mod engine;
pub mod gpu;
pub mod provider;
pub mod runtime;
pub mod session;
pub mod text;
mod wordpiece;

pub use card::{Card, CardError};
pub use engine::{EngineError, EngineStore, Precision};
pub use provider::{Provider, Providers, Unprepared};
pub use runtime::{OnnxRuntime, RuntimeError};
pub use session::{Model, ModelError};
pub use text::TextModel;
