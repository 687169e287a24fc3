//! Promise: a drive shows what its scenario says, where the truth says, the same on every run.

use std::path::Path;

use tsedge::frame::Frame;
use tsedge::media::H264Writer;
use tsedge::simulate::drive::Drive;
use tsedge::simulate::scenario::Scenario;
use tsedge::source::{self, Next, OpenOptions};

use crate::support::root;

const CALM: &str = r#"
seed = 3
start = 2026-05-04T09:30:00Z
[camera]
width_px = 480
height_px = 270
rate_hz = 5
field_of_view_deg = 40.0
height_m = 1.3
distortion_k1 = -0.05
[route]
latitude_deg = 48.98
longitude_deg = 8.18
heading_deg = 180.0
[[route.segment]]
length_m = 24.0
speed_kmh = 54.0
curvature_per_m = 0.001
style = "DE"
[scenery]
trees_per_100_m = 4.0
houses_per_100_m = 0.0
"#;

const SIGN: &str = r#"
[[sign]]
class = "no_entry"
style = "DE"
at_m = 30.0
lateral_m = 4.0
yaw_deg = 8.0
"#;

fn rendered(text: &str) -> (Vec<Frame>, serde_json::Value) {
    let mut drive = Drive::new(Scenario::parse(text).unwrap()).unwrap();
    let mut frames = Vec::new();
    let mut frame = Frame::default();
    while drive.frame(&mut frame) {
        frames.push(frame.clone());
    }
    (frames, serde_json::to_value(drive.truth()).unwrap())
}

#[test]
fn faults_of_a_scenario_are_located() {
    let whole = format!("{CALM}{SIGN}");
    Scenario::parse(&whole).unwrap();
    for (from, to, expected) in [
        ("seed = 3", "sead = 3", "line 2"),
        ("rate_hz = 5", "rate_hz = \"5\"", "line 7"),
        ("speed_kmh = 54.0", "", "line 15"),
        (
            "no_entry",
            "no_entrance",
            "sign 1: no drawing of `no_entrance` in style DE",
        ),
        ("width_px = 480", "width_px = 481", "481 x 270"),
        (
            "curvature_per_m = 0.001",
            "curvature_per_m = 1.0",
            "segment 1: curvature_per_m is 1",
        ),
        (
            "[route]",
            "[camera.shake]\npitch_deg = 9.0\n[route]",
            "camera.shake: pitch_deg is 9",
        ),
        (
            "yaw_deg = 8.0",
            "yaw_deg = 90.0",
            "sign 1 (no_entry): yaw_deg is 90",
        ),
    ] {
        assert!(whole.contains(from));
        let error = Scenario::parse(&whole.replace(from, to)).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let missing = Scenario::read(Path::new("no/such.toml")).unwrap_err();
    assert!(format!("{missing:#}").contains("no/such.toml"));
}

/// Shakes the camera of a scenario.
fn shaken(text: &str) -> String {
    let key =
        "[camera.shake]\npitch_deg = 0.6\nyaw_deg = 0.4\nroll_deg = 2.0\npotholes_per_min = 30.0\n";
    text.replace("[route]", &format!("{key}[route]"))
}

#[test]
fn the_truth_encloses_what_the_sign_changed() {
    encloses(CALM);
    encloses(&shaken(CALM));
}

fn encloses(calm: &str) {
    let (with, truth) = rendered(&format!("{calm}{SIGN}"));
    let (without, _) = rendered(calm);
    let boxes = truth["signs"][0]["boxes"].as_array().unwrap();
    assert!(boxes.len() >= 4, "{truth}");
    for entry in boxes {
        let index = entry[0].as_u64().unwrap() as usize;
        let expected: Vec<f64> = (0..4).map(|i| entry[1][i].as_f64().unwrap()).collect();
        let (a, b) = (&with[index], &without[index]);
        let (width, height) = (a.width_px() as usize, a.height_px() as usize);
        // Red against the green and blue of the scene: V; the grey post below changes it little.
        let (half, [_, _, v_with], [_, _, v_without]) = (width / 2, a.planes(), b.planes());
        let mut found = [f64::MAX, f64::MAX, 0.0, 0.0];
        for (y, x) in (0..height / 2).flat_map(|y| (0..half).map(move |x| (y, x))) {
            if v_with[y * half + x] >= v_without[y * half + x].saturating_add(24) {
                found[0] = f64::min(found[0], 2.0 * x as f64);
                found[1] = f64::min(found[1], 2.0 * y as f64);
                found[2] = f64::max(found[2], 2.0 * x as f64 + 2.0);
                found[3] = f64::max(found[3], 2.0 * y as f64 + 2.0);
            }
        }
        for (found, expected) in found.iter().zip(&expected) {
            // A chroma sample is two pixels wide, and the white rim is not red.
            assert!(
                (found - expected).abs() <= 3.0,
                "frame {index}: {found} {expected}"
            );
        }
    }
}

#[test]
fn the_same_scenario_gives_the_same_frames() {
    let rough = CALM.replace(
        "[route]",
        "shutter_ms = 10.0\nnoise = 6.0\n[weather]\nlight = 0.5\nrain = 0.7\n[route]",
    );
    let text = shaken(&format!("{rough}{SIGN}"));
    let ((first, truth), (second, truth_again)) = (rendered(&text), rendered(&text));
    assert!(first.len() > 5);
    assert_eq!(truth, truth_again);
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(a.data(), b.data());
    }
    let (other, _) = rendered(&text.replace("seed = 3", "seed = 4"));
    assert_ne!(first[0].data(), other[0].data());
}

