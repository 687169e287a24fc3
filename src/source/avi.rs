//! AVI with MJPEG: the chunks of `movi` one after another. No index is needed, so a cut file reads up to the cut.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::fields::Fields;
use super::mjpeg::MjpegDecoder;
use super::mp4::FourCc;
use super::upright::Rotation;
use super::video::{Demux, Ledger, Packet, VideoSource};
use super::{FrameSource, SourceError, SourceInfo, unsupported};
use crate::units::Timestamp;

const MAX_HEADER_BYTES: u64 = 4 << 20;
const MAX_PICTURE_BYTES: u64 = 32 << 20;
const MAX_STREAMS: usize = 100;
const SEARCH_BYTES: usize = 64 << 10;

/// Whether a file that starts so is AVI.
pub(super) fn recognises(head: &[u8]) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ")
}

/// The header of a stream.
#[derive(Debug, Clone)]
struct StreamHeader {
    kind: FourCc,
    handler: FourCc,
    compression: FourCc,
    scale: u32,
    rate: u32,
    frames: u32,
    size_px: (u32, u32),
}

impl StreamHeader {
    fn is_mjpeg(&self) -> bool {
        let known = |code: &FourCc| {
            [b"MJPG", b"JPEG", b"DMB1", b"IJPG"]
                .iter()
                .any(|k| code.eq_ignore_ascii_case(*k))
        };
        known(&self.compression) || known(&self.handler)
    }
}

/// Opens `stream`, named `path` in messages.
pub(super) fn open<R: Read + Seek + Send + 'static>(
    mut stream: R,
    path: &Path,
) -> Result<Box<dyn FrameSource>, SourceError> {
    let io_error = |e| SourceError::io(path, e);
    let file_len = stream.seek(SeekFrom::End(0)).map_err(io_error)?;
    let (streams, movi) = read_headers(&mut stream, path, file_len)?;
    let videos = streams.iter().filter(|s| s.kind == *b"vids");
    let video_count = videos.clone().count();
    let Some((number, header)) = streams
        .iter()
        .enumerate()
        .find(|(_, s)| s.kind == *b"vids" && s.is_mjpeg())
    else {
        let first = videos.clone().next();
        return Err(SourceError::Unsupported {
            path: path.to_owned(),
            what: first.map_or_else(
                || "the file holds no video stream".to_owned(),
                |video| unsupported::codec(video.compression),
            ),
        });
    };
    let mut description = "AVI, MJPEG".to_owned();
    if video_count > 1 {
        description.push_str(&format!(", stream {number} of {video_count} with video"));
    }
    let declared = u64::from(header.frames);
    let info = SourceInfo {
        path: path.to_owned(),
        description,
        width_px: header.size_px.0,
        height_px: header.size_px.1,
        frames: (declared > 0).then_some(declared),
        duration: (declared > 0).then(|| slot_time(declared, header)),
    };
    let mut ledger = Ledger::default();
    if declared == 0 {
        ledger.note(|| "the header names no frames: the recording was not closed".to_owned());
    }
    let demux = Chunks {
        stream,
        path: path.to_owned(),
        at: movi,
        file_len,
        tag: [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8],
        header: header.clone(),
        slots: 0,
        ended: false,
    };
    let decoder = MjpegDecoder::new(Rotation::None);
    Ok(Box::new(VideoSource::new(info, demux, decoder, ledger)))
}

fn slot_time(slot: u64, header: &StreamHeader) -> Timestamp {
    let ticks = i64::try_from(slot).unwrap_or(i64::MAX);
    Timestamp::from_ticks(ticks.saturating_mul(i64::from(header.scale)), header.rate)
}

/// A chunk header.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    id: FourCc,
    len: u64,
    /// Kind of a `LIST` or `RIFF`.
    list: FourCc,
}

