//! The signs of a region as embeddings: packs on disk, the bank in memory, and where regions lie.

pub mod areas;
pub mod bank;
pub mod borders;
pub mod follow;
pub mod locate;
pub mod pack;
pub mod rules;

pub use areas::Areas;
pub use bank::{Match, RegionBank};
pub use borders::Borders;
pub use follow::{RegionChange, RegionFollower};
pub use locate::{LocatePlan, RegionLocator};
pub use pack::{PackError, PackStore};
pub use rules::Rules;
