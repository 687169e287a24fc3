//! Promise: `tsedge adapt` writes a pack that is no worse on what the base knew, or none; `tsedge collect` keeps what
//! it is told to keep, in a form that `adapt` reads when it is labelled.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tsedge::region::Pack;
use tsedge::region::adapt::crops::{Crop, Sample};
use tsedge::region::adapt::{adapt, compare};

use crate::support::{drive, root, small_pack, tsedge, tsedge_ok};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Drawn crops in folders of classes; wrong labels where `mixed_up`.
fn crops(folder: &Path, style: &str, mixed_up: bool) -> std::path::PathBuf {
    let all = folder.join("all");
    if !all.exists() {
        tsedge_ok(["simulate", "--crops", text(&all), "--crops-each", "6"]);
    }
    let file = folder.join(format!("{style}-{mixed_up}.csv"));
    let mut lines = String::from("path,class\n");
    let base = Pack::parse(&std::fs::read(root().join("models/packs/DE.safetensors")).unwrap());
    let base = base.unwrap();
    let mut classes: Vec<String> = std::fs::read_dir(all.join(style))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|key| base.class(key).is_some())
        .collect();
    classes.sort();
    for (i, key) in classes.iter().enumerate() {
        let label = &classes[if mixed_up { (i + 1) % classes.len() } else { i }];
        for picture in std::fs::read_dir(all.join(style).join(key)).unwrap() {
            let picture = picture.unwrap().path();
            lines.push_str(&format!("{},{label}\n", picture.display()));
        }
    }
    std::fs::write(&file, lines).unwrap();
    file
}

