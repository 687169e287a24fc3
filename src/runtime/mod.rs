//! Threads, and what they tell about themselves. The stages have none of their own.

pub mod replay;
pub mod timing;

pub use replay::{ReplayJob, ReplayResult, replay};
pub use timing::{Stage, StageTimes};
