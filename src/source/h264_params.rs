//! H.264 parameter sets: what must be known of a stream before it is decoded.

use super::fields::{Bits, Fields};
use crate::frame::{ColourMatrix, ColourSpec};

/// The largest picture of level 5.2; bounds what a hostile header can make the decoder allocate.
const MAX_MACROBLOCKS: u64 = 36_864;
/// Parameter sets kept of one configuration record (the standard's own limits).
const MAX_SPS: usize = 32;
const MAX_PPS: usize = 256;

/// Kinds of NAL unit that matter here.
pub(super) mod nal {
    pub const SLICE: u8 = 1;
    pub const IDR: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const DELIMITER: u8 = 9;
    pub const FILLER: u8 = 12;

    pub fn kind(unit: &[u8]) -> u8 {
        unit.first().map_or(0, |b| b & 0x1f)
    }

    pub fn is_picture(kind: u8) -> bool {
        (SLICE..=IDR).contains(&kind)
    }
}

/// A sequence parameter set, as far as it is of use.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sps {
    pub profile_idc: u8,
    pub width_px: u32,
    pub height_px: u32,
    /// Matrix and range, each where the stream says so.
    pub matrix: Option<ColourMatrix>,
    pub full_range: Option<bool>,
    chroma_format: u32,
    bit_depth: u32,
    interlaced: bool,
}

impl Sps {
    /// From a NAL unit with its header byte.
    pub(super) fn parse(unit: &[u8]) -> Option<Self> {
        let mut b = Bits::new(unit.get(1..)?);
        let profile_idc = b.bits(8)? as u8;
        b.bits(16)?; // constraint flags, level
        b.ue()?; // id
        let (mut chroma_format, mut bit_depth) = (1, 8);
        let mut separate_planes = false;
        if matches!(
            profile_idc,
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
        ) {
            chroma_format = b.ue()?;
            if chroma_format == 3 {
                separate_planes = b.bit()?;
            }
            bit_depth = 8 + b.ue()?.max(b.ue()?);
            b.bit()?; // lossless bypass
            if b.bit()? {
                skip_scaling_lists(&mut b, if chroma_format == 3 { 12 } else { 8 })?;
            }
        }
        b.ue()?; // frame number length
        match b.ue()? {
            0 => {
                b.ue()?;
            }
            1 => {
                b.bit()?;
                b.se()?;
                b.se()?;
                for _ in 0..b.ue()?.min(255) {
                    b.se()?;
                }
            }
            _ => {}
        }
        b.ue()?; // reference frames
        b.bit()?; // gaps allowed
        let width_mbs = u64::from(b.ue()?) + 1;
        let height_units = u64::from(b.ue()?) + 1;
        let interlaced = !b.bit()?;
        if interlaced {
            b.bit()?;
        }
        b.bit()?; // direct 8x8 inference
        let height_mbs = height_units * if interlaced { 2 } else { 1 };
        if width_mbs.checked_mul(height_mbs)? > MAX_MACROBLOCKS {
            return None;
        }
        let (mut width_px, mut height_px) = (width_mbs as u32 * 16, height_mbs as u32 * 16);
        if b.bit()? {
            let planar_420 = chroma_format == 1 && !separate_planes;
            let unit_x = if planar_420 || chroma_format == 2 {
                2
            } else {
                1
            };
            let unit_y = if planar_420 { 2 } else { 1 } * if interlaced { 2 } else { 1 };
            let (left, right) = (b.ue()?, b.ue()?);
            let (top, bottom) = (b.ue()?, b.ue()?);
            width_px = cropped(width_px, left, right, unit_x)?;
            height_px = cropped(height_px, top, bottom, unit_y)?;
        }
        let mut sps = Self {
            profile_idc,
            width_px,
            height_px,
            matrix: None,
            full_range: None,
            chroma_format,
            bit_depth,
            interlaced,
        };
        // A cut colour description takes nothing from the rest.
        let _ = sps.read_colour(&mut b);
        Some(sps)
    }

