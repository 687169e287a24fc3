//! What the looks at a sign said one by one.
//!
//! The sum of the looks at a display that shows 40, 60 and 80 by turns lies between the three and may
//! be surely 60. Only the single looks tell that it is not.

use std::sync::Arc;

use crate::event::{ClassInfo, Naming};

/// More of the sure looks than this, by weight, and the sum is not believed.
const DISPUTED: f32 = 0.35;
const MAX_CLASSES: usize = 4;

/// Weight of the looks that named each class.
#[derive(Debug, Clone, Default)]
pub struct Votes(heapless::Vec<(Arc<ClassInfo>, f32), MAX_CLASSES>);

impl Votes {
    /// Counts a look that names a class by itself; others say nothing.
    pub fn add(&mut self, look: &Naming, weight: f32) {
        let Naming::Sign(class) = look else { return };
        if let Some((_, sum)) = self.0.iter_mut().find(|(c, _)| c.key == class.key) {
            *sum += weight;
        } else if let Err(new) = self.0.push((Arc::clone(class), weight))
            && let Some(least) = self.0.iter_mut().min_by(|a, b| a.1.total_cmp(&b.1))
        {
            *least = new;
        }
    }

    /// Whether too many looks were sure of another class than `class`.
    pub fn dispute(&self, class: &ClassInfo) -> bool {
        let all: f32 = self.0.iter().map(|(_, weight)| weight).sum();
        let against: f32 = (self.0.iter())
            .filter(|(c, _)| c.key != class.key)
            .map(|(_, weight)| weight)
            .sum();
        against > DISPUTED * all
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
