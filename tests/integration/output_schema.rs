//! Every JSON line follows the published schema, and the schema is strict.

use proptest::prelude::*;
use serde_json::{Value, json};
use tsedge::event::{Event, Naming};
use tsedge::output::Output;
use tsedge::output::jsonl::JsonLines;

use crate::output_events::{any_event, limit_60, one_of_each, sign};

fn validator() -> jsonschema::Validator {
    let schema = include_str!("../../docs/schema/events.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn line(event: &Event) -> String {
    let mut lines = JsonLines::new("test", Vec::new());
    lines.emit(event).unwrap();
    lines.finish().unwrap();
    String::from_utf8(lines.into_writer()).unwrap()
}

fn complaints(schema: &jsonschema::Validator, value: &Value) -> Vec<String> {
    schema
        .iter_errors(value)
        .map(|e| format!("{e} in {value}"))
        .collect()
}

#[test]
fn every_kind_follows_the_schema() {
    let schema = validator();
    for event in one_of_each() {
        let value = serde_json::from_str(&line(&event)).unwrap();
        assert_eq!(complaints(&schema, &value), [""; 0]);
    }
}

proptest! {
    #[test]
    fn any_event_follows_the_schema(event in any_event()) {
        thread_local!(static SCHEMA: jsonschema::Validator = validator());
        let text = line(&event);
        let framed = text.starts_with("{\"event\":\"") && text.ends_with("}\n");
        prop_assert!(framed, "{}", text);
        prop_assert_eq!(text.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(SCHEMA.with(|s| complaints(s, &value)), Vec::<String>::new());
    }
}

#[test]
fn the_schema_refuses_what_is_wrong() {
    let schema = validator();
    let good = line(&Event::SignConfirmed(sign(Naming::Sign(limit_60()))));
    let good: Value = serde_json::from_str(&good).unwrap();
    assert!(schema.is_valid(&good));
    let wrong = [
        ("event", json!("sign_guessed")),
        ("event", json!("summary")),
        ("time_s", json!("1.233")),
        ("frame", json!(-1)),
        ("frame", json!(1.5)),
        ("result", json!("maybe")),
        ("result", json!("undecided")),
        ("class", Value::Null),
        ("unit", json!("m/s")),
        ("region", json!("de")),
        ("probability", json!(1.01)),
        ("box_px", json!([1, 2, 3])),
        ("top", json!([{"class": "a"}])),
        ("latency_ms", json!(12.0)),
    ];
    for (key, value) in wrong {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!schema.is_valid(&bad), "accepted {key} = {}", bad[key]);
    }
    for key in good.as_object().unwrap().keys() {
        let optional = ["national_code", "value", "unit"].contains(&key.as_str());
        let mut short = good.clone();
        short.as_object_mut().unwrap().remove(key);
        assert_eq!(schema.is_valid(&short), optional, "without {key}");
    }
}

#[test]
fn the_bytes_of_a_line_are_fixed() {
    let text = line(&Event::SignConfirmed(sign(Naming::Sign(limit_60()))));
    assert_eq!(
        text,
        concat!(
            r#"{"event":"sign_confirmed","time_s":1.233,"frame":37,"track":4,"result":"sign","#,
            r#""class":"speed_limit_60","national_code":"274-60","label":"Speed limit 60","#,
            r#""label_local":"Zulässige Höchstgeschwindigkeit 60","value":60,"unit":"km/h","#,
            r#""region":"DE","probability":0.981,"box_px":[812,301,861,350],"distance_m":13.5,"#,
            r#""distance_deviation_m":4.4,"bearing_deg":10.0,"bearing_deviation_deg":2.4,"#,
            r#""observations":5,"first_seen_s":1.0,"top":[{"class":"speed_limit_60","probability":0.981}]}"#,
            "\n"
        )
    );
}

#[test]
fn a_number_that_json_cannot_hold_is_an_error_and_leaves_no_half_line() {
    let mut broken = sign(Naming::Undecided);
    broken.probability = f32::NAN;
    let mut lines = JsonLines::new("test", Vec::new());
    lines
        .emit(&Event::SignSeen(sign(Naming::Undecided)))
        .unwrap();
    let error = lines.emit(&Event::SignSeen(broken)).unwrap_err();
    assert!(error.to_string().contains("not finite"), "{error}");
    lines
        .emit(&Event::SignSeen(sign(Naming::Undecided)))
        .unwrap();
    lines.finish().unwrap();
    let text = String::from_utf8(lines.into_writer()).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(
        text.lines()
            .all(|l| serde_json::from_str::<Value>(l).is_ok())
    );
}
