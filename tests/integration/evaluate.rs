//! Promises: `tsedge eval` finds what got worse and leaves chance alone; its figures of a drive are those of the truth; its
//! files follow their schemas; a unit that sees other things than before says so.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::running::{Running, details, kinds};
use crate::support::{drive, root, tsedge, tsedge_ok};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Reads a result and holds it against its schema.
pub fn result(path: &Path, kind: &str) -> Value {
    let schema = root().join(format!("docs/schema/eval-{kind}.schema.json"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let value: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let complaints: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
    assert_eq!(complaints, [""; 0], "{}", path.display());
    value
}

/// Drawn French crops of classes that both packs have.
fn crops(folder: &Path) -> PathBuf {
    tsedge_ok(["simulate", "--crops", text(folder), "--crops-each", "4"]);
    folder.join("FR")
}

#[test]
fn the_wrong_pack_is_found_to_be_worse_and_the_same_one_within_noise() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let crops = crops(&at("drawn"));
    let scenery = at("scenery");
    std::fs::create_dir(&scenery).unwrap();
    for i in 0..4_u8 {
        let grey = image::RgbImage::from_fn(40, 40, |x, y| {
            image::Rgb([(x * 3) as u8 ^ i, (y * 5) as u8, 90 + i])
        });
        grey.save(scenery.join(format!("{i}.png"))).unwrap();
    }
    let eval = |pack: &str, json: &Path, more: &[&str]| {
        let mut args = vec![
            "eval",
            "crops",
            text(&crops),
            "--pack",
            pack,
            "--margin",
            "0.083",
        ];
        args.extend(["--resamples", "200", "--json", text(json)]);
        args.extend(more);
        tsedge(args)
    };
    let (first, again, other) = (at("first.json"), at("again.json"), at("other.json"));
    let french = "models/packs/FR.safetensors";
    let made = eval(french, &first, &["--scenery", text(&scenery)]);
    assert_eq!(
        made.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let value = result(&first, "crops");
    let pack = &value["packs"][0];
    assert_eq!(
        (&pack["region"], &pack["scenery"]),
        (&"FR".into(), &4.into())
    );
    assert!(
        pack["figures"]["top_one"]["value"].as_f64().unwrap() > 0.9,
        "{pack}"
    );
    let crops_judged = pack["crops"].as_u64().unwrap();
    let in_ranges = |key: &str| -> u64 {
        let ranges = pack[key].as_array().unwrap().iter();
        ranges.map(|r| r["crops"].as_u64().unwrap()).sum()
    };
    assert_eq!(
        (in_ranges("by_size"), in_ranges("by_light")),
        (crops_judged, crops_judged)
    );

    let made = eval(french, &again, &["--against", text(&first)]);
    assert_eq!(made.status.code(), Some(0));
    let value = result(&again, "crops");
    let changes = value["against"]["changes"].as_array().unwrap();
    assert!(changes.len() >= 6);
    assert!(
        changes.iter().all(|c| c["verdict"] == "within_noise"),
        "{changes:?}"
    );

    // A pack whose rows of one class are gone, as a damaged update would have it.
    let mut worse =
        tsedge::region::Pack::parse(&std::fs::read(root().join(french)).unwrap()).unwrap();
    worse.calibration.min_probability = 0.999;
    let broken = at("FR.safetensors");
    std::fs::write(
        &broken,
        worse.to_bytes(tsedge::region::pack::RowType::F32).unwrap(),
    )
    .unwrap();
    let page = at("other.html");
    let made = eval(
        text(&broken),
        &other,
        &["--against", text(&first), "--html", text(&page)],
    );
    assert_eq!(made.status.code(), Some(1));
    let error = String::from_utf8_lossy(&made.stderr);
    assert!(
        error.contains("worse than in the earlier result"),
        "{error}"
    );
    let value = result(&other, "crops");
    let named = value["against"]["changes"].as_array().unwrap().iter();
    let named: Vec<_> = named.filter(|c| c["figure"] == "named_right").collect();
    assert_eq!(
        (&named[0]["verdict"], &named[0]["paired"]),
        (&"worse".into(), &true.into())
    );
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("class=worse>worse") && !html.contains("<script"));

    let made = eval(
        french,
        &again,
        &["--summary", "--against", text(&root().join("README.md"))],
    );
    assert_eq!(made.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&made.stderr).contains("README.md"));
}

