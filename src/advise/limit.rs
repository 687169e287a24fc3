//! The state machine: which limit stands, what brought it, and what ends it.

use std::sync::Arc;

use super::approach::{Approach, Companion};
use super::odometer::Mark;
use super::role::Role;
use crate::event::{AdviceState, ExpiryReason, RuleName, SpeedAdvice};
use crate::region::Rules;
use crate::region::rules::EndedBy;
use crate::units::{RegionCode, SpeedUnit, Timestamp, TrackId};

/// While the way driven is not known, a limit lasts as long as its way takes at 60 km/h.
const ASSUMED_M_PER_S: f64 = 60.0 / 3.6;
/// A rule's limit outlasts a posted one: its sign is not repeated.
const RULE_LASTS: f64 = 2.0;
/// Signs whose distances aside differ by less stand side by side.
const BESIDE_M: f32 = 1.5;
/// A track whose named limit changed more often than this wavers.
const MOST_CHANGES: u32 = 1;

/// The moment: time, frame, and where on the way, when that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// Media time, or the monotonic clock.
    pub time: Timestamp,
    /// Frame.
    pub frame: u64,
    /// On the way driven.
    pub mark: Option<Mark>,
}

/// A sign that was passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassedSign {
    /// Its track.
    pub track: TrackId,
    /// What it means.
    pub role: Role,
    /// The unit of its class.
    pub unit: Option<SpeedUnit>,
    /// Probability of its class.
    pub confidence: f32,
    /// How far right of the car's way it stood, in metres, when that is known.
    pub right_m: Option<f32>,
    /// A plate below it, or a school sign, makes it conditional.
    pub conditional: bool,
    /// A danger sign hangs on the same post.
    pub with_warning: bool,
    /// Its display changed while it was read.
    pub wavers: bool,
}

impl PassedSign {
    /// From what was seen of its track.
    pub fn new(
        (track, role, unit, confidence): (TrackId, Role, Option<SpeedUnit>, f32),
        seen: &Approach,
        rules: &Rules,
    ) -> Self {
        let school = rules.school_sign_makes_conditional && seen.has(Companion::School);
        Self {
            track,
            role,
            unit,
            confidence,
            right_m: seen.offset_m().map(|(right, _)| right),
            conditional: seen.has(Companion::Plate) || school,
            with_warning: seen.has(Companion::Warning) || seen.has(Companion::School),
            wavers: seen.changes > MOST_CHANGES,
        }
    }
}

/// The limit that stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// The limit, in `unit`.
    pub value: f32,
    /// Its unit; `None` where the region's is not known.
    pub unit: Option<SpeedUnit>,
    /// The sign that brought it.
    pub track: TrackId,
    /// Probability of that sign.
    pub confidence: f32,
    /// The rule that gives it; `None` for a posted limit.
    pub rule: Option<RuleName>,
    /// It holds in a zone, up to the zone's end.
    pub zone: bool,
    since: Timestamp,
    mark: Option<Mark>,
    lasts_m: f64,
}

/// What kind of road the signs said this is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Context {
    /// No sign said.
    #[default]
    Unknown,
    /// A limit that comes with the road: of a rule or a zone.
    Known(Standing),
}

/// The limit in force; see the module.
#[derive(Debug, Clone)]
pub struct SpeedLimit {
    rules: Arc<Rules>,
    region: RegionCode,
    current: Option<Standing>,
    conditional: Option<f32>,
    context: Context,
    /// What holds again after the zone, residential ones too.
    around_zone: Context,
    /// Value, unit and conditional value as announced last.
    told: (Option<f32>, Option<SpeedUnit>, Option<f32>),
}

impl SpeedLimit {
    /// No limit yet, under a region's rules.
    pub fn new(region: RegionCode, rules: Arc<Rules>) -> Self {
        Self {
            rules,
            region,
            current: None,
            conditional: None,
            context: Context::Unknown,
            around_zone: Context::Unknown,
            told: (None, None, None),
        }
    }

