//! The page of `tsedge eval sheet`.

use super::{Page, cell, percent, with_interval};
use crate::evaluate::cost::Latency;
use crate::evaluate::sheet::{Cost, Quality, Sheet};

/// The page.
pub fn sheet(sheet: &Sheet) -> String {
    let mut page = Page::new(&format!("Cost and safety sheet: pack {}", sheet.pack.name));
    let parts = [
        ("pack", &sheet.pack),
        ("encoder", &sheet.encoder),
        ("detector", &sheet.detector),
    ];
    page.table(
        &["", "name", "version", "SHA-256"],
        parts.map(|(what, i)| {
            vec![
                cell(what),
                cell(&i.name),
                cell(i.version.as_deref().unwrap_or("-")),
                cell(&i.sha256),
            ]
        }),
    );
    page.words(&format!(
        "Made by {} in one run, from measurements and the files' own words.",
        sheet.made_by
    ));
    page.heading("Made of");
    page.table(
        &[],
        sheet
            .made_of
            .iter()
            .map(|(what, value)| vec![cell(what), cell(value)]),
    );
    cost(&mut page, &sheet.cost);
    match &sheet.quality {
        Some(q) => quality(&mut page, q),
        None => {
            page.heading("How good it is");
            page.words("Not given: run tsedge eval crops, then this with --crops.");
        }
    }
    page.heading("What the unit does when conditions are bad");
    page.words("In the words of ISO 21448 (SOTIF): triggering conditions, functional insufficiencies and reactions. The operational design domain is what is not in this table.");
    let heads = [
        "triggering condition",
        "functional insufficiency",
        "measured",
        "what the unit does",
        "health reason",
    ];
    page.table(
        &heads,
        sheet.conditions.iter().map(|c| {
            vec![
                cell(&c.condition),
                cell(&c.insufficiency),
                cell(&c.measured),
                cell(&c.reaction),
                cell(c.reason.as_deref().unwrap_or("-")),
            ]
        }),
    );
    page.end()
}

fn cost(page: &mut Page, c: &Cost) {
    page.heading("What it costs");
    let latency = |l: &Option<Latency>| {
        l.as_ref().map_or("-".to_owned(), |l| {
            format!(
                "median {:.2} ms, p99 {:.2} ms of {} runs",
                l.p50_ms, l.p99_ms, l.runs
            )
        })
    };
    let joules = |j: Option<f64>| j.map_or("-".to_owned(), |j| format!("{j:.4} J"));
    let (width, height) = c.frame_px;
    page.table(
        &[],
        [
            vec![cell("machine"), cell(&c.machine)],
            vec![
                cell("its load at that time"),
                cell(c.load_average.map_or("-".to_owned(), |l| format!("{l:.1}"))),
            ],
            vec![cell("networks run on"), cell(&c.provider)],
            vec![
                cell("models and pack, on disk"),
                cell(format!("{:.2} MB", c.file_bytes as f64 / 1e6)),
            ],
            vec![cell("reading them"), cell(format!("{:.0} ms", c.load_ms))],
            vec![
                cell(format!("detector on {width}x{height}, one thread")),
                cell(latency(&c.detect)),
            ],
            vec![
                cell("a crop: cut, encoded, matched"),
                cell(latency(&c.encode)),
            ],
            vec![
                cell("peak memory"),
                cell(
                    c.peak_memory_mib
                        .map_or("-".to_owned(), |m| format!("{m:.0} MiB")),
                ),
            ],
            vec![
                cell("energy counter"),
                cell(
                    c.energy_counter
                        .as_deref()
                        .unwrap_or("none that can be read here"),
                ),
            ],
            vec![
                cell("energy a frame, whole machine"),
                cell(joules(c.joules_a_frame)),
            ],
            vec![
                cell("energy a crop, whole machine"),
                cell(joules(c.joules_a_crop)),
            ],
        ],
    );
}

fn quality(page: &mut Page, q: &Quality) {
    page.heading("How good it is");
    let or_none = |e: &Option<crate::evaluate::interval::Estimate>| {
        e.as_ref().map_or("not measured".to_owned(), with_interval)
    };
    let limit = |px: Option<f32>, unit: &str| {
        px.map_or("at none".to_owned(), |px| format!("{px:.0} {unit}"))
    };
    page.table(
        &[],
        [
            vec![cell("measured by"), cell(&q.source)],
            vec![
                cell("crops, of so many tracks"),
                cell(format!("{}, {}", q.crops, q.tracks)),
            ],
            vec![cell("named right"), cell(or_none(&q.named_right))],
            vec![cell("named wrong"), cell(or_none(&q.named_wrong))],
            vec![cell("scenery named"), cell(or_none(&q.false_acceptance))],
            vec![
                cell("four of five named right from this shorter side on"),
                cell(limit(q.least_side_px, "px")),
            ],
            vec![
                cell("and from this mean brightness on"),
                cell(limit(q.least_light, "of 255")),
            ],
            vec![
                cell("classes of the pack without a crop"),
                cell(q.not_measured),
            ],
            vec![
                cell("with fewer than ten crops"),
                cell(q.hardly_measured.join(", ")),
            ],
        ],
    );
    page.heading("Weak classes");
    if q.weak.is_empty() {
        page.words("None is named right less often than the whole by more than chance.");
    }
    let heads = [
        "class",
        "crops",
        "named right",
        "named wrong",
        "most often taken for",
    ];
    page.table(
        &heads,
        q.weak.iter().map(|w| {
            vec![
                cell(&w.class),
                cell(w.crops),
                cell(with_interval(&w.named_right)),
                cell(percent(w.named_wrong as f64 / w.crops as f64)),
                cell(w.taken_for.as_deref().unwrap_or("-")),
            ]
        }),
    );
}
