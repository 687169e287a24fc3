//! From tracks to advice: follows how each sign is approached, waits until signs that stand side by side
//! are all passed, and gives them to the state machine together. Allocates nothing after the start.

use std::sync::Arc;

use super::approach::{Approach, Companion, Passage, below_as_plate, stacked};
use super::limit::{Now, PassedSign, SpeedLimit};
use super::odometer::Odometer;
use super::role::Role;
use crate::event::{Event, Family, Naming, SignEvent};
use crate::region::Rules;
use crate::track::MAX_TRACKS;
use crate::units::{BoxPx, RegionCode, Timestamp, TrackId};

/// Signs passed that wait for their neighbours.
const MAX_PASSED: usize = 8;
/// They wait no longer than this, in seconds.
const LONGEST_WAIT_S: f64 = 3.0;
/// Two signs whose sizes differ by no more than this factor are about as far away.
const AS_FAR: f32 = 1.7;
/// A limit is not believed while a look-alike with a unit on it is this probable.
const LOOKALIKE_PROBABILITY: f32 = 0.2;

/// A track in this frame.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which.
    pub track: TrackId,
    /// Where it was detected.
    pub bbox: BoxPx,
    /// What it is taken for.
    pub naming: Naming,
}

/// See the module.
#[derive(Debug)]
pub struct Advisor {
    limit: SpeedLimit,
    rules: Arc<Rules>,
    odometer: Odometer,
    approaches: heapless::Vec<(TrackId, Approach), MAX_TRACKS>,
    passed: heapless::Vec<Waiting, MAX_PASSED>,
}

#[derive(Debug)]
struct Waiting {
    sign: PassedSign,
    since: Timestamp,
    /// Signs about as far away that were still in sight.
    beside: heapless::Vec<TrackId, 4>,
}

impl Advisor {
    /// No limit yet, under a region's rules.
    pub fn new(region: RegionCode, rules: &Arc<Rules>) -> Self {
        Self {
            limit: SpeedLimit::new(region, Arc::clone(rules)),
            rules: Arc::clone(rules),
            odometer: Odometer::default(),
            approaches: heapless::Vec::new(),
            passed: heapless::Vec::new(),
        }
    }

    /// The limit in force.
    pub fn limit(&self) -> &SpeedLimit {
        &self.limit
    }

    /// The moment, with the place on the way driven where that is known.
    pub fn now(&self, time: Timestamp, frame: u64) -> Now {
        Now {
            time,
            frame,
            mark: self.odometer.mark(time),
        }
    }

    /// Where the car is: latitude and longitude in degrees.
    pub fn fix(&mut self, time: Timestamp, position_deg: (f64, f64)) {
        self.odometer.fix(time, position_deg);
    }

    /// The region the drive starts in, where its pack is one of a larger region (`US-KS` by the pack of `US`).
    pub fn starts_in(&mut self, region: RegionCode) {
        self.limit.starts_in(region);
    }

    /// Another region's rules hold from here.
    pub fn region(
        &mut self,
        (time, frame): (Timestamp, u64),
        region: RegionCode,
        rules: &Arc<Rules>,
        out: &mut Vec<Event>,
    ) {
        let now = self.now(time, frame);
        self.passed.clear();
        for (_, approach) in &mut self.approaches {
            (approach.named, approach.changes) = (None, 0);
        }
        self.rules = Arc::clone(rules);
        let advice = self.limit.region(now, region, Arc::clone(rules));
        out.extend(advice.map(Event::SpeedLimit));
    }

    /// Takes what is detected in a frame.
    pub fn see(&mut self, time: Timestamp, frame_px: (u32, u32), seen: &[Seen]) {
        let mark = self.odometer.mark(time);
        for one in seen {
            let Some(approach) = self.approach(one.track) else {
                continue;
            };
            approach.add(one.bbox, frame_px, mark);
            let Some(class) = one.naming.class() else {
                continue;
            };
            let Role::Limit(value) = Role::of(class) else {
                continue;
            };
            approach.name(value);
            for other in seen.iter().filter(|o| o.track != one.track) {
                if let Some(companion) = companion(one.bbox, other) {
                    approach.with(companion);
                }
            }
        }
    }

