//! Where events go. One file an output, all behind [`Output`].

pub mod can;
mod hold;
pub mod jsonl;
pub mod mcap;
pub mod mqtt;
mod progress;
mod record;
mod rotate;
pub mod serial;
pub mod status;
pub mod table;

use std::time::Duration;

pub use progress::Progress;
pub use rotate::RotatingFile;

use crate::event::Event;
use crate::units::Timestamp;

/// Takes events in order. An error means that this output is down; it never stops the recognition.
///
/// After an error the next [`Output::emit`] tries again: an output recovers by itself when its
/// file or terminal does, and never writes half an event.
pub trait Output: Send {
    /// A short name for messages, e.g. `jsonl drive.jsonl`.
    fn name(&self) -> &str;

    /// Takes one event.
    fn emit(&mut self, event: &Event) -> std::io::Result<()>;

    /// How often [`Output::tick`] should be called in live operation; `None`: not at all.
    fn tick_every(&self) -> Option<Duration> {
        None
    }

    /// Time goes on, events or not: what is due at `now` (monotonic) is sent.
    fn tick(&mut self, _now: Timestamp) -> std::io::Result<()> {
        Ok(())
    }

    /// Events that were taken and then given up, because the other side was away for too long.
    fn lost(&self) -> u64 {
        0
    }

    /// Makes everything durable; called once, last.
    fn finish(&mut self) -> std::io::Result<()>;
}

/// An error with the output's name before it.
fn named(name: &str, error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{name}: {error}"))
}
