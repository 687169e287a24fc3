//! Cut and damaged files: no panic, no endless loop, and every frame is given or counted as lost.

use std::io::Write;
use std::path::Path;

use tsedge::source::{OpenOptions, open};

use crate::source_clips::{
    Played, boxed, encode, fixture, fixture_bytes, fragmented, ftyp, open_bytes, play, progressive,
};

const FIXTURES: [&str; 11] = [
    "high_b_frames.mp4",
    "main_faststart.mp4",
    "rotated.mp4",
    "variable_rate.mp4",
    "two_tracks_audio.mp4",
    "fragmented.mp4",
    "fragmented_absolute.mp4",
    "trimmed.mp4",
    "open_gop.mp4",
    "mjpeg.avi",
    "mjpeg.mov",
];

/// Plays what is left of a file. `None` when it cannot be opened.
fn play_damaged(name: &str, bytes: &[u8]) -> Option<Played> {
    let mut source = open_bytes(bytes).ok()?;
    let expected = source.info().frames;
    let played = play(source.as_mut());
    let given = played.frames.len() as u64;
    // In AVI an empty chunk is a pause, neither given nor lost, so damage may make one of a picture.
    if let (Some(expected), false) = (expected, name.ends_with("avi")) {
        assert_eq!(
            given + played.damage.lost_frames,
            expected,
            "{name}: {:?}",
            played.damage
        );
    }
    assert!(played.damage.notes.len() <= 51);
    assert!(played.damage.lost_frames == 0 || !played.damage.notes.is_empty());
    Some(played)
}

