//! The start of a unit to which models came: by the newest that work.

use std::path::PathBuf;

use super::sets::ModelSets;
use crate::config::{ConfigFile, Plan};

/// The plan by the set of models that counts. One on trial that the unit did not survive, or that `works` refuses, goes
/// at once, and the one before counts; at the end those that the program came with. `works` is told whether the set is
/// on trial.
pub fn plan(
    config: &ConfigFile,
    sets: &mut ModelSets,
    works: impl Fn(&Plan, bool) -> anyhow::Result<()>,
) -> anyhow::Result<Plan> {
    // Who takes nothing does not say either that a start lasted.
    if config.delivery.is_some() {
        sets.begin();
    }
    let tried = |config: &ConfigFile, on_trial| {
        let plan = Plan::resolve(config)?;
        works(&plan, on_trial).map(|()| plan)
    };
    let mut own = config.clone();
    own.models.installed = None;
    let by = |folder: PathBuf| {
        let mut config = own.clone();
        config.models.folder = Some(folder);
        config
    };
    while let Some(newest) = sets.current_folder().map(by) {
        match tried(&newest, sets.is_on_trial()) {
            Ok(plan) => {
                sets.settle();
                return Ok(plan);
            }
            Err(e) => {
                // What no others can do either is no fault of the set.
                let mut others = sets
                    .before_folder()
                    .map(by)
                    .into_iter()
                    .chain([own.clone()]);
                if !others.any(|config| tried(&config, false).is_ok()) {
                    return Err(e);
                }
                sets.give_up(&format!("{e:#}"));
            }
        }
    }
    sets.settle();
    Plan::resolve(&own)
}