#[test]
fn right_labels_give_a_pack_and_wrong_ones_none() {
    let folder = tempfile::tempdir().unwrap();
    let [out, page, figures] =
        ["DE.safetensors", "page.html", "figures.json"].map(|name| folder.path().join(name));
    let reference = crops(folder.path(), "FR", false);
    let adapt = |crops: &Path| {
        tsedge([
            "adapt",
            text(crops),
            "--base",
            "models/packs/DE.safetensors",
            "--margin",
            "0.083",
            "--reference",
            text(&reference),
            "--out",
            text(&out),
            "--report",
            text(&page),
            "--json",
            text(&figures),
        ])
    };
    let told = || -> Value { serde_json::from_slice(&std::fs::read(&figures).unwrap()).unwrap() };
    let made = adapt(&crops(folder.path(), "DE", true));
    let error = String::from_utf8_lossy(&made.stderr);
    assert_eq!(made.status.code(), Some(1), "{error}");
    assert!(
        error.contains("refused: worse on the reference crops") && !out.exists(),
        "{error}"
    );
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("Crops that look mislabelled") && html.contains("data:image/jpeg;base64,")
    );

    let why = told()["refused"].as_str().map(str::to_owned);
    assert!(error.contains(&why.unwrap()), "{error}");

    let made = adapt(&crops(folder.path(), "DE", false));
    let said = String::from_utf8_lossy(&made.stdout);
    assert_eq!(
        made.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let [left_out, reference_crops] = [0, 1].map(|i| told()["comparisons"][i].clone());
    assert!(
        told()["refused"].is_null() && left_out["what"].as_str().unwrap().starts_with("left out")
    );
    let count = |side: &str, of: &str| reference_crops[side][of].as_u64().unwrap();
    assert!(count("before", "crops") > 0 && count("before", "crops") == count("after", "crops"));
    assert!(count("after", "right") >= count("before", "right"));
    let pack = Pack::parse(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(pack.version, "1+adapted");
    let base = std::fs::read(root().join("models/packs/DE.safetensors")).unwrap();
    let base = Pack::parse(&base).unwrap();
    assert_eq!(pack.text, base.text, "the sentences' rows stay as they are");

    // An old set that gets worse refuses the pack, whatever the others say.
    let (old, mixed_up) = (text(&reference), crops(folder.path(), "DE", true));
    let several = tsedge([
        "adapt",
        text(&mixed_up),
        "--base",
        "models/packs/DE.safetensors",
        "--margin",
        "0.083",
        "--reference",
        old,
        "--reference",
        text(&crops(folder.path(), "CH", false)),
        "--out",
        text(&out),
    ]);
    let error = String::from_utf8_lossy(&several.stderr);
    assert_eq!(several.status.code(), Some(1), "{error}");
    assert!(
        error.contains("refused: worse on reference ") && error.contains("FR-false.csv"),
        "{error}"
    );

    let unknown = folder.path().join("unknown.csv");
    std::fs::write(
        &unknown,
        format!(
            "path,class\n{},no_dragons\n",
            text(&folder.path().join("all/DE/stop/000.png"))
        ),
    )
    .unwrap();
    let error = adapt(&unknown);
    let error = String::from_utf8_lossy(&error.stderr);
    assert!(
        error.contains("class `no_dragons` is not in the base pack"),
        "{error}"
    );
}

const CLASSES: usize = 12;

/// Five crops a class, around a look of the class's own where there is one; `draw` numbers the pictures.
fn five_a_class(looks: bool, draw: usize) -> Vec<Sample> {
    let number = |a: usize, b: usize, c: usize| -> f32 {
        let hash = Sha256::digest(format!("{a} {b} {c}"));
        f32::from(hash[0]) / 255.0 - 0.5
    };
    let sample = |class: usize, at: usize| {
        let of = |j: usize| {
            let noise = number(class + 1, draw * 100 + at + 1, j + 1);
            noise
                + if looks {
                    number(class + 1, 7, j + 1)
                } else {
                    0.0
                }
        };
        let row: Vec<f32> = (0..32).map(of).collect();
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        Sample {
            crop: Crop {
                key: format!("class_{class}"),
                track: format!("{draw}-{class}-{at}"),
                ..Crop::default()
            },
            embedding: row.iter().map(|v| v / length).collect(),
            side_px: 40.0,
            light: 120.0,
        }
    };
    (0..CLASSES)
        .flat_map(|class| (0..5).map(move |at| sample(class, at)))
        .collect()
}

#[test]
fn five_crops_a_class_are_enough_and_none_judges_itself() {
    let base = small_pack("DE", "1", CLASSES, 32);
    let made = adapt(&base, five_a_class(true, 0)).unwrap();
    let fresh = five_a_class(true, 1);
    let (before, after) = compare(&base, &made.pack, &fresh).unwrap();
    assert!(
        before.right < 15 && after.right > 45,
        "{before:?} {after:?}"
    );
    // Crops without a look of their class: only a crop that its own row judged would be right.
    let made = adapt(&base, five_a_class(false, 0)).unwrap();
    assert_eq!(
        (made.beta, made.rows, &made.pack.image),
        (1.0, 0, &base.image)
    );
    assert!(made.after.iter().filter(|v| v.right).count() < 15);
}

#[test]
fn doubtful_signs_of_a_drive_are_kept_and_read_back_as_labels() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("doubts");
    let drive = drive("test_de_fr");
    // The wrong country's pack, so that there is something to doubt.
    let video = folder.path().join("drive.mp4");
    std::fs::copy(&drive.video, &video).unwrap();
    let command = [
        "collect",
        text(&video),
        "--region",
        "US",
        "--into",
        text(&kept),
        "--max-mb",
        "1",
    ];
    tsedge_ok(command);
    let tasks = std::fs::read_to_string(kept.join("tasks.json")).unwrap();
    let mut tasks: Vec<Value> = serde_json::from_str(&tasks).unwrap();
    assert!(!tasks.is_empty());
    for task in &mut tasks {
        let file = task["data"]["file"].as_str().unwrap();
        assert!(kept.join("crops").join(file).is_file());
        task["annotations"] = serde_json::json!([{"was_cancelled": false,
            "result": [{"value": {"choices": ["stop"]}}]}]);
    }
    let export = kept.join("export.json");
    std::fs::write(&export, serde_json::to_string(&tasks).unwrap()).unwrap();
    let read = tsedge::region::adapt::crops::list(&export, None).unwrap();
    assert_eq!(read.len(), tasks.len());
    assert!(read.iter().all(|crop| crop.key == "stop"));
    tsedge_ok(command);
    let again = std::fs::read_to_string(kept.join("tasks.json")).unwrap();
    let again: Vec<Value> = serde_json::from_str(&again).unwrap();
    assert_eq!(
        again.len(),
        read.len(),
        "the same drive gives the same crops"
    );
}