/// Places where boxes start and end, down to the children of containers.
fn box_borders(bytes: &[u8]) -> Vec<usize> {
    let kinds = [
        "ftyp", "moov", "mdat", "trak", "mdia", "stbl", "stsz", "stco", "moof", "traf", "trun",
        "movi", "idx1", "00dc", "strh", "hdrl",
    ];
    let found = |kind: &&str| {
        let positions = bytes
            .windows(4)
            .enumerate()
            .filter(move |(_, w)| w == &kind.as_bytes());
        positions.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let starts = kinds.iter().flat_map(found);
    starts
        .flat_map(|at| [at.saturating_sub(4), at, at + 4])
        .filter(|at| *at < bytes.len())
        .collect()
}

#[test]
fn every_fixture_cut_anywhere() {
    for name in FIXTURES {
        let whole = fixture_bytes(name);
        let complete = play_damaged(name, &whole).unwrap().frames.len();
        let mut cuts: Vec<usize> = (0..100).map(|n| whole.len() * n / 100).collect();
        cuts.extend(box_borders(&whole));
        for cut in cuts {
            if let Some(played) = play_damaged(name, &whole[..cut]) {
                assert!(played.frames.len() <= complete, "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn a_cut_file_gives_all_frames_before_the_cut() {
    // Index first, so each frame whose bytes are there must come out.
    let clip = encode(20, 5);
    let file = progressive(&clip);
    let media: usize = clip.samples.iter().map(Vec::len).sum();
    let first = file.len() - media;
    for keep in 0..clip.samples.len() {
        let end = first + clip.samples[..keep].iter().map(Vec::len).sum::<usize>();
        // One byte of the next sample does not help.
        let played = play_damaged("progressive", &file[..=end]).unwrap();
        assert_eq!(played.frames.len(), keep);
        assert_eq!(played.damage.lost_frames, 20 - keep as u64);
        let notes = played.damage.notes.join("; ");
        assert!(notes.contains("past the end of the file"), "{notes}");
        assert!(notes.contains(&format!("byte {end}:")), "{notes}");
    }
}

#[test]
fn a_cut_fragment_is_noted_and_those_before_are_whole() {
    let clip = encode(20, 5);
    let file = fragmented(&clip, 5);
    let last = file.windows(4).rposition(|w| w == b"moof").unwrap() - 4;
    let inside_moof = play_damaged("fragmented", &file[..last + 40]).unwrap();
    assert_eq!(inside_moof.frames.len(), 15);
    assert!(
        inside_moof.damage.notes[0].contains("fragment is cut off"),
        "{:?}",
        inside_moof.damage
    );
    let inside_mdat = play_damaged("fragmented", &file[..file.len() - 3]).unwrap();
    assert_eq!(inside_mdat.frames.len(), 19);
    assert_eq!(inside_mdat.damage.lost_frames, 1);
}

#[test]
fn random_bytes_flipped() {
    for (seed, name) in FIXTURES.iter().enumerate() {
        let whole = fixture_bytes(name);
        let mut random = seed as u64 + 1;
        let mut next = || {
            // xorshift64: any spread will do, as long as it repeats.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize
        };
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..1 + next() % 8 {
                let at = next() % bytes.len();
                bytes[at] = next() as u8;
            }
            play_damaged(name, &bytes);
        }
    }
}

#[test]
fn a_damaged_picture_is_skipped_and_the_next_group_is_whole() {
    let clip = encode(20, 5);
    let mut file = progressive(&clip);
    let media: usize = clip.samples.iter().map(Vec::len).sum();
    let seventh = file.len() - media + clip.samples[..7].iter().map(Vec::len).sum::<usize>();
    let end = seventh + clip.samples[7].len();
    // Behind the length and the slice header.
    for (n, byte) in file[seventh + 14..end].iter_mut().enumerate() {
        *byte = (n * 89 + 1) as u8;
    }
    let played = play_damaged("progressive", &file).unwrap();
    let sound = play_damaged("progressive", &progressive(&clip)).unwrap();
    assert_eq!(played.frames.len() as u64 + played.damage.lost_frames, 20);
    assert!(
        (1..=3).contains(&played.damage.lost_frames),
        "{:?}",
        played.damage
    );
    assert!(
        played.damage.notes[0].contains(&format!("byte {seventh},")),
        "{:?}",
        played.damage
    );
    let tail = |p: &Played| {
        p.frames[p.frames.len() - 10..]
            .iter()
            .map(|f| (f.time, f.data().to_vec()))
            .collect::<Vec<_>>()
    };
    assert!(
        tail(&played) == tail(&sound),
        "frames 10 to 19 are whole and at their times"
    );
}

#[test]
fn without_index_the_error_says_what_helps() {
    let file = [ftyp(), boxed(b"mdat", &[&encode(4, 4).samples.concat()])].concat();
    let error = open_bytes(&file).err().unwrap().to_string();
    for part in ["moov", "power", "--like"] {
        assert!(error.contains(part), "{error}");
    }
}

fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn salvage(bytes: &[u8], like: &Path) -> Played {
    let broken = written(bytes);
    let options = OpenOptions {
        like: Some(like.to_owned()),
        ..OpenOptions::default()
    };
    play(open(broken.path(), &options).unwrap().as_mut())
}

#[test]
fn a_recording_without_index_is_salvaged_with_a_good_one() {
    for name in ["high_b_frames.mp4", "open_gop.mp4", "upright.mp4"] {
        let whole = fixture_bytes(name);
        let index = whole.windows(4).position(|w| w == b"moov").unwrap() - 4;
        let sound = play(open_bytes(&whole).unwrap().as_mut());
        let played = salvage(&whole[..index], &fixture(name));
        assert_eq!(played.frames.len(), sound.frames.len(), "{name}");
        assert_eq!(played.damage.lost_frames, 0, "{name}");
        assert!(
            played.damage.notes[0].contains("no index"),
            "{:?}",
            played.damage
        );
        for (given, expected) in played.frames.iter().zip(&sound.frames) {
            assert_eq!(given.data(), expected.data(), "{name}");
            assert!(
                (given.time.seconds() - expected.time.seconds()).abs() < 1e-4,
                "{name}"
            );
        }
    }
}

#[test]
fn salvage_passes_over_audio_and_junk() {
    let clip = encode(20, 5);
    let good = written(&progressive(&clip));
    let junk: Vec<u8> = (0..3000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut media = Vec::new();
    for sample in &clip.samples {
        media.extend([&sample[..], &junk].concat());
    }
    // The last picture is cut.
    media.truncate(media.len() - junk.len() - 5);
    let file = [ftyp(), boxed(b"mdat", &[&media])].concat();
    let played = salvage(&file, good.path());
    assert_eq!(
        (played.frames.len(), played.damage.lost_frames),
        (19, 1),
        "{:?}",
        played.damage
    );
}

#[test]
fn salvage_survives_any_cut() {
    let clip = encode(10, 5);
    let good = written(&progressive(&clip));
    let file = [ftyp(), boxed(b"mdat", &[&clip.samples.concat()])].concat();
    for cut in (24..file.len()).step_by(37) {
        let played = salvage(&file[..cut], good.path());
        assert!(played.frames.len() <= 10);
    }
}
