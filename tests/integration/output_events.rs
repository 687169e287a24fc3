//! Events to test outputs with: one of each kind, and any.

use std::sync::Arc;

use proptest::option;
use proptest::prelude::*;
use tsedge::event::{
    AdviceState, CameraHealth, Candidate, ClassInfo, Crossing, Event, ExpiryReason, Family,
    HealthEvent, Naming, Placement, RegionEvent, Renamed, RuleName, SignEvent, SpeedAdvice,
    Summary, SwapChange,
};
use tsedge::health::{HealthState, Reason, Reasons};
use tsedge::units::{BoxPx, RegionCode, SpeedUnit, Timestamp, TrackId};

pub fn region(code: &str) -> RegionCode {
    RegionCode::parse(code).unwrap()
}

pub fn limit_60() -> Arc<ClassInfo> {
    Arc::new(ClassInfo {
        key: "speed_limit_60".into(),
        national_code: Some("274-60".into()),
        family: Family::SpeedLimit,
        value: Some(60.0),
        unit: Some(SpeedUnit::KilometresPerHour),
        label_en: "Speed limit 60".into(),
        label_local: "Zulässige Höchstgeschwindigkeit 60".into(),
    })
}

pub fn sign(naming: Naming) -> SignEvent {
    let mut top = heapless::Vec::new();
    top.push(Candidate {
        class: limit_60(),
        probability: 0.981,
    })
    .unwrap();
    SignEvent {
        time: Timestamp::from_ticks(37, 30),
        frame: 37,
        camera: None,
        track: TrackId(4),
        naming,
        probability: 0.98123,
        top,
        region: region("DE"),
        bbox: BoxPx::new(811.7, 301.2, 860.6, 350.4),
        placement: Some(Placement {
            distance_m: 13.53,
            distance_deviation_m: 4.36,
            bearing_deg: 9.96,
            bearing_deviation_deg: 2.4,
        }),
        observations: 5,
        first_seen: Timestamp::from_ticks(30, 30),
    }
}

/// One event of every kind, and a sign event of every result.
pub fn one_of_each() -> Vec<Event> {
    let advice = |state, value| SpeedAdvice {
        value,
        unit: Some(SpeedUnit::KilometresPerHour),
        track: Some(TrackId(4)),
        confidence: 0.98,
        reason: (state == AdviceState::Expired).then_some(ExpiryReason::Border),
        ..SpeedAdvice::none(Timestamp::from_seconds(2.0), 60, state, region("DE"))
    };
    vec![
        Event::Region(RegionEvent {
            time: Timestamp::ZERO,
            frame: 0,
            from: None,
            to: region("FR"),
            pack: RegionCode::WORLD,
            pack_version: "2026.1".into(),
            pack_sha256: "beef00".into(),
            position_deg: None,
            crossing: None,
            change: None,
        }),
        Event::Region(RegionEvent {
            time: Timestamp::from_seconds(0.5),
            frame: 15,
            from: Some(region("FR")),
            to: region("DE"),
            pack: region("DE"),
            pack_version: "2026.1".into(),
            pack_sha256: "beef00".into(),
            position_deg: Some((48.833_021_4, 8.110_14)),
            crossing: Some(Crossing {
                time: Timestamp::from_seconds(-2.5),
                position_deg: (48.834, 8.11),
                seen: true,
            }),
            change: Some(Arc::new(SwapChange {
                tracks: 2,
                renamed: vec![Renamed {
                    track: TrackId(4),
                    from: Naming::Sign(limit_60()),
                    to: Naming::UnknownSign,
                }],
                gained: vec![limit_60()],
                lost: Vec::new(),
                unit: Some((SpeedUnit::MilesPerHour, SpeedUnit::KilometresPerHour)),
                advice_expired: true,
            })),
        }),
        Event::SignSeen(sign(Naming::Undecided)),
        Event::SignConfirmed(sign(Naming::Sign(limit_60()))),
        Event::SpeedLimit(advice(AdviceState::Set, Some(60.0))),
        Event::SpeedLimit(advice(AdviceState::Ended, None)),
        Event::SpeedLimit(advice(AdviceState::Expired, None)),
        Event::SignLost(sign(Naming::UnknownSign)),
        Event::SignLost(sign(Naming::NotASign)),
        Event::Health(HealthEvent {
            time: Timestamp::from_seconds(3.0),
            frame: 90,
            state: HealthState::Degraded,
            reasons: [Reason::NoPosition, Reason::PackRefused]
                .into_iter()
                .collect(),
            detail: Some("DE.safetensors: truncated".into()),
            cameras: Arc::default(),
        }),
        Event::Health(HealthEvent {
            time: Timestamp::from_seconds(3.1),
            frame: 93,
            state: HealthState::Normal,
            reasons: Reasons::NONE,
            detail: None,
            cameras: Arc::new([CameraHealth {
                camera: "left".into(),
                reasons: Reasons::NONE,
            }]),
        }),
        Event::Summary(Summary {
            time: Timestamp::from_seconds(3.5),
            frames: 105,
            lost_frames: 0,
            signs: 1,
            unknown_signs: 1,
            region_swaps: 1,
        }),
    ]
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_nanos)
}

