//! The status page: asked over a real connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tsedge::event::{FrameView, Naming, TrackView};
use tsedge::frame::{Frame, PixelFormat};
use tsedge::output::status::{Preview, StatusOutput, screen};
use tsedge::output::{Output, Progress};
use tsedge::units::{BoxPx, RegionCode, Timestamp, TrackId};

use crate::allocation::bytes_asked_for;
use crate::output_events::one_of_each;

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

/// A page of a unit that has lived through one event of every kind.
fn page() -> StatusOutput {
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
    output
}

/// Its answer; `meanwhile` is called between ticks, 50 ms apart.
fn ask(output: &mut StatusOutput, path: &str, mut meanwhile: impl FnMut()) -> Vec<u8> {
    let mut stream = TcpStream::connect(output.address().unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            answer
        });
        for ms in (3000..).step_by(50) {
            if reader.is_finished() {
                break;
            }
            output.tick(at_ms(ms)).unwrap();
            meanwhile();
            std::thread::sleep(Duration::from_millis(1));
        }
        reader.join().unwrap()
    })
}

fn text(answer: Vec<u8>) -> String {
    String::from_utf8(answer).unwrap()
}

#[test]
fn page_json_and_metrics_tell_the_newest() {
    let mut output = page();
    let answers = [
        "/",
        "/status.json",
        "/metrics",
        "/etc/passwd",
        "/preview.jpg",
    ]
    .map(|path| text(ask(&mut output, path, || {})));
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
    assert!(answers[4].contains("404") && answers[4].contains("preview_token_file"));
}

/// A grey picture of so many thousandths of a second.
fn grey(ms: i64, shade: u8) -> Frame {
    let mut frame = Frame::default();
    frame.time = at_ms(ms);
    let data = frame.reset(PixelFormat::Nv12, 1280, 720);
    data.fill(128);
    data[..1280 * 720].fill(shade);
    frame
}

#[test]
fn who_has_the_token_sees_the_next_frame_with_its_boxes() {
    let names = ["front", "left"].map(|name| Some(Arc::from(name)));
    let preview = Arc::new(Preview::new("0123456789abcdef", names.to_vec()));
    let mut output = page().with_preview(Arc::clone(&preview));
    let track = TrackView {
        track: TrackId(3),
        bbox: BoxPx::new(400.0, 200.0, 600.0, 400.0),
        naming: Naming::UnknownSign,
        probability: 0.5,
        detected: true,
        placement: None,
    };
    let view = FrameView {
        tracks: std::slice::from_ref(&track),
        events: &[],
        region: RegionCode::WORLD,
        position_deg: None,
        swap_took: None,
    };
    let offer = |camera, frame: Frame| preview.offer(camera, &frame, &view);
    // Nobody asks: this one must not be shown later.
    offer(0, grey(0, 40));
    for path in ["/preview.jpg", "/preview.jpg?token=0123456789abcdee"] {
        let refused = text(ask(&mut output, path, || offer(0, grey(1, 40))));
        assert!(refused.contains("403 Forbidden"), "{refused}");
    }
    let asked = "/preview.jpg?token=0123456789abcdef";
    let answer = ask(&mut output, asked, || offer(0, grey(2, 200)));
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(String::from_utf8_lossy(&answer[..body]).contains("image/jpeg"));
    let picture = image::load_from_memory(&answer[body..]).unwrap().to_luma8();
    assert_eq!(picture.dimensions(), (960, 540));
    // The ground between the box's lines is as bright as the second frame; the box is drawn.
    assert!(picture.get_pixel(375, 225).0[0] > 190);
    let row: Vec<u8> = (290..310).map(|x| picture.get_pixel(x, 225).0[0]).collect();
    assert!(row.iter().any(|luma| *luma < 190), "{row:?}");
    let other = ask(&mut output, &format!("{asked}&camera=back"), || {});
    assert!(text(other).contains("404 Not Found"));
    let left = format!("{asked}&camera=left");
    // The left camera brings nothing.
    let none = ask(&mut output, &left, || offer(0, grey(3, 200)));
    assert!(text(none).contains("503 Service Unavailable"));
    let seen = ask(&mut output, &left, || offer(1, grey(4, 200)));
    assert!(seen.starts_with(b"HTTP/1.0 200") || seen.starts_with(b"HTTP/1.1 200"));
}

/// So many connections that each bring `text`.
fn crowd(output: &StatusOutput, text: &[u8]) -> Vec<TcpStream> {
    let address = output.address().unwrap();
    let one = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text).unwrap();
        stream
    };
    (0..100).map(one).collect()
}

#[test]
fn a_crowd_of_visitors_costs_little_and_the_next_one_is_answered() {
    let mut output = page();
    let request = b"GET / HTTP/1.1\r\nHost: unit\r\n\r\n";
    for text in [&request.repeat(100)[..], b"GET / HT", b"", &[b'x'; 20_000]] {
        let before = bytes_asked_for();
        let crowd = crowd(&output, text);
        let mut ticks = 0;
        let answer = ask(&mut output, "/status.json", || ticks += 1);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        // 10,000 answers, or all that was sent, would be some 20 MB.
        let bytes = bytes_asked_for() - before;
        println!(
            "{} bytes, {ticks} ticks for 100 times {} bytes",
            bytes,
            text.len()
        );
        assert!(bytes < 4_000_000, "{bytes}");
        drop(crowd);
    }
}

#[test]
fn what_is_no_question_is_refused() {
    let mut output = page();
    // As much as is listened to.
    for text in [&b"POST / HTTP/1.1\r\n\r\n"[..], &[b'x'; 8192]] {
        let mut stream = TcpStream::connect(output.address().unwrap()).unwrap();
        stream.write_all(text).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut answer = Vec::new();
        for ms in (3000..).step_by(50) {
            output.tick(at_ms(ms)).unwrap();
            if stream.read_to_end(&mut answer).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(answer.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    }
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
