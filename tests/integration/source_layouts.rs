//! File layouts that cameras write and tools do not, and the size of what is read.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tsedge::frame::Frame;
use tsedge::source::Next;

use crate::source_clips::{
    Clip, FRAME_TICKS, TIMESCALE, boxed, encode, fragmented, ftyp, moov, open_bytes, open_reader,
    play, progressive, tables, words,
};

const FRAMES: usize = 12;

fn assert_whole(file: &[u8]) {
    let expected = play(
        open_bytes(&progressive(&encode(FRAMES, 4)))
            .unwrap()
            .as_mut(),
    );
    let played = play(open_bytes(file).unwrap().as_mut());
    assert!(played.damage.is_none(), "{:?}", played.damage);
    assert_eq!(played.frames.len(), FRAMES);
    let seconds = f64::from(FRAME_TICKS) / f64::from(TIMESCALE);
    for (n, (given, expected)) in played.frames.iter().zip(&expected.frames).enumerate() {
        assert!(
            (given.time.seconds() - n as f64 * seconds).abs() < 1e-6,
            "frame {n}"
        );
        assert_eq!(given.data(), expected.data(), "frame {n}");
    }
}

#[test]
fn index_after_the_media_data() {
    let clip = encode(FRAMES, 4);
    let start = ftyp().len() as u64 + 8;
    let media = boxed(b"mdat", &[&clip.samples.concat()]);
    assert_whole(
        &[
            ftyp(),
            media,
            moov(&clip.avcc, &tables(&clip, start), &[], &[]),
        ]
        .concat(),
    );
}

#[test]
fn long_and_open_ended_media_boxes() {
    let clip = encode(FRAMES, 4);
    let media = clip.samples.concat();
    let start = ftyp().len() as u64 + 16;
    let header = [
        &words(&[1])[..],
        b"mdat",
        &(media.len() as u64 + 16).to_be_bytes(),
    ]
    .concat();
    let index = moov(&clip.avcc, &tables(&clip, start), &[], &[]);
    assert_whole(&[ftyp(), header, media.clone(), index].concat());

    let index_len = moov(&clip.avcc, &tables(&clip, 0), &[], &[]).len();
    let start = (ftyp().len() + index_len + 8) as u64;
    let index = moov(&clip.avcc, &tables(&clip, start), &[], &[]);
    assert_whole(&[ftyp(), index, words(&[0]), b"mdat".to_vec(), media].concat());
}

#[test]
fn fragments_of_any_length() {
    let clip = encode(FRAMES, 4);
    for per_fragment in [1, 5, FRAMES] {
        assert_whole(&fragmented(&clip, per_fragment));
    }
}

#[test]
fn an_edit_that_hides_everything_is_not_believed() {
    let clip = encode(FRAMES, 4);
    let edits = boxed(
        b"edts",
        &[&boxed(b"elst", &[&words(&[0, 1, 1, 1_000_000, 0x10000])])],
    );
    let len = moov(&clip.avcc, &tables(&clip, 0), &edits, &[]).len();
    let start = (ftyp().len() + len + 8) as u64;
    let index = moov(&clip.avcc, &tables(&clip, start), &edits, &[]);
    let file = [ftyp(), index, boxed(b"mdat", &[&clip.samples.concat()])].concat();
    let played = play(open_bytes(&file).unwrap().as_mut());
    assert_eq!(played.frames.len(), FRAMES);
    assert_eq!(played.damage.lost_frames, 0);
    assert!(
        played.damage.notes[0].contains("edit list"),
        "{:?}",
        played.damage
    );
}

