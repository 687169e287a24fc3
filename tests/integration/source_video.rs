//! Fixtures written by FFmpeg give the frames, times and pixels that FFmpeg itself gives.

use sha2::{Digest, Sha256};
use tsedge::frame::{ColourMatrix, ColourSpec, PixelFormat};
use tsedge::source::{OpenOptions, open};

use crate::source_clips::{Played, fixture, fixture_bytes, open_bytes, play};

fn play_fixture(name: &str) -> Played {
    let mut source = open(&fixture(name), &OpenOptions::default()).unwrap();
    let played = play(source.as_mut());
    assert!(played.damage.is_none(), "{name}: {:?}", played.damage);
    assert_eq!(
        source.info().frames,
        Some(played.frames.len() as u64),
        "{name}"
    );
    let first = &played.frames[0];
    assert_eq!(
        (source.info().width_px, source.info().height_px),
        (first.width_px(), first.height_px()),
        "{name}"
    );
    played
}

fn digest(played: &Played) -> String {
    let mut hash = Sha256::new();
    for frame in &played.frames {
        hash.update(frame.data());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn assert_times(name: &str, played: &Played, count: usize, time_s: impl Fn(usize) -> f64) {
    let expected: Vec<f64> = (0..count).map(time_s).collect();
    let given = played.times_s();
    assert_eq!(given.len(), count, "{name}");
    for (n, (given, expected)) in given.iter().zip(&expected).enumerate() {
        assert!(
            (given - expected).abs() < 2e-5,
            "{name} frame {n}: {given} s, not {expected} s"
        );
    }
}

#[test]
fn h264_frames_are_those_of_ffmpeg() {
    let cases = [
        (
            "high_b_frames.mp4",
            "da4c2be81645b17fd1b1f5d9077641ac6762fd34236190def7db228d1a4d7e8e",
        ),
        (
            "main_faststart.mp4",
            "3191357bce1d6089f8ba518ebfcf02465f2e573454d258ccf6265fe23b48f0bc",
        ),
        (
            "fragmented.mp4",
            "c051670802d69e5b91a13629e99439e6f3820e77373abfbbad1486564522b83b",
        ),
        (
            "fragmented_absolute.mp4",
            "c051670802d69e5b91a13629e99439e6f3820e77373abfbbad1486564522b83b",
        ),
        (
            "open_gop.mp4",
            "06372cfab415911c3413312ed8efc39a6f08f4635e9a588d02c18c5a7655086c",
        ),
        (
            "rotated.mp4",
            "3e579c8df08b92bd828ec5f53c3ff1817fef86488f11ae3f824d0702c3ea5116",
        ),
        (
            "upright.mp4",
            "b4859abfffa8c37de7af0e6c4053165fbea919b85c44768bdb610c6229100aaf",
        ),
    ];
    for (name, sum) in cases {
        let played = play_fixture(name);
        assert_times(name, &played, 30, |n| n as f64 / 30.0);
        assert_eq!(digest(&played), sum, "{name}");
    }
}

#[test]
fn variable_frame_rate_keeps_every_time() {
    let played = play_fixture("variable_rate.mp4");
    assert_times("variable_rate.mp4", &played, 30, |n| {
        n as f64 / 30.0 + n.saturating_sub(10) as f64 * 0.02
    });
    let sum = "1b6a8515d5180f182daa9ed8ade36358492ea88f85d522357cfec3bf608e4e85";
    assert_eq!(digest(&played), sum);
}

#[test]
fn frames_before_the_edit_are_decoded_but_not_shown() {
    let played = play_fixture("trimmed.mp4");
    assert_times("trimmed.mp4", &played, 19, |n| n as f64 / 30.0);
    let sum = "e2a09baac7a1aa179709120a2c989b1dc48414615bff609accc6860073b5253d";
    assert_eq!(digest(&played), sum);
}

#[test]
fn of_several_tracks_the_enabled_video_is_read() {
    let played = play_fixture("two_tracks_audio.mp4");
    assert_times("two_tracks_audio.mp4", &played, 15, |n| n as f64 / 15.0);
    let sum = "a8cdd1add29ad4281801545364afaa1d61fec50cd2eeb647ad3ce81d32df4fc5";
    assert_eq!(digest(&played), sum);
    let source = open(&fixture("two_tracks_audio.mp4"), &OpenOptions::default()).unwrap();
    assert_eq!(
        source.info().description,
        "MP4, H.264 High, video track 1 of 2"
    );
}

#[test]
fn a_rotated_clip_is_upright() {
    let played = play_fixture("rotated.mp4");
    let stored = play_fixture("upright.mp4");
    let (turned, stored) = (&played.frames[7], &stored.frames[7]);
    assert_eq!((turned.width_px(), turned.height_px()), (72, 128));
    let (width, height) = (128, 72);
    for (x, y) in [(0, 0), (5, 3), (127, 71), (64, 10)] {
        let (up_x, up_y) = (y, width - 1 - x);
        assert_eq!(
            turned.planes()[0][up_y * height + up_x],
            stored.planes()[0][y * width + x]
        );
    }
}

#[test]
fn the_stream_names_its_colours() {
    let played = play_fixture("main_faststart.mp4");
    let full_601 = ColourSpec {
        matrix: ColourMatrix::Bt601,
        full_range: true,
    };
    assert!(played.frames.iter().all(|f| f.colour == full_601));
    let silent = play_fixture("high_b_frames.mp4");
    assert!(
        silent
            .frames
            .iter()
            .all(|f| f.colour == ColourSpec::unspecified(72))
    );
}

#[test]
fn mjpeg_is_read_from_avi_and_mov() {
    for (name, count) in [("mjpeg.avi", 12), ("mjpeg.mov", 6)] {
        let played = play_fixture(name);
        assert_times(name, &played, count, |n| n as f64 / 30.0);
        for frame in &played.frames {
            assert_eq!(frame.format(), PixelFormat::Rgb8);
            // The test picture is black at the left of its lower half, and coloured in the bars above.
            let mean =
                frame.data().iter().map(|b| u64::from(*b)).sum::<u64>() / frame.data().len() as u64;
            assert!((60..200).contains(&mean), "{name}: mean {mean}");
        }
    }
}

#[test]
fn pictures_without_huffman_tables_take_the_standard_ones() {
    let whole = fixture_bytes("mjpeg.avi");
    let mut stripped = whole.clone();
    let mut tables = 0;
    // Turned into comments, the tables are gone and every offset stays.
    for at in 0..stripped.len() - 1 {
        if stripped[at..at + 2] == [0xff, 0xc4] {
            stripped[at + 1] = 0xfe;
            tables += 1;
        }
    }
    assert!(tables >= 12, "the fixture has tables to take away");
    let (mut a, mut b) = (open_bytes(&whole).unwrap(), open_bytes(&stripped).unwrap());
    let (a, b) = (play(a.as_mut()), play(b.as_mut()));
    assert!(b.damage.is_none(), "{:?}", b.damage);
    assert_eq!(digest(&a), digest(&b));
}

#[test]
#[cfg(not(feature = "ffmpeg"))]
fn other_codecs_are_named_with_the_remedy() {
    let error = open(&fixture("hevc.mp4"), &OpenOptions::default())
        .err()
        .unwrap()
        .to_string();
    for part in ["hevc.mp4", "HEVC (H.265)", "hev1", "ffmpeg"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn other_files_are_refused_by_content() {
    for (head, name) in [
        (&b"\x1a\x45\xdf\xa3 webm"[..], "Matroska"),
        (b"GIF89a......................", "unknown"),
        (b"", "empty"),
    ] {
        let error = open_bytes(head).err().unwrap().to_string();
        assert!(error.contains(name), "{error}");
    }
}
