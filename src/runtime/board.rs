//! Where every part of the running unit says how it does, and what follows for the whole.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use crate::event::{CameraHealth, HealthEvent};
use crate::health::{HealthState, Reason, Reasons};
use crate::units::Timestamp;

/// Shared by all threads; setting a reason never waits.
#[derive(Debug)]
pub struct HealthBoard {
    bits: AtomicU16,
    cameras: Vec<CameraBoard>,
    recognised: AtomicBool,
    note: Mutex<Option<Arc<str>>>,
}

/// One camera's part of it.
#[derive(Debug)]
struct CameraBoard {
    /// Where there are several.
    name: Option<Arc<str>>,
    bits: AtomicU16,
    newest_nanos: AtomicI64,
}

/// Words of one event; they wait in every output's queue, whose memory is bounded.
const MOST_WORDS_BYTES: usize = 1000;
/// No frame yet.
const NEVER: i64 = i64::MIN;

impl Default for HealthBoard {
    fn default() -> Self {
        Self::of_cameras([None])
    }
}

impl HealthBoard {
    /// For cameras with these names.
    pub fn of_cameras(names: impl IntoIterator<Item = Option<Arc<str>>>) -> Self {
        let camera = |name| CameraBoard {
            name,
            bits: AtomicU16::new(0),
            newest_nanos: AtomicI64::new(NEVER),
        };
        Self {
            bits: AtomicU16::new(0),
            cameras: names.into_iter().map(camera).collect(),
            recognised: AtomicBool::new(false),
            note: Mutex::new(None),
        }
    }

    /// Says that `reason` stands, or no longer does.
    pub fn set(&self, reason: Reason, stands: bool) {
        set(&self.bits, reason, stands);
    }

    /// The same of one of the cameras, counted from 0.
    pub fn set_of(&self, camera: usize, reason: Reason, stands: bool) {
        set(&self.cameras[camera].bits, reason, stands);
    }

    /// The same with words that go out with the next health event.
    pub fn explain(&self, reason: Reason, stands: bool, words: impl Into<Arc<str>>) {
        self.say(words);
        self.set(reason, stands);
    }

    /// The same of one of the cameras; its name goes before the words.
    pub fn explain_of(&self, camera: usize, reason: Reason, stands: bool, words: &str) {
        match &self.cameras[camera].name {
            Some(name) => self.say(format!("{name}: {words}")),
            None => self.say(words),
        }
        self.set_of(camera, reason, stands);
    }

    /// Words that go out with the next health event, after those that wait already; too many are cut.
    pub fn say(&self, words: impl Into<Arc<str>>) {
        let mut note = self.note.lock().unwrap_or_else(|e| e.into_inner());
        let words = words.into();
        let words = match note.take() {
            Some(waiting) => format!("{waiting}; {words}").into(),
            None => words,
        };
        *note = Some(if words.len() > MOST_WORDS_BYTES {
            let whole = words.floor_char_boundary(MOST_WORDS_BYTES - 3);
            format!("{}...", &words[..whole]).into()
        } else {
            words
        });
    }

    /// A frame of a camera, captured at `time`, went through all stages: the unit is no longer starting.
    pub fn recognised(&self, camera: usize, time: Timestamp) {
        let newest = &self.cameras[camera].newest_nanos;
        newest.store(time.nanos(), Ordering::Release);
        self.recognised.store(true, Ordering::Release);
    }

    /// When the newest recognised frame of each camera was captured.
    pub fn newest(&self) -> impl Iterator<Item = Option<Timestamp>> {
        (self.cameras.iter()).map(|camera| {
            let nanos = camera.newest_nanos.load(Ordering::Acquire);
            (nanos != NEVER).then(|| Timestamp::from_nanos(nanos))
        })
    }

    /// All reasons that stand, of the unit or any of its cameras.
    pub fn reasons(&self) -> Reasons {
        let all = (self.cameras.iter()).fold(self.bits.load(Ordering::Acquire), |bits, camera| {
            bits | camera.bits.load(Ordering::Acquire)
        });
        reasons(all)
    }

    /// Reasons of a camera's own.
    pub fn reasons_of(&self, camera: usize) -> Reasons {
        reasons(self.cameras[camera].bits.load(Ordering::Acquire))
    }

    /// Each camera's, where there are several.
    fn cameras(&self) -> Vec<CameraHealth> {
        (self.cameras.iter())
            .filter_map(|camera| {
                Some(CameraHealth {
                    camera: camera.name.clone()?,
                    reasons: reasons(camera.bits.load(Ordering::Acquire)),
                })
            })
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

fn set(bits: &AtomicU16, reason: Reason, stands: bool) {
    let bit = [reason].into_iter().collect::<Reasons>().bits();
    if stands {
        bits.fetch_or(bit, Ordering::AcqRel);
    } else {
        bits.fetch_and(!bit, Ordering::AcqRel);
    }
}

fn reasons(bits: u16) -> Reasons {
    (Reason::ALL.into_iter())
        .filter(|r| bits & (1 << *r as u8) != 0)
        .collect()
}

/// Turns the board's changes into events.
#[derive(Debug, Default)]
pub struct HealthReporter {
    told: Option<(HealthState, Reasons, Arc<[CameraHealth]>)>,
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
        let cameras: Arc<[CameraHealth]> = board.cameras().into();
        let detail = board.note.lock().unwrap_or_else(|e| e.into_inner()).take();
        let now = Some((state, reasons, Arc::clone(&cameras)));
        if self.told == now && detail.is_none() {
            return None;
        }
        self.told = now;
        Some(HealthEvent {
            time,
            frame,
            state,
            reasons,
            detail,
            cameras,
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
        board.recognised(0, Timestamp::ZERO);
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
        board.say("ö".repeat(1000));
        board.say("more");
        let cut = poll().unwrap().detail.unwrap();
        assert!(cut.len() <= MOST_WORDS_BYTES && cut.ends_with("..."));
        board.set(Reason::NoCamera, false);
        assert_eq!(poll().unwrap().state, HealthState::Normal);
    }

    #[test]
    fn one_of_several_cameras_degrades_alone_and_the_unit_with_it() {
        let names = ["front", "left"].map(|name| Some(name.into()));
        let board = HealthBoard::of_cameras(names);
        let mut reporter = HealthReporter::default();
        let mut poll = || reporter.poll(&board, Timestamp::ZERO, 0);
        board.recognised(0, Timestamp::ZERO);
        assert_eq!(poll().unwrap().state, HealthState::Normal);
        board.explain_of(1, Reason::NoCamera, true, "unplugged");
        let event = poll().unwrap();
        assert_eq!(event.state, HealthState::Degraded);
        assert_eq!(event.detail.as_deref(), Some("left: unplugged"));
        let each = event.cameras.iter().map(|c| (&*c.camera, c.reasons.bits()));
        assert_eq!(each.collect::<Vec<_>>(), [("front", 0), ("left", 1)]);
        // The other one follows: for the unit as a whole nothing changes.
        board.set_of(0, Reason::NoCamera, true);
        assert_eq!(poll().unwrap().cameras[0].reasons.bits(), 1);
        board.set_of(1, Reason::NoCamera, false);
        assert!(poll().unwrap().reasons.has(Reason::NoCamera));
        assert!(poll().is_none());
        assert_eq!(
            board.newest().collect::<Vec<_>>(),
            [Some(Timestamp::ZERO), None]
        );
    }
}
