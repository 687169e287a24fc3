//! What the vehicle is told: events in, messages out when they are due. No device and no clock.

use std::time::Duration;

use embedded_can::StandardId;

use super::codec::messages::{
    TseCounters, TseSign, TseSignSignStep, TseSignSignUnit, TseSpeedLimit, TseSpeedLimitLimitState,
    TseSpeedLimitLimitUnit, TseStatus, TseStatusState,
};
use super::codec::{Schedule, class_number};
use super::e2e;
use crate::event::{AdviceState, Event, HealthEvent, SignEvent, SpeedAdvice};
use crate::health::{HealthState, Reason, Reasons};
use crate::output::Progress;
use crate::units::{RegionCode, SpeedUnit, Timestamp};

/// A sign is told so often, so that a lost frame loses no sign.
const SIGN_REPEATS: u8 = 3;
/// From one repeat to the next.
const SIGN_REPEAT_EVERY: Duration = Duration::from_millis(10);
/// Signs that wait for their repeats; more at once lose their repeats, oldest first.
const MAX_WAITING_SIGNS: usize = 16;
/// Longest list [`VehicleState::due`] gives.
pub const MAX_DUE: usize = MAX_WAITING_SIGNS + 3;

/// The identifiers of the messages on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageIds {
    /// `TSE_Status`.
    pub status: u16,
    /// `TSE_SpeedLimit`.
    pub speed_limit: u16,
    /// `TSE_Sign`.
    pub sign: u16,
    /// `TSE_Counters`.
    pub counters: u16,
}

impl Default for MessageIds {
    /// As in `can/tsedge.dbc`.
    fn default() -> Self {
        Self {
            status: 0x6a0,
            speed_limit: 0x6a1,
            sign: 0x6a2,
            counters: 0x6a3,
        }
    }
}

/// One CAN message, protected and ready to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Its identifier.
    pub id: StandardId,
    /// Its payload.
    pub data: [u8; 8],
}

/// A periodic or repeated message: when it is due, and its counter.
#[derive(Debug, Clone, Copy)]
struct Line {
    id: StandardId,
    schedule: Schedule,
    due: Option<Timestamp>,
    counter: u8,
}

impl Line {
    fn new(id: u16, schedule: Schedule) -> Option<Self> {
        Some(Self {
            id: StandardId::new(id)?,
            schedule,
            due: None,
            counter: 0,
        })
    }

    /// True when the message is due at `now`; the next is then due a cycle after this one was.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let cycle = i64::from(self.schedule.cycle_ms) * 1_000_000;
        match self.due {
            Some(due) if now < due => false,
            Some(due) => {
                // A late sender does not catch up with a burst.
                let late = now.nanos().saturating_sub(due.nanos()) >= cycle;
                let from = if late { now } else { due };
                self.due = Some(Timestamp::from_nanos(from.nanos() + cycle));
                true
            }
            None => {
                self.due = Some(Timestamp::from_nanos(now.nanos() + cycle));
                true
            }
        }
    }

    fn protect(&mut self, mut data: [u8; 8]) -> Message {
        e2e::protect(&mut data, self.schedule.e2e_data_id, &mut self.counter);
        Message { id: self.id, data }
    }
}

/// A sign on its way: sent `sent` times, next at `due`.
#[derive(Debug, Clone, Copy)]
struct WaitingSign {
    data: [u8; 8],
    sent: u8,
    due: Timestamp,
}

/// See the module.
#[derive(Debug)]
pub struct VehicleState {
    status: Line,
    speed_limit: Line,
    sign: Line,
    counters: Line,
    health: (HealthState, Reasons),
    region: RegionCode,
    pack_hash: u16,
    region_swaps: u8,
    limit: Option<SpeedAdvice>,
    signs: heapless::Deque<WaitingSign, MAX_WAITING_SIGNS>,
}

impl VehicleState {
    /// `None` when an identifier has more than 11 bits or two are the same.
    pub fn new(ids: MessageIds) -> Option<Self> {
        let all = [ids.status, ids.speed_limit, ids.sign, ids.counters];
        if (1..all.len()).any(|i| all[..i].contains(&all[i])) {
            return None;
        }
        Some(Self {
            status: Line::new(ids.status, TseStatus::SCHEDULE)?,
            speed_limit: Line::new(ids.speed_limit, TseSpeedLimit::SCHEDULE)?,
            sign: Line::new(ids.sign, TseSign::SCHEDULE)?,
            counters: Line::new(ids.counters, TseCounters::SCHEDULE)?,
            health: (HealthState::Init, Reasons::NONE),
            region: RegionCode::WORLD,
            pack_hash: 0,
            region_swaps: 0,
            limit: None,
            signs: heapless::Deque::new(),
        })
    }

