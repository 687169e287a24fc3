//! NMEA 0183: the sentences RMC and GGA of any talker, from bytes however they are cut.
//!
//! A moment is told by its RMC (status, place, speed, course); the GGA beside it adds how good the
//! position is. Receivers that send GGA alone are understood too. Lines that are damaged, unknown or too
//! long are skipped: the next good one counts.

use chrono::Timelike;
use nmea::ParseResult;
use nmea::sentences::rmc::RmcStatusOfFix;
use nmea::sentences::{FixType, GgaData, RmcData};

use super::{Fix, Reading};
use crate::units::Timestamp;

/// NMEA 0183 allows 82 characters; receivers send a few more.
const LONGEST_LINE: usize = 128;
/// Metres of error for a dilution of 1, as receivers of the L1 band state it.
const METRES_A_DILUTION: f32 = 5.0;
/// So many GGA in a row without an RMC: this receiver sends none.
const GGA_ALONE: u8 = 3;
const MPS_A_KNOT: f32 = 1852.0 / 3600.0;

/// What the sentences of one moment said. The reading's time is zero: who reads the bytes knows when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// UTC time of day in nanoseconds, if the receiver knows it.
    pub time_of_day_ns: Option<i64>,
    /// Position or none.
    pub reading: Reading,
}

/// Bytes in, moments out.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    line: heapless::Vec<u8, LONGEST_LINE>,
    too_long: bool,
    accuracy: Option<(i64, f32)>,
    gga_alone: u8,
}

impl Decoder {
    /// Takes the next bytes; `take` is told every moment they complete.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Moment)) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    if !self.too_long
                        && let Some(moment) = self.line_complete()
                    {
                        take(moment);
                    }
                    self.line.clear();
                    self.too_long = false;
                }
                // A sentence begins anew after a cut one.
                b'$' => {
                    self.line.clear();
                    self.too_long = self.line.push(b'$').is_err();
                }
                byte => self.too_long |= self.line.push(*byte).is_err(),
            }
        }
    }

    fn line_complete(&mut self) -> Option<Moment> {
        let line = std::str::from_utf8(&self.line).ok()?;
        match nmea::parse_str(line).ok()? {
            ParseResult::RMC(rmc) => {
                self.gga_alone = 0;
                Some(self.rmc(&rmc))
            }
            ParseResult::GGA(gga) => self.gga(&gga),
            _ => None,
        }
    }

    fn rmc(&self, rmc: &RmcData) -> Moment {
        let time_of_day_ns = rmc.fix_time.map(time_of_day_ns);
        let valid = rmc.status_of_fix != RmcStatusOfFix::Invalid;
        let place = valid.then_some(()).and(rmc.lat.zip(rmc.lon));
        let reading = reading(place, |fix| {
            fix.speed_mps = rmc.speed_over_ground.map(|knots| knots * MPS_A_KNOT);
            fix.heading_deg = rmc.true_course;
            // The GGA of this moment, or of the one just before.
            fix.accuracy_m = (self.accuracy.zip(time_of_day_ns))
                .filter(|((at, _), now)| (now - at).abs() <= 2_000_000_000)
                .map(|((_, metres), _)| metres);
        });
        Moment {
            time_of_day_ns,
            reading,
        }
    }

    fn gga(&mut self, gga: &GgaData) -> Option<Moment> {
        let time_of_day_ns = gga.fix_time.map(time_of_day_ns);
        let accuracy_m = gga.hdop.map(|dilution| dilution * METRES_A_DILUTION);
        self.accuracy = time_of_day_ns.zip(accuracy_m);
        if self.gga_alone < GGA_ALONE {
            self.gga_alone += 1;
            return None;
        }
        let valid = gga.fix_type.is_some_and(|fix| fix != FixType::Invalid);
        let place = valid.then_some(()).and(gga.latitude.zip(gga.longitude));
        Some(Moment {
            time_of_day_ns,
            reading: reading(place, |fix| fix.accuracy_m = accuracy_m),
        })
    }
}

