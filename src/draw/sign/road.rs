//! Signs at which a kind of road begins or ends, and with it a limit: town boards, motorways, roads for
//! motor vehicles, residential zones.

use super::super::colour::{BLACK, BLUE, GREEN, RED, Rgb, WHITE, YELLOW};
use super::super::glyph::{FRENCH, Face, GERMAN, SWISS, width};
use super::NationalStyle::{self, Ca, Ch, De, Fr, Us};
use super::at;
use super::design::{Design, Mark, design, disc, symbol, text};
use super::plate::Shape::Rectangle;
use super::symbol as art;

/// All keys that stand for a class each.
pub const KEYS: &[&str] = &[
    "town_sign",
    "end_of_town",
    "motorway",
    "end_of_motorway",
    "expressway",
    "end_of_expressway",
    "residential_zone",
    "end_of_residential_zone",
];

/// Boards of further towns, from the second name of each country on.
pub const MORE_TOWNS: &[&str] = &[
    "town_sign_2",
    "town_sign_3",
    "town_sign_4",
    "town_sign_5",
    "town_sign_6",
    "end_of_town_2",
    "end_of_town_3",
    "end_of_town_4",
    "end_of_town_5",
    "end_of_town_6",
];

/// A town, the district on its board (in Switzerland the far place at its end), and the next place.
struct Town(&'static str, &'static str, &'static str);

const GERMAN_TOWNS: [Town; 6] = [
    Town("WEIL", "KREIS LORRACH", "EFRINGEN 5 km"),
    Town("OFFENBURG", "ORTENAUKREIS", "LAHR 18 km"),
    Town("BAD BELLINGEN", "KREIS LORRACH", "AUGGEN 9 km"),
    Town("KEHL", "ORTENAUKREIS", ""),
    Town("EMMENDINGEN", "KREIS EMMENDINGEN", "TENINGEN 3 km"),
    Town("HEITERSHEIM", "BREISGAU", ""),
];
const FRENCH_TOWNS: [Town; 6] = [
    Town("HUNINGUE", "", ""),
    Town("SAINT-LOUIS", "", ""),
    Town("COLMAR", "", ""),
    Town("BARTENHEIM", "", ""),
    Town("SIERENTZ", "", ""),
    Town("NEUF-BRISACH", "", ""),
];
const SWISS_TOWNS: [Town; 6] = [
    Town("BASEL", "DELEMONT 38 km", "BIRSFELDEN"),
    Town("PRATTELN", "ZURICH 75 km", "AUGST"),
    Town("LIESTAL", "OLTEN 28 km", "SISSACH"),
    Town("MUTTENZ", "RHEINFELDEN 12 km", "PRATTELN"),
    Town("RHEINFELDEN", "ZURICH 60 km", "STEIN"),
    Town("AESCH", "DELEMONT 28 km", "GRELLINGEN"),
];

/// The class that a further town's board stands for.
pub fn class(key: &str) -> Option<&'static str> {
    MORE_TOWNS.contains(&key).then(|| {
        if key.starts_with("town") {
            "town_sign"
        } else {
            "end_of_town"
        }
    })
}

/// The design, if the country has it.
pub fn of(style: NationalStyle, key: &str) -> Option<Design> {
    if [Us, Ca].contains(&style) {
        return None;
    }
    if let Some(class) = class(key) {
        let number: usize = key.rsplit('_').next()?.parse().ok()?;
        return board(style, class, number.checked_sub(1)?);
    }
    Some(match key {
        "town_sign" | "end_of_town" => return board(style, key, 0),
        "motorway" => fast(style, art::MOTORWAY, false),
        "end_of_motorway" => fast(style, art::MOTORWAY, true),
        "expressway" => fast(style, art::CAR_FROM_FRONT, false),
        "end_of_expressway" => fast(style, art::CAR_FROM_FRONT, true),
        "residential_zone" => home_zone(style),
        "end_of_residential_zone" if style != Ch => {
            let mut sign = home_zone(style);
            let height = sign.shape.aspect() * 100.0;
            sign.marks
                .push(crossed((6.0, height - 6.0), (94.0, 6.0), 8.0));
            sign
        }
        _ => return None,
    })
}

