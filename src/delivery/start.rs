//! The start of a unit to which models came: by the newest that work.

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
    while let Some(folder) = sets.current_folder() {
        let mut newest = own.clone();
        newest.models.folder = Some(folder);
        match tried(&newest, sets.is_on_trial()) {
            Ok(plan) => {
                sets.settle();
                return Ok(plan);
            }
            // What the others cannot do either is no fault of the set.
            Err(e) => match tried(&own, false) {
                Ok(_) => sets.give_up(&format!("{e:#}")),
                Err(_) => return Err(e),
            },
        }
    }
    sets.settle();
    Plan::resolve(&own)
}
