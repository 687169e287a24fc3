//! A slot for each camera between it and the recognition: the newest frame wins, and cameras take turns.
//!
//! Frames go round: a camera fills one, leaves it here, and gets back one that nobody needs any more:
//! the frame it displaced, or one that was looked at. Of several cameras whose frames wait, each is taken
//! as often as its share says.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::frame::Frame;

/// What [`Mailbox::take`] found.
#[derive(Debug)]
pub enum Taken {
    /// The newest frame of a camera, counted from 0.
    Frame(usize, Frame),
    /// Nothing new within the time given.
    Nothing,
    /// All cameras have ended, and their last frames were taken.
    Closed,
}

#[derive(Debug, Default)]
struct Slot {
    newest: Option<Frame>,
    free: Vec<Frame>,
    closed: bool,
    share: i64,
    /// What it was passed over for, in shares; the one with most is next.
    credit: i64,
}

#[derive(Debug)]
struct Inside {
    slots: Vec<Slot>,
    dropped: u64,
}

impl Inside {
    /// The camera whose turn it is: smooth weighted round robin among those that wait.
    fn next(&mut self) -> Option<usize> {
        let waiting = |slot: &Slot| slot.newest.is_some();
        let all: i64 = (self.slots.iter().filter(|s| waiting(s)))
            .map(|s| s.share)
            .sum();
        let mut next: Option<usize> = None;
        for camera in 0..self.slots.len() {
            let slot = &mut self.slots[camera];
            if !waiting(slot) {
                continue;
            }
            slot.credit += slot.share;
            let credit = slot.credit;
            if next.is_none_or(|best| credit > self.slots[best].credit) {
                next = Some(camera);
            }
        }
        self.slots[next?].credit -= all;
        next
    }
}

/// See the module.
#[derive(Debug)]
pub struct Mailbox {
    inside: Mutex<Inside>,
    filled: Condvar,
}

impl Mailbox {
    /// For cameras with these shares, each with `frames` to go round: three let camera and recognition
    /// each hold one.
    pub fn new(shares: &[u8], frames: usize) -> Self {
        let slot = |share: &u8| Slot {
            free: vec![Frame::default(); frames],
            share: i64::from((*share).max(1)),
            ..Slot::default()
        };
        Self {
            inside: Mutex::new(Inside {
                slots: shares.iter().map(slot).collect(),
                dropped: 0,
            }),
            filled: Condvar::new(),
        }
    }

    /// A frame for a camera to fill. `None` when all are in use.
    pub fn free_frame(&self, camera: usize) -> Option<Frame> {
        self.lock().slots[camera].free.pop()
    }

    /// Leaves a camera's new frame; one that waits is displaced and counted.
    pub fn put(&self, camera: usize, frame: Frame) {
        let mut inside = self.lock();
        let slot = &mut inside.slots[camera];
        if let Some(mut old) = slot.newest.replace(frame) {
            old.release();
            slot.free.push(old);
            inside.dropped += 1;
        }
        drop(inside);
        self.filled.notify_one();
    }

    /// Waits for a frame, at most `patience`.
    pub fn take(&self, patience: Duration) -> Taken {
        let inside = self.lock();
        let waited = self.filled.wait_timeout_while(inside, patience, |inside| {
            (inside.slots.iter()).all(|s| s.newest.is_none())
                && (inside.slots.iter()).any(|s| !s.closed)
        });
        let mut inside = waited.map_or_else(|e| e.into_inner().0, |(inside, _)| inside);
        if let Some(camera) = inside.next()
            && let Some(frame) = inside.slots[camera].newest.take()
        {
            return Taken::Frame(camera, frame);
        }
        if inside.slots.iter().all(|s| s.closed) {
            return Taken::Closed;
        }
        Taken::Nothing
    }

    /// Gives a camera's frame back to be filled again.
    pub fn give_back(&self, camera: usize, mut frame: Frame) {
        frame.release();
        self.lock().slots[camera].free.push(frame);
    }

