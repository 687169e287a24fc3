//! What the state machine promises, sign by sign and for any sequence of them.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Now, PassedSign, Role, SpeedLimit};
use crate::event::{AdviceState, ClassInfo, ExpiryReason, RuleName, SpeedAdvice};
use crate::position::METRES_PER_DEGREE;
use crate::region::Rules;
use crate::region::build::Region;
use crate::region::rules::EndedBy;
use crate::units::{RegionCode, SpeedUnit, Timestamp, TrackId};

use SpeedUnit::{KilometresPerHour as Kmh, MilesPerHour as Mph};

fn region(code: &str) -> RegionCode {
    RegionCode::parse(code).unwrap()
}

fn germany() -> Arc<Rules> {
    Arc::new(Rules {
        unit: Some(Kmh),
        town_limit: Some(50),
        rural_limit: Some(100),
        ended_by: vec![EndedBy::EndSign, EndedBy::TownSign],
        expires_after_m: 8000.0,
        warning_expires_after_m: Some(2000.0),
        ..Rules::default()
    })
}

fn france() -> Arc<Rules> {
    Arc::new(Rules {
        unit: Some(Kmh),
        town_limit: Some(50),
        rural_limit: Some(80),
        motorway_limit: Some(130),
        residential_limit: Some(20),
        expires_after_m: 5000.0,
        ..Rules::default()
    })
}

fn states() -> Arc<Rules> {
    Arc::new(Rules {
        unit: Some(Mph),
        ended_by: vec![EndedBy::EndSign],
        expires_after_m: 8000.0,
        ..Rules::default()
    })
}

fn at(second: u32) -> Now {
    Now {
        time: Timestamp::from_ticks(second.into(), 1),
        frame: u64::from(second) * 30,
        mark: None,
    }
}

fn sign(role: Role, unit: SpeedUnit) -> PassedSign {
    PassedSign {
        track: TrackId(1),
        role,
        unit: Some(unit),
        confidence: 0.9,
        right_m: Some(3.0),
        conditional: false,
        with_warning: false,
        wavers: false,
    }
}

fn limit(value: f32) -> PassedSign {
    sign(Role::Limit(value), Kmh)
}

/// Passes signs one a second; gives state and value of each change.
fn drive(rules: Arc<Rules>, roles: &[Role]) -> Vec<(AdviceState, Option<f32>, Option<RuleName>)> {
    let mut state = SpeedLimit::new(region("DE"), rules);
    (1..)
        .zip(roles)
        .filter_map(|(second, role)| state.passed(at(second), &[sign(*role, Kmh)]))
        .map(|a| (a.state, a.value, a.rule))
        .collect()
}

#[test]
fn a_limit_is_told_once_and_ended_by_its_sign() {
    let roles = [
        Role::EndOfLimit,
        Role::Limit(50.0),
        Role::Limit(50.0),
        Role::EndOfLimit,
    ];
    assert_eq!(
        drive(germany(), &roles),
        [
            (AdviceState::Set, Some(50.0), None),
            (AdviceState::Ended, None, None)
        ]
    );
}

#[test]
fn a_town_brings_its_limit_and_takes_posted_ones() {
    let roles = [
        Role::Limit(70.0),
        Role::Town,
        Role::Limit(30.0),
        Role::EndOfLimit,
        Role::EndOfTown,
    ];
    assert_eq!(
        drive(germany(), &roles),
        [
            (AdviceState::Set, Some(70.0), None),
            (AdviceState::Rule, Some(50.0), Some(RuleName::Town)),
            (AdviceState::Set, Some(30.0), None),
            (AdviceState::Ended, Some(50.0), Some(RuleName::Town)),
            (AdviceState::Rule, Some(100.0), Some(RuleName::Rural)),
        ]
    );
}

#[test]
fn a_motorway_without_a_general_limit_ends_the_old_one() {
    let roles = [Role::Limit(70.0), Role::Motorway];
    assert_eq!(
        drive(germany(), &roles)[1],
        (AdviceState::Ended, None, None)
    );
    assert_eq!(
        drive(france(), &roles)[1],
        (AdviceState::Rule, Some(130.0), Some(RuleName::Motorway))
    );
}

