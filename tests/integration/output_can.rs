//! CAN: what is due when, whatever the events; every message protected and in the ranges of the DBC.

use proptest::prelude::*;
use tsedge::event::{Event, Naming};
use tsedge::output::Progress;
use tsedge::output::can::{Message, MessageIds, VehicleState};
use tsedge::units::Timestamp;

use crate::output_events::{any_event, limit_60, one_of_each, sign};

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn state() -> VehicleState {
    VehicleState::new(MessageIds::default()).unwrap()
}

/// Messages of `ms` milliseconds, asked for every 5 ms; `events` come at their millisecond.
pub fn run(state: &mut VehicleState, ms: i64, events: &[(i64, Event)]) -> Vec<(i64, Message)> {
    let progress = Progress::default();
    let mut sent = Vec::new();
    for now in (0..ms).step_by(5) {
        for (_, event) in events.iter().filter(|(t, _)| (now..now + 5).contains(t)) {
            state.take(event, at_ms(now));
        }
        if now % 35 == 0 {
            progress.recognised(at_ms(now), at_ms(now));
        }
        let due = state.due(at_ms(now), &progress);
        sent.extend(due.into_iter().map(|message| (now, message)));
        assert!(state.next_due() > at_ms(now));
    }
    sent
}

fn times(sent: &[(i64, Message)], id: u16) -> Vec<i64> {
    sent.iter()
        .filter(|(_, m)| m.id.as_raw() == id)
        .map(|(t, _)| *t)
        .collect()
}

#[test]
fn rates_are_those_of_the_dbc() {
    let sent = run(&mut state(), 10_000, &[]);
    assert_eq!(
        times(&sent, 0x6a0),
        (0..100).map(|i| i * 100).collect::<Vec<_>>()
    );
    assert_eq!(times(&sent, 0x6a1).len(), 50);
    assert_eq!(times(&sent, 0x6a2).len(), 0);
    assert_eq!(times(&sent, 0x6a3).len(), 10);
}

#[test]
fn a_sign_is_told_three_times_and_a_limit_at_once() {
    let confirmed = Event::SignConfirmed(sign(Naming::Sign(limit_60())));
    let limit = one_of_each().remove(4);
    assert!(matches!(limit, Event::SpeedLimit(_)));
    let sent = run(&mut state(), 1000, &[(333, confirmed), (444, limit)]);
    assert_eq!(times(&sent, 0x6a2), [330, 340, 350]);
    assert!(times(&sent, 0x6a1).contains(&440));
    let repeats: Vec<[u8; 8]> = (sent.iter())
        .filter(|(_, m)| m.id.as_raw() == 0x6a2)
        .map(|(_, m)| m.data)
        .collect();
    assert!(repeats.iter().all(|data| data[2..] == repeats[0][2..]));
}

#[test]
fn a_late_sender_does_not_catch_up_with_a_burst() {
    let mut state = state();
    let progress = Progress::default();
    state.due(at_ms(0), &progress);
    assert_eq!(state.due(at_ms(5000), &progress).len(), 3);
    assert_eq!(state.due(at_ms(5001), &progress).len(), 0);
    assert!(state.next_due() <= at_ms(5100));
}

#[test]
fn identifiers_that_collide_or_do_not_fit_are_refused() {
    let ids = MessageIds::default();
    assert!(
        VehicleState::new(MessageIds {
            sign: ids.status,
            ..ids
        })
        .is_none()
    );
    assert!(VehicleState::new(MessageIds { sign: 0x800, ..ids }).is_none());
}

proptest! {
    #[test]
    fn any_events_keep_the_heartbeat(
        events in proptest::collection::vec((0_i64..3000, any_event()), 0..60)
    ) {
        let sent = run(&mut state(), 3000, &events);
        let status = times(&sent, 0x6a0);
        prop_assert!(status.windows(2).all(|w| w[1] - w[0] <= 100));
        let counters: Vec<u8> = (sent.iter())
            .filter(|(_, m)| m.id.as_raw() == 0x6a0)
            .map(|(_, m)| m.data[1] & 0x0f)
            .collect();
        prop_assert!(counters.windows(2).all(|w| w[1] == (w[0] + 1) % 15));
    }
}

/// Peers from public packages; `make test-system` installs them.
mod system_can {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use serde_json::Value;

    use super::*;

    fn decoded(sent: &[(i64, Message)]) -> Vec<Value> {
        let python = std::env::var("TSEDGE_PEERS_PYTHON")
            .expect("TSEDGE_PEERS_PYTHON names a Python with cantools and autosar-e2e");
        let root = env!("CARGO_MANIFEST_DIR");
        let mut check = Command::new(python)
            .args([
                format!("{root}/tests/peers/can_check.py"),
                format!("{root}/can/tsedge.dbc"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = String::new();
        for (t, message) in sent {
            let data: String = message.data.iter().map(|b| format!("{b:02x}")).collect();
            lines += &format!("{t} {:x} {data}\n", message.id.as_raw());
        }
        let mut input = check.stdin.take().unwrap();
        let writer = std::thread::Builder::new()
            .spawn(move || input.write_all(lines.as_bytes()))
            .unwrap();
        let output = check.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    #[ignore = "against real counterparts: make test-system"]
    fn cantools_and_autosar_e2e_read_what_was_meant() {
        let events: Vec<(i64, Event)> = (one_of_each().into_iter().enumerate())
            .map(|(i, event)| (i as i64 * 200, event))
            .collect();
        let messages = decoded(&run(&mut state(), 4000, &events));
        let find = |name: &str, t_ms: i64| {
            (messages.iter())
                .find(|m| m["message"] == name && m["t_ms"] == t_ms)
                .unwrap_or_else(|| panic!("no {name} at {t_ms} ms"))
                .clone()
        };
        assert_eq!(messages[0]["State"], "INIT");
        let german = find("TSE_Status", 200);
        assert_eq!(
            (&german["RegionLetter1"], &german["RegionLetter2"]),
            (&4.into(), &5.into())
        );
        assert_eq!(german["PackHash"], 0xbeef);
        let sign = find("TSE_Sign", 600);
        assert_eq!(
            (&sign["SignClass"], &sign["SignStep"]),
            (&"speed_limit".into(), &"CONFIRMED".into())
        );
        assert_eq!(
            (
                &sign["SignValue"],
                &sign["SignConfidence"],
                &sign["SignTrack"]
            ),
            (&60.into(), &98.into(), &4.into())
        );
        let repeats = messages
            .iter()
            .filter(|m| m["message"] == "TSE_Sign" && m["SignTrack"] == 4);
        assert_eq!(repeats.count(), 3);
        // Before the first health event the unit has said nothing about limits.
        assert_eq!(find("TSE_SpeedLimit", 800)["LimitState"], "NOT_AVAILABLE");
        let degraded = (messages.iter())
            .find(|m| m["State"] == "DEGRADED")
            .unwrap();
        assert_eq!(
            (
                &degraded["NoPosition"],
                &degraded["PackRefused"],
                &degraded["NoCamera"]
            ),
            (&1.into(), &1.into(), &0.into())
        );
        let counters = messages
            .iter()
            .rfind(|m| m["message"] == "TSE_Counters")
            .unwrap();
        assert_eq!(counters["FramesRecognised"], 86);
        assert_eq!(counters["RegionSwaps"], 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        #[ignore = "against real counterparts: make test-system"]
        fn any_events_are_valid_messages(
            events in proptest::collection::vec((0_i64..2000, any_event()), 0..80)
        ) {
            let sent = run(&mut state(), 2000, &events);
            prop_assert_eq!(decoded(&sent).len(), sent.len());
        }
    }
}
