//! `[camera]`, or several as `[cameras.NAME]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::ConfigFile;
use super::secret::secret;
use crate::pipeline::Viewpoint;
use crate::source::camera_plan::CameraPlan;
use crate::source::gst::GstPlan;
use crate::source::rtsp::{RtspPlan, Way};
use crate::source::v4l2::V4l2Plan;
use crate::track::Lens;

/// More than any vehicle has for its signs.
const MAX_CAMERAS: usize = 8;

/// `[camera]` or `[cameras.NAME]`: a device, a URL or a pipeline, and where it looks.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// The device, e.g. `/dev/video0`.
    pub device: Option<PathBuf>,
    /// A network camera, e.g. `rtsp://192.168.1.20:554/stream1`.
    pub url: Option<String>,
    /// A pipeline of GStreamer up to raw video, e.g. `nvarguscamerasrc ! nvvidconv ! video/x-raw,format=NV12`.
    pub pipeline: Option<String>,
    /// The network camera's user.
    pub user: Option<String>,
    /// A file whose first line is the user's password.
    pub password_file: Option<PathBuf>,
    /// How the network camera's pictures travel: `tcp`, within the connection, or `udp`.
    pub transport: Option<Way>,
    /// Four letters: `YUYV`, `UYVY`, `NV12`, `YU12`, `MJPG` or `GREY`; else the best on offer.
    pub format: Option<String>,
    /// Width and height; a network camera and a pipeline send what they are set to.
    #[serde(default = "default_size")]
    pub size_px: [u32; 2],
    /// Frames a second; the camera's choice by default.
    pub rate_hz: Option<u32>,
    /// Controls to set, by the names that `tsedge cameras` lists.
    #[serde(default)]
    pub controls: BTreeMap<String, i32>,
    /// Horizontal angle of view; that of `[lens]` by default.
    pub field_of_view_deg: Option<f32>,
    /// Where it points, from straight ahead to the right; to the left is negative.
    pub bearing_deg: Option<f32>,
    /// How often it is looked at compared to the others, when not all frames can be; 1 by default.
    pub share: Option<u8>,
}

fn default_size() -> [u32; 2] {
    [1280, 720]
}

/// A camera and its name, where there are several.
pub type NamedCamera<'a> = (Option<Arc<str>>, &'a CameraConfig);

impl ConfigFile {
    /// The one `[camera]`, or all `[cameras.NAME]` by their names; none where there are none.
    pub fn cameras(&self) -> anyhow::Result<Vec<NamedCamera<'_>>> {
        let named = self.cameras.iter();
        let named = named.map(|(name, camera)| (Some(name.as_str().into()), camera));
        let all: Vec<_> = match (&self.camera, self.cameras.len()) {
            (Some(_), 1..) => bail!("and [cameras]: give one camera or named ones"),
            (Some(camera), 0) => vec![(None, camera)],
            (None, _) => named.collect(),
        };
        for name in all.iter().filter_map(|(name, _)| name.as_deref()) {
            check_name(name)?;
        }
        ensure!(
            all.len() <= MAX_CAMERAS,
            "[cameras] has more than {MAX_CAMERAS}"
        );
        Ok(all)
    }
}

/// Names go into events and the names of threads.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ensure!(
        (1..=8).contains(&name.len()) && name.chars().all(fits),
        "camera `{name}`: a name has 1 to 8 of a-z, 0-9 and _"
    );
    Ok(())
}

impl CameraConfig {
    /// From where it looks; through `lens` if it has none of its own.
    pub fn viewpoint(&self, camera: Option<Arc<str>>, lens: Lens) -> anyhow::Result<Viewpoint> {
        let bearing_deg = self.bearing_deg.unwrap_or_default();
        ensure!(
            (-180.0..=180.0).contains(&bearing_deg),
            "bearing_deg is {bearing_deg}, expected -180 to 180"
        );
        let lens = match self.field_of_view_deg {
            Some(field_of_view_deg) => Lens::given(field_of_view_deg).with_context(|| {
                format!("field_of_view_deg is {field_of_view_deg}, expected 5 to 170")
            })?,
            None => lens,
        };
        Ok(Viewpoint {
            camera,
            lens,
            bearing_deg,
        })
    }

    /// How often it is looked at.
    pub fn share(&self) -> anyhow::Result<u8> {
        let share = self.share.unwrap_or(1);
        ensure!(
            (1..=16).contains(&share),
            "share is {share}, expected 1 to 16"
        );
        Ok(share)
    }

    /// What to open; reads the password's file.
    pub fn resolve(&self) -> anyhow::Result<CameraPlan> {
        let [width, height] = self.size_px;
        ensure!(
            (64..=8192).contains(&width) && (64..=8192).contains(&height),
            "size_px: {width}x{height} is not between 64 and 8192"
        );
        match (&self.device, &self.url, &self.pipeline) {
            (None, None, None) => bail!("has neither device nor url nor pipeline"),
            (Some(device), None, None) => self.device(device.clone()).map(CameraPlan::V4l2),
            (None, Some(url), None) => self.stream(url).map(CameraPlan::Rtsp),
            (None, None, Some(pipeline)) => self.pipeline(pipeline).map(CameraPlan::Gst),
            _ => bail!("device, url and pipeline: give one of them"),
        }
    }

    /// Whether something is said that only network cameras know.
    fn is_networked(&self) -> bool {
        self.user.is_some() || self.password_file.is_some() || self.transport.is_some()
    }

