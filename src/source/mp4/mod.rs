//! MP4 and MOV: from the boxes of a file to packets.
//!
//! Only the index is held in memory (24 bytes a picture); each sample is read when its turn comes.

mod boxes;
mod fragments;
mod index;
mod salvage;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::h264::H264Decoder;
use super::mjpeg::MjpegDecoder;
use super::video::{Demux, Ledger, Packet, VideoSource};
use super::{FrameSource, OpenOptions, SourceError, SourceInfo, unsupported};
use crate::units::Timestamp;
use boxes::{TopBox, code_text, top_box};
use index::{Entry, Sample, Track};
use salvage::Reference;

pub(super) use boxes::FourCc;

/// Ten times the index of a two-hour recording.
const MAX_MOOV_BYTES: u64 = 128 << 20;
const MAX_MOOF_BYTES: u64 = 8 << 20;
/// No coded picture of the sizes we take is larger.
const MAX_SAMPLE_BYTES: u32 = 32 << 20;

/// Whether a file that starts so is MP4 or MOV.
pub(super) fn recognises(head: &[u8]) -> bool {
    head.get(4..8).is_some_and(|kind| {
        [
            b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp",
        ]
        .iter()
        .any(|k| *k == kind)
    })
}

/// What the top level of a file holds.
#[derive(Debug, Default)]
struct Contents {
    tracks: Vec<Track>,
    has_moov: bool,
    /// The largest run of media data.
    mdat: Option<TopBox>,
}

/// Opens `stream`, named `path` in messages.
pub(super) fn open<R: Read + Seek + Send + 'static>(
    mut stream: R,
    path: &Path,
    options: &OpenOptions,
) -> Result<Box<dyn FrameSource>, SourceError> {
    let mut ledger = Ledger::default();
    let contents = read_contents(&mut stream, path, &mut ledger)?;
    if !contents.has_moov {
        let Some(like) = &options.like else {
            return Err(no_index(path, contents.mdat));
        };
        let reference = read_reference(like)?;
        let start = contents.mdat.map_or(0, |mdat| mdat.body);
        return salvage::open(stream, path, start, reference, ledger);
    }
    let count = contents.tracks.len();
    let (place, track) = choose_track(contents.tracks, path)?;
    note_track_damage(&track, &mut ledger);
    let info = track_info(path, &track, place, count);
    let is_jpeg = track.is_jpeg();
    let demux = IndexedSamples {
        stream,
        path: path.to_owned(),
        samples: track.samples.into_iter(),
        origin: track.first_time.unwrap_or(0),
        timescale: track.timescale,
    };
    if is_jpeg {
        let decoder = MjpegDecoder::new(track.rotation);
        return Ok(Box::new(VideoSource::new(info, demux, decoder, ledger)));
    }
    let configs = track.entries.into_iter().map(|entry| entry.avc).collect();
    let decoder = H264Decoder::new(path, configs, track.rotation)?;
    Ok(Box::new(VideoSource::new(info, demux, decoder, ledger)))
}

fn no_index(path: &Path, mdat: Option<TopBox>) -> SourceError {
    let what = match mdat {
        Some(mdat) => format!(
            "no index (moov): it is written when a recording is closed, so power was probably cut. \
             {} bytes of media data are there; `--like FILE` with a good recording of the same camera \
             and settings can salvage them",
            mdat.end - mdat.body
        ),
        None => {
            "neither an index (moov) nor media data (mdat) can be found; if this was a recording, \
                 `--like FILE` with a good one of the same camera searches it for pictures"
                .to_owned()
        }
    };
    SourceError::Malformed {
        path: path.to_owned(),
        offset: mdat.map_or(0, |mdat| mdat.start),
        what,
    }
}

