//! Promise: a network camera's pictures are those it sent, stamped by when they were taken; it may go away and
//! come back, and what must be set otherwise is told in words that help.
//!
//! The server is GStreamer's, of Debian (`tests/peers/rtsp_server.py` names the packages).

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tsedge::clock::{Clock as _, Monotonic};
use tsedge::frame::Frame;
use tsedge::source::camera::{Camera, Missed, Shot};
use tsedge::source::rtsp::{RtspCamera, RtspPlan, Way};
use tsedge::source::{self, Next, OpenOptions};

use crate::running::{Running, details, kinds};
use crate::support::{drive, root, tsedge};

const PATIENCE: Duration = Duration::from_millis(100);

/// GStreamer's RTSP server, which ends with this.
pub struct Server(Child);

impl Server {
    pub fn start(file: &Path, port: u16, more: &[&str]) -> Self {
        // The system's Python has GStreamer's bindings.
        let child = Command::new("/usr/bin/python3")
            .arg(root().join("tests/peers/rtsp_server.py"))
            .arg(file)
            .arg(port.to_string())
            .args(more)
            .stdout(Stdio::piped())
            .spawn();
        let mut server = Self(child.unwrap());
        let mut line = String::new();
        let told = BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line);
        assert!(told.is_ok() && line == "ready\n", "{line}");
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn camera(port: u16, path: &str, login: Option<(&str, &str)>) -> RtspCamera {
    camera_over(Way::Tcp, port, path, login)
}

fn camera_over(way: Way, port: u16, path: &str, login: Option<(&str, &str)>) -> RtspCamera {
    let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
    let url = format!("rtsp://127.0.0.1:{port}/{path}");
    let plan = RtspPlan::new(&url, login, (1280, 720)).unwrap();
    RtspCamera::new(plan.over(way), Arc::new(Monotonic)).unwrap()
}

/// Shoots until something else than a pause comes, for 10 s at most; it never takes longer than asked.
fn shoot(camera: &mut RtspCamera, frame: &mut Frame) -> Shot {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let start = Instant::now();
        let shot = camera.shoot(frame, PATIENCE);
        // A machine full of other tests gets some more.
        assert!(start.elapsed() < PATIENCE * 10);
        if shot != Shot::Late {
            return shot;
        }
    }
    panic!("neither frame nor fault within 10 s");
}

