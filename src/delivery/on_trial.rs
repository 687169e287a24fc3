//! What the unit sees judges what is on trial: models first, then the pack in force.

use super::device::Delivery;
use super::message::{Item, State};
use super::trial::{Verdict, judge};
use crate::event::{HealthEvent, SignEvent};
use crate::health::Reason;
use crate::output::mqtt::Outbox;

/// What is learned is written to the disk after so many signs.
const KEEP_AFTER: u64 = 25;

impl Delivery {
    /// Whether what was delivered is in force, and on trial.
    fn is_tried(&self, item: Item) -> bool {
        let in_force = match item {
            Item::Pack(region) => (self.in_force.as_ref())
                .filter(|(own, _)| *own == region)
                .map(|(_, pack)| &pack.sha256),
            Item::Models => {
                let sets = self.models.as_ref().ok();
                sets.and_then(|s| s.running()).map(|set| &set.sha256)
            }
        };
        let newest = self.newest(item);
        newest.is_some_and(|n| n.state == State::Installed && Some(&n.sha256) == in_force)
    }

    pub(super) fn sign(&mut self, sign: &SignEvent, outbox: &mut Outbox) {
        // Of a subdivision that reads by its country's pack, the country: the pack is what is judged.
        let in_force = self.in_force.as_ref();
        let pack = Item::Pack(in_force.map_or(sign.region, |(pack, _)| *pack));
        if self.is_tried(Item::Models) {
            return self.judge(Item::Models, sign, outbox);
        }
        // What a pack on trial does is not what is usual with the models.
        if !self.is_tried(pack) && self.models.is_ok() {
            self.judge(Item::Models, sign, outbox);
        }
        self.judge(pack, sign, outbox);
    }

    fn judge(&mut self, item: Item, sign: &SignEvent, outbox: &mut Outbox) {
        let (trial_signs, tried) = (self.plan.trial_signs, self.is_tried(item));
        let of = self.of(item);
        let signs = match &mut of.newest {
            Some(newest) if tried => {
                if !newest.trial.ended(sign) {
                    return;
                }
                match judge(&newest.trial, newest.before.as_ref(), trial_signs) {
                    Verdict::Open => newest.trial.signs,
                    Verdict::Bad(why) => return self.roll_back(item, &why, outbox),
                    Verdict::Good => {
                        newest.state = State::Kept;
                        of.usual = newest.trial;
                        self.keep(item);
                        return self.report(item, outbox);
                    }
                }
            }
            _ => {
                if !of.usual.ended(sign) {
                    return;
                }
                of.usual.signs
            }
        };
        if signs.is_multiple_of(KEEP_AFTER) {
            self.keep(item);
        }
    }

    pub(super) fn health(&mut self, event: &HealthEvent, outbox: &mut Outbox) {
        let before = std::mem::replace(&mut self.reasons, event.reasons);
        let rises = |reason| event.reasons.has(reason) && !before.has(reason);
        if rises(Reason::EvaluateAgain) {
            let pack = self
                .in_force
                .as_ref()
                .map(|(region, _)| Item::Pack(*region));
            let tried = [Some(Item::Models), pack].into_iter().flatten();
            let words = event.detail.as_deref().unwrap_or("evaluate again");
            if let Some(item) = tried.into_iter().find(|item| self.is_tried(*item)) {
                self.roll_back(item, words, outbox);
            }
        }
        if event.reasons.has(Reason::PackRefused) {
            self.look_for_damage(outbox);
        }
        if self.health != event.state || before != event.reasons {
            self.health = event.state;
            self.tell_unit(outbox);
        }
    }

    /// A pack was refused: if it is one on trial, the one before takes its place.
    fn look_for_damage(&mut self, outbox: &mut Outbox) {
        for region in self.regions() {
            let item = Item::Pack(region);
            let on_trial = self.newest(item).map(|n| n.state) == Some(State::Installed);
            if let Some(why) = self.packs.damage(region).filter(|_| on_trial) {
                self.roll_back(item, &why, outbox);
            }
        }
    }

    /// This start of the unit is no matter of what is on trial.
    pub(super) fn lasts(&mut self) {
        let regions = self.regions().into_iter().map(Item::Pack);
        for item in regions.chain([Item::Models]) {
            let newest = self.newest_mut(item);
            if newest.is_some_and(|newest| std::mem::take(&mut newest.starts) > 0) {
                self.keep(item);
            }
        }
    }
}
