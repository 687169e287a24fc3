//! What differs between two packs, as lines for people.

use std::collections::BTreeSet;

use ndarray::ArrayView1;

use super::pack::Pack;

/// Rows of a class count as the same when each has a partner this close.
const SAME_COSINE: f32 = 0.999_99;

/// One line a difference; none when the packs say the same.
pub fn diff(old: &Pack, new: &Pack) -> Vec<String> {
    let mut lines = Vec::new();
    let mut changed = |what: &str, old: &dyn ToString, new: &dyn ToString| {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            lines.push(format!("{what}: {old} -> {new}"));
        }
    };
    changed("region", &old.region, &new.region);
    changed("version", &old.version, &new.version);
    changed("encoder", &old.encoder_sha256, &new.encoder_sha256);
    let json = |pack: &Pack| serde_json::to_value(&pack.calibration).unwrap_or_default();
    let (before, after) = (json(old), json(new));
    for key in [
        "scale",
        "min_probability",
        "min_cosine",
        "bias",
        "min_probability_of",
    ] {
        changed(&format!("calibration {key}"), &before[key], &after[key]);
    }
    let rules = |pack: &Pack| pack.rules.clone().unwrap_or_default();
    changed("rules", &rules(old), &rules(new));
    let keys: BTreeSet<&String> = old.notes.keys().chain(new.notes.keys()).collect();
    for key in keys {
        let of = |pack: &Pack| pack.notes.get(key).cloned().unwrap_or("none".to_owned());
        changed(key, &of(old), &of(new));
    }
    for class in &old.classes {
        match new.classes.iter().find(|c| c.key == class.key) {
            None => lines.push(format!("- {}", class.key)),
            Some(other) => {
                if other != class {
                    let (old, new) = (describe(class), describe(other));
                    lines.push(format!("~ {}: {old} -> {new}", class.key));
                }
                if let (false, Some(text)) = (
                    old.encoder_sha256 != new.encoder_sha256,
                    rows_differ(old, new, &class.key),
                ) {
                    lines.push(format!("~ {}: {text}", class.key));
                }
            }
        }
    }
    let added = new.classes.iter().filter(|c| old.class(&c.key).is_none());
    lines.extend(added.map(|class| format!("+ {}: {}", class.key, describe(class))));
    lines
}

fn describe(class: &crate::event::ClassInfo) -> String {
    let code = class.national_code.as_deref().unwrap_or("no code");
    let unit = class.unit.map(|u| format!(", {u}")).unwrap_or_default();
    format!("{code}, \"{}\"{unit}", class.label_local)
}

fn rows_differ(old: &Pack, new: &Pack, key: &str) -> Option<String> {
    let rows = |pack: &Pack| -> Vec<Vec<f32>> {
        let class = pack.class(key);
        let all = pack.text.iter().chain(pack.image.iter());
        all.filter(|(_, c)| Some(*c) == class)
            .map(|(row, _)| row.to_vec())
            .collect()
    };
    let (old, new) = (rows(old), rows(new));
    let nearest = |row: &Vec<f32>, others: &[Vec<f32>]| {
        let row = ArrayView1::from(row);
        let cosines = others.iter().map(|other| row.dot(&ArrayView1::from(other)));
        cosines.fold(-1.0, f32::max)
    };
    let least = |rows: &[Vec<f32>], others: &[Vec<f32>]| {
        rows.iter()
            .map(|row| nearest(row, others))
            .fold(1.0, f32::min)
    };
    let (forth, back) = (least(&old, &new), least(&new, &old));
    if old.len() == new.len() && forth.min(back) > SAME_COSINE {
        return None;
    }
    let (a, b) = (old.len(), new.len());
    Some(format!(
        "{a} -> {b} rows, the farthest at cosine {:.4} of the others",
        forth.min(back)
    ))
}
