//! The messages of `can/tsedge.dbc`, as `build.rs` generates them, and the numbers of sign classes.

/// When a message is sent and what protects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// AUTOSAR E2E data ID.
    pub e2e_data_id: u16,
    /// Milliseconds from one message to the next; 0 for those sent on events.
    pub cycle_ms: u16,
}

#[allow(missing_docs, dead_code, clippy::all, clippy::unwrap_used)]
pub(super) mod messages {
    include!(concat!(env!("OUT_DIR"), "/can_messages.rs"));
}

mod classes {
    include!(concat!(env!("OUT_DIR"), "/can_classes.rs"));
}

/// Number of a sign no pack names, and of classes the DBC does not know.
pub const UNKNOWN_SIGN: u16 = 0;

/// The number of a class in `SignClass`. Speed limits share one, with the value beside it.
pub fn class_number(key: &str) -> u16 {
    let key = if key.starts_with("speed_limit_") {
        "speed_limit"
    } else {
        key
    };
    let found = classes::CLASS_NUMBERS.binary_search_by_key(&key, |(k, _)| k);
    found.map_or(UNKNOWN_SIGN, |i| classes::CLASS_NUMBERS[i].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_the_prompts_has_a_number_of_its_own() {
        let prompts = include_str!("../../../models/prompts/WORLD.toml");
        let prompts: toml::Table = toml::from_str(prompts).unwrap();
        let mut numbers: Vec<u16> = (prompts["classes"].as_table().unwrap().keys())
            .filter(|key| !["background", "other_sign"].contains(&key.as_str()))
            .map(|key| {
                let number = class_number(key);
                assert_ne!(number, UNKNOWN_SIGN, "{key} is missing in can/tsedge.dbc");
                number
            })
            .collect();
        numbers.push(class_number("speed_limit_50"));
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn numbers_once_given_stay() {
        for (key, number) in [
            ("speed_limit_120", 1),
            ("stop", 2),
            ("steep_hill", 69),
            ("town_sign", 70),
            ("end_of_residential_zone", 76),
        ] {
            assert_eq!(class_number(key), number);
        }
        assert_eq!(class_number("no such class"), UNKNOWN_SIGN);
    }
}
