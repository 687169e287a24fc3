//! From tracks to named signs: which crop is worth encoding, the embedding, its fusion over the track,
//! and when the evidence is enough.

mod encoder;
mod evidence;
mod votes;

pub use encoder::Encoder;
pub use evidence::{ConfirmPlan, Evidence, Look, Verdict};

use crate::track::Track;
use crate::units::BoxPx;

/// Which crops are encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncodePlan {
    /// Encoder calls a frame, at most.
    pub per_frame: usize,
    /// Boxes whose longer side is below are not worth a call.
    pub min_side_px: f32,
    /// A decided track is encoded again when its box has grown by this factor.
    pub growth: f32,
}

impl Default for EncodePlan {
    fn default() -> Self {
        Self {
            per_frame: 8,
            min_side_px: 12.0,
            growth: 1.15,
        }
    }
}

/// How much a track deserves the next encoder call; lower is sooner, `None` is not at all.
pub fn priority(
    plan: &EncodePlan,
    track: &Track,
    evidence: &Evidence,
    frame_px: (u32, u32),
) -> Option<u8> {
    let bbox = track.detection?.bbox;
    let side = bbox.longer_side();
    if !track.is_established() || side < plan.min_side_px {
        return None;
    }
    if evidence.encoded() == 0 {
        return Some(0);
    }
    // A sign that leaves the picture is cut: it can only spoil what is known.
    if touches_border(bbox, frame_px) {
        return None;
    }
    if !evidence.is_decided() {
        return Some(1);
    }
    (side >= evidence.largest_side_px() * plan.growth).then_some(2)
}

/// How much a crop may say: larger and surer ones more.
pub fn quality(side_px: f32, score: f32) -> f32 {
    (side_px / 32.0).powf(1.5).clamp(0.1, 3.0) * score
}

fn touches_border(bbox: BoxPx, (width, height): (u32, u32)) -> bool {
    bbox.x0 < 1.0 || bbox.y0 < 1.0 || bbox.x1 > width as f32 - 1.0 || bbox.y1 > height as f32 - 1.0
}
