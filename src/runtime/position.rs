//! The position thread of live operation: receiver in, regions and reasons out.
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-position` | receiver, packs | the next region, health board | a reading, 200 ms at most |

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::shared::Shared;
use crate::clock::Clock;
use crate::health::Reason;
use crate::position::{PositionSource, Reading, Told};
use crate::region::RegionFollower;

/// The pause when the receiver has nothing to say.
const PAUSE: Duration = Duration::from_millis(10);

/// Starts the thread; it ends when the unit is stopped.
pub fn start(
    source: Box<dyn PositionSource>,
    follower: RegionFollower,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("ts-position".to_owned())
        .spawn(move || run(source, follower, &shared, clock.as_ref()))
}

fn run(
    mut source: Box<dyn PositionSource>,
    mut follower: RegionFollower,
    shared: &Shared,
    clock: &dyn Clock,
) {
    let board = &shared.board;
    shared.threads.position.place(board);
    while !shared.stop.is_stopped() {
        match source.poll(clock) {
            Told::Reading(reading) => {
                if let Reading::Fix(fix) = reading {
                    shared.place(fix);
                }
                follower.take(&reading);
            }
            Told::Quiet => {
                shared.stop.wait(PAUSE);
            }
            Told::Up => log::info!("{}: connected", source.name()),
            Told::Down(words) => {
                log::warn!("{words}");
                // Whether there is a position is a matter of time; the words go out at once.
                let stands = board.reasons().has(Reason::NoPosition);
                board.explain(Reason::NoPosition, stands, words);
            }
        }
        for bank in shared.take_renewed() {
            follower.renew(bank);
        }
        follower.look(clock.now());
        let mut notes = follower.notes().peekable();
        // The board carries one line at a time: what happened together is told together.
        let mut words: Vec<String> = Vec::new();
        while let Some(note) = notes.next() {
            words.push(note.words);
            if notes.peek().is_some() {
                board.set(note.reason, note.stands);
            } else {
                board.explain(note.reason, note.stands, words.join("; "));
            }
        }
        drop(notes);
        if let Some(change) = follower.change() {
            shared.swap_region(change);
        }
    }
}
