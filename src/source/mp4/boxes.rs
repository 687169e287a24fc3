//! ISO base media boxes: walking those of a file without loading them, and those inside a loaded one.

use std::io::{self, Read, Seek, SeekFrom};

use crate::source::fields::Fields;

/// A four-character code.
pub(crate) type FourCc = [u8; 4];

/// Shows a code from a file without letting control characters through.
pub(crate) fn code_text(code: FourCc) -> String {
    code.iter()
        .flat_map(|b| b.escape_ascii())
        .map(char::from)
        .collect()
}

/// A box of the top level.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopBox {
    pub kind: FourCc,
    /// First byte of the header, first byte of the body, first byte after: never beyond the file.
    pub start: u64,
    pub body: u64,
    pub end: u64,
    /// The box is longer than the file.
    pub cut: bool,
}

/// Reads the header of the box at `start`; `Ok(None)` where no box can start.
pub(super) fn top_box(
    stream: &mut (impl Read + Seek),
    start: u64,
    file_len: u64,
) -> io::Result<Option<TopBox>> {
    let mut header = [0; 16];
    let there = file_len.saturating_sub(start).min(16) as usize;
    stream.seek(SeekFrom::Start(start))?;
    stream.read_exact(&mut header[..there])?;
    let mut fields = Fields::new(&header[..there]);
    let (Some(size), Some(kind)) = (fields.u32(), fields.four()) else {
        return Ok(None);
    };
    let (header_len, size) = match size {
        0 => (8, file_len - start),
        1 => match fields.u64() {
            Some(size) => (16, size),
            None => return Ok(None),
        },
        size => (8, u64::from(size)),
    };
    let plausible = kind.iter().all(|b| (b' '..=b'~').contains(b) || *b == 0xa9);
    if size < header_len || !plausible {
        return Ok(None);
    }
    let end = start.saturating_add(size);
    Ok(Some(TopBox {
        kind,
        start,
        body: start + header_len,
        end: end.min(file_len),
        cut: end > file_len,
    }))
}

/// The boxes inside a loaded one. One that claims to be longer than its parent ends there.
pub(super) struct Children<'a>(Fields<'a>);

pub(super) fn children(body: &[u8]) -> Children<'_> {
    Children(Fields::new(body))
}

impl<'a> Iterator for Children<'a> {
    type Item = (FourCc, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.0.u32()?;
        let kind = self.0.four()?;
        let body_len = match size {
            0 => u64::MAX,
            1 => self.0.u64()?.checked_sub(16)?,
            size => u64::from(size).checked_sub(8)?,
        };
        let len = usize::try_from(body_len)
            .unwrap_or(usize::MAX)
            .min(self.0.rest().len());
        Some((kind, self.0.take(len)?))
    }
}

pub(super) fn child<'a>(body: &'a [u8], kind: &FourCc) -> Option<&'a [u8]> {
    children(body)
        .find(|(k, _)| k == kind)
        .map(|(_, body)| body)
}

/// Version and flags of a full box.
pub(super) fn version_flags(fields: &mut Fields<'_>) -> Option<(u8, u32)> {
    let word = fields.u32()?;
    Some(((word >> 24) as u8, word & 0x00ff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_longer_than_its_parent_is_cut() {
        let body = [
            0, 0, 0, 9, b'f', b'r', b'e', b'e', 7, 0, 0, 0, 99, b's', b't', b'b', b'l', 1,
        ];
        let found: Vec<_> = children(&body).collect();
        assert_eq!(found, [(*b"free", &[7][..]), (*b"stbl", &[1][..])]);
    }

    #[test]
    fn sizes_smaller_than_the_header_end_the_walk() {
        assert_eq!(children(&[0, 0, 0, 7, b'f', b'r', b'e', b'e']).count(), 0);
        let mut file = io::Cursor::new(b"\0\0\0\x03free".to_vec());
        assert!(top_box(&mut file, 0, 8).unwrap().is_none());
    }

    #[test]
    fn size_zero_runs_to_the_end_and_long_sizes_are_read() {
        let mut bytes = b"\0\0\0\0mdat1234".to_vec();
        let found = top_box(&mut io::Cursor::new(&bytes), 0, 12)
            .unwrap()
            .unwrap();
        assert_eq!((found.body, found.end, found.cut), (8, 12, false));
        bytes = b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0xy".to_vec();
        let found = top_box(&mut io::Cursor::new(&bytes), 0, 18)
            .unwrap()
            .unwrap();
        assert_eq!((found.body, found.end, found.cut), (16, 18, true));
    }
}
