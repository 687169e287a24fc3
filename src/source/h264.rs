//! H.264 pictures through OpenH264, one thread, in the order they are shown.
//!
//! The decoder gives pictures in display order but without their times. The n-th picture out therefore takes the
//! n-th smallest time that went in; after damage the two are aligned again at the next picture that starts afresh.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::Path;

use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

use super::SourceError;
use super::fields::Fields;
use super::h264_params::{AvcConfig, Sps, nal};
use super::upright::Rotation;
use super::video::{Decode, Decoded, Packet};
use crate::frame::{ColourSpec, Frame, PixelFormat};
use crate::units::Timestamp;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Decodes the samples of one track.
pub(super) struct H264Decoder {
    decoder: Decoder,
    entries: Vec<Option<AvcConfig>>,
    entry: Option<u16>,
    size_px: (u32, u32),
    colour: ColourSpec,
    rotation: Rotation,
    /// The packet as the decoder wants it: NAL units after start codes.
    stream: Vec<u8>,
    /// Times of pictures that are inside the decoder.
    times: BinaryHeap<Reverse<Timestamp>>,
    ready: VecDeque<(Timestamp, Frame)>,
    /// A packet was lost: whether what is inside is still complete is not known.
    in_doubt: bool,
    lost: u64,
}

/// What the walk over a packet's NAL units found.
#[derive(Default)]
struct Content {
    picture: bool,
    starts_afresh: bool,
    new_sps: Option<Sps>,
}

impl H264Decoder {
    /// For samples that refer to `entries`; those that are `None` are of another codec.
    pub(super) fn new(
        path: &Path,
        entries: Vec<Option<AvcConfig>>,
        rotation: Rotation,
    ) -> Result<Self, SourceError> {
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder =
            Decoder::with_api_config(OpenH264API::from_source(), config).map_err(|e| {
                SourceError::Unsupported {
                    path: path.to_owned(),
                    what: format!("the H.264 decoder does not start: {e}"),
                }
            })?;
        Ok(Self {
            decoder,
            entries,
            entry: None,
            size_px: (0, 0),
            colour: ColourSpec::unspecified(0),
            rotation,
            stream: Vec::new(),
            times: BinaryHeap::with_capacity(32),
            ready: VecDeque::new(),
            in_doubt: false,
            lost: 0,
        })
    }

    /// Rewrites a sample for the decoder. `None` when nothing of it can be used.
    fn rewrite(&mut self, data: &[u8], entry: u16) -> Option<Content> {
        let config = self.entries.get(usize::from(entry))?.as_ref()?;
        let mut content = Content::default();
        self.stream.clear();
        if self.entry != Some(entry) || self.in_doubt {
            for unit in &config.units {
                self.stream.extend_from_slice(&START_CODE);
                self.stream.extend_from_slice(unit);
            }
        }
        if self.entry != Some(entry) {
            content.new_sps = Some(config.sps.clone());
        }
        let mut fields = Fields::new(data);
        while let Some(len) = fields.uint(config.length_bytes) {
            let Some(unit) = usize::try_from(len).ok().and_then(|len| fields.take(len)) else {
                break;
            };
            match nal::kind(unit) {
                nal::SPS => {
                    // A header beyond the limits must not reach the decoder.
                    let sps = Sps::parse(unit).filter(|sps| sps.obstacle().is_none())?;
                    content.new_sps = Some(sps);
                }
                nal::PPS => {}
                kind if nal::is_picture(kind) => {
                    content.picture = true;
                    content.starts_afresh |= kind == nal::IDR;
                }
                // Whatever else follows a picture would make the decoder drop the one it holds.
                _ => continue,
            }
            self.stream.extend_from_slice(&START_CODE);
            self.stream.extend_from_slice(unit);
        }
        content.picture.then_some(content)
    }

    /// Takes all pictures out of the decoder; times left without a picture are lost frames.
    fn drain(&mut self) {
        if let Ok(pictures) = self.decoder.flush_remaining() {
            for picture in pictures {
                let Some(Reverse(time)) = self.times.pop() else {
                    break;
                };
                let mut frame = Frame::default();
                copy(&picture, self.rotation, self.colour, &mut frame);
                self.ready.push_back((time, frame));
            }
        }
        self.lost += self.times.iter().filter(|t| t.0 >= Timestamp::ZERO).count() as u64;
        self.times.clear();
        self.in_doubt = false;
    }
}

impl Decode for H264Decoder {
    fn decode(&mut self, data: &[u8], packet: &Packet, frame: &mut Frame) -> Decoded {
        let Some(content) = self.rewrite(data, packet.entry) else {
            self.in_doubt = true;
            return Decoded::Damaged;
        };
        let size = content.new_sps.as_ref().map(|s| (s.width_px, s.height_px));
        if size.is_some_and(|size| size != self.size_px) || (self.in_doubt && content.starts_afresh)
        {
            self.drain();
        }
        if let Some(sps) = &content.new_sps {
            self.size_px = (sps.width_px, sps.height_px);
            if let Some(Some(config)) = self.entries.get(usize::from(packet.entry)) {
                self.colour = config.colour(sps);
            }
        }
        self.entry = Some(packet.entry);
        self.times.push(Reverse(packet.time));
        match self.decoder.decode(&self.stream) {
            Ok(None) => Decoded::Later,
            Ok(Some(picture)) => {
                let Some(Reverse(time)) = self.times.pop() else {
                    return Decoded::Later;
                };
                if self.ready.is_empty() {
                    copy(&picture, self.rotation, self.colour, frame);
                    return Decoded::Picture(time);
                }
                let mut held = Frame::default();
                copy(&picture, self.rotation, self.colour, &mut held);
                self.ready.push_back((time, held));
                Decoded::Later
            }
            Err(_) => {
                let lost = packet.time;
                let mut once = true;
                self.times
                    .retain(|Reverse(time)| !(*time == lost && std::mem::take(&mut once)));
                self.in_doubt = true;
                Decoded::Damaged
            }
        }
    }

    fn pending(&mut self, frame: &mut Frame) -> Option<Timestamp> {
        let (time, held) = self.ready.pop_front()?;
        *frame = held;
        Some(time)
    }

    fn finish(&mut self) {
        self.drain();
    }

    fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

fn copy(picture: &DecodedYUV<'_>, rotation: Rotation, colour: ColourSpec, frame: &mut Frame) {
    let (width, height) = picture.dimensions();
    let (upright_w, upright_h) = rotation.upright(width as u32, height as u32);
    frame.colour = colour;
    let chroma = (width.div_ceil(2), height.div_ceil(2));
    let out = frame.reset(PixelFormat::I420, upright_w, upright_h);
    let (y, uv) = out.split_at_mut(width * height);
    let (u, v) = uv.split_at_mut(chroma.0 * chroma.1);
    let (y_stride, u_stride, v_stride) = picture.strides();
    rotation.copy::<1>(picture.y(), y_stride, (width, height), y);
    rotation.copy::<1>(picture.u(), u_stride, chroma, u);
    rotation.copy::<1>(picture.v(), v_stride, chroma, v);
}
