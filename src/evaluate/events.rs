//! What a drive told, read back from its JSON lines.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::limits::{Limit, Shown};
use crate::units::{BoxPx, SpeedUnit};

/// A sign was named.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// When.
    pub time_s: f64,
    /// In which frame.
    pub frame: u64,
    /// As what.
    pub class: String,
    /// Where.
    pub bbox: BoxPx,
}

/// What was told of a track that was named at least once.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Its number.
    pub track: u32,
    /// Each name, in order.
    pub named: Vec<Named>,
    /// The name it had in the end; `None` when that was taken back.
    pub last: Option<String>,
}

/// What a drive told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Tracks that were named, by number.
    pub tracks: Vec<Track>,
    /// Every change of the limit shown.
    pub limits: Vec<Shown>,
    /// Time of the last event.
    pub end_s: f64,
}

#[derive(Deserialize)]
struct Line {
    event: String,
    time_s: f64,
    #[serde(default)]
    frame: u64,
    track: Option<u32>,
    class: Option<String>,
    box_px: Option<[i32; 4]>,
    value: Option<f32>,
    unit: Option<SpeedUnit>,
}

/// Reads JSON lines, as `docs/schema/events.schema.json` describes them; the error names the line.
pub fn read(lines: impl BufRead) -> anyhow::Result<Told> {
    let mut told = Told::default();
    let mut tracks: BTreeMap<u32, Track> = BTreeMap::new();
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&line).with_context(|| format!("line {number}"))?;
        told.end_s = told.end_s.max(line.time_s);
        match (line.event.as_str(), line.track, line.class) {
            ("sign_confirmed", Some(track), Some(class)) => {
                let corners = line
                    .box_px
                    .with_context(|| format!("line {number}: no box_px"))?;
                let [x0, y0, x1, y1] = corners.map(|v| v as f32);
                let named = Named {
                    time_s: line.time_s,
                    frame: line.frame,
                    class: class.clone(),
                    bbox: BoxPx::new(x0, y0, x1, y1),
                };
                let entry = tracks.entry(track).or_insert(Track {
                    track,
                    named: Vec::new(),
                    last: None,
                });
                entry.named.push(named);
                entry.last = Some(class);
            }
            ("sign_lost", Some(track), class) => {
                if let Some(entry) = tracks.get_mut(&track) {
                    entry.last = class;
                }
            }
            ("speed_limit", ..) => told.limits.push(Shown {
                time_s: line.time_s,
                limit: line.value.map(|value| Limit {
                    value,
                    unit: line.unit.unwrap_or(SpeedUnit::KilometresPerHour),
                }),
            }),
            _ => {}
        }
    }
    ensure!(told.end_s > 0.0, "no event");
    told.tracks = tracks.into_values().collect();
    Ok(told)
}
