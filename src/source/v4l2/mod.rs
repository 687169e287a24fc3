//! Cameras by Video4Linux 2: negotiated, streamed without a copy, lost and found again.
//!
//! A frame borrows the driver's buffer until the recognition is done with it. A camera that is unplugged
//! (`ENODEV`), fails or brings no whole picture for two seconds is closed and opened anew with a growing pause;
//! damaged and missing pictures are counted. A size or format that changed while it was gone is taken as it is.

mod list;
mod stream;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use linuxvideo::format::{PixFormat, PixelFormat as FourCc};
use linuxvideo::{BufType, Device, Fract};

pub use list::{CameraInfo, cameras};

use self::stream::{Filled, Stream};
use super::camera::{Camera, Loss, Missed, STALL, Shot};
use super::mjpeg::MjpegDecoder;
use crate::clock::Clock;
use crate::frame::{Frame, PixelFormat};
use crate::units::Timestamp;

/// A format of cameras that this build reads, best first: what costs the least to read.
const FORMATS: [([u8; 4], Option<PixelFormat>); 6] = [
    (*b"YUYV", Some(PixelFormat::Yuyv)),
    (*b"UYVY", Some(PixelFormat::Uyvy)),
    (*b"NV12", Some(PixelFormat::Nv12)),
    (*b"YU12", Some(PixelFormat::I420)),
    (*b"MJPG", None),
    (*b"GREY", Some(PixelFormat::Grey8)),
];

/// What is asked of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct V4l2Plan {
    /// The device, e.g. `/dev/video0` or a link under `/dev/v4l/by-id`.
    pub device: PathBuf,
    /// Four letters, e.g. `YUYV`; else the best that it offers at the size.
    pub format: Option<[u8; 4]>,
    /// Width and height.
    pub size_px: (u32, u32),
    /// Frames a second; the camera's choice if not given.
    pub rate_hz: Option<u32>,
    /// Controls to set, by the names that `tsedge cameras` lists, e.g. `exposure_time_absolute`.
    pub controls: Vec<(String, i32)>,
}

/// A camera; see the module.
pub struct V4l2Camera {
    plan: V4l2Plan,
    clock: Arc<dyn Clock>,
    description: String,
    frame_px: (u32, u32),
    open: Option<Open>,
    loss: Loss,
    frames: u64,
    missed: Missed,
    last: Timestamp,
}

/// While it streams.
struct Open {
    stream: Stream,
    format: Option<PixelFormat>,
    size_px: (u32, u32),
    row_bytes: usize,
    sequence: Option<u32>,
    last_frame: Timestamp,
    jpeg: MjpegDecoder,
}

impl V4l2Camera {
    /// The camera need not be there yet.
    pub fn new(plan: V4l2Plan, clock: Arc<dyn Clock>) -> Self {
        let mut camera = Self {
            description: plan.device.display().to_string(),
            frame_px: plan.size_px,
            plan,
            clock,
            open: None,
            loss: Loss::default(),
            frames: 0,
            missed: Missed::default(),
            last: Timestamp::ZERO,
        };
        // So that its size is known before the detector is made; a failure is told by the first shot.
        if let Ok(open) = camera.start() {
            camera.open = Some(open);
        }
        camera
    }

