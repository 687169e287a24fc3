//! The signs of a region as embeddings: packs on disk, the bank in memory, and where regions lie.

pub mod bank;
pub mod locate;
pub mod pack;
pub mod rules;

pub use bank::{Match, RegionBank};
pub use locate::RegionLocator;
pub use pack::{PackError, PackStore};
pub use rules::Rules;
