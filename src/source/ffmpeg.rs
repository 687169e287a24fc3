//! Everything else the FFmpeg libraries of the system can read: feature `ffmpeg`.

use std::path::Path;

use ffmpeg_next as av;

use super::h264_params::matrix_of;
use super::upright::Rotation;
use super::video::Ledger;
use super::{Damage, FrameSource, Next, SourceError, SourceInfo};
use crate::frame::{ColourSpec, Frame, PixelFormat};
use crate::units::Timestamp;

/// The best video stream of a file.
pub(super) struct FfmpegSource {
    info: SourceInfo,
    input: av::format::context::Input,
    decoder: av::decoder::Video,
    stream: usize,
    rotation: Rotation,
    picture: av::frame::Video,
    planar: av::frame::Video,
    first_time: Option<Timestamp>,
    last_time: Timestamp,
    given: u64,
    draining: bool,
    ended: bool,
    ledger: Ledger,
}

impl FfmpegSource {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let failed = |e: av::Error| SourceError::Unsupported {
            path: path.to_owned(),
            what: format!("FFmpeg cannot read it either: {e}"),
        };
        av::init().map_err(failed)?;
        av::log::set_level(av::log::Level::Fatal);
        let input = av::format::input(path).map_err(failed)?;
        let stream = input
            .streams()
            .best(av::media::Type::Video)
            .ok_or_else(|| failed(av::Error::StreamNotFound))?;
        let mut context =
            av::codec::context::Context::from_parameters(stream.parameters()).map_err(failed)?;
        context.set_threading(av::codec::threading::Config::count(1));
        let mut decoder = context.decoder().video().map_err(failed)?;
        decoder.set_packet_time_base(stream.time_base());
        let rotation = rotation_of(&stream);
        let (width_px, height_px) = rotation.upright(decoder.width(), decoder.height());
        let codec = decoder.codec().map(|c| c.description().to_owned());
        let info = SourceInfo {
            path: path.to_owned(),
            description: format!(
                "{}, {} (FFmpeg)",
                input.format().description(),
                codec.unwrap_or_default()
            ),
            width_px,
            height_px,
            frames: u64::try_from(stream.frames()).ok().filter(|n| *n > 0),
            duration: (input.duration() > 0)
                .then(|| Timestamp::from_ticks(input.duration(), 1_000_000)),
        };
        Ok(Self {
            info,
            stream: stream.index(),
            input,
            decoder,
            rotation,
            picture: av::frame::Video::empty(),
            planar: av::frame::Video::empty(),
            first_time: None,
            last_time: Timestamp::ZERO,
            given: 0,
            draining: false,
            ended: false,
            ledger: Ledger::default(),
        })
    }

    /// Feeds the decoder one packet of the stream, or tells it that none follows.
    fn feed(&mut self) {
        let mut packet = av::Packet::empty();
        loop {
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream => {
                    if let Err(e) = self.decoder.send_packet(&packet) {
                        self.note(packet.position(), e);
                    }
                    return;
                }
                Ok(()) => {}
                Err(e) => {
                    if e != av::Error::Eof {
                        self.note(-1, e);
                    }
                    self.draining = true;
                    // A second end of stream is refused, which changes nothing.
                    let _ = self.decoder.send_eof();
                    return;
                }
            }
        }
    }

    fn note(&mut self, position: isize, error: av::Error) {
        self.ledger.note(|| match position {
            -1 => format!("FFmpeg: {error}"),
            at => format!("byte {at}: FFmpeg: {error}"),
        });
    }

    /// Copies the decoded picture into `frame`, upright and planar.
    fn deliver(&mut self, frame: &mut Frame) -> Result<(), av::Error> {
        use av::format::Pixel;
        let picture = &self.picture;
        let (width, height) = (picture.width(), picture.height());
        let direct = matches!(picture.format(), Pixel::YUV420P | Pixel::YUVJ420P);
        if !direct {
            // Made anew for each picture, as it may not wander between threads; such formats are rare.
            let mut scaler = av::software::scaling::Context::get(
                picture.format(),
                width,
                height,
                Pixel::YUV420P,
                width,
                height,
                av::software::scaling::Flags::BILINEAR,
            )?;
            self.planar = av::frame::Video::empty();
            scaler.run(picture, &mut self.planar)?;
        }
        let custom = ColourSpec::unspecified(height);
        frame.colour = ColourSpec {
            matrix: matrix_code(picture.color_space())
                .and_then(matrix_of)
                .unwrap_or(custom.matrix),
            full_range: picture.format() == Pixel::YUVJ420P
                || (direct && picture.color_range() == av::color::Range::JPEG),
        };
        let planes = if direct { &self.picture } else { &self.planar };
        let (upright_w, upright_h) = self.rotation.upright(width, height);
        let size = (width as usize, height as usize);
        let chroma = (size.0.div_ceil(2), size.1.div_ceil(2));
        let out = frame.reset(PixelFormat::I420, upright_w, upright_h);
        let (y, uv) = out.split_at_mut(size.0 * size.1);
        let (u, v) = uv.split_at_mut(chroma.0 * chroma.1);
        for (plane, (size, out)) in [(size, y), (chroma, u), (chroma, v)]
            .into_iter()
            .enumerate()
        {
            self.rotation
                .copy::<1>(planes.data(plane), planes.stride(plane), size, out);
        }
        Ok(())
    }

    fn stamp(&mut self, frame: &mut Frame) {
        let base = self.decoder.packet_time_base();
        let ticks = self.picture.timestamp().unwrap_or(0);
        let time = Timestamp::from_ticks(
            ticks.saturating_mul(i64::from(base.numerator())),
            base.denominator().unsigned_abs(),
        );
        let first = *self.first_time.get_or_insert(time);
        let since = Timestamp::from_nanos(time.nanos().saturating_sub(first.nanos()));
        self.last_time = self.last_time.max(since);
        frame.time = self.last_time;
        frame.index = self.given;
        self.given += 1;
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(lost) = self
            .info
            .frames
            .and_then(|n| n.checked_sub(self.given))
            .filter(|n| *n > 0)
        {
            self.ledger.lose(lost);
            let given = self.given;
            self.ledger
                .note(|| format!("{given} of {} frames could be read", given + lost));
        }
    }
}

