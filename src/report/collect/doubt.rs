//! Which signs are in doubt, and their best crop.

use std::collections::BTreeMap;

use image::RgbImage;

use crate::event::{Event, FrameView, Naming, SignEvent};
use crate::frame::Frame;
use crate::frame::resample::crop_rgb;
use crate::units::TrackId;

/// Larger crops are scaled down to this longer side.
const MAX_SIDE_PX: u32 = 256;
/// A crop is taken anew when the box has grown by this.
const GROWTH: f32 = 1.2;
/// Smaller signs cannot be labelled by anyone.
const MIN_SIDE_PX: f32 = 16.0;
/// A lead over the second class below this is low.
const LOW_MARGIN: f32 = 0.4;

/// A sign that has left, and was in doubt.
pub struct Doubtful {
    /// What it was taken for.
    pub sign: SignEvent,
    /// Its largest crop.
    pub crop: RgbImage,
    /// The frame of the crop.
    pub frame: u64,
    /// Why.
    pub reason: &'static str,
    /// How much, 0 to 1.
    pub doubt: f32,
}

/// Holds the largest crop of every track until the track ends.
pub struct Doubts {
    /// Share of its size by which a box is grown on each side: the encoder's.
    context: f32,
    tracks: BTreeMap<TrackId, Held>,
}

struct Held {
    crop: RgbImage,
    side_px: f32,
    frame: u64,
    confirmed: Vec<String>,
}

impl Doubts {
    /// For crops grown by `context`.
    pub fn new(context: f32) -> Self {
        Self {
            context,
            tracks: BTreeMap::new(),
        }
    }

    /// Takes a frame; `found` is given each sign that ended in doubt.
    pub fn frame(
        &mut self,
        frame: &Frame,
        view: &FrameView<'_>,
        mut found: impl FnMut(Doubtful) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for event in view.events {
            match event {
                Event::SignLost(sign) => {
                    if let Some(doubtful) = self.end(sign) {
                        found(doubtful)?;
                    }
                }
                Event::SignConfirmed(sign) => {
                    if let (Some(held), Some(class)) =
                        (self.tracks.get_mut(&sign.track), sign.naming.class())
                    {
                        held.confirmed.push(class.key.clone());
                    }
                }
                _ => {}
            }
        }
        for track in view.tracks.iter().filter(|t| t.detected) {
            let side_px = track.bbox.longer_side();
            let before = self.tracks.get(&track.track);
            let least = before.map_or(MIN_SIDE_PX, |held| held.side_px * GROWTH);
            if side_px < least {
                continue;
            }
            let grown = track.bbox.grown(self.context);
            let side = (grown.longer_side().ceil() as u32).clamp(1, MAX_SIDE_PX);
            let bbox = grown.clipped(frame.width_px(), frame.height_px());
            let confirmed = match (self.tracks.remove(&track.track), track.naming.class()) {
                (Some(held), _) => held.confirmed,
                (None, Some(class)) => vec![class.key.clone()],
                (None, None) => Vec::new(),
            };
            let held = Held {
                crop: crop_rgb(frame, bbox, side),
                side_px,
                frame: frame.index,
                confirmed,
            };
            self.tracks.insert(track.track, held);
        }
        Ok(())
    }

    fn end(&mut self, sign: &SignEvent) -> Option<Doubtful> {
        let held = self.tracks.remove(&sign.track)?;
        let (reason, doubt) = doubt(sign, &held.confirmed)?;
        Some(Doubtful {
            sign: sign.clone(),
            crop: held.crop,
            frame: held.frame,
            reason,
            doubt,
        })
    }
}

/// Why a track's naming is in doubt, and how much, 0 to 1; `None` when it is not.
fn doubt(sign: &SignEvent, confirmed: &[String]) -> Option<(&'static str, f32)> {
    let probability = |i: usize| sign.top.get(i).map_or(0.0, |c| c.probability);
    let margin = (probability(0) - probability(1)).clamp(0.0, 1.0);
    let mut confirmed = confirmed.to_vec();
    confirmed.dedup();
    match sign.naming {
        _ if confirmed.len() > 1 => Some(("contradiction", 1.0)),
        Naming::UnknownSign => Some(("unknown_sign", 1.0 - 0.5 * margin)),
        Naming::Undecided => Some(("undecided", 0.9 - 0.5 * margin)),
        Naming::Sign(_) if margin < LOW_MARGIN => Some(("low_margin", 0.8 - margin)),
        _ => None,
    }
}
