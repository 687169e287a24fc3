//! The regions of the drive: when each came to count, and what its pack changed.

use std::io::{self, Write};

use super::journal::{Journal, Swap};
use super::map::colour;
use super::markup::{Text, clock};
use crate::event::{ClassInfo, Naming, SwapChange};

/// More names than this are counted instead.
const NAMES: usize = 8;

pub fn write(out: &mut impl Write, journal: &Journal) -> io::Result<()> {
    if journal.swaps().next().is_none() {
        return Ok(());
    }
    writeln!(
        out,
        r#"<section><h2>Regions</h2><p class="quiet">A region counts some fixes after its border; the swap is made between two frames, and live tracks are read anew by the new pack.</p><table class="swaps"><thead><tr><th scope="col">Time</th><th scope="col">Region</th><th scope="col">Border</th><th scope="col">What changed</th><th scope="col">Swap took</th></tr></thead><tbody>"#
    )?;
    let order = journal.region_order();
    for swap in journal.swaps() {
        let e = &swap.event;
        let from = e.from.map_or(String::new(), |from| format!("{from} → "));
        write!(
            out,
            r#"<tr><td class="time">{}<small>frame {}</small></td><th scope="row"><i class="key {}"></i> {from}{}"#,
            clock(e.time),
            e.frame,
            colour(&order, e.to),
            e.to
        )?;
        if e.pack != e.to {
            write!(out, "<small>no pack of its own, read by {}</small>", e.pack)?;
        }
        write!(out, "</th><td>{}</td><td>", Text(&border(swap)))?;
        if let Some(change) = &e.change {
            changes(out, change)?;
        }
        let took = (swap.took).map_or("–".to_owned(), |t| {
            format!("{:.0} µs", t.as_secs_f64() * 1e6)
        });
        writeln!(out, r#"</td><td class="took">{took}</td></tr>"#)?;
    }
    writeln!(out, "</tbody></table></section>")
}

fn border(swap: &Swap) -> String {
    let e = &swap.event;
    match e.crossing {
        Some(crossing) => format!(
            "{} {:.1} s before",
            if crossing.seen {
                "crossed"
            } else {
                "crossed without a position, first seen"
            },
            e.time.seconds_since(crossing.time)
        ),
        None => "first position".to_owned(),
    }
}

fn changes(out: &mut impl Write, change: &SwapChange) -> io::Result<()> {
    let mut lines = Vec::new();
    if let Some((from, to)) = change.unit {
        lines.push(format!("limits in {to}, before in {from}"));
    }
    if change.advice_expired {
        lines.push("the limit in force expired".to_owned());
    }
    match change.tracks {
        0 => lines.push("no sign in sight".to_owned()),
        n => lines.push(format!(
            "{} read anew, {} named otherwise",
            counted(n as usize, "track", "tracks"),
            change.renamed.len()
        )),
    }
    for renamed in change.renamed.iter().take(NAMES) {
        let (from, to) = (name(&renamed.from), name(&renamed.to));
        lines.push(format!("track {}: {from} → {to}", renamed.track.0));
    }
    lines.extend(classes("gained", &change.gained));
    lines.extend(classes("lost", &change.lost));
    for line in lines {
        write!(out, "<span>{}</span>", Text(&line))?;
    }
    Ok(())
}

fn classes(what: &str, classes: &[std::sync::Arc<ClassInfo>]) -> Option<String> {
    let named: Vec<&str> = (classes.iter().take(NAMES))
        .map(|class| class.label_en.as_str())
        .collect();
    let more = classes.len().saturating_sub(NAMES);
    let more = match more {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    (!named.is_empty()).then(|| {
        let count = counted(classes.len(), "class", "classes");
        format!("{count} {what}: {}{more}", named.join(", "))
    })
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn name(naming: &Naming) -> &str {
    match naming {
        Naming::Sign(class) => &class.label_en,
        Naming::UnknownSign => "unknown sign",
        Naming::NotASign => "not a sign",
        Naming::Undecided => "undecided",
    }
}
