//! `moov`: the tracks of a file and where each coded picture lies.

use super::boxes::{FourCc, child, children, version_flags};
use crate::source::fields::Fields;
use crate::source::h264_params::{AvcConfig, matrix_of};
use crate::source::upright::Rotation;

/// More than a day at 30 frames a second.
const MAX_SAMPLES: u64 = 3_000_000;
const MAX_TRACKS: usize = 64;
const MAX_ENTRIES: usize = 64;

/// One coded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub offset: u64,
    /// Composition time in ticks of the track.
    pub time: i64,
    pub size: u32,
    /// Which of the track's entries describes it.
    pub entry: u16,
}

/// A sample description.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub code: FourCc,
    /// For H.264 with readable parameter sets.
    pub avc: Option<AvcConfig>,
}

impl Entry {
    pub(super) fn is_h264(&self) -> bool {
        matches!(&self.code, b"avc1" | b"avc2" | b"avc3" | b"avc4")
    }

    pub(super) fn is_jpeg(&self) -> bool {
        matches!(&self.code, b"jpeg" | b"mjpg")
    }
}

/// What a fragment may leave out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Defaults {
    pub entry: u32,
    pub duration: u32,
    pub size: u32,
}

/// A video track and its samples.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub id: u32,
    pub enabled: bool,
    pub timescale: u32,
    pub rotation: Rotation,
    pub size_px: (u32, u32),
    pub entries: Vec<Entry>,
    pub defaults: Defaults,
    pub samples: Vec<Sample>,
    /// Samples the tables name, those beyond the end of the file included.
    pub declared: u64,
    /// Lost before the first sample was read, with the byte of the first one.
    pub beyond_end: Option<(u64, u64)>,
    /// Tables that do not fit together, or a limit reached.
    pub faults: Vec<&'static str>,
    /// Composition time of the first picture that is shown; the latest end of a picture.
    pub first_time: Option<i64>,
    pub end_time: i64,
    /// Decoding time at the end of the last sample.
    pub next_decode_time: i64,
    edit_start: i64,
}

impl Track {
    /// Adds a sample that follows the last one. False when no more are taken.
    pub(super) fn push(&mut self, sample: Sample, duration: u32, file_len: u64) -> bool {
        if self.declared >= MAX_SAMPLES {
            self.fault("more than 3,000,000 samples: the rest is not read");
            return false;
        }
        let end_time = sample.time.saturating_add(i64::from(duration));
        let shown = sample.time >= self.edit_start;
        if shown {
            self.first_time = Some(self.first_time.map_or(sample.time, |t| t.min(sample.time)));
            self.end_time = self.end_time.max(end_time);
        }
        self.declared += 1;
        let end = sample.offset.saturating_add(u64::from(sample.size));
        if end > file_len {
            let (_, count) = self.beyond_end.get_or_insert((sample.offset, 0));
            *count += u64::from(shown);
        } else {
            self.samples.push(sample);
        }
        true
    }

    /// To be called after the last sample: an edit that would hide every picture is not believed.
    pub(super) fn settle(&mut self) {
        if self.first_time.is_none() && !self.samples.is_empty() {
            self.first_time = self.samples.iter().map(|s| s.time).min();
            self.end_time = self.next_decode_time;
            self.fault("the edit list hides every picture: it is ignored");
        }
    }

    pub(super) fn fault(&mut self, what: &'static str) {
        if !self.faults.contains(&what) {
            self.faults.push(what);
        }
    }

    /// Whether its pictures are JPEG, each on its own.
    pub(super) fn is_jpeg(&self) -> bool {
        self.entries.iter().all(Entry::is_jpeg) && !self.entries.is_empty()
    }

    /// Samples that are shown and lie in the file.
    pub(super) fn readable(&self) -> u64 {
        let first = self.first_time.unwrap_or(0);
        self.samples.iter().filter(|s| s.time >= first).count() as u64
    }
}

/// The video tracks of a `moov` body, in file order, and whether fragments may follow.
pub(super) fn read_moov(moov: &[u8], file_len: u64) -> (Vec<Track>, bool) {
    let mvex = child(moov, b"mvex");
    let tracks = children(moov)
        .filter(|(kind, _)| kind == b"trak")
        .take(MAX_TRACKS)
        .filter_map(|(_, trak)| read_track(trak, mvex, file_len))
        .collect();
    (tracks, mvex.is_some())
}

