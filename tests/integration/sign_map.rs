//! Promise: a replay puts each sign on the map where it stands, within what it says of its own error.

use serde_json::Value;
use tsedge::position::distance_m;

use crate::support::{drive, tsedge_ok};

#[test]
fn signs_of_a_drive_are_put_where_they_stand() {
    let drive = drive("test_de_fr");
    let scratch = tempfile::tempdir().unwrap();
    let (config, map) = (
        scratch.path().join("lens.toml"),
        scratch.path().join("signs.geojson"),
    );
    std::fs::write(&config, "[lens]\nfield_of_view_deg = 36\n").unwrap();
    tsedge_ok([
        "replay".as_ref(),
        drive.video.as_os_str(),
        "--quiet".as_ref(),
        "--gps".as_ref(),
        drive.gpx.as_os_str(),
        "--config".as_ref(),
        config.as_os_str(),
        "--geojson".as_ref(),
        map.as_os_str(),
    ]);
    let read = |path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let (map, truth) = (read(map), read(drive.truth));
    assert_eq!(map["type"], "FeatureCollection");
    let stand = |sign: &Value| {
        let degrees = |key: &str| sign[key].as_f64().unwrap();
        (degrees("latitude_deg"), degrees("longitude_deg"))
    };
    let features = map["features"].as_array().unwrap();
    assert!(features.len() >= 3, "{map}");
    for feature in features {
        let about = &feature["properties"];
        let point = &feature["geometry"]["coordinates"];
        let place = (point[1].as_f64().unwrap(), point[0].as_f64().unwrap());
        let off_m = (truth["signs"].as_array().unwrap().iter())
            .filter(|sign| sign["class"] == about["class"])
            .map(|sign| distance_m(place, stand(sign)))
            .min_by(f64::total_cmp)
            .unwrap();
        let deviation_m = about["deviation_m"].as_f64().unwrap();
        println!(
            "{} {off_m:.1} m off, deviation {deviation_m} m",
            about["class"]
        );
        assert!(off_m < 2.0 * deviation_m, "{about}: {off_m} m");
        assert!((0.0..360.0).contains(&about["seen_heading_deg"].as_f64().unwrap()));
    }
}
