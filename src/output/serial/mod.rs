//! A serial line, as RS-232, USB or a pseudo-terminal: sentences in the manner of NMEA 0183.
//!
//! The line may be blocked by flow control or unplugged. Writes wait for at most `WRITE_TIMEOUT`; what a
//! blocked line did not take is dropped, whole sentences only, and a lost device is opened again with a
//! growing pause. The state is told anew every second, so a receiver that comes late knows it soon.

mod sentence;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serial2::SerialPort;

pub use sentence::{MAX_LEN, parse};

use super::{Output, Progress};
use crate::event::{Event, SpeedAdvice};
use crate::health::{HealthState, Reasons};
use crate::retry::Retry;
use crate::units::{RegionCode, Timestamp};

/// How long a blocked line may hold up this output's thread.
const WRITE_TIMEOUT: Duration = Duration::from_millis(50);
/// From one telling of the state to the next.
const STATE_EVERY_S: f64 = 1.0;

/// Who may stop the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowControl {
    /// Nobody.
    #[default]
    None,
    /// RTS and CTS.
    RtsCts,
    /// XON and XOFF.
    XonXoff,
}

/// Tells a serial line; see the module.
pub struct SerialOutput {
    name: String,
    device: PathBuf,
    baud: u32,
    flow: FlowControl,
    port: Option<SerialPort>,
    /// The end of a sentence that the line took only in part; it goes first.
    rest: heapless::String<MAX_LEN>,
    retry: Retry,
    progress: Arc<Progress>,
    now: Timestamp,
    told: Option<Timestamp>,
    health: (HealthState, Reasons),
    region: RegionCode,
    limit: Option<SpeedAdvice>,
    /// Signs that the line did not take; states are told anew.
    lost: u64,
}

impl SerialOutput {
    /// On `device`, which need not be there yet.
    pub fn new(device: &Path, baud: u32, flow: FlowControl, progress: Arc<Progress>) -> Self {
        Self {
            name: format!("serial {}", device.display()),
            device: device.to_owned(),
            baud,
            flow,
            port: None,
            rest: heapless::String::new(),
            retry: Retry::new(Duration::from_millis(100), Duration::from_millis(500)),
            progress,
            now: Timestamp::ZERO,
            told: None,
            health: (HealthState::Init, Reasons::NONE),
            region: RegionCode::WORLD,
            limit: None,
            lost: 0,
        }
    }

    fn open(&self) -> io::Result<SerialPort> {
        let flow = match self.flow {
            FlowControl::None => serial2::FlowControl::None,
            FlowControl::RtsCts => serial2::FlowControl::RtsCts,
            FlowControl::XonXoff => serial2::FlowControl::XonXoff,
        };
        let mut port = SerialPort::open(&self.device, |mut settings: serial2::Settings| {
            settings.set_raw();
            settings.set_baud_rate(self.baud)?;
            settings.set_flow_control(flow);
            Ok(settings)
        })?;
        port.set_write_timeout(WRITE_TIMEOUT)?;
        Ok(port)
    }

    /// Opens the device if it is due; an error while there is none.
    fn ready(&mut self) -> io::Result<()> {
        if self.port.is_some() {
            return Ok(());
        }
        if !self.retry.is_due(self.now) {
            return Err(self.named(&ErrorKind::NotConnected.into()));
        }
        match self.open() {
            Ok(port) => {
                self.port = Some(port);
                self.rest.clear();
                self.retry.succeeded();
                // Whoever listens now knows nothing yet.
                self.told = None;
                Ok(())
            }
            Err(e) => {
                self.retry.failed(self.now);
                Err(self.named(&e))
            }
        }
    }

    fn send(&mut self, sentence: &str) -> io::Result<()> {
        self.ready()?;
        let rest = std::mem::take(&mut self.rest);
        for (text, begun) in [(rest.as_str(), true), (sentence, false)] {
            let mut left = text;
            while !left.is_empty() {
                let Some(port) = &self.port else {
                    return Ok(());
                };
                match port.write(left.as_bytes()) {
                    Ok(n) => left = left.get(n..).unwrap_or_default(),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => {
                        if !matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
                            self.port = None;
                            self.retry.failed(self.now);
                        } else if begun || left.len() < text.len() {
                            // A sentence that was begun must end before the next.
                            let _ = self.rest.push_str(left);
                        }
                        return Err(self.named(&e));
                    }
                }
            }
        }
        Ok(())
    }

    fn send_status(&mut self) -> io::Result<()> {
        let age = self.progress.last_frame().map(|captured| {
            let age_ms = self.now.seconds_since(captured).max(0.0) * 1e3;
            age_ms.min(1e6) as u32
        });
        let sentence = sentence::status(self.health, self.region, age);
        self.send(&sentence)
    }

    fn send_limit(&mut self) -> io::Result<()> {
        let sentence = sentence::limit(self.limit.as_ref());
        self.send(&sentence)
    }

    fn send_sign(&mut self, sentence: Option<sentence::Sentence>) -> io::Result<()> {
        let sent = sentence.map_or(Ok(()), |sentence| self.send(&sentence));
        if sent.is_err() {
            self.lost += 1;
        }
        sent
    }

    fn named(&self, e: &io::Error) -> io::Error {
        io::Error::new(e.kind(), format!("{}: {e}", self.name))
    }
}

impl Output for SerialOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::SignConfirmed(sign) => self.send_sign(sentence::sign('C', sign)),
            Event::SignLost(sign) => self.send_sign(sentence::sign('L', sign)),
            Event::SpeedLimit(advice) => {
                self.limit = Some(advice.clone());
                self.send_limit()
            }
            Event::Region(region) => {
                self.region = region.to;
                self.send_status()
            }
            Event::Health(health) => {
                self.health = (health.state, health.reasons);
                self.send_status()
            }
            Event::SignSeen(_) | Event::Summary(_) => Ok(()),
        }
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        self.now = now;
        self.ready()?;
        let due = self
            .told
            .is_none_or(|told| now.seconds_since(told) >= STATE_EVERY_S);
        if !due {
            return Ok(());
        }
        self.told = Some(now);
        self.send_status()?;
        self.send_limit()
    }

    fn lost(&self) -> u64 {
        self.lost
    }

    fn finish(&mut self) -> io::Result<()> {
        self.send_status()
    }
}
