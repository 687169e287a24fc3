//! A recorded track on media time: GPX, or the NMEA 0183 a receiver sent.

use std::path::Path;

use anyhow::{Context, bail};

use super::media::MediaTime;
use super::{Reading, gpx, nmea};

/// Larger files are refused: a day at ten fixes a second stays below.
const MAX_BYTES: u64 = 200 << 20;

/// Reads a track by its ending, `.gpx` or `.nmea`; its first fix is at media time `offset_s`.
pub fn read(path: &Path, offset_s: f64) -> anyhow::Result<Vec<Reading>> {
    let name = || path.display().to_string();
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    let parse: fn(&[u8], f64) -> anyhow::Result<Vec<Reading>> = match ending.to_str() {
        Some("gpx") => gpx::parse,
        Some("nmea") => from_nmea,
        _ => bail!("{}: not a track; expected a .gpx or .nmea file", name()),
    };
    let size = std::fs::metadata(path).with_context(name)?.len();
    if size > MAX_BYTES {
        bail!("{}: {size} bytes, at most {MAX_BYTES} are read", name());
    }
    parse(&std::fs::read(path).with_context(name)?, offset_s).with_context(name)
}

/// A receiver's sentences. What it sent before its first fix has no place in time and is left out.
pub fn from_nmea(bytes: &[u8], offset_s: f64) -> anyhow::Result<Vec<Reading>> {
    let mut media = MediaTime::starting_at(offset_s);
    let mut readings = Vec::new();
    let mut begun = false;
    nmea::Decoder::default().push(bytes, |moment| {
        begun |= matches!(moment.reading, Reading::Fix(_));
        let time = moment.time_of_day_ns.filter(|_| begun);
        if let Some(time) = time.and_then(|utc_ns| media.place(utc_ns)) {
            readings.push(moment.reading.timed(time));
        }
    });
    if readings.is_empty() {
        bail!("no RMC or GGA sentence with a position and a time");
    }
    Ok(readings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rmc(time: &str, date: &str, status: char) -> String {
        let place = match status {
            'A' => "4737.72524,N,00944.41056,E,70.96,181.77",
            _ => ",,,,,",
        };
        let body = format!("GPRMC,{time},{status},{place},{date},,,{status}");
        let sum = body.bytes().fold(0, |a, b| a ^ b);
        format!("${body}*{sum:02X}\r\n")
    }

    fn times(sentences: &[String]) -> Vec<f64> {
        let readings = from_nmea(sentences.concat().as_bytes(), 1.0).unwrap();
        readings.iter().map(|r| r.time().seconds()).collect()
    }

    #[test]
    fn a_wrong_date_moves_nothing() {
        // 1024 weeks back until the second fix, as receivers do after the GPS week rolled over.
        let sentences = [
            rmc("000000.00", "060180", 'V'),
            rmc("235958.00", "121102", 'A'),
            rmc("235959.00", "280622", 'A'),
            rmc("000001.00", "290622", 'A'),
            rmc("000000.00", "290622", 'A'),
            rmc("000004.00", "290622", 'V'),
        ];
        assert_eq!(times(&sentences), [1.0, 2.0, 4.0, 7.0]);
    }

    #[test]
    fn a_file_that_is_no_track_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("drive.txt");
        std::fs::write(&file, "hello").unwrap();
        let error = format!("{:#}", read(&file, 0.0).unwrap_err());
        assert!(
            error.contains("drive.txt: not a track; expected a .gpx or .nmea file"),
            "{error}"
        );
        let file = folder.path().join("drive.NMEA");
        std::fs::write(&file, rmc("000000.00", "060180", 'V')).unwrap();
        let error = format!("{:#}", read(&file, 0.0).unwrap_err());
        assert!(
            error.contains("no RMC or GGA sentence with a position"),
            "{error}"
        );
    }
}
