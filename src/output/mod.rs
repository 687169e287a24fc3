//! Where events go. One file an output, all behind [`Output`].

use crate::event::Event;

/// Takes events in order. An error means that this output is down; it never stops the recognition.
pub trait Output: Send {
    /// A short name for messages, e.g. `jsonl drive.jsonl`.
    fn name(&self) -> &str;

    /// Takes one event.
    fn emit(&mut self, event: &Event) -> std::io::Result<()>;

    /// Makes everything durable; called once, last.
    fn finish(&mut self) -> std::io::Result<()>;
}
