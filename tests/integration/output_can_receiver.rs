//! The receiver for vehicle engineers (`can/example/receiver.c`) compiles, and takes what it should.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tsedge::event::{Event, Naming};
use tsedge::output::can::{Message, MessageIds, VehicleState};
use tsedge::units::TrackId;

use crate::output_can::run;
use crate::output_events::{limit_60, one_of_each, sign};
use crate::support::root;

fn receiver() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("receiver");
    static COMPILE: std::sync::Once = std::sync::Once::new();
    COMPILE.call_once(|| {
        let made = Command::new("make")
            .current_dir(root())
            .args(["can-receiver", "CFLAGS=-Wall -Wextra -Werror"])
            .arg(format!("RECEIVER={}", program.display()))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    });
    program
}

/// What the receiver says of messages at their milliseconds.
fn received(sent: &[(i64, Message)]) -> Vec<String> {
    let mut log = String::new();
    for (t_ms, message) in sent {
        let data: String = message.data.iter().map(|b| format!("{b:02X}")).collect();
        let (t_s, id) = (*t_ms as f64 / 1e3, message.id.as_raw());
        log += &format!("({t_s:.6}) can0 {id:03X}#{data}\n");
    }
    let mut child = Command::new(receiver())
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::Builder::new()
        .spawn(move || input.write_all(log.as_bytes()))
        .unwrap();
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn sent(ms: i64, events: &[(i64, Event)]) -> Vec<(i64, Message)> {
    run(
        &mut VehicleState::new(MessageIds::default()).unwrap(),
        ms,
        events,
    )
}

fn nth_status(sent: &[(i64, Message)], n: usize) -> usize {
    let mut found = (0..sent.len()).filter(|i| sent[*i].1.id.as_raw() == 0x6a0);
    found.nth(n).unwrap()
}

#[test]
fn the_receiver_tells_state_limit_and_each_sign_once() {
    let mut next = sign(Naming::Sign(limit_60()));
    next.track = TrackId(5);
    let limit = one_of_each().remove(4);
    let events: Vec<(i64, Event)> = (one_of_each().into_iter().enumerate())
        .map(|(i, event)| (i as i64 * 200, event))
        .chain([(3000, Event::SignConfirmed(next)), (3200, limit)])
        .collect();
    let said = received(&sent(4000, &events));
    assert_eq!(said[0], "alive", "{said:?}");
    assert_eq!(said[1], "status INIT region FR");
    assert!(
        said.contains(&"status INIT region DE".to_owned()),
        "{said:?}"
    );
    let degraded = said.iter().find(|line| line.contains("DEGRADED")).unwrap();
    assert!(
        degraded.ends_with(", no position, pack refused"),
        "{degraded}"
    );
    assert!(said.contains(&"limit SIGN 60 km/h".to_owned()), "{said:?}");
    for track in [4, 5] {
        let line = format!("sign CONFIRMED class 1 value 60 track {track}, 98 %");
        assert_eq!(said.iter().filter(|l| **l == line).count(), 1, "{said:?}");
    }
    for bad in ["damaged", "missed", "repeated", "dead"] {
        assert!(!said.iter().any(|line| line.contains(bad)), "{said:?}");
    }
}

#[test]
fn the_receiver_takes_no_damaged_old_or_late_message() {
    let mut messages = sent(2000, &[]);
    let damaged = nth_status(&messages, 3);
    messages[damaged].1.data[5] ^= 0x10;
    let again = nth_status(&messages, 6);
    let mut old = messages[again];
    old.0 += 1;
    messages.insert(again + 1, old);
    let said = received(&messages);
    let troubles: Vec<_> = (said.iter())
        .filter(|line| line.starts_with("TSE_Status"))
        .collect();
    let expected = [
        "TSE_Status is damaged",
        "TSE_Status: 1 missed",
        "TSE_Status is repeated",
    ];
    assert_eq!(troubles, expected);
    // Silence, and messages that are damaged all the time, are both a dead unit.
    for damage in [false, true] {
        let mut messages = sent(2000, &[]);
        for message in messages.iter_mut().filter(|(t, _)| (500..1000).contains(t)) {
            message.1.data[0] ^= 0xff;
        }
        messages.retain(|(t, _)| damage || !(500..1000).contains(t));
        let said = received(&messages);
        let dead = said.iter().filter(|line| line.starts_with("dead: "));
        assert_eq!(dead.count(), 1, "{said:?}");
        assert_eq!(said.iter().filter(|line| *line == "alive").count(), 2);
    }
}
