//! The page `tsedge adapt --report` writes: before and after, confusion, crops that look mislabelled.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use anyhow::Context;
use image::ImageFormat;
use image::imageops::FilterType;
use serde::Serialize;

use super::html::markup::{Base64, Text};
use crate::region::adapt::crops::Sample;
use crate::region::adapt::measure::{Figures, Verdict, confusion};

/// Pictures shown of crops that look mislabelled.
const MAX_PICTURES: usize = 60;
const PICTURE_PX: u32 = 64;

/// A row of figures: the same crops before and after.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Which crops.
    pub what: String,
    /// By the base pack.
    pub before: Figures,
    /// By the new one.
    pub after: Figures,
}

/// What the page tells.
pub struct AdaptReport<'a> {
    /// Lines about how the pack was made.
    pub facts: Vec<(String, String)>,
    /// Figures.
    pub comparisons: &'a [Comparison],
    /// Crops of the confusion table, with the verdicts of base and new pack.
    pub judged: (&'a [Sample], &'a [Verdict], &'a [Verdict]),
    /// Crops whose label is doubtful.
    pub suspicious: Vec<(&'a Sample, Verdict)>,
    /// Why the pack was refused, if it was.
    pub refused: Option<String>,
}

impl AdaptReport<'_> {
    /// The page; pictures are read from where the crops lie.
    pub fn page(&self) -> anyhow::Result<String> {
        let mut out = String::from(HEAD);
        match &self.refused {
            Some(why) => write!(
                out,
                "<p class=bad>Refused: {}. No pack was written.</p>",
                Text(why)
            )?,
            None => out.push_str("<p class=good>The pack was written.</p>"),
        }
        out.push_str("<h2>Before and after</h2><table><tr><th>crops<th>count<th>pack<th>first choice right<th>named right<th>named wrong<th>calibration error</tr>");
        for c in self.comparisons {
            for (pack, f) in [("before", c.before), ("after", c.after)] {
                let percent = |count| format!("{:.2} %", f.percent(count));
                write!(
                    out,
                    "<tr><td>{}<td>{}<td>{pack}<td>{}<td>{}<td>{}<td>{:.4}</tr>",
                    Text(&c.what),
                    f.crops,
                    percent(f.right),
                    percent(f.named_right),
                    percent(f.named_wrong),
                    f.calibration_error
                )?;
            }
        }
        out.push_str("</table><h2>How it was made</h2><table>");
        for (what, value) in &self.facts {
            write!(out, "<tr><td>{}<td>{}</tr>", Text(what), Text(value))?;
        }
        out.push_str("</table>");
        self.confusion_table(&mut out)?;
        self.pictures(&mut out)?;
        out.push_str("</body></html>\n");
        Ok(out)
    }

    fn confusion_table(&self, out: &mut String) -> std::fmt::Result {
        let (samples, before, after) = self.judged;
        let (old, new) = (confusion(samples, before), confusion(samples, after));
        out.push_str("<h2>Confusion, each crop judged without its own part</h2>");
        if old.is_empty() && new.is_empty() {
            out.push_str("<p>None, before or after.</p>");
            return Ok(());
        }
        out.push_str("<table><tr><th>label<th>taken for<th>before<th>after</tr>");
        let count = |list: &[(String, String, usize)], pair: (&str, &str)| {
            list.iter()
                .find(|(a, b, _)| (a.as_str(), b.as_str()) == pair)
                .map_or(0, |p| p.2)
        };
        let mut pairs: Vec<(&str, &str)> = (old.iter().chain(&new))
            .map(|(a, b, _)| (a.as_str(), b.as_str()))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        for pair in pairs {
            write!(
                out,
                "<tr><td>{}<td>{}<td>{}<td>{}</tr>",
                Text(pair.0),
                Text(pair.1),
                count(&old, pair),
                count(&new, pair)
            )?;
        }
        out.push_str("</table>");
        Ok(())
    }

    fn pictures(&self, out: &mut String) -> anyhow::Result<()> {
        write!(
            out,
            "<h2>Crops that look mislabelled: {}</h2><p>The base is at least 90 % sure of another class, or \
             the new pack 80 %, though it was made with these very labels.</p><div class=crops>",
            self.suspicious.len()
        )?;
        for (sample, verdict) in self.suspicious.iter().take(MAX_PICTURES) {
            let path = &sample.crop.path;
            let jpeg = small_jpeg(path).with_context(|| path.display().to_string())?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            write!(
                out,
                "<figure><img src=\"data:image/jpeg;base64,{}\" alt=\"\"><figcaption>{}<br>looks like {} \
                 ({:.0} %)<br><small>{}</small></figcaption></figure>",
                Base64(&jpeg),
                Text(&sample.crop.key),
                Text(&verdict.best),
                100.0 * verdict.probability,
                Text(&name)
            )?;
        }
        out.push_str("</div>");
        Ok(())
    }
}

/// A picture small enough to stand in a page.
pub(crate) fn small_jpeg(path: &Path) -> anyhow::Result<Vec<u8>> {
    let picture = image::ImageReader::open(path)?
        .with_guessed_format()?
        .decode()?;
    let small = picture
        .resize(PICTURE_PX, PICTURE_PX, FilterType::Triangle)
        .into_rgb8();
    let mut jpeg = Cursor::new(Vec::new());
    small.write_to(&mut jpeg, ImageFormat::Jpeg)?;
    Ok(jpeg.into_inner())
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>tsedge adapt</title><style>\
body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2733}\
table{border-collapse:collapse}td,th{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid #dde3ea}\
.good{color:#11643a}.bad{color:#a3161f}.crops{display:flex;flex-wrap:wrap;gap:.8rem}\
figure{margin:0;width:8.5rem;font-size:.8rem;overflow-wrap:anywhere}img{height:64px}</style><body><h1>Adapted region pack</h1>";
