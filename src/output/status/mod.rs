//! What the unit does now, for people and monitors: a page, `/status.json` and Prometheus `/metrics`, on a
//! loopback address only. With a token, where one is set, `/preview.jpg` shows what a camera sees.
//!
//! Requests are answered from this output's own thread, a few times a second; a monitor that asks too
//! often waits, the recognition never does.

mod page;
mod preview;
mod snapshot;
mod visitors;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use page::screen;
pub use preview::Preview;
pub use snapshot::Snapshot;

use self::visitors::{Answer, Question, Visitors};
use super::{Output, Progress, named};
use crate::event::Event;
use crate::units::Timestamp;

const UNAVAILABLE: &str = "503 Service Unavailable";

/// A camera that brings no frame for so long has no picture to show.
const PREVIEW_PATIENCE_S: f64 = 1.0;

/// Answers for the unit; see the module.
pub struct StatusOutput {
    name: String,
    visitors: Visitors,
    snapshot: Snapshot,
    progress: Arc<Progress>,
    rate: Rate,
    preview: Option<Arc<Preview>>,
    /// Who waits for a picture, since when.
    waiting: Option<(u64, Timestamp)>,
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
        let visitors = Visitors::listen(address).map_err(|e| named(&name, &e))?;
        Ok(Self {
            name,
            visitors,
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
        self.visitors.address()
    }

    fn answer(&mut self, question: &Question, now: Timestamp) -> io::Result<()> {
        let (kind, text) = match &*question.path {
            "/" => ("text/html; charset=utf-8", page::html(&self.snapshot)),
            "/status.json" => (
                "application/json",
                serde_json::to_string_pretty(&self.snapshot)?,
            ),
            "/metrics" => ("text/plain; version=0.0.4", page::metrics(&self.snapshot)),
            path if path.starts_with("/preview.jpg") => {
                if let Err((status, text)) = self.look(question, now) {
                    self.refuse(question.visitor, status, text);
                }
                return Ok(());
            }
            _ => {
                let text = "there are /, /status.json and /metrics";
                self.refuse(question.visitor, "404 Not Found", text);
                return Ok(());
            }
        };
        self.tell(question.visitor, "200 OK", kind, text.as_bytes());
        Ok(())
    }

    /// The picture comes with the next frame, or there is none.
    fn look(
        &mut self,
        question: &Question,
        now: Timestamp,
    ) -> Result<(), (&'static str, &'static str)> {
        let Some(preview) = &self.preview else {
            let text = "no preview: [status] has no preview_token_file";
            return Err(("404 Not Found", text));
        };
        let asked = url::Url::parse("http://unit/").and_then(|unit| unit.join(&question.path));
        let asked = asked.map_err(|_| ("400 Bad Request", "that is no address"))?;
        let value = |key| asked.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v);
        if !preview.allows(value("token").as_deref()) {
            let text = "preview.jpg?token=... : that is not the token";
            return Err(("403 Forbidden", text));
        }
        if !preview.want(value("camera").as_deref()) {
            return Err(("404 Not Found", "there is no camera of that name"));
        }
        if let Some((other, _)) = self.waiting.replace((question.visitor, now)) {
            self.refuse(other, UNAVAILABLE, "another visitor was first");
        }
        Ok(())
    }

    fn answer_waiting(&mut self, now: Timestamp) -> io::Result<()> {
        let Some((visitor, since)) = self.waiting else {
            return Ok(());
        };
        if let Some(sight) = self.preview.as_ref().and_then(|preview| preview.take()) {
            self.waiting = None;
            let jpeg = sight.jpeg().map_err(io::Error::other)?;
            self.tell(visitor, "200 OK", "image/jpeg", &jpeg);
        } else if now.seconds_since(since) > PREVIEW_PATIENCE_S {
            self.waiting = None;
            self.refuse(visitor, UNAVAILABLE, "the camera brings no frames");
        }
        Ok(())
    }

    fn tell(&mut self, visitor: u64, status: &str, kind: &str, body: &[u8]) {
        let answer = Answer { status, kind, body };
        self.visitors.answer(visitor, &answer);
    }

    fn refuse(&mut self, visitor: u64, status: &str, text: &str) {
        self.tell(
            visitor,
            status,
            "text/plain",
            format!("{text}\n").as_bytes(),
        );
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
        self.answer_waiting(now)?;
        let questions = self.visitors.look(now).map_err(|e| named(&self.name, &e))?;
        for question in &questions {
            self.answer(question, now)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