fn read_track(trak: &[u8], mvex: Option<&[u8]>, file_len: u64) -> Option<Track> {
    let mdia = child(trak, b"mdia")?;
    let mut hdlr = Fields::new(child(mdia, b"hdlr")?);
    hdlr.skip(8)?;
    if hdlr.four()? != *b"vide" {
        return None;
    }
    let mut track = Track::default();
    read_header(child(trak, b"tkhd")?, &mut track)?;
    let mut mdhd = Fields::new(child(mdia, b"mdhd")?);
    let (version, _) = version_flags(&mut mdhd)?;
    mdhd.skip(if version == 1 { 16 } else { 8 })?;
    track.timescale = mdhd.u32()?;
    if let Some(start) = child(trak, b"edts")
        .and_then(|edts| child(edts, b"elst"))
        .and_then(read_edit_start)
    {
        track.edit_start = start;
    }
    let stbl = child(child(mdia, b"minf")?, b"stbl")?;
    track.entries = child(stbl, b"stsd").map_or_else(Vec::new, read_entries);
    if let Some(mvex) = mvex {
        for (_, trex) in children(mvex).filter(|(kind, _)| kind == b"trex") {
            read_trex(trex, &mut track);
        }
    }
    if read_samples(stbl, &mut track, file_len).is_none() {
        track.fault("the sample tables are incomplete");
    }
    Some(track)
}

fn read_header(tkhd: &[u8], track: &mut Track) -> Option<()> {
    let mut f = Fields::new(tkhd);
    let (version, flags) = version_flags(&mut f)?;
    track.enabled = flags & 1 != 0;
    f.skip(if version == 1 { 16 } else { 8 })?;
    track.id = f.u32()?;
    f.skip(if version == 1 { 12 } else { 8 } + 16)?;
    let mut matrix = [0; 9];
    for value in &mut matrix {
        *value = f.u32()? as i32;
    }
    track.rotation = Rotation::from_matrix(matrix[0], matrix[1], matrix[3], matrix[4]);
    track.size_px = (f.u32()? >> 16, f.u32()? >> 16);
    Some(())
}

/// Media time at which the first edit that shows media starts.
fn read_edit_start(elst: &[u8]) -> Option<i64> {
    let mut f = Fields::new(elst);
    let (version, _) = version_flags(&mut f)?;
    for _ in 0..f.u32()? {
        let start = if version == 1 {
            f.skip(8)?;
            f.u64()? as i64
        } else {
            f.skip(4)?;
            i64::from(f.u32()? as i32)
        };
        f.skip(4)?;
        if start >= 0 {
            return Some(start);
        }
    }
    None
}

fn read_entries(stsd: &[u8]) -> Vec<Entry> {
    let boxes = children(stsd.get(8..).unwrap_or(&[]));
    boxes
        .take(MAX_ENTRIES)
        .map(|(code, body)| {
            // Fixed fields of a visual sample entry come first.
            let inner = body.get(78..).unwrap_or(&[]);
            let mut avc = child(inner, b"avcC").and_then(AvcConfig::parse);
            if let (Some(avc), Some(colr)) = (&mut avc, child(inner, b"colr")) {
                avc.container_colour = read_colr(colr);
            }
            Entry { code, avc }
        })
        .collect()
}

fn read_colr(colr: &[u8]) -> (Option<crate::frame::ColourMatrix>, Option<bool>) {
    let mut f = Fields::new(colr);
    let kind = f.four();
    let matrix = f.skip(4).and_then(|()| f.u16());
    match kind {
        Some([b'n', b'c', b'l', b'x']) => (
            matrix.and_then(|m| matrix_of(u32::from(m))),
            f.u8().map(|b| b & 0x80 != 0),
        ),
        Some([b'n', b'c', b'l', b'c']) => (matrix.and_then(|m| matrix_of(u32::from(m))), None),
        _ => (None, None),
    }
}

fn read_trex(trex: &[u8], track: &mut Track) -> Option<()> {
    let mut f = Fields::new(trex);
    f.skip(4)?;
    if f.u32()? == track.id {
        track.defaults = Defaults {
            entry: f.u32()?,
            duration: f.u32()?,
            size: f.u32()?,
        };
    }
    Some(())
}

