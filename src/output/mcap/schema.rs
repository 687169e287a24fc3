//! What is said of each channel's messages.
//!
//! The published schema is one for all events and refers from part to part. Readers of MCAP ask for one a
//! channel, follow no references and want a type everywhere; so each gets its part, written out.

use serde_json::{Map, Value, json};

const PUBLISHED: &str = include_str!("../../../docs/schema/events.schema.json");
/// Rules between fields, which readers do not know.
const RULES: [&str; 5] = ["$ref", "if", "then", "else", "dependentRequired"];

/// The schemas of events, by the names of the published schema's parts.
pub fn of_events(parts: &[&str]) -> serde_json::Result<Vec<Value>> {
    let published: Value = serde_json::from_str(PUBLISHED)?;
    let parts_there = &published["$defs"];
    let written_out = parts.iter().map(|part| {
        let mut schema = write_out(&parts_there[part], parts_there);
        schema["title"] = format!("tsedge.{part}").into();
        schema
    });
    Ok(written_out.collect())
}

fn write_out(value: &Value, parts: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut out = Map::new();
            let part = (fields.get("$ref").and_then(Value::as_str))
                .and_then(|name| name.strip_prefix("#/$defs/"));
            if let Some(Value::Object(part)) = part.map(|name| write_out(&parts[name], parts)) {
                out.extend(part);
            }
            for (key, field) in fields.iter().filter(|(key, _)| !RULES.contains(&&***key)) {
                out.insert(key.clone(), write_out(field, parts));
            }
            if out.contains_key("enum") || out.contains_key("const") {
                out.entry("type").or_insert("string".into());
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(|item| write_out(item, parts)).collect(),
        plain => plain.clone(),
    }
}

/// `foxglove.LocationFix`, as published by Foxglove: viewers draw it on a map.
pub fn of_positions() -> Value {
    json!({
        "title": "foxglove.LocationFix",
        "description": "A navigation satellite fix for any Global Navigation Satellite System",
        "type": "object",
        "properties": {
            "timestamp": {
                "type": "object",
                "title": "time",
                "properties": {
                    "sec": { "type": "integer", "minimum": 0 },
                    "nsec": { "type": "integer", "minimum": 0, "maximum": 999_999_999 }
                }
            },
            "frame_id": { "type": "string" },
            "latitude": { "type": "number" },
            "longitude": { "type": "number" },
            "altitude": { "type": "number" },
            "position_covariance": {
                "type": "array", "items": { "type": "number" }, "minItems": 9, "maxItems": 9
            },
            "position_covariance_type": { "type": "integer" }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_refer_to_nothing_and_every_field_has_a_type() {
        fn look(value: &Value) {
            if let Value::Object(fields) = value {
                assert!(!fields.contains_key("$ref"));
                if let Some(Value::Object(properties)) = fields.get("properties") {
                    for (name, property) in properties {
                        assert!(property["type"].is_string(), "{name}: {property}");
                    }
                }
                fields.values().for_each(look);
            }
        }
        for schema in of_events(&super::super::PARTS).unwrap() {
            assert_eq!(schema["type"], "object");
            look(&schema);
        }
    }
}
