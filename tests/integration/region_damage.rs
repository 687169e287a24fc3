//! Promise: 10,000 damaged packs, each refused with a reason or provably harmless; the running bank is
//! unharmed and memory stays bounded.
//!
//! Counted as *refused*: an error with a reason. As *harmless*: the bytes parse to exactly the contents of
//! the sound pack (a changed blank in the header). Anything else fails the test. With signatures required
//! there is no harmless damage: a sample of all kinds is checked to be refused.

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use tsedge::region::pack::{MAX_HEADER_BYTES, RowType};
use tsedge::region::sign::{Signatures, Trust, new_keys, sign};
use tsedge::region::{Pack, PackStore};
use tsedge::units::RegionCode;

use crate::allocation::bytes_asked_for;
use crate::support::small_pack;

const DIM: usize = 16;

/// A damaged copy of a sound pack.
type Damage = fn(&mut SmallRng, &[u8]) -> Vec<u8>;

/// The kinds of damage, in equal parts.
const KINDS: [Damage; 6] = [
    wrong_contents,
    truncated,
    bits_flipped,
    bytes_replaced,
    moved,
    hostile_header,
];

fn truncated(rng: &mut SmallRng, sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound[..rng.random_range(0..sound.len())].to_vec();
    if rng.random_ratio(1, 4) {
        // Power failed: the length is there, the contents are not.
        bytes.resize(sound.len(), 0);
    }
    bytes
}

fn bits_flipped(rng: &mut SmallRng, sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..rng.random_range(1..=8) {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
    bytes
}

fn bytes_replaced(rng: &mut SmallRng, sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let length = rng.random_range(1..200);
    let at = rng.random_range(0..bytes.len() - length);
    rng.fill_bytes(&mut bytes[at..at + length]);
    bytes
}

fn moved(rng: &mut SmallRng, sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..3) {
        0 => bytes.insert(at, rng.random()),
        1 => _ = bytes.remove(at),
        _ => bytes.extend_from_slice(&sound[at..]),
    }
    bytes
}

/// Headers that say other things than the data, or try to make a reader take memory.
fn hostile_header(rng: &mut SmallRng, sound: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(*sound.first_chunk().unwrap()) as usize;
    let text = std::str::from_utf8(&sound[8..8 + length]).unwrap();
    let number = rng.random_range(0..u64::MAX);
    let mut claimed = None;
    let header = match rng.random_range(0..10) {
        0 => text.replace("[120,16]", &format!("[{number},{number}]")),
        1 => text.replace("[120,16]", "[1920]"),
        2 => text.replace(
            "\"F32\"",
            ["\"F64\"", "\"BOOL\"", "\"F4\"", "\"I8\""][rng.random_range(0..4)],
        ),
        3 => text.replacen(
            "\"data_offsets\":[0,",
            &format!("\"data_offsets\":[{number},"),
            1,
        ),
        4 => "[".repeat(rng.random_range(1..20_000)),
        5 => text.replacen("{", &"{\"a\":".repeat(rng.random_range(1..2_000)), 1),
        6 => {
            claimed = Some(number);
            text.to_owned()
        }
        7 => {
            claimed = Some(rng.random_range(0..2 * MAX_HEADER_BYTES));
            text.to_owned()
        }
        8 => text.replacen(
            "\"region\"",
            &format!("\"x\":\"{}\",\"region\"", "y".repeat(100_000)),
            1,
        ),
        _ => text.replace("\"class_of\"", "\"text\""),
    };
    let mut bytes = claimed
        .unwrap_or(header.len() as u64)
        .to_le_bytes()
        .to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(&sound[8 + length..]);
    bytes
}