    /// The limit that stands.
    pub fn standing(&self) -> Option<&Standing> {
        self.current.as_ref()
    }

    /// A limit that holds under a condition only.
    pub fn conditional(&self) -> Option<f32> {
        self.conditional
    }

    /// The region the drive starts in.
    pub fn starts_in(&mut self, region: RegionCode) {
        self.region = region;
    }

    /// Another region's rules hold from here: what came from the old ones is dropped.
    pub fn region(
        &mut self,
        now: Now,
        region: RegionCode,
        rules: Arc<Rules>,
    ) -> Option<SpeedAdvice> {
        let before = self.current.take();
        *self = Self {
            told: self.told,
            ..Self::new(region, rules)
        };
        self.tell(
            now,
            AdviceState::Expired,
            before,
            Some(ExpiryReason::Border),
        )
    }

    /// The car turned off its road: what was posted there, and what kind of road it was, is over. What
    /// holds in an area goes on.
    pub fn turned(&mut self, now: Now) -> Option<SpeedAdvice> {
        let before = self.current;
        if let Context::Known(road) = self.context
            && !road.zone
            && !matches!(road.rule, Some(RuleName::Town | RuleName::Residential))
        {
            self.context = Context::Unknown;
        }
        self.fall_back();
        self.tell(now, AdviceState::Expired, before, Some(ExpiryReason::Turn))
    }

    /// Time and way go on: a limit that was not repeated expires.
    pub fn tick(&mut self, now: Now) -> Option<SpeedAdvice> {
        let limit = self.current?;
        let reason = match (now.mark, limit.mark) {
            (Some(here), Some(there)) if here.since(there).is_some() => {
                (here.since(there)? > limit.lasts_m).then_some(ExpiryReason::Distance)
            }
            _ => (now.time.seconds_since(limit.since) * ASSUMED_M_PER_S > limit.lasts_m)
                .then_some(ExpiryReason::Time),
        }?;
        if matches!(self.context, Context::Known(road) if road.track == limit.track) {
            self.context = Context::Unknown;
        }
        self.fall_back();
        // What the road itself brought may be as old.
        if self.current.is_some_and(|road| road.track == limit.track) {
            self.current = None;
        }
        self.conditional = None;
        self.tell(now, AdviceState::Expired, Some(limit), Some(reason))
    }

    /// Signs that were passed together. Gives the change, if there is one.
    pub fn passed(&mut self, now: Now, signs: &[PassedSign]) -> Option<SpeedAdvice> {
        let before = self.current;
        let mut state = AdviceState::Ended;
        let mut reason = None;
        // A sign in another unit than the region's is none of the region's.
        let foreign = |s: &PassedSign| {
            self.rules.unit.is_some() && s.unit.is_some() && s.unit != self.rules.unit
        };
        let signs: heapless::Vec<PassedSign, 8> = signs
            .iter()
            .filter(|s| !foreign(s))
            .take(8)
            .copied()
            .collect();
        for (i, sign) in signs.iter().enumerate() {
            // The same on both sides of the road says it once.
            if signs[..i].iter().any(|s| s.role == sign.role) {
                continue;
            }
            match self.road(now, sign) {
                Some(Change::Brought) => (state, reason) = (AdviceState::Rule, None),
                Some(Change::Ended) => (state, reason) = (AdviceState::Ended, None),
                Some(Change::Junction) => {
                    (state, reason) = (AdviceState::Expired, Some(ExpiryReason::Junction));
                }
                None => {}
            }
        }
        match self.posted(now, &signs) {
            Posted::None => {}
            Posted::Limit => (state, reason) = (AdviceState::Set, None),
            Posted::Contradiction(candidates) => {
                return self.contradiction(now, before, candidates, &signs);
            }
        }
        let mut advice = self.tell(now, state, before, reason)?;
        if advice.track.is_none() {
            advice.track = signs.last().map(|s| s.track);
            advice.confidence = signs.last().map_or(0.0, |s| s.confidence);
        }
        Some(advice)
    }