    fn start(&mut self) -> io::Result<Open> {
        let device = Device::open(&self.plan.device)?;
        let fourcc = choose_format(&device, &self.plan)?;
        let mut device = device;
        set_controls(&mut device, &self.plan.controls)?;
        let (width, height) = self.plan.size_px;
        let camera = device.video_capture(PixFormat::new(width, height, fourcc))?;
        if let Some(rate_hz) = self.plan.rate_hz {
            camera.set_frame_interval(Fract::new(1, rate_hz))?;
        }
        let got = camera.format();
        let (size_px, name) = ((got.width(), got.height()), got.pixel_format());
        if name != fourcc {
            let (asked, got) = (letters(fourcc), letters(name));
            return Err(io::Error::other(format!("asked for {asked}, got {got}")));
        }
        let format = FORMATS
            .iter()
            .find(|(letters, _)| *letters == fourcc.as_fourcc())
            .and_then(|(_, format)| *format);
        let row_bytes = got.bytes_per_line() as usize;
        let file: File = nonblocking(camera.as_fd())?;
        // Our own descriptor of the same open file keeps format and buffers.
        drop(camera);
        let stream = Stream::start(file)?;
        self.frame_px = size_px;
        let (width, height) = size_px;
        let device = self.plan.device.display();
        self.description = format!("{device}, {width}x{height} {}", letters(fourcc));
        if size_px != self.plan.size_px {
            log::warn!("{}: asked for {:?}", self.description, self.plan.size_px);
        }
        Ok(Open {
            stream,
            format,
            size_px,
            row_bytes,
            sequence: None,
            last_frame: self.clock.now(),
            jpeg: MjpegDecoder::default(),
        })
    }

    fn lose(&mut self, why: impl std::fmt::Display) -> Shot {
        self.open = None;
        let why = format!("{}: {why}", self.plan.device.display());
        self.loss.begins(self.clock.now(), why)
    }

    /// No picture, or none that can be used: lost when that has gone on for too long.
    fn late(&mut self) -> Shot {
        let last = self.open.as_ref().map(|open| open.last_frame);
        let quiet_s = last.map_or(0.0, |last| self.clock.now().seconds_since(last));
        if quiet_s > STALL.as_secs_f64() {
            return self.lose(format!("no whole picture for {quiet_s:.1} s"));
        }
        Shot::Late
    }

    /// Brings a filled buffer into the frame; false when it holds no whole picture.
    fn take(open: &mut Open, filled: &Filled, frame: &mut Frame) -> bool {
        let (width, height) = open.size_px;
        let Some(format) = open.format else {
            let data = open.stream.bytes(filled.index);
            let used = &data[..filled.bytes.min(data.len())];
            let whole = !filled.damaged && open.jpeg.picture(used, frame).is_some();
            open.stream.give_back(filled.index);
            return whole;
        };
        let wanted = Frame::byte_len(format, width, height);
        let natural = natural_row_bytes(format, width);
        let padded = open.row_bytes > natural;
        if filled.damaged || (!padded && filled.bytes < wanted) {
            open.stream.give_back(filled.index);
            return false;
        }
        if !padded {
            let shape = (format, width, height);
            let lent = frame.lend(shape, open.stream.lender(), filled.index);
            if !lent {
                open.stream.give_back(filled.index);
            }
            return lent;
        }
        // Rows with padding: the one case in which a picture is copied.
        let data = open.stream.bytes(filled.index);
        let rows = wanted / natural;
        let whole = data.len() >= open.row_bytes * (rows - 1) + natural;
        if whole {
            let to = frame.reset(format, width, height);
            for (row, out) in to.chunks_exact_mut(natural).enumerate() {
                out.copy_from_slice(&data[row * open.row_bytes..][..natural]);
            }
        }
        open.stream.give_back(filled.index);
        whole
    }
}

impl Camera for V4l2Camera {
    fn description(&self) -> &str {
        &self.description
    }

    fn frame_px(&self) -> (u32, u32) {
        self.frame_px
    }

