//! The page of `tsedge eval drive`.

use super::{Cell, Page, cell, percent, with_interval};
use crate::evaluate::drive::{Counts, Drive, Signs, Spread};
use crate::evaluate::isa;
use crate::evaluate::limits::{Limits, NCAP_SHARE};

/// Mistakes shown one by one.
const MOST_MISTAKES: usize = 100;

/// The page.
pub fn drive(drive: &Drive, facts: &[(String, String)]) -> String {
    let mut page = Page::new("tsedge eval drive");
    page.table(&[], facts.iter().map(|(a, b)| vec![cell(a), cell(b)]));
    page.words(&format!("{:.2} km in {:.0} s.", drive.km, drive.seconds));
    if let Some(s) = &drive.signs {
        signs(&mut page, s);
    }
    if let Some(l) = &drive.limits {
        limits(&mut page, l);
    }
    page.end()
}

fn signs(page: &mut Page, s: &Signs) {
    page.heading("Signs");
    let or_none = |e: &Option<crate::evaluate::interval::Estimate>| {
        e.as_ref().map_or("-".to_owned(), with_interval)
    };
    let mut rows = vec![
        vec![cell("signs that stood there"), cell(s.all.signs)],
        vec![cell("named right"), cell(s.all.right)],
        vec![cell("named wrong"), cell(s.all.wrong)],
        vec![cell("not named"), cell(s.all.missed)],
        vec![cell("names without a sign"), cell(s.all.false_names)],
        vec![cell("precision"), cell(or_none(&s.precision))],
        vec![cell("recall"), cell(or_none(&s.recall))],
        vec![cell("tracks renamed on the way"), cell(s.renamed)],
        vec![cell("further tracks of a sign"), cell(s.repeated)],
    ];
    if let Some(t) = &s.to_confirmed {
        rows.push(vec![
            cell("first visible to named right"),
            cell(spread(&t.seconds, "s")),
        ]);
        if let Some(m) = &t.metres {
            rows.push(vec![cell("the same, driven"), cell(spread(m, "m"))]);
        }
    }
    if let Some(p) = &s.per_100_km {
        let text = format!(
            "{:.1} wrong, {:.1} missed, {:.1} without a sign",
            p.wrong, p.missed, p.false_names
        );
        rows.push(vec![cell("per 100 km"), cell(text)]);
    }
    page.table(&[], rows);
    let heads = ["longest side, px", "signs", "right", "wrong", "missed"];
    let sizes = s.sizes.iter().filter(|s| s.counts.signs > 0);
    page.table(
        &heads,
        sizes.map(|size| {
            let to = size
                .to_px
                .map_or("and more".to_owned(), |to| format!("to {to}"));
            let c = &size.counts;
            vec![
                cell(format!("{} {to}", size.from_px)),
                cell(c.signs),
                cell(c.right),
                cell(c.wrong),
                cell(c.missed),
            ]
        }),
    );
    let heads = [
        "class",
        "signs",
        "right",
        "wrong",
        "missed",
        "false names",
        "precision",
        "recall",
    ];
    page.table(
        &heads,
        s.classes.iter().map(|(class, c)| of_class(class, c)),
    );
    if !s.mistakes.is_empty() {
        page.heading("Mistakes");
        page.table(
            &[],
            s.mistakes.iter().take(MOST_MISTAKES).map(|m| vec![cell(m)]),
        );
    }
}

fn of_class(class: &str, c: &Counts) -> Vec<Cell> {
    let share = |part: usize, of: usize| match of {
        0 => "-".to_owned(),
        _ => percent(part as f64 / of as f64),
    };
    vec![
        cell(class),
        cell(c.signs),
        cell(c.right),
        cell(c.wrong),
        cell(c.missed),
        cell(c.false_names),
        cell(share(c.right, c.right + c.false_names)),
        cell(share(c.right, c.signs)),
    ]
}

fn spread(s: &Spread, unit: &str) -> String {
    format!(
        "median {:.1} {unit}, nine of ten {:.1} {unit}, most {:.1} {unit}",
        s.median, s.p90, s.most
    )
}

fn limits(page: &mut Page, l: &Limits) {
    page.heading("Speed limit shown");
    let share = |s: Option<f64>| s.map_or("-".to_owned(), percent);
    let mut rows = vec![vec![
        cell("all"),
        cell(format!("{:.2}", l.judged.km)),
        cell(format!("{:.2}", l.judged.right_km)),
        cell(share(l.judged.share)),
        cell(percent(isa::TOTAL)),
    ]];
    rows.extend(l.roads.iter().map(|(road, c)| {
        vec![
            cell(road.name()),
            cell(format!("{:.2}", c.km)),
            cell(format!("{:.2}", c.right_km)),
            cell(share(c.share)),
            cell(percent(isa::ROAD)),
        ]
    }));
    page.table(
        &["road", "km", "with the right limit", "share", "ISA, least"],
        rows,
    );
    page.words(&format!(
        "A wrong limit was shown on {:.2} km; the limit in force is not known on {:.2} km, which are not judged.",
        l.wrong_km, l.not_judged_km
    ));
    let (class, words) = match l.isa.met {
        true => ("better", "met"),
        false => ("worse", "not met"),
    };
    let lacks = l.isa.lacks.join("; ");
    let n = &l.euro_ncap;
    let kpi = |share_of: Option<f64>| {
        let good = share_of.is_some_and(|s| s > NCAP_SHARE);
        Cell(share(share_of), Some(if good { "better" } else { "worse" }))
    };
    page.table(
        &["standard", "figure", "here"],
        [
            vec![
                cell("(EU) 2021/1958"),
                cell("shares of distance"),
                Cell(words.to_owned(), Some(class)),
            ],
            vec![
                cell(""),
                cell("limits known 2 s after their sign, below 20 km/h 10 m after it"),
                cell(format!("{} of {}", l.isa.changes_in_time, l.isa.changes)),
            ],
            vec![
                cell(""),
                cell("what the drive lacks to be a test drive"),
                cell(lacks),
            ],
            vec![
                cell("Euro NCAP"),
                cell("KPI distance, above 80 %"),
                kpi(n.kpi_distance),
            ],
            vec![
                cell(""),
                cell(format!(
                    "KPI event, above 80 %, {} of {}",
                    n.events_right, n.events
                )),
                kpi(n.kpi_event),
            ],
        ],
    );
    let late = |c: &crate::evaluate::limits::Change| match c.after_m.zip(c.after_s) {
        Some((m, s)) => format!("{m:.0} m, {s:.1} s"),
        None => "not before the next".to_owned(),
    };
    page.table(
        &["the limit changes at", "to", "shown after"],
        l.changes.iter().map(|c| {
            vec![
                cell(format!("{:.0} m", c.at_m)),
                cell(format!("{} {}", c.to.value, c.to.unit)),
                cell(late(c)),
            ]
        }),
    );
}
