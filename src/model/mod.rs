//! ONNX models: the shared library that runs them, the card that describes them, the session.

pub mod card;
pub mod runtime;
pub mod session;
pub mod text;
mod wordpiece;

pub use card::{Card, CardError};
pub use runtime::{OnnxRuntime, RuntimeError};
pub use session::{Model, ModelError, Provider};
pub use text::TextModel;