fn any_region() -> impl Strategy<Value = RegionCode> {
    "WORLD|[A-Z]{2}(-[A-Z0-9]{1,3})?".prop_map(|code| region(&code))
}

fn any_unit() -> impl Strategy<Value = SpeedUnit> {
    prop_oneof![
        Just(SpeedUnit::KilometresPerHour),
        Just(SpeedUnit::MilesPerHour)
    ]
}

fn any_class() -> impl Strategy<Value = Arc<ClassInfo>> {
    (
        "[a-z0-9_]{1,20}",
        option::of(any::<String>()),
        option::of(-1e9_f32..1e9),
        option::of(any_unit()),
        any::<String>(),
        any::<String>(),
    )
        .prop_map(|(key, national_code, value, unit, label_en, label_local)| {
            Arc::new(ClassInfo {
                key,
                national_code,
                family: Family::Warning,
                value,
                unit,
                label_en,
                label_local,
            })
        })
}

fn any_naming() -> impl Strategy<Value = Naming> {
    prop_oneof![
        Just(Naming::Undecided),
        Just(Naming::UnknownSign),
        Just(Naming::NotASign),
        any_class().prop_map(Naming::Sign),
    ]
}

fn any_sign() -> impl Strategy<Value = SignEvent> {
    let candidate = (any_class(), 0.0_f32..=1.0)
        .prop_map(|(class, probability)| Candidate { class, probability });
    (
        (any_time(), any::<u64>(), any::<u32>(), any_naming()),
        0.0_f32..=1.0,
        proptest::collection::vec(candidate, 0..=3),
        any_region(),
        proptest::array::uniform4(-1e5_f32..1e5),
        any::<u32>(),
        any_time(),
    )
        .prop_map(
            |((time, frame, track, naming), probability, top, region, b, observations, first)| {
                SignEvent {
                    time,
                    frame,
                    camera: (frame % 3 == 0).then(|| "left".into()),
                    track: TrackId(track),
                    naming,
                    probability,
                    top: top.into_iter().collect(),
                    region,
                    bbox: BoxPx::new(b[0], b[1], b[2], b[3]),
                    placement: (observations % 2 == 0).then_some(Placement {
                        distance_m: b[0].abs(),
                        distance_deviation_m: b[1].abs(),
                        bearing_deg: b[2] % 90.0,
                        bearing_deviation_deg: b[3].abs(),
                    }),
                    observations,
                    first_seen: first,
                }
            },
        )
}

