//! The HTML report: complete, self-contained, safe against hostile names, bounded in size.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tsedge::event::{
    AdviceState, Candidate, ClassInfo, Event, Family, FrameView, Naming, RegionEvent, Renamed,
    SignEvent, SpeedAdvice, StageTime, Summary, SwapChange, TrackView,
};
use tsedge::frame::{Frame, PixelFormat};
use tsedge::report::FrameSink;
use tsedge::report::html::{HtmlReport, Ingredient, ReportInfo, StageSamples};
use tsedge::units::{BoxPx, RegionCode, SpeedUnit, Timestamp, TrackId};

use crate::output_events::region;

const HOSTILE: &str = "</td><script src=\"http://evil\">alert('1')</script>";

fn class(key: &str, label: &str, family: Family) -> Arc<ClassInfo> {
    let limit = family == Family::SpeedLimit;
    Arc::new(ClassInfo {
        key: key.into(),
        national_code: Some("274-60".into()),
        family,
        value: limit.then_some(60.0),
        unit: limit.then_some(SpeedUnit::KilometresPerHour),
        label_en: label.into(),
        label_local: format!("{label} (local)"),
    })
}

/// What the swap in the middle of the drive changed.
fn change() -> SwapChange {
    SwapChange {
        tracks: 2,
        renamed: vec![Renamed {
            track: TrackId(7),
            from: Naming::Sign(class(
                "speed_limit_60",
                "Speed limit 60",
                Family::SpeedLimit,
            )),
            to: Naming::UnknownSign,
        }],
        gained: vec![class("town", HOSTILE, Family::Information)],
        lost: Vec::new(),
        unit: Some((SpeedUnit::MilesPerHour, SpeedUnit::KilometresPerHour)),
        advice_expired: true,
    }
}

/// A synthetic drive: grey road, a red disc for each sign, a border in the middle.
struct Drive {
    frames: u64,
    signs: u32,
    label: String,
    /// How fast a sign grows while it is approached.
    growth_px: f32,
}

const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;
const LIFE: u64 = 12;

