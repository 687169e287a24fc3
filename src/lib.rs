//! tsedge: finds traffic signs in a vehicle's camera and names them by the region the car is in.
//!
//! The modules stand in the order the data flows; each uses only those above it.

pub mod clock;
pub mod health;
pub mod machine;
pub mod retry;
pub mod units;

pub mod frame;
pub mod source;

pub mod model;

pub mod detect;
pub mod track;

pub mod recognise;

pub mod advise;

pub mod pipeline;

pub mod event;

pub mod draw;

pub mod output;
pub mod position;
pub mod region;

pub mod delivery;

pub mod media;
pub mod report;

pub mod simulate;

pub mod evaluate;

pub mod config;

pub mod runtime;

pub mod cmd;
