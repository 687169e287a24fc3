//! Bytes for a writer that may fail: what it has not taken is kept, so that no record is ever cut.

use std::io::{self, ErrorKind, Write};

/// While the writer fails, this much is held back for it; later events are refused.
const HOLD_BYTES: usize = 1024 * 1024;

/// See the module.
pub struct Hold<W: Write> {
    pub writer: W,
    /// Whole records; the first may be partly taken.
    pub pending: Vec<u8>,
}

impl<W: Write> Hold<W> {
    pub fn new(writer: W, capacity: usize) -> Self {
        Self {
            writer,
            pending: Vec::with_capacity(capacity),
        }
    }

    /// Makes room for one more record, or says why there is none.
    pub fn make_room(&mut self) -> io::Result<()> {
        if self.pending.len() < HOLD_BYTES {
            return Ok(());
        }
        let outcome = self.hand_over();
        if self.pending.len() < HOLD_BYTES {
            return Ok(());
        }
        outcome
    }

    /// Until the writer has taken all, or fails.
    pub fn hand_over(&mut self) -> io::Result<()> {
        let mut taken = 0;
        let outcome = loop {
            if taken == self.pending.len() {
                break self.writer.flush();
            }
            match self.writer.write(&self.pending[taken..]) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(n) => taken += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        self.pending.drain(..taken);
        outcome
    }
}
