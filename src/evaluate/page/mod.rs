//! One HTML page a result, without a script and without the network.

mod crops;
mod drive;
mod sheet;

use std::fmt::Display;

pub use crops::{Picture, crops};
pub use drive::drive;
pub use sheet::sheet;

use super::interval::Estimate;
use crate::report::html::markup::Text;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:#1c2733}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .9rem .2rem 0;text-align:left;border-bottom:1px solid #dde3ea;vertical-align:top}\
.better{color:#11643a}.worse{color:#a3161f}.crops{display:flex;flex-wrap:wrap;gap:.8rem}\
figure{margin:0;width:9rem;font-size:.8rem;overflow-wrap:anywhere}img{height:64px}small{color:#5b6875}";

/// A page that grows from top to bottom.
pub(super) struct Page(String);

impl Page {
    /// With its title.
    pub fn new(title: &str) -> Self {
        let title = Text(title);
        Self(format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><body><h1>{title}</h1>"
        ))
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.0.push_str(&format!("<h2>{}</h2>", Text(text)));
    }

    /// Words.
    pub fn words(&mut self, text: &str) {
        self.0.push_str(&format!("<p>{}</p>", Text(text)));
    }

    /// A table; the last cell of a row may have a class of its own (see [`Cell`]).
    pub fn table(&mut self, heads: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) {
        self.0.push_str("<table><tr>");
        for head in heads {
            self.0.push_str(&format!("<th>{}", Text(head)));
        }
        self.0.push_str("</tr>");
        for row in rows {
            self.0.push_str("<tr>");
            for Cell(text, class) in row {
                let text = Text(&text);
                self.0.push_str(&match class {
                    Some(class) => format!("<td class={class}>{text}"),
                    None => format!("<td>{text}"),
                });
            }
            self.0.push_str("</tr>\n");
        }
        self.0.push_str("</table>");
    }

    /// Markup that is safe already.
    pub fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// The whole page.
    pub fn end(mut self) -> String {
        self.0.push_str("</body></html>\n");
        self.0
    }
}

/// Text in a table, and the class that colours it.
pub(super) struct Cell(pub String, pub Option<&'static str>);

/// A plain cell.
pub(super) fn cell(text: impl Display) -> Cell {
    Cell(text.to_string(), None)
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// The same with its interval.
pub(super) fn with_interval(e: &Estimate) -> String {
    format!(
        "{:.2} % ({:.2} to {:.2})",
        100.0 * e.value,
        100.0 * e.low,
        100.0 * e.high
    )
}