/// What `--like` takes from a good recording.
fn read_reference(path: &Path) -> Result<Reference, SourceError> {
    let unsuited = |what: &str| SourceError::Unsupported {
        path: path.to_owned(),
        what: format!("{what}, so nothing can be salvaged with it"),
    };
    let mut file = File::open(path).map_err(|e| SourceError::io(path, e))?;
    let contents = read_contents(&mut file, path, &mut Ledger::default())?;
    if !contents.has_moov {
        return Err(unsuited("this recording has no index (moov) either"));
    }
    let video_tracks = contents.tracks.len();
    let (_, track) = choose_track(contents.tracks, path)?;
    let Some(config) = track.entries.iter().find_map(|entry| entry.avc.clone()) else {
        return Err(unsuited("this recording is not H.264"));
    };
    let ticks = track.end_time.saturating_sub(track.first_time.unwrap_or(0));
    let length = Timestamp::from_ticks(ticks, track.timescale);
    let Some(largest) = track
        .samples
        .iter()
        .map(|s| s.size)
        .max()
        .filter(|_| length.nanos() > 0)
    else {
        return Err(unsuited("this recording has no pictures"));
    };
    Ok(Reference {
        path: path.to_owned(),
        config,
        rotation: track.rotation,
        frame_time: Timestamp::from_nanos(length.nanos() / track.declared.max(1) as i64),
        largest_sample: largest.min(MAX_SAMPLE_BYTES),
        video_tracks,
    })
}

fn read_contents(
    stream: &mut (impl Read + Seek),
    path: &Path,
    ledger: &mut Ledger,
) -> Result<Contents, SourceError> {
    let io_error = |e| SourceError::io(path, e);
    let file_len = stream.seek(SeekFrom::End(0)).map_err(io_error)?;
    let mut contents = Contents::default();
    // Fragments need the tracks of `moov`, which cameras write before them.
    let mut at = 0;
    while at < file_len {
        let Some(found) = top_box(stream, at, file_len).map_err(io_error)? else {
            ledger.note(|| {
                format!("byte {at}: no box can start here; the rest of the file is not read")
            });
            break;
        };
        match &found.kind {
            b"moov" if found.cut => {
                ledger.note(|| format!("byte {at}: the index (moov) is cut off"));
            }
            b"moov" if !contents.has_moov => {
                let body = load(stream, path, found, MAX_MOOV_BYTES)?;
                let (tracks, _) = index::read_moov(&body, file_len);
                contents.tracks = tracks;
                contents.has_moov = true;
            }
            b"moof" if found.cut => {
                ledger.note(|| {
                    format!("byte {at}: the last fragment is cut off before its pictures")
                });
            }
            b"moof" => {
                let body = load(stream, path, found, MAX_MOOF_BYTES)?;
                for track in &mut contents.tracks {
                    fragments::read_moof(&body, found.start, track, file_len);
                }
            }
            b"mdat" => {
                let len = |b: &TopBox| b.end - b.body;
                if contents
                    .mdat
                    .as_ref()
                    .is_none_or(|old| len(old) < len(&found))
                {
                    contents.mdat = Some(found);
                }
                if found.cut {
                    ledger.note(|| {
                        format!("byte {file_len}: the file ends inside the media data (mdat) that starts at byte {at}")
                    });
                }
            }
            _ => {}
        }
        at = found.end;
    }
    contents.tracks.iter_mut().for_each(Track::settle);
    Ok(contents)
}

fn load(
    stream: &mut (impl Read + Seek),
    path: &Path,
    found: TopBox,
    limit: u64,
) -> Result<Vec<u8>, SourceError> {
    let len = found.end - found.body;
    if len > limit {
        return Err(SourceError::Malformed {
            path: path.to_owned(),
            offset: found.start,
            what: format!(
                "the {} box claims {len} bytes, more than the {limit} that are read",
                code_text(found.kind)
            ),
        });
    }
    let mut body = vec![0; len as usize];
    stream
        .seek(SeekFrom::Start(found.body))
        .and_then(|_| stream.read_exact(&mut body))
        .map_err(|e| SourceError::io(path, e))?;
    Ok(body)
}

