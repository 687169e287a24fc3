//! `[camera]`

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::source::camera::CameraPlan;
use crate::source::rtsp::RtspPlan;
use crate::source::v4l2::V4l2Plan;

/// `[camera]`: a device or a URL.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// The device, e.g. `/dev/video0`.
    pub device: Option<PathBuf>,
    /// A network camera, e.g. `rtsp://192.168.1.20:554/stream1`.
    pub url: Option<String>,
    /// The network camera's user.
    pub user: Option<String>,
    /// A file whose first line is the user's password.
    pub password_file: Option<PathBuf>,
    /// Four letters: `YUYV`, `UYVY`, `NV12`, `YU12`, `MJPG` or `GREY`; else the best on offer.
    pub format: Option<String>,
    /// Width and height; a network camera sends what it is set to.
    #[serde(default = "default_size")]
    pub size_px: [u32; 2],
    /// Frames a second; the camera's choice by default.
    pub rate_hz: Option<u32>,
    /// Controls to set, by the names that `tsedge cameras` lists.
    #[serde(default)]
    pub controls: BTreeMap<String, i32>,
}

fn default_size() -> [u32; 2] {
    [1280, 720]
}

impl CameraConfig {
    /// What to open; reads the password's file.
    pub fn resolve(&self) -> anyhow::Result<CameraPlan> {
        let [width, height] = self.size_px;
        ensure!(
            (64..=8192).contains(&width) && (64..=8192).contains(&height),
            "[camera] size_px: {width}x{height} is not between 64 and 8192"
        );
        match (&self.device, &self.url) {
            (Some(_), Some(_)) => bail!("[camera] device and url: give one of them"),
            (None, None) => bail!("[camera] has neither device nor url"),
            (Some(device), None) => self.device(device.clone()).map(CameraPlan::V4l2),
            (None, Some(url)) => self.stream(url).map(CameraPlan::Rtsp),
        }
    }

    fn device(&self, device: PathBuf) -> anyhow::Result<V4l2Plan> {
        ensure!(
            self.user.is_none() && self.password_file.is_none(),
            "[camera] user and password_file go with url, not with device"
        );
        let format = match self.format.as_deref() {
            None => None,
            Some(letters) => Some(letters.as_bytes().try_into().map_err(|_| {
                anyhow::anyhow!("[camera] format: `{letters}` is not four letters such as YUYV")
            })?),
        };
        ensure!(
            self.rate_hz.is_none_or(|hz| (1..=1000).contains(&hz)),
            "[camera] rate_hz is not between 1 and 1000"
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
            "[camera] format, rate_hz and controls go with device: a network camera is set in its own pages"
        );
        let login = match (&self.user, &self.password_file) {
            (None, None) => None,
            (Some(user), Some(file)) => {
                let name = || format!("[camera] password_file {}", file.display());
                let text = std::fs::read_to_string(file).with_context(name)?;
                let password = text.lines().next().unwrap_or_default();
                ensure!(!password.is_empty(), "{} is empty", name());
                Some((user.clone(), password.to_owned()))
            }
            _ => bail!("[camera] user and password_file go together"),
        };
        RtspPlan::new(url, login, self.size_px.into())
            .map_err(|words| anyhow::anyhow!("[camera] url {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let config: CameraConfig = toml::from_str(text).unwrap();
        config.resolve().unwrap_err().to_string()
    }

    #[test]
    fn a_camera_is_a_device_or_a_stream_and_a_password_is_never_shown() {
        assert!(refused("").contains("neither"));
        assert!(refused("device = '/dev/video0'\nurl = 'rtsp://a/b'").contains("one of them"));
        assert!(refused("device = '/dev/video0'\nuser = 'x'").contains("go with url"));
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
}
