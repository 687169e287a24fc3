//! Clips for the source tests: the fixtures, and a small muxer for layouts that no tool writes on demand.

use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use openh264::encoder::Encoder;
use openh264::formats::YUVBuffer;
use openh264::nal_units;
use tsedge::frame::Frame;
use tsedge::source::{Damage, FrameSource, Next, OpenOptions, SourceError, open_stream};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/video")
        .join(name)
}

pub fn fixture_bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

pub fn open_bytes(bytes: &[u8]) -> Result<Box<dyn FrameSource>, SourceError> {
    open_reader(Cursor::new(bytes.to_vec()))
}

pub fn open_reader(
    reader: impl Read + Seek + Send + 'static,
) -> Result<Box<dyn FrameSource>, SourceError> {
    open_stream(reader, Path::new("clip.mp4"), &OpenOptions::default())
}

/// Everything a source gives.
pub struct Played {
    pub frames: Vec<Frame>,
    pub damage: Damage,
}

impl Played {
    pub fn times_s(&self) -> Vec<f64> {
        self.frames.iter().map(|f| f.time.seconds()).collect()
    }
}

/// Reads a source to its end, holding it to the contract on the way.
pub fn play(source: &mut dyn FrameSource) -> Played {
    let mut frames = Vec::new();
    let mut frame = Frame::default();
    while source.next_frame(&mut frame).unwrap() == Next::Frame {
        assert_eq!(frame.index, frames.len() as u64, "indices count from 0");
        assert!(
            frames.last().is_none_or(|f: &Frame| f.time <= frame.time),
            "time never goes back"
        );
        assert!(frame.width_px() > 0 && frame.height_px() > 0);
        frames.push(frame.clone());
        assert!(frames.len() < 10_000, "the source does not end");
    }
    for _ in 0..3 {
        assert_eq!(source.next_frame(&mut frame).unwrap(), Next::End);
    }
    Played {
        frames,
        damage: source.damage().clone(),
    }
}

/// A clip of H.264 samples, each with a four-byte length before every NAL unit.
pub struct Clip {
    pub avcc: Vec<u8>,
    pub samples: Vec<Vec<u8>>,
}

pub const CLIP_WIDTH: usize = 64;
pub const CLIP_HEIGHT: usize = 48;
/// Ticks of the clip's clock a second, and a frame.
pub const TIMESCALE: u32 = 3000;
pub const FRAME_TICKS: u32 = 100;

/// A pattern that changes all over, a picture that starts afresh every `gop` frames.
pub fn encode(frames: usize, gop: usize) -> Clip {
    let mut encoder = Encoder::new().unwrap();
    let mut clip = Clip {
        avcc: Vec::new(),
        samples: Vec::new(),
    };
    for n in 0..frames {
        let mut yuv = vec![128; CLIP_WIDTH * CLIP_HEIGHT * 3 / 2];
        for (i, luma) in yuv[..CLIP_WIDTH * CLIP_HEIGHT].iter_mut().enumerate() {
            *luma = ((i % CLIP_WIDTH) * 5 + (i / CLIP_WIDTH) * (n + 3) * 7) as u8;
        }
        if n % gop == 0 {
            encoder.force_intra_frame();
        }
        let picture = YUVBuffer::from_vec(yuv, CLIP_WIDTH, CLIP_HEIGHT);
        let coded = encoder.encode(&picture).unwrap().to_vec();
        let mut sample = Vec::new();
        let (mut sps, mut pps) = (None, None);
        for unit in nal_units(&coded) {
            let unit = &unit[unit.iter().position(|b| *b == 1).unwrap() + 1..];
            match unit[0] & 0x1f {
                7 => sps = Some(unit.to_vec()),
                8 => pps = Some(unit.to_vec()),
                _ => {
                    sample.extend((unit.len() as u32).to_be_bytes());
                    sample.extend(unit);
                }
            }
        }
        if let (Some(sps), Some(pps), true) = (sps, pps, clip.avcc.is_empty()) {
            clip.avcc = [
                &[1, sps[1], sps[2], sps[3], 0xff, 0xe1],
                &len16(&sps)[..],
                &sps,
            ]
            .concat();
            clip.avcc.extend([&[1], &len16(&pps)[..], &pps].concat());
        }
        clip.samples.push(sample);
    }
    clip
}

