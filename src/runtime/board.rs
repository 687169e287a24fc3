//! Where every part of the running unit says how it does, and what follows for the whole.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use crate::event::HealthEvent;
use crate::health::{HealthState, Reason, Reasons};
use crate::units::Timestamp;

/// Shared by all threads; setting a reason never waits.
#[derive(Debug, Default)]
pub struct HealthBoard {
    bits: AtomicU16,
    recognised: AtomicBool,
    note: Mutex<Option<Arc<str>>>,
}

impl HealthBoard {
    /// Says that `reason` stands, or no longer does.
    pub fn set(&self, reason: Reason, stands: bool) {
        let bit = [reason].into_iter().collect::<Reasons>().bits();
        if stands {
            self.bits.fetch_or(bit, Ordering::AcqRel);
        } else {
            self.bits.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// The same with words that go out with the next health event.
    pub fn explain(&self, reason: Reason, stands: bool, words: impl Into<Arc<str>>) {
        self.say(words);
        self.set(reason, stands);
    }

    /// Words that go out with the next health event, after those that wait already.
    pub fn say(&self, words: impl Into<Arc<str>>) {
        let mut note = self.note.lock().unwrap_or_else(|e| e.into_inner());
        let words = words.into();
        *note = Some(match note.take() {
            Some(waiting) => format!("{waiting}; {words}").into(),
            None => words,
        });
    }

    /// A frame went through all stages: the unit is no longer starting.
    pub fn recognised(&self) {
        self.recognised.store(true, Ordering::Release);
    }

    /// All reasons that stand.
    pub fn reasons(&self) -> Reasons {
        let bits = self.bits.load(Ordering::Acquire);
        (Reason::ALL.into_iter())
            .filter(|r| bits & (1 << *r as u8) != 0)
            .collect()
    }

    fn state(&self, reasons: Reasons) -> HealthState {
        match (self.recognised.load(Ordering::Acquire), reasons.is_empty()) {
            (true, true) => HealthState::Normal,
            (false, true) => HealthState::Init,
            (_, false) => HealthState::Degraded,
        }
    }
}

/// Turns the board's changes into events.
#[derive(Debug, Default)]
pub struct HealthReporter {
    told: Option<(HealthState, Reasons)>,
}

impl HealthReporter {
    /// An event when something changed since the last one, or has words to it.
    pub fn poll(
        &mut self,
        board: &HealthBoard,
        time: Timestamp,
        frame: u64,
    ) -> Option<HealthEvent> {
        let reasons = board.reasons();
        let state = board.state(reasons);
        let detail = board.note.lock().unwrap_or_else(|e| e.into_inner()).take();
        if self.told == Some((state, reasons)) && detail.is_none() {
            return None;
        }
        self.told = Some((state, reasons));
        Some(HealthEvent {
            time,
            frame,
            state,
            reasons,
            detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once_and_words_go_with_them() {
        let (board, mut reporter) = (HealthBoard::default(), HealthReporter::default());
        let mut poll = || reporter.poll(&board, Timestamp::ZERO, 0);
        assert_eq!(poll().unwrap().state, HealthState::Init);
        assert!(poll().is_none());
        board.recognised();
        assert_eq!(poll().unwrap().state, HealthState::Normal);
        board.explain(Reason::NoCamera, true, "video0: unplugged");
        let event = poll().unwrap();
        assert_eq!(event.state, HealthState::Degraded);
        assert!(event.reasons.has(Reason::NoCamera));
        assert_eq!(event.detail.as_deref(), Some("video0: unplugged"));
        board.set(Reason::NoCamera, true);
        assert!(poll().is_none());
        board.say("one");
        board.say("two");
        assert_eq!(poll().unwrap().detail.as_deref(), Some("one; two"));
        board.set(Reason::NoCamera, false);
        assert_eq!(poll().unwrap().state, HealthState::Normal);
    }
}