fn board(style: NationalStyle, class: &str, number: usize) -> Option<Design> {
    let ends = class == "end_of_town";
    match style {
        De => GERMAN_TOWNS.get(number).map(|town| german(town, ends)),
        Fr => FRENCH_TOWNS.get(number).map(|town| french(town, ends)),
        _ => SWISS_TOWNS.get(number).map(|town| swiss(town, ends)),
    }
}

/// The name and its district; at the end the next place above the name struck through.
fn german(town: &Town, ends: bool) -> Design {
    let mut marks = Vec::new();
    if ends {
        marks.push(line(town.2, 18.0, 11.0, GERMAN, BLACK));
        marks.push(line(town.0, 46.0, 15.0, GERMAN, BLACK));
        marks.push(crossed((7.0, 60.0), (93.0, 34.0), 3.5));
    } else {
        marks.push(line(town.0, 26.0, 17.0, GERMAN, BLACK));
        marks.push(line(town.1, 49.0, 8.0, GERMAN, BLACK));
    }
    design(Rectangle(0.65), 1.2, &[(0.0, BLACK), (2.2, YELLOW)], marks)
}

fn french(town: &Town, ends: bool) -> Design {
    let mut marks = vec![line(town.0, 20.0, 15.0, FRENCH, BLACK)];
    if ends {
        marks.push(crossed((5.0, 36.0), (95.0, 4.0), 4.0));
    }
    design(
        Rectangle(0.40),
        1.3,
        &[(0.0, WHITE), (0.8, RED), (4.0, WHITE)],
        marks,
    )
}

/// At the end the next place, nothing is struck through.
fn swiss(town: &Town, ends: bool) -> Design {
    let marks = if ends {
        let rule = Mark::Bar {
            from: (3.0, 25.0),
            to: (97.0, 25.0),
            width: 1.6,
            colour: WHITE,
        };
        vec![
            line(town.2, 14.0, 10.0, SWISS, WHITE),
            rule,
            line(town.1, 37.0, 10.0, SWISS, WHITE),
        ]
    } else {
        vec![line(town.0, 25.0, 16.0, SWISS, WHITE)]
    };
    design(
        Rectangle(0.50),
        1.2,
        &[(0.0, BLUE), (1.0, WHITE), (2.6, BLUE)],
        marks,
    )
}

/// A line of text as high as `most` allows and the board is wide.
fn line(words: &str, cy: f32, most: f32, face: Face, colour: Rgb) -> Mark {
    let height = (86.0 * 100.0 / width(words, &face).max(1.0)).min(most);
    text(words, 50.0, cy, height, face, colour)
}

/// A motorway's or a motor road's square.
fn fast(style: NationalStyle, parts: &'static [super::Part], ends: bool) -> Design {
    let ground = if style == Ch { GREEN } else { BLUE };
    let width_m = if style == De { 0.84 } else { 0.90 };
    let mut marks = vec![symbol(parts, at(50.0, 50.0, 76.0), WHITE)];
    if ends {
        marks.push(crossed((8.0, 92.0), (92.0, 8.0), 9.0));
    }
    design(
        Rectangle(1.0),
        width_m,
        &[(0.0, WHITE), (2.0, ground)],
        marks,
    )
}

/// House, people and a car; France and Switzerland add their limit.
fn home_zone(style: NationalStyle) -> Design {
    let (aspect, width_m, at) = match style {
        De => (0.65, 0.90, at(50.0, 50.0, 100.0)),
        Fr => (1.0, 0.70, at(50.0, 82.0, 88.0)),
        _ => (0.70, 0.70, at(64.0, 47.0, 72.0)),
    };
    let mut marks = vec![symbol(art::HOME_ZONE, at, WHITE)];
    if style != De {
        let (x, y, size) = if style == Fr {
            (24.0, 22.0, 32.0)
        } else {
            (19.0, 27.0, 29.0)
        };
        marks.push(disc(x, y, size, RED));
        marks.push(disc(x, y, size * 0.76, WHITE));
        marks.push(text("20", x, y, size * 0.4, GERMAN, BLACK));
    }
    if style == Ch {
        marks.push(text("ZONE", 19.0, 52.0, 8.5, SWISS, WHITE));
    }
    design(
        Rectangle(aspect),
        width_m,
        &[(0.0, WHITE), (1.5, BLUE)],
        marks,
    )
}

fn crossed(from: (f32, f32), to: (f32, f32), width: f32) -> Mark {
    Mark::Bar {
        from,
        to,
        width,
        colour: RED,
    }
}
