//! Where the time of a frame went: shares of the whole, and a histogram a stage.

use std::io::{self, Write};

use super::StageSamples;
use super::markup::Text;
use crate::event::StageTime;

/// Histograms share one axis, in powers of ten of a millisecond.
const FROM_DECADE: f64 = -2.0;
const TO_DECADE: f64 = 3.0;
const BINS: usize = 75;
const HEIGHT_PX: f64 = 34.0;

pub fn write(
    out: &mut impl Write,
    stages: &[StageTime],
    samples: &[StageSamples<'_>],
) -> io::Result<()> {
    if stages.is_empty() {
        return writeln!(out, r#"<p class="quiet">No times were taken.</p>"#);
    }
    shares(out, samples)?;
    writeln!(
        out,
        r#"<table class="lat"><thead><tr><th scope="col">Stage</th><th scope="col" class="hist">Frames by time, 0.01 to 1000 ms</th><th scope="col">p50</th><th scope="col">p99</th><th scope="col">max</th></tr></thead><tbody>"#
    )?;
    for stage in stages {
        write!(
            out,
            r#"<tr><th scope="row">{}</th><td class="hist">"#,
            Text(stage.stage)
        )?;
        let ms = samples.iter().find(|s| s.stage == stage.stage);
        histogram(out, stage, ms.map_or(&[], |s| s.ms))?;
        writeln!(
            out,
            "</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            figure(stage.p50_ms),
            figure(stage.p99_ms),
            figure(stage.max_ms)
        )?;
    }
    writeln!(
        out,
        r#"</tbody></table><p class="quiet">Milliseconds a frame on the machine of this replay; the line marks the median, the dashed one the 99th percentile.</p>"#
    )
}

fn shares(out: &mut impl Write, samples: &[StageSamples<'_>]) -> io::Result<()> {
    let sums: Vec<f64> = (samples.iter())
        .map(|s| s.ms.iter().map(|ms| f64::from(*ms)).sum())
        .collect();
    let total: f64 = sums.iter().sum();
    if total <= 0.0 {
        return Ok(());
    }
    writeln!(
        out,
        r#"<svg class="shares" height="28" role="img" aria-label="Share of each stage in the time of all frames">"#
    )?;
    let mut from = 0.0;
    for (i, (sample, sum)) in samples.iter().zip(&sums).enumerate() {
        let share = sum / total * 100.0;
        writeln!(
            out,
            r#"<svg x="{from:.3}%" width="{share:.3}%" height="28"><title>{0} {share:.0} %</title><rect class="band r{1}" width="100%" height="28"/><text class="in" x="6" y="19">{0} {share:.0} %</text></svg>"#,
            Text(sample.stage),
            i % 6
        )?;
        from += share;
    }
    writeln!(out, "</svg>")
}

fn histogram(out: &mut impl Write, stage: &StageTime, ms: &[f32]) -> io::Result<()> {
    let mut counts = [0_u32; BINS];
    for value in ms.iter().filter(|v| v.is_finite()) {
        let bin = (percent(f64::from(*value)) / 100.0 * BINS as f64) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    write!(
        out,
        r#"<svg height="{HEIGHT_PX}" role="img" aria-label="{}: median {:.2} ms, 99th percentile {:.2} ms">"#,
        Text(stage.stage),
        stage.p50_ms,
        stage.p99_ms
    )?;
    for decade in 0..=(TO_DECADE - FROM_DECADE) as u32 {
        let at = f64::from(decade) / (TO_DECADE - FROM_DECADE) * 100.0;
        write!(
            out,
            r#"<line class="grid" x1="{at:.1}%" x2="{at:.1}%" y1="0" y2="{HEIGHT_PX}"/>"#
        )?;
    }
    let width = 100.0 / BINS as f64;
    for (bin, count) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        // Even a single slow frame is to be seen.
        let height = (f64::from(*count) / f64::from(highest) * HEIGHT_PX).max(1.5);
        write!(
            out,
            r#"<rect class="bar" x="{:.2}%" width="{width:.2}%" y="{:.1}" height="{height:.1}"/>"#,
            bin as f64 * width,
            HEIGHT_PX - height
        )?;
    }
    for (value, style) in [(stage.p50_ms, "p50"), (stage.p99_ms, "p99")] {
        let at = percent(value);
        write!(
            out,
            r#"<line class="{style}" x1="{at:.2}%" x2="{at:.2}%" y1="0" y2="{HEIGHT_PX}"/>"#
        )?;
    }
    write!(out, "</svg>")
}

/// Three figures that matter, and no more.
fn figure(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

/// Where a time stands on the axis, 0 to 100.
fn percent(ms: f64) -> f64 {
    let decade = ms.max(1e-6).log10().clamp(FROM_DECADE, TO_DECADE);
    (decade - FROM_DECADE) / (TO_DECADE - FROM_DECADE) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_runs_from_a_hundredth_to_a_thousand_milliseconds() {
        for (ms, at) in [
            (0.0, 0.0),
            (0.01, 0.0),
            (1.0, 40.0),
            (1e3, 100.0),
            (1e9, 100.0),
        ] {
            assert!((percent(ms) - at).abs() < 1e-9, "{ms}");
        }
    }
}
