//! Promise: `tsedge region` builds the packs that training makes, and checks, compares, signs and installs them.

use std::path::Path;

use safetensors::tensor::SafeTensors;
use tsedge::model::TextModel;
use tsedge::region::Pack;

use crate::support::{root, runtime, tsedge, tsedge_ok};

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn read(path: &Path) -> Pack {
    Pack::parse(&std::fs::read(path).unwrap()).unwrap()
}

/// Rows of a class.
fn rows_of(pack: &Pack, key: &str) -> Vec<ndarray::Array1<f32>> {
    let class = pack.class(key);
    let rows = pack.text.iter().chain(pack.image.iter());
    let own = rows.filter(|(_, c)| Some(*c) == class);
    own.map(|(row, _)| row.to_owned()).collect()
}

/// The shipped packs were made before the text encoder's weights were rounded to int8.
const ROUNDED_WEIGHTS: f32 = 1e-2;

#[test]
fn packs_built_here_are_those_of_training() {
    let folder = tempfile::tempdir().unwrap();
    for region in ["DE", "US"] {
        let out = folder.path().join(format!("{region}.safetensors"));
        let prompts = format!("models/prompts/{region}.toml");
        tsedge_ok(["region", "build", &prompts, "--out", path(&out)]);
        let (ours, theirs) = (
            read(&out),
            read(&root().join(format!("models/packs/{region}.safetensors"))),
        );
        assert_eq!(ours.classes, theirs.classes);
        assert_eq!(ours.rules, theirs.rules);
        let mut farthest: f32 = 0.0;
        for class in &ours.classes {
            let (a, b) = (rows_of(&ours, &class.key), rows_of(&theirs, &class.key));
            assert_eq!(a.len(), b.len(), "{region} {}", class.key);
            for row in &a {
                let nearest = b.iter().max_by(|x, y| row.dot(*x).total_cmp(&row.dot(*y)));
                let off = (row - nearest.unwrap()).mapv(f32::abs);
                farthest = off.fold(farthest, |most, v| most.max(*v));
            }
        }
        println!("{region}: rows differ by at most {farthest}");
        assert!(farthest < ROUNDED_WEIGHTS, "{region}: {farthest}");
    }
}

#[test]
fn sentences_are_embedded_as_training_embeds_them() {
    let golden = std::fs::read(root().join("models/golden/text.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&golden).unwrap();
    let metadata = header.metadata().clone().unwrap();
    let sentences: Vec<String> = serde_json::from_str(&metadata["sentences"]).unwrap();
    let tensors = SafeTensors::deserialize(&golden).unwrap();
    let embeddings = tensors.tensor("embedding").unwrap();
    let mut model = TextModel::load(&runtime(), &root().join("models/text.toml")).unwrap();
    assert_eq!(
        model.sha256(),
        metadata["text_sha256"],
        "make models/golden/text.safetensors again"
    );
    let rows = embeddings.data().chunks_exact(4 * model.dim());
    assert_eq!(rows.len(), sentences.len());
    for (sentence, row) in sentences.iter().zip(rows) {
        let ours = model.embed(sentence).unwrap();
        let theirs = row.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        let off = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f32::max) < 1e-5, "{sentence}");
    }
}

#[test]
fn a_pack_is_signed_checked_and_installed() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    std::fs::create_dir_all(models.join("packs")).unwrap();
    for name in ["encoder.toml", "detector.toml"] {
        std::fs::copy(root().join("models").join(name), models.join(name)).unwrap();
    }
    let pack = folder.path().join("incoming.safetensors");
    std::fs::copy(root().join("models/packs/DE.safetensors"), &pack).unwrap();
    let name = folder.path().join("signer");
    let made = text(&tsedge_ok(["region", "keygen", path(&name)]));
    let key = made.split('"').nth(1).unwrap();
    let again = tsedge(["region", "keygen", path(&name)]);
    assert_eq!(again.status.code(), Some(1), "a key is never written over");

    let verify = ["region", "verify", path(&pack), "--public-key", key];
    let refused = tsedge(verify);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("is not signed, and signatures are required: REFUSED"));
    let secret = format!("{}.key", name.display());
    tsedge_ok(["region", "sign", path(&pack), "--key", &secret]);
    let sound = text(&tsedge_ok(verify));
    assert!(sound.contains("sound, DE version 1, signed by"), "{sound}");

    let install = [
        "region",
        "install",
        path(&pack),
        "--public-key",
        key,
        "--models",
        path(&models),
    ];
    tsedge_ok(install);
    tsedge_ok(install);
    let list = text(&tsedge_ok(["region", "list", "--models", path(&models)]));
    let line: Vec<&str> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(line[..2], ["DE", "1"]);
    assert_eq!(line[4..6], ["yes", "kept"]);

    let mut bytes = std::fs::read(&pack).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    assert_eq!(tsedge(install).status.code(), Some(1));
    let installed = models.join("packs/DE.safetensors");
    tsedge_ok(["region", "verify", path(&installed), "--public-key", key]);
}

#[test]
fn differences_are_named() {
    let of = |region: &str| format!("models/packs/{region}.safetensors");
    let same = tsedge_ok(["region", "diff", &of("DE"), &of("DE")]);
    assert_eq!(text(&same), "");
    let differ = tsedge(["region", "diff", &of("DE"), &of("US")]);
    assert_eq!(differ.status.code(), Some(1));
    let lines = text(&differ);
    for expected in [
        "region: DE -> US\n",
        "- zone_30\n",
        "~ yield: 205, \"Vorfahrt gewähren\" -> R1-2, \"Give way\"\n",
    ] {
        assert!(lines.contains(expected), "{expected} is not in {lines}");
    }
    let inspected = text(&tsedge_ok(["region", "inspect", &of("DE"), "--classes"]));
    assert!(
        inspected.contains("274-50       Zulässige Höchstgeschwindigkeit 50 km/h"),
        "{inspected}"
    );
}

#[test]
fn a_slip_in_a_prompt_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let world = folder.path().join("WORLD.toml");
    std::fs::copy(root().join("models/prompts/WORLD.toml"), &world).unwrap();
    let head =
        "format = \"tsedge-prompts/1\"\nregion = \"NO\"\nname = \"Norway\"\nlanguage = \"nb\"\n";
    for (text, expected) in [
        (
            "absent = [\"no_dragons\"]",
            "class `no_dragons` is not in WORLD.toml",
        ),
        (
            "speed_unit = \"kmh\"",
            "speed_unit is `kmh`, expected km/h or mph",
        ),
        ("abscent = []", "unknown key `abscent`"),
        (
            "[classes.stop]\nS = [\"a {colour} octagon\"]",
            "there is no look `colour`",
        ),
        (
            "[looks]\ntowns = \"white board\"",
            "look `towns` is not in WORLD.toml",
        ),
        ("[rules]\nsource = \"law\"", "rules: missing field"),
    ] {
        let file = folder.path().join("NO.toml");
        std::fs::write(&file, format!("{head}{text}\n")).unwrap();
        let output = tsedge(["region", "build", path(&file), "--out", path(&out)]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            error.contains("NO.toml") && error.contains(expected),
            "{text}: {error}"
        );
        assert!(!out.exists());
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_listing_quietly() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tsedge"))
        .current_dir(crate::support::root())
        .args(["region", "list"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), text(&output).as_str()),
        (Some(0), "")
    );
}
