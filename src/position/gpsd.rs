//! gpsd's JSON reports: TPV gives the position, all other classes are skipped.
//!
//! Only the fields that are used are read, so that a report of an odd shape costs no more than itself.

use serde::Deserialize;

use super::{Fix, Reading};
use crate::units::Timestamp;

/// Where gpsd listens unless told otherwise.
pub const USUAL_ADDRESS: &str = "127.0.0.1:2947";
/// Asks for reports; sent once after connecting.
pub const WATCH: &[u8] = b"?WATCH={\"enable\":true,\"json\":true};\n";
/// SKY and DEVICES reports reach a few thousand bytes.
const LONGEST_LINE: usize = 16 * 1024;

/// The fields of TPV that are used; gpsd leaves out what it does not know.
#[derive(Deserialize)]
struct Report {
    class: String,
    #[serde(default)]
    mode: u8,
    lat: Option<f64>,
    lon: Option<f64>,
    /// Metres a second.
    speed: Option<f32>,
    /// Degrees from true north.
    track: Option<f32>,
    /// Estimated horizontal error in metres; `epx` and `epy` in older releases.
    eph: Option<f32>,
    epx: Option<f32>,
    epy: Option<f32>,
}

/// A reading from one line, with time zero; `None` for everything but a sound TPV.
pub fn parse_line(line: &[u8]) -> Option<Reading> {
    let report: Report = serde_json::from_slice(line).ok()?;
    if report.class != "TPV" {
        return None;
    }
    let place = report.lat.zip(report.lon).filter(|_| report.mode >= 2);
    let fix = place.and_then(|(lat, lon)| Fix::at(Timestamp::ZERO, lat, lon));
    let Some(mut fix) = fix else {
        return Some(Reading::NoFix(Timestamp::ZERO));
    };
    let sound = |v: &f32| v.is_finite() && *v >= 0.0;
    fix.speed_mps = report.speed.filter(sound);
    fix.heading_deg = report.track.filter(|v| sound(v) && *v <= 360.0);
    let axes = report.epx.zip(report.epy).map(|(x, y)| x.hypot(y));
    fix.accuracy_m = report.eph.or(axes).filter(sound);
    Some(Reading::Fix(fix))
}

/// Bytes in, readings out, in bounded memory.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    line: Vec<u8>,
    too_long: bool,
}

impl Decoder {
    /// Takes the next bytes; `take` is told every reading they complete.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Reading)) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    if !self.too_long
                        && let Some(reading) = parse_line(&self.line)
                    {
                        take(reading);
                    }
                    self.line.clear();
                    self.too_long = false;
                }
                byte if self.line.len() < LONGEST_LINE => self.line.push(*byte),
                _ => self.too_long = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_gpsd_3_22_are_read() {
        let tpv = br#"{"class":"TPV","device":"/dev/pts/3","status":1,"mode":3,"time":"2023-06-21T21:10:24.000Z","ept":0.005,"lat":48.833020000,"lon":8.110140000,"altHAE":160.0,"epx":4.0,"epy":3.0,"track":182.5,"speed":27.100,"eph":5.5}"#;
        let Some(Reading::Fix(fix)) = parse_line(tpv) else {
            panic!("no fix");
        };
        assert_eq!(fix.position_deg(), (48.833_02, 8.110_14));
        assert_eq!((fix.speed_mps, fix.heading_deg), (Some(27.1), Some(182.5)));
        assert_eq!(fix.accuracy_m, Some(5.5));
        let none = br#"{"class":"TPV","device":"/dev/pts/3","mode":1}"#;
        assert_eq!(parse_line(none), Some(Reading::NoFix(Timestamp::ZERO)));
    }

    #[test]
    fn what_is_no_position_is_skipped() {
        for line in [
            &br#"{"class":"DEVICE","path":"/dev/pts/3","activated":0}"#[..],
            br#"{"class":"VERSION","release":"3.22","proto_major":3}"#,
            br#"{"class":"TPV","mode":"three"}"#,
            b"",
            b"\xff\xfe",
            b"[[[[",
        ] {
            assert_eq!(parse_line(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory_and_the_next_line_counts() {
        let mut decoder = Decoder::default();
        let mut found = 0;
        for _ in 0..100 {
            decoder.push(&[b'x'; 1000], |_| found += 1);
        }
        assert!(decoder.line.len() <= LONGEST_LINE);
        decoder.push(b"\n{\"class\":\"TPV\",\"mode\":1}\n", |_| found += 1);
        assert_eq!(found, 1);
    }
}