    /// Whether to look below a limit sign for a plate.
    pub fn wants_plate_look(&self, track: TrackId, bbox: BoxPx) -> bool {
        (self.approaches.iter())
            .any(|(id, approach)| *id == track && approach.wants_plate_look(bbox))
    }

    /// What was found there.
    pub fn plate_look(&mut self, track: TrackId, width_px: f32, found: bool) {
        if let Some(approach) = self.approach(track) {
            approach.plate_look(width_px, found);
        }
    }

    fn approach(&mut self, track: TrackId) -> Option<&mut Approach> {
        let at = match self.approaches.iter().position(|(id, _)| *id == track) {
            Some(at) => at,
            None => {
                self.approaches.push((track, Approach::default())).ok()?;
                self.approaches.len() - 1
            }
        };
        self.approaches.get_mut(at).map(|(_, approach)| approach)
    }

    /// A track ended.
    pub fn lost(&mut self, sign: &SignEvent) {
        let Some(at) = (self.approaches.iter()).position(|(id, _)| *id == sign.track) else {
            return;
        };
        let (_, seen) = self.approaches.swap_remove(at);
        let Some(class) = sign.naming.class() else {
            return;
        };
        let role = Role::of(class);
        if role == Role::Other {
            return;
        }
        let is_limit = matches!(role, Role::Limit(_));
        let shape = self.rules.limit_height_over_width.filter(|_| is_limit);
        let passage = seen.passage(shape);
        if passage != Passage::Passed || (is_limit && may_be_lookalike(sign)) {
            log::debug!(
                "track {}: {} is not for this car: {passage:?}",
                sign.track.0,
                class.key
            );
            return;
        }
        let mut beside = heapless::Vec::new();
        for (id, other) in &self.approaches {
            let ratio = other.side_px() / seen.side_px().max(1.0);
            if is_limit && other.named.is_some() && (1.0 / AS_FAR..AS_FAR).contains(&ratio) {
                // Four neighbours are more than ever stand side by side.
                let _ = beside.push(*id);
            }
        }
        let named = (sign.track, role, class.unit, sign.probability);
        let waiting = Waiting {
            sign: PassedSign::new(named, &seen, &self.rules),
            since: sign.time,
            beside,
        };
        if self.passed.is_full() {
            self.passed.remove(0);
        }
        // There is room.
        let _ = self.passed.push(waiting);
    }

    /// Brings the advice up to a moment; changes are appended to `out`.
    pub fn step(&mut self, (time, frame): (Timestamp, u64), out: &mut Vec<Event>) {
        let now = self.now(time, frame);
        if self.odometer.take_turn() {
            out.extend(self.limit.turned(now).map(Event::SpeedLimit));
        }
        let live = |id: &TrackId| self.approaches.iter().any(|(other, _)| other == id);
        let waits = self
            .passed
            .iter()
            .any(|w| time.seconds_since(w.since) < LONGEST_WAIT_S && w.beside.iter().any(live));
        if !waits && !self.passed.is_empty() {
            let signs: heapless::Vec<PassedSign, MAX_PASSED> =
                self.passed.iter().map(|w| w.sign).collect();
            self.passed.clear();
            out.extend(self.limit.passed(now, &signs).map(Event::SpeedLimit));
        }
        out.extend(self.limit.tick(now).map(Event::SpeedLimit));
    }
}

fn companion(sign: BoxPx, other: &Seen) -> Option<Companion> {
    match other.naming.class() {
        Some(class) if class.key == "children" && stacked(sign, other.bbox) => {
            Some(Companion::School)
        }
        Some(class) if class.family == Family::Warning && stacked(sign, other.bbox) => {
            Some(Companion::Warning)
        }
        Some(_) => None,
        None => below_as_plate(sign, other.bbox).then_some(Companion::Plate),
    }
}

/// Metres and tonnes in a red ring are easily read as a speed.
fn may_be_lookalike(sign: &SignEvent) -> bool {
    const LOOKALIKES: [&str; 4] = [
        "height_limit",
        "width_limit",
        "weight_limit",
        "minimum_speed",
    ];
    (sign.top.iter()).any(|c| {
        c.probability >= LOOKALIKE_PROBABILITY && LOOKALIKES.contains(&c.class.key.as_str())
    })
}
