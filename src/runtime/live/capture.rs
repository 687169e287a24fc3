//! The thread of a camera: frames into the mailbox, losses and damage onto the health board.

use super::PATIENCE;
use crate::clock::Clock;
use crate::frame::Frame;
use crate::health::Reason;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::shared::Shared;
use crate::source::camera::{Camera, Missed, Shot};
use crate::units::Timestamp;

/// Damaged pictures are told from the second one within this time on, until none has come for so long.
const DAMAGE_S: f64 = 1.0;

/// Brings the frames of the `n`-th camera until it ends.
pub(super) fn capture(
    n: usize,
    mut camera: Box<dyn Camera>,
    mailbox: &Mailbox,
    shared: &Shared,
    clock: &dyn Clock,
) {
    let board = &shared.board;
    let mut frame = Frame::default();
    let mut lost: Option<String> = None;
    let mut damage = Damage::default();
    while !shared.stop.is_stopped() {
        match camera.shoot(&mut frame, PATIENCE) {
            Shot::Frame => {
                if lost.take().is_some() {
                    let words = format!("{} is back", camera.description());
                    board.explain_of(n, Reason::NoCamera, false, &words);
                }
                // The recognition holds one, one waits, one is here: a free one is left.
                let next = mailbox.free_frame(n).unwrap_or_default();
                mailbox.put(n, std::mem::replace(&mut frame, next));
            }
            Shot::Late => {}
            Shot::Lost(words) => {
                if lost.as_ref() != Some(&words) {
                    board.explain_of(n, Reason::NoCamera, true, &words);
                    lost = Some(words);
                }
                shared.stop.wait(PATIENCE);
            }
            Shot::End => break,
        }
        let Missed { left_out, damaged } = camera.take_missed();
        shared.progress.add_dropped(left_out + damaged);
        if let Some((stands, words)) = damage.look(damaged, clock.now()) {
            let words = format!("{}: {words}", camera.description());
            board.explain_of(n, Reason::DamagedFrames, stands, &words);
        }
    }
}

/// Damaged pictures that came one soon after the other.
#[derive(Default)]
struct Damage {
    pictures: u64,
    last: Option<Timestamp>,
    told: bool,
}

impl Damage {
    /// So many more came by now: whether that begins or ends what must be told, in words.
    fn look(&mut self, more: u64, now: Timestamp) -> Option<(bool, String)> {
        if more > 0 {
            self.pictures += more;
            self.last = Some(now);
            let begins = self.pictures > 1 && !std::mem::replace(&mut self.told, true);
            return begins.then(|| (true, "pictures come damaged".to_owned()));
        }
        if now.seconds_since(self.last?) < DAMAGE_S {
            return None;
        }
        let Self { pictures, told, .. } = std::mem::take(self);
        told.then(|| (false, format!("{pictures} damaged pictures were left out")))
    }
}