impl Drive {
    fn report(&self, path: &Path) -> String {
        let info = ReportInfo {
            source: format!("drive {}.mp4", self.label),
            position_source: "GPX track drive.gpx".into(),
            ingredients: vec![Ingredient {
                role: "encoder".into(),
                name: format!("edge-56-deep {}", self.label),
                sha256: "ab".repeat(32),
            }],
        };
        let mut report = HtmlReport::create(path, info).unwrap();
        let mut frame = Frame::default();
        for index in 0..self.frames {
            self.step(index, &mut frame, &mut report);
        }
        let summary = Summary {
            time: Timestamp::from_ticks(self.frames as i64, 30),
            frames: self.frames,
            lost_frames: 2,
            signs: u64::from(self.signs),
            unknown_signs: 1,
            region_swaps: 1,
        };
        let ms: Vec<f32> = (0..self.frames).map(|i| 8.0 + (i % 17) as f32).collect();
        let stage = |stage, p50_ms| StageTime {
            stage,
            p50_ms,
            p99_ms: p50_ms * 2.5,
            max_ms: p50_ms * 4.0,
        };
        let samples = |stage| StageSamples { stage, ms: &ms };
        report
            .finish(
                &summary,
                &[stage("decode", 6.0), stage("detect", 14.0)],
                &[samples("decode"), samples("detect")],
                Duration::from_secs(4),
            )
            .unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    fn step(&self, index: u64, frame: &mut Frame, report: &mut HtmlReport) {
        frame.index = index;
        frame.time = Timestamp::from_ticks(index as i64, 30);
        frame.reset(PixelFormat::Rgb8, WIDTH, HEIGHT).fill(110);
        let swap = self.frames / 2;
        let here = if index < swap { "FR" } else { "DE" };
        let position = (48.0 + index as f64 * 1e-4, 8.0 + index as f64 * 5e-5);
        let mut events = Vec::new();
        if index == 0 || index == swap {
            events.push(Event::Region(RegionEvent {
                time: frame.time,
                frame: index,
                from: (index > 0).then(|| region("FR")),
                to: region(here),
                pack: region(here),
                pack_version: "1".into(),
                pack_sha256: format!("{here} 00").into(),
                position_deg: Some(position),
                crossing: None,
                change: (index > 0).then(|| Arc::new(change())),
            }));
        }
        let gap = self.frames / u64::from(self.signs + 1);
        let mut tracks = Vec::new();
        for id in 0..self.signs {
            let first = u64::from(id + 1) * gap;
            if index < first || index > first + LIFE {
                continue;
            }
            let age = index - first;
            self.sign(id, age, frame, region(here), &mut tracks, &mut events);
        }
        let view = FrameView {
            tracks: &tracks,
            events: &events,
            region: region(here),
            position_deg: Some(position),
            swap_took: (index == swap && index > 0).then(|| Duration::from_micros(42)),
        };
        report.frame(frame, &view).unwrap();
    }

    fn sign(
        &self,
        id: u32,
        age: u64,
        frame: &mut Frame,
        region: RegionCode,
        tracks: &mut Vec<TrackView>,
        events: &mut Vec<Event>,
    ) {
        let size = 16.0 + age as f32 * self.growth_px;
        let bbox = BoxPx::from_centre(200.0 + age as f32 * 4.0, 70.0, size, size);
        disc(frame, &bbox);
        let unknown = id + 1 == self.signs;
        let limit = class("speed_limit_60", &self.label, Family::SpeedLimit);
        let naming = match (age, unknown) {
            (0..=2, _) => Naming::Undecided,
            (_, true) => Naming::UnknownSign,
            _ => Naming::Sign(limit.clone()),
        };
        let mut top = heapless::Vec::new();
        for probability in [0.91, 0.06, 0.01] {
            let class = limit.clone();
            let _ = top.push(Candidate { class, probability });
        }
        let event = SignEvent {
            time: frame.time,
            frame: frame.index,
            camera: None,
            track: TrackId(id),
            naming: naming.clone(),
            probability: 0.91,
            top,
            region,
            bbox,
            placement: None,
            observations: age as u32 + 1,
            first_seen: Timestamp::from_ticks((frame.index - age) as i64, 30),
        };
        if age == LIFE {
            events.push(Event::SignLost(event));
            return;
        }
        tracks.push(TrackView {
            track: TrackId(id),
            bbox,
            naming,
            probability: 0.91,
            detected: true,
            placement: None,
        });
        if age == 2 {
            events.push(Event::SignSeen(event.clone()));
        }
        if age == 4 && !unknown {
            events.push(Event::SignConfirmed(event));
            events.push(Event::SpeedLimit(SpeedAdvice {
                value: Some(60.0),
                unit: Some(SpeedUnit::KilometresPerHour),
                track: Some(TrackId(id)),
                confidence: 0.91,
                ..SpeedAdvice::none(frame.time, frame.index, AdviceState::Set, region)
            }));
        }
    }
}

fn disc(frame: &mut Frame, bbox: &BoxPx) {
    let ((cx, cy), radius) = (bbox.centre(), bbox.width() / 2.0);
    let [x0, y0, x1, y1] = bbox.rounded().map(|edge| edge as u32);
    for (x, y) in (y0..y1.min(HEIGHT)).flat_map(|y| (x0..x1.min(WIDTH)).map(move |x| (x, y))) {
        let distance = (x as f32 - cx).hypot(y as f32 - cy) / radius;
        let colour = match distance {
            d if d < 0.7 => [245, 245, 245],
            d if d < 1.0 => [200, 20, 20],
            _ => continue,
        };
        let at = (y * WIDTH + x) as usize * 3;
        frame.data_mut()[at..at + 3].copy_from_slice(&colour);
    }
}

fn made(frames: u64, signs: u32, label: &str) -> String {
    written(&Drive {
        frames,
        signs,
        label: label.into(),
        growth_px: 3.0,
    })
}

fn written(drive: &Drive) -> String {
    let dir = tempfile::TempDir::new().unwrap();
    drive.report(&dir.path().join("report.html"))
}

/// Every tag closed in order, every attribute quoted; returns how often each tag was opened.
fn tags(html: &str) -> BTreeMap<String, usize> {
    let (mut open, mut seen) = (Vec::new(), BTreeMap::new());
    let mut rest = html.strip_prefix("<!doctype html>").unwrap();
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>') || open.last() == Some(&"style"));
        let end = start + rest[start..].find('>').expect("a tag that never ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let name = |t: &'_ str| t.split([' ', '/']).next().unwrap_or("").len();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "</{closed}>");
            continue;
        }
        let parts: Vec<&str> = tag.split('"').collect();
        let names = parts[..parts.len() - 1].iter().step_by(2);
        let quoted = parts.len() % 2 == 1 && names.clone().all(|n| n.ends_with('='));
        assert!(quoted, "<{:.200}>", tag);
        let name = &tag[..name(tag)];
        *seen.entry(name.to_owned()).or_default() += 1;
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
    seen
}

#[test]
fn the_report_is_well_formed_and_complete() {
    let html = made(120, 4, "Speed limit 60");
    let seen = tags(&html);
    assert_eq!(seen["h1"], 1);
    assert_eq!(seen["figure"], 3 + 1, "three scenes and an unknown sign");
    assert!(seen["polyline"] == 2, "the way in two regions");
    for part in [
        "drive Speed limit 60.mp4",
        "FR → DE",
        "274-60",
        "0.910",
        "Speed limit 60 (local)",
        "limit 60 km/h",
        "2 lost to damage",
        "detect",
        &"ab".repeat(32),
        "Unknown signs",
        "limits in km/h, before in mph",
        "the limit in force expired",
        "2 tracks read anew, 1 named otherwise",
        "track 7: Speed limit 60 → unknown sign",
        "1 class gained",
        "42 µs",
        "pack DE",
    ] {
        assert!(html.contains(part), "{part} is missing");
    }
    for id in html.split("href=\"#").skip(1) {
        let id = id.split('"').next().unwrap();
        assert!(html.contains(&format!("id=\"{id}\"")), "no place #{id}");
    }
}

#[test]
fn hostile_names_stay_text_and_nothing_is_loaded() {
    let html = made(120, 4, HOSTILE);
    let seen = tags(&html);
    assert!(!seen.contains_key("script") && !seen.contains_key("link"));
    for address in ["src=\"", "href=\"", "url("] {
        for rest in html.split(address).skip(1) {
            assert!(
                rest.starts_with("data:image/jpeg;base64,") || rest.starts_with('#'),
                "{address}{}",
                rest.chars().take(40).collect::<String>()
            );
        }
    }
}

#[test]
fn pictures_show_the_sign() {
    let html = made(120, 4, "Speed limit 60");
    let start = html.find("class=\"crop\"").unwrap();
    let data = html[start..].split("base64,").nth(1).unwrap();
    let data = data.split('"').next().unwrap();
    let image = image::load_from_memory(&decoded(data)).unwrap().to_rgb8();
    let [r, g, b] = image.get_pixel(image.width() / 2, image.height() / 2).0;
    assert!(r > 220 && g > 220 && b > 220, "white in the middle");
    let edge = image
        .get_pixel(image.width() / 2, image.height() * 2 / 10)
        .0;
    assert!(edge[0] > 150 && edge[1] < 90, "a red ring: {edge:?}");
}

fn decoded(base64: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for c in base64.chars().filter(|c| *c != '=') {
        bits = bits << 6 | DIGITS.find(c).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[test]
fn signs_in_sight_at_the_end_are_told_too() {
    let still_there = |signs| {
        let html = made(60, signs, "Speed limit 60");
        (
            html.matches("<tr id=").count(),
            html.contains("Unknown signs"),
        )
    };
    // The last sign, an unknown one, begins in frame 57 of 60: three looks do not tell.
    assert_eq!(still_there(19), (18, false));
    // Here it begins in frame 52 and is unknown from its fourth frame on.
    assert_eq!(still_there(13), (12, true));
}

#[test]
fn the_size_is_bounded_on_a_long_drive() {
    let html = written(&Drive {
        frames: 4_800,
        signs: 1200,
        label: "Speed limit 60".into(),
        growth_px: 0.0,
    });
    let mib = html.len() as f64 / (1024.0 * 1024.0);
    assert!(mib < 20.0, "{mib:.1} MiB");
    assert!(html.contains("199 more signs are not shown"));
    assert_eq!(html.matches("class=\"scene\"").count(), 50);
}

#[test]
fn the_file_appears_whole_or_not_at_all() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("report.html");
    let info = ReportInfo {
        source: "drive.mp4".into(),
        position_source: "region DE".into(),
        ingredients: vec![],
    };
    let report = HtmlReport::create(&path, info.clone()).unwrap();
    assert!(!path.exists());
    drop(report);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let error = HtmlReport::create(&dir.path().join("no/report.html"), info.clone());
    assert!(error.err().unwrap().to_string().contains("report.html"));
    let error = HtmlReport::create(dir.path(), info);
    assert!(error.err().unwrap().to_string().contains("name of a file"));
}

#[test]
fn a_drive_without_anything_still_gives_a_report() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("report.html");
    let info = ReportInfo {
        source: "empty.mp4".into(),
        position_source: "no position".into(),
        ingredients: vec![],
    };
    let report = HtmlReport::create(&path, info).unwrap();
    let summary = Summary {
        time: Timestamp::ZERO,
        frames: 0,
        lost_frames: 0,
        signs: 0,
        unknown_signs: 0,
        region_swaps: 0,
    };
    report.finish(&summary, &[], &[], Duration::ZERO).unwrap();
    let html = std::fs::read_to_string(&path).unwrap();
    tags(&html);
    assert!(html.contains("No sign was named") && !html.contains("class=\"map\""));
    assert!(!html.contains("NaN") && !html.contains("inf"));
}