fn words(mut camera: RtspCamera) -> String {
    match shoot(&mut camera, &mut Frame::default()) {
        Shot::Lost(words) => words,
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn pictures_are_those_of_the_recording_and_stamped_by_when_they_were_taken() {
    let file = drive("test_de_fr").video;
    let mut recording = source::open(&file, &OpenOptions::default()).unwrap();
    let port = free_port();
    let _server = Server::start(&file, port, &[]);
    let mut camera = camera(port, "front", None);
    assert_eq!(camera.frame_px(), (640, 360));
    assert!(camera.description().ends_with("/front, 640x360 H.264"));
    let (mut sent, mut got) = (Frame::default(), Frame::default());
    let mut last = None;
    for n in 0..30 {
        assert_eq!(recording.next_frame(&mut sent).unwrap(), Next::Frame);
        assert_eq!(shoot(&mut camera, &mut got), Shot::Frame);
        let now = Monotonic.now();
        assert_eq!(
            (got.index, got.width_px(), got.height_px()),
            (n, sent.width_px(), sent.height_px())
        );
        assert!(got.data() == sent.data(), "picture {n} differs");
        assert!(got.time <= now);
        if let Some((time, media)) = last {
            let (step_s, sent_s) = (got.time.seconds_since(time), sent.time.seconds_since(media));
            // The first ones come in a burst.
            assert!(
                n < 10 || (step_s - sent_s).abs() < 0.02,
                "{n}: {step_s} {sent_s}"
            );
        }
        last = Some((got.time, sent.time));
    }
    assert_eq!(camera.take_missed(), Missed::default());
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn pictures_come_by_udp_where_the_camera_sends_no_other_way() {
    let file = drive("test_de_fr").video;
    let mut recording = source::open(&file, &OpenOptions::default()).unwrap();
    let port = free_port();
    let _server = Server::start(&file, port, &["--udp"]);
    let lost = words(camera(port, "front", None));
    assert!(lost.contains("give the other `transport`"), "{lost}");
    let mut camera = camera_over(Way::Udp, port, "front", None);
    let (mut sent, mut got) = (Frame::default(), Frame::default());
    // Packets may be lost before all is set up, on a machine full of other tests also later.
    assert_eq!(shoot(&mut camera, &mut got), Shot::Frame);
    let found = (0..60).any(|_| {
        assert_eq!(recording.next_frame(&mut sent).unwrap(), Next::Frame);
        got.data() == sent.data()
    });
    assert!(found, "the picture is none of those that were sent");
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn pictures_that_are_sent_out_of_order_are_shown_in_order() {
    let file = root().join("tests/fixtures/video/high_b_frames.mp4");
    let mut recording = source::open(&file, &OpenOptions::default()).unwrap();
    let port = free_port();
    let _server = Server::start(&file, port, &[]);
    let mut camera = camera(port, "front", None);
    let (mut sent, mut got) = (Frame::default(), Frame::default());
    let mut last = Monotonic.now();
    for n in 0..12 {
        assert_eq!(recording.next_frame(&mut sent).unwrap(), Next::Frame);
        assert_eq!(shoot(&mut camera, &mut got), Shot::Frame, "{n}");
        assert!(got.data() == sent.data(), "picture {n} differs");
        assert!(n == 0 || got.time >= last, "{n}");
        last = got.time;
    }
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn a_camera_that_stands_still_is_given_up_and_found_again() {
    let file = drive("test_de_fr").video;
    let port = free_port();
    let server = Server::start(&file, port, &[]);
    let signal = |name: &str| {
        let id = server.0.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.unwrap().success());
    };
    let mut camera = camera(port, "front", None);
    let mut frame = Frame::default();
    assert_eq!(shoot(&mut camera, &mut frame), Shot::Frame);
    signal("-STOP");
    let lost = loop {
        match shoot(&mut camera, &mut frame) {
            Shot::Frame => {}
            Shot::Lost(words) => break words,
            other => panic!("{other:?}"),
        }
    };
    assert!(lost.contains("no picture for 2"), "{lost}");
    signal("-CONT");
    let end = Instant::now() + Duration::from_secs(20);
    while shoot(&mut camera, &mut frame) != Shot::Frame {
        assert!(Instant::now() < end);
        std::thread::sleep(PATIENCE);
    }
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn what_must_be_set_otherwise_is_told() {
    let file = drive("test_de_fr").video;
    let port = free_port();
    let login = ["--login", "driver:hunter2"];
    let server = Server::start(&file, port, &login);
    assert!(words(camera(port, "front", None)).ends_with("give `user` and `password_file`"));
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = format!("[camera]\nurl = \"rtsp://127.0.0.1:{port}/front\"\n");
    std::fs::write(config.path(), text).unwrap();
    let checked = tsedge([
        "check".as_ref(),
        "--config".as_ref(),
        config.path().as_os_str(),
    ]);
    let checked = String::from_utf8(checked.stderr).unwrap();
    let warning = |line: &str| line.starts_with("warning") && line.contains("asks for a user");
    assert!(checked.lines().any(warning), "{checked}");
    let wrong = words(camera(port, "front", Some(("driver", "hunter3"))));
    assert!(
        wrong.contains("refuses user `driver`") && !wrong.contains("hunter"),
        "{wrong}"
    );
    let mut right = camera(port, "front", Some(("driver", "hunter2")));
    assert_eq!(shoot(&mut right, &mut Frame::default()), Shot::Frame);
    drop(server);
    let server = Server::start(&file, port, &[]);
    let lost = words(camera(port, "rear", None));
    assert!(lost.contains("correct the path of `url`"), "{lost}");
    drop(server);
    let hevc = root().join("tests/fixtures/video/hevc.mp4");
    let _server = Server::start(&hevc, port, &["--codec", "h265"]);
    let lost = words(camera(port, "front", None));
    assert!(
        lost.contains("sends h265; set the camera's stream to H.264"),
        "{lost}"
    );
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn one_that_does_not_answer_is_given_up_and_said() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let lost = words(camera(silent.local_addr().unwrap().port(), "front", None));
    assert!(
        lost.ends_with("/front: does not answer within 3s"),
        "{lost}"
    );
    let lost = words(camera(free_port(), "front", None));
    assert!(lost.contains("refused"), "{lost}");
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn a_server_killed_is_told_and_found_again_by_the_running_unit() {
    let file = drive("test_de_fr").video;
    let port = free_port();
    let dir = tempfile::TempDir::new().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    let login = ["--login", "driver:hunter2"];
    let server = Server::start(&file, port, &login);
    let config = format!(
        "[camera]\nurl = \"rtsp://127.0.0.1:{port}/front\"\nuser = \"driver\"\npassword_file = {password:?}\n"
    );
    let running = Running::start(&[], &config, []);
    // A machine full of other tests may be overloaded.
    let normal = |events: &[Value]| {
        let newest = kinds(events, "health").pop();
        newest.is_some_and(|h| {
            let reasons = h["reasons"].to_string();
            h["state"] != "init" && !reasons.contains("camera") && !reasons.contains("stale")
        })
    };
    running.wait_for(normal);
    drop(server);
    let killed = Monotonic.now().seconds();
    running.wait_for(|events| {
        (kinds(events, "health").iter()).any(|h| {
            let detail = h["detail"].as_str().unwrap_or_default();
            h["time_s"].as_f64() > Some(killed) && detail.contains("/front: ")
        })
    });
    let server = Server::start(&file, port, &login);
    let back = Monotonic.now().seconds();
    running.wait_for(|events| {
        (details(events).iter()).any(|d| d.contains("/front, 640x360 H.264 is back"))
            && normal(events)
    });
    let events = running.events();
    let normal = kinds(&events, "health").pop().unwrap()["time_s"].as_f64();
    eprintln!(
        "normal {:.2} s after the server was back",
        normal.unwrap() - back
    );
    running.terminate();
    let (output, events) = running.end();
    drop(server);
    assert_eq!(output.status.code(), Some(0));
    let told = format!("{events:?}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!told.contains("hunter2"));
    assert!(kinds(&events, "summary")[0]["frames"].as_u64().unwrap() > 1);
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn one_of_two_cameras_lost_degrades_just_that_one() {
    let file = drive("test_de_fr").video;
    let (front_port, left_port) = (free_port(), free_port());
    let _front = Server::start(&file, front_port, &[]);
    let left = Server::start(&file, left_port, &[]);
    let config = format!(
        "[cameras.front]\nurl = \"rtsp://127.0.0.1:{front_port}/front\"\n\
         [cameras.left]\nurl = \"rtsp://127.0.0.1:{left_port}/front\"\n"
    );
    let running = Running::start(&[], &config, []);
    let told = |events: &[Value], front: &[&str], left: &[&str], word: &str| {
        (kinds(events, "health").iter()).any(|h| {
            let of = |camera: &str| h["cameras"][camera].as_array().unwrap().clone();
            of("front") == front
                && of("left") == left
                && h["detail"].as_str().unwrap_or(word).contains(word)
        })
    };
    running.wait_for(|events| {
        kinds(events, "health")
            .iter()
            .any(|h| h["state"] == "normal")
    });
    drop(left);
    running.wait_for(|events| told(events, &[], &["no_camera"], "left: rtsp://127.0.0.1"));
    running.wait_for(|events| told(events, &[], &["no_camera", "stale_frames"], ""));
    let before = running.events().len();
    let _left = Server::start(&file, left_port, &[]);
    running.wait_for(|events| told(&events[before..], &[], &[], ""));
    running.terminate();
    let (output, events) = running.end();
    assert_eq!(output.status.code(), Some(0));
    let degraded = kinds(&events, "health").into_iter();
    let degraded = degraded.filter(|h| h["cameras"]["left"] != Value::Array(vec![]));
    assert!(degraded.into_iter().all(|h| h["state"] == "degraded"));
}
