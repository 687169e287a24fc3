//! What every output promises: one suite, one line an implementation.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tsedge::event::{Event, Naming};
use tsedge::output::Output;
use tsedge::output::jsonl::JsonLines;
use tsedge::output::table::Table;

use crate::output_events::{limit_60, one_of_each, sign};

/// Where an output under test writes: can be told to fail, can be read from outside.
#[derive(Clone, Default)]
struct Medium {
    bytes: Arc<Mutex<Vec<u8>>>,
    broken: Arc<Mutex<bool>>,
}

impl Medium {
    fn set_broken(&self, broken: bool) {
        *self.broken.lock().unwrap() = broken;
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Medium {
    /// Takes a few bytes at a time, as a pipe may.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if *self.broken.lock().unwrap() {
            return Err(io::Error::other("the medium is gone"));
        }
        let n = data.len().min(100);
        self.bytes.lock().unwrap().extend_from_slice(&data[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output and how to read back what it has made durable.
struct Subject {
    output: Box<dyn Output>,
    read: Box<dyn Fn() -> String>,
    _dir: Option<TempDir>,
}

fn jsonl_to(medium: &Medium) -> Subject {
    let reader = medium.clone();
    Subject {
        output: Box::new(JsonLines::new("jsonl test", medium.clone())),
        read: Box::new(move || reader.text()),
        _dir: None,
    }
}

fn jsonl_file(_: &Medium) -> Subject {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("events.jsonl");
    Subject {
        output: Box::new(JsonLines::create(&path).unwrap()),
        read: Box::new(move || std::fs::read_to_string(&path).unwrap()),
        _dir: Some(dir),
    }
}

fn table_to(medium: &Medium) -> Subject {
    let (mut writer, reader) = (medium.clone(), medium.clone());
    Subject {
        output: Box::new(Table::new(
            false,
            Box::new(move |row| writer.write_all(format!("{row}\n").as_bytes())),
        )),
        read: Box::new(move || reader.text()),
        _dir: None,
    }
}

/// A confirmed sign at a given time, which every output shows in some form.
fn confirmed_at(second: u32) -> Event {
    let mut event = sign(Naming::Sign(limit_60()));
    event.time = tsedge::units::Timestamp::from_seconds(f64::from(second));
    Event::SignConfirmed(event)
}

/// Where each of `seconds` stands in the text, as `"time_s":N.0` or as `0:NN.0`.
fn places(text: &str, seconds: std::ops::Range<u32>) -> Vec<usize> {
    seconds
        .filter_map(|s| {
            text.find(&format!("\"time_s\":{s}.0"))
                .or_else(|| text.find(&format!("0:{s:02}.0  Speed limit")))
        })
        .collect()
}

fn accepts_every_kind(open: fn(&Medium) -> Subject) {
    let mut subject = open(&Medium::default());
    assert!(!subject.output.name().is_empty());
    for event in one_of_each() {
        subject.output.emit(&event).unwrap();
    }
    subject.output.finish().unwrap();
    let text = (subject.read)();
    assert!(text.contains("274-60") && text.ends_with('\n'), "{text}");
}

fn keeps_the_order(open: fn(&Medium) -> Subject) {
    let mut subject = open(&Medium::default());
    for second in 10..50 {
        subject.output.emit(&confirmed_at(second)).unwrap();
    }
    subject.output.finish().unwrap();
    let places = places(&(subject.read)(), 10..50);
    assert_eq!(places.len(), 40);
    assert!(places.is_sorted());
}

fn finish_makes_all_durable(open: fn(&Medium) -> Subject) {
    let mut subject = open(&Medium::default());
    subject.output.emit(&confirmed_at(11)).unwrap();
    for event in one_of_each() {
        subject.output.emit(&event).unwrap();
    }
    subject.output.finish().unwrap();
    let at_finish = (subject.read)();
    assert_eq!(places(&at_finish, 11..12).len(), 1);
    drop(subject.output);
    assert_eq!((subject.read)(), at_finish, "dropping wrote more");
}

fn confirmed_signs_do_not_wait_for_the_end(open: fn(&Medium) -> Subject) {
    let mut subject = open(&Medium::default());
    subject.output.emit(&confirmed_at(12)).unwrap();
    assert_eq!(places(&(subject.read)(), 12..13).len(), 1);
}

fn reports_a_failing_medium_and_recovers(open: fn(&Medium) -> Subject) {
    let medium = Medium::default();
    let mut subject = open(&medium);
    subject.output.emit(&confirmed_at(10)).unwrap();
    medium.set_broken(true);
    let error = subject.output.emit(&confirmed_at(11)).unwrap_err();
    assert!(error.to_string().contains("the medium is gone"), "{error}");
    medium.set_broken(false);
    subject.output.emit(&confirmed_at(12)).unwrap();
    subject.output.finish().unwrap();
    let text = (subject.read)();
    assert_eq!(places(&text, 10..11).len(), 1);
    assert_eq!(places(&text, 12..13).len(), 1);
    let lines = text.lines().filter(|l| l.contains("274-60"));
    let whole = lines.filter(|l| l.ends_with('}') || l.ends_with("DE"));
    assert!(whole.count() >= 2, "{text}");
}

macro_rules! contract {
    ($($name:ident: $open:expr, [$($promise:ident),+ $(,)?];)+) => {
        $(mod $name { $(#[test] fn $promise() { super::$promise($open); })+ })+
    };
}

contract! {
    jsonl_memory: super::jsonl_to, [accepts_every_kind, keeps_the_order, finish_makes_all_durable,
        confirmed_signs_do_not_wait_for_the_end, reports_a_failing_medium_and_recovers];
    jsonl_on_disk: super::jsonl_file, [accepts_every_kind, keeps_the_order,
        finish_makes_all_durable, confirmed_signs_do_not_wait_for_the_end];
    table: super::table_to, [accepts_every_kind, keeps_the_order, finish_makes_all_durable,
        confirmed_signs_do_not_wait_for_the_end, reports_a_failing_medium_and_recovers];
}

#[test]
fn an_event_refused_by_the_medium_is_written_later_and_only_once() {
    let medium = Medium::default();
    let mut lines = JsonLines::new("jsonl test", medium.clone());
    medium.set_broken(true);
    for second in 10..20 {
        lines.emit(&confirmed_at(second)).unwrap_err();
    }
    medium.set_broken(false);
    lines.finish().unwrap();
    assert_eq!(places(&medium.text(), 10..20).len(), 10);
    assert_eq!(medium.text().lines().count(), 10);
}

#[test]
fn memory_stays_bounded_while_the_medium_is_gone() {
    let medium = Medium::default();
    let mut lines = JsonLines::new("jsonl test", medium.clone());
    medium.set_broken(true);
    for _ in 0..5000 {
        lines.emit(&confirmed_at(10)).unwrap_err();
    }
    medium.set_broken(false);
    lines.finish().unwrap();
    let kept = medium.text();
    assert!(kept.len() < 1024 * 1024 + 4096, "{} bytes", kept.len());
    assert!(kept.lines().all(|l| l.ends_with('}')));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let path = Path::new("no-such-folder/events.jsonl");
    let error = JsonLines::create(path).err().unwrap();
    assert!(error.to_string().contains("no-such-folder"), "{error}");
    let full = Path::new("/dev/full");
    if full.exists() {
        let mut lines = JsonLines::create(full).unwrap();
        let error = lines.emit(&confirmed_at(1)).unwrap_err();
        assert!(error.to_string().contains("/dev/full"), "{error}");
    }
}
