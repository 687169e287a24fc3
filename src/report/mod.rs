//! What a person looks at after a replay: the HTML report, the annotated video, the signs on a map.

pub mod adapt;
pub mod annotate;
pub mod bench;
pub mod collect;
pub mod html;
pub mod sign_map;

use std::fmt::Write as _;
use std::time::Duration;

use crate::event::{FrameView, StageTime, Summary};
use crate::frame::Frame;

/// Takes every frame of a replay with what was found in it.
pub trait FrameSink: Send {
    /// Takes one frame.
    fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) -> anyhow::Result<()>;
}

/// The closing text of a replay: what was found, how fast, and where the time went.
///
/// `media_time` is the play time of what was read, `wall_time` how long the replay took.
pub fn summary_text(
    summary: &Summary,
    stages: &[StageTime],
    media_time: Duration,
    wall_time: Duration,
) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "{}, {}, {}",
        counted(summary.signs, "sign"),
        counted(summary.unknown_signs, "unknown sign"),
        counted(summary.region_swaps, "region swap"),
    );
    let _ = write!(text, "\n{} read, ", counted(summary.frames, "frame"));
    text.push_str(&match summary.lost_frames {
        0 => "none lost".to_owned(),
        lost => format!("{lost} LOST to damage in the file"),
    });
    let wall_s = wall_time.as_secs_f64();
    if wall_s > 0.0 {
        let _ = write!(
            text,
            "; {wall_s:.1} s, {:.1} frames/s, {:.2} x real time",
            summary.frames as f64 / wall_s,
            media_time.as_secs_f64() / wall_s,
        );
    }
    text.push('\n');
    if !stages.is_empty() {
        let _ = writeln!(
            text,
            "{:<12} {:>9} {:>9} {:>9}",
            "ms a frame", "p50", "p99", "max"
        );
        for s in stages {
            let _ = writeln!(
                text,
                "{:<12} {:>9.2} {:>9.2} {:>9.2}",
                s.stage, s.p50_ms, s.p99_ms, s.max_ms
            );
        }
    }
    text
}

fn counted(n: u64, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        0 => format!("no {noun}s"),
        _ => format!("{n} {noun}s"),
    }
}
