//! Events as JSON objects, by `docs/schema/events.schema.json`: one form for every output, borrowing from the events: writing one allocates nothing but the line.

use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use crate::event::{
    AdviceState, CameraHealth, Candidate, Crossing, Event, ExpiryReason, HealthEvent, Naming,
    RegionEvent, Renamed, RuleName, SignEvent, SpeedAdvice, Summary, SwapChange,
};
use crate::health::{HealthState, Reasons};
use crate::units::{BoxPx, RegionCode, SpeedUnit, Timestamp, TrackId};

/// Appends the object of `event` to `line`, without the line feed.
pub fn write(event: &Event, line: &mut Vec<u8>) -> serde_json::Result<()> {
    match event {
        Event::SignSeen(e) | Event::SignConfirmed(e) | Event::SignLost(e) => {
            serde_json::to_writer(line, &Sign::new(event.kind(), e))
        }
        Event::SpeedLimit(e) => serde_json::to_writer(line, &SpeedLimit::new(e)),
        Event::Region(e) => serde_json::to_writer(line, &Region::new(e)),
        Event::Health(e) => serde_json::to_writer(line, &Health::new(e)),
        Event::Summary(e) => serde_json::to_writer(line, &Closing::new(e)),
    }
}

#[derive(Serialize)]
struct Sign<'a> {
    event: &'static str,
    time_s: Rounded<3>,
    frame: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    camera: Option<&'a str>,
    track: TrackId,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    national_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_local: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<SpeedUnit>,
    region: RegionCode,
    probability: Rounded<3>,
    box_px: [i32; 4],
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_m: Option<Rounded<1>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_deviation_m: Option<Rounded<1>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bearing_deg: Option<Rounded<1>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bearing_deviation_deg: Option<Rounded<1>>,
    observations: u32,
    first_seen_s: Rounded<3>,
    top: Top<'a>,
}

impl<'a> Sign<'a> {
    fn new(event: &'static str, e: &'a SignEvent) -> Self {
        let class = e.naming.class();
        Self {
            event,
            time_s: seconds(e.time),
            frame: e.frame,
            camera: e.camera.as_deref(),
            track: e.track,
            result: match e.naming {
                Naming::Sign(_) => "sign",
                Naming::UnknownSign => "unknown_sign",
                Naming::NotASign => "not_a_sign",
                Naming::Undecided => "undecided",
            },
            class: class.map(|c| c.key.as_str()),
            national_code: class.and_then(|c| c.national_code.as_deref()),
            label: class.map(|c| c.label_en.as_str()),
            label_local: class.map(|c| c.label_local.as_str()),
            value: class.and_then(|c| c.value).map(Amount),
            unit: class.and_then(|c| c.unit),
            region: e.region,
            probability: Rounded(e.probability.into()),
            box_px: BoxPx::rounded(&e.bbox),
            distance_m: e.placement.map(|p| Rounded(p.distance_m.into())),
            distance_deviation_m: (e.placement).map(|p| Rounded(p.distance_deviation_m.into())),
            bearing_deg: e.placement.map(|p| Rounded(p.bearing_deg.into())),
            bearing_deviation_deg: (e.placement).map(|p| Rounded(p.bearing_deviation_deg.into())),
            observations: e.observations,
            first_seen_s: seconds(e.first_seen),
            top: Top(&e.top),
        }
    }
}

#[derive(Serialize)]
struct SpeedLimit<'a> {
    event: &'static str,
    time_s: Rounded<3>,
    frame: u64,
    state: AdviceState,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<SpeedUnit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<TrackId>,
    confidence: Rounded<3>,
    region: RegionCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ExpiryReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conditional_value: Option<Amount>,
    #[serde(skip_serializing_if = "Amounts::is_empty")]
    candidates: Amounts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_s: Option<Rounded<1>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_m: Option<Rounded<0>>,
}

impl<'a> SpeedLimit<'a> {
    fn new(e: &'a SpeedAdvice) -> Self {
        Self {
            event: "speed_limit",
            time_s: seconds(e.time),
            frame: e.frame,
            state: e.state,
            value: e.value.map(Amount),
            unit: e.unit,
            track: e.track,
            confidence: Rounded(e.confidence.into()),
            region: e.region,
            rule: e.rule,
            reason: e.reason,
            conditional_value: e.conditional_value.map(Amount),
            candidates: Amounts(&e.candidates),
            held_s: e.held_s.map(Rounded),
            held_m: e.held_m.map(Rounded),
        }
    }
}

#[derive(Serialize)]
struct Region<'a> {
    event: &'static str,
    time_s: Rounded<3>,
    frame: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<RegionCode>,
    to: RegionCode,
    pack: RegionCode,
    pack_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude_deg: Option<Rounded<6>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude_deg: Option<Rounded<6>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crossing: Option<Border>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change<'a>>,
}

/// The first fix across the border.
#[derive(Serialize)]
struct Border {
    time_s: Rounded<3>,
    latitude_deg: Rounded<6>,
    longitude_deg: Rounded<6>,
    seen: bool,
}

