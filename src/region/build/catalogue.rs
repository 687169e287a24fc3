//! Prompt files (`models/prompts/*.toml`): which classes a region has, and the sentences for them.
//!
//! WORLD.toml defines every class; a region's file takes classes away (`absent`) or lists the ones it has
//! (`present`), replaces looks, and overrides sentences, national codes and labels class by class.
//! `training/tsedge_training/catalogue.py` reads the same files the same way.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use toml::{Table, Value};

use crate::event::{ClassInfo, Family};
use crate::region::rules::Rules;
use crate::units::{RegionCode, SpeedUnit};

const FORMAT: &str = "tsedge-prompts/1";

/// Keys a prompt file may have; anything else is a slip.
const KEYS: [&str; 12] = [
    "format",
    "region",
    "name",
    "language",
    "speed_unit",
    "speed_limits",
    "absent",
    "present",
    "looks",
    "speed_limit",
    "classes",
    "rules",
];

/// One class as a region shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct SignClass {
    /// As it stands in the pack.
    pub info: ClassInfo,
    /// What it looks like and means.
    pub sentences: Vec<String>,
}

/// What a prompt file says, joined with the world's.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Its code.
    pub code: RegionCode,
    /// Speed limits first, then in the order of WORLD.toml.
    pub classes: Vec<SignClass>,
    /// The rules of the road, as in the file.
    pub rules: Option<serde_json::Value>,
}

impl Region {
    /// Reads a region's file; `world` is the path of WORLD.toml. For WORLD itself, the sentences of all
    /// other files of its folder are added.
    pub fn read(file: &Path, world: &Path) -> anyhow::Result<Self> {
        let base = read_table(world)?;
        let at = |e: anyhow::Error| e.context(file.display().to_string());
        if file != world {
            let table = read_table(file)?;
            return region(&base, &table).map_err(at);
        }
        let mut merged = region(&base, &base).map_err(at)?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(world.parent().unwrap_or(Path::new(".")))? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "toml") && path != world {
                files.push(path);
            }
        }
        files.sort();
        for path in files {
            let other = region(&base, &read_table(&path)?);
            let other = other.with_context(|| path.display().to_string())?;
            for class in &mut merged.classes {
                let same = (other.classes.iter()).find(|o| o.info.key == class.info.key);
                for sentence in same.into_iter().flat_map(|o| &o.sentences) {
                    if !class.sentences.contains(sentence) {
                        class.sentences.push(sentence.clone());
                    }
                }
            }
        }
        Ok(merged)
    }

    /// Every sentence with the index of its class, in the order rows have in a pack: by sentence.
    pub fn prompts(&self) -> Vec<(&str, u16)> {
        let mut prompts: Vec<(&str, u16)> = (self.classes.iter().zip(0_u16..))
            .flat_map(|(class, c)| class.sentences.iter().map(move |s| (s.as_str(), c)))
            .collect();
        prompts.sort_unstable();
        prompts
    }
}

fn read_table(path: &Path) -> anyhow::Result<Table> {
    let read = || {
        let table: Table = toml::from_str(&std::fs::read_to_string(path)?)?;
        let format = table
            .get("format")
            .and_then(Value::as_str)
            .unwrap_or("missing");
        ensure!(format == FORMAT, "format is {format}, expected {FORMAT}");
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            bail!("unknown key `{key}`, expected one of {}", KEYS.join(", "));
        }
        Ok(table)
    };
    read().with_context(|| path.display().to_string())
}

fn region(base: &Table, table: &Table) -> anyhow::Result<Region> {
    let code = text(table, "region")?;
    let code =
        RegionCode::parse(code).with_context(|| format!("region `{code}` is not ISO 3166"))?;
    for key in ["name", "language"] {
        text(table, key)?;
    }
    let world = sub_table(base, "classes")?.context("WORLD.toml has no classes")?;
    let overrides = sub_table(table, "classes")?;
    let (absent, present) = (keys(table, "absent")?, keys(table, "present")?);
    let named = (absent.iter().flatten().copied()).chain(present.iter().flatten().copied());
    let overridden = overrides
        .into_iter()
        .flat_map(|o| o.keys().map(String::as_str));
    if let Some(unknown) = named
        .chain(overridden)
        .find(|key| !world.contains_key(*key))
    {
        bail!("class `{unknown}` is not in WORLD.toml, which defines every class");
    }
    let mut looks = strings(sub_table(base, "looks")?)?;
    for (name, look) in strings(sub_table(table, "looks")?)? {
        ensure!(
            looks.contains_key(&name),
            "look `{name}` is not in WORLD.toml, whose sentences use the looks"
        );
        looks.insert(name, look);
    }

    let mut classes = speed_limits(base, table, &looks)?;
    for (key, spec) in world {
        let spec = spec
            .as_table()
            .with_context(|| format!("class `{key}` is not a table"))?;
        let always = matches!(text(spec, "family")?, "background" | "other_sign");
        let listed = present.as_ref().is_none_or(|p| p.contains(&key.as_str()));
        let kept = listed && !absent.iter().flatten().any(|a| a == key);
        if always || kept {
            let own = overrides.and_then(|o| o.get(key)).and_then(Value::as_table);
            let joined = joined(spec, own);
            let label = text(spec, "label")?.to_owned();
            let class = class(key.clone(), &joined, label, &looks, None);
            classes.push(class.with_context(|| format!("class `{key}`"))?);
        }
    }
    let rules = match table.get("rules") {
        None => None,
        Some(rules) => {
            let json = serde_json::to_value(rules)?;
            let infos: Vec<ClassInfo> = classes.iter().map(|c| c.info.clone()).collect();
            let checked = Rules::from_json(&json.to_string(), &infos);
            checked.map_err(anyhow::Error::msg)?;
            Some(json)
        }
    };
    Ok(Region {
        code,
        classes,
        rules,
    })
}