/// The H.264 track with the largest picture, the first of equals, enabled ones before others; with its place.
/// JPEG tracks come last: most are preview pictures.
fn choose_track(tracks: Vec<Track>, path: &Path) -> Result<(usize, Track), SourceError> {
    let mut best: Option<(usize, Track)> = None;
    let mut obstacle = "the file holds no video track".to_owned();
    for (place, track) in tracks.into_iter().enumerate() {
        if let Some(what) = track_obstacle(&track) {
            obstacle = what;
            continue;
        }
        let rank = |t: &Track| (!t.is_jpeg(), t.enabled, t.declared > 1, picture_area(t));
        if best
            .as_ref()
            .is_none_or(|(_, old)| rank(old) < rank(&track))
        {
            best = Some((place + 1, track));
        }
    }
    best.ok_or_else(|| SourceError::Unsupported {
        path: path.to_owned(),
        what: obstacle,
    })
}

fn picture_area(track: &Track) -> u64 {
    let sps = track.entries.iter().find_map(|e| e.avc.as_ref());
    sps.map_or(0, |avc| {
        u64::from(avc.sps.width_px) * u64::from(avc.sps.height_px)
    })
}

fn track_obstacle(track: &Track) -> Option<String> {
    let Some(first) = track.entries.first() else {
        return Some("the video track has no sample description".to_owned());
    };
    if track.is_jpeg() {
        return None;
    }
    if !track.entries.iter().any(Entry::is_h264) {
        return Some(unsupported::codec(first.code));
    }
    let Some(avc) = track.entries.iter().find_map(|e| e.avc.as_ref()) else {
        return Some("the H.264 track has no readable parameter sets (avcC)".to_owned());
    };
    avc.sps.obstacle().map(unsupported::kind)
}

fn note_track_damage(track: &Track, ledger: &mut Ledger) {
    for fault in &track.faults {
        ledger.note(|| (*fault).to_owned());
    }
    if let Some((offset, count)) = track.beyond_end {
        ledger.lose(count);
        ledger.note(|| {
            format!("byte {offset}: {count} frame(s) from here on lie past the end of the file")
        });
    }
    if track.declared == 0 {
        ledger.note(|| "no complete picture is in the file".to_owned());
    }
}

fn track_info(path: &Path, track: &Track, place: usize, of: usize) -> SourceInfo {
    let sps = track
        .entries
        .iter()
        .find_map(|e| e.avc.as_ref())
        .map(|avc| &avc.sps);
    let (width, height) = sps.map_or(track.size_px, |sps| (sps.width_px, sps.height_px));
    let (width_px, height_px) = track.rotation.upright(width, height);
    let mut description = match sps {
        Some(sps) => format!("MP4, H.264 {}", sps.profile_name()),
        None => "MP4, MJPEG".to_owned(),
    };
    if of > 1 {
        description.push_str(&format!(", video track {place} of {of}"));
    }
    let lost = track.beyond_end.map_or(0, |(_, count)| count);
    let first = track.first_time.unwrap_or(0);
    SourceInfo {
        path: path.to_owned(),
        description,
        width_px,
        height_px,
        frames: Some(track.readable() + lost),
        duration: Some(Timestamp::from_ticks(
            track.end_time.saturating_sub(first).max(0),
            track.timescale,
        )),
    }
}

/// The samples of a track, read one by one.
struct IndexedSamples<R> {
    stream: R,
    path: std::path::PathBuf,
    samples: std::vec::IntoIter<Sample>,
    origin: i64,
    timescale: u32,
}

impl<R: Read + Seek + Send> Demux for IndexedSamples<R> {
    fn next_packet(
        &mut self,
        data: &mut Vec<u8>,
        ledger: &mut Ledger,
    ) -> Result<Option<Packet>, SourceError> {
        let _ = ledger;
        let Some(sample) = self.samples.next() else {
            return Ok(None);
        };
        // A larger one cannot be a picture: nothing is read, and the decoder answers for the loss.
        data.resize(
            if sample.size > MAX_SAMPLE_BYTES {
                0
            } else {
                sample.size as usize
            },
            0,
        );
        let read = self
            .stream
            .seek(SeekFrom::Start(sample.offset))
            .and_then(|_| self.stream.read_exact(data));
        match read {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => data.clear(),
            other => other.map_err(|e| SourceError::io(&self.path, e))?,
        }
        Ok(Some(Packet {
            time: Timestamp::from_ticks(sample.time.saturating_sub(self.origin), self.timescale),
            offset: sample.offset,
            entry: sample.entry,
        }))
    }
}
