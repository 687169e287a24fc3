//! Events on their way to the broker: those that wait, and those sent that it has not confirmed.
//!
//! Memory is bounded: what waits beyond the bound loses its oldest. An event leaves when the broker confirms
//! it; when a connection breaks, what was sent and not confirmed waits again, so it may be told twice.

use std::collections::VecDeque;

/// An event as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Kind of event, for the topic.
    pub kind: &'static str,
    /// The object.
    pub json: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Backlog {
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    most_bytes: usize,
    /// Sent, with the number that the protocol gave it.
    sent: VecDeque<(Option<u16>, Message)>,
    lost: u64,
    confirmed: u64,
}

impl Backlog {
    /// At most `most_bytes` wait.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            most_bytes,
            sent: VecDeque::new(),
            lost: 0,
            confirmed: 0,
        }
    }

    /// The newest.
    pub fn push(&mut self, message: Message) {
        self.waiting_bytes += message.json.len();
        self.waiting.push_back(message);
        self.keep_bound();
    }

    fn keep_bound(&mut self) {
        while self.waiting_bytes > self.most_bytes && self.pop().is_some() {
            self.lost += 1;
        }
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.waiting.pop_front()?;
        self.waiting_bytes -= message.json.len();
        Some(message)
    }

    /// The next one to send, while fewer than `window` are not confirmed; longer ones than `largest` can
    /// never be sent and are lost.
    pub fn send(&mut self, window: usize, largest: usize) -> Option<&Message> {
        if self.sent.len() >= window {
            return None;
        }
        let message = loop {
            let message = self.pop()?;
            if message.json.len() <= largest {
                break message;
            }
            self.lost += 1;
        };
        self.sent.push_back((None, message));
        self.sent.back().map(|(_, message)| message)
    }

    /// The oldest without a number was sent under this one.
    pub fn numbered(&mut self, number: u16) {
        if let Some(sent) = self.sent.iter_mut().find(|(n, _)| n.is_none()) {
            sent.0 = Some(number);
        }
    }

    /// The broker answered for `number`; `taken` or refused.
    pub fn answered(&mut self, number: u16, taken: bool) {
        let Some(at) = self.sent.iter().position(|(n, _)| *n == Some(number)) else {
            return;
        };
        self.sent.remove(at);
        if taken {
            self.confirmed += 1;
        } else {
            self.lost += 1;
        }
    }

    /// The connection broke: what was not confirmed waits again, before all others.
    pub fn take_back(&mut self) {
        while let Some((_, message)) = self.sent.pop_back() {
            self.waiting_bytes += message.json.len();
            self.waiting.push_front(message);
        }
        self.keep_bound();
    }

    /// Sent and not yet confirmed.
    pub fn unconfirmed(&self) -> usize {
        self.sent.len()
    }

    /// All that are not yet confirmed.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    /// Confirmed by the broker.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Given up.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(n: usize) -> Message {
        Message {
            kind: "sign_seen",
            json: format!("{n:010}").into_bytes(),
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push,
        Send,
        Answer(usize),
        Break,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Push),
            4 => Just(Step::Send),
            3 => (0_usize..4).prop_map(Step::Answer),
            1 => Just(Step::Break),
        ]
    }

    proptest! {
        #[test]
        fn every_event_is_confirmed_lost_or_still_there(
            steps in proptest::collection::vec(step(), 0..200)
        ) {
            let mut backlog = Backlog::new(80);
            let (mut pushed, mut number, mut open) = (0, 0, Vec::new());
            for step in steps {
                match step {
                    Step::Push => {
                        backlog.push(message(pushed));
                        pushed += 1;
                    }
                    Step::Send => {
                        if backlog.send(4, 100).is_some() {
                            number += 1;
                            backlog.numbered(number);
                            open.push(number);
                        }
                    }
                    Step::Answer(at) if at < open.len() => backlog.answered(open.remove(at), true),
                    Step::Answer(_) => {}
                    Step::Break => {
                        open.clear();
                        backlog.take_back();
                    }
                }
                let (confirmed, lost) = (backlog.confirmed(), backlog.lost());
                prop_assert_eq!(pushed as u64, confirmed + lost + backlog.len() as u64);
                prop_assert!(backlog.waiting_bytes <= 80 && backlog.sent.len() <= 4);
                let all = backlog.sent.iter().map(|(_, m)| m).chain(&backlog.waiting);
                prop_assert!(all.map(|m| &m.json).is_sorted());
            }
        }
    }

    #[test]
    fn one_that_the_broker_can_never_take_is_lost_and_holds_up_nobody() {
        let mut backlog = Backlog::new(1000);
        backlog.push(Message {
            kind: "region",
            json: vec![b'x'; 500],
        });
        backlog.push(message(1));
        assert_eq!(backlog.send(4, 100), Some(&message(1)));
        assert_eq!((backlog.lost(), backlog.len()), (1, 1));
    }
}
