//! The drive from left to right: signs at their times, the speed limit, the region.
//!
//! Places are percentages and sizes are pixels, so the text keeps its size on every screen.

use std::io::{self, Write};

use super::journal::{Journal, SignCard};
use super::markup::{DataUrl, Text, clock};
use crate::units::{RegionCode, Timestamp};

/// A long drive is cut into rows with about this many signs each.
const SIGNS_A_ROW: usize = 24;
const MAX_ROWS: usize = 40;
const LANES: usize = 3;
const CROP_PX: f64 = 40.0;
const LANE_PX: f64 = 46.0;
/// Room for the frame around the topmost pictures.
const TOP_PX: f64 = 2.0;
/// The narrowest a row gets, with few signs and with many; signs are laid out for it.
const MIN_WIDTH_PX: (f64, f64) = (300.0, 680.0);
const FEW_SIGNS: usize = 8;
/// Room for a time on the axis.
const TICK_PX: f64 = 56.0;
const BAND_PX: f64 = 24.0;

/// A stretch of time with a text, for the bands.
struct Span {
    from_s: f64,
    to_s: f64,
    text: String,
    style: String,
}

pub fn write(out: &mut impl Write, journal: &Journal) -> io::Result<()> {
    let regions = region_spans(journal);
    let limits = limit_spans(journal);
    let rows = (journal.signs.items.len().div_ceil(SIGNS_A_ROW)).clamp(1, MAX_ROWS);
    let row_s = journal.duration_s() / rows as f64;
    for row in 0..rows {
        let window = Window {
            start: Timestamp::from_seconds(journal.start.seconds() + row as f64 * row_s),
            offset_s: row as f64 * row_s,
            length_s: row_s,
        };
        window.write(out, journal, &limits, &regions, row + 1 == rows)?;
    }
    Ok(())
}

struct Window {
    start: Timestamp,
    offset_s: f64,
    length_s: f64,
}

impl Window {
    fn percent(&self, offset_s: f64) -> f64 {
        ((offset_s - self.offset_s) / self.length_s * 100.0).clamp(0.0, 100.0)
    }

    fn write(
        &self,
        out: &mut impl Write,
        journal: &Journal,
        limits: &[Span],
        regions: &[Span],
        last: bool,
    ) -> io::Result<()> {
        let offset = |s: &SignCard| s.event.time.seconds_since(journal.start);
        let end_s = self.offset_s + self.length_s;
        let signs: Vec<&SignCard> = (journal.signs.items.iter())
            .filter(|s| {
                let at = offset(s);
                at >= self.offset_s && (at < end_s || last)
            })
            .collect();
        let places: Vec<f64> = signs.iter().map(|s| self.percent(offset(s))).collect();
        let min_width_px = if signs.len() <= FEW_SIGNS {
            MIN_WIDTH_PX.0
        } else {
            MIN_WIDTH_PX.1
        };
        let lanes = lanes(&places, min_width_px);
        let lane_count = lanes.iter().flatten().max().map_or(0, |l| l + 1);
        let bands_y = TOP_PX + lane_count as f64 * LANE_PX + 14.0;
        let bands: Vec<&[Span]> = ([limits, regions].into_iter())
            .filter(|spans| !spans.is_empty())
            .collect();
        let axis_y = bands_y + bands.len() as f64 * (BAND_PX + 2.0) + 6.0;
        let height = axis_y + 22.0;
        writeln!(
            out,
            r#"<div class="strip" tabindex="0" role="region" aria-label="Timeline from {}"><svg height="{height:.0}" style="min-width:{min_width_px}px" role="img" aria-label="{} signs, speed limit and region over time">"#,
            clock(self.start),
            signs.len()
        )?;
        self.axis(out, axis_y, min_width_px)?;
        for ((sign, at), lane) in signs.iter().zip(&places).zip(&lanes) {
            let y = lane.map_or(bands_y - 14.0, |l| TOP_PX + l as f64 * LANE_PX);
            sign_mark(out, sign, *at, y, lane.is_some(), bands_y)?;
        }
        for (i, spans) in bands.into_iter().enumerate() {
            self.band(out, spans, bands_y + i as f64 * (BAND_PX + 2.0))?;
        }
        writeln!(out, "</svg></div>")
    }

    fn band(&self, out: &mut impl Write, spans: &[Span], y: f64) -> io::Result<()> {
        for span in spans {
            let (from, to) = (self.percent(span.from_s), self.percent(span.to_s));
            let touches = span.from_s < self.offset_s + self.length_s && span.to_s >= self.offset_s;
            if !touches || to <= from {
                continue;
            }
            writeln!(
                out,
                r#"<svg x="{from:.3}%" y="{y:.0}" width="{:.3}%" height="{BAND_PX}"><title>{1}</title><rect class="{2}" width="100%" height="{BAND_PX}" rx="3"/><text class="in" x="6" y="17">{1}</text></svg>"#,
                to - from,
                Text(&span.text),
                span.style
            )?;
        }
        Ok(())
    }

