//! Any bytes as a video file: no panic, no endless reading, bounded memory; indices count from 0, time never goes
//! back, an end lasts, damage is told in a bounded number of lines, and where the container says how many frames it
//! has, those given and those lost are as many.

#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tsedge::frame::Frame;
use tsedge::source::{Next, OpenOptions, open_stream};
use tsedge::units::Timestamp;

/// Decoding is what costs; the bookkeeping shows its faults early.
const MAX_FRAMES: u64 = 64;
const MAX_NOTES: usize = 51;

fuzz_target!(|data: &[u8]| {
    let options = OpenOptions::default();
    let reader = Cursor::new(data.to_vec());
    let Ok(mut source) = open_stream(reader, Path::new("fuzz"), &options) else {
        return;
    };
    let is_avi = source.info().description.starts_with("AVI");
    let expected = source.info().frames;
    let mut frame = Frame::default();
    let mut given = 0;
    let mut last = Timestamp::ZERO;
    while given < MAX_FRAMES {
        match source.next_frame(&mut frame) {
            Ok(Next::Frame) => {
                assert_eq!(frame.index, given);
                assert!(frame.time >= last);
                last = frame.time;
                given += 1;
            }
            Ok(Next::End) => {
                assert!(matches!(source.next_frame(&mut frame), Ok(Next::End)));
                // An empty chunk of AVI is a pause: neither given nor lost.
                if let (Some(expected), false) = (expected, is_avi) {
                    assert_eq!(given + source.damage().lost_frames, expected);
                }
                break;
            }
            Err(_) => break,
        }
    }
    assert!(source.damage().notes.len() <= MAX_NOTES);
});