fn read_chunk(
    stream: &mut (impl Read + Seek),
    at: u64,
    file_len: u64,
) -> io::Result<Option<Chunk>> {
    let mut header = [0; 12];
    let there = file_len.saturating_sub(at).min(12) as usize;
    stream.seek(SeekFrom::Start(at))?;
    stream.read_exact(&mut header[..there])?;
    let mut fields = Fields::new(&header[..there]);
    let (Some(id), Some(len)) = (fields.four(), fields.u32_le()) else {
        return Ok(None);
    };
    Ok(Some(Chunk {
        id,
        len: u64::from(len),
        list: fields.four().unwrap_or_default(),
    }))
}

/// The streams, and where the chunks of the first `movi` start.
fn read_headers(
    stream: &mut (impl Read + Seek),
    path: &Path,
    file_len: u64,
) -> Result<(Vec<StreamHeader>, u64), SourceError> {
    let io_error = |e| SourceError::io(path, e);
    let malformed = |offset, what: &str| SourceError::Malformed {
        path: path.to_owned(),
        offset,
        what: what.to_owned(),
    };
    let mut streams = Vec::new();
    let mut at = 12;
    while let Some(chunk) = read_chunk(stream, at, file_len).map_err(io_error)? {
        match (&chunk.id, &chunk.list) {
            (b"LIST", b"hdrl") => {
                let len = chunk.len.min(file_len - at - 8);
                if len > MAX_HEADER_BYTES {
                    return Err(malformed(at, "the header list is larger than 4 MiB"));
                }
                let mut body = vec![0; len as usize];
                stream
                    .seek(SeekFrom::Start(at + 8))
                    .and_then(|_| stream.read_exact(&mut body))
                    .map_err(io_error)?;
                streams = read_streams(body.get(4..).unwrap_or(&[]));
            }
            (b"LIST", b"movi") => return Ok((streams, at + 12)),
            _ => {}
        }
        at += 8 + chunk.len + (chunk.len & 1);
    }
    Err(malformed(
        at.min(file_len),
        "the file ends before its pictures (movi)",
    ))
}

/// Chunks of a loaded list.
fn chunks(body: &[u8]) -> impl Iterator<Item = (FourCc, &[u8])> {
    let mut fields = Fields::new(body);
    std::iter::from_fn(move || {
        let id = fields.four()?;
        let len = fields.u32_le()? as usize;
        let body = fields.take(len.min(fields.rest().len()))?;
        if len % 2 == 1 {
            let _ = fields.skip(1);
        }
        Some((id, body))
    })
}

fn read_streams(hdrl: &[u8]) -> Vec<StreamHeader> {
    chunks(hdrl)
        .filter(|(id, body)| id == b"LIST" && body.starts_with(b"strl"))
        .take(MAX_STREAMS)
        .map(|(_, body)| {
            let list = &body[4..];
            let find = |wanted: &FourCc| {
                chunks(list)
                    .find(|(id, _)| id == wanted)
                    .map_or(&[][..], |(_, body)| body)
            };
            read_stream(find(b"strh"), find(b"strf")).unwrap_or(StreamHeader {
                kind: *b"none",
                handler: *b"none",
                compression: *b"none",
                scale: 0,
                rate: 0,
                frames: 0,
                size_px: (0, 0),
            })
        })
        .collect()
}

fn read_stream(strh: &[u8], strf: &[u8]) -> Option<StreamHeader> {
    let mut h = Fields::new(strh);
    let (kind, handler) = (h.four()?, h.four()?);
    h.skip(12)?;
    let (scale, rate) = (h.u32_le()?, h.u32_le()?);
    h.skip(4)?;
    let frames = h.u32_le()?;
    let mut f = Fields::new(strf);
    let mut format = || {
        f.skip(4)?;
        let size = (f.u32_le()?, (f.u32_le()? as i32).unsigned_abs());
        f.skip(4)?;
        Some((size, f.four()?))
    };
    let (size_px, compression) = if kind == *b"vids" {
        format()?
    } else {
        ((0, 0), *b"none")
    };
    let plausible = scale > 0 && rate > 0;
    Some(StreamHeader {
        kind,
        handler,
        compression,
        // Without a rate, the custom of cameras that leave it out.
        scale: if plausible { scale } else { 1 },
        rate: if plausible { rate } else { 30 },
        frames,
        size_px,
    })
}

