//! JSON lines: one object a line, `event` first, as `docs/schema/events.schema.json` describes it.
//!
//! The bytes depend on the events alone: the same events give the same file on every machine.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::hold::Hold;
use super::{Output, named, record};
use crate::event::Event;
use crate::units::Timestamp;

/// Lines are handed to the writer in pieces of about this size.
const FLUSH_AT_BYTES: usize = 32 * 1024;

/// Writes events as JSON lines.
pub struct JsonLines<W: Write + Send> {
    name: String,
    hold: Hold<W>,
    /// Events refused because the writer failed for too long.
    lost: u64,
    /// A second handle on a regular file, to force it to the disk.
    file: Option<File>,
}

impl JsonLines<Box<dyn Write + Send>> {
    /// Creates or replaces the file at `path`; `-` is standard output.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::new(
                "jsonl standard output",
                Box::new(io::stdout()) as Box<dyn Write + Send>,
            ));
        }
        let name = format!("jsonl {}", path.display());
        let file = File::create(path).map_err(|e| named(&name, &e))?;
        // A pipe or a device cannot be forced to a disk.
        let regular = file.metadata().is_ok_and(|m| m.is_file());
        let handle = if regular {
            Some(file.try_clone().map_err(|e| named(&name, &e))?)
        } else {
            None
        };
        let mut lines = Self::new(name, Box::new(file) as Box<dyn Write + Send>);
        lines.file = handle;
        Ok(lines)
    }
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `writer`; `name` is used in messages.
    pub fn new(name: impl Into<String>, writer: W) -> Self {
        Self {
            name: name.into(),
            hold: Hold::new(writer, FLUSH_AT_BYTES + 4096),
            lost: 0,
            file: None,
        }
    }

    /// The writer, with all that it took.
    pub fn into_writer(self) -> W {
        self.hold.writer
    }

    fn hand_over(&mut self) -> io::Result<()> {
        self.hold.hand_over().map_err(|e| named(&self.name, &e))
    }
}

impl<W: Write + Send> Output for JsonLines<W> {
    fn name(&self) -> &str {
        &self.name
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        if let Err(e) = self.hold.make_room() {
            self.lost += 1;
            return Err(named(&self.name, &e));
        }
        let pending = &mut self.hold.pending;
        let before = pending.len();
        if let Err(e) = record::write(event, pending) {
            pending.truncate(before);
            return Err(named(&self.name, &e.into()));
        }
        pending.push(b'\n');
        let urgent = matches!(event, Event::SignConfirmed(_));
        if urgent || pending.len() >= FLUSH_AT_BYTES {
            self.hand_over()?;
        }
        Ok(())
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }

    fn tick(&mut self, _now: Timestamp) -> io::Result<()> {
        self.hand_over()
    }

    fn lost(&self) -> u64 {
        self.lost
    }

    fn finish(&mut self) -> io::Result<()> {
        self.hand_over()?;
        match &self.file {
            Some(file) => file.sync_all().map_err(|e| named(&self.name, &e)),
            None => Ok(()),
        }
    }
}