    /// Takes an event that came to be at `now`.
    pub fn take(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::SignConfirmed(sign) => self.queue_sign(sign, TseSignSignStep::Confirmed, now),
            Event::SignLost(sign) if sign.naming.class().is_some() => {
                self.queue_sign(sign, TseSignSignStep::Lost, now);
            }
            Event::SpeedLimit(advice) => {
                self.limit = Some(advice.clone());
                self.speed_limit.due = Some(now);
            }
            Event::Region(region) => {
                if region.from.is_some() {
                    self.region_swaps = self.region_swaps.wrapping_add(1);
                }
                self.region = region.to;
                self.pack_hash = hash_16(&region.pack_sha256);
                self.status.due = Some(now);
            }
            Event::Health(HealthEvent { state, reasons, .. }) => {
                self.health = (*state, *reasons);
                self.status.due = Some(now);
            }
            Event::SignSeen(_) | Event::SignLost(_) | Event::Summary(_) => {}
        }
    }

    /// The messages due at `now`, status first.
    pub fn due(&mut self, now: Timestamp, progress: &Progress) -> heapless::Vec<Message, MAX_DUE> {
        let mut due = heapless::Vec::new();
        if self.status.is_due(now) {
            let data = self.status_data(now, progress);
            let _ = due.push(self.status.protect(data));
        }
        if self.speed_limit.is_due(now) {
            let data = self.limit_data(now);
            let _ = due.push(self.speed_limit.protect(data));
        }
        if self.counters.is_due(now) {
            let data = self.counters_data(progress);
            let _ = due.push(self.counters.protect(data));
        }
        for _ in 0..self.signs.len() {
            let Some(mut sign) = self.signs.pop_front() else {
                break;
            };
            if now >= sign.due {
                let data = with_repeat(sign.data, sign.sent);
                let _ = due.push(self.sign.protect(data));
                sign.sent += 1;
                let next = now.nanos() + SIGN_REPEAT_EVERY.as_nanos() as i64;
                sign.due = Timestamp::from_nanos(next);
            }
            if sign.sent < SIGN_REPEATS {
                let _ = self.signs.push_back(sign);
            }
        }
        due
    }

    /// When [`VehicleState::due`] has something to give next.
    pub fn next_due(&self) -> Timestamp {
        let lines = [&self.status, &self.speed_limit, &self.counters].map(|l| l.due);
        let signs = self.signs.iter().map(|s| Some(s.due));
        let next = lines.into_iter().chain(signs).flatten().min();
        next.unwrap_or(Timestamp::ZERO)
    }

    fn queue_sign(&mut self, sign: &SignEvent, step: TseSignSignStep, now: Timestamp) {
        if self.signs.is_full() {
            self.signs.pop_front();
        }
        let _ = self.signs.push_back(WaitingSign {
            data: sign_data(sign, step),
            sent: 0,
            due: now,
        });
    }

    fn status_data(&self, now: Timestamp, progress: &Progress) -> [u8; 8] {
        let (state, reasons) = self.health;
        let state = match state {
            HealthState::Init => TseStatusState::Init,
            HealthState::Normal => TseStatusState::Normal,
            HealthState::Degraded => TseStatusState::Degraded,
            HealthState::Fault => TseStatusState::Fault,
        };
        let country = self.region.country();
        let letter = |i: usize| match country.as_str().as_bytes() {
            letters @ [_, _] => letters[i] - b'A' + 1,
            _ => 0,
        };
        let age_ms = progress.last_frame().map_or(f64::INFINITY, |captured| {
            now.seconds_since(captured).max(0.0) * 1e3
        });
        let has = |reason| reasons.has(reason);
        raw(TseStatus::new(
            0,
            0,
            state,
            has(Reason::NoCamera),
            has(Reason::StaleFrames),
            has(Reason::DarkView),
            has(Reason::BlurredView),
            has(Reason::BlockedView),
            has(Reason::FrozenView),
            has(Reason::Overload),
            has(Reason::NoPosition),
            has(Reason::RegionStale),
            has(Reason::FallbackPack),
            has(Reason::PackRefused),
            has(Reason::OutputDown),
            has(Reason::EvaluateAgain),
            has(Reason::DamagedFrames),
            letter(0),
            letter(1),
            self.pack_hash,
            age_ms.min(2550.0) as u16,
        )
        .map(|m| *m.raw()))
    }

    fn limit_data(&self, now: Timestamp) -> [u8; 8] {
        let unavailable = matches!(self.health.0, HealthState::Init | HealthState::Fault);
        let limit = self.limit.as_ref().filter(|_| !unavailable);
        let state = match limit {
            None if unavailable => TseSpeedLimitLimitState::NotAvailable,
            None => TseSpeedLimitLimitState::None,
            Some(advice) => limit_state(advice),
        };
        let standing = limit.filter(|l| shown(l).is_some());
        let age_s = standing.map_or(255.0, |l| now.seconds_since(l.time).clamp(0.0, 254.0));
        raw(TseSpeedLimit::new(
            0,
            0,
            state,
            standing
                .and_then(shown)
                .map_or(0, |v| v.round().clamp(0.0, 255.0) as u8),
            match standing.and_then(|l| l.unit) {
                Some(SpeedUnit::MilesPerHour) => TseSpeedLimitLimitUnit::Mph,
                _ => TseSpeedLimitLimitUnit::KmH,
            },
            standing.is_some_and(|l| l.value.is_none()),
            standing.map_or(127, |l| percent(l.confidence)),
            age_s as u8,
            DISTANCE_UNKNOWN_M,
        )
        .map(|m| *m.raw()))
    }

    fn counters_data(&self, progress: &Progress) -> [u8; 8] {
        raw(TseCounters::new(
            0,
            0,
            (progress.frames() & 0xff_ffff) as u32,
            (progress.dropped() & 0xffff) as u16,
            self.region_swaps,
        )
        .map(|m| *m.raw()))
    }
}