impl Border {
    fn new(c: &Crossing) -> Self {
        Self {
            time_s: seconds(c.time),
            latitude_deg: Rounded(c.position_deg.0),
            longitude_deg: Rounded(c.position_deg.1),
            seen: c.seen,
        }
    }
}

/// What the swap changed. How long it took depends on the machine and stands in the report.
#[derive(Serialize)]
struct Change<'a> {
    tracks: u32,
    renamed: Vec<NewName<'a>>,
    classes_gained: usize,
    classes_lost: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_from: Option<SpeedUnit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_to: Option<SpeedUnit>,
    advice_expired: bool,
}

#[derive(Serialize)]
struct NewName<'a> {
    track: TrackId,
    from: &'a str,
    to: &'a str,
}

impl<'a> Change<'a> {
    fn new(c: &'a SwapChange) -> Self {
        let renamed = |r: &'a Renamed| NewName {
            track: r.track,
            from: name(&r.from),
            to: name(&r.to),
        };
        Self {
            tracks: c.tracks,
            renamed: c.renamed.iter().map(renamed).collect(),
            classes_gained: c.gained.len(),
            classes_lost: c.lost.len(),
            unit_from: c.unit.map(|(from, _)| from),
            unit_to: c.unit.map(|(_, to)| to),
            advice_expired: c.advice_expired,
        }
    }
}

/// The class, or the result that stands in for one.
fn name(naming: &Naming) -> &str {
    match naming {
        Naming::Sign(class) => &class.key,
        Naming::UnknownSign => "unknown_sign",
        Naming::NotASign => "not_a_sign",
        Naming::Undecided => "undecided",
    }
}

impl<'a> Region<'a> {
    fn new(e: &'a RegionEvent) -> Self {
        Self {
            event: "region",
            time_s: seconds(e.time),
            frame: e.frame,
            from: e.from,
            to: e.to,
            pack: e.pack,
            pack_version: &e.pack_version,
            latitude_deg: e.position_deg.map(|(latitude, _)| Rounded(latitude)),
            longitude_deg: e.position_deg.map(|(_, longitude)| Rounded(longitude)),
            crossing: e.crossing.as_ref().map(Border::new),
            change: e.change.as_deref().map(Change::new),
        }
    }
}

#[derive(Serialize)]
struct Health<'a> {
    event: &'static str,
    time_s: Rounded<3>,
    frame: u64,
    state: HealthState,
    reasons: Reasons,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Cameras::is_empty")]
    cameras: Cameras<'a>,
}

/// Reasons by the name of the camera.
struct Cameras<'a>(&'a [CameraHealth]);

impl Cameras<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Cameras<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|c| (&*c.camera, c.reasons)))
    }
}

impl<'a> Health<'a> {
    fn new(e: &'a HealthEvent) -> Self {
        Self {
            event: "health",
            time_s: seconds(e.time),
            frame: e.frame,
            state: e.state,
            reasons: e.reasons,
            detail: e.detail.as_deref(),
            cameras: Cameras(&e.cameras),
        }
    }
}

#[derive(Serialize)]
struct Closing {
    event: &'static str,
    time_s: Rounded<3>,
    frames: u64,
    lost_frames: u64,
    signs: u64,
    unknown_signs: u64,
    region_swaps: u64,
}

impl Closing {
    fn new(e: &Summary) -> Self {
        Self {
            event: "summary",
            time_s: seconds(e.time),
            frames: e.frames,
            lost_frames: e.lost_frames,
            signs: e.signs,
            unknown_signs: e.unknown_signs,
            region_swaps: e.region_swaps,
        }
    }
}

struct Top<'a>(&'a [Candidate]);

impl Serialize for Top<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            class: &'a str,
            probability: Rounded<3>,
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for candidate in self.0 {
            list.serialize_element(&Entry {
                class: &candidate.class.key,
                probability: Rounded(candidate.probability.into()),
            })?;
        }
        list.end()
    }
}

/// A number with at most `DECIMALS` decimals. JSON has no NaN and no infinity: those are errors.
struct Rounded<const DECIMALS: i32>(f64);

impl<const DECIMALS: i32> Serialize for Rounded<DECIMALS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.0.is_finite() {
            return Err(S::Error::custom("a number of the event is not finite"));
        }
        let scale = 10_f64.powi(DECIMALS);
        // Adding zero turns -0.0 into 0.0.
        serializer.serialize_f64((self.0 * scale).round() / scale + 0.0)
    }
}

/// The number on a sign: `60`, not `60.0`.
struct Amount(f32);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e6 {
            serializer.serialize_i32(self.0 as i32)
        } else {
            Rounded::<3>(self.0.into()).serialize(serializer)
        }
    }
}

/// Several of them.
struct Amounts<'a>(&'a [f32]);

impl Amounts<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Amounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|value| Amount(*value)))
    }
}

fn seconds(time: Timestamp) -> Rounded<3> {
    Rounded(time.seconds())
}
