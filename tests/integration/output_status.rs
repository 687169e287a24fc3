//! The status page: asked over a real connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use tsedge::output::status::{StatusOutput, screen};
use tsedge::output::{Output, Progress};
use tsedge::units::Timestamp;

use crate::output_events::one_of_each;

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

/// Answers of a unit that has lived through one event of every kind.
fn ask(paths: &[&str]) -> Vec<String> {
    let progress = Arc::new(Progress::default());
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut output = StatusOutput::listen(listen, Arc::clone(&progress)).unwrap();
    for event in one_of_each() {
        output.emit(&event).unwrap();
    }
    for frame in 0..90 {
        progress.recognised(at_ms(frame * 33), at_ms(frame * 33 + 20));
        output.tick(at_ms(frame * 33)).unwrap();
    }
    let address = output.address().unwrap();
    (paths.iter())
        .map(|path| {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    answer
                });
                while !reader.is_finished() {
                    output.tick(at_ms(3000)).unwrap();
                    std::thread::yield_now();
                }
                answer = reader.join().unwrap();
            });
            answer
        })
        .collect()
}

#[test]
fn page_json_and_metrics_tell_the_newest() {
    let answers = ask(&["/", "/status.json", "/metrics", "/etc/passwd"]);
    assert!(
        answers[0].contains("200 OK") && answers[0].contains("Speed limit 60"),
        "{}",
        answers[0]
    );
    let json = answers[1].split_once("\r\n\r\n").unwrap().1;
    let status: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(
        (&status["state"], &status["region"]),
        (&"normal".into(), &"DE".into())
    );
    assert_eq!(
        (&status["frames"], &status["signs_confirmed"]),
        (&90.into(), &1.into())
    );
    assert_eq!(status["latency_p99_ms"], 20.25);
    let rate = status["frames_per_s"].as_f64().unwrap();
    assert!((29.0..32.0).contains(&rate), "{rate}");
    let screen = screen(json).unwrap();
    assert!(
        screen.contains("Speed limit 60  274-60") && screen.lines().count() <= 24,
        "{screen}"
    );
    let metrics = answers[2].split_once("\r\n\r\n").unwrap().1;
    assert!(metrics.contains("\ntsedge_frames_total 90\n"), "{metrics}");
    assert!(metrics.contains("tsedge_reason{reason=\"no_position\"} 0"));
    let camera = "tsedge_camera_reason{camera=\"left\",reason=\"no_camera\"} 0";
    assert!(metrics.contains(camera), "{metrics}");
    assert!(answers[0].contains("<td>camera left<td>none"));
    assert_eq!(status["cameras"]["left"], serde_json::json!([]));
    assert!(answers[3].contains("404"));
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let open = "0.0.0.0:0".parse().unwrap();
    let error = StatusOutput::listen(open, Arc::new(Progress::default()))
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("not a loopback address"),
        "{error}"
    );
}