    /// What a sign says about the kind of road.
    fn road(&mut self, now: Now, sign: &PassedSign) -> Option<Change> {
        let rules = Arc::clone(&self.rules);
        let (limit, name) = match sign.role {
            Role::Town => (rules.town_limit, RuleName::Town),
            Role::EndOfTown => (rules.rural_limit, RuleName::Rural),
            Role::Expressway => (rules.expressway_limit, RuleName::Expressway),
            Role::Motorway => (rules.motorway_limit, RuleName::Motorway),
            Role::Residential => (rules.residential_limit, RuleName::Residential),
            Role::EndOfMotorway => {
                self.context = Context::Unknown;
                self.around_zone = Context::Unknown;
                self.current = None;
                return Some(Change::Ended);
            }
            Role::Zone(value) => {
                let zone = self.standing_at(now, sign, value, None, f64::INFINITY);
                if !matches!(self.context, Context::Known(road) if road.zone) {
                    self.around_zone = self.context;
                }
                self.context = Context::Known(Standing { zone: true, ..zone });
                self.fall_back();
                return Some(Change::Brought);
            }
            Role::EndOfZone | Role::EndOfResidential => {
                self.context = std::mem::take(&mut self.around_zone);
                self.fall_back();
                return Some(Change::Ended);
            }
            Role::EndOfLimit => {
                let posted = self.current.is_some_and(|c| c.rule.is_none() && !c.zone);
                if !rules.ends(EndedBy::EndSign) || !(posted || self.conditional.is_some()) {
                    return None;
                }
                self.fall_back();
                return Some(Change::Ended);
            }
            Role::Junction => {
                let posted = self.current.is_some_and(|c| c.rule.is_none() && !c.zone);
                if !rules.ends(EndedBy::Junction) || !posted {
                    return None;
                }
                self.fall_back();
                return Some(Change::Junction);
            }
            Role::Limit(_) | Role::Other => return None,
        };
        let town = matches!(sign.role, Role::Town | Role::EndOfTown);
        if limit.is_none() && town && !rules.ends(EndedBy::TownSign) {
            return None;
        }
        self.around_zone = match self.context {
            _ if sign.role != Role::Residential => Context::Unknown,
            Context::Known(road) if road.rule != Some(RuleName::Residential) => self.context,
            _ => self.around_zone,
        };
        self.context = limit.map_or(Context::Unknown, |limit| {
            let lasts = RULE_LASTS * rules.expires_after_m;
            Context::Known(self.standing_at(now, sign, f32::from(limit), Some(name), lasts))
        });
        self.fall_back();
        Some(if limit.is_some() {
            Change::Brought
        } else {
            Change::Ended
        })
    }

    /// What the limit signs of a group say together.
    fn posted(&mut self, now: Now, signs: &[PassedSign]) -> Posted {
        let mut plain: heapless::Vec<&PassedSign, 8> = heapless::Vec::new();
        let mut conditional = None;
        for sign in signs {
            let Role::Limit(value) = sign.role else {
                continue;
            };
            if sign.conditional {
                conditional = Some(value);
            } else {
                // Further ones could only make the contradiction longer.
                let _ = plain.push(sign);
            }
        }
        let Some(nearest) = (plain.iter().copied())
            .min_by(|a, b| aside(a).total_cmp(&aside(b)).then(a.track.cmp(&b.track)))
        else {
            if conditional.is_some() {
                self.conditional = conditional;
            }
            return if conditional.is_some() {
                Posted::Limit
            } else {
                Posted::None
            };
        };
        let rivals = || {
            (plain.iter()).filter(|s| {
                s.right_m.is_none()
                    || nearest.right_m.is_none()
                    || aside(s) - aside(nearest) < BESIDE_M
            })
        };
        let agreed = rivals().all(|s| s.role == nearest.role);
        if !agreed || rivals().any(|s| s.wavers) {
            let mut candidates = heapless::Vec::new();
            for sign in rivals() {
                if let Role::Limit(value) = sign.role
                    && !candidates.contains(&value)
                {
                    // Four are enough to show the contradiction.
                    let _ = candidates.push(value);
                }
            }
            return Posted::Contradiction(candidates);
        }
        let Role::Limit(value) = nearest.role else {
            return Posted::None;
        };
        let lasts_m = match self.rules.warning_expires_after_m {
            Some(way_m) if nearest.with_warning => way_m,
            _ => self.rules.expires_after_m,
        };
        self.current = Some(self.standing_at(now, nearest, value, None, lasts_m));
        self.conditional = conditional;
        Posted::Limit
    }

