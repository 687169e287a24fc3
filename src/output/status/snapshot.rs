//! The newest of everything.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::event::{Event, SignEvent};
use crate::health::{HealthState, Reasons};
use crate::output::Progress;
use crate::units::{RegionCode, SpeedUnit, Timestamp};

/// Signs kept to show.
const RECENT_SIGNS: usize = 8;

/// A confirmed sign.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecentSign {
    /// When it was confirmed, in seconds of the monotonic clock.
    pub time_s: f64,
    /// Class key.
    pub class: String,
    /// English name.
    pub label: String,
    /// The region's own number.
    pub national_code: Option<String>,
    /// Calibrated probability.
    pub probability: f32,
}

/// The speed limit in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limit {
    /// The number on the sign.
    pub value: f32,
    /// Its unit.
    pub unit: Option<SpeedUnit>,
}

/// What the unit does now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// Version of the program.
    pub version: &'static str,
    /// Seconds since this output's first look.
    pub uptime_s: f64,
    /// State.
    pub state: HealthState,
    /// Reasons that stand.
    pub reasons: Reasons,
    /// Each camera's own reasons, where cameras have names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cameras: BTreeMap<String, Reasons>,
    /// What happened last, in words.
    pub detail: Option<String>,
    /// Region in force.
    pub region: RegionCode,
    /// The pack in use and its version.
    pub pack: (RegionCode, String),
    /// The limit in force.
    pub limit: Option<Limit>,
    /// Frames recognised.
    pub frames: u64,
    /// Frames left out.
    pub dropped: u64,
    /// Frames a second, lately.
    pub frames_per_s: f64,
    /// Capture to result: median, milliseconds.
    pub latency_p50_ms: f64,
    /// Capture to result: 99th percentile, milliseconds.
    pub latency_p99_ms: f64,
    /// Age of the newest result, milliseconds.
    pub frame_age_ms: Option<u64>,
    /// Signs confirmed so far.
    pub signs_confirmed: u64,
    /// Region swaps so far.
    pub region_swaps: u64,
    /// The newest signs, newest first.
    pub signs: VecDeque<RecentSign>,
    #[serde(skip)]
    started: Option<Timestamp>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: 0.0,
            state: HealthState::Init,
            reasons: Reasons::NONE,
            cameras: BTreeMap::new(),
            detail: None,
            region: RegionCode::WORLD,
            pack: (RegionCode::WORLD, String::new()),
            limit: None,
            frames: 0,
            dropped: 0,
            frames_per_s: 0.0,
            latency_p50_ms: 0.0,
            latency_p99_ms: 0.0,
            frame_age_ms: None,
            signs_confirmed: 0,
            region_swaps: 0,
            signs: VecDeque::with_capacity(RECENT_SIGNS),
            started: None,
        }
    }
}

impl Snapshot {
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::SignConfirmed(sign) => self.sign(sign),
            Event::SpeedLimit(advice) => {
                self.limit = advice.value.map(|value| Limit {
                    value,
                    unit: advice.unit,
                });
            }
            Event::Region(region) => {
                self.region_swaps += u64::from(region.from.is_some());
                self.region = region.to;
                self.pack = (region.pack, region.pack_version.to_string());
            }
            Event::Health(health) => {
                (self.state, self.reasons) = (health.state, health.reasons);
                let each = health.cameras.iter();
                self.cameras = each.map(|c| (c.camera.to_string(), c.reasons)).collect();
                if let Some(detail) = &health.detail {
                    self.detail = Some(detail.to_string());
                }
            }
            Event::SignSeen(_) | Event::SignLost(_) | Event::Summary(_) => {}
        }
    }

    fn sign(&mut self, sign: &SignEvent) {
        let Some(class) = sign.naming.class() else {
            return;
        };
        self.signs_confirmed += 1;
        self.signs.truncate(RECENT_SIGNS - 1);
        self.signs.push_front(RecentSign {
            time_s: sign.time.seconds(),
            class: class.key.clone(),
            label: class.label_en.clone(),
            national_code: class.national_code.clone(),
            probability: sign.probability,
        });
    }

    pub(super) fn progress(&mut self, now: Timestamp, progress: &Progress, frames_per_s: f64) {
        let started = *self.started.get_or_insert(now);
        self.uptime_s = now.seconds_since(started);
        self.frames = progress.frames();
        self.dropped = progress.dropped();
        self.frames_per_s = frames_per_s;
        self.latency_p50_ms = progress.latency_ms(0.5);
        self.latency_p99_ms = progress.latency_ms(0.99);
        self.frame_age_ms = progress.last_frame().map(|captured| {
            let age_ms = now.seconds_since(captured).max(0.0) * 1e3;
            age_ms as u64
        });
    }
}
