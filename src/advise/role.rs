//! What a sign means for the speed limit, from the key of its class.

use crate::event::{ClassInfo, Family};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// A maximum speed.
    Limit(f32),
    /// A zone with a maximum speed begins.
    Zone(f32),
    /// A zone ends.
    EndOfZone,
    /// A posted limit ends.
    EndOfLimit,
    /// A built-up area begins.
    Town,
    /// A built-up area ends.
    EndOfTown,
    /// A road for fast motor traffic begins.
    Expressway,
    /// A motorway begins.
    Motorway,
    /// A motorway or expressway ends.
    EndOfMotorway,
    /// A residential zone begins.
    Residential,
    /// A residential zone ends.
    EndOfResidential,
    /// It stands at a junction.
    Junction,
    /// Nothing.
    Other,
}

impl Role {
    /// Of a class.
    pub fn of(class: &ClassInfo) -> Self {
        if class.family == Family::SpeedLimit {
            return match class.value {
                Some(value) if value > 0.0 => Self::Limit(value),
                _ => Self::Other,
            };
        }
        let key = class.key.as_str();
        if let Some(number) = key.strip_prefix("zone_") {
            return number.parse().map_or(Self::Other, Self::Zone);
        }
        match key {
            "end_of_restriction" | "end_of_all_restrictions" => Self::EndOfLimit,
            "town_sign" => Self::Town,
            "end_of_town" => Self::EndOfTown,
            "expressway" => Self::Expressway,
            "motorway" => Self::Motorway,
            "end_of_motorway" | "end_of_expressway" => Self::EndOfMotorway,
            "residential_zone" => Self::Residential,
            "end_of_residential_zone" => Self::EndOfResidential,
            "stop" | "yield" | "roundabout" => Self::Junction,
            _ if key.starts_with("end_of_speed_limit") => Self::EndOfLimit,
            _ if key.starts_with("end_zone_") => Self::EndOfZone,
            _ => Self::Other,
        }
    }
}
