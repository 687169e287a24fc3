//! Where events go. One file an output, all behind [`Output`].

pub mod jsonl;
pub mod table;

use crate::event::Event;

/// Takes events in order. An error means that this output is down; it never stops the recognition.
///
/// After an error the next [`Output::emit`] tries again: an output recovers by itself when its
/// file or terminal does, and never writes half an event.
pub trait Output: Send {
    /// A short name for messages, e.g. `jsonl drive.jsonl`.
    fn name(&self) -> &str;

    /// Takes one event.
    fn emit(&mut self, event: &Event) -> std::io::Result<()>;

    /// Makes everything durable; called once, last.
    fn finish(&mut self) -> std::io::Result<()>;
}
