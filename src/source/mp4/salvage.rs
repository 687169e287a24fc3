//! A recording without its index: the media data is searched for NAL units like those of a good recording.
//!
//! A unit is taken where a length, a header that fits the good recording's parameter sets and a body free of the
//! byte patterns that H.264 forbids come together. Elsewhere (audio, maps, damage) the search goes on byte by byte.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::MAX_SAMPLE_BYTES;
use crate::source::fields::{Bits, Fields};
use crate::source::h264::H264Decoder;
use crate::source::h264_params::{AvcConfig, nal};
use crate::source::upright::Rotation;
use crate::source::video::{Demux, Ledger, Packet, VideoSource};
use crate::source::{FrameSource, SourceError, SourceInfo};
use crate::units::Timestamp;

/// Pictures may be this many times larger than the largest of the good recording.
const SIZE_SLACK: usize = 4;
const WINDOW_BYTES: usize = 256 << 10;
/// Enough of a unit to judge its header.
const JUDGED_BYTES: usize = 24;
const MAX_PARAMETER_BYTES: usize = 256;

/// What is known of the camera from a good recording.
pub(super) struct Reference {
    pub path: PathBuf,
    pub config: AvcConfig,
    pub rotation: Rotation,
    pub frame_time: Timestamp,
    pub largest_sample: u32,
    pub video_tracks: usize,
}

/// Opens the media data of `stream` from byte `start`.
pub(super) fn open<R: Read + Seek + Send + 'static>(
    mut stream: R,
    path: &Path,
    start: u64,
    reference: Reference,
    mut ledger: Ledger,
) -> Result<Box<dyn FrameSource>, SourceError> {
    let file_len = stream
        .seek(SeekFrom::End(0))
        .map_err(|e| SourceError::io(path, e))?;
    let rate_hz = 1.0 / reference.frame_time.seconds();
    ledger.note(|| {
        format!(
            "no index (moov): salvaged with the parameters of {} at {rate_hz:.2} frames a second",
            reference.path.display()
        )
    });
    if reference.video_tracks > 1 {
        ledger.note(|| {
            let tracks = reference.video_tracks;
            format!(
                "the camera writes {tracks} video tracks: pictures of the others count as damaged"
            )
        });
    }
    let sps = &reference.config.sps;
    let (width_px, height_px) = reference.rotation.upright(sps.width_px, sps.height_px);
    let info = SourceInfo {
        path: path.to_owned(),
        description: format!("MP4 without index, H.264 {}", sps.profile_name()),
        width_px,
        height_px,
        frames: None,
        duration: None,
    };
    let configs = vec![Some(reference.config.clone())];
    let decoder = H264Decoder::new(path, configs, reference.rotation)?;
    let search = Search {
        rules: Rules::new(&reference),
        window: Window {
            stream,
            bytes: Vec::new(),
            start: 0,
            file_len,
        },
        path: path.to_owned(),
        at: start,
        frame_time: reference.frame_time,
        found: 0,
        end_noted: false,
        forbidden_at: 0,
    };
    Ok(Box::new(VideoSource::new(info, search, decoder, ledger)))
}

/// What a NAL unit of this camera looks like.
struct Rules {
    length_bytes: usize,
    max_unit_bytes: usize,
    sps_head: Vec<u8>,
    pps_ids: Vec<u32>,
}

impl Rules {
    fn new(reference: &Reference) -> Self {
        let units = &reference.config.units;
        let of_kind = |kind| units.iter().filter(move |u| nal::kind(u) == kind);
        Self {
            length_bytes: reference.config.length_bytes,
            max_unit_bytes: (reference.largest_sample as usize).saturating_mul(SIZE_SLACK),
            sps_head: of_kind(nal::SPS)
                .filter_map(|u| u.get(..4))
                .next()
                .unwrap_or_default()
                .to_vec(),
            pps_ids: of_kind(nal::PPS)
                .filter_map(|u| Bits::new(u.get(1..)?).ue())
                .collect(),
        }
    }

    /// Length of the unit whose length field `head` starts with, when it can be one.
    fn unit_len(&self, head: &[u8]) -> Option<usize> {
        let mut fields = Fields::new(head);
        let len = usize::try_from(fields.uint(self.length_bytes)?).ok()?;
        if !(2..=self.max_unit_bytes).contains(&len) {
            return None;
        }
        let unit = fields.rest();
        let header = *unit.first()?;
        let (forbidden, reference) = (header >> 7, header >> 5 & 3);
        let kind = header & 0x1f;
        let fits = forbidden == 0
            && match kind {
                nal::SLICE => self.is_slice(unit),
                nal::IDR => reference != 0 && self.is_slice(unit),
                nal::SPS => unit.starts_with(&self.sps_head) && len <= MAX_PARAMETER_BYTES,
                nal::PPS => {
                    reference != 0
                        && len <= MAX_PARAMETER_BYTES
                        && Bits::new(&unit[1..])
                            .ue()
                            .is_some_and(|id| self.pps_ids.contains(&id))
                }
                nal::SEI => reference == 0 && len <= self.max_unit_bytes.min(64 << 10),
                nal::DELIMITER => len == 2 && unit.get(1).is_some_and(|b| b & 0x1f == 0x10),
                nal::FILLER => unit[1..].iter().take(len - 2).all(|b| *b == 0xff),
                _ => false,
            };
        fits.then_some(len)
    }