const DISTANCE_UNKNOWN_M: u16 = 40_950;

/// The limit, or the one under a condition where there is no other.
fn shown(advice: &SpeedAdvice) -> Option<f32> {
    advice.value.or(advice.conditional_value)
}

fn limit_state(advice: &SpeedAdvice) -> TseSpeedLimitLimitState {
    match advice.state {
        // What stands, whatever was before it.
        _ if advice.rule.is_some() => TseSpeedLimitLimitState::Rule,
        _ if shown(advice).is_some() => TseSpeedLimitLimitState::Sign,
        AdviceState::Set | AdviceState::Rule => TseSpeedLimitLimitState::None,
        AdviceState::Ambiguous => TseSpeedLimitLimitState::Ambiguous,
        AdviceState::Ended => TseSpeedLimitLimitState::Ended,
        AdviceState::Expired => TseSpeedLimitLimitState::Expired,
    }
}

fn sign_data(sign: &SignEvent, step: TseSignSignStep) -> [u8; 8] {
    let class = sign.naming.class();
    let value = class.and_then(|c| c.value);
    let unit = match class.and_then(|c| c.unit) {
        Some(SpeedUnit::MilesPerHour) => TseSignSignUnit::Mph,
        _ => TseSignSignUnit::KmH,
    };
    let mut message = TseSign::new(
        0,
        0,
        step,
        0,
        super::codec::messages::TseSignSignClass::UnknownSign,
        value.map_or(255, |v| v.round().clamp(0.0, 254.0) as u8),
        percent(sign.probability),
        unit,
        (sign.track.0 & 0xffff) as u16,
    );
    if let Ok(message) = &mut message {
        message.set_sign_class_raw_val(class.map_or(0, |c| class_number(&c.key)));
    }
    raw(message.map(|m| *m.raw()))
}

fn with_repeat(data: [u8; 8], repeat: u8) -> [u8; 8] {
    raw(TseSign::try_from(data.as_slice()).map(|mut message| {
        message.set_sign_repeat_raw_val(repeat);
        *message.raw()
    }))
}

fn percent(share: f32) -> u8 {
    (share * 100.0).round().clamp(0.0, 100.0) as u8
}

/// Values are clamped to their ranges before, so an error would be a fault of this file.
fn raw(message: Result<[u8; 8], super::codec::messages::CanError>) -> [u8; 8] {
    debug_assert!(message.is_ok(), "a signal is out of its range");
    message.unwrap_or_default()
}

/// The first 16 bits of a hexadecimal hash.
fn hash_16(hex: &str) -> u16 {
    hex.get(..4)
        .and_then(|start| u16::from_str_radix(start, 16).ok())
        .unwrap_or(0)
}
