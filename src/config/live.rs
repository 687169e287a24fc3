//! The sections that only `tsedge run` reads: camera and outputs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::output::can::MessageIds;
use crate::output::serial::FlowControl;
use crate::source::v4l2::CameraPlan;

/// `[camera]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// The device, e.g. `/dev/video0`.
    pub device: PathBuf,
    /// Four letters: `YUYV`, `UYVY`, `NV12`, `YU12`, `MJPG` or `GREY`; else the best on offer.
    pub format: Option<String>,
    /// Width and height.
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

impl TryFrom<&CameraConfig> for CameraPlan {
    type Error = anyhow::Error;

    fn try_from(config: &CameraConfig) -> anyhow::Result<Self> {
        let format = match config.format.as_deref() {
            None => None,
            Some(letters) => Some(letters.as_bytes().try_into().map_err(|_| {
                anyhow::anyhow!("[camera] format: `{letters}` is not four letters such as YUYV")
            })?),
        };
        let [width, height] = config.size_px;
        anyhow::ensure!(
            (64..=8192).contains(&width) && (64..=8192).contains(&height),
            "[camera] size_px: {width}x{height} is not between 64 and 8192"
        );
        anyhow::ensure!(
            config.rate_hz.is_none_or(|hz| (1..=1000).contains(&hz)),
            "[camera] rate_hz is not between 1 and 1000"
        );
        Ok(Self {
            device: config.device.clone(),
            format,
            size_px: (width, height),
            rate_hz: config.rate_hz,
            controls: config.controls.clone().into_iter().collect(),
        })
    }
}

/// `[can]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanConfig {
    /// The interface, e.g. `can0`.
    pub interface: String,
    /// Send CAN FD frames.
    #[serde(default)]
    pub fd: bool,
    /// Identifiers; those of `can/tsedge.dbc` where left out.
    #[serde(default)]
    pub ids: IdsConfig,
}

/// `[can.ids]`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdsConfig {
    /// `TSE_Status`
    pub status: Option<u16>,
    /// `TSE_SpeedLimit`
    pub speed_limit: Option<u16>,
    /// `TSE_Sign`
    pub sign: Option<u16>,
    /// `TSE_Counters`
    pub counters: Option<u16>,
}

impl IdsConfig {
    /// With the DBC's in place of those left out.
    pub fn or_default(self) -> MessageIds {
        let ids = MessageIds::default();
        MessageIds {
            status: self.status.unwrap_or(ids.status),
            speed_limit: self.speed_limit.unwrap_or(ids.speed_limit),
            sign: self.sign.unwrap_or(ids.sign),
            counters: self.counters.unwrap_or(ids.counters),
        }
    }
}

/// `[serial]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SerialConfig {
    /// The device, e.g. `/dev/ttyUSB0`.
    pub device: PathBuf,
    /// Bits a second.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// `none`, `rts_cts` or `xon_xoff`.
    #[serde(default)]
    pub flow_control: FlowControl,
}

/// NMEA 0183-HS.
fn default_baud() -> u32 {
    38_400
}

/// `[jsonl]` and `[mcap]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file; for JSON lines also `-`, standard output.
    pub path: PathBuf,
    /// A larger file is put aside with a number before its ending, in MiB.
    #[serde(default = "default_max_mb")]
    pub max_mb: u64,
    /// Files put aside; the oldest is deleted.
    #[serde(default = "default_keep")]
    pub keep: u32,
}

fn default_max_mb() -> u64 {
    16
}

fn default_keep() -> u32 {
    4
}

/// `[status]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusConfig {
    /// A loopback address and port, e.g. `127.0.0.1:9464`.
    pub listen: SocketAddr,
}
