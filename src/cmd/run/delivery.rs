//! Packs and models that come by MQTT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use crate::config::{ConfigFile, Plan};
use crate::delivery::{Delivery, ModelSets};
use crate::detect::Detector;
use crate::model::{OnnxRuntime, Provider};
use crate::output::mqtt::Guest;
use crate::recognise::Encoder;
use crate::runtime::shared::Shared;

/// Why a unit with TensorRT takes no models by MQTT.
const PREPARED: &str = "this unit runs models by TensorRT, whose engines are prepared ahead: install models there, and \
    run `tsedge models prepare`";

/// Models that came by MQTT, if there is a folder for them.
pub(super) fn models(config: &ConfigFile) -> anyhow::Result<Option<ModelSets>> {
    let Some(folder) = &config.models.installed else {
        return Ok(None);
    };
    let name = || format!("[models] installed {}", folder.display());
    ModelSets::open(folder).map(Some).with_context(name)
}

/// Whether a unit can start by a plan; models on trial are loaded for it, others have been before.
pub(super) fn works(plan: &Plan, on_trial: bool) -> anyhow::Result<()> {
    if on_trial {
        let (runtime, providers) = (
            OnnxRuntime::load(plan.onnxruntime.as_deref())?,
            &plan.providers,
        );
        Encoder::load(&runtime, &plan.encoder, providers, 1)?;
        let (card, detect) = (&plan.detector, &plan.detect);
        Detector::load(&runtime, card, providers, 1, detect, (1280, 720))?;
    } else {
        plan.encoder.model_bytes()?;
        plan.detector.model_bytes()?;
    }
    plan.pack_store().best(plan.region)?;
    Ok(())
}

/// Packs and models that come by MQTT, if the configuration says so.
pub(super) fn delivery(
    config: &ConfigFile,
    plan: &Plan,
    models: Option<ModelSets>,
    (shared, restart): (&Arc<Shared>, &Arc<AtomicBool>),
) -> anyhow::Result<Option<Box<dyn Guest>>> {
    let Some(delivery) = &config.delivery else {
        return Ok(None);
    };
    let mut delivery = Delivery::open(delivery.plan(config)?, plan.pack_store())?;
    if let Some(models) = models {
        let prepared = plan.providers.order.contains(&Provider::TensorRt);
        delivery = delivery.with_models(if prepared {
            Err(PREPARED.to_owned())
        } else {
            Ok(models)
        });
    }
    let (shared, restart) = (Arc::clone(shared), Arc::clone(restart));
    let delivery = delivery.restarted_by(move |why| {
        log::warn!("{why}: starting anew");
        // Told on every output before these end.
        shared.board.say(format!("{why}: the unit starts anew"));
        restart.store(true, Ordering::Release);
        shared.stop.stop();
    });
    Ok(Some(Box::new(delivery)))
}