    fn shoot(&mut self, frame: &mut Frame, patience: Duration) -> Shot {
        if self.open.is_none() {
            if let Some(lost) = self.loss.pause(self.clock.now()) {
                return lost;
            }
            match self.start() {
                Ok(open) => self.open = Some(open),
                Err(e) => return self.lose(e),
            }
        }
        let Some(open) = &mut self.open else {
            return Shot::Late;
        };
        let filled = match open.stream.wait(patience) {
            Ok(Some(filled)) => filled,
            Ok(None) => return self.late(),
            Err(e) => return self.lose(e),
        };
        if let Some(before) = open.sequence.replace(filled.sequence) {
            let gap = filled.sequence.wrapping_sub(before).wrapping_sub(1);
            // A driver that starts its count over has not lost a thousand pictures.
            self.missed.left_out += if gap < 1000 { u64::from(gap) } else { 0 };
        }
        let arrived = self.clock.now();
        if !Self::take(open, &filled, frame) {
            self.missed.damaged += 1;
            return self.late();
        }
        open.last_frame = arrived;
        // A stamp from another clock, or from the future, cannot be used.
        let captured = filled.captured.filter(|at| *at <= arrived);
        frame.time = captured.unwrap_or(arrived).max(self.last);
        frame.index = self.frames;
        frame.colour = crate::frame::ColourSpec {
            // What UVC cameras mean where they say nothing; JPEG is full range by definition.
            matrix: crate::frame::ColourMatrix::Bt601,
            full_range: matches!(open.format, None | Some(PixelFormat::Grey8)),
        };
        self.frames += 1;
        self.last = frame.time;
        self.loss.ends();
        Shot::Frame
    }

    fn take_missed(&mut self) -> Missed {
        std::mem::take(&mut self.missed)
    }
}

fn natural_row_bytes(format: PixelFormat, width: u32) -> usize {
    let width = width as usize;
    match format {
        PixelFormat::Yuyv | PixelFormat::Uyvy => width.next_multiple_of(2) * 2,
        PixelFormat::Rgb8 => width * 3,
        PixelFormat::I420 | PixelFormat::Nv12 | PixelFormat::Grey8 => width,
    }
}

/// The format asked for, or the best that the camera offers.
fn choose_format(device: &Device, plan: &V4l2Plan) -> io::Result<FourCc> {
    let offered: Vec<[u8; 4]> = device
        .formats(BufType::VIDEO_CAPTURE)
        .filter_map(|format| Some(format.ok()?.pixel_format().as_fourcc()))
        .collect();
    let readable = FORMATS.iter().map(|(letters, _)| *letters);
    let found = match plan.format {
        Some(asked) => offered.contains(&asked).then_some(asked),
        None => readable.clone().find(|letters| offered.contains(letters)),
    };
    let found = found.filter(|letters| readable.clone().any(|r| r == *letters));
    found.map(FourCc::from_fourcc).ok_or_else(|| {
        let names: Vec<String> = offered
            .iter()
            .map(|o| String::from_utf8_lossy(o).into())
            .collect();
        let readable: Vec<String> = readable
            .map(|r| String::from_utf8_lossy(&r).into())
            .collect();
        io::Error::other(format!(
            "offers {}, this build reads {}",
            names.join(" "),
            readable.join(" ")
        ))
    })
}

fn set_controls(device: &mut Device, wanted: &[(String, i32)]) -> io::Result<()> {
    for (name, value) in wanted {
        let control = device
            .controls()
            .filter_map(Result::ok)
            .find(|control| list::control_key(control.name()) == *name);
        let Some(control) = control else {
            return Err(io::Error::other(format!(
                "has no control `{name}`; `tsedge cameras` lists those it has"
            )));
        };
        let range = control.minimum()..=control.maximum();
        if !range.contains(value) {
            return Err(io::Error::other(format!(
                "control `{name}` takes {} to {}, not {value}",
                range.start(),
                range.end()
            )));
        }
        device.write_control_raw(control.id(), *value)?;
    }
    Ok(())
}

/// A second descriptor of the same open file, which does not block.
fn nonblocking(fd: impl AsFd) -> io::Result<File> {
    let own: OwnedFd = fd.as_fd().try_clone_to_owned()?;
    let flags = rustix::fs::fcntl_getfl(&own)?;
    rustix::fs::fcntl_setfl(&own, flags | rustix::fs::OFlags::NONBLOCK)?;
    Ok(own.into())
}

fn letters(fourcc: FourCc) -> String {
    String::from_utf8_lossy(&fourcc.as_fourcc()).into_owned()
}

/// Whether a path names a video device that can be opened.
pub fn is_camera(path: &Path) -> bool {
    Device::open(path).is_ok()
}