#[test]
fn hostile_counts_cost_nothing() {
    let clip = encode(2, 1);
    let tables = [
        boxed(b"stts", &[&words(&[0, 1, u32::MAX, 1])]),
        boxed(b"stsc", &[&words(&[0, 1, 1, u32::MAX, 1])]),
        // One size for four thousand million samples.
        boxed(b"stsz", &[&words(&[0, 1 << 30, u32::MAX])]),
        boxed(b"stco", &[&words(&[0, 1, 8])]),
    ]
    .concat();
    let file = [ftyp(), moov(&clip.avcc, &tables, &[], &[])].concat();
    let played = play(open_bytes(&file).unwrap().as_mut());
    assert_eq!(played.frames.len(), 0);
    assert!(played.damage.lost_frames > 0 && !played.damage.notes.is_empty());
}

/// Two hours of video that exist only as they are read: an index, then one group of samples over and over.
struct Endless {
    index: Vec<u8>,
    group: Vec<u8>,
    len: u64,
    at: u64,
    read: Arc<AtomicU64>,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let index_len = self.index.len() as u64;
        let from = match self.at.checked_sub(index_len) {
            None => &self.index[self.at as usize..],
            Some(_) if self.at >= self.len => &[],
            Some(place) => &self.group[(place % self.group.len() as u64) as usize..],
        };
        let count = from.len().min(out.len());
        out[..count].copy_from_slice(&from[..count]);
        self.at += count as u64;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.len.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

#[test]
fn two_hours_are_opened_by_their_index_alone() {
    let frames_expected = 2 * 3600 * 30;
    let group = encode(30, 30);
    let mut clip = Clip {
        avcc: group.avcc.clone(),
        samples: Vec::new(),
    };
    // The media data of a real recording: padded to 30 kB a picture, 6 GB in all.
    let padding = 30_000;
    let padded: Vec<Vec<u8>> = group
        .samples
        .iter()
        .map(|s| {
            let filler = [
                &(padding as u32).to_be_bytes()[..],
                &[12],
                &vec![0xff; padding - 1],
            ]
            .concat();
            [s.clone(), filler].concat()
        })
        .collect();
    clip.samples
        .extend((0..frames_expected).map(|n| group.samples[n % 30].clone()));
    let sizes: Vec<u32> = (0..frames_expected)
        .map(|n| padded[n % 30].len() as u32)
        .collect();
    let total: u64 = sizes.iter().map(|s| u64::from(*s)).sum();
    let count = frames_expected as u32;
    let table = |offset: u64| {
        [
            boxed(b"stts", &[&words(&[0, 1, count, FRAME_TICKS])]),
            boxed(b"stsc", &[&words(&[0, 1, 1, count, 1])]),
            boxed(b"stsz", &[&words(&[0, 0, count]), &words(&sizes)]),
            boxed(b"co64", &[&words(&[0, 1]), &offset.to_be_bytes()]),
        ]
        .concat()
    };
    let head_len = ftyp().len() + moov(&clip.avcc, &table(0), &[], &[]).len() + 16;
    let media = [&words(&[1])[..], b"mdat", &(total + 16).to_be_bytes()].concat();
    let index = [
        ftyp(),
        moov(&clip.avcc, &table(head_len as u64), &[], &[]),
        media,
    ]
    .concat();
    let read = Arc::new(AtomicU64::new(0));
    let file = Endless {
        len: index.len() as u64 + total,
        index,
        group: padded.concat(),
        at: 0,
        read: Arc::clone(&read),
    };
    assert!(file.len > 6_000_000_000);
    let mut source = open_reader(file).unwrap();
    assert_eq!(source.info().frames, Some(frames_expected as u64));
    let opened = read.load(Ordering::Relaxed);
    assert!(opened < 2_000_000, "{opened} bytes were read to open it");

    let mut frame = Frame::default();
    let mut shown = 0;
    for _ in 0..300 {
        assert_eq!(source.next_frame(&mut frame).unwrap(), Next::Frame);
        shown += 1;
    }
    let largest = u64::from(sizes.iter().copied().max().unwrap());
    let read = read.load(Ordering::Relaxed) - opened;
    assert!(
        read <= (shown + 2) * largest,
        "{read} bytes were read for {shown} frames"
    );
}
