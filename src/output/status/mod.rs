//! What the unit does now, for people and monitors: a page, `/status.json` and Prometheus `/metrics`, on a
//! loopback address only.
//!
//! Requests are answered from this output's own thread, a few times a second; a monitor that asks too
//! often waits, the recognition never does.

mod page;
mod snapshot;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tiny_http::{Header, Request, Response, Server};

pub use page::screen;
pub use snapshot::Snapshot;

use super::{Output, Progress};
use crate::event::Event;
use crate::units::Timestamp;

/// Requests answered a tick.
const REQUESTS_A_TICK: usize = 4;

/// Answers for the unit; see the module.
pub struct StatusOutput {
    name: String,
    server: Server,
    snapshot: Snapshot,
    progress: Arc<Progress>,
    rate: Rate,
}

/// Frames a second over the last seconds.
#[derive(Debug, Default)]
struct Rate {
    since: Option<(Timestamp, u64)>,
    per_s: f64,
}

impl Rate {
    fn update(&mut self, now: Timestamp, frames: u64) -> f64 {
        let (from, before) = *self.since.get_or_insert((now, frames));
        let span_s = now.seconds_since(from);
        if span_s >= 2.0 {
            self.per_s = frames.saturating_sub(before) as f64 / span_s;
            self.since = Some((now, frames));
        }
        self.per_s
    }
}

impl StatusOutput {
    /// Listens at `address`, which must be a loopback address: the page shows where the vehicle is.
    pub fn listen(address: SocketAddr, progress: Arc<Progress>) -> io::Result<Self> {
        let name = format!("status http://{address}");
        if !address.ip().is_loopback() {
            let text = format!("{name}: not a loopback address, such as 127.0.0.1:9464");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let server = Server::http(address).map_err(|e| io::Error::other(format!("{name}: {e}")))?;
        Ok(Self {
            name,
            server,
            snapshot: Snapshot::default(),
            progress,
            rate: Rate::default(),
        })
    }

    /// Where it really listens, when port 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.server_addr().to_ip()
    }

    fn answer(&self, request: Request) -> io::Result<()> {
        let (kind, text) = match request.url() {
            "/" => ("text/html; charset=utf-8", page::html(&self.snapshot)),
            "/status.json" => (
                "application/json",
                serde_json::to_string_pretty(&self.snapshot)?,
            ),
            "/metrics" => ("text/plain; version=0.0.4", page::metrics(&self.snapshot)),
            _ => {
                let nothing = Response::from_string("there are /, /status.json and /metrics\n");
                return request.respond(nothing.with_status_code(404));
            }
        };
        let mut response = Response::from_string(text);
        if let Ok(header) = Header::from_bytes("Content-Type", kind) {
            response.add_header(header);
        }
        request.respond(response)
    }
}

impl Output for StatusOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        self.snapshot.take(event);
        Ok(())
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(50))
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        let frames_per_s = self.rate.update(now, self.progress.frames());
        self.snapshot.progress(now, &self.progress, frames_per_s);
        for _ in 0..REQUESTS_A_TICK {
            let Some(request) = self.server.try_recv()? else {
                break;
            };
            // Whoever asked may have left; that is no fault of this output.
            let _ = self.answer(request);
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
