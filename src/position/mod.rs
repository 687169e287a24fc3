//! Where the car is: readings over time, from a receiver or a recorded track.
//!
//! A [`Reading`] is a [`Fix`], or says that there is none. Its time is ours: media time in a replay, the
//! injected clock when live. What a receiver believes about date and time decides nothing, so a wrong
//! date does no harm.

pub mod gpsd;
pub mod gpx;
mod live;
mod media;
pub mod nmea;
mod place;
pub mod track;

pub use live::{Live, PositionSource, Told};
pub use place::{METRES_PER_DEGREE, distance_m, heading_deg, moved};

use crate::units::Timestamp;

/// A position at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fix {
    /// Media time in a replay.
    pub time: Timestamp,
    /// WGS 84 latitude.
    pub latitude_deg: f64,
    /// WGS 84 longitude.
    pub longitude_deg: f64,
    /// Speed over ground, in metres a second.
    pub speed_mps: Option<f32>,
    /// Direction of travel, clockwise from north.
    pub heading_deg: Option<f32>,
    /// Estimated error of the position, in metres.
    pub accuracy_m: Option<f32>,
}

impl Fix {
    /// A position of which nothing else is known; `None` when it lies on no globe.
    pub fn at(time: Timestamp, latitude_deg: f64, longitude_deg: f64) -> Option<Self> {
        let sound = (-90.0..=90.0).contains(&latitude_deg)
            && (-180.0..=180.0).contains(&longitude_deg)
            // Receivers without a fix have been seen to send zeros.
            && (latitude_deg, longitude_deg) != (0.0, 0.0);
        sound.then_some(Self {
            time,
            latitude_deg,
            longitude_deg,
            speed_mps: None,
            heading_deg: None,
            accuracy_m: None,
        })
    }

    /// Latitude and longitude.
    pub fn position_deg(&self) -> (f64, f64) {
        (self.latitude_deg, self.longitude_deg)
    }
}

/// What a position source says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// The car is here.
    Fix(Fix),
    /// The receiver works but has no position.
    NoFix(Timestamp),
}

impl Reading {
    /// When it was.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Fix(fix) => fix.time,
            Self::NoFix(time) => *time,
        }
    }

    /// The same at another time.
    pub fn timed(self, time: Timestamp) -> Self {
        match self {
            Self::Fix(fix) => Self::Fix(Fix { time, ..fix }),
            Self::NoFix(_) => Self::NoFix(time),
        }
    }
}