/// The picture chunks of one stream.
struct Chunks<R> {
    stream: R,
    path: PathBuf,
    at: u64,
    file_len: u64,
    tag: [u8; 2],
    header: StreamHeader,
    /// Picture slots so far: chunks read, lost and empty ones.
    slots: u64,
    ended: bool,
}

impl<R: Read + Seek> Chunks<R> {
    fn is_picture(&self, id: FourCc) -> bool {
        id[..2] == self.tag && matches!(&id[2..], b"dc" | b"db")
    }

    /// Where the next picture chunk of the stream starts; `None` when there is none. Also whether only zeros lay between.
    fn search(&mut self) -> io::Result<(Option<u64>, bool)> {
        let mut buffer = vec![0; SEARCH_BYTES];
        let mut start = self.at + 1;
        let mut zeros = true;
        while start + 8 <= self.file_len {
            let len = (self.file_len - start).min(SEARCH_BYTES as u64) as usize;
            self.stream.seek(SeekFrom::Start(start))?;
            self.stream.read_exact(&mut buffer[..len])?;
            let view = &buffer[..len];
            for (i, id) in view.windows(4).enumerate() {
                if self.is_picture([id[0], id[1], id[2], id[3]]) {
                    return Ok((Some(start + i as u64), false));
                }
            }
            zeros &= view.iter().all(|b| *b == 0);
            start += (len - 3) as u64;
        }
        Ok((None, zeros))
    }

    fn resume(&mut self, ledger: &mut Ledger) -> io::Result<()> {
        let from = self.at;
        match self.search()? {
            (Some(found), _) => {
                ledger.note(|| {
                    format!("byte {from}: no chunk can start here; went on at byte {found}")
                });
                self.at = found;
            }
            (None, zeros) => {
                if !zeros {
                    ledger.note(|| format!("byte {from}: no picture can be found from here on"));
                }
                self.at = self.file_len;
            }
        }
        Ok(())
    }

    fn step(&mut self, data: &mut Vec<u8>, ledger: &mut Ledger) -> io::Result<Option<Packet>> {
        while let Some(chunk) = read_chunk(&mut self.stream, self.at, self.file_len)? {
            if matches!(&chunk.id, b"RIFF")
                || (chunk.id == *b"LIST" && matches!(&chunk.list, b"movi" | b"rec "))
            {
                self.at += 12;
                continue;
            }
            let offset = self.at;
            let end = offset + 8 + chunk.len + (chunk.len & 1);
            let plausible = chunk
                .id
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b' ');
            if !self.is_picture(chunk.id) {
                if plausible && end <= self.file_len {
                    self.at = end;
                } else {
                    self.resume(ledger)?;
                }
                continue;
            }
            let slot = self.slots;
            self.slots += 1;
            if offset + 8 + chunk.len > self.file_len || chunk.len > MAX_PICTURE_BYTES {
                ledger.lose(1);
                ledger.note(|| format!("byte {offset}: the picture here does not end in the file"));
                self.resume(ledger)?;
                continue;
            }
            self.at = end;
            // An empty chunk repeats the picture before: time goes on, no frame.
            if chunk.len == 0 {
                continue;
            }
            data.resize(chunk.len as usize, 0);
            self.stream.seek(SeekFrom::Start(offset + 8))?;
            self.stream.read_exact(data)?;
            return Ok(Some(Packet {
                time: slot_time(slot, &self.header),
                offset,
                entry: 0,
            }));
        }
        Ok(None)
    }
}

impl<R: Read + Seek + Send> Demux for Chunks<R> {
    fn next_packet(
        &mut self,
        data: &mut Vec<u8>,
        ledger: &mut Ledger,
    ) -> Result<Option<Packet>, SourceError> {
        let packet = self
            .step(data, ledger)
            .map_err(|e| SourceError::io(&self.path, e))?;
        if packet.is_none() && !std::mem::replace(&mut self.ended, true) {
            let (declared, found) = (u64::from(self.header.frames), self.slots);
            if declared > found {
                ledger.lose(declared - found);
                ledger.note(|| {
                    format!("the header names {declared} frames, {found} are in the file")
                });
            }
        }
        Ok(packet)
    }
}
