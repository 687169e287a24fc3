//! Serial sentences on a pseudo-terminal: whole, checked, bounded, and back after an unplugged line.

use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serial2::SerialPort;
use tsedge::event::{Event, Naming};
use tsedge::output::serial::{FlowControl, MAX_LEN, SerialOutput, parse};
use tsedge::output::{Output, Progress};
use tsedge::units::Timestamp;

use crate::output_events::{any_event, limit_60, one_of_each, sign};

/// A pseudo-terminal with a link to its far end, as a device that is plugged in.
struct Line {
    near: SerialPort,
    far: SerialPort,
    dir: tempfile::TempDir,
}

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

impl Line {
    fn plug_in() -> Self {
        Self::pair(tempfile::TempDir::new().unwrap())
    }

    fn pair(dir: tempfile::TempDir) -> Self {
        let (mut near, far) = SerialPort::pair().unwrap();
        near.set_read_timeout(Duration::from_millis(200)).unwrap();
        let device = std::fs::read_link(format!("/proc/self/fd/{}", far.as_raw_fd())).unwrap();
        let line = Self { near, far, dir };
        std::os::unix::fs::symlink(device, line.path()).unwrap();
        line
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ttyTEST")
    }

    /// All that arrives until the line is quiet.
    fn read(&self) -> String {
        let mut text = Vec::new();
        let mut some = [0; 4096];
        while let Ok(n) = self.near.read(&mut some) {
            if n == 0 {
                break;
            }
            text.extend_from_slice(&some[..n]);
        }
        String::from_utf8(text).unwrap()
    }
}

fn output(line: &Line) -> SerialOutput {
    let progress = Arc::new(Progress::default());
    progress.recognised(at_ms(0), at_ms(0));
    SerialOutput::new(&line.path(), 115_200, FlowControl::None, progress)
}

/// The fields of each sentence; every one must be whole.
fn sentences(text: &str) -> Vec<Vec<String>> {
    assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
    text.split_terminator("\r\n")
        .map(|line| {
            assert!(line.len() + 2 <= MAX_LEN, "{line:?} is too long");
            let fields = parse(line).unwrap_or_else(|| panic!("{line:?} is damaged"));
            fields.into_iter().map(str::to_owned).collect()
        })
        .collect()
}

#[test]
fn every_kind_arrives_as_documented() {
    let line = Line::plug_in();
    let mut output = output(&line);
    output.tick(at_ms(250)).unwrap();
    for event in one_of_each() {
        output.emit(&event).unwrap();
    }
    let found = sentences(&line.read());
    let has = |fields: &[&str]| assert!(found.iter().any(|f| f == fields), "{fields:?}: {found:?}");
    has(&["PTSES", "INIT", "000", "WORLD", "250"]);
    has(&["PTSEL", "NONE", "", "", ""]);
    has(&["PTSEL", "SIGN", "60", "K", "0.98"]);
    has(&["PTSEL", "ENDED", "", "K", ""]);
    has(&[
        "PTSEG",
        "C",
        "4",
        "speed_limit_60",
        "274-60",
        "60",
        "K",
        "0.98",
    ]);
    has(&["PTSES", "DEGRADED", "480", "DE", "250"]);
}

#[test]
fn the_state_is_told_every_second() {
    let line = Line::plug_in();
    let mut output = output(&line);
    for ms in (0..5000).step_by(100) {
        output.tick(at_ms(ms)).unwrap();
    }
    let found = sentences(&line.read());
    assert_eq!(found.iter().filter(|f| f[0] == "PTSES").count(), 5);
    assert_eq!(found.iter().filter(|f| f[0] == "PTSEL").count(), 5);
}

#[test]
fn an_unplugged_line_is_an_error_and_comes_back_with_the_state() {
    let line = Line::plug_in();
    let mut output = output(&line);
    output.tick(at_ms(0)).unwrap();
    let limit = one_of_each().remove(4);
    output.emit(&limit).unwrap();
    // Both ends go, and come back later under the same name.
    std::fs::remove_file(line.path()).unwrap();
    let Line { near, far, dir } = line;
    drop((near, far));
    let failed = (100..3000)
        .step_by(100)
        .any(|ms| output.tick(at_ms(ms)).is_err());
    assert!(failed, "nothing was noticed");
    let line = Line::pair(dir);
    let mut now = 3000;
    while output.tick(at_ms(now)).is_err() {
        now += 100;
        assert!(now <= 4000, "not back after a second");
    }
    let found = sentences(&line.read());
    assert_eq!(found[0][..3], ["PTSES", "INIT", "000"]);
    assert_eq!(found[1], ["PTSEL", "SIGN", "60", "K", "0.98"]);
}

#[test]
fn a_line_that_nobody_reads_drops_whole_sentences_only() {
    let line = Line::plug_in();
    let mut output = output(&line);
    output.tick(at_ms(0)).unwrap();
    let confirmed = Event::SignConfirmed(sign(Naming::Sign(limit_60())));
    let mut blocked = 0;
    for _ in 0..2000 {
        blocked += u32::from(output.emit(&confirmed).is_err());
        if blocked > 3 {
            break;
        }
    }
    assert!(blocked > 3, "the line never filled");
    let before = line.read();
    output.emit(&confirmed).unwrap();
    let text = before + &line.read();
    assert!(sentences(&text).len() > 10);
}

#[test]
fn damaged_sentences_are_refused() {
    let good = "$PTSEL,NONE,,,*";
    let sum = good[1..good.len() - 1].bytes().fold(0, |s, b| s ^ b);
    assert!(parse(&format!("{good}{sum:02X}")).is_some());
    assert!(parse(&format!("{good}{:02X}", sum ^ 1)).is_none());
    assert!(parse("PTSEL*00").is_none() && parse("$PTSEL").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_event_gives_whole_sentences(events in proptest::collection::vec(any_event(), 1..8)) {
        let line = Line::plug_in();
        let mut output = output(&line);
        for event in &events {
            output.emit(event).unwrap();
        }
        sentences(&line.read());
    }
}
