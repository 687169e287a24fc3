//! The way of the car as a plain drawing: north is up, no map tiles, nothing loaded.

use std::io::{self, Write};

use super::journal::Journal;
use super::markup::{Text, clock};
use crate::position::METRES_PER_DEGREE;
use crate::units::RegionCode;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 28.0;
const COLOURS: usize = 6;

/// The colour class of a region, in the order in which regions came.
pub fn colour(order: &[RegionCode], region: RegionCode) -> String {
    let index = order.iter().position(|r| *r == region).unwrap_or(0);
    format!("r{}", index % COLOURS)
}

pub fn write(out: &mut impl Write, journal: &Journal) -> io::Result<()> {
    let points = &journal.route.points;
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Ok(());
    };
    let view = Projection::fitting(points.iter().map(|p| p.position_deg));
    let order = journal.region_order();
    writeln!(
        out,
        r#"<svg class="map" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Track of the car with {} signs">"#,
        journal.signs.items.len()
    )?;
    // A piece a region; each begins at the last point of the one before, so that no gap shows.
    let mut start = 0;
    for i in 1..=points.len() {
        if i < points.len() && points[i].region == points[start].region {
            continue;
        }
        let piece = &points[start.saturating_sub(1)..i];
        let line: Vec<String> = (piece.iter())
            .map(|p| {
                let (x, y) = view.place(p.position_deg);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        writeln!(
            out,
            r#"<polyline class="way {}" points="{}"/>"#,
            colour(&order, points[start].region),
            line.join(" ")
        )?;
        start = i;
    }
    for change in journal.swaps().map(|swap| &swap.event) {
        if let Some((x, y)) = change.position_deg.map(|p| view.place(p)) {
            let from = change.from.unwrap_or(RegionCode::WORLD);
            writeln!(
                out,
                r#"<path class="border" d="M{x:.1} {y:.1}m-8 -8l16 16m0 -16l-16 16"><title>{} {from} to {}</title></path>"#,
                clock(change.time),
                change.to
            )?;
        }
    }
    for sign in &journal.signs.items {
        if let Some((x, y)) = sign.position_deg.map(|p| view.place(p)) {
            let name = sign.event.naming.class().map_or("sign", |c| &c.label_en);
            let title = format!("{} {name}", clock(sign.event.time));
            writeln!(
                out,
                r##"<a href="#t{}" aria-label="{1}"><circle class="dot" cx="{x:.1}" cy="{y:.1}" r="6"><title>{1}</title></circle></a>"##,
                sign.event.track.0,
                Text(&title)
            )?;
        }
    }
    for (point, style) in [(first, "end start"), (last, "end")] {
        let (x, y) = view.place(point.position_deg);
        writeln!(
            out,
            r#"<circle class="{style}" cx="{x:.1}" cy="{y:.1}" r="8"/>"#
        )?;
    }
    view.scale_bar(out)?;
    writeln!(out, "</svg>")?;
    legend(out, &order)
}

fn legend(out: &mut impl Write, order: &[RegionCode]) -> io::Result<()> {
    write!(out, r#"<p class="legend">"#)?;
    for region in order {
        write!(
            out,
            r#"<span><i class="key {}"></i>{region}</span> "#,
            colour(order, *region)
        )?;
    }
    writeln!(
        out,
        r#"<span><i class="key ring"></i>start</span> <span><i class="key full"></i>end</span> <span><i class="key dot"></i>sign</span> <span><b class="cross">×</b> region swap</span></p>"#
    )
}

/// Degrees to the drawing: equirectangular, true to scale at the middle latitude.
struct Projection {
    middle_deg: (f64, f64),
    /// Drawing units a metre.
    scale: f64,
}

impl Projection {
    fn fitting(positions_deg: impl Iterator<Item = (f64, f64)>) -> Self {
        let (mut low, mut high) = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
        for (latitude, longitude) in positions_deg {
            low = (low.0.min(latitude), low.1.min(longitude));
            high = (high.0.max(latitude), high.1.max(longitude));
        }
        let middle_deg = ((low.0 + high.0) / 2.0, (low.1 + high.1) / 2.0);
        let tall_m = (high.0 - low.0) * METRES_PER_DEGREE;
        let wide_m = (high.1 - low.1) * METRES_PER_DEGREE * middle_deg.0.to_radians().cos();
        // A car that stands still is drawn in a view of 50 m.
        let scale = ((WIDTH - 2.0 * MARGIN) / wide_m.max(50.0))
            .min((HEIGHT - 2.0 * MARGIN) / tall_m.max(50.0));
        Self { middle_deg, scale }
    }

    fn place(&self, (latitude, longitude): (f64, f64)) -> (f64, f64) {
        let east_m = (longitude - self.middle_deg.1)
            * METRES_PER_DEGREE
            * self.middle_deg.0.to_radians().cos();
        let north_m = (latitude - self.middle_deg.0) * METRES_PER_DEGREE;
        (
            WIDTH / 2.0 + east_m * self.scale,
            HEIGHT / 2.0 - north_m * self.scale,
        )
    }

    fn scale_bar(&self, out: &mut impl Write) -> io::Result<()> {
        let fits_m = WIDTH / 4.0 / self.scale;
        let decade = 10_f64.powf(fits_m.log10().floor());
        let length_m = [5.0, 2.0, 1.0]
            .map(|n| n * decade)
            .into_iter()
            .find(|m| *m <= fits_m)
            .unwrap_or(decade);
        let text = if length_m >= 1000.0 {
            format!("{} km", length_m / 1000.0)
        } else {
            format!("{length_m} m")
        };
        let y = HEIGHT - 10.0;
        writeln!(
            out,
            r#"<path class="scale" d="M10 {0:.0}v6h{1:.1}v-6"/><text class="scale" x="14" y="{2:.0}">{text}</text>"#,
            y - 6.0,
            length_m * self.scale,
            y - 8.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_way_lies_inside_the_drawing() {
        let corners = [(48.0, 8.0), (48.5, 8.1), (47.9, 9.0)];
        let view = Projection::fitting(corners.into_iter());
        for corner in corners {
            let (x, y) = view.place(corner);
            assert!((MARGIN - 0.1..=WIDTH - MARGIN + 0.1).contains(&x), "{x}");
            assert!((MARGIN - 0.1..=HEIGHT - MARGIN + 0.1).contains(&y), "{y}");
        }
        let (_, north) = view.place((48.5, 8.0));
        let (_, south) = view.place((47.9, 8.0));
        assert!(north < south);
    }

    #[test]
    fn a_car_that_stands_still_is_in_the_middle() {
        let view = Projection::fitting([(48.0, 8.0)].into_iter());
        assert_eq!(view.place((48.0, 8.0)), (WIDTH / 2.0, HEIGHT / 2.0));
    }
}
