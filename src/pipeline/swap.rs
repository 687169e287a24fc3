//! Another region, between two frames.

use std::sync::Arc;

use super::{Recognition, confirm, sign_event};
use crate::event::{AdviceState, Event, Naming, Renamed, SwapChange};
use crate::recognise::Verdict;
use crate::region::RegionChange;
use crate::track::MAX_TRACKS;
use crate::units::Timestamp;

impl Recognition {
    /// Puts another region in force, before the frame `frame` at `time` is looked at: live tracks are
    /// matched again from the embeddings they hold, so that no event of the frame speaks of the old bank.
    pub fn swap_region(&mut self, (time, frame): (Timestamp, u64), next: RegionChange) {
        // A newer pack of the same region leaves its limit in force.
        let same_law =
            self.region == next.region && self.bank.road_rules() == next.bank.road_rules();
        let from = std::mem::replace(&mut self.region, next.region);
        let old = std::mem::replace(&mut self.bank, next.bank);
        let region_at = self.events.len();
        let mut event = self.region_event(time, frame, next.position_deg);
        event.from = Some(from);
        event.crossing = next.crossing;
        self.events.push(Event::Region(event));
        let (gained, lost) = self.bank.differences(&old);
        let mut change = SwapChange {
            gained,
            lost,
            unit: (old.speed_unit().zip(self.bank.speed_unit())).filter(|(a, b)| a != b),
            ..SwapChange::default()
        };
        let told = self.events.len();
        if !same_law {
            let rules = self.bank.road_rules();
            (self.advisor).region((time, frame), self.region, rules, &mut self.events);
        }
        change.advice_expired = (self.events[told..].iter())
            .any(|e| matches!(e, Event::SpeedLimit(a) if a.state == AdviceState::Expired));
        for eye in 0..self.eyes.len() {
            for slot in 0..MAX_TRACKS {
                self.swap_track(eye, slot, (time, frame), &mut change);
            }
        }
        if let Event::Region(event) = &mut self.events[region_at] {
            event.change = Some(Arc::new(change));
        }
    }

    /// Matches one live track against the bank that is in force now.
    fn swap_track(
        &mut self,
        eye: usize,
        slot: usize,
        now: (Timestamp, u64),
        change: &mut SwapChange,
    ) {
        let eye = &mut self.eyes[eye];
        let evidence = &mut eye.evidence[slot];
        let Some(id) = evidence.track() else { return };
        let before = evidence.naming();
        let verdict = evidence.swap_bank(&self.bank, &self.plan.confirm);
        let to = evidence.naming();
        change.tracks += u32::from(evidence.encoded() > 0);
        if !same_sign(&before, &to) {
            change.renamed.push(Renamed {
                track: id,
                from: before,
                to,
            });
        }
        if verdict == Verdict::Confirmed
            && let Some(track) = eye.tracker.tracks().iter().find(|t| t.id == id)
        {
            let seen_by = (&eye.viewpoint, eye.frame_px);
            let sign = sign_event(now, track, evidence, self.region, seen_by);
            confirm(&mut self.events, evidence, sign);
        }
    }
}

/// Whether two names say the same to a driver, whatever the national codes and labels.
fn same_sign(a: &Naming, b: &Naming) -> bool {
    match (a.class(), b.class()) {
        (Some(a), Some(b)) => (&a.key, a.value, a.unit) == (&b.key, b.value, b.unit),
        (None, None) => a == b,
        _ => false,
    }
}
