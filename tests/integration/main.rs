//! Integration tests: one module a promise.

// A helper that fails is a test that fails; clippy's own exemption sees only `#[test]` functions.
// Tests wait for threads and processes by the wall clock.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod allocation;
mod board_bench;
mod cli;
mod data_borders;
mod data_clips;
mod data_evaluate;
mod delivery;
mod delivery_models;
mod evaluate;
mod golden;
mod hard_cases;
mod live_blocked;
mod live_cameras;
mod live_damage;
mod live_outputs;
mod live_run;
mod live_threads;
mod model_engines;
mod output_can;
mod output_can_receiver;
mod output_contract;
mod output_events;
mod output_mcap;
mod output_schema;
mod output_serial;
mod output_status;
mod output_table;
mod position_replay;
mod region_adapt;
mod region_cli;
mod region_damage;
mod region_swap;
mod region_watch;
mod report_html;
mod rig;
mod running;
mod sign_map;
mod simulate;
mod source_clips;
mod source_contract;
mod source_damage;
mod source_data;
mod source_gstreamer;
mod source_layouts;
mod source_video;
mod specification;
mod support;
mod system_damage;
mod system_gpsd;
mod system_models;
mod system_mqtt;
mod system_rollout;
mod system_rtsp;
mod track_drives;
mod vectors;
