//! Rows of a bank as whole numbers, and the best cosine of each class against them.
//!
//! A row is stored as `round(32767 · v)` in 16 bits: half the memory of f32, four times the precision
//! that f16 gives a unit vector, and sums that are the same on every processor. A unit vector's
//! length is 32,767 in these units, so no partial sum of a product of two leaves 32 bits.
//! Rows lie sorted by class: a class is a range. The sums run in the widest vectors the processor
//! has, chosen when the rows are made; being sums of whole numbers, they are the same in all.

use std::ops::Range;

use ndarray::ArrayView2;
use pulp::{Arch, NullaryFnOnce};

/// Longest embedding a bank may have; the query is held on the stack.
pub const MAX_DIM: usize = 2048;

const UNIT: f32 = 32_767.0;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    dim: usize,
    values: Vec<i16>,
    of_class: Vec<Range<usize>>,
    vectors: Arch,
}

/// One match, to be compiled for each width of vectors.
struct Match<'a> {
    rows: &'a Rows,
    query: &'a [i16],
    best: &'a mut [f32],
}

impl NullaryFnOnce for Match<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let dim = self.rows.dim;
        for (range, best) in self.rows.of_class.iter().zip(self.best) {
            let rows = &self.rows.values[range.start * dim..range.end * dim];
            let highest = rows.chunks_exact(dim).map(|row| dot(row, self.query)).max();
            if let Some(highest) = highest {
                *best = highest as f32 / (UNIT * UNIT);
            }
        }
    }
}

impl Rows {
    /// Of unit-length rows; `class_of[i]` below `classes` is the class of row `i`. A vector longer
    /// than [`MAX_DIM`] is the caller's fault.
    pub fn new(rows: &[(ArrayView2<'_, f32>, &[u16])], classes: usize, dim: usize) -> Self {
        let mut counts = vec![0_usize; classes];
        for (_, class_of) in rows {
            for class in *class_of {
                counts[usize::from(*class)] += 1;
            }
        }
        let mut of_class = Vec::with_capacity(classes);
        let mut next = 0;
        for count in counts {
            of_class.push(next..next + count);
            next += count;
        }
        let mut free: Vec<usize> = of_class.iter().map(|range| range.start).collect();
        let mut values = vec![0_i16; next * dim];
        for (rows, class_of) in rows {
            for (row, class) in rows.outer_iter().zip(*class_of) {
                let at = &mut free[usize::from(*class)];
                let place = &mut values[*at * dim..(*at + 1) * dim];
                for (place, value) in place.iter_mut().zip(row) {
                    *place = whole(*value);
                }
                *at += 1;
            }
        }
        Self {
            dim,
            values,
            of_class,
            vectors: Arch::new(),
        }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.of_class.last().map_or(0, |range| range.end)
    }

    /// Length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Puts the best cosine of each class into `best`; a class without rows keeps what is there.
    /// False, and nothing changed, when `embedding` is not a vector of unit length (or zero) and this size.
    pub fn best_of_classes(&self, embedding: &[f32], best: &mut [f32]) -> bool {
        let mut query = [0_i16; MAX_DIM];
        let query = &mut query[..self.dim];
        let length = embedding.iter().map(|v| v * v).sum::<f32>();
        if embedding.len() != self.dim || length.is_nan() || length > 1.02 {
            return false;
        }
        for (whole_number, value) in query.iter_mut().zip(embedding) {
            *whole_number = whole(*value);
        }
        let rows = self;
        self.vectors.dispatch(Match { rows, query, best });
        true
    }
}

fn whole(value: f32) -> i16 {
    (value * UNIT).round() as i16
}

/// Wrapping, so that it becomes the processor's multiply-and-add of pairs; the module says why no
/// sum ever wraps.
#[inline(always)]
fn dot(a: &[i16], b: &[i16]) -> i32 {
    let products = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b));
    products.fold(0, i32::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    fn unit(mut row: Vec<f32>) -> Vec<f32> {
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
        row.iter_mut().for_each(|v| *v /= length);
        row
    }

    proptest! {
        #[test]
        fn the_best_cosine_of_each_class_is_that_of_the_plain_sum(
            rows in prop::collection::vec((prop::collection::vec(-1.0_f32..1.0, 24), 0_u16..5), 1..40),
            query in prop::collection::vec(-1.0_f32..1.0, 24),
        ) {
            let query = unit(query);
            let units: Vec<Vec<f32>> = rows.iter().map(|(row, _)| unit(row.clone())).collect();
            let class_of: Vec<u16> = rows.iter().map(|(_, class)| *class).collect();
            let table = Array2::from_shape_fn((units.len(), 24), |(i, j)| units[i][j]);
            let mut best = [-7.0; 5];
            prop_assert!(Rows::new(&[(table.view(), &class_of)], 5, 24).best_of_classes(&query, &mut best));
            for class in 0..5_u16 {
                let cosines = units.iter().zip(&class_of).filter(|(_, c)| **c == class)
                    .map(|(row, _)| row.iter().zip(&query).map(|(a, b)| a * b).sum::<f32>());
                let expected = cosines.reduce(f32::max).unwrap_or(-7.0);
                prop_assert!((best[usize::from(class)] - expected).abs() < 2e-4);
            }
        }
    }

    #[test]
    fn the_longest_vectors_do_not_wrap() {
        for dim in [1, 3, 768, MAX_DIM] {
            for sign in [1.0, -1.0] {
                let row = vec![1.0 / (dim as f32).sqrt(); dim];
                let query: Vec<f32> = row.iter().map(|v| sign * v).collect();
                let table = Array2::from_shape_vec((1, dim), row).unwrap();
                let mut best = [0.0];
                Rows::new(&[(table.view(), &[0])], 1, dim).best_of_classes(&query, &mut best);
                assert!((best[0] - sign).abs() < 1e-3, "{dim}: {}", best[0]);
            }
        }
    }
}
