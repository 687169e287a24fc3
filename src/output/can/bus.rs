//! The socket: opened, lost, opened again.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use socketcan::{CanFdFrame, CanFdSocket, CanFrame, CanSocket, EmbeddedFrame, Socket};

use super::state::{Message, MessageIds, VehicleState};
use crate::event::Event;
use crate::output::{Output, Progress};
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
    state: VehicleState,
    progress: Arc<Progress>,
    now: Timestamp,
    /// Messages the bus did not take.
    lost: u64,
    /// Why the bus takes nothing, until it does again.
    fault: Option<(ErrorKind, String)>,
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
            state: VehicleState::new(ids)?,
            progress,
            now: Timestamp::ZERO,
            lost: 0,
            fault: None,
        })
    }

    /// Messages the bus did not take so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Sends what is due; an error as long as the bus takes nothing.
    fn send_due(&mut self) -> io::Result<()> {
        let due = self.state.due(self.now, &self.progress);
        let sent = self.try_send(&due).map_or_else(
            |(sent, e)| {
                self.fault = Some((e.kind(), e.to_string()));
                sent
            },
            |()| due.len(),
        );
        self.lost += (due.len() - sent) as u64;
        self.told_fault()
    }

    /// On failure: how many messages went out, and what then happened.
    fn try_send(&mut self, due: &[Message]) -> Result<(), (usize, io::Error)> {
        if due.is_empty() {
            return Ok(());
        }
        let bus = match self.bus.take() {
            Some(bus) => bus,
            None => Bus::open(&self.interface, self.fd).map_err(|e| (0, e))?,
        };
        let bus = self.bus.insert(bus);
        for (sent, message) in due.iter().enumerate() {
            if let Err(e) = bus.send(message) {
                // A full queue (bus-off, no other node) is worth another try with the same socket; an
                // interface that is down or gone is not.
                if !matches!(e.raw_os_error(), Some(ENOBUFS | EAGAIN)) {
                    self.bus = None;
                }
                return Err((sent, e));
            }
        }
        self.fault = None;
        Ok(())
    }

    fn told_fault(&self) -> io::Result<()> {
        match &self.fault {
            None => Ok(()),
            Some((kind, text)) => Err(io::Error::new(*kind, format!("{}: {text}", self.name))),
        }
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
            return self.told_fault();
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
