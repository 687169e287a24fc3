//! What a unit tells of itself.

use super::device::Delivery;
use super::message::{Item, REPORT, Report, UNIT, UnitReport};
use super::sets::Set;
use super::state::Handled;
use crate::output::mqtt::{Outbox, Request};

impl Delivery {
    /// What was done with the newest offer.
    pub(super) fn report(&self, item: Item, outbox: &mut Outbox) {
        if let Some(newest) = self.newest(item) {
            self.tell(item, newest, outbox);
        }
    }

    /// The same of all.
    pub(super) fn report_all(&self, outbox: &mut Outbox) {
        let regions = self.regions().into_iter().map(Item::Pack);
        for item in regions.chain([Item::Models]) {
            self.report(item, outbox);
        }
    }

    pub(super) fn tell(&self, item: Item, handled: &Handled, outbox: &mut Outbox) {
        let in_use = match item {
            Item::Pack(region) => self.packs.in_use(region).map(|(pack, _)| pack),
            Item::Models => self.running_models().map(Set::told),
        };
        let report = Report {
            format: REPORT.to_owned(),
            region: item.to_string(),
            sha256: handled.sha256.clone(),
            state: handled.state,
            detail: handled.detail.clone(),
            signs: handled.trial.signs,
            unknown: handled.trial.share,
            unknown_before: handled.before.map(|b| b.share),
            in_use,
        };
        self.put(&format!("packs/{item}"), &report, outbox);
    }

    fn running_models(&self) -> Option<&Set> {
        self.models.as_ref().ok()?.running()
    }

    pub(super) fn tell_unit(&self, outbox: &mut Outbox) {
        let in_force = self.in_force.as_ref();
        let report = UnitReport {
            format: UNIT,
            program: env!("CARGO_PKG_VERSION"),
            encoder_sha256: self.packs.encoder_sha256().to_owned(),
            models: self.running_models().map(Set::told),
            group: self.plan.group.clone(),
            region: in_force.map(|(region, _)| region.to_string()),
            pack: in_force.map(|(_, pack)| pack.clone()),
            health: self.health,
            reasons: self.reasons,
        };
        self.put("unit", &report, outbox);
    }

    fn put(&self, name: &str, what: &impl serde::Serialize, outbox: &mut Outbox) {
        if let Ok(text) = serde_json::to_string(what) {
            let topic = format!("{}/{name}", self.plan.prefix);
            outbox.put(Request::Tell { topic, text });
        }
    }
}
