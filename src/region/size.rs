//! How large signs are by the rules of the region's road authority: what turns pixels into metres.

use crate::event::{ClassInfo, Family};
use crate::units::RegionCode;

/// A sign's true size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignSize {
    /// Longer side of its upright box, in metres.
    pub longer_side_m: f32,
    /// Standard deviation of the size, as a share of it: roads of each kind have sizes of their own.
    pub deviation_share: f32,
}

const fn size(longer_side_m: f32, deviation_share: f32) -> SignSize {
    SignSize {
        longer_side_m,
        deviation_share,
    }
}

/// Countries whose danger signs are squares on a corner, and whose limits are upright plates or larger
/// rings: MUTCD and its relatives.
const DIAMONDS: [&str; 7] = ["US", "CA", "MX", "AU", "NZ", "JP", "BR"];

/// The size a sign of this class has on ordinary roads of the region; of any sign without a class.
pub fn standard_size(region: RegionCode, class: Option<&ClassInfo>) -> SignSize {
    let Some(class) = class else {
        return size(0.75, 0.35);
    };
    let country = region.country();
    let plates = ["US", "CA"].contains(&country.as_str());
    let diamonds = DIAMONDS.contains(&country.as_str());
    match class.key.as_str() {
        // From 0.9 m, the small German board, to 1.6 with a long name.
        "town_sign" | "end_of_town" => return size(1.15, 0.2),
        // From 0.6 m on a slip road to 1.5 beside the carriageway.
        "motorway" | "end_of_motorway" | "expressway" | "end_of_expressway" => {
            return size(0.90, 0.3);
        }
        "residential_zone" | "end_of_residential_zone" => return size(0.80, 0.25),
        _ => {}
    }
    match class.family {
        // 24 by 30 inches; from 18 by 24 to 36 by 48.
        Family::SpeedLimit if plates => size(0.76, 0.25),
        // A ring of 600 mm; from 420 in towns to 840 on motorways.
        Family::SpeedLimit | Family::Prohibition | Family::Mandatory | Family::End => {
            size(0.60, 0.2)
        }
        // 30 inches on a corner.
        Family::Warning if diamonds => size(1.06, 0.2),
        // A triangle of 900 mm.
        Family::Warning => size(0.90, 0.2),
        Family::Priority if plates => size(0.80, 0.2),
        Family::Priority => size(0.88, 0.2),
        Family::Information | Family::OtherSign | Family::Background => size(0.70, 0.35),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_road_or_area_is_as_large_as_its_start() {
        let of = |key: &str, family| {
            let class = ClassInfo {
                key: key.to_owned(),
                national_code: None,
                family,
                value: None,
                unit: None,
                label_en: String::new(),
                label_local: String::new(),
            };
            standard_size(RegionCode::parse("DE").unwrap(), Some(&class))
        };
        for (start, end) in [
            ("town_sign", "end_of_town"),
            ("motorway", "end_of_motorway"),
            ("expressway", "end_of_expressway"),
            ("residential_zone", "end_of_residential_zone"),
        ] {
            assert_eq!(of(start, Family::Information), of(end, Family::End));
        }
        let board = of("town_sign", Family::Information);
        assert!(board.longer_side_m > of("end_of_restriction", Family::End).longer_side_m);
    }
}
