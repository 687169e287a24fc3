//! What tsedge tells the world: one type an event, the same for every output.
//!
//! Events carry shared class descriptions (`Arc`), so making one allocates nothing.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::health::{HealthState, Reasons};
use crate::units::{BoxPx, RegionCode, SpeedUnit, Timestamp, TrackId};

/// The kind of a sign class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// A maximum speed.
    SpeedLimit,
    /// Something forbidden.
    Prohibition,
    /// Something commanded.
    Mandatory,
    /// A danger ahead.
    Warning,
    /// Right of way.
    Priority,
    /// Information.
    Information,
    /// Ends a limit or prohibition.
    End,
    /// A real sign that the pack does not name.
    OtherSign,
    /// Not a sign.
    Background,
}

/// A class of a region pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassInfo {
    /// Stable across regions, e.g. `speed_limit_50`.
    pub key: String,
    /// The region's own number for it, e.g. `274-50`.
    pub national_code: Option<String>,
    /// Its kind.
    pub family: Family,
    /// The number on it, where the class has one.
    pub value: Option<f32>,
    /// The unit of `value`, for speed limits.
    pub unit: Option<SpeedUnit>,
    /// English name.
    pub label_en: String,
    /// Name in the region's language.
    pub label_local: String,
}

/// What a track was taken for.
#[derive(Debug, Clone, PartialEq)]
pub enum Naming {
    /// Not enough evidence yet.
    Undecided,
    /// A class of the pack.
    Sign(Arc<ClassInfo>),
    /// A sign, but none that the pack names with enough certainty.
    UnknownSign,
    /// Not a sign at all.
    NotASign,
}

impl Naming {
    /// The class, when there is one.
    pub fn class(&self) -> Option<&Arc<ClassInfo>> {
        match self {
            Self::Sign(class) => Some(class),
            _ => None,
        }
    }
}

/// One of the best classes of a track.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The class.
    pub class: Arc<ClassInfo>,
    /// Calibrated probability, 0 to 1.
    pub probability: f32,
}

/// Where a sign stands as the camera sees it; deviations are standard deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// From the camera, in metres.
    pub distance_m: f32,
    /// Deviation of the distance, in metres.
    pub distance_deviation_m: f32,
    /// From the camera's axis, to the right, in degrees.
    pub bearing_deg: f32,
    /// Deviation of the bearing, in degrees.
    pub bearing_deviation_deg: f32,
}

/// A step in the life of a track.
#[derive(Debug, Clone, PartialEq)]
pub struct SignEvent {
    /// When.
    pub time: Timestamp,
    /// In which frame of its camera.
    pub frame: u64,
    /// Which camera, where there are several.
    pub camera: Option<Arc<str>>,
    /// Which track.
    pub track: TrackId,
    /// What it is taken for.
    pub naming: Naming,
    /// Calibrated probability of `naming`'s class; of the best class while undecided or unknown.
    pub probability: f32,
    /// The best three classes, best first.
    pub top: heapless::Vec<Candidate, 3>,
    /// The region in force, which may be a subdivision; [`RegionEvent`] tells whose pack names signs there.
    pub region: RegionCode,
    /// Where: the last box.
    pub bbox: BoxPx,
    /// Where it stood then; `None` when the box was cut by the frame's edge.
    pub placement: Option<Placement>,
    /// Frames in which it was detected so far.
    pub observations: u32,
    /// When the track was first detected.
    pub first_seen: Timestamp,
}

/// Why the speed-limit advice changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdviceState {
    /// A limit sign set the limit.
    Set,
    /// A rule of the region set it, which a sign brought into force; see [`SpeedAdvice::rule`].
    Rule,
    /// A sign ended it.
    Ended,
    /// It no longer holds, without a sign; see [`SpeedAdvice::reason`].
    Expired,
    /// Signs contradict each other: no limit is given. See [`SpeedAdvice::candidates`].
    Ambiguous,
}

