//! The socket: opened, lost, opened again.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use socketcan::{CanFdFrame, CanFdSocket, CanFrame, CanSocket, EmbeddedFrame, Socket};

use super::state::{Message, MessageIds, VehicleState};
use crate::event::Event;
use crate::output::{Output, Progress, Retry};
use crate::units::Timestamp;

/// Classic or FD frames; both carry the same eight bytes.
enum Bus {
    Classic(CanSocket),
    Fd(CanFdSocket),
}

impl Bus {
    fn open(interface: &str, fd: bool) -> io::Result<Self> {
        let bus = if fd {
            Self::Fd(CanFdSocket::open(interface)?)
        } else {
            Self::Classic(CanSocket::open(interface)?)
        };
        match &bus {
            Self::Classic(socket) => socket.set_nonblocking(true)?,
            Self::Fd(socket) => socket.set_nonblocking(true)?,
        }
        Ok(bus)
    }

    fn send(&self, message: &Message) -> io::Result<()> {
        let too_long = || io::Error::from(ErrorKind::InvalidInput);
        match self {
            Self::Classic(socket) => {
                let frame = CanFrame::new(message.id, &message.data).ok_or_else(too_long)?;
                socket.write_frame(&frame)
            }
            Self::Fd(socket) => {
                let frame = CanFdFrame::new(message.id, &message.data).ok_or_else(too_long)?;
                socket.write_frame(&frame)
            }
        }
    }
}

/// Tells the vehicle by CAN; see the module.
pub struct CanOutput {
    name: String,
    interface: String,
    fd: bool,
    bus: Option<Bus>,
    retry: Retry,
    state: VehicleState,
    progress: Arc<Progress>,
    now: Timestamp,
    /// Messages the bus did not take.
    lost: u64,
}

impl CanOutput {
    /// On `interface`, e.g. `can0`, which need not be there yet. `None` when the identifiers collide
    /// or do not fit into 11 bits.
    pub fn new(
        interface: &str,
        fd: bool,
        ids: MessageIds,
        progress: Arc<Progress>,
    ) -> Option<Self> {
        Some(Self {
            name: format!("can {interface}"),
            interface: interface.to_owned(),
            fd,
            bus: None,
            retry: Retry::new(Duration::from_millis(50), super::RETRY_MAX),
            state: VehicleState::new(ids)?,
            progress,
            now: Timestamp::ZERO,
            lost: 0,
        })
    }

    /// Messages the bus did not take so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn send_due(&mut self) -> io::Result<()> {
        let due = self.state.due(self.now, &self.progress);
        if self.bus.is_none() {
            if !self.retry.is_due(self.now) {
                self.lost += due.len() as u64;
                return Err(self.named("no such interface, or it is down", ErrorKind::NotConnected));
            }
            match Bus::open(&self.interface, self.fd) {
                Ok(bus) => self.bus = Some(bus),
                Err(e) => {
                    self.retry.failed(self.now);
                    self.lost += due.len() as u64;
                    return Err(self.named(&e.to_string(), e.kind()));
                }
            }
        }
        let Some(bus) = &self.bus else { return Ok(()) };
        for (i, message) in due.iter().enumerate() {
            if let Err(e) = bus.send(message) {
                self.lost += (due.len() - i) as u64;
                // A full queue (bus-off, no other node) is worth another try with the same socket; an
                // interface that is down or gone is not.
                let full = matches!(e.raw_os_error(), Some(ENOBUFS | EAGAIN));
                if !full {
                    self.bus = None;
                    self.retry.failed(self.now);
                }
                return Err(self.named(&e.to_string(), e.kind()));
            }
        }
        self.retry.succeeded();
        Ok(())
    }

    fn named(&self, what: &str, kind: ErrorKind) -> io::Error {
        io::Error::new(kind, format!("{}: {what}", self.name))
    }
}

const EAGAIN: i32 = 11;
const ENOBUFS: i32 = 105;

impl Output for CanOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        self.state.take(event, self.now);
        self.send_due()
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        self.now = now;
        if now < self.state.next_due() {
            return Ok(());
        }
        self.send_due()
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(5))
    }

    /// Tells the last state once more.
    fn finish(&mut self) -> io::Result<()> {
        self.send_due()
    }
}