    /// A camera will bring no more.
    pub fn close(&self, camera: usize) {
        self.lock().slots[camera].closed = true;
        self.filled.notify_all();
    }

    /// Frames displaced so far.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // Nothing inside can be half changed by a panic.
        self.inside.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(index: u64) -> Frame {
        let mut frame = Frame::default();
        frame.index = index;
        frame
    }

    #[test]
    fn the_newest_frame_wins_and_drops_are_counted() {
        let mailbox = Mailbox::new(&[1], 3);
        let patience = Duration::from_millis(1);
        assert!(matches!(mailbox.take(patience), Taken::Nothing));
        for index in 0..3 {
            assert!(mailbox.free_frame(0).is_some());
            mailbox.put(0, frame(index));
        }
        assert_eq!(mailbox.dropped(), 2);
        let Taken::Frame(0, newest) = mailbox.take(patience) else {
            panic!("a frame waits");
        };
        assert_eq!(newest.index, 2);
        mailbox.give_back(0, newest);
        mailbox.put(0, frame(3));
        mailbox.close(0);
        assert!(matches!(mailbox.take(patience), Taken::Frame(0, f) if f.index == 3));
        assert!(matches!(mailbox.take(patience), Taken::Closed));
    }

    #[test]
    fn frames_go_round_and_none_is_lost() {
        let mailbox = Mailbox::new(&[1], 3);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut index = 0;
                while index < 10_000 {
                    if mailbox.free_frame(0).is_some() {
                        mailbox.put(0, frame(index));
                        index += 1;
                    }
                }
                mailbox.close(0);
            });
            let (mut taken, mut last) = (0, None);
            loop {
                match mailbox.take(Duration::from_secs(5)) {
                    Taken::Frame(camera, frame) => {
                        assert!(last.is_none_or(|last| frame.index > last));
                        last = Some(frame.index);
                        taken += 1;
                        mailbox.give_back(camera, frame);
                    }
                    Taken::Closed => break,
                    Taken::Nothing => panic!("the other side stalled"),
                }
            }
            assert_eq!(taken + mailbox.dropped(), 10_000);
        });
    }

    /// Cameras in the order they are taken while `busy` ones always have a frame waiting.
    fn turns(mailbox: &Mailbox, busy: &[usize], count: usize) -> Vec<usize> {
        let turn = |n| {
            for camera in busy {
                mailbox.put(*camera, frame(n));
            }
            match mailbox.take(Duration::ZERO) {
                Taken::Frame(camera, _) => camera,
                other => panic!("{other:?}"),
            }
        };
        (0..count as u64).map(turn).collect()
    }

    #[test]
    fn cameras_take_turns_by_their_shares_and_none_starves() {
        let even = Mailbox::new(&[1, 1, 1], 0);
        assert_eq!(turns(&even, &[0, 1, 2], 6), [0, 1, 2, 0, 1, 2]);
        let front = Mailbox::new(&[2, 1, 1], 0);
        assert_eq!(turns(&front, &[0, 1, 2], 8), [0, 1, 2, 0, 0, 1, 2, 0]);
        // One that is lost leaves its turns to the others, and claims nothing back.
        let one_lost = Mailbox::new(&[2, 1, 1], 0);
        assert_eq!(turns(&one_lost, &[0, 2], 6), [0, 2, 0, 0, 2, 0]);
        let again = turns(&one_lost, &[0, 1, 2], 8);
        assert_eq!(again.iter().filter(|c| **c == 1).count(), 2);
    }

    #[test]
    fn one_that_ends_does_not_close_the_others() {
        let mailbox = Mailbox::new(&[1, 1], 1);
        mailbox.close(0);
        mailbox.put(1, frame(7));
        assert!(matches!(mailbox.take(Duration::ZERO), Taken::Frame(1, _)));
        assert!(matches!(mailbox.take(Duration::ZERO), Taken::Nothing));
        mailbox.close(1);
        assert!(matches!(mailbox.take(Duration::ZERO), Taken::Closed));
    }
}
