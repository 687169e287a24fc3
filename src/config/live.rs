//! The sections that only `tsedge run` reads: outputs.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::secret::secret;
use crate::output::can::MessageIds;
use crate::output::serial::FlowControl;

/// A shorter one could be guessed.
const MIN_TOKEN_BYTES: usize = 16;

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

/// `[collect]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectConfig {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// Pictures take at most this.
    #[serde(default = "default_collect_mb")]
    pub max_mb: u64,
}

fn default_collect_mb() -> u64 {
    100
}

/// `[drift]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftConfig {
    /// Where statistics are kept; made if it is not there.
    pub folder: PathBuf,
    /// What is usual: the `drift.json` of another unit, or a result of `tsedge eval crops`; else it is learned.
    pub reference: Option<PathBuf>,
}

/// `[status]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusConfig {
    /// A loopback address and port, e.g. `127.0.0.1:9464`.
    pub listen: SocketAddr,
    /// A file whose first line lets its bearer see `/preview.jpg`; no preview without it.
    pub preview_token_file: Option<PathBuf>,
}

impl StatusConfig {
    /// The token, if the preview is wanted.
    pub fn preview_token(&self) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.preview_token_file else {
            return Ok(None);
        };
        let name = || format!("[status] preview_token_file {}", file.display());
        let token = secret(file).with_context(name)?;
        let long = token.len() >= MIN_TOKEN_BYTES;
        ensure!(
            long,
            "{}: a token has {MIN_TOKEN_BYTES} characters or more; make one with `openssl rand -hex 16`",
            name()
        );
        Ok(Some(token))
    }
}
