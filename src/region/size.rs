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