#[test]
fn a_zone_holds_through_junctions_up_to_its_end() {
    let roles = [
        Role::Town,
        Role::Zone(30.0),
        Role::Junction,
        Role::Limit(20.0),
        Role::Junction,
        Role::EndOfZone,
    ];
    let values: Vec<_> = drive(france(), &roles).iter().map(|c| c.1).collect();
    assert_eq!(
        values,
        [Some(50.0), Some(30.0), Some(20.0), Some(30.0), Some(50.0)]
    );
}

#[test]
fn a_junction_ends_a_limit_where_the_law_says_so() {
    let roles = [Role::Limit(70.0), Role::Junction];
    assert_eq!(drive(germany(), &roles).len(), 1);
    assert_eq!(
        drive(france(), &roles)[1],
        (AdviceState::Expired, None, None)
    );
}

#[test]
fn without_rules_a_town_sign_brings_no_limit() {
    let roles = [
        Role::Town,
        Role::Motorway,
        Role::Residential,
        Role::EndOfTown,
    ];
    assert_eq!(drive(Arc::default(), &roles), []);
}

/// The rules and classes of a prompt file as it stands.
fn shipped(code: &str) -> (Arc<Rules>, Vec<ClassInfo>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prompts");
    let file = folder.join(format!("{code}.toml"));
    let region = Region::read(&file, &folder.join("WORLD.toml")).unwrap();
    let classes: Vec<ClassInfo> = region.classes.into_iter().map(|c| c.info).collect();
    let rules = Rules::from_json(&region.rules.unwrap().to_string(), &classes).unwrap();
    (Arc::new(rules), classes)
}

/// What stands after each sign, each on both sides of the road.
fn stands_after(code: &str, keys: &[&str]) -> Vec<Option<f32>> {
    let (rules, classes) = shipped(code);
    let mut state = SpeedLimit::new(region(code), rules);
    (1..)
        .zip(keys)
        .map(|(second, key)| {
            let class = classes.iter().find(|c| c.key == *key);
            let class = class.unwrap_or_else(|| panic!("{code} has no {key}"));
            let right = sign(Role::of(class), Kmh);
            let left = PassedSign {
                right_m: Some(-4.0),
                ..right
            };
            state.passed(at(second), &[right, left]);
            state.standing().map(|s| s.value)
        })
        .collect()
}

#[test]
fn the_signs_of_towns_and_roads_bring_what_the_shipped_rules_say() {
    let keys = [
        "town_sign",
        "residential_zone",
        "end_of_residential_zone",
        "zone_30",
        "end_zone_30",
        "end_of_town",
        "speed_limit_70",
        "motorway",
        "end_of_motorway",
        "expressway",
        "end_of_expressway",
    ];
    // 0: none known. Walking pace is no number; 130 on motorways holds in dry weather or not at all.
    for (code, values) in [
        ("DE", [50, 0, 50, 30, 50, 100, 70, 0, 0, 0, 0]),
        ("FR", [50, 20, 50, 30, 50, 0, 70, 0, 0, 0, 0]),
        ("IT", [50, 0, 50, 30, 50, 90, 70, 0, 0, 0, 0]),
        ("PL", [50, 20, 50, 30, 50, 90, 70, 140, 0, 0, 0]),
        // The town sign itself brings none.
        ("CH", [0, 20, 0, 30, 0, 0, 70, 120, 0, 100, 0]),
        ("BE", [0, 20, 0, 30, 0, 0, 70, 120, 0, 0, 0]),
    ] {
        let values = values.map(|v: u8| (v > 0).then_some(f32::from(v)));
        assert_eq!(stands_after(code, &keys), values, "{code}");
    }
}

#[test]
fn every_limit_of_the_shipped_rules_has_its_sign() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/prompts");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let code = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if code == "WORLD" {
            continue;
        }
        let (rules, classes) = shipped(&code);
        for (limit, key) in [
            (rules.town_limit, "town_sign"),
            (rules.rural_limit, "end_of_town"),
            (rules.expressway_limit, "expressway"),
            (rules.motorway_limit, "motorway"),
            (rules.residential_limit, "residential_zone"),
        ] {
            let there = classes.iter().any(|c| c.key == key);
            assert!(limit.is_none() || there, "{code}: {key} is absent");
        }
    }
}