/// Why a limit expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryReason {
    /// The car entered another region.
    Border,
    /// It was not repeated for too long a way.
    Distance,
    /// It was not repeated for too long a time, while the way driven is not known.
    Time,
    /// It holds up to the next junction.
    Junction,
    /// The car turned off the road.
    Turn,
}

/// The region's rule that gives a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// Within a built-up area.
    Town,
    /// Outside of one.
    Rural,
    /// On an expressway.
    Expressway,
    /// On a motorway.
    Motorway,
    /// In a residential zone.
    Residential,
}

/// The speed limit as a vehicle may use it.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedAdvice {
    /// When.
    pub time: Timestamp,
    /// In which frame.
    pub frame: u64,
    /// What happened to it.
    pub state: AdviceState,
    /// The limit, while one is set.
    pub value: Option<f32>,
    /// Its unit.
    pub unit: Option<SpeedUnit>,
    /// The sign that set or ended it.
    pub track: Option<TrackId>,
    /// Probability of that sign.
    pub confidence: f32,
    /// The region.
    pub region: RegionCode,
    /// The rule that gives `value`; `None` when a limit sign does.
    pub rule: Option<RuleName>,
    /// Why the limit before expired.
    pub reason: Option<ExpiryReason>,
    /// A limit that holds under a condition only (a plate below the sign, school times), in `unit`.
    pub conditional_value: Option<f32>,
    /// What contradicting signs say, in the order they were passed.
    pub candidates: heapless::Vec<f32, 4>,
    /// For how long the limit before held, in seconds.
    pub held_s: Option<f64>,
    /// Over which way it held, in metres, where that is known.
    pub held_m: Option<f64>,
}

impl SpeedAdvice {
    /// That nothing is known, for a change of `state`.
    pub fn none(time: Timestamp, frame: u64, state: AdviceState, region: RegionCode) -> Self {
        Self {
            time,
            frame,
            state,
            value: None,
            unit: None,
            track: None,
            confidence: 0.0,
            region,
            rule: None,
            reason: None,
            conditional_value: None,
            candidates: heapless::Vec::new(),
            held_s: None,
            held_m: None,
        }
    }
}

/// The region in force changed.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionEvent {
    /// When.
    pub time: Timestamp,
    /// The first frame read with the new pack.
    pub frame: u64,
    /// The region before; `None` at the start.
    pub from: Option<RegionCode>,
    /// The region now.
    pub to: RegionCode,
    /// The pack in use; differs from `to` when that region has no pack.
    pub pack: RegionCode,
    /// Version of the pack.
    pub pack_version: Arc<str>,
    /// SHA-256 of the pack, in hexadecimal.
    pub pack_sha256: Arc<str>,
    /// Where the car was, in degrees (latitude, longitude), when it was known.
    pub position_deg: Option<(f64, f64)>,
    /// Where the border was crossed, which is some fixes before it counts; none at the start.
    pub crossing: Option<Crossing>,
    /// What the swap changed; none at the start.
    pub change: Option<Arc<SwapChange>>,
}

/// The first fix on the other side of a border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossing {
    /// When.
    pub time: Timestamp,
    /// Where, in degrees (latitude, longitude).
    pub position_deg: (f64, f64),
    /// The fix before was on the near side, a moment ago: the border lies between the two. Otherwise it
    /// was crossed in a gap or a jump.
    pub seen: bool,
}

/// What a swap of banks changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SwapChange {
    /// Live tracks that were matched again.
    pub tracks: u32,
    /// Those whose name the new pack changed.
    pub renamed: Vec<Renamed>,
    /// Classes that only the new pack has.
    pub gained: Vec<Arc<ClassInfo>>,
    /// Classes that only the old pack had.
    pub lost: Vec<Arc<ClassInfo>>,
    /// The unit of speed limits before and now, where they differ.
    pub unit: Option<(SpeedUnit, SpeedUnit)>,
    /// A limit that was in force no longer is.
    pub advice_expired: bool,
}

/// A live track that another pack names otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Renamed {
    /// Which track.
    pub track: TrackId,
    /// By the old pack.
    pub from: Naming,
    /// By the new pack.
    pub to: Naming,
}

