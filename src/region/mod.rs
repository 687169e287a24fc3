//! The signs of a region as embeddings: packs on disk, the bank in memory, and where regions lie.

pub mod adapt;
pub mod areas;
pub mod bank;
pub mod borders;
pub mod build;
pub mod diff;
pub mod follow;
pub mod install;
pub mod locate;
pub mod pack;
mod rows;
pub mod rules;
pub mod sign;
pub mod size;
mod store;
pub mod watch;

pub use areas::Areas;
pub use bank::{Match, RegionBank};
pub use borders::Borders;
pub use follow::{RegionChange, RegionFollower};
pub use locate::{LocatePlan, RegionLocator};
pub use pack::{Pack, PackError};
pub use rules::Rules;
pub use size::{SignSize, standard_size};
pub use store::PackStore;
pub use watch::{PackNews, PackWatcher};
