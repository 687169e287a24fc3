//! The sections that say where the car is: `[position]` and `[region]`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::position::{Live, PositionSource, gpsd};
use crate::region::{Areas, Borders, LocatePlan, RegionLocator};
use crate::units::RegionCode;

/// Countries whose subdivisions count as regions unless the file says otherwise: their rules differ.
const SUBDIVIDED: [&str; 2] = ["GB", "US"];

/// `[position]`: the receiver of `tsedge run`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PositionConfig {
    /// `none` (the default), `gpsd` or `nmea`.
    pub source: PositionKind,
    /// Host and port of gpsd; `127.0.0.1:2947` by default.
    pub gpsd: Option<String>,
    /// The receiver's serial line, for `nmea`, e.g. `/dev/ttyACM0`.
    pub device: Option<PathBuf>,
    /// Its speed in bits a second; 9600 by default.
    pub baud: Option<u32>,
}

/// Where live positions come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionKind {
    /// From nowhere: the region is fixed.
    #[default]
    None,
    /// From gpsd.
    Gpsd,
    /// From a receiver on a serial line.
    Nmea,
}

impl PositionConfig {
    /// Refuses what does not fit together.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let given = |key: &str, given: bool, kind: PositionKind| {
            if given && self.source != kind {
                bail!("position.{key} is set, but position.source is not `{key}`'s: remove one");
            }
            Ok(())
        };
        given("gpsd", self.gpsd.is_some(), PositionKind::Gpsd)?;
        given("device", self.device.is_some(), PositionKind::Nmea)?;
        given("baud", self.baud.is_some(), PositionKind::Nmea)?;
        if self.source == PositionKind::Nmea && self.device.is_none() {
            bail!("position.source is nmea: name its serial line with position.device");
        }
        if let Some(address) = &self.gpsd {
            let port = address
                .rsplit_once(':')
                .map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                bail!("position.gpsd is `{address}`, expected host:port such as 127.0.0.1:2947");
            }
        }
        Ok(())
    }

    /// The receiver, not yet opened; `None` when there is none.
    pub fn open(&self) -> Option<Box<dyn PositionSource>> {
        match (self.source, &self.device) {
            (PositionKind::Gpsd, _) => {
                let address = self.gpsd.as_deref().unwrap_or(gpsd::USUAL_ADDRESS);
                Some(Box::new(Live::gpsd(address)))
            }
            (PositionKind::Nmea, Some(device)) => {
                let baud = self.baud.unwrap_or(9600);
                Some(Box::new(Live::nmea(device, baud)))
            }
            (PositionKind::Nmea, None) | (PositionKind::None, _) => None,
        }
    }
}

/// `[region]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegionConfig {
    /// The region to read signs by; `WORLD` by default.
    pub fixed: Option<String>,
    /// A new region counts after so many fixes in a row inside it; 3 by default.
    pub fixes: Option<u32>,
    /// And so many metres from the first of them; 50 by default.
    pub inside_m: Option<f64>,
    /// Packs of regions so near are held ready, twice as far straight ahead; 5000 m by default.
    pub near_m: Option<f64>,
    /// Seconds without a fix until `no_position` is told; 5 by default.
    pub no_fix_after_s: Option<f64>,
    /// The region is stale after so many seconds without a fix; 60 by default.
    pub stale_after_s: Option<f64>,
    /// And when the car may have come so far; 1000 m by default.
    pub stale_after_m: Option<f64>,
    /// Fixes with a larger stated error do not count; 100 m by default.
    pub max_error_m: Option<f32>,
    /// GeoJSON polygons with a property `region` that override the borders.
    pub areas: Option<PathBuf>,
    /// Countries whose subdivisions (`US-CA`) count as regions; GB and US by default.
    pub subdivisions: Option<Vec<String>>,
}

impl RegionConfig {
    /// The region to start in.
    pub(super) fn start(&self) -> anyhow::Result<RegionCode> {
        let Some(text) = &self.fixed else {
            return Ok(RegionCode::WORLD);
        };
        RegionCode::parse(text).with_context(|| {
            format!("region `{text}` is not an ISO 3166 code such as DE or US, nor WORLD")
        })
    }

    /// When a region counts.
    pub(super) fn locate(&self) -> anyhow::Result<LocatePlan> {
        let usual = LocatePlan::default();
        let plan = LocatePlan {
            fixes: self.fixes.unwrap_or(usual.fixes),
            inside_m: self.inside_m.unwrap_or(usual.inside_m),
            near_m: self.near_m.unwrap_or(usual.near_m),
            no_fix_after_s: self.no_fix_after_s.unwrap_or(usual.no_fix_after_s),
            stale_after_s: self.stale_after_s.unwrap_or(usual.stale_after_s),
            stale_after_m: self.stale_after_m.unwrap_or(usual.stale_after_m),
            max_error_m: self.max_error_m.unwrap_or(usual.max_error_m),
        };
        let within = |key: &str, value: f64, least: f64, most: f64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            bail!("region.{key} is {value}, expected {least} to {most}")
        };
        within("fixes", f64::from(plan.fixes), 1.0, 100.0)?;
        within("inside_m", plan.inside_m, 0.0, 5_000.0)?;
        within("near_m", plan.near_m, 100.0, 100_000.0)?;
        within("no_fix_after_s", plan.no_fix_after_s, 1.0, 3_600.0)?;
        let least = plan.no_fix_after_s;
        within("stale_after_s", plan.stale_after_s, least, 86_400.0)?;
        within("stale_after_m", plan.stale_after_m, 0.0, 1e6)?;
        within("max_error_m", plan.max_error_m.into(), 1.0, 10_000.0)?;
        Ok(plan)
    }

    /// The countries whose subdivisions count.
    fn subdivided(&self) -> anyhow::Result<Vec<RegionCode>> {
        let usual = || SUBDIVIDED.map(str::to_owned).to_vec();
        let countries = self.subdivisions.clone().unwrap_or_else(usual);
        let country = |text: &String| {
            let code = RegionCode::parse(text).filter(|c| c.as_str().len() == 2);
            code.with_context(|| {
                format!("region.subdivisions: `{text}` is not a country such as US")
            })
        };
        countries.iter().map(country).collect()
    }

    /// The borders, with the areas of one's own.
    pub(super) fn borders(&self) -> anyhow::Result<BorderPlan> {
        Ok(BorderPlan {
            areas: (self.areas.as_deref().map(Areas::read))
                .transpose()?
                .unwrap_or_default(),
            subdivided: self.subdivided()?,
        })
    }
}

/// What makes up the borders.
#[derive(Debug, Clone)]
pub struct BorderPlan {
    /// Areas of one's own.
    pub areas: Areas,
    /// Countries whose subdivisions count.
    pub subdivided: Vec<RegionCode>,
}

impl BorderPlan {
    /// A locator within these borders.
    pub fn locator(&self, plan: LocatePlan) -> anyhow::Result<RegionLocator> {
        let borders = Borders::new(self.areas.clone(), self.subdivided.clone())?;
        Ok(RegionLocator::new(plan, borders))
    }
}
