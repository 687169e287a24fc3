//! The drive's positions as a GPX track.

use std::io::Write;

use anyhow::Context;
use toml::value::Datetime;

/// A point of the track.
pub struct TrackPoint {
    /// Since the first frame.
    pub time_s: f64,
    /// North.
    pub latitude_deg: f64,
    /// East.
    pub longitude_deg: f64,
}

/// Writes GPX 1.1; the first frame is at `start`.
pub fn write(mut out: impl Write, start: &Datetime, points: &[TrackPoint]) -> anyhow::Result<()> {
    let epoch_ms = epoch_ms(start)
        .context("start: a date and time in UTC is needed, such as 2026-05-04T09:30:00Z")?;
    out.write_all(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gpx version=\"1.1\" creator=\"tsedge simulate\" \
          xmlns=\"http://www.topografix.com/GPX/1/1\">\n<trk><trkseg>\n",
    )?;
    for point in points {
        writeln!(
            out,
            "<trkpt lat=\"{:.7}\" lon=\"{:.7}\"><time>{}</time></trkpt>",
            point.latitude_deg,
            point.longitude_deg,
            timestamp(epoch_ms + (point.time_s * 1e3).round() as i64)
        )?;
    }
    out.write_all(b"</trkseg></trk>\n</gpx>\n")?;
    Ok(out.flush()?)
}

/// Milliseconds since 1970 of a full UTC date and time.
pub fn epoch_ms(date_time: &Datetime) -> Option<i64> {
    let (date, time) = (date_time.date?, date_time.time?);
    if date_time.offset != Some(toml::value::Offset::Z) {
        return None;
    }
    let days = days_from_civil(
        i64::from(date.year),
        i64::from(date.month),
        i64::from(date.day),
    );
    let clock = i64::from(time.hour) * 3600
        + i64::from(time.minute) * 60
        + i64::from(time.second.unwrap_or(0));
    Some((days * 86_400 + clock) * 1000)
}

fn timestamp(epoch_ms: i64) -> String {
    let (days, ms) = (
        epoch_ms.div_euclid(86_400_000),
        epoch_ms.rem_euclid(86_400_000),
    );
    let (year, month, day) = civil_from_days(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}

/// Days since 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let day = of_year - (153 * march + 2) / 5 + 1;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_round_trip() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2024-02-29T23:59:59.000Z",
            "2026-05-04T09:30:00.000Z",
            "2100-03-01T00:00:00.000Z",
        ] {
            let parsed: Datetime = text.parse().unwrap();
            assert_eq!(timestamp(epoch_ms(&parsed).unwrap()), text);
        }
        assert_eq!(
            epoch_ms(&"2000-01-01T00:00:00Z".parse().unwrap()),
            Some(946_684_800_000)
        );
        assert_eq!(epoch_ms(&"2000-01-01".parse().unwrap()), None);
    }
}
