//! A plain MP4 file (ISO/IEC 14496-12 and -15) with one H.264 track: media data first, index last.
//!
//! No time of day is written, so that the same samples give the same bytes.

use std::io::{self, Seek, SeekFrom, Write};

use crate::units::Timestamp;

/// Ticks a second of the track: divides the usual frame rates.
const TIMESCALE: u32 = 90_000;

struct Sample {
    size: u32,
    offset: u64,
    ticks: u64,
    sync: bool,
}

/// Takes samples, then writes the index.
pub(super) struct Mp4Writer<W> {
    out: W,
    at: u64,
    mdat_at: u64,
    samples: Vec<Sample>,
    size: (u16, u16),
    sps: Vec<u8>,
    pps: Vec<u8>,
}

impl<W: Write + Seek> Mp4Writer<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        let ftyp = boxed(b"ftyp", |b| b.extend(b"isom\0\0\x02\0isomiso2avc1mp41"));
        out.write_all(&ftyp)?;
        let mdat_at = ftyp.len() as u64;
        // A 64-bit size, filled in at the end.
        out.write_all(&[0, 0, 0, 1, b'm', b'd', b'a', b't', 0, 0, 0, 0, 0, 0, 0, 0])?;
        Ok(Self {
            out,
            at: mdat_at + 16,
            mdat_at,
            samples: Vec::new(),
            size: (0, 0),
            sps: Vec::new(),
            pps: Vec::new(),
        })
    }

    pub(super) fn parameter_set(&mut self, nal: &[u8], sequence: bool) {
        let set = if sequence {
            &mut self.sps
        } else {
            &mut self.pps
        };
        nal.clone_into(set);
    }

    pub(super) fn sample(
        &mut self,
        data: &[u8],
        time: Timestamp,
        sync: bool,
        size: (u16, u16),
    ) -> io::Result<()> {
        let ticks = i128::from(time.nanos()) * i128::from(TIMESCALE) / 1_000_000_000;
        self.out.write_all(data)?;
        self.samples.push(Sample {
            size: data.len() as u32,
            offset: self.at,
            ticks: u64::try_from(ticks).unwrap_or(0),
            sync,
        });
        self.at += data.len() as u64;
        self.size = size;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        let moov = self.moov();
        self.out.write_all(&moov)?;
        self.out.seek(SeekFrom::Start(self.mdat_at + 8))?;
        self.out
            .write_all(&(self.at - self.mdat_at).to_be_bytes())?;
        self.out.seek(SeekFrom::End(0))?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// How long each sample is shown; the last one as long as the one before.
    fn durations(&self) -> Vec<u32> {
        let mut durations: Vec<u32> = (self.samples.windows(2))
            .map(|pair| {
                pair[1]
                    .ticks
                    .saturating_sub(pair[0].ticks)
                    .min(u64::from(u32::MAX)) as u32
            })
            .collect();
        let last = durations.last().copied().unwrap_or(TIMESCALE / 30);
        durations.truncate(self.samples.len().saturating_sub(1));
        if !self.samples.is_empty() {
            durations.push(last);
        }
        durations
    }

    fn moov(&self) -> Vec<u8> {
        let durations = self.durations();
        let length: u64 = durations.iter().map(|d| u64::from(*d)).sum();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        boxed(b"moov", |moov| {
            moov.extend(full(b"mvhd", 0, 0, |b| {
                words(
                    b,
                    &[0, 0, TIMESCALE, length, 0x0001_0000, 0x0100_0000, 0, 0],
                );
                words(b, &MATRIX);
                words(b, &[0, 0, 0, 0, 0, 0, 2]);
            }));
            moov.extend(boxed(b"trak", |trak| {
                trak.extend(full(b"tkhd", 0, 3, |b| {
                    words(b, &[0, 0, 1, 0, length, 0, 0, 0, 0]);
                    words(b, &MATRIX);
                    words(
                        b,
                        &[u32::from(self.size.0) << 16, u32::from(self.size.1) << 16],
                    );
                }));
                trak.extend(boxed(b"mdia", |mdia| {
                    mdia.extend(full(b"mdhd", 0, 0, |b| {
                        words(b, &[0, 0, TIMESCALE, length, 0x55c4_0000]);
                    }));
                    mdia.extend(full(b"hdlr", 0, 0, |b| {
                        b.extend(b"\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0video\0");
                    }));
                    mdia.extend(boxed(b"minf", |minf| {
                        minf.extend(full(b"vmhd", 0, 1, |b| words(b, &[0, 0])));
                        minf.extend(boxed(b"dinf", |dinf| {
                            dinf.extend(full(b"dref", 0, 0, |b| {
                                words(b, &[1]);
                                b.extend(full(b"url ", 0, 1, |_| {}));
                            }));
                        }));
                        minf.extend(self.stbl(&durations));
                    }));
                }));
            }));
        })
    }

    fn stbl(&self, durations: &[u32]) -> Vec<u8> {
        boxed(b"stbl", |stbl| {
            stbl.extend(full(b"stsd", 0, 0, |b| {
                words(b, &[1]);
                b.extend(self.avc1());
            }));
            stbl.extend(full(b"stts", 0, 0, |b| {
                let mut runs: Vec<[u32; 2]> = Vec::new();
                for duration in durations {
                    match runs.last_mut() {
                        Some([count, of]) if of == duration => *count += 1,
                        _ => runs.push([1, *duration]),
                    }
                }
                words(b, &[runs.len() as u32]);
                runs.iter().for_each(|run| words(b, run));
            }));
            stbl.extend(full(b"stss", 0, 0, |b| {
                let numbered = self.samples.iter().zip(1_u32..);
                let keys: Vec<u32> = numbered.filter(|(s, _)| s.sync).map(|(_, n)| n).collect();
                words(b, &[keys.len() as u32]);
                words(b, &keys);
            }));
            // Every sample is a chunk of its own.
            stbl.extend(full(b"stsc", 0, 0, |b| words(b, &[1, 1, 1, 1])));
            stbl.extend(full(b"stsz", 0, 0, |b| {
                words(b, &[0, self.samples.len() as u32]);
                self.samples.iter().for_each(|s| words(b, &[s.size]));
            }));
            stbl.extend(full(b"co64", 0, 0, |b| {
                words(b, &[self.samples.len() as u32]);
                self.samples
                    .iter()
                    .for_each(|s| b.extend(s.offset.to_be_bytes()));
            }));
        })
    }

    fn avc1(&self) -> Vec<u8> {
        boxed(b"avc1", |b| {
            words(b, &[0, 1]);
            words(b, &[0; 4]);
            b.extend(self.size.0.to_be_bytes());
            b.extend(self.size.1.to_be_bytes());
            // 72 dpi, one frame a sample, no name, 24 bit.
            words(b, &[0x0048_0000, 0x0048_0000, 0]);
            b.extend([0, 1]);
            b.extend([0; 32]);
            b.extend([0, 24, 0xff, 0xff]);
            b.extend(boxed(b"avcC", |b| {
                let profile = |i: usize| self.sps.get(i).copied().unwrap_or_default();
                b.extend([1, profile(1), profile(2), profile(3), 0xff, 0xe1]);
                b.extend((self.sps.len() as u16).to_be_bytes());
                b.extend(&self.sps);
                b.push(1);
                b.extend((self.pps.len() as u16).to_be_bytes());
                b.extend(&self.pps);
            }));
        })
    }
}

/// The identity, as 16.16 and 2.30 fixed-point numbers.
const MATRIX: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];

fn words(b: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| b.extend(v.to_be_bytes()));
}

fn boxed(kind: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut b = vec![0; 4];
    b.extend(kind);
    fill(&mut b);
    let size = b.len() as u32;
    b[..4].copy_from_slice(&size.to_be_bytes());
    b
}

fn full(kind: &[u8; 4], version: u8, flags: u32, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    boxed(kind, |b| {
        words(b, &[(u32::from(version) << 24) | flags]);
        fill(b);
    })
}
