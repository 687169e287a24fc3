//! The console: a row for each confirmed sign, speed-limit change and region change, as it comes.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use super::Output;
use crate::event::{
    AdviceState, Event, ExpiryReason, HealthEvent, RegionEvent, SignEvent, SpeedAdvice,
};
use crate::health::HealthState;
use crate::units::Timestamp;

/// Prints one line, without the line feed; may go through a progress bar.
pub type LinePrinter = Box<dyn FnMut(&str) -> io::Result<()> + Send>;

const LABEL_WIDTH: usize = 38;
const CODE_WIDTH: usize = 10;

/// Writes rows for a person.
pub struct Table {
    print: LinePrinter,
    colour: bool,
    header_printed: bool,
    row: String,
}

impl Table {
    /// Prints through `print`; with ANSI colours when `colour` is set.
    pub fn new(colour: bool, print: LinePrinter) -> Self {
        Self {
            print,
            colour,
            header_printed: false,
            row: String::with_capacity(160),
        }
    }

    /// True when standard output is a terminal and `NO_COLOR` is unset or empty.
    pub fn wants_colour() -> bool {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        !refused && io::stdout().is_terminal()
    }

    fn print_row(&mut self, style: Style) -> io::Result<()> {
        if !self.header_printed {
            let header = format!(
                "{:>8}  {:<LABEL_WIDTH$}  {:<CODE_WIDTH$}  {:>5}  region",
                "time", "sign", "code", "prob."
            );
            (self.print)(&Style::Dim.paint(&header, self.colour))?;
            self.header_printed = true;
        }
        (self.print)(&style.paint(self.row.trim_end(), self.colour))
    }

    fn sign(&mut self, e: &SignEvent) -> io::Result<()> {
        let Some(class) = e.naming.class() else {
            return Ok(());
        };
        let code = class.national_code.as_deref().unwrap_or("");
        self.columns(e.time, &class.label_en, code, Some(e.probability), e.region);
        self.print_row(Style::Plain)
    }

    fn speed_limit(&mut self, e: &SpeedAdvice) -> io::Result<()> {
        let mut text = String::from("= speed limit ");
        match (e.value, e.unit) {
            (Some(value), Some(unit)) => {
                let _ = write!(text, "{value} {unit}");
            }
            (Some(value), None) => {
                let _ = write!(text, "{value}");
            }
            (None, _) => text.push_str(match e.state {
                AdviceState::Set | AdviceState::Rule => "none",
                AdviceState::Ended => "ended by a sign",
                AdviceState::Expired => expired(e.reason),
                AdviceState::Ambiguous => "unclear:",
            }),
        }
        for value in &e.candidates {
            let _ = write!(text, " {value}");
        }
        if e.rule.is_some() {
            text.push_str(" by rule");
        }
        if let Some(value) = e.conditional_value {
            let _ = write!(text, ", on condition {value}");
        }
        self.columns(e.time, &text, "", Some(e.confidence), e.region);
        self.print_row(Style::Green)
    }

    fn region(&mut self, e: &RegionEvent) -> io::Result<()> {
        let mut text = match e.from {
            Some(from) => format!("> region {from} to {}", e.to),
            None => format!("> region {}", e.to),
        };
        if e.pack != e.to {
            let _ = write!(text, ", pack {}", e.pack);
        }
        self.columns(e.time, &text, "", None, e.to);
        self.print_row(Style::Cyan)
    }

    fn health(&mut self, e: &HealthEvent) -> io::Result<()> {
        let mut text = match e.state {
            HealthState::Init => String::from("! starting"),
            HealthState::Normal => String::from("! normal"),
            HealthState::Degraded => format!("! degraded: {}", e.reasons),
            HealthState::Fault => format!("! fault: {}", e.reasons),
        };
        if let Some(detail) = &e.detail {
            let _ = write!(text, ": {detail}");
        }
        let text: String = (text.chars())
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        self.row.clear();
        let _ = write!(self.row, "{:>8}  {text}", minutes(e.time));
        self.print_row(Style::Red)
    }

    fn columns(
        &mut self,
        time: Timestamp,
        text: &str,
        code: &str,
        probability: Option<f32>,
        region: crate::units::RegionCode,
    ) {
        let probability = probability.map_or(String::new(), |p| format!("{p:.3}"));
        let (text, code) = (fitted(text, LABEL_WIDTH), fitted(code, CODE_WIDTH));
        self.row.clear();
        let _ = write!(
            self.row,
            "{:>8}  {text}  {code}  {probability:>5}  {region}",
            minutes(time)
        );
    }
}

fn expired(reason: Option<ExpiryReason>) -> &'static str {
    match reason {
        Some(ExpiryReason::Border) => "expired: new region",
        Some(ExpiryReason::Distance) => "expired: not repeated",
        Some(ExpiryReason::Time) => "expired: too old",
        Some(ExpiryReason::Junction) => "expired: junction",
        Some(ExpiryReason::Turn) => "expired: turned off",
        None => "expired",
    }
}

impl Output for Table {
    fn name(&self) -> &str {
        "console"
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::SignConfirmed(e) => self.sign(e),
            Event::SpeedLimit(e) => self.speed_limit(e),
            Event::Region(e) => self.region(e),
            Event::Health(e) => self.health(e),
            // A person wants the named signs; the closing text is `report::summary_text`.
            Event::SignSeen(_) | Event::SignLost(_) | Event::Summary(_) => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Style {
    Plain,
    Dim,
    Green,
    Cyan,
    Red,
}

impl Style {
    fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            _ if !colour => return text.to_owned(),
            Self::Plain => return text.to_owned(),
            Self::Dim => 2,
            Self::Green => 32,
            Self::Cyan => 36,
            Self::Red => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// `m:ss.t`.
pub fn minutes(time: Timestamp) -> String {
    let tenths = (time.seconds() * 10.0).round() as i64;
    let sign = if tenths < 0 { "-" } else { "" };
    let tenths = tenths.unsigned_abs();
    format!(
        "{sign}{}:{:02}.{}",
        tenths / 600,
        tenths / 10 % 60,
        tenths % 10
    )
}

/// Exactly `width` characters. Names come from pack files: what could steer a terminal is replaced.
fn fitted(text: &str, width: usize) -> String {
    let mut fitted: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(width)
        .collect();
    let len = text.chars().count();
    if len > width {
        fitted.pop();
        fitted.push('…');
    }
    fitted.extend(std::iter::repeat_n(' ', width.saturating_sub(len)));
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_carry_into_the_next_one() {
        for (seconds, text) in [(0.0, "0:00.0"), (59.96, "1:00.0"), (754.25, "12:34.3")] {
            assert_eq!(minutes(Timestamp::from_seconds(seconds)), text);
        }
        assert_eq!(minutes(Timestamp::from_seconds(-1.5)), "-0:01.5");
    }

    #[test]
    fn names_keep_the_width_and_cannot_steer_the_terminal() {
        assert_eq!(fitted("Überholverbot", 15), "Überholverbot  ");
        assert_eq!(fitted("Überholverbot", 5), "Über…");
        assert_eq!(fitted("a\x1b[2Jb", 6), "a?[2Jb");
    }
}