    fn contradiction(
        &mut self,
        now: Now,
        before: Option<Standing>,
        candidates: heapless::Vec<f32, 4>,
        signs: &[PassedSign],
    ) -> Option<SpeedAdvice> {
        self.current = None;
        self.conditional = None;
        self.told = (None, None, None);
        let limit = |s: &&PassedSign| matches!(s.role, Role::Limit(_));
        let source = signs.iter().rfind(limit)?;
        let mut advice = self.advice(now, AdviceState::Ambiguous, before, None);
        advice.unit = source.unit.or(self.rules.unit);
        advice.track = Some(source.track);
        advice.confidence = source.confidence;
        advice.candidates = candidates;
        Some(advice)
    }

    /// Back to what the road itself brings, or to nothing.
    fn fall_back(&mut self) {
        self.conditional = None;
        self.current = match self.context {
            Context::Known(road) => Some(road),
            Context::Unknown => None,
        };
    }

    fn standing_at(
        &self,
        now: Now,
        sign: &PassedSign,
        value: f32,
        rule: Option<RuleName>,
        lasts_m: f64,
    ) -> Standing {
        Standing {
            value,
            unit: sign.unit.or(self.rules.unit),
            track: sign.track,
            confidence: sign.confidence,
            rule,
            zone: false,
            since: now.time,
            mark: now.mark,
            lasts_m,
        }
    }

    /// The change since it was told last; `None` when there is none.
    fn tell(
        &mut self,
        now: Now,
        state: AdviceState,
        before: Option<Standing>,
        reason: Option<ExpiryReason>,
    ) -> Option<SpeedAdvice> {
        let value = self.current.map(|c| c.value);
        let unit = self.current.and_then(|c| c.unit).or(self.rules.unit);
        let is = (value, unit.filter(|_| value.is_some()), self.conditional);
        if is == self.told {
            return None;
        }
        self.told = is;
        Some(self.advice(now, state, before, reason))
    }

    fn advice(
        &self,
        now: Now,
        state: AdviceState,
        before: Option<Standing>,
        reason: Option<ExpiryReason>,
    ) -> SpeedAdvice {
        let mut advice = SpeedAdvice::none(now.time, now.frame, state, self.region);
        if let Some(limit) = self.current {
            advice.value = Some(limit.value);
            advice.unit = limit.unit;
            advice.track = Some(limit.track);
            advice.confidence = limit.confidence;
            advice.rule = limit.rule;
        }
        if self.conditional.is_some() {
            advice.conditional_value = self.conditional;
            advice.unit = advice.unit.or(self.rules.unit);
        }
        advice.reason = reason;
        advice.held_s = before.map(|b| now.time.seconds_since(b.since).max(0.0));
        advice.held_m = before.and_then(|b| now.mark?.since(b.mark?));
        advice
    }
}

impl Standing {
    /// For how long it has stood, in seconds.
    pub fn age_s(&self, now: Now) -> f64 {
        now.time.seconds_since(self.since).max(0.0)
    }

    /// Driven since its sign, in metres; `None` when that is not known.
    pub fn driven_m(&self, now: Now) -> Option<f64> {
        now.mark?.since(self.mark?)
    }
}

enum Change {
    Brought,
    Ended,
    Junction,
}

enum Posted {
    None,
    Limit,
    Contradiction(heapless::Vec<f32, 4>),
}

fn aside(sign: &PassedSign) -> f32 {
    sign.right_m.map_or(0.0, f32::abs)
}