#[test]
fn contradicting_signs_are_ambiguous_unless_one_stands_nearer() {
    let mut state = SpeedLimit::new(region("DE"), germany());
    let aside = |value, right_m| PassedSign {
        right_m: Some(right_m),
        ..limit(value)
    };
    let told = state
        .passed(at(1), &[aside(80.0, 3.1), aside(60.0, 3.0)])
        .unwrap();
    assert_eq!((told.state, told.value), (AdviceState::Ambiguous, None));
    assert_eq!(told.candidates, [80.0, 60.0]);
    assert!(state.standing().is_none());
    let told = state
        .passed(at(2), &[aside(80.0, 7.5), aside(120.0, 3.0)])
        .unwrap();
    assert_eq!((told.state, told.value), (AdviceState::Set, Some(120.0)));
    // The same on both sides of the road is no contradiction.
    assert!(
        state
            .passed(at(3), &[aside(120.0, -4.0), aside(120.0, 3.0)])
            .is_none()
    );
}

#[test]
fn a_sign_with_a_plate_does_not_take_the_limit_away() {
    let mut state = SpeedLimit::new(region("DE"), germany());
    state.passed(at(1), &[limit(120.0)]).unwrap();
    let wet = PassedSign {
        conditional: true,
        ..limit(80.0)
    };
    let told = state.passed(at(2), &[wet]).unwrap();
    assert_eq!(
        (told.value, told.conditional_value),
        (Some(120.0), Some(80.0))
    );
    let told = state.passed(at(3), &[limit(100.0)]).unwrap();
    assert_eq!((told.value, told.conditional_value), (Some(100.0), None));
    // Both on one post.
    let told = state.passed(at(4), &[limit(120.0), wet]).unwrap();
    assert_eq!(
        (told.value, told.conditional_value),
        (Some(120.0), Some(80.0))
    );
}

#[test]
fn a_display_that_wavered_is_not_believed() {
    let mut state = SpeedLimit::new(region("DE"), germany());
    let wavering = PassedSign {
        wavers: true,
        ..limit(60.0)
    };
    let told = state.passed(at(1), &[wavering]).unwrap();
    assert_eq!((told.state, told.value), (AdviceState::Ambiguous, None));
}

#[test]
fn a_sign_in_another_unit_changes_nothing() {
    let mut state = SpeedLimit::new(region("CA"), germany());
    assert!(
        state
            .passed(at(1), &[sign(Role::Limit(80.0), Mph)])
            .is_none()
    );
}

#[test]
fn limits_expire_by_way_or_time_and_at_the_border() {
    let mut state = SpeedLimit::new(region("FR"), france());
    state.passed(at(1), &[limit(70.0)]).unwrap();
    assert!(state.tick(at(300)).is_none());
    let told = state.tick(at(302)).unwrap();
    assert_eq!(
        (told.state, told.reason),
        (AdviceState::Expired, Some(ExpiryReason::Time))
    );
    assert!(state.tick(at(303)).is_none());

    state.passed(at(400), &[limit(70.0)]).unwrap();
    let told = state.region(at(401), region("CH"), germany()).unwrap();
    assert_eq!(
        (told.value, told.reason),
        (None, Some(ExpiryReason::Border))
    );
    assert!(state.region(at(402), region("DE"), germany()).is_none());

    let warned = PassedSign {
        with_warning: true,
        ..limit(70.0)
    };
    state.passed(at(500), &[warned]).unwrap();
    assert!(state.tick(at(500 + 121)).is_some());
}

#[test]
fn the_way_driven_decides_where_it_is_known() {
    let mut odometer = super::Odometer::default();
    let mut state = SpeedLimit::new(region("FR"), france());
    let mut found = None;
    for second in 0..400_u32 {
        let time = Timestamp::from_ticks(second.into(), 1);
        odometer.fix(
            time,
            (48.0 + f64::from(second) * 21.0 / METRES_PER_DEGREE, 8.0),
        );
        let now = Now {
            mark: odometer.mark(time),
            ..at(second)
        };
        if second == 10 {
            state.passed(now, &[limit(90.0)]).unwrap();
            assert_eq!(state.standing().unwrap().driven_m(now), Some(0.0));
        }
        if let Some(told) = state.tick(now) {
            assert_eq!(told.reason, Some(ExpiryReason::Distance));
            found = Some((second, told.held_m.unwrap().round()));
        }
    }
    assert_eq!(found, Some((249, 5019.0)));
}

#[test]
fn turning_off_ends_what_the_road_had_but_not_the_town() {
    let mut state = SpeedLimit::new(region("DE"), germany());
    state.passed(at(1), &[sign(Role::Town, Kmh)]).unwrap();
    state.passed(at(2), &[limit(30.0)]).unwrap();
    let told = state.turned(at(3)).unwrap();
    assert_eq!(
        (told.value, told.reason),
        (Some(50.0), Some(ExpiryReason::Turn))
    );
    state.passed(at(4), &[sign(Role::EndOfTown, Kmh)]).unwrap();
    assert_eq!(state.turned(at(5)).unwrap().value, None);
}