impl FrameSource for FfmpegSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        while !self.ended {
            match self.decoder.receive_frame(&mut self.picture) {
                Ok(()) => match self.deliver(frame) {
                    Ok(()) => {
                        self.stamp(frame);
                        return Ok(Next::Frame);
                    }
                    Err(e) => self.note(-1, e),
                },
                Err(av::Error::Eof) => self.end(),
                Err(_) if self.draining => self.end(),
                // Most often: it wants more.
                Err(_) => self.feed(),
            }
        }
        Ok(Next::End)
    }

    fn damage(&self) -> &Damage {
        self.ledger.damage()
    }
}

fn matrix_code(space: av::color::Space) -> Option<u32> {
    use av::color::Space;
    match space {
        Space::BT709 | Space::SMPTE240M | Space::BT2020NCL | Space::BT2020CL => Some(1),
        Space::FCC | Space::BT470BG | Space::SMPTE170M => Some(5),
        _ => None,
    }
}

fn rotation_of(stream: &av::Stream<'_>) -> Rotation {
    let matrix = stream
        .side_data()
        .find(|d| d.kind() == av::packet::side_data::Type::DisplayMatrix);
    let value = |at: usize| {
        let bytes = matrix.as_ref()?.data().get(at * 4..)?.first_chunk::<4>()?;
        Some(i32::from_ne_bytes(*bytes))
    };
    match (value(0), value(1), value(3), value(4)) {
        (Some(a), Some(b), Some(c), Some(d)) => Rotation::from_matrix(a, b, c, d),
        _ => Rotation::None,
    }
}
