//! How good it is, in figures that people can decide by: crops, drives, cost, and drift over time.
//!
//! Nothing here runs a model: verdicts and events come in, figures with their intervals go out. The formulas, their
//! sources and a worked example of each are in `docs/evaluation.md`.

pub mod compare;
pub mod cost;
pub mod crops;
pub mod drift;
pub mod drive;
pub mod events;
pub mod interval;
pub mod isa;
pub mod limits;
pub mod map;
pub mod page;
pub mod sheet;
