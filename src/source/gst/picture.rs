//! From a buffer of GStreamer to a frame: lent as it is where its rows have no padding, else copied.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::buffer::{MappedBuffer, Readable};
use gstreamer_video::{VideoColorMatrix, VideoColorRange, VideoFormat, VideoInfo, VideoMeta};

use crate::frame::{ColourMatrix, ColourSpec, Frame, Lender, PixelFormat};

/// A buffer that a frame reads from; it goes back to its pool with the frame.
struct Lent(MappedBuffer<Readable>);

impl Lender for Lent {
    fn bytes(&self, _buffer: u32) -> &[u8] {
        self.0.as_slice()
    }

    fn give_back(&self, _buffer: u32) {}
}

/// Where a plane's rows lie, and how many bytes of each are pixels.
struct Plane {
    offset: usize,
    stride: usize,
    row: usize,
    rows: usize,
}

/// Width and height of a sample's picture.
pub(super) fn size_of(sample: &gst::Sample) -> Option<(u32, u32)> {
    let info = VideoInfo::from_caps(sample.caps()?).ok()?;
    Some((info.width(), info.height()))
}

/// Brings the sample's picture into `frame`; the error says why it cannot be read.
pub(super) fn fill(sample: &gst::Sample, frame: &mut Frame) -> Result<(), String> {
    let caps = sample.caps().ok_or("a picture without a format")?;
    let info = VideoInfo::from_caps(caps).map_err(|e| e.to_string())?;
    let format = match info.format() {
        VideoFormat::Nv12 => PixelFormat::Nv12,
        VideoFormat::I420 => PixelFormat::I420,
        VideoFormat::Yuy2 => PixelFormat::Yuyv,
        VideoFormat::Uyvy => PixelFormat::Uyvy,
        VideoFormat::Rgb => PixelFormat::Rgb8,
        VideoFormat::Gray8 => PixelFormat::Grey8,
        other => return Err(format!("pictures of format {other}")),
    };
    let buffer = sample.buffer_owned().ok_or("a picture without bytes")?;
    let planes = planes(format, &info, &buffer)?;
    let map = (buffer.into_mapped_buffer_readable()).map_err(|_| "bytes that cannot be read")?;
    let shape = (format, info.width(), info.height());
    if is_without_padding(&planes) {
        let lent = frame.lend(shape, Arc::new(Lent(map)), 0);
        if !lent {
            return Err("a picture that is cut short".to_owned());
        }
    } else {
        copy(
            &planes,
            map.as_slice(),
            frame.reset(shape.0, shape.1, shape.2),
        )?;
    }
    frame.colour = colour(&info);
    Ok(())
}

/// As the buffer says; else as the format says.
fn planes(
    format: PixelFormat,
    info: &VideoInfo,
    buffer: &gst::Buffer,
) -> Result<Vec<Plane>, String> {
    let (width, height) = (info.width() as usize, info.height() as usize);
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let sizes = match format {
        PixelFormat::I420 => vec![
            (width, height),
            (half_width, half_height),
            (half_width, half_height),
        ],
        PixelFormat::Nv12 => vec![(width, height), (2 * half_width, half_height)],
        PixelFormat::Yuyv | PixelFormat::Uyvy => vec![(4 * half_width, height)],
        PixelFormat::Rgb8 => vec![(3 * width, height)],
        PixelFormat::Grey8 => vec![(width, height)],
    };
    let meta = buffer.meta::<VideoMeta>();
    let (offsets, strides) = match &meta {
        Some(meta) => (meta.offset(), meta.stride()),
        None => (info.offset(), info.stride()),
    };
    if offsets.len() < sizes.len() || strides.len() < sizes.len() {
        return Err("a picture without all its planes".to_owned());
    }
    let placed = offsets.iter().zip(strides);
    (sizes.into_iter().zip(placed))
        .map(|((row, rows), (offset, stride))| {
            let stride = usize::try_from(*stride).map_err(|_| "rows from bottom to top")?;
            Ok(Plane {
                offset: *offset,
                stride,
                row,
                rows,
            })
        })
        .collect()
}

fn is_without_padding(planes: &[Plane]) -> bool {
    let mut next = 0;
    planes.iter().all(|plane| {
        let fits = plane.offset == next && plane.stride == plane.row;
        next += plane.row * plane.rows;
        fits
    })
}

fn copy(planes: &[Plane], from: &[u8], mut to: &mut [u8]) -> Result<(), String> {
    for plane in planes {
        let (own, rest) = to.split_at_mut(plane.row * plane.rows);
        for (i, out) in own.chunks_exact_mut(plane.row).enumerate() {
            let start = plane.offset + i * plane.stride;
            let row = from.get(start..start + plane.row);
            out.copy_from_slice(row.ok_or("a picture that is cut short")?);
        }
        to = rest;
    }
    Ok(())
}

fn colour(info: &VideoInfo) -> ColourSpec {
    let usual = ColourSpec::unspecified(info.height());
    let said = info.colorimetry();
    ColourSpec {
        matrix: match said.matrix() {
            VideoColorMatrix::Bt601 | VideoColorMatrix::Fcc => ColourMatrix::Bt601,
            VideoColorMatrix::Bt709 | VideoColorMatrix::Smpte240m | VideoColorMatrix::Bt2020 => {
                ColourMatrix::Bt709
            }
            _ => usual.matrix,
        },
        full_range: said.range() == VideoColorRange::Range0_255
            || info.format() == VideoFormat::Gray8,
    }
}
