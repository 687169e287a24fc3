//! Signs that are easily taken for another: a height for a speed, a route number for a limit, a number
//! made of lamps; and the plates that decide whom a limit is for.

use super::super::colour::{BLACK, RED, Rgb, WHITE};
use super::super::glyph::{AMERICAN, Face, GERMAN};
use super::NationalStyle::{self, Ca, Ch, De, Fr, Us};
use super::at;
use super::design::{Design, Mark, design, disc, ring, text};
use super::plate::Shape::{Octagon, Rectangle, TriangleDown, TriangleUp};

const AMBER: Rgb = Rgb(255, 214, 120);
const LAMP_RED: Rgb = Rgb(255, 60, 40);
const NIGHT: Rgb = Rgb(16, 16, 18);

/// All keys of this file.
pub const KEYS: &[&str] = &[
    "height_limit",
    "weight_limit",
    "zone_30",
    "led_40",
    "led_60",
    "led_80",
    "plate_lorries",
    "plate_wet",
    "route_95",
];

/// The class of the packs that a drawing stands for.
pub fn class(key: &str) -> &str {
    match key {
        "led_40" => "speed_limit_40",
        "led_60" => "speed_limit_60",
        "led_80" => "speed_limit_80",
        "plate_lorries" | "plate_wet" | "route_95" => "other_sign",
        key => key,
    }
}

/// The design, if the country has it.
pub fn of(style: NationalStyle, key: &str) -> Option<Design> {
    match style {
        De | Fr | Ch => european(style, key),
        Us => american(key),
        Ca => None,
    }
}

fn european(style: NationalStyle, key: &str) -> Option<Design> {
    let small = Face {
        width: 50.0,
        gap: 9.0,
        ..GERMAN
    };
    let wedge = |shape, y| Mark::Plate {
        shape,
        at: at(50.0, y, 12.0),
        inset: 0.0,
        colour: BLACK,
    };
    Some(match key {
        "height_limit" => ring(
            style,
            vec![
                text("4,5m", 50.0, 50.0, 27.0, small, BLACK),
                wedge(TriangleDown, 25.0),
                wedge(TriangleUp, 75.0),
            ],
        ),
        "weight_limit" => ring(style, vec![text("5,5t", 50.0, 50.0, 30.0, small, BLACK)]),
        "zone_30" => design(
            Rectangle(1.2),
            0.84,
            &[(0.0, BLACK), (1.2, WHITE)],
            vec![
                disc(50.0, 46.0, 80.0, RED),
                disc(50.0, 46.0, 60.0, WHITE),
                text("30", 50.0, 46.0, 34.0, GERMAN, BLACK),
                text("ZONE", 50.0, 103.0, 18.0, small, BLACK),
            ],
        ),
        "led_40" => lamps("40"),
        "led_60" => lamps("60"),
        "led_80" => lamps("80"),
        "plate_lorries" => plate("3,5t"),
        "plate_wet" if style == De => plate("NASS"),
        _ => return None,
    })
}

fn american(key: &str) -> Option<Design> {
    // A white shield on a black square.
    (key == "route_95").then(|| {
        design(
            Rectangle(1.0),
            0.61,
            &[(0.0, BLACK)],
            vec![
                Mark::Plate {
                    shape: Octagon,
                    at: at(50.0, 46.0, 88.0),
                    inset: 0.0,
                    colour: WHITE,
                },
                Mark::Plate {
                    shape: TriangleDown,
                    at: at(50.0, 66.0, 62.0),
                    inset: 0.0,
                    colour: WHITE,
                },
                text("95", 50.0, 48.0, 48.0, AMERICAN, BLACK),
            ],
        )
    })
}

/// Lamps on a dark board: a red ring of them and an amber number.
fn lamps(number: &str) -> Design {
    let thin = Face {
        weight: 9.0,
        ..GERMAN
    };
    design(
        Rectangle(1.0),
        1.0,
        &[(0.0, BLACK), (1.5, NIGHT)],
        vec![
            Mark::Ring {
                radius: 42.0,
                width: 5.0,
                colour: LAMP_RED,
            },
            text(number, 50.0, 50.0, 42.0, thin, AMBER),
        ],
    )
}

fn plate(words: &str) -> Design {
    let narrow = Face {
        width: 48.0,
        gap: 10.0,
        ..GERMAN
    };
    design(
        Rectangle(0.5),
        0.60,
        &[(0.0, WHITE), (1.0, BLACK), (3.0, WHITE)],
        vec![text(words, 50.0, 25.0, 20.0, narrow, BLACK)],
    )
}