fn len16(bytes: &[u8]) -> [u8; 2] {
    (bytes.len() as u16).to_be_bytes()
}

pub fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

pub fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

pub fn ftyp() -> Vec<u8> {
    boxed(b"ftyp", &[b"isom\0\0\x02\0isomavc1"])
}

/// `moov` of one video track with these tables inside `stbl`, and `extra` boxes behind the track.
pub fn moov(avcc: &[u8], tables: &[u8], edits: &[u8], extra: &[u8]) -> Vec<u8> {
    let unity = words(&[0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000]);
    let size = words(&[(CLIP_WIDTH as u32) << 16, (CLIP_HEIGHT as u32) << 16]);
    let tkhd = boxed(
        b"tkhd",
        &[&words(&[3, 0, 0, 1, 0, 0, 0, 0, 0, 0]), &unity, &size],
    );
    let mdhd = boxed(b"mdhd", &[&words(&[0, 0, 0, TIMESCALE, 0, 0])]);
    let hdlr = boxed(b"hdlr", &[&[0; 8], b"vide", &[0; 13]]);
    let mut fields = vec![0; 78];
    fields[7] = 1;
    let avc1 = boxed(b"avc1", &[&fields, &boxed(b"avcC", &[avcc])]);
    let stsd = boxed(b"stsd", &[&words(&[0, 1]), &avc1]);
    let stbl = boxed(b"stbl", &[&stsd, tables]);
    let mdia = boxed(b"mdia", &[&mdhd, &hdlr, &boxed(b"minf", &[&stbl])]);
    let trak = boxed(b"trak", &[&tkhd, edits, &mdia]);
    boxed(b"moov", &[&trak, extra])
}

/// Tables for samples that lie one after another from `offset`.
pub fn tables(clip: &Clip, offset: u64) -> Vec<u8> {
    let count = clip.samples.len() as u32;
    let sizes: Vec<u32> = clip.samples.iter().map(|s| s.len() as u32).collect();
    [
        boxed(b"stts", &[&words(&[0, 1, count, FRAME_TICKS])]),
        boxed(b"stsc", &[&words(&[0, 1, 1, count, 1])]),
        boxed(b"stsz", &[&words(&[0, 0, count]), &words(&sizes)]),
        boxed(b"co64", &[&words(&[0, 1]), &offset.to_be_bytes()]),
    ]
    .concat()
}

/// The index before the media data.
pub fn progressive(clip: &Clip) -> Vec<u8> {
    let index_len = moov(&clip.avcc, &tables(clip, 0), &[], &[]).len();
    let offset = (ftyp().len() + index_len + 8) as u64;
    let media = boxed(b"mdat", &[&clip.samples.concat()]);
    [
        ftyp(),
        moov(&clip.avcc, &tables(clip, offset), &[], &[]),
        media,
    ]
    .concat()
}

/// `moov` without samples, then one `moof` and `mdat` for every `per_fragment` samples.
pub fn fragmented(clip: &Clip, per_fragment: usize) -> Vec<u8> {
    let trex = boxed(b"trex", &[&words(&[0, 1, 1, FRAME_TICKS, 0, 0])]);
    let empty = tables(
        &Clip {
            avcc: Vec::new(),
            samples: Vec::new(),
        },
        0,
    );
    let mut file = [
        ftyp(),
        moov(&clip.avcc, &empty, &[], &boxed(b"mvex", &[&trex])),
    ]
    .concat();
    for (n, samples) in clip.samples.chunks(per_fragment).enumerate() {
        let time = (n * per_fragment) as u32 * FRAME_TICKS;
        let tfhd = boxed(b"tfhd", &[&words(&[0x2_0000, 1])]);
        let tfdt = boxed(b"tfdt", &[&words(&[0, time])]);
        let sizes: Vec<u32> = samples.iter().map(|s| s.len() as u32).collect();
        let moof = |data_offset: u32| {
            let run = words(&[0x201, samples.len() as u32, data_offset]);
            let trun = boxed(b"trun", &[&run, &words(&sizes)]);
            let mfhd = boxed(b"mfhd", &[&words(&[0, n as u32 + 1])]);
            boxed(b"moof", &[&mfhd, &boxed(b"traf", &[&tfhd, &tfdt, &trun])])
        };
        file.extend(moof(moof(0).len() as u32 + 8));
        file.extend(boxed(b"mdat", &[&samples.concat()]));
    }
    file
}