fn any_advice() -> impl Strategy<Value = SpeedAdvice> {
    (
        (any_time(), any::<u64>()),
        prop_oneof![
            Just(AdviceState::Set),
            Just(AdviceState::Rule),
            Just(AdviceState::Ended),
            Just(AdviceState::Expired),
            Just(AdviceState::Ambiguous)
        ],
        option::of(0.0_f32..200.0),
        option::of(any_unit()),
        option::of(any::<u32>().prop_map(TrackId)),
        0.0_f32..=1.0,
        any_region(),
        any_detail(),
    )
        .prop_map(
            |((time, frame), state, value, unit, track, confidence, region, detail)| {
                let (rule, reason, conditional_value, candidates, held_s, held_m) = detail;
                SpeedAdvice {
                    value,
                    unit,
                    track,
                    confidence,
                    rule,
                    reason,
                    conditional_value,
                    candidates: candidates.into_iter().collect(),
                    held_s,
                    held_m,
                    ..SpeedAdvice::none(time, frame, state, region)
                }
            },
        )
}

type Detail = (
    Option<RuleName>,
    Option<ExpiryReason>,
    Option<f32>,
    Vec<f32>,
    Option<f64>,
    Option<f64>,
);

fn any_detail() -> impl Strategy<Value = Detail> {
    (
        option::of(prop_oneof![
            Just(RuleName::Town),
            Just(RuleName::Rural),
            Just(RuleName::Expressway),
            Just(RuleName::Motorway),
            Just(RuleName::Residential)
        ]),
        option::of(prop_oneof![
            Just(ExpiryReason::Border),
            Just(ExpiryReason::Distance),
            Just(ExpiryReason::Time),
            Just(ExpiryReason::Junction),
            Just(ExpiryReason::Turn)
        ]),
        option::of(0.0_f32..200.0),
        proptest::collection::vec(0.0_f32..200.0, 0..4),
        option::of(0.0_f64..1e6),
        option::of(0.0_f64..1e6),
    )
}

fn any_region_change() -> impl Strategy<Value = RegionEvent> {
    (
        (any_time(), any::<u64>()),
        option::of(any_region()),
        any_region(),
        any_region(),
        any::<String>(),
        option::of((-90.0_f64..=90.0, -180.0_f64..=180.0)),
    )
        .prop_map(
            |((time, frame), from, to, pack, version, position_deg)| RegionEvent {
                time,
                frame,
                from,
                to,
                pack,
                pack_version: version.into(),
                pack_sha256: "0".repeat(64).into(),
                position_deg,
                crossing: position_deg.map(|position_deg| Crossing {
                    time,
                    position_deg,
                    seen: frame % 2 == 0,
                }),
                change: from.map(|_| Arc::new(SwapChange::default())),
            },
        )
}

fn any_health() -> impl Strategy<Value = HealthEvent> {
    (
        (any_time(), any::<u64>()),
        prop_oneof![
            Just(HealthState::Init),
            Just(HealthState::Normal),
            Just(HealthState::Degraded),
            Just(HealthState::Fault)
        ],
        proptest::sample::subsequence(Reason::ALL.to_vec(), 0..=Reason::ALL.len()),
        option::of(any::<String>()),
    )
        .prop_map(|((time, frame), state, reasons, detail)| HealthEvent {
            time,
            frame,
            state,
            reasons: reasons.into_iter().collect(),
            detail: detail.map(Into::into),
            cameras: match frame % 2 {
                0 => Arc::default(),
                _ => Arc::new([CameraHealth {
                    camera: "left".into(),
                    reasons: Reason::OF_CAMERAS.into_iter().collect(),
                }]),
            },
        })
}

fn any_summary() -> impl Strategy<Value = Summary> {
    (any_time(), proptest::array::uniform5(any::<u64>())).prop_map(|(time, n)| Summary {
        time,
        frames: n[0],
        lost_frames: n[1],
        signs: n[2],
        unknown_signs: n[3],
        region_swaps: n[4],
    })
}

/// Any event that the pipeline could give.
pub fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any_sign().prop_map(Event::SignSeen),
        any_sign().prop_map(Event::SignConfirmed),
        any_sign().prop_map(Event::SignLost),
        any_advice().prop_map(Event::SpeedLimit),
        any_region_change().prop_map(Event::Region),
        any_health().prop_map(Event::Health),
        any_summary().prop_map(Event::Summary),
    ]
}
