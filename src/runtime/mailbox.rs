//! One slot between camera and recognition: the newest frame wins.
//!
//! Frames go round: the camera fills one, leaves it here, and gets back one that nobody needs any more:
//! the frame it displaced, or one that was looked at.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::frame::Frame;

/// What [`Mailbox::take`] found.
#[derive(Debug)]
pub enum Taken {
    /// The newest frame.
    Frame(Frame),
    /// Nothing new within the time given.
    Nothing,
    /// The camera's side is closed, and its last frame was taken.
    Closed,
}

#[derive(Debug)]
struct Inside {
    newest: Option<Frame>,
    free: Vec<Frame>,
    dropped: u64,
    closed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Mailbox {
    inside: Mutex<Inside>,
    filled: Condvar,
}

impl Mailbox {
    /// With the given frames to go round; three let camera and recognition each hold one.
    pub fn new(frames: Vec<Frame>) -> Self {
        Self {
            inside: Mutex::new(Inside {
                newest: None,
                free: frames,
                dropped: 0,
                closed: false,
            }),
            filled: Condvar::new(),
        }
    }

    /// A frame to fill. `None` when all are in use.
    pub fn free_frame(&self) -> Option<Frame> {
        self.lock().free.pop()
    }

    /// Leaves a new frame; one that waits is displaced and counted.
    pub fn put(&self, frame: Frame) {
        let mut inside = self.lock();
        if let Some(mut old) = inside.newest.replace(frame) {
            inside.dropped += 1;
            old.release();
            inside.free.push(old);
        }
        drop(inside);
        self.filled.notify_one();
    }

    /// Waits for a frame, at most `patience`.
    pub fn take(&self, patience: Duration) -> Taken {
        let inside = self.lock();
        let waited = self.filled.wait_timeout_while(inside, patience, |inside| {
            inside.newest.is_none() && !inside.closed
        });
        let mut inside = waited.map_or_else(|e| e.into_inner().0, |(inside, _)| inside);
        match inside.newest.take() {
            Some(frame) => Taken::Frame(frame),
            None if inside.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    /// Gives a frame back to be filled again.
    pub fn give_back(&self, mut frame: Frame) {
        frame.release();
        self.lock().free.push(frame);
    }

    /// The camera will bring no more.
    pub fn close(&self) {
        self.lock().closed = true;
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
        let mailbox = Mailbox::new(vec![Frame::default(); 3]);
        let patience = Duration::from_millis(1);
        assert!(matches!(mailbox.take(patience), Taken::Nothing));
        for index in 0..3 {
            assert!(mailbox.free_frame().is_some());
            mailbox.put(frame(index));
        }
        assert_eq!(mailbox.dropped(), 2);
        let Taken::Frame(newest) = mailbox.take(patience) else {
            panic!("a frame waits");
        };
        assert_eq!(newest.index, 2);
        mailbox.give_back(newest);
        mailbox.put(frame(3));
        mailbox.close();
        assert!(matches!(mailbox.take(patience), Taken::Frame(f) if f.index == 3));
        assert!(matches!(mailbox.take(patience), Taken::Closed));
    }

    #[test]
    fn frames_go_round_and_none_is_lost() {
        let mailbox = Mailbox::new(vec![Frame::default(); 3]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut index = 0;
                while index < 10_000 {
                    if mailbox.free_frame().is_some() {
                        mailbox.put(frame(index));
                        index += 1;
                    }
                }
                mailbox.close();
            });
            let (mut taken, mut last) = (0, None);
            loop {
                match mailbox.take(Duration::from_secs(5)) {
                    Taken::Frame(frame) => {
                        assert!(last.is_none_or(|last| frame.index > last));
                        last = Some(frame.index);
                        taken += 1;
                        mailbox.give_back(frame);
                    }
                    Taken::Closed => break,
                    Taken::Nothing => panic!("the other side stalled"),
                }
            }
            assert_eq!(taken + mailbox.dropped(), 10_000);
        });
    }
}
