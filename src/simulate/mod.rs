//! Drives through a drawn world: scenarios, rendering, and the truth of what stood where.

pub mod noise;
pub mod sheet;
