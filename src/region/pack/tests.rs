use proptest::prelude::*;

use super::*;
use crate::event::Family;
use crate::region::bank::tests::class;

fn contents(region: &str, version: &str) -> Pack {
    Pack {
        region: RegionCode::parse(region).unwrap(),
        version: version.to_owned(),
        encoder_sha256: "abc".to_owned(),
        classes: vec![
            class("stop", Family::Priority),
            class("exit", Family::Background),
        ],
        calibration: Calibration {
            scale: 20.0,
            bias: BTreeMap::new(),
            min_probability: 0.5,
            min_probability_of: BTreeMap::new(),
            min_cosine: 0.1,
        },
        text: Prototypes {
            rows: Array2::eye(2),
            class_of: vec![0, 1],
        },
        image: Prototypes::none(2),
        rules: Some(serde_json::json!({
            "source": "a law", "unit": "km/h", "side": "left", "town_limit": 50,
            "ended_by": ["end_sign"], "expires_after_m": 5000
        })),
        notes: BTreeMap::from([("licence".to_owned(), "none".to_owned())]),
    }
}

/// A sound pack of two rows, for the encoder `abc`.
pub fn pack(region: &str, version: &str) -> Vec<u8> {
    contents(region, version).to_bytes(RowType::F32).unwrap()
}

/// A pack of another format, as a hand might make it.
fn by_hand(format: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let bytes = pack("DE", "1");
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let metadata = header["__metadata__"].as_object_mut().unwrap();
    metadata.remove("digest");
    metadata.insert("format".to_owned(), format.into());
    for (key, value) in changes {
        metadata.insert((*key).to_owned(), (*value).into());
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header);
    out.extend(&bytes[8 + length..]);
    out
}

#[test]
fn what_is_written_is_read_and_the_same_bytes_each_time() {
    let pack = contents("DE", "1");
    let bytes = pack.to_bytes(RowType::F32).unwrap();
    assert_eq!(Pack::parse(&bytes).unwrap(), pack);
    assert_eq!(pack.to_bytes(RowType::F32).unwrap(), bytes);
    let half = pack.to_bytes(RowType::F16).unwrap();
    assert_eq!(Pack::parse(&half).unwrap(), pack);
}

#[test]
fn a_sound_pack_becomes_a_bank() {
    let bank = from_bytes(&pack("DE", "1"), "abc", 2).unwrap();
    assert_eq!(
        (bank.region().as_str(), bank.rows(), bank.dim()),
        ("DE", 2, 2)
    );
    assert_eq!(bank.road_rules().town_limit, Some(50));
    let found = bank.classify(ndarray::arr1(&[1.0, 0.0]).view());
    assert_eq!(found.naming.class().unwrap().key, "stop");
}

#[test]
fn each_refusal_names_what_was_found_and_what_was_expected() {
    let refused = |bytes: &[u8]| Pack::parse(bytes).unwrap_err();
    assert!(Pack::parse(&by_hand(FORMAT_WITHOUT_DIGEST, &[])).is_ok());
    assert_eq!(
        refused(&by_hand("tsedge-pack/9", &[])),
        "format is tsedge-pack/9, expected tsedge-pack/2"
    );
    assert_eq!(
        refused(&by_hand(FORMAT, &[])),
        "metadata `digest` is missing"
    );
    let changed = refused(&by_hand(FORMAT, &[("digest", "00")]));
    assert!(
        changed.starts_with("damaged: digest of the contents is "),
        "{changed}"
    );

    let old = |key: &str, value: &str| refused(&by_hand(FORMAT_WITHOUT_DIGEST, &[(key, value)]));
    assert_eq!(old("region", "de"), "region `de` is not ISO 3166");
    assert_eq!(
        old("pack_version", "\u{1b}[2J"),
        "pack_version has the control character '\\u{1b}'"
    );
    assert!(
        old(
            "calibration",
            r#"{"scale":-1,"min_probability":0.5,"min_cosine":0}"#
        )
        .ends_with("out of its range")
    );
    assert!(old("rules", "{").starts_with("rules: "));
    let long = [class(&"x".repeat(1001), Family::Priority)];
    assert_eq!(
        old("classes", &serde_json::to_string(&long).unwrap()),
        "a class key has a text of 1001 bytes, at most 1000"
    );
    let twice = [class("stop", Family::Priority), class("stop", Family::End)];
    assert_eq!(
        old("classes", &serde_json::to_string(&twice).unwrap()),
        "class `stop` is there twice"
    );
    assert_eq!(
        old("classes", &serde_json::to_string(&twice[..1]).unwrap()),
        "tensor `class_of` names class 1 of 1"
    );

    let sound = Pack::parse(&pack("DE", "1")).unwrap();
    assert_eq!(
        sound.check_encoder("other", 2).unwrap_err(),
        "encoder_sha256 is abc, expected other"
    );
    assert_eq!(
        sound.check_encoder("abc", 3).unwrap_err(),
        "row length is 2, expected 3"
    );

    let with_row = |row: [f32; 2]| {
        let mut pack = sound.clone();
        pack.text.rows.row_mut(1).assign(&ndarray::arr1(&row));
        refused(&pack.to_bytes(RowType::F32).unwrap())
    };
    assert_eq!(
        with_row([f32::NAN, 0.0]),
        "tensor `text` row 1 has length NaN, expected 1"
    );
    assert_eq!(
        with_row([0.0, 0.5]),
        "tensor `text` row 1 has length 0.5, expected 1"
    );
}

#[test]
fn a_long_header_is_refused_before_it_is_read() {
    let mut bytes = (MAX_HEADER_BYTES + 1).to_le_bytes().to_vec();
    bytes.resize(MAX_HEADER_BYTES as usize + 100, b' ');
    assert!(
        Pack::parse(&bytes)
            .unwrap_err()
            .contains("at most 2097152 are read")
    );
}

proptest! {
    #[test]
    fn without_a_digest_damage_never_panics(flips in prop::collection::vec((0_usize..5000, any::<u8>()), 1..8), cut in 0_usize..5000) {
        let mut bytes = by_hand(FORMAT_WITHOUT_DIGEST, &[]);
        let len = bytes.len();
        for (at, value) in flips { bytes[at % len] ^= value; }
        bytes.truncate(if cut < len { cut } else { len });
        if let Ok(bank) = from_bytes(&bytes, "abc", 2) {
            prop_assert!(bank.rows() == 2);
            bank.classify(ndarray::arr1(&[1.0, 0.0]).view());
        }
    }
}

#[test]
fn the_shipped_packs_are_sound_and_carry_their_region_s_rules() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let pack = Pack::parse(&read_bytes(&entry.unwrap().path()).unwrap()).unwrap();
        assert_eq!(pack.rules.is_none(), pack.region == RegionCode::WORLD);
    }
}