    fn is_slice(&self, unit: &[u8]) -> bool {
        let mut bits = Bits::new(&unit[1..]);
        let (Some(_), Some(kind), Some(pps)) = (bits.ue(), bits.ue(), bits.ue()) else {
            return false;
        };
        kind <= 9 && self.pps_ids.contains(&pps)
    }
}

/// Where a body holds what emulation prevention keeps out of NAL units, zeros at the end apart.
fn forbidden_at(unit: &[u8]) -> Option<usize> {
    let used = unit
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |last| last + 1);
    let mut zeros = 0;
    unit[..used].iter().position(|b| {
        let forbidden = zeros >= 2 && *b <= 2;
        zeros = if *b == 0 { zeros + 1 } else { 0 };
        forbidden
    })
}

/// A part of the file that follows the search.
struct Window<R> {
    stream: R,
    bytes: Vec<u8>,
    start: u64,
    file_len: u64,
}

impl<R: Read + Seek> Window<R> {
    /// The bytes from `at`, `len` of them or as many as the file has.
    fn view(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let len = len.min(self.file_len.saturating_sub(at) as usize);
        let inside = at >= self.start && at + len as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            // Twice what is asked for, so that a search with many false hits reads each byte a few times at most.
            let fill = (2 * len)
                .max(WINDOW_BYTES)
                .min((self.file_len - at) as usize);
            self.bytes.resize(fill, 0);
            self.start = at;
            self.stream.seek(SeekFrom::Start(at))?;
            self.stream.read_exact(&mut self.bytes)?;
        }
        let from = (at - self.start) as usize;
        Ok(&self.bytes[from..from + len])
    }
}

struct Search<R> {
    rules: Rules,
    window: Window<R>,
    path: PathBuf,
    at: u64,
    frame_time: Timestamp,
    found: u64,
    end_noted: bool,
    /// Last place found that no unit may hold.
    forbidden_at: u64,
}

impl<R: Read + Seek> Search<R> {
    /// Gathers the units of the next picture, with their lengths, into `data`; returns where it starts.
    fn gather(&mut self, data: &mut Vec<u8>, ledger: &mut Ledger) -> io::Result<Option<u64>> {
        let mut picture_at = None;
        data.clear();
        while self.at < self.window.file_len {
            let Some(whole) = self.unit_here(ledger)? else {
                // Between two units of a picture lies nothing else.
                if picture_at.is_some() {
                    break;
                }
                self.at += 1;
                continue;
            };
            let unit = self.window.view(self.at, whole)?;
            let body = &unit[self.rules.length_bytes..];
            let full = data.len() + whole > MAX_SAMPLE_BYTES as usize;
            if picture_at.is_some() && (starts_picture(body) || full) {
                break;
            }
            if full {
                data.clear();
            }
            data.extend_from_slice(unit);
            if picture_at.is_none() && nal::is_picture(nal::kind(body)) {
                picture_at = Some(self.at);
            }
            self.at += whole as u64;
        }
        Ok(picture_at)
    }

    /// Length of the unit that starts here, its length field included.
    fn unit_here(&mut self, ledger: &mut Ledger) -> io::Result<Option<usize>> {
        let prefix = self.rules.length_bytes;
        let at = self.at;
        let head = self.window.view(at, prefix + JUDGED_BYTES)?;
        let Some(len) = self.rules.unit_len(head) else {
            return Ok(None);
        };
        let is_picture = head.get(prefix).is_some_and(|b| nal::is_picture(b & 0x1f));
        let end = at + (prefix + len) as u64;
        if end > self.window.file_len {
            if is_picture && !std::mem::replace(&mut self.end_noted, true) {
                ledger.lose(1);
                ledger.note(|| format!("byte {at}: the last picture does not end in the file"));
            }
            return Ok(None);
        }
        // What made a unit unsound makes every other one around it unsound too.
        let body_at = at + prefix as u64;
        if (body_at + 2..end).contains(&self.forbidden_at) {
            return Ok(None);
        }
        let body = &self.window.view(at, prefix + len)?[prefix..];
        match forbidden_at(body) {
            Some(place) => {
                self.forbidden_at = body_at + place as u64;
                Ok(None)
            }
            None => Ok(Some(prefix + len)),
        }
    }
}

/// Whether a unit that follows a slice belongs to the next picture.
fn starts_picture(unit: &[u8]) -> bool {
    match nal::kind(unit) {
        kind if nal::is_picture(kind) => Bits::new(&unit[1..]).ue() == Some(0),
        nal::FILLER => false,
        _ => true,
    }
}

impl<R: Read + Seek + Send> Demux for Search<R> {
    fn next_packet(
        &mut self,
        data: &mut Vec<u8>,
        ledger: &mut Ledger,
    ) -> Result<Option<Packet>, SourceError> {
        let found = self
            .gather(data, ledger)
            .map_err(|e| SourceError::io(&self.path, e))?;
        let Some(offset) = found else {
            if self.found == 0 {
                ledger.note(|| "no picture like those of the good recording was found".to_owned());
            }
            return Ok(None);
        };
        let number = i64::try_from(self.found).unwrap_or(i64::MAX);
        self.found += 1;
        Ok(Some(Packet {
            time: Timestamp::from_nanos(self.frame_time.nanos().saturating_mul(number)),
            offset,
            entry: 0,
        }))
    }
}