/// Whole files with a right digest whose contents are not those of a pack for this unit.
fn wrong_contents(rng: &mut SmallRng, _: &[u8]) -> Vec<u8> {
    let mut pack = small_pack("DE", "1", 40, DIM);
    let row = rng.random_range(0..120);
    let class = rng.random_range(1..40);
    match rng.random_range(0..12) {
        0 => pack.text.rows[(row, 3)] = f32::NAN,
        1 => pack.text.rows[(row, 3)] = f32::INFINITY,
        2 => pack.text.rows.row_mut(row).mapv_inplace(|v| v * 1.01),
        3 => pack.text.rows.row_mut(row).fill(0.0),
        4 => pack.text.class_of[row] = 40 + class as u16,
        5 => pack.classes[class].key = pack.classes[class - 1].key.clone(),
        6 => pack.classes[class].label_local.push('\u{1b}'),
        7 => pack.classes.clear(),
        8 => pack.calibration.scale = [0.0, -1.0, f32::NAN][rng.random_range(0..3)],
        9 => pack.calibration.min_probability = 1.0 + rng.random::<f32>(),
        10 => pack.encoder_sha256 = format!("{class}"),
        _ => pack.rules = Some(serde_json::json!({ "town_limit": row })),
    }
    pack.to_bytes(RowType::F32).unwrap()
}

#[test]
fn ten_thousand_damaged_packs_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("DE.safetensors");
    let pack = small_pack("DE", "1", 40, DIM);
    let sound = pack.to_bytes(RowType::F32).unwrap();
    std::fs::write(&file, &sound).unwrap();
    let region = RegionCode::parse("DE").unwrap();
    let mut store = PackStore::new(folder.path(), "abc", DIM);
    let running = store.best(region).unwrap();
    let query = pack.text.rows.row(3);
    let before = running.classify(query);
    assert_eq!(before.top[0].class.key, "class_1");

    let (public, secret) = new_keys(None).unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, secret).unwrap();
    let signature = sign(&sound, &key_file, None, "DE 1").unwrap();
    let key = public.lines().nth(1).unwrap().to_owned();
    let trust = Trust::new(Signatures::Required, &[key]).unwrap();
    trust.check_text(Some(&signature), &sound).unwrap();

    let mut rng = SmallRng::seed_from_u64(6);
    let mut reasons = std::collections::BTreeMap::<String, u32>::new();
    let (mut refused, mut harmless, mut most_bytes) = (0, 0, 0);
    for i in 0..10_000 {
        let damaged = KINDS[i % KINDS.len()](&mut rng, &sound);
        if damaged == sound {
            continue;
        }
        std::fs::write(&file, &damaged).unwrap();
        let asked = bytes_asked_for();
        let result = store.reload(region);
        most_bytes = most_bytes.max(bytes_asked_for() - asked);
        match result {
            Err(error) => {
                assert!(error.reason.len() > 10, "{error}");
                let kind: String = (error.reason.chars())
                    .take(30)
                    .filter(|c| c.is_alphabetic() || *c == ' ')
                    .collect();
                *reasons.entry(kind).or_default() += 1;
                refused += 1;
            }
            Ok(_) => {
                assert_eq!(Pack::parse(&damaged).as_ref(), Ok(&pack), "damage {i}");
                std::fs::write(&file, &sound).unwrap();
                store.reload(region).unwrap();
                harmless += 1;
            }
        }
        let in_use = store.loaded(region).unwrap();
        assert_eq!(in_use.sha256(), running.sha256(), "damage {i}");
        // An Ed25519 check takes about a millisecond: each hundredth of every kind is enough.
        if (i / KINDS.len()).is_multiple_of(100) {
            let checked = trust.check_text(Some(&signature), &damaged);
            assert!(checked.is_err(), "damage {i}");
        }
    }
    println!("refused {refused}, harmless {harmless}, at most {most_bytes} bytes asked for");
    println!("{reasons:#?}");
    assert!(refused > 9_900 && reasons.len() > 15);
    // All that reading one asks for, given back or not; the file is 17 kB, the longest header 2 MB.
    assert!(most_bytes < 8 << 20, "{most_bytes}");

    // And the bank that was running all the while still says the same.
    assert_eq!(running.classify(query), before);
}
