//! Where a camera looks.

use std::sync::Arc;

use crate::event::Placement;
use crate::region::SignSize;
use crate::track::Lens;
use crate::units::BoxPx;

/// Cameras that look further aside see the signs of other roads.
const ASIDE_DEG: f32 = 45.0;

/// From where a camera looks, and through what.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Viewpoint {
    /// The camera's name, where there are several.
    pub camera: Option<Arc<str>>,
    /// Its lens.
    pub lens: Lens,
    /// Where its axis points, from the vehicle's to the right, in degrees.
    pub bearing_deg: f32,
}

impl Viewpoint {
    /// Signs seen far aside are for other roads: they are told, but set no limit.
    pub(super) fn advises(&self) -> bool {
        self.bearing_deg.abs() <= ASIDE_DEG
    }

    pub(super) fn place(
        &self,
        bbox: BoxPx,
        frame_px: (u32, u32),
        size: SignSize,
    ) -> Option<Placement> {
        let placed = (self.lens).place(bbox, frame_px, size.longer_side_m, size.deviation_share)?;
        let mut bearing_deg = placed.bearing_deg + self.bearing_deg;
        if bearing_deg.abs() > 180.0 {
            bearing_deg -= 360.0_f32.copysign(bearing_deg);
        }
        Some(Placement {
            bearing_deg,
            ..placed
        })
    }
}