/// The unit's health changed, or something about it is worth telling.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthEvent {
    /// When.
    pub time: Timestamp,
    /// After which frame.
    pub frame: u64,
    /// The state now.
    pub state: HealthState,
    /// All reasons that stand now.
    pub reasons: Reasons,
    /// What happened, in words, e.g. why a pack was refused.
    pub detail: Option<Arc<str>>,
    /// Each camera and the reasons of its own, where there are several.
    pub cameras: Arc<[CameraHealth]>,
}

/// How one of several cameras does.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraHealth {
    /// Its name.
    pub camera: Arc<str>,
    /// Those of the unit's reasons that this camera gives.
    pub reasons: Reasons,
}

/// How long a stage took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StageTime {
    /// Stage name, e.g. `detect`.
    pub stage: &'static str,
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Maximum.
    pub max_ms: f64,
}

/// Closing figures of a replay. Times depend on the machine, so they are not part of the JSON lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Media time of the last frame.
    pub time: Timestamp,
    /// Frames read.
    pub frames: u64,
    /// Frames known to be lost to damage in the file.
    pub lost_frames: u64,
    /// Signs confirmed.
    pub signs: u64,
    /// Tracks that ended as unknown signs.
    pub unknown_signs: u64,
    /// Region swaps after the first pack.
    pub region_swaps: u64,
}

impl Summary {
    /// Counts what an event tells of signs.
    pub fn count(&mut self, event: &Event) {
        // At its end a track counts once, as what it was last taken for.
        if let Event::SignLost(sign) = event {
            match sign.naming {
                Naming::Sign(_) => self.signs += 1,
                Naming::UnknownSign => self.unknown_signs += 1,
                Naming::Undecided | Naming::NotASign => {}
            }
        }
    }
}

/// Everything an output may be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A track was established.
    SignSeen(SignEvent),
    /// A sign was named with enough evidence.
    SignConfirmed(SignEvent),
    /// A track ended.
    SignLost(SignEvent),
    /// The advised limit changed.
    SpeedLimit(SpeedAdvice),
    /// The region changed.
    Region(RegionEvent),
    /// The health changed.
    Health(HealthEvent),
    /// The run ended.
    Summary(Summary),
}

impl Event {
    /// Its name in JSON, and in MQTT topics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SignSeen(_) => "sign_seen",
            Self::SignConfirmed(_) => "sign_confirmed",
            Self::SignLost(_) => "sign_lost",
            Self::SpeedLimit(_) => "speed_limit",
            Self::Region(_) => "region",
            Self::Health(_) => "health",
            Self::Summary(_) => "summary",
        }
    }

    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::SignSeen(e) | Self::SignConfirmed(e) | Self::SignLost(e) => e.time,
            Self::SpeedLimit(e) => e.time,
            Self::Region(e) => e.time,
            Self::Health(e) => e.time,
            Self::Summary(e) => e.time,
        }
    }
}

/// A live track as the pictures of a replay show it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackView {
    /// Which track.
    pub track: TrackId,
    /// Where it is in this frame.
    pub bbox: BoxPx,
    /// What it is taken for.
    pub naming: Naming,
    /// Probability of that.
    pub probability: f32,
    /// Detected in this very frame, not only predicted.
    pub detected: bool,
    /// Where it stands, if its whole box is in the picture.
    pub placement: Option<Placement>,
}

/// All that a frame gave, for sinks that show pictures (report, annotated video).
#[derive(Debug, Clone, Copy)]
pub struct FrameView<'a> {
    /// Established tracks.
    pub tracks: &'a [TrackView],
    /// Events of this frame, in order.
    pub events: &'a [Event],
    /// Region whose pack read the frame.
    pub region: RegionCode,
    /// Where the car was, in degrees (latitude, longitude), when it is known.
    pub position_deg: Option<(f64, f64)>,
    /// Time the swap before this frame took, when there was one.
    pub swap_took: Option<Duration>,
}