#[derive(Debug, Clone)]
enum Step {
    Passed(Vec<PassedSign>),
    Region(u8),
    Wait(u32),
    Turned,
}

fn any_sign() -> impl Strategy<Value = PassedSign> {
    let value = prop::sample::select(vec![20.0_f32, 30.0, 40.0, 45.0, 60.0, 70.0, 120.0]);
    let role = prop_oneof![
        4 => value.clone().prop_map(Role::Limit),
        1 => value.prop_map(Role::Zone),
        5 => prop::sample::select(vec![
            Role::EndOfZone, Role::EndOfLimit, Role::Town, Role::EndOfTown, Role::Expressway,
            Role::Motorway, Role::EndOfMotorway, Role::Residential, Role::EndOfResidential,
            Role::Junction, Role::Other,
        ]),
    ];
    (
        role,
        any::<bool>(),
        prop::option::of(-8.0_f32..8.0),
        prop::bool::weighted(0.2),
        any::<bool>(),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(role, metric, right_m, conditional, with_warning, wavers)| PassedSign {
                right_m,
                conditional,
                with_warning,
                wavers,
                ..sign(role, if metric { Kmh } else { Mph })
            },
        )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(any_sign(), 1..4).prop_map(Step::Passed),
        1 => (0_u8..3).prop_map(Step::Region),
        2 => (1_u32..400).prop_map(Step::Wait),
        1 => Just(Step::Turned),
    ]
}

proptest! {
    /// No value but from a sign of this region or a rule whose sign was passed, in the region's unit;
    /// every change told once; nothing of the old region after a border.
    #[test]
    fn no_limit_is_ever_invented(steps in prop::collection::vec(any_step(), 1..60)) {
        let all = [germany(), france(), states()];
        let mut rules = Arc::clone(&all[0]);
        let mut state = SpeedLimit::new(region("DE"), Arc::clone(&rules));
        let mut allowed: Vec<f32> = Vec::new();
        let mut second = 0;
        let mut told: (Option<f32>, Option<f32>) = (None, None);
        for step in steps {
            second += 1;
            let mut crossed = false;
            let advice: Option<SpeedAdvice> = match step {
                Step::Passed(signs) => {
                    for sign in signs.iter().filter(|s| s.unit == rules.unit) {
                        let rule = |limit: Option<u16>| limit.map(f32::from);
                        allowed.extend(match sign.role {
                            Role::Limit(v) | Role::Zone(v) => Some(v),
                            Role::Town => rule(rules.town_limit),
                            Role::EndOfTown => rule(rules.rural_limit),
                            Role::Expressway => rule(rules.expressway_limit),
                            Role::Motorway => rule(rules.motorway_limit),
                            Role::Residential => rule(rules.residential_limit),
                            _ => None,
                        });
                    }
                    state.passed(at(second), &signs)
                }
                Step::Region(which) => {
                    rules = Arc::clone(&all[usize::from(which)]);
                    allowed.clear();
                    crossed = true;
                    state.region(at(second), region("FR"), Arc::clone(&rules))
                }
                Step::Wait(seconds) => {
                    second += seconds;
                    state.tick(at(second))
                }
                Step::Turned => state.turned(at(second)),
            };
            if crossed {
                prop_assert!(state.standing().is_none() && state.conditional().is_none());
            }
            let is = (state.standing().map(|s| s.value), state.conditional());
            match advice {
                Some(advice) => {
                    let ambiguous = advice.state == AdviceState::Ambiguous;
                    prop_assert!(ambiguous || is != told, "{advice:?} changes nothing");
                    prop_assert_eq!((advice.value, advice.conditional_value), is);
                    for value in [advice.value, advice.conditional_value].into_iter().flatten() {
                        prop_assert!(allowed.contains(&value), "{} is invented", value);
                        prop_assert_eq!(advice.unit, rules.unit);
                    }
                    for value in &advice.candidates {
                        prop_assert!(allowed.contains(value));
                    }
                    prop_assert_eq!(advice.reason.is_some(), advice.state == AdviceState::Expired);
                }
                None => prop_assert_eq!(is, told, "a change was not told"),
            }
            told = is;
        }
    }
}
