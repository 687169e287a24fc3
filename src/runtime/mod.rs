//! Threads, and what they tell about themselves. The stages have none of their own.

pub mod board;
pub mod camera;
pub mod collect;
pub mod drift;
pub mod live;
pub mod mailbox;
pub mod outputs;
pub mod packs;
pub mod position;
pub mod replay;
pub mod shared;
pub mod shed;
pub mod stale;
pub mod stop;
pub mod threads;
pub mod timing;

pub use replay::{ReplayJob, ReplayResult, replay};
pub use timing::{Stage, StageTimes};