/// The crate takes any number for a place; only those on the globe are one.
fn reading(place: Option<(f64, f64)>, fill: impl FnOnce(&mut Fix)) -> Reading {
    let time = Timestamp::ZERO;
    match place.and_then(|(latitude, longitude)| Fix::at(time, latitude, longitude)) {
        Some(mut fix) => {
            fill(&mut fix);
            let sound = |v: &f32| v.is_finite() && *v >= 0.0;
            fix.speed_mps = fix.speed_mps.filter(sound);
            fix.heading_deg = fix.heading_deg.filter(|v| sound(v) && *v <= 360.0);
            fix.accuracy_m = fix.accuracy_m.filter(sound);
            Reading::Fix(fix)
        }
        None => Reading::NoFix(time),
    }
}

fn time_of_day_ns(time: chrono::NaiveTime) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GGA: &str =
        "$GPGGA,073951.00,4737.72524,N,00944.41056,E,1,09,0.9,538.2,M,47.0,M,,*64\r\n";
    const RMC: &str =
        "$GPRMC,073951.00,A,4737.72524,N,00944.41056,E,70.96,181.77,280522,,,A*66\r\n";
    const VOID: &str = "$GPRMC,110520.00,V,,,,,,,070622,,,N*7B\r\n";

    fn moments(text: &str) -> Vec<Moment> {
        let mut found = Vec::new();
        Decoder::default().push(text.as_bytes(), |m| found.push(m));
        found
    }

    fn fix(moment: &Moment) -> Fix {
        match moment.reading {
            Reading::Fix(fix) => fix,
            Reading::NoFix(_) => panic!("no fix"),
        }
    }

    #[test]
    fn rmc_tells_the_moment_and_gga_how_good_it_is() {
        let found = moments(&[GGA, RMC].concat());
        assert_eq!(found.len(), 1);
        let fix = fix(&found[0]);
        assert!((fix.latitude_deg - 47.628_754).abs() < 1e-6);
        assert!((fix.longitude_deg - 9.740_176).abs() < 1e-6);
        assert!((fix.speed_mps.unwrap() - 36.505).abs() < 0.01);
        assert_eq!(fix.heading_deg, Some(181.77));
        assert!((fix.accuracy_m.unwrap() - 4.5).abs() < 1e-3);
        assert_eq!(found[0].time_of_day_ns, Some(27_591_000_000_000));
    }

    #[test]
    fn a_void_sentence_says_that_there_is_no_fix() {
        let found = moments(VOID);
        assert_eq!(found[0].reading, Reading::NoFix(Timestamp::ZERO));
    }

    #[test]
    fn gga_alone_is_enough_for_receivers_that_send_no_rmc() {
        assert_eq!(moments(&GGA.repeat(5)).len(), 2);
        assert_eq!(moments(&[GGA, RMC].concat().repeat(5)).len(), 5);
    }

    #[test]
    fn damaged_and_foreign_lines_are_skipped_and_the_next_counts() {
        let flipped = RMC.replace("4737", "4837");
        let cut = &RMC[..40];
        let long = "x".repeat(5000);
        let text = [&flipped, cut, RMC, "$GPGSV,hello*00\r\n", &long, "\n", RMC].concat();
        assert_eq!(moments(&text).len(), 2);
    }

    #[test]
    fn zeros_and_places_off_the_globe_are_no_fix() {
        for (latitude, longitude) in [
            ("0000.0000,N", "00000.0000,E"),
            ("9959.0000,N", "00944.4,E"),
        ] {
            let body = format!("GPRMC,073951.00,A,{latitude},{longitude},0.0,0.0,280522,,,A");
            let sum = body.bytes().fold(0, |a, b| a ^ b);
            let found = moments(&format!("${body}*{sum:02X}\r\n"));
            assert!(
                found.iter().all(|m| matches!(m.reading, Reading::NoFix(_))),
                "{found:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(cuts in prop::collection::vec(1_usize..40, 1..60)) {
            let text = [GGA, RMC, VOID, "noise", GGA, RMC].concat();
            let whole = moments(&text);
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            let mut rest = text.as_bytes();
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at(cut.min(rest.len()));
                decoder.push(now, |m| found.push(m));
                rest = later;
            }
            prop_assert_eq!(found, whole);
        }

        #[test]
        fn any_bytes_give_sound_fixes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            Decoder::default().push(&bytes, |m| if let Reading::Fix(f) = m.reading {
                assert!(f.latitude_deg.abs() <= 90.0 && f.longitude_deg.abs() <= 180.0);
            });
        }
    }
}
