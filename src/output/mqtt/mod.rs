//! MQTT 5: every event as JSON under `PREFIX/events/KIND`, and whether the unit is there under
//! `PREFIX/status`.
//!
//! | topic | text | kept by the broker |
//! |---|---|---|
//! | `PREFIX/events/KIND` | the event as one line of JSON, each at least once | no |
//! | `PREFIX/status` | `online`, or `offline` at the end and when the unit is gone without a word | yes |
//! | `PREFIX/lost` | events lost since the start, because the broker was away for too long | yes |
//!
//! A [`Guest`] may use the same connection.
//!
//! Events wait in memory while the broker is away; the connection has a thread of its own (`ts-mqtt`).

mod backlog;
mod guest;
mod link;
mod plan;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

pub use guest::{Guest, MAX_MESSAGE_BYTES, Outbox, Request, Seen};
pub use plan::{Login, MqttPlan, begins_topics, tls};

use self::backlog::Message;
use self::link::{Shared, Visit};
use super::{Output, record};
use crate::event::Event;
use crate::units::Timestamp;

const ONLINE: &str = "online";
const OFFLINE: &str = "offline";
/// A broker that confirms nothing for so long, though events wait for it, counts as down.
const SILENT_S: f64 = 2.0;
/// What a guest has not looked at yet; more is not kept.
const GUEST_QUEUE: usize = 1024;
/// A guest is told the time so often.
const TIME_EVERY_S: f64 = 1.0;
/// For the last events and the last word.
const FINISH_WITHIN: Duration = Duration::from_millis(600);

/// See the module.
pub struct MqttOutput {
    name: String,
    shared: Arc<Shared>,
    ended: Receiver<()>,
    now: Timestamp,
    /// Events confirmed so far, and since when there was no other or none to confirm.
    confirmed: (u64, Timestamp),
    guest: Option<Sender<Seen>>,
    told_time: Option<Timestamp>,
}

impl MqttOutput {
    /// Connects to the broker, which need not be there yet.
    pub fn start(plan: MqttPlan) -> io::Result<Self> {
        Self::start_with(plan, None)
    }

    /// The same, with a guest on the connection.
    pub fn start_with(plan: MqttPlan, guest: Option<Box<dyn Guest>>) -> io::Result<Self> {
        let name = format!("mqtt {}:{}", plan.host, plan.port);
        let shared = Arc::new(Shared::new(plan.queue_bytes));
        let (end, ended) = bounded(1);
        let theirs = Arc::clone(&shared);
        let (visit, guest) = guest.map_or((None, None), |guest| {
            let (sender, seen) = bounded(GUEST_QUEUE);
            (Some(Visit::new(guest, seen)), Some(sender))
        });
        std::thread::Builder::new()
            .name("ts-mqtt".to_owned())
            .spawn(move || {
                if let Err(e) = link::run(&plan, &theirs, visit) {
                    log::error!("mqtt: {e}");
                }
                let _ = end.send(());
            })?;
        Ok(Self {
            name,
            shared,
            ended,
            now: Timestamp::ZERO,
            confirmed: (0, Timestamp::ZERO),
            guest,
            told_time: None,
        })
    }

    fn state(&mut self) -> io::Result<()> {
        if let Some(fault) = self.shared.fault() {
            return Err(self.fault(ErrorKind::NotConnected, &fault));
        }
        let (confirmed, waiting) = {
            let backlog = self.shared.backlog();
            (backlog.confirmed(), backlog.len())
        };
        let (before, since) = self.confirmed;
        let silent_s = self.now.seconds_since(since);
        if confirmed != before || waiting == 0 {
            self.confirmed = (confirmed, self.now);
        } else if silent_s > SILENT_S {
            let words = format!("the broker has confirmed no event for {silent_s:.0} s");
            return Err(self.fault(ErrorKind::TimedOut, &words));
        }
        Ok(())
    }

    fn tell_guest(&self, seen: impl FnOnce() -> Seen) {
        if let Some(guest) = &self.guest {
            // It lost some signs of very many.
            let _ = guest.try_send(seen());
        }
    }

    fn fault(&self, kind: ErrorKind, words: &str) -> io::Error {
        io::Error::new(kind, format!("{}: {words}", self.name))
    }
}

impl Output for MqttOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        let mut json = Vec::with_capacity(512);
        record::write(event, &mut json)?;
        let kind = event.kind();
        self.shared.backlog().push(Message { kind, json });
        if matches!(
            event,
            Event::Region(_) | Event::SignLost(_) | Event::Health(_)
        ) {
            self.tell_guest(|| Seen::Event(event.clone()));
        }
        self.shared.wake();
        self.state()
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        self.now = now;
        let due = |told| now.seconds_since(told) >= TIME_EVERY_S;
        if self.guest.is_some() && self.told_time.is_none_or(due) {
            self.told_time = Some(now);
            self.tell_guest(|| Seen::Time(now));
            self.shared.wake();
        }
        self.state()
    }

    fn lost(&self) -> u64 {
        self.shared.backlog().lost()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shared.end();
        let ended = self.ended.recv_timeout(FINISH_WITHIN);
        let untold = self.shared.backlog().len();
        if ended.is_err() || untold > 0 {
            let words = format!("{untold} events were not confirmed before the end");
            return Err(self.fault(ErrorKind::TimedOut, &words));
        }
        Ok(())
    }
}

impl Drop for MqttOutput {
    fn drop(&mut self) {
        self.shared.end();
    }
}
