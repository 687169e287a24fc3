//! What else goes over the unit's connection to the broker, besides its events.

use std::collections::VecDeque;

use crate::event::Event;
use crate::units::Timestamp;

/// Largest message that a guest is sent.
pub const MAX_MESSAGE_BYTES: usize = 512 << 10;

/// All its calls come from the connection's thread, which may wait for a disk: neither frames nor outputs wait
/// for it.
pub trait Guest: Send {
    /// There is a new connection: nothing of what was asked or told before it counts.
    fn connected(&mut self, outbox: &mut Outbox);

    /// A message on a topic that was asked for.
    fn heard(&mut self, topic: &str, message: &[u8], outbox: &mut Outbox);

    /// What the unit saw, or that time went on; also while there is no connection.
    fn seen(&mut self, seen: Seen, outbox: &mut Outbox);

    /// The unit ends in order.
    fn ending(&mut self);
}

/// What a guest is told of the unit.
#[derive(Debug, Clone)]
pub enum Seen {
    /// A region, a sign that left the view, or health.
    Event(Event),
    /// The time is now; about once a second.
    Time(Timestamp),
}

/// What a guest wants of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To hear a topic.
    Hear(String),
    /// To hear it no more.
    Leave(String),
    /// To tell a state, which the broker keeps.
    Tell {
        /// Where.
        topic: String,
        /// What.
        text: String,
    },
}

/// Requests that wait for the broker; of one topic's states the newest.
#[derive(Debug, Default)]
pub struct Outbox(VecDeque<Request>);

impl Outbox {
    /// Adds a request.
    pub fn put(&mut self, request: Request) {
        if let Request::Tell { topic, .. } = &request {
            let same = |r: &Request| matches!(r, Request::Tell { topic: t, .. } if t == topic);
            self.0.retain(|r| !same(r));
        }
        self.0.push_back(request);
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<Request> {
        self.0.pop_front()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
