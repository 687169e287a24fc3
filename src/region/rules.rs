//! A region's rules of the road as far as speed-limit advice needs them: data that its pack carries.
//!
//! They come from the `[rules]` table of the region's prompt file; `docs/advice.md` explains the keys.
//! A pack without rules gives [`Rules::default`]: no limit that no sign names, and everything that
//! may end a limit ends it.

use serde::Deserialize;

use crate::event::{ClassInfo, Family};
use crate::units::SpeedUnit;

/// Which side of the road one drives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriveSide {
    /// Most countries.
    #[default]
    Right,
    /// Japan, Britain and others.
    Left,
}

/// What ends a posted limit, besides another limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// An end-of-limit or end-of-all-restrictions sign.
    EndSign,
    /// The sign of the start or end of a built-up area.
    TownSign,
    /// The next junction, unless the sign is repeated after it.
    Junction,
}

/// A region's rules; limits are in `unit`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Where the rules are written: law and paragraphs.
    pub source: String,
    /// The unit of every limit in the region.
    pub unit: Option<SpeedUnit>,
    /// Which side of the road one drives on.
    pub side: DriveSide,
    /// What the sign at the start of a built-up area brings.
    #[serde(default)]
    pub town_limit: Option<u16>,
    /// What the sign at the end of a built-up area brings.
    #[serde(default)]
    pub rural_limit: Option<u16>,
    /// What the sign of an expressway brings.
    #[serde(default)]
    pub expressway_limit: Option<u16>,
    /// What the sign of a motorway brings.
    #[serde(default)]
    pub motorway_limit: Option<u16>,
    /// What the sign of a residential zone brings.
    #[serde(default)]
    pub residential_limit: Option<u16>,
    /// What ends a posted limit. Zone limits end with the zone alone.
    pub ended_by: Vec<EndedBy>,
    /// A posted limit not repeated over this distance no longer counts, in metres.
    pub expires_after_m: f64,
    /// The same for a limit on the post of a danger sign, which holds for that danger only.
    #[serde(default)]
    pub warning_expires_after_m: Option<f64>,
    /// Least and greatest height over width of the speed-limit signs; other outlines are no limits.
    #[serde(default)]
    pub limit_height_over_width: Option<[f32; 2]>,
    /// A limit on the post of a school sign holds at school times only.
    #[serde(default)]
    pub school_sign_makes_conditional: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            source: String::new(),
            unit: None,
            side: DriveSide::Right,
            town_limit: None,
            rural_limit: None,
            expressway_limit: None,
            motorway_limit: None,
            residential_limit: None,
            ended_by: vec![EndedBy::EndSign, EndedBy::TownSign, EndedBy::Junction],
            expires_after_m: 3000.0,
            warning_expires_after_m: None,
            limit_height_over_width: None,
            school_sign_makes_conditional: true,
        }
    }
}

impl Rules {
    /// From the JSON in a pack's metadata, checked against the pack's classes.
    pub fn from_json(json: &str, classes: &[ClassInfo]) -> Result<Self, String> {
        let rules: Self = serde_json::from_str(json).map_err(|e| format!("rules: {e}"))?;
        rules.check(classes)?;
        Ok(rules)
    }

    /// Whether this ends a posted limit.
    pub fn ends(&self, what: EndedBy) -> bool {
        self.ended_by.contains(&what)
    }

    fn check(&self, classes: &[ClassInfo]) -> Result<(), String> {
        if self.source.trim().is_empty() {
            return Err("rules: source is empty; name the law they are from".to_owned());
        }
        let Some(unit) = self.unit else {
            return Err("rules: unit is missing, expected km/h or mph".to_owned());
        };
        for (key, limit) in [
            ("town_limit", self.town_limit),
            ("rural_limit", self.rural_limit),
            ("expressway_limit", self.expressway_limit),
            ("motorway_limit", self.motorway_limit),
            ("residential_limit", self.residential_limit),
        ] {
            if let Some(limit) = limit
                && !(5..=160).contains(&limit)
            {
                return Err(format!("rules: {key} is {limit}, expected 5 to 160"));
            }
        }
        for (key, distance) in [
            ("expires_after_m", Some(self.expires_after_m)),
            ("warning_expires_after_m", self.warning_expires_after_m),
        ] {
            if let Some(distance) = distance
                && !(100.0..=50_000.0).contains(&distance)
            {
                return Err(format!("rules: {key} is {distance}, expected 100 to 50000"));
            }
        }
        if let Some([low, high]) = self.limit_height_over_width
            && !(0.1 < low && low < high && high < 10.0)
        {
            return Err(format!(
                "rules: limit_height_over_width is [{low}, {high}], expected least and greatest"
            ));
        }
        for class in classes {
            if class.family == Family::SpeedLimit
                && let Some(other) = class.unit
                && other != unit
            {
                let key = &class.key;
                return Err(format!("class `{key}` is in {other}, the rules in {unit}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = r#"{"source":"StVO","unit":"km/h","side":"right","town_limit":50,"ended_by":["end_sign","town_sign"],"expires_after_m":8000}"#;

    fn limit(unit: SpeedUnit) -> ClassInfo {
        ClassInfo {
            key: "speed_limit_50".to_owned(),
            national_code: None,
            family: Family::SpeedLimit,
            value: Some(50.0),
            unit: Some(unit),
            label_en: String::new(),
            label_local: String::new(),
        }
    }

    #[test]
    fn sound_rules_are_read() {
        let rules = Rules::from_json(SOUND, &[limit(SpeedUnit::KilometresPerHour)]).unwrap();
        assert_eq!((rules.town_limit, rules.motorway_limit), (Some(50), None));
        assert!(rules.ends(EndedBy::TownSign) && !rules.ends(EndedBy::Junction));
    }

    #[test]
    fn each_fault_is_named() {
        for (from, to, expected) in [
            (r#""side""#, r#""sode""#, "unknown field `sode`"),
            (r#""StVO""#, r#""""#, "source is empty"),
            (r#""unit":"km/h","#, "", "unit is missing"),
            (r#""km/h""#, r#""kmh""#, "unknown variant `kmh`"),
            ("50", "500", "town_limit is 500, expected 5 to 160"),
            ("8000", "8", "expires_after_m is 8, expected 100 to 50000"),
            ("town_sign", "moon", "unknown variant `moon`"),
        ] {
            assert!(SOUND.contains(from));
            let error = Rules::from_json(&SOUND.replace(from, to), &[]).unwrap_err();
            assert!(
                error.starts_with("rules: ") && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn a_limit_in_another_unit_than_the_region_s_is_refused() {
        let error = Rules::from_json(SOUND, &[limit(SpeedUnit::MilesPerHour)]).unwrap_err();
        assert_eq!(error, "class `speed_limit_50` is in mph, the rules in km/h");
    }

    #[test]
    fn without_rules_no_limit_comes_from_anything_but_a_sign() {
        let rules = Rules::default();
        let limits = [
            rules.town_limit,
            rules.rural_limit,
            rules.expressway_limit,
            rules.motorway_limit,
            rules.residential_limit,
        ];
        assert_eq!(limits, [None; 5]);
    }
}
