//! A camera whose pictures come damaged for a while: told on every output and counted, and nothing else is lost.
//!
//! `TSEDGE_ROUNDS` says how often.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use serde_json::Value;
use tsedge::frame::Frame;
use tsedge::frame::resample::crop_rgb;
use tsedge::source::{self, Next, OpenOptions};
use tsedge::units::BoxPx;

use crate::running::{Line, Running, kinds};
use crate::support::{drive, rounds, tsedge_ok};

/// Between the signs of the drive.
const BURST: Range<usize> = 32..47;
const RATE_HZ: u32 = 10;

fn chunk(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_le_bytes();
    let pad: &[u8] = if content.len() % 2 == 1 { &[0] } else { &[] };
    [id, &length, content, pad].concat()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// An AVI file of JPEG pictures.
fn avi((width, height): (u32, u32), pictures: &[Vec<u8>]) -> Vec<u8> {
    let count = pictures.len() as u32;
    let mjpg = u32::from_le_bytes(*b"MJPG");
    let main = [
        1_000_000 / RATE_HZ,
        0,
        0,
        0,
        count,
        0,
        1,
        0,
        width,
        height,
        0,
        0,
        0,
        0,
    ];
    let vids = u32::from_le_bytes(*b"vids");
    let stream = [vids, mjpg, 0, 0, 0, 1, RATE_HZ, 0, count, 0, 0, 0, 0, 0];
    let format = [40, width, height, 24 << 16 | 1, mjpg, 0, 0, 0, 0, 0];
    let stream = [
        chunk(b"strh", &words(&stream)),
        chunk(b"strf", &words(&format)),
    ]
    .concat();
    let stream = chunk(b"LIST", &[b"strl", &stream[..]].concat());
    let header = [&b"hdrl"[..], &chunk(b"avih", &words(&main)), &stream].concat();
    let mut movi = b"movi".to_vec();
    for picture in pictures {
        movi.extend(chunk(b"00dc", picture));
    }
    let all = [
        &b"AVI "[..],
        &chunk(b"LIST", &header),
        &chunk(b"LIST", &movi),
    ]
    .concat();
    chunk(b"RIFF", &all)
}

/// The drive's pictures as JPEG.
fn pictures() -> ((u32, u32), Vec<Vec<u8>>) {
    let mut recording = source::open(&drive("test_de_fr").video, &OpenOptions::default()).unwrap();
    let (mut frame, mut pictures) = (Frame::default(), Vec::new());
    while recording.next_frame(&mut frame).unwrap() == Next::Frame {
        let (width, height) = (frame.width_px(), frame.height_px());
        let whole = BoxPx::new(0.0, 0.0, width as f32, height as f32);
        let mut bytes = Vec::new();
        crop_rgb(&frame, whole, width)
            .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90))
            .unwrap();
        pictures.push(bytes);
    }
    ((frame.width_px(), frame.height_px()), pictures)
}

/// As a bad cable or a camera that is out of power does it.
fn damage(pictures: &mut [Vec<u8>]) {
    for (n, picture) in pictures.iter_mut().enumerate() {
        let half = picture.len() / 2;
        match n % 3 {
            0 => picture.truncate(half),
            1 => picture.truncate(100),
            _ => picture.fill(0x5a),
        }
    }
}

fn classes(events: &[Value]) -> Vec<String> {
    let confirmed = kinds(events, "sign_confirmed").into_iter();
    confirmed.map(|e| e["class"].to_string()).collect()
}

fn replayed(path: &Path, folder: &Path) -> Vec<String> {
    let events = folder.join("intact.jsonl");
    let words: [&OsStr; 6] = [
        "replay".as_ref(),
        path.as_ref(),
        "--region".as_ref(),
        "DE".as_ref(),
        "--jsonl".as_ref(),
        events.as_ref(),
    ];
    tsedge_ok(words);
    let text = std::fs::read_to_string(events).unwrap();
    let events: Vec<Value> = (text.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    classes(&events)
}

/// Words of the health events at which the reason was told, and at which it was gone.
pub fn bursts(events: &[Value]) -> (Vec<&Value>, Vec<&Value>) {
    let stands = |h: &&Value| h["reasons"].to_string().contains("damaged_frames");
    let health = kinds(events, "health");
    let changes = (health.iter().zip(health.iter().skip(1)))
        .filter(|(before, after)| stands(before) != stands(after));
    let (told, gone): (Vec<_>, Vec<_>) = changes.map(|(_, after)| *after).partition(stands);
    (told, gone)
}

#[test]
fn damaged_pictures_are_told_and_counted_and_every_sign_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let [intact, damaged] = ["intact.avi", "damaged.avi"].map(|name| dir.path().join(name));
    let (size, mut pictures) = pictures();
    std::fs::write(&intact, avi(size, &pictures)).unwrap();
    damage(&mut pictures[BURST]);
    std::fs::write(&damaged, avi(size, &pictures)).unwrap();
    let signs = replayed(&intact, dir.path());
    assert!(signs.len() >= 4, "{signs:?}");

    let line = Line::new();
    let replay = ["--repeat", "--replay"].map(OsStr::new);
    let replay = replay.into_iter().chain([damaged.as_os_str()]);
    let running = Running::start(&[], &line.config(), replay);
    let rounds = rounds(2);
    for round in 1..=rounds {
        running.wait_for(|events| bursts(events).1.len() >= round);
    }
    // The signs behind the last burst, and the first one of the next round.
    let first = |events: &[Value]| classes(events).iter().filter(|c| **c == signs[0]).count();
    running.wait_for(|events| first(events) > rounds);
    running.terminate();
    let (output, events) = running.end();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let (told, gone) = bursts(&events);
    assert!(told.iter().all(|h| h["state"] == "degraded"), "{told:?}");
    for gone in &gone[..rounds] {
        let detail = gone["detail"].as_str().unwrap();
        let count = format!("{} damaged pictures were left out", BURST.len());
        assert!(detail.contains(&count), "{detail}");
    }
    let lost = kinds(&events, "summary")[0]["lost_frames"]
        .as_u64()
        .unwrap();
    let damaged = (told.len() * BURST.len()) as u64;
    assert!(lost >= damaged, "{lost}");
    let recognised = |class: &String| classes(&events).iter().filter(|c| *c == class).count();
    println!(
        "{rounds} bursts of {} damaged pictures: {} other frames left out, each of {} signs recognised {} times \
         or more, sentences at most {:.2} s apart",
        BURST.len(),
        lost - damaged,
        signs.len(),
        signs.iter().map(recognised).min().unwrap(),
        line.longest_pause_s()
    );
    // A machine full of other tests leaves frames out.
    let sure = if lost == damaged { rounds } else { 1 };
    for class in &signs {
        assert!(recognised(class) >= sure, "{class}: {:?}", classes(&events));
    }
    assert!(line.longest_pause_s() < 5.0);
}
