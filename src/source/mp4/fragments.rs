//! `moof`: the samples of a fragment, for cameras that write the index as they go.

use super::boxes::{child, children, version_flags};
use super::index::{Defaults, Sample, Track};
use crate::source::fields::Fields;

/// Where the data of a track fragment is counted from when it does not say.
#[derive(Debug, Clone, Copy)]
struct Base {
    fragment_start: u64,
    previous_end: u64,
}

/// Adds the samples that the fragment at `start` holds for `track`.
pub(super) fn read_moof(moof: &[u8], start: u64, track: &mut Track, file_len: u64) {
    let mut base = Base {
        fragment_start: start,
        previous_end: start,
    };
    for (_, traf) in children(moof).filter(|(kind, _)| kind == b"traf") {
        if read_traf(traf, &mut base, track, file_len).is_none() {
            track.fault("a fragment's table is incomplete");
        }
    }
}

fn read_traf(traf: &[u8], base: &mut Base, track: &mut Track, file_len: u64) -> Option<()> {
    let mut f = Fields::new(child(traf, b"tfhd")?);
    let (_, flags) = version_flags(&mut f)?;
    let mine = f.u32()? == track.id;
    let mut start = if flags & 0x2_0000 != 0 {
        base.fragment_start
    } else {
        base.previous_end
    };
    if flags & 0x1 != 0 {
        start = f.u64()?;
    }
    let mut defaults = track.defaults;
    if flags & 0x2 != 0 {
        defaults.entry = f.u32()?;
    }
    if flags & 0x8 != 0 {
        defaults.duration = f.u32()?;
    }
    if flags & 0x10 != 0 {
        defaults.size = f.u32()?;
    }
    if let Some(tfdt) = child(traf, b"tfdt").filter(|_| mine) {
        let mut f = Fields::new(tfdt);
        let (version, _) = version_flags(&mut f)?;
        let time = f.uint(if version == 1 { 8 } else { 4 })?;
        track.next_decode_time = i64::try_from(time).unwrap_or(i64::MAX);
    }
    let mut offset = start;
    for (_, trun) in children(traf).filter(|(kind, _)| kind == b"trun") {
        offset = read_trun(trun, start, offset, defaults, mine, track, file_len)?;
    }
    base.previous_end = offset;
    Some(())
}

/// Returns where the data of this run ends. Runs of other tracks are read for that alone.
fn read_trun(
    trun: &[u8],
    start: u64,
    follows: u64,
    defaults: Defaults,
    mine: bool,
    track: &mut Track,
    file_len: u64,
) -> Option<u64> {
    let mut f = Fields::new(trun);
    let (_, flags) = version_flags(&mut f)?;
    let count = f.u32()?;
    let mut offset = follows;
    if flags & 0x1 != 0 {
        offset = start.checked_add_signed(i64::from(f.u32()? as i32))?;
    }
    if flags & 0x4 != 0 {
        f.skip(4)?;
    }
    let entry = u16::try_from(defaults.entry.saturating_sub(1)).unwrap_or(u16::MAX);
    let field = |f: &mut Fields<'_>, flag: u32| {
        if flags & flag != 0 {
            f.u32().map(Some)
        } else {
            Some(None)
        }
    };
    if flags & 0xf00 == 0 && !mine {
        return Some(offset.saturating_add(u64::from(count) * u64::from(defaults.size)));
    }
    for _ in 0..count {
        let duration = field(&mut f, 0x100)?.unwrap_or(defaults.duration);
        let size = field(&mut f, 0x200)?.unwrap_or(defaults.size);
        field(&mut f, 0x400)?;
        let shift = field(&mut f, 0x800)?.unwrap_or(0);
        if mine {
            let sample = Sample {
                offset,
                time: track
                    .next_decode_time
                    .saturating_add(i64::from(shift as i32)),
                size,
                entry,
            };
            track.next_decode_time = track.next_decode_time.saturating_add(i64::from(duration));
            if !track.push(sample, duration, file_len) {
                break;
            }
        }
        offset = offset.saturating_add(u64::from(size));
    }
    Some(offset)
}