    fn pipeline(&self, pipeline: &str) -> anyhow::Result<GstPlan> {
        ensure!(
            !self.is_networked(),
            "user, password_file and transport go with url, not with pipeline"
        );
        ensure!(
            self.format.is_none() && self.rate_hz.is_none() && self.controls.is_empty(),
            "format, rate_hz and controls go with device: a pipeline says them itself"
        );
        GstPlan::new(pipeline, self.size_px.into())
            .map_err(|words| anyhow::anyhow!("pipeline `{pipeline}`: {words}"))
    }

    fn device(&self, device: PathBuf) -> anyhow::Result<V4l2Plan> {
        ensure!(
            !self.is_networked(),
            "user, password_file and transport go with url, not with device"
        );
        let format = match self.format.as_deref() {
            None => None,
            Some(letters) => Some(letters.as_bytes().try_into().map_err(|_| {
                anyhow::anyhow!("format: `{letters}` is not four letters such as YUYV")
            })?),
        };
        ensure!(
            self.rate_hz.is_none_or(|hz| (1..=1000).contains(&hz)),
            "rate_hz is not between 1 and 1000"
        );
        Ok(V4l2Plan {
            device,
            format,
            size_px: self.size_px.into(),
            rate_hz: self.rate_hz,
            controls: self.controls.clone().into_iter().collect(),
        })
    }

    fn stream(&self, url: &str) -> anyhow::Result<RtspPlan> {
        ensure!(
            self.format.is_none() && self.rate_hz.is_none() && self.controls.is_empty(),
            "format, rate_hz and controls go with device: a network camera is set in its own pages"
        );
        let login = match (&self.user, &self.password_file) {
            (None, None) => None,
            (Some(user), Some(file)) => {
                let name = || format!("password_file {}", file.display());
                let password = secret(file).with_context(name)?;
                Some((user.clone(), password))
            }
            _ => bail!("user and password_file go together"),
        };
        RtspPlan::new(url, login, self.size_px.into())
            .map(|plan| plan.over(self.transport.unwrap_or_default()))
            .map_err(|words| anyhow::anyhow!("url {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let config: CameraConfig = toml::from_str(text).unwrap();
        format!("{:#}", config.resolve().unwrap_err())
    }

    #[test]
    fn a_camera_is_a_device_or_a_stream_and_a_password_is_never_shown() {
        assert!(refused("").contains("neither"));
        assert!(refused("device = '/dev/video0'\nurl = 'rtsp://a/b'").contains("one of them"));
        assert!(refused("device = '/dev/video0'\nuser = 'x'").contains("go with url"));
        assert!(refused("device = '/dev/video0'\ntransport = 'udp'").contains("go with url"));
        assert!(refused("device = '/dev/video0'\npipeline = 'x'").contains("one of them"));
        assert!(refused("pipeline = 'x'\nrate_hz = 30").contains("says them itself"));
        assert!(refused("pipeline = 'no_such_element'").contains("pipeline `no_such_element`: "));
        assert!(refused("url = 'rtsp://a/b'\nrate_hz = 30").contains("its own pages"));
        assert!(refused("url = 'rtsp://a/b'\nuser = 'x'").contains("go together"));
        assert!(refused("url = 'http://a/b'").contains("rtsp://host"));
        assert!(refused("url = 'rtsps://a/b'").contains("TLS"));
        for url in [
            "rtsp://x:hunter2@a/b",
            "rtsp://x:hunter2@a:port/b",
            "x:hunter2@",
        ] {
            let words = refused(&format!("url = '{url}'"));
            assert!(!words.contains("hunter2"), "{words}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        let login = format!("url = 'rtsp://a/b'\nuser = 'x'\npassword_file = {path:?}");
        assert!(refused(&login).contains("is empty"));
        std::fs::write(path, "hunter2\n").unwrap();
        let config: CameraConfig = toml::from_str(&login).unwrap();
        assert_eq!(
            format!("{:?}", config.resolve().unwrap()),
            "Rtsp(rtsp://a/b)"
        );
    }

    #[test]
    fn cameras_have_names_where_there_are_several() {
        let cameras = |text: &str| {
            let config = ConfigFile::parse(text).unwrap();
            let cameras = config.cameras().map_err(|e| e.to_string())?;
            Ok::<_, String>(
                cameras
                    .into_iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(cameras(""), Ok(vec![]));
        assert_eq!(cameras("[camera]\ndevice = 'x'"), Ok(vec![None]));
        let two = "[cameras.left]\ndevice = 'x'\n[cameras.front]\nurl = 'y'\n";
        let names = ["front", "left"].map(|name| Some(name.into()));
        assert_eq!(cameras(two), Ok(names.to_vec()));
        let both = format!("[camera]\ndevice = 'x'\n{two}");
        assert!(
            cameras(&both)
                .unwrap_err()
                .contains("one camera or named ones")
        );
        assert!(
            cameras("[cameras.Left]\ndevice = 'x'")
                .unwrap_err()
                .contains("`Left`")
        );
        let seen = |text: &str| {
            let config: CameraConfig = toml::from_str(text).unwrap();
            config
                .viewpoint(None, Lens::default())
                .map_err(|e| e.to_string())
        };
        assert_eq!(seen("").unwrap(), Viewpoint::default());
        assert!(
            seen("bearing_deg = 200")
                .unwrap_err()
                .contains("-180 to 180")
        );
        assert!(
            seen("field_of_view_deg = 3")
                .unwrap_err()
                .contains("5 to 170")
        );
        assert!(seen("field_of_view_deg = 90").unwrap().lens.is_given);
    }
}