/// Run-length table of (count, value) pairs, one value a sample; the last value goes on.
struct Runs<'a> {
    fields: Fields<'a>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn new(body: Option<&'a [u8]>) -> Self {
        Self {
            fields: Fields::new(body.and_then(|b| b.get(8..)).unwrap_or(&[])),
            left: 0,
            value: 0,
        }
    }

    fn next(&mut self) -> u32 {
        while self.left == 0 {
            let (Some(count), Some(value)) = (self.fields.u32(), self.fields.u32()) else {
                return self.value;
            };
            (self.left, self.value) = (count, value);
        }
        self.left -= 1;
        self.value
    }
}

fn read_samples(stbl: &[u8], track: &mut Track, file_len: u64) -> Option<()> {
    let mut durations = Runs::new(child(stbl, b"stts"));
    let mut shifts = Runs::new(child(stbl, b"ctts"));
    let mut sizes = Sizes::read(stbl)?;
    let (mut offsets, offset_bytes) = match (child(stbl, b"co64"), child(stbl, b"stco")) {
        (Some(long), _) => (Fields::new(long), 8),
        (None, Some(short)) => (Fields::new(short), 4),
        (None, None) => return sizes.count.eq(&0).then_some(()),
    };
    offsets.skip(4)?;
    let chunk_count = offsets.u32()?;
    let mut chunk_runs = Fields::new(child(stbl, b"stsc")?);
    chunk_runs.skip(8)?;
    let mut run = ChunkRun::default();
    let mut next_run = ChunkRun::read(&mut chunk_runs);
    for chunk in 1..=chunk_count {
        let Some(mut offset) = offsets.uint(offset_bytes) else {
            break;
        };
        while let Some(next) = next_run.filter(|next| next.first_chunk <= chunk) {
            run = next;
            next_run = ChunkRun::read(&mut chunk_runs);
        }
        for _ in 0..run.samples {
            let Some(size) = sizes.next() else {
                break;
            };
            let duration = durations.next();
            // Version 0 tables hold negative shifts too, whatever the standard says.
            let shift = i64::from(shifts.next() as i32);
            let sample = Sample {
                offset,
                time: track.next_decode_time.saturating_add(shift),
                size,
                entry: run.entry,
            };
            track.next_decode_time = track.next_decode_time.saturating_add(i64::from(duration));
            offset = offset.saturating_add(u64::from(size));
            if !track.push(sample, duration, file_len) {
                return Some(());
            }
        }
    }
    (sizes.given == sizes.count).then_some(())
}

/// A run of chunks with the same number of samples.
#[derive(Debug, Clone, Copy, Default)]
struct ChunkRun {
    first_chunk: u32,
    samples: u32,
    entry: u16,
}

impl ChunkRun {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (first_chunk, samples, entry) = (fields.u32()?, fields.u32()?, fields.u32()?);
        Some(Self {
            first_chunk,
            samples,
            entry: u16::try_from(entry.saturating_sub(1)).unwrap_or(u16::MAX),
        })
    }
}

/// `stsz` or `stz2`.
struct Sizes<'a> {
    fields: Fields<'a>,
    constant: u32,
    bits: u8,
    half: Option<u8>,
    count: u32,
    given: u32,
}

impl<'a> Sizes<'a> {
    fn read(stbl: &'a [u8]) -> Option<Self> {
        let (mut fields, compact) = match child(stbl, b"stsz") {
            Some(body) => (Fields::new(body), false),
            None => (Fields::new(child(stbl, b"stz2")?), true),
        };
        fields.skip(4)?;
        let word = fields.u32()?;
        Some(Self {
            count: fields.u32()?,
            fields,
            constant: if compact { 0 } else { word },
            bits: if compact { word as u8 } else { 32 },
            half: None,
            given: 0,
        })
    }

    fn next(&mut self) -> Option<u32> {
        if self.given >= self.count {
            return None;
        }
        let size = match self.bits {
            _ if self.constant != 0 => self.constant,
            4 => match self.half.take() {
                Some(low) => u32::from(low),
                None => {
                    let byte = self.fields.u8()?;
                    self.half = Some(byte & 15);
                    u32::from(byte >> 4)
                }
            },
            8 => u32::from(self.fields.u8()?),
            16 => u32::from(self.fields.u16()?),
            32 => self.fields.u32()?,
            _ => return None,
        };
        self.given += 1;
        Some(size)
    }
}
