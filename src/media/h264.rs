//! Encodes I420 frames with OpenH264 (constant quantiser, one thread) into an MP4 file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use openh264::OpenH264API;
use openh264::encoder::{
    Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, RateControlMode, VuiConfig,
};
use openh264::formats::YUVSlices;

use super::mp4::Mp4Writer;
use crate::frame::{ColourMatrix, ColourSpec, Frame, PixelFormat};
use crate::units::Timestamp;

/// A seek point at least every so many frames.
const KEY_FRAME_EVERY: u32 = 60;

/// Writes one video file; see the module. The frames' time stamps are kept.
pub struct H264Writer {
    path: PathBuf,
    encoder: Encoder,
    mp4: Mp4Writer<BufWriter<File>>,
    colour: ColourSpec,
    sample: Vec<u8>,
}

impl H264Writer {
    /// Creates or replaces `path`; `rate_hz` is what the encoder plans with, time stamps may differ.
    pub fn create(path: &Path, rate_hz: f32, colour: ColourSpec) -> anyhow::Result<Self> {
        let named = || path.display().to_string();
        let vui = match colour.matrix {
            ColourMatrix::Bt601 => VuiConfig::bt601(),
            ColourMatrix::Bt709 => VuiConfig::bt709(),
        };
        let config = EncoderConfig::new()
            .max_frame_rate(FrameRate::from_hz(rate_hz))
            .rate_control_mode(RateControlMode::Off)
            .skip_frames(false)
            .num_threads(1)
            .intra_frame_period(IntraFramePeriod::from_num_frames(KEY_FRAME_EVERY))
            .vui(vui.full_range(colour.full_range));
        let encoder =
            Encoder::with_api_config(OpenH264API::from_source(), config).with_context(named)?;
        let file = File::create(path).with_context(named)?;
        Ok(Self {
            path: path.to_owned(),
            encoder,
            mp4: Mp4Writer::new(BufWriter::new(file)).with_context(named)?,
            colour,
            sample: Vec::new(),
        })
    }

    /// Appends a frame. An odd last row or column is left out: 4:2:0 has even sizes.
    pub fn frame(&mut self, frame: &Frame) -> anyhow::Result<()> {
        ensure!(
            frame.format() == PixelFormat::I420,
            "{}: only 4:2:0 frames are written",
            self.path.display()
        );
        ensure!(
            frame.colour == self.colour,
            "{}: the colour description changed",
            self.path.display()
        );
        let (stride, (chroma_stride, _)) = (frame.width_px() as usize, frame.chroma_size());
        let chroma_stride = chroma_stride as usize;
        let (width, height) = (stride & !1, frame.height_px() as usize & !1);
        ensure!(
            width > 0 && height > 0,
            "{}: a frame without pixels",
            self.path.display()
        );
        let [y, u, v] = frame.planes();
        let chroma = height / 2 * chroma_stride;
        let picture = YUVSlices::new(
            (&y[..height * stride], &u[..chroma], &v[..chroma]),
            (width, height),
            (stride, chroma_stride, chroma_stride),
        );
        self.encode(&picture, frame.time, (width as u16, height as u16))
            .with_context(|| self.path.display().to_string())
    }

    fn encode(
        &mut self,
        picture: &YUVSlices<'_>,
        time: Timestamp,
        size: (u16, u16),
    ) -> anyhow::Result<()> {
        let bits = self.encoder.encode(picture)?;
        let sync = matches!(bits.frame_type(), FrameType::IDR);
        self.sample.clear();
        for l in 0..bits.num_layers() {
            let Some(layer) = bits.layer(l) else { continue };
            for n in 0..layer.nal_count() {
                let nal = strip_start_code(layer.nal_unit(n).unwrap_or_default());
                match nal.first().map(|b| b & 0x1f) {
                    Some(7) => self.mp4.parameter_set(nal, true),
                    Some(8) => self.mp4.parameter_set(nal, false),
                    Some(_) => {
                        self.sample.extend((nal.len() as u32).to_be_bytes());
                        self.sample.extend(nal);
                    }
                    None => {}
                }
            }
        }
        self.mp4.sample(&self.sample, time, sync, size)?;
        Ok(())
    }

    /// Writes the index and makes the file durable.
    pub fn finish(self) -> anyhow::Result<()> {
        let named = || self.path.display().to_string();
        let file = self.mp4.finish().with_context(named)?;
        let file = file
            .into_inner()
            .map_err(|e| e.into_error())
            .with_context(named)?;
        file.sync_all().with_context(named)
    }
}

fn strip_start_code(nal: &[u8]) -> &[u8] {
    match nal {
        [0, 0, 0, 1, rest @ ..] | [0, 0, 1, rest @ ..] => rest,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{self, Next, OpenOptions};

    fn frame(index: u64, time_s: f64) -> Frame {
        let mut frame = Frame::default();
        frame.index = index;
        frame.time = Timestamp::from_seconds(time_s);
        frame.colour = ColourSpec::unspecified(48);
        let data = frame.reset(PixelFormat::I420, 64, 48);
        for (i, px) in data.iter_mut().enumerate() {
            *px = if i < 64 * 48 {
                (i % 64 * 3) as u8 + index as u8
            } else {
                120
            };
        }
        frame
    }

    fn write(path: &Path, times_s: &[f64]) {
        let mut writer = H264Writer::create(path, 30.0, ColourSpec::unspecified(48)).unwrap();
        for (i, time) in times_s.iter().enumerate() {
            writer.frame(&frame(i as u64, *time)).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn what_is_written_is_read_back_with_its_times() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        let times = [0.0, 0.04, 0.08, 0.2, 0.24];
        write(&path, &times);
        let mut source = source::open(&path, &OpenOptions::default()).unwrap();
        assert_eq!((source.info().width_px, source.info().height_px), (64, 48));
        let mut read = Frame::default();
        for (i, time) in times.iter().enumerate() {
            assert_eq!(source.next_frame(&mut read).unwrap(), Next::Frame);
            assert!((read.time.seconds() - time).abs() < 1e-4, "{:?}", read.time);
            let wanted = frame(i as u64, *time);
            let off: f64 = (read.planes()[0].iter().zip(wanted.planes()[0]))
                .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                .sum::<f64>()
                / (64.0 * 48.0);
            assert!(off < 20.0, "frame {i}: mean squared error {off}");
        }
        assert_eq!(source.next_frame(&mut read).unwrap(), Next::End);
        assert!(source.damage().is_none(), "{:?}", source.damage());
    }

    #[test]
    fn the_same_frames_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.mp4"), folder.path().join("b.mp4"));
        write(&a, &[0.0, 0.1, 0.2]);
        write(&b, &[0.0, 0.1, 0.2]);
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }
}
