//! Drives through a drawn world: from a scenario to video, positions and the truth of what stood where.
//!
//! The order of the work: `scenario` says what is wanted; `route` where the car is when; `world` what
//! stands beside the road; `camera`, `shake`, `sky`, `ground`, `board` and `weather` make a picture of it;
//! `truth` and `track` tell what is in it. The same scenario gives the same bytes on every run.

pub mod camera;
pub mod drive;
pub mod route;
pub mod scenario;
pub mod shake;
pub mod sheet;
pub mod truth;

mod board;
mod ground;
mod lanes;
pub(crate) mod noise;
mod picture;
mod scenery;
mod sky;
mod texture;
mod track;
mod weather;
mod world;