/// One class a number, all from the same sentences.
fn speed_limits(
    base: &Table,
    table: &Table,
    looks: &BTreeMap<String, String>,
) -> anyhow::Result<Vec<SignClass>> {
    let world = sub_table(base, "speed_limit")?.context("WORLD.toml has no [speed_limit]")?;
    let mut spec = joined(world, sub_table(table, "speed_limit")?);
    spec.insert("family".to_owned(), "speed_limit".into());
    let unit = match table.get("speed_unit").and_then(Value::as_str) {
        None => None,
        Some("km/h") => Some(SpeedUnit::KilometresPerHour),
        Some("mph") => Some(SpeedUnit::MilesPerHour),
        Some(other) => bail!("speed_unit is `{other}`, expected km/h or mph"),
    };
    let values = table.get("speed_limits").or(world.get("values"));
    let values = values
        .and_then(Value::as_array)
        .context("speed_limits is not a list")?;
    let mut classes = Vec::new();
    for value in values {
        let value = value.as_integer().filter(|v| (1..1000).contains(v));
        let value = value.context("speed_limits holds something that is no whole number")?;
        let number = BTreeMap::from([("value".to_owned(), value.to_string())]);
        let mut fill: BTreeMap<String, String> = (looks.iter())
            .map(|(name, look)| (name.clone(), look.replace("{value}", &value.to_string())))
            .collect();
        fill.extend(number.clone());
        let mut own = spec.clone();
        for field in ["code", "label"] {
            if let Some(Value::String(text)) = own.get_mut(field) {
                *text = filled(text, &number)?;
            }
        }
        let label = filled(text(world, "label")?, &number)?;
        let key = format!("speed_limit_{value}");
        let mut class = class(key, &own, label, &fill, unit)?;
        class.info.value = Some(value as f32);
        classes.push(class);
    }
    Ok(classes)
}

fn class(
    key: String,
    spec: &Table,
    label_en: String,
    fill: &BTreeMap<String, String>,
    unit: Option<SpeedUnit>,
) -> anyhow::Result<SignClass> {
    let family = Value::from(text(spec, "family")?);
    let family: Family = family.try_into().context("family")?;
    let mut sentences = Vec::new();
    for field in ["S", "T"] {
        let list = spec.get(field).and_then(Value::as_array);
        for sentence in list.with_context(|| format!("{field} is not a list of sentences"))? {
            let sentence = sentence
                .as_str()
                .with_context(|| format!("{field} holds no text"))?;
            sentences.push(filled(sentence, fill)?);
        }
    }
    let optional = |field| spec.get(field).and_then(Value::as_str).map(str::to_owned);
    Ok(SignClass {
        info: ClassInfo {
            key,
            national_code: optional("code"),
            family,
            value: None,
            unit,
            label_local: optional("label").unwrap_or_else(|| label_en.clone()),
            label_en,
        },
        sentences,
    })
}

/// Puts looks into `{name}`; a name that no look has is an error.
fn filled(sentence: &str, fill: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .with_context(|| format!("`{sentence}`: {{ without }}"))?;
        let look = fill
            .get(name)
            .with_context(|| format!("`{sentence}`: there is no look `{name}`"))?;
        out.push_str(before);
        out.push_str(look);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn joined(base: &Table, own: Option<&Table>) -> Table {
    let mut joined = base.clone();
    joined.extend(own.cloned().into_iter().flatten());
    joined
}

fn text<'a>(table: &'a Table, key: &str) -> anyhow::Result<&'a str> {
    let value = table.get(key).and_then(Value::as_str);
    value.with_context(|| format!("`{key}` is missing or no text"))
}

fn sub_table<'a>(table: &'a Table, key: &str) -> anyhow::Result<Option<&'a Table>> {
    match table.get(key) {
        None => Ok(None),
        Some(value) => Ok(Some(
            value
                .as_table()
                .with_context(|| format!("`{key}` is no table"))?,
        )),
    }
}

fn keys<'a>(table: &'a Table, key: &str) -> anyhow::Result<Option<Vec<&'a str>>> {
    let Some(list) = table.get(key) else {
        return Ok(None);
    };
    let texts = list
        .as_array()
        .and_then(|list| list.iter().map(Value::as_str).collect());
    texts
        .map(Some)
        .with_context(|| format!("`{key}` is not a list of class keys"))
}

fn strings(table: Option<&Table>) -> anyhow::Result<BTreeMap<String, String>> {
    (table.into_iter().flatten())
        .map(|(name, value)| {
            let text = value
                .as_str()
                .with_context(|| format!("look `{name}` is no text"))?;
            Ok((name.clone(), text.to_owned()))
        })
        .collect()
}
