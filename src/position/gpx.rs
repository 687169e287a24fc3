//! A recorded track as GPX 1.0 or 1.1.

use anyhow::{Context, bail};

use super::media::MediaTime;
use super::{Fix, Reading};

/// All track points with a time, in order; the first one is at media time `offset_s`.
pub fn parse(bytes: &[u8], offset_s: f64) -> anyhow::Result<Vec<Reading>> {
    let gpx = gpx::read(bytes).context("not a GPX track")?;
    let mut media = MediaTime::starting_at(offset_s);
    let mut readings = Vec::new();
    for point in gpx
        .tracks
        .iter()
        .flat_map(|t| &t.segments)
        .flat_map(|s| &s.points)
    {
        let Some(time) = point.time else { continue };
        // Steps back in time are left out: such points would never be reached.
        let Some(time) = media.place(time_nanos(time)?) else {
            continue;
        };
        let (latitude_deg, longitude_deg) = (point.point().y(), point.point().x());
        if let Some(mut fix) = Fix::at(time, latitude_deg, longitude_deg) {
            fix.speed_mps = point.speed.map(|v| v as f32);
            readings.push(Reading::Fix(fix));
        }
    }
    if readings.is_empty() {
        bail!("no track point has a time: export the track with time stamps");
    }
    Ok(readings)
}

fn time_nanos(time: gpx::Time) -> anyhow::Result<i64> {
    let text = time.format().context("a track point's time")?;
    let date = text
        .parse::<Rfc3339>()
        .map_err(|()| anyhow::anyhow!("`{text}` is not a time"))?;
    Ok(date.0)
}

/// Nanoseconds since 1970 of `YYYY-MM-DDThh:mm:ss[.f]Z`, as the GPX reader prints times.
struct Rfc3339(i64);

impl std::str::FromStr for Rfc3339 {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (date, clock) = text.trim_end_matches('Z').split_once('T').ok_or(())?;
        let number = |s: &str| s.parse::<i64>().map_err(|_| ());
        let mut ymd = date.split('-').map(number);
        let mut next = || ymd.next().ok_or(())?;
        let (year, month, day) = (next()?, next()?, next()?);
        let mut parts = clock.split(':');
        let mut next = || parts.next().ok_or(());
        let (hour, minute, second) = (number(next()?)?, number(next()?)?, next()?);
        let second: f64 = second.parse().map_err(|_| ())?;
        // Days since 1970 of the proleptic Gregorian calendar, years counted from March.
        let (y, m) = if month > 2 {
            (year, month - 3)
        } else {
            (year - 1, month + 9)
        };
        let days = 365 * y + y.div_euclid(4) - y.div_euclid(100)
            + y.div_euclid(400)
            + (153 * m + 2) / 5
            + day
            - 719_469;
        let seconds = days * 86_400 + hour * 3_600 + minute * 60;
        Ok(Self(
            seconds * 1_000_000_000 + (second * 1e9).round() as i64,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(points: &[(&str, f64)]) -> String {
        let points: String = points
            .iter()
            .map(|(time, lat)| {
                format!(r#"<trkpt lat="{lat}" lon="8.1"><time>{time}</time></trkpt>"#)
            })
            .collect();
        format!(
            r#"<?xml version="1.0"?><gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>"#
        )
    }

    #[test]
    fn times_count_from_the_first_point() {
        let text = track(&[
            ("2024-02-29T23:59:59Z", 48.1),
            ("2024-03-01T00:00:00.500Z", 48.2),
            ("2024-02-28T00:00:00Z", 50.0),
            ("2024-03-01T00:01:00Z", 48.3),
        ]);
        let fixes = parse(text.as_bytes(), 2.0).unwrap();
        let seen: Vec<(f64, f64)> = fixes
            .iter()
            .map(|r| match r {
                Reading::Fix(f) => (f.time.seconds(), f.latitude_deg),
                Reading::NoFix(_) => panic!("a point is a fix"),
            })
            .collect();
        assert_eq!(seen, [(2.0, 48.1), (3.5, 48.2), (63.0, 48.3)]);
    }

    #[test]
    fn a_date_that_jumps_by_years_moves_nothing() {
        let text = track(&[
            ("2004-02-29T10:00:00Z", 48.1),
            ("2023-10-15T10:00:01Z", 48.2),
            ("2023-10-15T10:00:02Z", 48.3),
        ]);
        let times: Vec<f64> = (parse(text.as_bytes(), 0.0).unwrap().iter())
            .map(|r| r.time().seconds())
            .collect();
        assert_eq!(times, [0.0, 1.0, 2.0]);
    }

    #[test]
    fn a_track_without_times_is_refused_with_the_remedy() {
        let text = track(&[]);
        let error = parse(text.as_bytes(), 0.0).unwrap_err().to_string();
        assert!(
            error.contains("export the track with time stamps"),
            "{error}"
        );
        assert!(parse(&b"<gpx"[..], 0.0).is_err());
    }
}