#[test]
fn a_simulated_drive_is_measured_against_its_truth() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let drive = drive("test_de_fr");
    let (json, html) = (at("drive.json"), at("drive.html"));
    let files = [text(&drive.video), text(&drive.truth), text(&drive.gpx)];
    tsedge_ok([
        "eval",
        "drive",
        files[0],
        "--truth",
        files[1],
        "--gps",
        files[2],
        "--json",
        text(&json),
        "--html",
        text(&html),
    ]);
    let value = result(&json, "drive");
    let all = &value["signs"]["all"];
    let count = |key: &str| all[key].as_u64().unwrap();
    assert!(count("right") >= 2, "{all}");
    assert_eq!(
        count("right") + count("wrong") + count("missed"),
        count("signs")
    );
    assert!(
        value["signs"]["to_confirmed"]["metres"]["median"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert!(
        std::fs::read_to_string(&html)
            .unwrap()
            .contains("per 100 km")
    );

    // The same from its events, by a map in place of the truth.
    let events = at("drive.jsonl");
    let pieces = r#"{"event":"speed_limit","time_s":1.0,"frame":10,"state":"set","value":50,"unit":"km/h","confidence":0.9,"region":"DE"}"#;
    std::fs::write(&events, format!("{pieces}\n")).unwrap();
    let gpx = std::fs::read_to_string(&drive.gpx).unwrap();
    let map = at("map.gpx");
    let named = gpx.replacen("<trk>", "<trk><name>50</name><type>urban</type>", 1);
    std::fs::write(&map, named).unwrap();
    tsedge_ok([
        "eval",
        "drive",
        text(&events),
        "--map",
        text(&map),
        "--gps",
        files[2],
        "--json",
        text(&json),
    ]);
    let limits = result(&json, "drive")["limits"].clone();
    let share = limits["roads"]["urban"]["share"].as_f64().unwrap();
    assert!(share > 0.7 && share < 1.0, "{limits}");
    let refused = tsedge(["eval", "drive", files[0], "--truth", files[1]]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("needs --gps or --region"));
}

#[test]
fn a_sheet_is_made_of_measurements_and_a_result_of_this_very_pack() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let crops = crops(&at("drawn"));
    let (figures, json, html) = (at("figures.json"), at("sheet.json"), at("sheet.html"));
    let crops = [
        "eval",
        "crops",
        text(&crops),
        "--region",
        "FR",
        "--margin",
        "0.083",
    ];
    tsedge_ok(
        crops
            .iter()
            .chain(&["--resamples", "100", "--json", text(&figures)]),
    );
    let sheet = |region: &str| {
        let args = [
            "eval",
            "sheet",
            "--region",
            region,
            "--crops",
            text(&figures),
            "--runs",
            "2",
        ];
        tsedge(
            args.iter()
                .chain(&["--json", text(&json), "--html", text(&html)]),
        )
    };
    let made = sheet("FR");
    assert_eq!(
        made.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let value = result(&json, "sheet");
    assert!(value["cost"]["detect"]["p50_ms"].as_f64().unwrap() > 0.0);
    assert!(value["cost"]["peak_memory_mib"].as_f64().unwrap() > 10.0);
    assert!(value["quality"]["crops"].as_u64().unwrap() > 50);
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("functional insufficiency") && page.contains("pictures_seen"));
    let refused = sheet("DE");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no result of this very pack"));
}

#[test]
fn a_unit_that_sees_other_things_than_before_says_evaluate_again_and_keeps_it() {
    let kept = tempfile::tempdir().unwrap();
    // What is usual here has never been seen.
    let reference = kept.path().join("usual.json");
    let learned = r#"{"count":1000,"mean":MEAN,"squares":1.0}"#;
    let watch = |mean: &str| {
        let learned = learned.replace("MEAN", mean);
        format!(
            r#"{{"reference":null,"learned":{learned},"recent":0,"rise":0,"fall":0,"left":false}}"#
        )
    };
    let (half, small) = (watch("0.5"), watch("2.0"));
    std::fs::write(
        &reference,
        format!(r#"{{"format":"tsedge-drift/1","regions":{{"DE":{{"pack_sha256":"","measures":{{"confidence":{half},"size":{small}}},"classes":{{}}}}}}}}"#),
    )
    .unwrap();
    let folder = kept.path().join("drift");
    let config = format!("[drift]\nfolder = {folder:?}\nreference = {reference:?}\n");
    let video = drive("test_de_fr").video;
    let more = ["--replay".as_ref(), video.as_os_str(), "--repeat".as_ref()];
    let running = Running::start(&[], &config, more);
    let told = |events: &[Value]| {
        let health = kinds(events, "health");
        health
            .iter()
            .any(|h| h["reasons"].to_string().contains("evaluate_again"))
    };
    running.wait_for(told);
    running.terminate();
    let (output, events) = running.end();
    assert_eq!(output.status.code(), Some(0));
    let words = details(&events).join("; ");
    assert!(words.contains("is usual: evaluate again"), "{words}");
    let state = folder.join("drift.json");
    let schema = std::fs::read_to_string(root().join("docs/schema/drift.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&serde_json::from_str(&schema).unwrap()).unwrap();
    let value: Value = serde_json::from_str(&std::fs::read_to_string(&state).unwrap()).unwrap();
    assert!(schema.is_valid(&value), "{value}");
    let said = tsedge_ok(["eval", "drift", text(&folder), "--classes"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("has left its band") && said.contains("speed_limit"),
        "{said}"
    );

    // After a restart it stands from the first word on, until the pack is another.
    let running = Running::start(&[], &config, ["--replay".as_ref(), video.as_os_str()]);
    running.wait_for(told);
    running.terminate();
    running.end();
}