    fn axis(&self, out: &mut impl Write, y: f64, width_px: f64) -> io::Result<()> {
        writeln!(
            out,
            r#"<line class="axis" x1="0" x2="100%" y1="{y:.0}" y2="{y:.0}"/>"#
        )?;
        let step = tick_step_s(self.length_s, width_px / TICK_PX);
        let from = self.start.seconds();
        let mut tick = (from / step).ceil() * step;
        while tick <= from + self.length_s + 1e-9 {
            let at = (tick - from) / self.length_s * 100.0;
            let anchor = match at {
                a if a < 3.0 => "start",
                a if a > 97.0 => "end",
                _ => "middle",
            };
            writeln!(
                out,
                r#"<line class="axis" x1="{at:.3}%" x2="{at:.3}%" y1="{y:.0}" y2="{:.0}"/><text class="tick" x="{at:.3}%" y="{:.0}" text-anchor="{anchor}">{}</text>"#,
                y + 4.0,
                y + 17.0,
                clock(Timestamp::from_seconds(tick)),
            )?;
            tick += step;
        }
        Ok(())
    }
}

fn sign_mark(
    out: &mut impl Write,
    sign: &SignCard,
    at: f64,
    y: f64,
    shown: bool,
    stem_to: f64,
) -> io::Result<()> {
    let name = sign.event.naming.class().map_or("sign", |c| &c.label_en);
    let title = format!("{} {name}", clock(sign.event.time));
    let id = sign.event.track.0;
    write!(
        out,
        r##"<a href="#t{id}" aria-label="{0}"><title>{0}</title><line class="stem" x1="{at:.3}%" x2="{at:.3}%" y1="{y:.0}" y2="{stem_to:.0}"/>"##,
        Text(&title)
    )?;
    // The crop stands left of its time near the right edge, so that it is never cut.
    let shift = match at {
        a if a < 3.0 => 0.0,
        a if a > 97.0 => -CROP_PX,
        _ => -CROP_PX / 2.0,
    };
    match &sign.crop {
        Some(crop) if shown => write!(
            out,
            r#"<svg x="{at:.3}%" y="{y:.0}" overflow="visible"><rect class="frame" x="{:.1}" y="-1" width="{2}" height="{2}" rx="5"/><image x="{shift:.1}" width="{CROP_PX}" height="{CROP_PX}" href="{1}"/></svg>"#,
            shift - 1.0,
            DataUrl(crop),
            CROP_PX + 2.0
        )?,
        _ => write!(
            out,
            r#"<circle class="dot" cx="{at:.3}%" cy="{:.0}" r="5"/>"#,
            y + 6.0
        )?,
    }
    writeln!(out, "</a>")
}

/// The lane of each sign, so that neighbours do not cover each other; `None` where all are taken.
fn lanes(places: &[f64], width_px: f64) -> Vec<Option<usize>> {
    let width = (CROP_PX + 4.0) / width_px * 100.0;
    let mut free_from = [f64::NEG_INFINITY; LANES];
    places
        .iter()
        .map(|at| {
            let lane = free_from.iter().position(|free| free <= at)?;
            free_from[lane] = at + width;
            Some(lane)
        })
        .collect()
}

fn region_spans(journal: &Journal) -> Vec<Span> {
    let order = journal.region_order();
    let changes: Vec<(Timestamp, RegionCode, RegionCode)> = (journal.regions.items.iter())
        .map(|r| (r.event.time, r.event.to, r.event.pack))
        .collect();
    (changes.iter().enumerate())
        .map(|(i, (time, to, pack))| Span {
            from_s: time.seconds_since(journal.start).max(0.0),
            to_s: until(journal, changes.get(i + 1).map(|c| c.0)),
            text: if to == pack {
                to.to_string()
            } else {
                format!("{to} (pack {pack})")
            },
            style: format!("band {}", super::map::colour(&order, *to)),
        })
        .collect()
}

fn limit_spans(journal: &Journal) -> Vec<Span> {
    let advice = &journal.advice.items;
    let mut spans: Vec<Span> = Vec::new();
    for (i, a) in advice.iter().enumerate() {
        let Some(value) = a.value else { continue };
        let unit = a.unit.map_or(String::new(), |u| format!(" {u}"));
        let span = Span {
            from_s: a.time.seconds_since(journal.start).max(0.0),
            to_s: until(journal, advice.get(i + 1).map(|n| n.time)),
            text: format!("limit {value}{unit}"),
            style: "band limit".into(),
        };
        match spans.last_mut() {
            // The same limit, posted again.
            Some(last) if last.text == span.text && last.to_s == span.from_s => {
                last.to_s = span.to_s;
            }
            _ => spans.push(span),
        }
    }
    spans
}

fn until(journal: &Journal, next: Option<Timestamp>) -> f64 {
    next.unwrap_or(journal.end).seconds_since(journal.start)
}

/// A round step that gives at most so many ticks.
fn tick_step_s(length_s: f64, most: f64) -> f64 {
    const STEPS: [f64; 17] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0,
        3600.0, 7200.0,
    ];
    let coarse = || (length_s / most / 7200.0).ceil() * 7200.0;
    (STEPS.into_iter())
        .find(|step| length_s / step <= most)
        .unwrap_or_else(coarse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_close_together_take_different_lanes_and_the_rest_become_dots() {
        let lanes = lanes(&[10.0, 11.0, 12.0, 13.0, 20.0], 680.0);
        assert_eq!(lanes, [Some(0), Some(1), Some(2), None, Some(0)]);
    }

    #[test]
    fn ticks_are_few_on_any_length() {
        for length_s in [0.5, 1.6, 60.0, 7200.0, 1e6] {
            let count = length_s / tick_step_s(length_s, 8.0);
            assert!((1.0..=8.0).contains(&count), "{length_s} s: {count}");
        }
    }
}
