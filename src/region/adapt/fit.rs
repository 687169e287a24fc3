//! Image prototypes beside the text rows, and the mixture between the two.
//!
//! A class with crops gets a few prototypes: its crops' mean, or the centres of a small k-means. Each is
//! drawn towards the nearest text row of its class, `normalise((1 - beta) · adapted + beta · zero_shot)`,
//! and joins the pack; the text rows themselves stay. Beta 1 adds nothing new: the pack as it was.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::crops::Sample;
use crate::region::pack::{Pack, Prototypes};

/// One prototype for so many crops, and at most [`MAX_CENTRES`].
const CROPS_A_CENTRE: usize = 25;
const MAX_CENTRES: usize = 4;
const ROUNDS: usize = 20;

/// Centres of a class's crops, and the text row each leans on.
#[derive(Debug, Clone)]
pub(super) struct Centre {
    pub class: u16,
    adapted: Array1<f32>,
    zero_shot: Option<Array1<f32>>,
}

impl Centre {
    /// The row at a beta; `None` where the two cancel out.
    pub fn row(&self, beta: f32) -> Option<Array1<f32>> {
        match &self.zero_shot {
            None => Some(self.adapted.clone()),
            Some(text) => unit(&self.adapted * (1.0 - beta) + text * beta),
        }
    }
}

/// The centres of all classes that have crops; samples are those to fit by.
pub(super) fn centres(base: &Pack, samples: &[&Sample]) -> Vec<Centre> {
    let mut centres = Vec::new();
    for (class, info) in (0_u16..).zip(&base.classes) {
        let own: Vec<ArrayView1<'_, f32>> = (samples.iter())
            .filter(|s| s.crop.key == info.key)
            .map(|s| ArrayView1::from(&s.embedding))
            .collect();
        if own.is_empty() {
            continue;
        }
        let count = own.len().div_ceil(CROPS_A_CENTRE).min(MAX_CENTRES);
        for adapted in k_means(&own, count) {
            let text = base.text.iter().filter(|(_, c)| *c == class);
            let near = text.max_by(|a, b| a.0.dot(&adapted).total_cmp(&b.0.dot(&adapted)));
            let zero_shot = near.map(|(row, _)| row.to_owned());
            centres.push(Centre {
                class,
                adapted,
                zero_shot,
            });
        }
    }
    centres
}

/// The base with the centres at a beta as further image rows; at beta 1 the base.
pub(super) fn with_rows(base: &Pack, centres: &[Centre], beta: f32) -> Pack {
    let mut pack = base.clone();
    if beta == 1.0 {
        return pack;
    }
    let made: Vec<(Array1<f32>, u16)> = (centres.iter())
        .filter_map(|centre| Some((centre.row(beta)?, centre.class)))
        .collect();
    let old = &base.image;
    let mut rows = Array2::zeros((old.rows.nrows() + made.len(), base.dim()));
    let mut class_of = old.class_of.clone();
    for (mut place, row) in rows.axis_iter_mut(Axis(0)).zip(old.rows.outer_iter()) {
        place.assign(&row);
    }
    for (i, (row, class)) in made.iter().enumerate() {
        rows.row_mut(old.rows.nrows() + i).assign(row);
        class_of.push(*class);
    }
    pack.image = Prototypes { rows, class_of };
    pack
}

/// Spherical k-means from the farthest points on: the same result each time.
fn k_means(points: &[ArrayView1<'_, f32>], count: usize) -> Vec<Array1<f32>> {
    let mean = |members: &[ArrayView1<'_, f32>]| {
        let sum = members
            .iter()
            .fold(Array1::zeros(points[0].len()), |sum: Array1<f32>, p| {
                sum + p
            });
        unit(sum)
    };
    let mut centres: Vec<Array1<f32>> = mean(points).into_iter().collect();
    while centres.len() < count {
        let nearness =
            |p: &ArrayView1<'_, f32>| centres.iter().map(|c| c.dot(p)).fold(-1.0, f32::max);
        match points
            .iter()
            .min_by(|a, b| nearness(a).total_cmp(&nearness(b)))
        {
            Some(far) => centres.push(far.to_owned()),
            None => break,
        }
    }
    if count == 1 {
        return centres;
    }
    for _ in 0..ROUNDS {
        let mut members: Vec<Vec<ArrayView1<'_, f32>>> = vec![Vec::new(); centres.len()];
        for point in points {
            let near = (0..centres.len())
                .max_by(|a, b| centres[*a].dot(point).total_cmp(&centres[*b].dot(point)));
            members[near.unwrap_or(0)].push(*point);
        }
        members.retain(|m| !m.is_empty());
        let next: Vec<Array1<f32>> = members.iter().filter_map(|m| mean(m)).collect();
        if next == centres {
            break;
        }
        centres = next;
    }
    centres
}

fn unit(row: Array1<f32>) -> Option<Array1<f32>> {
    let length = row.dot(&row).sqrt();
    (length > 1e-6).then(|| row / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_heaps_get_a_centre_each() {
        let points: Vec<[f32; 2]> = vec![[1.0, 0.0], [0.995, 0.0999], [0.0, 1.0], [0.0999, 0.995]];
        let views: Vec<_> = points.iter().map(|p| ArrayView1::from(&p[..])).collect();
        let mut found = k_means(&views, 2);
        found.sort_by(|a, b| a[0].total_cmp(&b[0]));
        assert!(found[0][1] > 0.99 && found[1][0] > 0.99, "{found:?}");
        assert_eq!(k_means(&views, 1).len(), 1);
    }

    #[test]
    fn beta_leads_from_the_crops_to_the_text() {
        let centre = Centre {
            class: 0,
            adapted: ndarray::arr1(&[1.0, 0.0]),
            zero_shot: Some(ndarray::arr1(&[0.0, 1.0])),
        };
        assert_eq!(centre.row(0.0).unwrap(), ndarray::arr1(&[1.0, 0.0]));
        assert_eq!(centre.row(1.0).unwrap(), ndarray::arr1(&[0.0, 1.0]));
        let half = centre.row(0.5).unwrap();
        assert!((half[0] - half[1]).abs() < 1e-6 && (half.dot(&half) - 1.0).abs() < 1e-6);
    }
}
