//! The page of `tsedge eval crops`.

use super::{Cell, Page, cell, percent, with_interval};
use crate::evaluate::compare::{Change, Verdict};
use crate::evaluate::crops::{Figure, OfPack, Range};
use crate::report::html::markup::{Base64, Text};
use crate::units::RegionCode;

/// Pairs of classes shown.
const MOST_CONFUSED: usize = 20;

/// A crop that was taken for something else.
pub struct Picture {
    /// Whose crop.
    pub region: RegionCode,
    /// The picture.
    pub jpeg: Vec<u8>,
    /// What it is, what it was taken for, how surely.
    pub words: String,
}

/// The page; `against` names the earlier result.
pub fn crops(
    packs: &[OfPack],
    against: Option<(&str, &[Change])>,
    pictures: &[Picture],
    facts: &[(String, String)],
) -> String {
    let mut page = Page::new("tsedge eval crops");
    page.table(&[], facts.iter().map(|(a, b)| vec![cell(a), cell(b)]));
    page.heading("Figures");
    page.words("With 95 % intervals, by a bootstrap over tracks.");
    let mut heads = vec!["region", "crops", "tracks", "scenery"];
    heads.extend(Figure::ALL.map(Figure::words));
    let row = |p: &OfPack| {
        let mut row = vec![
            cell(p.region),
            cell(p.crops),
            cell(p.tracks),
            cell(p.scenery),
        ];
        row.extend(
            Figure::ALL.map(|f| cell(p.figures.get(&f).map_or("-".to_owned(), with_interval))),
        );
        row
    };
    page.table(&heads, packs.iter().map(row));
    if let Some((file, changes)) = against {
        page.heading(&format!("Against {file}"));
        let heads = [
            "region",
            "figure",
            "before",
            "now",
            "difference",
            "crops",
            "verdict",
        ];
        page.table(&heads, changes.iter().map(change));
    }
    for p in packs {
        pack(&mut page, p);
    }
    if !pictures.is_empty() {
        page.heading("Worst crops");
        page.words("Those named first, then the surest. They are pictures of the data: this page is for you alone.");
        page.raw("<div class=crops>");
        for picture in pictures {
            page.raw(&format!(
                "<figure><img src=\"data:image/jpeg;base64,{}\" alt=\"\"><figcaption>{}<br>{}</figcaption></figure>",
                Base64(&picture.jpeg),
                picture.region,
                Text(&picture.words)
            ));
        }
        page.raw("</div>");
    }
    page.end()
}

fn change(c: &Change) -> Vec<Cell> {
    let class = match c.verdict {
        Verdict::Better => Some("better"),
        Verdict::Worse => Some("worse"),
        Verdict::WithinNoise => None,
    };
    vec![
        cell(c.region),
        cell(c.figure.words()),
        cell(percent(c.before)),
        cell(percent(c.now)),
        cell(with_interval(&c.difference)),
        cell(if c.paired { "the same" } else { "others" }),
        Cell(c.verdict.words().to_owned(), class),
    ]
}

fn pack(page: &mut Page, p: &OfPack) {
    page.heading(&format!("{} with pack {}", p.region, p.pack.name));
    if p.not_in_pack.crops > 0 {
        page.words(&format!(
            "{} more crops are of classes that the pack does not have; {} of them were named, wrongly.",
            p.not_in_pack.crops, p.not_in_pack.named
        ));
    }
    for (what, ranges) in [
        ("shorter side, px", &p.by_size),
        ("brightness, 0 to 255", &p.by_light),
    ] {
        let heads = [what, "crops", "named right", "named wrong"];
        page.table(&heads, ranges.iter().filter(|r| r.crops > 0).map(range));
    }
    let most = p.confusion.iter().take(MOST_CONFUSED);
    page.table(
        &["label", "taken for", "crops"],
        most.map(|c| vec![cell(&c.label), cell(&c.taken_for), cell(c.crops)]),
    );
}

fn range(r: &Range) -> Vec<Cell> {
    let share = |count: usize| percent(count as f64 / r.crops.max(1) as f64);
    let to = r.to.map_or("and more".to_owned(), |to| format!("to {to}"));
    vec![
        cell(format!("{} {to}", r.from)),
        cell(r.crops),
        cell(share(r.named_right)),
        cell(share(r.named_wrong)),
    ]
}
