//! Sentences in the manner of NMEA 0183: `$PTSE…*hh`, at most 82 characters, the checksum the XOR of what
//! stands between `$` and `*`.
//!
//! | sentence | fields | when |
//! |---|---|---|
//! | `$PTSES` | state, reasons (hexadecimal bits), region, age of the newest frame in ms | every second, on change |
//! | `$PTSEL` | state, value, unit, probability | every second, on change |
//! | `$PTSEG` | step (`C` confirmed, `L` lost), track, class, national code, value, unit, probability | a sign |

use std::fmt::Write as _;

use crate::event::{AdviceState, SignEvent, SpeedAdvice};
use crate::health::{HealthState, Reasons};
use crate::units::{RegionCode, SpeedUnit};

/// Longest sentence, `$` and line end included (NMEA 0183).
pub const MAX_LEN: usize = 82;
/// Longest text of a field that comes from a pack.
const MAX_TEXT: usize = 24;

/// A sentence's fields before checksum and line end. A heapless string: telling allocates nothing.
type Body = heapless::String<{ MAX_LEN - 6 }>;

/// A whole sentence with its line end.
pub type Sentence = heapless::String<MAX_LEN>;

/// `$PTSES`.
pub fn status(
    (state, reasons): (HealthState, Reasons),
    region: RegionCode,
    frame_age_ms: Option<u32>,
) -> Sentence {
    let state = match state {
        HealthState::Init => "INIT",
        HealthState::Normal => "NORMAL",
        HealthState::Degraded => "DEGRADED",
        HealthState::Fault => "FAULT",
    };
    let mut body = Body::new();
    let _ = write!(body, "PTSES,{state},{:03X},{region},", reasons.bits());
    if let Some(age) = frame_age_ms {
        let _ = write!(body, "{age}");
    }
    close(&body)
}

/// `$PTSEL`; without advice there is no limit.
pub fn limit(advice: Option<&SpeedAdvice>) -> Sentence {
    let mut body = Body::new();
    let _ = body.push_str("PTSEL,");
    match advice {
        None => {
            let _ = body.push_str("NONE,,,");
        }
        Some(advice) => {
            let _ = body.push_str(match advice.state {
                // What stands, whatever was before it.
                _ if advice.rule.is_some() => "RULE,",
                _ if advice.value.is_some() => "SIGN,",
                AdviceState::Set | AdviceState::Rule => "NONE,",
                AdviceState::Ambiguous => "AMBIGUOUS,",
                AdviceState::Ended => "ENDED,",
                AdviceState::Expired => "EXPIRED,",
            });
            amount(&mut body, advice.value, advice.unit);
            if advice.value.is_some() {
                let _ = write!(body, "{:.2}", advice.confidence);
            }
        }
    }
    close(&body)
}

/// `$PTSEG`; `None` for a track without a class.
pub fn sign(step: char, sign: &SignEvent) -> Option<Sentence> {
    let class = sign.naming.class()?;
    let mut body = Body::new();
    let _ = write!(body, "PTSEG,{step},{},", sign.track.0);
    text(&mut body, &class.key);
    text(&mut body, class.national_code.as_deref().unwrap_or(""));
    amount(&mut body, class.value, class.unit);
    let _ = write!(body, "{:.2}", sign.probability);
    Some(close(&body))
}

fn amount(body: &mut Body, value: Option<f32>, unit: Option<SpeedUnit>) {
    if let Some(value) = value {
        let _ = write!(body, "{}", value.clamp(-9999.0, 9999.0));
    }
    let _ = body.push_str(match unit {
        Some(SpeedUnit::KilometresPerHour) => ",K,",
        Some(SpeedUnit::MilesPerHour) => ",M,",
        None => ",,",
    });
}

/// Texts come from packs: what could end a field or a sentence is replaced.
fn text(body: &mut Body, text: &str) {
    for c in text.chars().take(MAX_TEXT) {
        let plain = c.is_ascii_graphic() && !matches!(c, ',' | '*' | '$' | '!' | '\\');
        let _ = body.push(if plain { c } else { '_' });
    }
    let _ = body.push(',');
}

/// NMEA 0183: the XOR of all bytes.
fn checksum(body: &str) -> u8 {
    body.bytes().fold(0, |sum, byte| sum ^ byte)
}

fn close(body: &Body) -> Sentence {
    let checksum = checksum(body);
    let mut sentence = Sentence::new();
    // Six characters longer than the body at most.
    let _ = write!(sentence, "${body}*{checksum:02X}\r\n");
    sentence
}

/// The fields of a sentence whose checksum fits; what a receiver does.
pub fn parse(line: &str) -> Option<Vec<&str>> {
    let (body, told) = line
        .strip_prefix('$')?
        .trim_end_matches(['\r', '\n'])
        .split_once('*')?;
    let value = u8::from_str_radix(told, 16).ok()?;
    (told.len() == 2 && checksum(body) == value).then(|| body.split(',').collect())
}
