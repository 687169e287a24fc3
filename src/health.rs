//! How well the unit can see and tell: one state, and the reasons for it.
//!
//! A reason stands as long as its cause does; every change is an [`Event::Health`](crate::event::Event)
//! on every output. States follow from reasons (DESIGN: INIT, NORMAL, DEGRADED, FAULT).

use std::fmt;

use serde::{Serialize, Serializer};

/// What the vehicle may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// No frame was recognised yet.
    #[default]
    Init,
    /// Everything works.
    Normal,
    /// Something is missing; the reasons say what.
    Degraded,
    /// Nothing can be recognised until the unit is restarted or repaired.
    Fault,
}

/// Why the unit is not at its best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The camera is gone or cannot be opened.
    NoCamera,
    /// Frames come late or not at all.
    StaleFrames,
    /// The image is too dark to read signs.
    DarkView,
    /// The image is blurred.
    BlurredView,
    /// Something covers the lens.
    BlockedView,
    /// The camera repeats one image.
    FrozenView,
    /// Work was shed to keep up.
    Overload,
    /// There is no position.
    NoPosition,
    /// The region was kept without a position for too long.
    RegionStale,
    /// The region has no pack of its own: another one is used.
    FallbackPack,
    /// A pack was refused; the last good one is in use.
    PackRefused,
    /// An output does not take what it is told.
    OutputDown,
    /// What the unit sees has left the band that it was judged by.
    EvaluateAgain,
    /// Pictures come damaged.
    DamagedFrames,
}

impl Reason {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 14] = [
        Self::NoCamera,
        Self::StaleFrames,
        Self::DarkView,
        Self::BlurredView,
        Self::BlockedView,
        Self::FrozenView,
        Self::Overload,
        Self::NoPosition,
        Self::RegionStale,
        Self::FallbackPack,
        Self::PackRefused,
        Self::OutputDown,
        Self::EvaluateAgain,
        Self::DamagedFrames,
    ];

    /// Those that a camera gives.
    pub const OF_CAMERAS: [Self; 7] = [
        Self::NoCamera,
        Self::StaleFrames,
        Self::DarkView,
        Self::BlurredView,
        Self::BlockedView,
        Self::FrozenView,
        Self::DamagedFrames,
    ];

    /// As it stands in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCamera => "no_camera",
            Self::StaleFrames => "stale_frames",
            Self::DarkView => "dark_view",
            Self::BlurredView => "blurred_view",
            Self::BlockedView => "blocked_view",
            Self::FrozenView => "frozen_view",
            Self::Overload => "overload",
            Self::NoPosition => "no_position",
            Self::RegionStale => "region_stale",
            Self::FallbackPack => "fallback_pack",
            Self::PackRefused => "pack_refused",
            Self::OutputDown => "output_down",
            Self::EvaluateAgain => "evaluate_again",
            Self::DamagedFrames => "damaged_frames",
        }
    }
}

/// A set of reasons; bit n is `Reason::ALL[n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reasons(u16);

impl Reasons {
    /// Nothing is wrong.
    pub const NONE: Self = Self(0);

    /// The bits, as they go out on CAN.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether `reason` stands.
    pub const fn has(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }

    /// Nothing stands.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds or removes a reason; true when that changed the set.
    pub fn set(&mut self, reason: Reason, stands: bool) -> bool {
        let before = self.0;
        if stands {
            self.0 |= 1 << reason as u8;
        } else {
            self.0 &= !(1 << reason as u8);
        }
        self.0 != before
    }

    /// The reasons that stand, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |r| self.has(*r))
    }
}

impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(reasons: I) -> Self {
        let mut set = Self::NONE;
        for reason in reasons {
            set.set(reason, true);
        }
        set
    }
}

impl Serialize for Reasons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Reason::name))
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, reason) in self.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, reason.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_tells_changes() {
        let mut set = Reasons::NONE;
        for (bit, reason) in Reason::ALL.into_iter().enumerate() {
            assert!(set.set(reason, true) && !set.set(reason, true));
            assert_eq!(set.bits(), (1 << (bit + 1)) - 1);
        }
        assert!(set.set(Reason::Overload, false) && !set.has(Reason::Overload));
        assert_eq!(set.iter().count(), Reason::ALL.len() - 1);
    }
}