    fn read_colour(&mut self, b: &mut Bits<'_>) -> Option<()> {
        if !b.bit()? {
            return None;
        }
        if b.bit()? && b.bits(8)? == 255 {
            b.bits(32)?;
        }
        if b.bit()? {
            b.bit()?;
        }
        if b.bit()? {
            b.bits(3)?;
            self.full_range = Some(b.bit()?);
            if b.bit()? {
                b.bits(16)?;
                self.matrix = matrix_of(b.bits(8)?);
            }
        }
        Some(())
    }

    /// Why the decoder cannot read such a stream; `None` when it can.
    pub(super) fn obstacle(&self) -> Option<&'static str> {
        if self.bit_depth > 8 {
            Some("H.264 with more than 8 bits a sample")
        } else if self.chroma_format > 1 {
            Some("H.264 with 4:2:2 or 4:4:4 colour")
        } else if self.interlaced {
            Some("interlaced H.264")
        } else if matches!(self.profile_idc, 44 | 244) {
            Some("H.264 of a 4:4:4 profile (lossless)")
        } else {
            None
        }
    }

    pub(super) fn profile_name(&self) -> &'static str {
        match self.profile_idc {
            66 => "Baseline",
            77 => "Main",
            88 => "Extended",
            100 => "High",
            _ => "of another profile",
        }
    }
}

fn cropped(size_px: u32, before: u32, after: u32, unit: u32) -> Option<u32> {
    let cut = before.checked_add(after)?.checked_mul(unit)?;
    size_px.checked_sub(cut).filter(|left| *left > 0)
}

fn skip_scaling_lists(b: &mut Bits<'_>, count: usize) -> Option<()> {
    for list in 0..count {
        if !b.bit()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + b.se()?).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Some(())
}

/// The nearest of the two matrices for a code point of ISO/IEC 23091-2.
pub(super) fn matrix_of(code: u32) -> Option<ColourMatrix> {
    match code {
        4..=6 => Some(ColourMatrix::Bt601),
        1 | 7 | 9 | 10 => Some(ColourMatrix::Bt709),
        _ => None,
    }
}

/// How to cut samples into NAL units, and the parameter sets they need: an `avcC` box.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AvcConfig {
    /// Bytes of the length before each NAL unit, 1 to 4.
    pub length_bytes: usize,
    /// Sequence and picture parameter sets, each with its header byte.
    pub units: Vec<Vec<u8>>,
    pub sps: Sps,
    /// Matrix and range of the container, for a stream that does not say.
    pub container_colour: (Option<ColourMatrix>, Option<bool>),
}

impl AvcConfig {
    /// From the body of an `avcC` box.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut f = Fields::new(body);
        f.skip(4)?;
        let length_bytes = usize::from(f.u8()? & 3) + 1;
        let sps_count = usize::from(f.u8()? & 0x1f).min(MAX_SPS);
        let mut units = Vec::new();
        for _ in 0..sps_count {
            let len = f.u16()?;
            units.push(f.take(usize::from(len))?.to_vec());
        }
        let pps_count = usize::from(f.u8()?).min(MAX_PPS);
        for _ in 0..pps_count {
            let len = f.u16()?;
            units.push(f.take(usize::from(len))?.to_vec());
        }
        let sps = Sps::parse(units.first().filter(|u| nal::kind(u) == nal::SPS)?)?;
        Some(Self {
            length_bytes,
            units,
            sps,
            container_colour: (None, None),
        })
    }

    /// What the stream says of its colours, else the container, else the custom for its size.
    pub(super) fn colour(&self, sps: &Sps) -> ColourSpec {
        let custom = ColourSpec::unspecified(sps.height_px);
        let (matrix, full_range) = self.container_colour;
        ColourSpec {
            matrix: sps.matrix.or(matrix).unwrap_or(custom.matrix),
            full_range: sps.full_range.or(full_range).unwrap_or(custom.full_range),
        }
    }
}
