//! Promise: two points worse are found on the crops of a test split, and left open on too few of them.

use serde_json::{Value, json};

use crate::evaluate::result;
use crate::support::{data, tsedge};

#[test]
#[ignore = "on recordings: make test-data"]
fn data_two_points_worse_are_found_on_many_crops_and_left_open_on_few() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = data().join("crops_manifest.csv");
    let rows = std::fs::read_to_string(&manifest).unwrap();
    let few = folder.path().join("few.csv");
    let mut german = rows
        .lines()
        .filter(|l| l.contains("/test/") && l.starts_with("DE/"))
        .step_by(16);
    let mut text = format!("{}\n", rows.lines().next().unwrap());
    for _ in 0..100 {
        let row = german.next().unwrap();
        text.push_str(&format!(
            "{}\n",
            row.replacen("DE/", &format!("{}/DE/", data().join("crops").display()), 1)
        ));
    }
    std::fs::write(&few, text).unwrap();
    for (crops, expected) in [(&manifest, "worse"), (&few, "within_noise")] {
        let (earlier, now) = (
            folder.path().join("earlier.json"),
            folder.path().join("now.json"),
        );
        let eval = |json: &std::path::Path, against: Option<&std::path::Path>| {
            let mut args = vec![
                "eval",
                "crops",
                crops.to_str().unwrap(),
                "--split",
                "test",
                "--region",
                "DE",
            ];
            args.extend(["--margin", "0.1", "--json", json.to_str().unwrap()]);
            args.extend(
                against
                    .iter()
                    .flat_map(|a| ["--against", a.to_str().unwrap()]),
            );
            tsedge(args)
        };
        assert_eq!(eval(&earlier, None).status.code(), Some(0));
        // As if the earlier pack had been right on two more of a hundred: the wrong ones first.
        let mut value: Value =
            serde_json::from_str(&std::fs::read_to_string(&earlier).unwrap()).unwrap();
        let pack = &mut value["packs"][0];
        let label = pack["results"]["label"].as_array().unwrap().clone();
        let best = pack["results"]["best"].as_array_mut().unwrap();
        let mut gained = 0;
        // What is right now and what was: crops that are right are made wrong, in the present one's place.
        for (i, best) in best.iter_mut().enumerate() {
            if i % 50 == 7 && *best == label[i] {
                *best = json!((best.as_u64().unwrap() + 1) % 10);
                gained += 1;
            }
        }
        assert!(gained * 50 > label.len() * 8 / 10);
        let regressed = folder.path().join("regressed.json");
        std::fs::write(&regressed, serde_json::to_string(&value).unwrap()).unwrap();
        // From the regressed one to the present: two points better; the other way round is `worse`.
        let code = eval(&now, Some(&regressed)).status.code();
        assert_eq!(code, Some(0));
        let value = result(&now, "crops");
        let changes = value["against"]["changes"].as_array().unwrap();
        let top = changes.iter().find(|c| c["figure"] == "top_one").unwrap();
        let expected = if expected == "worse" {
            "better"
        } else {
            expected
        };
        assert_eq!(top["verdict"], expected, "{top}");
        assert_eq!(top["paired"], true);
    }
}
