//! A recording without its index.

use std::io::{Read, Seek};
use std::path::Path;

use super::boxes::TopBox;
use crate::source::video::Ledger;
use crate::source::{FrameSource, OpenOptions, SourceError};

pub(super) fn open<R: Read + Seek + Send + 'static>(
    _stream: R,
    path: &Path,
    mdat: Option<TopBox>,
    _options: &OpenOptions,
    _ledger: Ledger,
) -> Result<Box<dyn FrameSource>, SourceError> {
    Err(no_index(path, mdat))
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
            "neither an index (moov) nor media data (mdat): there is nothing to read".to_owned()
        }
    };
    SourceError::Malformed {
        path: path.to_owned(),
        offset: mdat.map_or(0, |mdat| mdat.start),
        what,
    }
}
