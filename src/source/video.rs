//! A container and a decoder put together: packets in, upright frames out, losses counted.

use super::{Damage, FrameSource, Next, SourceError, SourceInfo};
use crate::frame::Frame;
use crate::units::Timestamp;

/// Notes kept of a damaged file; losses beyond are counted without a line of their own.
const MAX_NOTES: usize = 50;

/// A coded picture, its bytes being in the caller's buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    /// When the picture is shown. Negative: it is decoded for those after it and never shown.
    pub time: Timestamp,
    /// Where in the file.
    pub offset: u64,
    /// Which sample description it needs.
    pub entry: u16,
}

/// Cuts a container into packets, in decoding order.
pub(super) trait Demux: Send {
    /// Puts the next packet into `data`; `None` at the end. What cannot be read is noted in `ledger` and passed over.
    fn next_packet(
        &mut self,
        data: &mut Vec<u8>,
        ledger: &mut Ledger,
    ) -> Result<Option<Packet>, SourceError>;
}

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// The frame was filled with the picture of this time, not always that of the packet.
    Picture(Timestamp),
    /// Nothing to show yet.
    Later,
    /// The packet's picture is lost.
    Damaged,
}

/// Turns packets into pictures.
pub(super) trait Decode: Send {
    /// Takes one packet.
    fn decode(&mut self, data: &[u8], packet: &Packet, frame: &mut Frame) -> Decoded;

    /// A picture that is finished but could not be given by `decode`; asked before each packet.
    fn pending(&mut self, frame: &mut Frame) -> Option<Timestamp>;

    /// No packet follows: makes all held pictures available to `pending`.
    fn finish(&mut self);

    /// Pictures that turned out lost since the last call, apart from those `decode` answered for.
    fn take_lost(&mut self) -> u64;
}

/// Gathers damage, with a bound on the lines.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    damage: Damage,
}

impl Ledger {
    pub(super) fn lose(&mut self, frames: u64) {
        self.damage.lost_frames += frames;
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        let notes = &mut self.damage.notes;
        match notes.len() {
            n if n < MAX_NOTES => notes.push(line()),
            MAX_NOTES => notes.push("further damage is counted, not listed".to_owned()),
            _ => {}
        }
    }

    pub(super) fn damage(&self) -> &Damage {
        &self.damage
    }
}

/// A run of packets that gave no picture.
#[derive(Debug, Clone, Copy)]
struct LostRun {
    offset: u64,
    time: Timestamp,
    frames: u64,
}

/// The frames of a container.
pub(super) struct VideoSource<M, C> {
    info: SourceInfo,
    demux: M,
    decoder: C,
    data: Vec<u8>,
    ledger: Ledger,
    run: Option<LostRun>,
    given: u64,
    last_time: Timestamp,
    finishing: bool,
    ended: bool,
}

impl<M: Demux, C: Decode> VideoSource<M, C> {
    pub(super) fn new(info: SourceInfo, demux: M, decoder: C, ledger: Ledger) -> Self {
        Self {
            info,
            demux,
            decoder,
            data: Vec::new(),
            ledger,
            run: None,
            given: 0,
            last_time: Timestamp::ZERO,
            finishing: false,
            ended: false,
        }
    }

    /// Stamps a decoded picture; false when it is one that is never shown.
    fn stamp(&mut self, time: Timestamp, frame: &mut Frame) -> bool {
        if time < Timestamp::ZERO {
            return false;
        }
        self.last_time = self.last_time.max(time);
        frame.time = self.last_time;
        frame.index = self.given;
        self.given += 1;
        true
    }

    fn lost_packet(&mut self, packet: &Packet) {
        if packet.time >= Timestamp::ZERO {
            self.ledger.lose(1);
        }
        let run = self.run.get_or_insert(LostRun {
            offset: packet.offset,
            time: packet.time,
            frames: 0,
        });
        run.frames += 1;
    }

    fn close_run(&mut self) {
        if let Some(run) = self.run.take() {
            self.ledger.note(|| {
                format!(
                    "byte {}, {:.2} s: damaged, {} frame(s) in a row cannot be decoded",
                    run.offset,
                    run.time.seconds(),
                    run.frames
                )
            });
        }
    }

    fn account_lost(&mut self) {
        let lost = self.decoder.take_lost();
        if lost > 0 {
            self.ledger.lose(lost);
            let at = self.last_time.seconds();
            self.ledger.note(|| {
                format!("{at:.2} s: the decoder gave {lost} frame(s) less than were coded")
            });
        }
    }
}

impl<M: Demux, C: Decode> FrameSource for VideoSource<M, C> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        while !self.ended {
            if let Some(time) = self.decoder.pending(frame) {
                if self.stamp(time, frame) {
                    return Ok(Next::Frame);
                }
                continue;
            }
            self.account_lost();
            if self.finishing {
                self.close_run();
                self.ended = true;
                break;
            }
            let Some(packet) = self.demux.next_packet(&mut self.data, &mut self.ledger)? else {
                self.decoder.finish();
                self.finishing = true;
                continue;
            };
            match self.decoder.decode(&self.data, &packet, frame) {
                Decoded::Damaged => self.lost_packet(&packet),
                Decoded::Later => self.close_run(),
                Decoded::Picture(time) => {
                    self.close_run();
                    if self.stamp(time, frame) {
                        return Ok(Next::Frame);
                    }
                }
            }
        }
        Ok(Next::End)
    }

    fn damage(&self) -> &Damage {
        self.ledger.damage()
    }
}
