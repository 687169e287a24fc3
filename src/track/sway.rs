//! How far the whole picture is displaced by the shaking of the camera, told from all tracks together.
//!
//! Each pair of a track and a detection of its size near by proposes a displacement; the one that most
//! tracks agree with, and that is small, wins. Signs that stand over one another are told apart by that:
//! displaced by one sign's height, one of them finds nothing. How much of it is believed to be shaking,
//! rather than the tracks' own motion, depends on how much the picture has shaken lately: nothing in a
//! calm drive, almost all on a rough road.

use super::{Track, is_inside};
use crate::detect::Detection;
use crate::units::Timestamp;

/// So many tracks, the oldest, are asked; more would say the same.
const MAX_ASKED: usize = 8;
const MAX_WAYS: usize = 16;
const MAX_PROPOSALS: usize = 24;

/// A box is measured, and its motion known, with this deviation, as a share of its size.
const OWN_SHARE: f32 = 0.3;
/// What is nearer than this to where it was expected, in sizes, needs no explanation.
const TIGHT_SIZES: f32 = 0.35;
/// Sizes of a track and of its detection differ by no more than this factor.
const SAME_SIZE: f32 = 1.35;

/// A pothole moves the picture by so much of its width, or a sign by so many of its sizes, out of the blue.
const REACH_SHARE: f32 = 0.02;
const REACH_SIZES: f32 = 2.0;
/// On a rough road by no more than so many deviations.
const REACH_DEVIATIONS: f32 = 3.5;
/// A displacement as far as the reach counts for so much less than a track that agrees.
const FAR_COSTS: f32 = 0.5;

/// Shaking is remembered for about so long.
const MEMORY_S: f32 = 1.0;

/// The shaking of a camera.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sway {
    /// Where tracks are looked for, from where their motion takes them.
    pub(super) displaced: [f32; 2],
    /// How much of it is not their own motion.
    pub(super) shaken: [f32; 2],
    variance: f32,
    measured: Option<Timestamp>,
}

/// A track, and where it may have been displaced to: to the detections of its size near by.
struct Asked {
    size: f32,
    reach: f32,
    ways: heapless::Vec<[f32; 2], MAX_WAYS>,
}

impl Asked {
    /// The way that ends nearest to a displacement, and how far from it.
    fn nearest(&self, by: [f32; 2]) -> Option<([f32; 2], f32)> {
        (self.ways.iter())
            .map(|way| (*way, length([way[0] - by[0], way[1] - by[1]])))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

type AllAsked = heapless::Vec<Asked, MAX_ASKED>;

impl Sway {
    /// Deviation of the picture's displacement, in pixels.
    pub(super) fn deviation_px(&self) -> f32 {
        self.variance.sqrt()
    }

    /// Looks at the tracks, predicted to `time`, and at the frame's detections, sure or not.
    pub(super) fn measure(
        &mut self,
        time: Timestamp,
        frame_px: (u32, u32),
        tracks: &[Track],
        detections: &[Detection],
    ) {
        (self.displaced, self.shaken) = ([0.0; 2], [0.0; 2]);
        let asked = self.ask(frame_px, tracks, detections);
        let (mut best, mut most) = ([0.0; 2], agreement([0.0; 2], &asked, 1.0));
        if most.1 < asked.len() {
            let proposals = asked.iter().flat_map(|track| {
                let near = |way: &&[f32; 2]| length(**way) < track.reach;
                track
                    .ways
                    .iter()
                    .filter(near)
                    .map(|way| (*way, track.reach))
            });
            for (by, reach) in proposals.take(MAX_PROPOSALS) {
                let agreement = agreement(by, &asked, reach);
                if agreement.0 > most.0 {
                    (best, most) = (by, agreement);
                }
            }
        }
        self.settle(time, best, &asked);
    }

    fn ask(&self, frame_px: (u32, u32), tracks: &[Track], detections: &[Detection]) -> AllAsked {
        let sudden = (REACH_SHARE * frame_px.0 as f32).max(REACH_DEVIATIONS * self.deviation_px());
        // One that should have left the picture by now has left it.
        let known = (tracks.iter())
            .filter(|track| track.established && is_inside(track.motion.bbox(), frame_px));
        let mut asked: AllAsked = (known.clone().take(MAX_ASKED))
            .map(|track| {
                let size = track.motion.bbox().area().sqrt();
                let reach = sudden.max(REACH_SIZES * size);
                let ways = heapless::Vec::new();
                Asked { size, reach, ways }
            })
            .collect();
        // Far enough for the displacement that any of them may propose.
        let far = 1.5 * asked.iter().map(|track| track.reach).fold(0.0, f32::max);
        for detection in detections {
            let size = detection.bbox.area().sqrt();
            let (x, y) = detection.bbox.centre();
            for (asked, track) in asked.iter_mut().zip(known.clone()) {
                let expected = track.motion.bbox().centre();
                let way = [x - expected.0, y - expected.1];
                let same_size = (1.0 / SAME_SIZE..SAME_SIZE).contains(&(size / asked.size));
                if same_size && way[0].abs().max(way[1].abs()) < far {
                    // So many things of one size are no signs.
                    let _ = asked.ways.push(way);
                }
            }
        }
        asked
    }

    /// Takes the mean of what the tracks say that agree with a displacement.
    fn settle(&mut self, time: Timestamp, by: [f32; 2], asked: &[Asked]) {
        let (mut sum, mut weights) = ([0.0; 2], 0.0);
        for track in asked {
            if let Some((way, off)) = track.nearest(by)
                && off < 2.0 * TIGHT_SIZES * track.size
            {
                let weight = (OWN_SHARE * track.size).powi(-2);
                sum = [sum[0] + weight * way[0], sum[1] + weight * way[1]];
                weights += weight;
            }
        }
        if weights == 0.0 {
            return;
        }
        let mean = sum.map(|s| s / weights);
        let own = 1.0 / weights;
        let dt = (self.measured).map_or(0.0, |m| time.seconds_since(m).max(0.0) as f32);
        let excess = (length(mean).powi(2) - own).max(0.0);
        self.variance += (1.0 - (-dt / MEMORY_S).exp()) * (excess - self.variance);
        self.measured = Some(time);
        self.displaced = by;
        let share = self.variance / (self.variance + own);
        self.shaken = mean.map(|m| share * m);
    }
}

/// How well the tracks agree with a displacement, and how many do closely.
fn agreement(by: [f32; 2], asked: &[Asked], reach: f32) -> (f32, usize) {
    let mut sum = -FAR_COSTS * (length(by) / reach).powi(2);
    let mut close = 0;
    for track in asked {
        if let Some((_, off)) = track.nearest(by) {
            let tight = TIGHT_SIZES * track.size;
            sum += (-0.5 * (off / tight).powi(2)).exp();
            close += usize::from(off < tight);
        }
    }
    (sum, close)
}

fn length([x, y]: [f32; 2]) -> f32 {
    (x * x + y * y).sqrt()
}
