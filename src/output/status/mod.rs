//! What the unit does now, for people and monitors: a page, `/status.json` and Prometheus `/metrics`, on a
//! loopback address only. With a token, where one is set, `/preview.jpg` shows what a camera sees.
//!
//! Requests are answered from this output's own thread, a few times a second; a monitor that asks too
//! often waits, the recognition never does.

mod page;
mod preview;
mod snapshot;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tiny_http::{Header, Request, Response, Server};

pub use page::screen;
pub use preview::Preview;
pub use snapshot::Snapshot;

use super::{Output, Progress};
use crate::event::Event;
use crate::units::Timestamp;

/// Requests answered a tick.
const REQUESTS_A_TICK: usize = 4;

/// A camera that brings no frame for so long has no picture to show.
const PREVIEW_PATIENCE_S: f64 = 1.0;

/// Answers for the unit; see the module.
pub struct StatusOutput {
    name: String,
    server: Server,
    snapshot: Snapshot,
    progress: Arc<Progress>,
    rate: Rate,
    preview: Option<Arc<Preview>>,
    /// Who waits for a picture, since when.
    waiting: Option<(Request, Timestamp)>,
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
            preview: None,
            waiting: None,
        })
    }

    /// Also answers with pictures.
    pub fn with_preview(self, preview: Arc<Preview>) -> Self {
        Self {
            preview: Some(preview),
            ..self
        }
    }

    /// Where it really listens, when port 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.server_addr().to_ip()
    }

    fn answer(&mut self, request: Request, now: Timestamp) -> io::Result<()> {
        let (kind, text) = match request.url() {
            "/" => ("text/html; charset=utf-8", page::html(&self.snapshot)),
            "/status.json" => (
                "application/json",
                serde_json::to_string_pretty(&self.snapshot)?,
            ),
            "/metrics" => ("text/plain; version=0.0.4", page::metrics(&self.snapshot)),
            url if url.starts_with("/preview.jpg") => return self.look(request, now),
            _ => return refuse(request, 404, "there are /, /status.json and /metrics"),
        };
        respond(request, kind, text.into_bytes())
    }

    /// The picture comes with the next frame.
    fn look(&mut self, request: Request, now: Timestamp) -> io::Result<()> {
        let Some(preview) = &self.preview else {
            let text = "no preview: [status] has no preview_token_file";
            return refuse(request, 404, text);
        };
        let asked = url::Url::parse("http://unit/").and_then(|unit| unit.join(request.url()));
        let asked = asked.map_err(io::Error::other)?;
        let value = |key| asked.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v);
        if !preview.allows(value("token").as_deref()) {
            return refuse(
                request,
                403,
                "preview.jpg?token=... : that is not the token",
            );
        }
        if !preview.want(value("camera").as_deref()) {
            return refuse(request, 404, "there is no camera of that name");
        }
        match self.waiting.replace((request, now)) {
            Some((other, _)) => refuse(other, 503, "another visitor was first"),
            None => Ok(()),
        }
    }

    fn answer_waiting(&mut self, now: Timestamp) -> io::Result<()> {
        let Some((request, since)) = self.waiting.take() else {
            return Ok(());
        };
        if let Some(sight) = self.preview.as_ref().and_then(|preview| preview.take()) {
            let jpeg = sight.jpeg().map_err(io::Error::other)?;
            return respond(request, "image/jpeg", jpeg);
        }
        if now.seconds_since(since) > PREVIEW_PATIENCE_S {
            return refuse(request, 503, "the camera brings no frames");
        }
        self.waiting = Some((request, since));
        Ok(())
    }
}

fn respond(request: Request, kind: &str, body: Vec<u8>) -> io::Result<()> {
    let mut response = Response::from_data(body);
    // A browser that shows the picture asks for the next one.
    let refresh = (kind == "image/jpeg").then_some(("Refresh", "1"));
    for (key, value) in [("Content-Type", kind), ("Cache-Control", "no-store")]
        .into_iter()
        .chain(refresh)
    {
        if let Ok(header) = Header::from_bytes(key, value) {
            response.add_header(header);
        }
    }
    request.respond(response)
}

fn refuse(request: Request, code: u16, text: &str) -> io::Result<()> {
    request.respond(Response::from_string(format!("{text}\n")).with_status_code(code))
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
        // Whoever asked may have left; that is no fault of this output.
        let _ = self.answer_waiting(now);
        for _ in 0..REQUESTS_A_TICK {
            let Some(request) = self.server.try_recv()? else {
                break;
            };
            let _ = self.answer(request, now);
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
