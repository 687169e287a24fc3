//! From a detector's raw maps to boxes.

use super::{Detection, Detections};
use crate::units::BoxPx;

/// More boxes than this in a frame are not signs.
pub const MAX_DETECTIONS: usize = 64;

/// The best so many cells go into suppression.
pub(super) const MAX_CANDIDATES: usize = 512;

/// One output map: `[5, rows, columns]` of dx, dy, log w, log h, score logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) stride_px: usize,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Level {
    /// Adds the cells whose score passes `threshold`; boxes in input pixels.
    pub(super) fn candidates(&self, map: &[f32], threshold: f32, out: &mut Vec<Detection>) {
        let cells = self.columns * self.rows;
        let stride = self.stride_px as f32;
        // Scores are compared as logits: no exponential for the thousands of empty cells.
        let least = (threshold / (1.0 - threshold)).ln();
        let scores = &map[4 * cells..5 * cells];
        for (cell, logit) in scores.iter().enumerate() {
            if *logit <= least || out.len() == MAX_CANDIDATES {
                continue;
            }
            let value = |channel: usize| map[channel * cells + cell];
            let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
            let size = |log: f32| log.min(8.0).exp() * stride;
            let bbox = BoxPx::from_centre(
                (value(0) + column) * stride,
                (value(1) + row) * stride,
                size(value(2)),
                size(value(3)),
            );
            if bbox.is_usable() {
                let score = 1.0 / (1.0 + (-logit).exp());
                out.push(Detection { bbox, score });
            }
        }
    }
}

/// A box with so much of itself inside a better one, or the other way round, is the same sign again.
const MAX_INSIDE: f32 = 0.8;

fn same_sign(a: &BoxPx, b: &BoxPx, max_iou: f32) -> bool {
    a.iou(b) > max_iou || a.intersection(b) > MAX_INSIDE * a.area().min(b.area())
}

/// Greedy non-maximum suppression: best first; boxes that overlap by more than `max_iou`, or lie in
/// one another, are dropped.
pub(super) fn suppress(candidates: &mut [Detection], max_iou: f32, out: &mut Detections) {
    out.clear();
    // A total order with the position as tie-break, so that equal scores never swap between runs.
    candidates.sort_unstable_by(|a, b| {
        let place = |d: &Detection| (d.bbox.x0, d.bbox.y0);
        (b.score.total_cmp(&a.score))
            .then(place(a).0.total_cmp(&place(b).0))
            .then(place(a).1.total_cmp(&place(b).1))
    });
    for candidate in candidates.iter() {
        if !out
            .iter()
            .any(|kept| same_sign(&kept.bbox, &candidate.bbox, max_iou))
            && out.push(*candidate).is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cell_decodes_as_the_card_says() {
        let level = Level {
            stride_px: 8,
            columns: 4,
            rows: 3,
        };
        let mut map = vec![0.0; 5 * 12];
        map[4 * 12..].fill(-9.0);
        let cell = 6; // column 2, row 1
        for (channel, value) in [0.5, 0.25, 1.0, 0.0, 2.0].into_iter().enumerate() {
            map[channel * 12 + cell] = value;
        }
        let mut found = Vec::new();
        level.candidates(&map, 0.5, &mut found);
        assert_eq!(found.len(), 1);
        let (cx, cy) = found[0].bbox.centre();
        assert!((cx - 20.0).abs() < 1e-4 && (cy - 10.0).abs() < 1e-4);
        assert!((found[0].bbox.width() - 8.0 * 1_f32.exp()).abs() < 1e-3);
        assert!((found[0].bbox.height() - 8.0).abs() < 1e-4);
        assert!((found[0].score - 0.880_797).abs() < 1e-5);
    }

    #[test]
    fn hostile_maps_give_only_usable_boxes() {
        let level = Level {
            stride_px: 8,
            columns: 2,
            rows: 2,
        };
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
            let mut found = Vec::new();
            level.candidates(&[bad; 20], 0.3, &mut found);
            assert!(
                found
                    .iter()
                    .all(|d| d.bbox.is_usable() && d.score.is_finite())
            );
        }
    }

    proptest! {
        #[test]
        fn suppression_keeps_the_best_and_no_overlap(
            boxes in prop::collection::vec((0.0_f32..100.0, 0.0_f32..100.0, 2.0_f32..40.0, 0.0_f32..1.0), 0..80),
            max_iou in 0.1_f32..0.9,
        ) {
            let mut all: Vec<Detection> = boxes.iter()
                .map(|(x, y, s, score)| Detection { bbox: BoxPx::new(*x, *y, x + s, y + s), score: *score })
                .collect();
            let best = all.iter().map(|d| d.score).fold(f32::MIN, f32::max);
            let mut kept = Detections::new();
            suppress(&mut all, max_iou, &mut kept);
            prop_assert_eq!(kept.is_empty(), all.is_empty());
            if let Some(first) = kept.first() { prop_assert_eq!(first.score, best); }
            for (i, a) in kept.iter().enumerate() {
                for b in &kept[..i] { prop_assert!(!same_sign(&a.bbox, &b.bbox, max_iou)); }
            }
            if kept.len() < MAX_DETECTIONS {
                for d in &all { prop_assert!(kept.iter().any(|k| k == d || same_sign(&k.bbox, &d.bbox, max_iou))); }
            }
        }
    }
}
