//! The outputs that the configuration names.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context as _;

use crate::clock::Clock;
use crate::config::{ConfigFile, FileConfig};
use crate::output::can::CanOutput;
use crate::output::jsonl::JsonLines;
use crate::output::mcap::McapOutput;
use crate::output::mqtt::{Guest, MqttOutput, MqttPlan};
use crate::output::serial::SerialOutput;
use crate::output::status::{Preview, StatusOutput};
use crate::output::{Output, RotatingFile};
use crate::runtime::drift::DriftOutput;
use crate::runtime::shared::Shared;

/// What is wrong with `[can.ids]` when they are refused.
pub(in crate::cmd) const CAN_IDS: &str =
    "[can.ids]: two messages share an identifier, or one has more than 11 bits";

/// All of them, started.
pub(super) fn outputs(
    config: &ConfigFile,
    shared: &Shared,
    preview: Option<&Arc<Preview>>,
    delivery: Option<Box<dyn Guest>>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Box<dyn Output>>> {
    let progress = &shared.progress;
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    if let Some(can) = &config.can {
        let ids = can.ids.or_default();
        let output = CanOutput::new(&can.interface, can.fd, ids, Arc::clone(progress));
        outputs.push(Box::new(output.context(CAN_IDS)?));
    }
    if let Some(serial) = &config.serial {
        outputs.push(Box::new(SerialOutput::new(
            &serial.device,
            serial.baud,
            serial.flow_control,
            Arc::clone(progress),
        )));
    }
    if let Some(jsonl) = &config.jsonl {
        outputs.push(Box::new(jsonl_output(jsonl)?));
    }
    if let Some(mcap) = &config.mcap {
        let (most, keep) = (mcap.max_mb << 20, mcap.keep);
        let output = McapOutput::record(&mcap.path, most, keep, Arc::clone(clock))?;
        outputs.push(Box::new(output));
    }
    if let Some(mqtt) = &config.mqtt {
        let plan = MqttPlan::try_from(mqtt)?;
        outputs.push(Box::new(MqttOutput::start_with(plan, delivery)?));
    }
    if let Some(status) = &config.status {
        let mut output = StatusOutput::listen(status.listen, Arc::clone(progress))?;
        if let Some(preview) = preview {
            output = output.with_preview(Arc::clone(preview));
        }
        log::info!("{}", output.name());
        outputs.push(Box::new(output));
    }
    if outputs.is_empty() {
        log::warn!("no output is configured: nothing will be told");
    }
    if let Some(drift) = &config.drift {
        let (reference, board) = (drift.reference.as_deref(), Arc::clone(&shared.board));
        let output = DriftOutput::start(&drift.folder, reference, board).context("[drift]")?;
        outputs.push(Box::new(output));
    }
    Ok(outputs)
}

/// Standard output, or a file that is appended to and rotated.
fn jsonl_output(config: &FileConfig) -> anyhow::Result<JsonLines<Box<dyn Write + Send>>> {
    if config.path.as_os_str() == "-" {
        return Ok(JsonLines::create(&config.path)?);
    }
    let name = format!("jsonl {}", config.path.display());
    let (most, keep) = (config.max_mb << 20, config.keep);
    let file = RotatingFile::open(&config.path, most, keep).with_context(|| name.clone())?;
    Ok(JsonLines::new(name, Box::new(file)))
}