#[test]
fn the_video_shows_the_rendered_frames() {
    let (frames, _) = rendered(&format!("{CALM}{SIGN}"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drive.mp4");
    let mut video = H264Writer::create(&path, 5.0, frames[0].colour).unwrap();
    for frame in &frames {
        video.frame(frame).unwrap();
    }
    video.finish().unwrap();
    let mut source = source::open(&path, &OpenOptions::default()).unwrap();
    let mut read = Frame::default();
    for frame in &frames {
        assert!(matches!(source.next_frame(&mut read).unwrap(), Next::Frame));
        assert_eq!(read.time, frame.time);
        let squares: f64 = frame.planes()[0]
            .iter()
            .zip(read.planes()[0])
            .map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2))
            .sum();
        let mean = squares / frame.planes()[0].len() as f64;
        let psnr_db = 10.0 * (255.0 * 255.0 / mean).log10();
        assert!(psnr_db > 32.0, "frame {}: {psnr_db:.1} dB", frame.index);
    }
    assert!(matches!(source.next_frame(&mut read).unwrap(), Next::End));
}

#[test]
fn positions_cross_the_border_with_the_pictures() {
    let scenario = Scenario::read(&root().join("scenarios/test_de_fr.toml")).unwrap();
    let rate_hz = scenario.position_rate_hz;
    let mut drive = Drive::new(scenario).unwrap();
    let mut gpx = Vec::new();
    drive.write_gpx(&mut gpx).unwrap();
    let points = String::from_utf8(gpx).unwrap().matches("<trkpt").count();
    let (mut frame, mut frames) = (Frame::default(), 0u32);
    while drive.frame(&mut frame) {
        frames += 1;
    }
    let seconds = f64::from(frames) / 10.0;
    assert!(
        (points as f64 - seconds * rate_hz).abs() <= 2.0,
        "{points} points, {seconds} s"
    );
    let truth = serde_json::to_value(drive.truth()).unwrap();
    let regions: Vec<_> = truth["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["region"].clone())
        .collect();
    assert_eq!(regions, ["DE", "FR"]);
    for sign in truth["signs"].as_array().unwrap() {
        let seen = sign["boxes"].as_array().unwrap().len();
        assert!(
            seen >= 10 && sign["max_px"].as_f64().unwrap() > 40.0,
            "{sign}"
        );
    }
}

#[test]
fn every_scenario_of_the_checkout_is_sound() {
    let mut names = 0;
    for entry in std::fs::read_dir(root().join("scenarios")).unwrap() {
        let scenario = Scenario::read(&entry.unwrap().path()).unwrap();
        let drive = Drive::new(scenario).unwrap();
        assert!(drive.frames() > 10);
        names += 1;
    }
    assert!(names >= 5);
}
