//! What each class looks like in each country.

use super::super::art::Part;
use super::super::canvas::Placement;
use super::super::colour::{BLACK, BLUE, ORANGE, RED, Rgb, WHITE, YELLOW};
use super::super::glyph::{AMERICAN, FRENCH, Face, GERMAN, SWISS};
use super::NationalStyle::{self, Ca, Ch, De, Fr, Us};
use super::plate::Shape::{self, Circle, Diamond, Octagon, Rectangle, TriangleDown, TriangleUp};
use super::symbol as art;
use super::{at, mirrored};

/// A sign: plate and marks in a box 100 wide.
pub struct Design {
    /// Outline of the plate.
    pub shape: Shape,
    /// Width beside an ordinary road.
    pub width_m: f32,
    /// Inset and colour of each layer of the plate, outermost first.
    pub rings: Vec<(f32, Rgb)>,
    /// What is painted on it, in order.
    pub marks: Vec<Mark>,
}

/// Something painted on a plate.
pub enum Mark {
    /// A symbol.
    Symbol {
        parts: &'static [Part],
        at: Placement,
        colour: Rgb,
    },
    /// A word or number, centred.
    Text {
        text: String,
        cx: f32,
        cy: f32,
        height: f32,
        face: Face,
        colour: Rgb,
    },
    /// A smaller plate on the plate.
    Plate {
        shape: Shape,
        at: Placement,
        inset: f32,
        colour: Rgb,
    },
    /// A straight bar.
    Bar {
        from: (f32, f32),
        to: (f32, f32),
        width: f32,
        colour: Rgb,
    },
    /// A ring around the middle of the plate.
    Ring {
        radius: f32,
        width: f32,
        colour: Rgb,
    },
    /// A symbol repeated around the middle.
    Turned {
        parts: &'static [Part],
        turns: u8,
        at: Placement,
        colour: Rgb,
    },
}

/// All keys but the speed limits.
pub const KEYS: &[&str] = &[
    "stop",
    "yield",
    "priority_road",
    "no_entry",
    "no_overtaking",
    "no_parking",
    "no_stopping",
    "no_bicycles",
    "no_left_turn",
    "no_right_turn",
    "end_of_restriction",
    "go_straight",
    "turn_left",
    "turn_right",
    "keep_right",
    "keep_left",
    "roundabout",
    "pedestrian_crossing",
    "parking",
    "children",
    "road_work",
    "traffic_signals",
    "curve_left",
    "curve_right",
    "uneven_road",
    "slippery_road",
    "general_warning",
];

/// The speed limits posted in a country, in its own unit.
pub fn speeds(style: NationalStyle) -> impl Iterator<Item = u32> {
    let (range, step) = match style {
        De | Fr => (20..=130, 10),
        Ch => (20..=120, 10),
        Ca => (20..=110, 10),
        Us => (15..=75, 5),
    };
    range.step_by(step)
}

/// The design of a class, if the country has it.
pub fn of(style: NationalStyle, class: &str) -> Option<Design> {
    if let Some(value) = class.strip_prefix("speed_limit_") {
        let value = value.parse().ok()?;
        return speeds(style)
            .any(|v| v == value)
            .then(|| speed_limit(style, value));
    }
    match style {
        De | Fr | Ch => european(style, class),
        Us | Ca => american(class),
    }
}

pub(super) fn design(shape: Shape, width_m: f32, rings: &[(f32, Rgb)], marks: Vec<Mark>) -> Design {
    Design {
        shape,
        width_m,
        rings: rings.to_vec(),
        marks,
    }
}

/// A disc, part of a larger sign.
pub(super) fn disc(cx: f32, cy: f32, size: f32, colour: Rgb) -> Mark {
    Mark::Plate {
        shape: Circle,
        at: at(cx, cy, size),
        inset: 0.0,
        colour,
    }
}

pub(super) fn symbol(parts: &'static [Part], at: Placement, colour: Rgb) -> Mark {
    Mark::Symbol { parts, at, colour }
}

pub(super) fn text(text: &str, cx: f32, cy: f32, height: f32, face: Face, colour: Rgb) -> Mark {
    Mark::Text {
        text: text.to_owned(),
        cx,
        cy,
        height,
        face,
        colour,
    }
}

fn speed_limit(style: NationalStyle, value: u32) -> Design {
    let number = value.to_string();
    if style == Ca {
        return design(
            Rectangle(1.25),
            0.60,
            &[(0.0, WHITE), (2.5, BLACK), (4.5, WHITE)],
            vec![
                text(
                    "MAXIMUM",
                    50.0,
                    24.0,
                    13.0,
                    Face {
                        width: 58.0,
                        ..AMERICAN
                    },
                    BLACK,
                ),
                text(
                    &number,
                    50.0,
                    76.0,
                    if value < 100 { 52.0 } else { 40.0 },
                    AMERICAN,
                    BLACK,
                ),
            ],
        );
    }
    if style == Us {
        return design(
            Rectangle(1.25),
            0.61,
            &[(0.0, WHITE), (2.5, BLACK), (4.5, WHITE)],
            vec![
                text("SPEED", 50.0, 22.0, 16.0, AMERICAN, BLACK),
                text("LIMIT", 50.0, 45.0, 16.0, AMERICAN, BLACK),
                text(&number, 50.0, 88.0, 46.0, AMERICAN, BLACK),
            ],
        );
    }
    let three = value >= 100;
    let (face, height) = match (style, three) {
        (De, false) => (GERMAN, 46.0),
        (De, true) => (
            Face {
                width: 47.0,
                gap: 12.0,
                ..GERMAN
            },
            42.0,
        ),
        (Ch, false) => (SWISS, 42.0),
        (Ch, true) => (
            Face {
                width: 50.0,
                gap: 11.0,
                ..SWISS
            },
            38.0,
        ),
        (_, false) => (FRENCH, 40.0),
        (_, true) => (
            Face {
                width: 54.0,
                gap: 11.0,
                weight: 15.5,
            },
            36.0,
        ),
    };
    ring(style, vec![text(&number, 50.0, 50.0, height, face, BLACK)])
}

/// White disc with a red ring.
pub(super) fn ring(style: NationalStyle, marks: Vec<Mark>) -> Design {
    let (width_m, rings) = match style {
        De => (0.60, [(0.0, WHITE), (1.6, RED), (12.5, WHITE)]),
        // The ring reaches the edge.
        Ch => (0.60, [(0.0, RED), (0.2, RED), (12.0, WHITE)]),
        _ => (0.65, [(0.0, WHITE), (0.8, RED), (14.0, WHITE)]),
    };
    design(Circle, width_m, &rings, marks)
}

/// White triangle with a red border.
fn warning(style: NationalStyle, marks: Vec<Mark>) -> Design {
    let (width_m, rings) = match style {
        De => (0.90, [(0.0, WHITE), (1.5, RED), (8.5, WHITE)]),
        Ch => (0.90, [(0.0, RED), (0.2, RED), (9.0, WHITE)]),
        _ => (1.00, [(0.0, WHITE), (1.0, RED), (10.0, WHITE)]),
    };
    design(TriangleUp, width_m, &rings, marks)
}

/// Blue disc.
fn mandatory(style: NationalStyle, marks: Vec<Mark>) -> Design {
    let width_m = if style == De { 0.60 } else { 0.65 };
    design(Circle, width_m, &[(0.0, WHITE), (1.6, BLUE)], marks)
}

/// Blue square.
fn information(marks: Vec<Mark>) -> Design {
    design(Rectangle(1.0), 0.60, &[(0.0, WHITE), (1.8, BLUE)], marks)
}

/// A bar from upper left to lower right, as prohibitions are struck through.
fn strike(reach: f32, width: f32) -> Mark {
    let d = reach * std::f32::consts::FRAC_1_SQRT_2;
    Mark::Bar {
        from: (50.0 - d, 50.0 - d),
        to: (50.0 + d, 50.0 + d),
        width,
        colour: RED,
    }
}

fn european(style: NationalStyle, class: &str) -> Option<Design> {
    let german = style == De;
    let disc_m = if german { 0.60 } else { 0.65 };
    let low = if german { 53.0 } else { 54.0 };
    Some(match class {
        "stop" => design(
            Octagon,
            if german { 0.90 } else { 0.80 },
            &[(0.0, WHITE), (2.6, RED)],
            vec![text(
                "STOP",
                50.0,
                50.0,
                33.0,
                Face {
                    width: 50.0,
                    ..GERMAN
                },
                WHITE,
            )],
        ),
        "yield" => design(
            TriangleDown,
            if german { 0.90 } else { 1.00 },
            &[(0.0, WHITE), (1.5, RED), (11.5, WHITE)],
            vec![],
        ),
        "priority_road" => design(
            Diamond,
            if german { 0.85 } else { 0.70 },
            &[(0.0, BLACK), (0.7, WHITE), (15.5, BLACK), (16.5, YELLOW)],
            vec![],
        ),
        "no_entry" => design(
            Circle,
            disc_m,
            &[(0.0, WHITE), (1.6, RED)],
            vec![Mark::Bar {
                from: (13.0, 50.0),
                to: (87.0, 50.0),
                width: 18.0,
                colour: WHITE,
            }],
        ),
        "no_overtaking" => ring(
            style,
            vec![symbol(art::OVERTAKING_CARS, at(50.0, 48.0, 66.0), BLACK)],
        ),
        "no_parking" | "no_stopping" => {
            let mut marks = vec![strike(41.0, 10.0)];
            if class == "no_stopping" {
                marks.push(Mark::Bar {
                    from: (79.0, 21.0),
                    to: (21.0, 79.0),
                    width: 10.0,
                    colour: RED,
                });
            }
            design(
                Circle,
                disc_m,
                &[(0.0, WHITE), (1.2, RED), (11.5, BLUE)],
                marks,
            )
        }
        "no_bicycles" => ring(
            style,
            vec![symbol(art::BICYCLE, at(50.0, 49.0, 58.0), BLACK)],
        ),
        "no_left_turn" => ring(
            style,
            vec![
                symbol(art::ARROW_TURN_LEFT, at(48.0, 51.0, 50.0), BLACK),
                strike(40.0, 9.0),
            ],
        ),
        "no_right_turn" => ring(
            style,
            vec![
                symbol(art::ARROW_TURN_LEFT, mirrored(at(52.0, 51.0, 50.0)), BLACK),
                strike(40.0, 9.0),
            ],
        ),
        "end_of_restriction" => end_of_restriction(style),
        "go_straight" => mandatory(
            style,
            vec![symbol(art::ARROW_UP, at(50.0, 50.0, 72.0), WHITE)],
        ),
        "turn_left" => mandatory(
            style,
            vec![symbol(art::ARROW_TURN_LEFT, at(49.0, 48.0, 64.0), WHITE)],
        ),
        "turn_right" => mandatory(
            style,
            vec![symbol(
                art::ARROW_TURN_LEFT,
                mirrored(at(51.0, 48.0, 64.0)),
                WHITE,
            )],
        ),
        "keep_right" => mandatory(
            style,
            vec![symbol(art::ARROW_PASS_RIGHT, at(51.0, 51.0, 70.0), WHITE)],
        ),
        "keep_left" => mandatory(
            style,
            vec![symbol(
                art::ARROW_PASS_RIGHT,
                mirrored(at(49.0, 51.0, 70.0)),
                WHITE,
            )],
        ),
        "roundabout" => mandatory(
            style,
            vec![Mark::Turned {
                parts: art::ROUNDABOUT_ARROW,
                turns: 3,
                at: at(50.0, 52.0, 82.0),
                colour: WHITE,
            }],
        ),
        "pedestrian_crossing" => information(vec![
            Mark::Plate {
                shape: TriangleUp,
                at: at(50.0, 53.0, 88.0),
                inset: 0.0,
                colour: WHITE,
            },
            symbol(art::ON_ZEBRA, at(50.0, 62.0, 50.0), BLACK),
        ]),
        "parking" => information(vec![text(
            "P",
            50.0,
            50.0,
            66.0,
            Face {
                width: 72.0,
                weight: 19.0,
                gap: 0.0,
            },
            WHITE,
        )]),
        "children" => warning(
            style,
            vec![symbol(art::CHILDREN, at(50.0, low + 2.0, 46.0), BLACK)],
        ),
        "road_work" => warning(style, vec![symbol(art::WORKER, at(50.0, low, 48.0), BLACK)]),
        "traffic_signals" => {
            let parts = if german {
                art::LIGHTS
            } else {
                art::LIGHTS_HOUSED
            };
            warning(style, vec![symbol(parts, at(50.0, low - 1.0, 50.0), BLACK)])
        }
        "curve_left" => warning(
            style,
            vec![symbol(art::BEND_LEFT, at(51.0, low + 1.0, 46.0), BLACK)],
        ),
        "curve_right" => warning(
            style,
            vec![symbol(
                art::BEND_LEFT,
                mirrored(at(49.0, low + 1.0, 46.0)),
                BLACK,
            )],
        ),
        "uneven_road" => warning(
            style,
            vec![symbol(art::HUMPS, at(50.0, low - 1.0, 52.0), BLACK)],
        ),
        "slippery_road" => warning(
            style,
            vec![symbol(art::SKIDDING_CAR, at(49.0, low + 1.0, 46.0), BLACK)],
        ),
        "general_warning" => warning(
            style,
            vec![symbol(art::EXCLAMATION, at(50.0, low, 48.0), BLACK)],
        ),
        _ => return None,
    })
}

/// Germany strikes with five thin lines, France with one bar.
fn end_of_restriction(style: NationalStyle) -> Design {
    if style == Fr {
        let bar = Mark::Bar {
            from: (82.0, 18.0),
            to: (18.0, 82.0),
            width: 10.0,
            colour: BLACK,
        };
        return design(
            Circle,
            0.65,
            &[(0.0, WHITE), (1.5, BLACK), (3.5, WHITE)],
            vec![bar],
        );
    }
    let lines = (-2..=2).map(|n| {
        let n = n as f32;
        // The outer lines are chords, shorter than the one through the middle.
        let (off, reach) = (n * 3.8, 30.5 - n.abs() * 0.8);
        Mark::Bar {
            from: (50.0 + reach + off, 50.0 - reach + off),
            to: (50.0 - reach + off, 50.0 + reach + off),
            width: 2.2,
            colour: BLACK,
        }
    });
    design(
        Circle,
        0.60,
        &[(0.0, WHITE), (1.5, BLACK), (3.2, WHITE)],
        lines.collect(),
    )
}

/// Yellow diamond.
fn diamond(ground: Rgb, marks: Vec<Mark>) -> Design {
    // A plate of 30 inches side stands 42.4 inches wide.
    design(
        Diamond,
        1.08,
        &[(0.0, ground), (1.6, BLACK), (3.4, ground)],
        marks,
    )
}

/// White square with a struck-through red circle.
fn us_prohibition(mut marks: Vec<Mark>) -> Design {
    marks.push(strike(38.0, 8.0));
    marks.push(Mark::Ring {
        radius: 40.0,
        width: 8.5,
        colour: RED,
    });
    design(
        Rectangle(1.0),
        0.61,
        &[(0.0, WHITE), (1.5, BLACK), (3.0, WHITE)],
        marks,
    )
}

/// White upright plate.
fn us_plate(marks: Vec<Mark>) -> Design {
    design(
        Rectangle(1.25),
        0.61,
        &[(0.0, WHITE), (2.5, BLACK), (4.5, WHITE)],
        marks,
    )
}

fn american(class: &str) -> Option<Design> {
    let narrow = Face {
        width: 52.0,
        weight: 15.0,
        gap: 13.0,
    };
    Some(match class {
        "stop" => design(
            Octagon,
            0.76,
            &[(0.0, WHITE), (2.6, RED)],
            vec![text(
                "STOP",
                50.0,
                50.0,
                34.0,
                Face {
                    width: 52.0,
                    weight: 15.0,
                    gap: 14.0,
                },
                WHITE,
            )],
        ),
        "yield" => design(
            TriangleDown,
            0.91,
            &[(0.0, WHITE), (1.5, RED), (15.0, WHITE)],
            vec![text("YIELD", 50.0, 26.0, 9.0, AMERICAN, RED)],
        ),
        "no_entry" => design(
            Rectangle(1.0),
            0.76,
            &[(0.0, WHITE)],
            vec![
                Mark::Ring {
                    radius: 23.5,
                    width: 47.0,
                    colour: RED,
                },
                Mark::Bar {
                    from: (17.0, 50.0),
                    to: (83.0, 50.0),
                    width: 14.0,
                    colour: WHITE,
                },
                text("DO NOT", 50.0, 29.0, 11.0, AMERICAN, WHITE),
                text("ENTER", 50.0, 71.0, 11.0, AMERICAN, WHITE),
            ],
        ),
        "no_overtaking" => us_plate(vec![
            text("DO", 50.0, 26.0, 24.0, narrow, BLACK),
            text("NOT", 50.0, 62.0, 24.0, narrow, BLACK),
            text("PASS", 50.0, 98.0, 24.0, narrow, BLACK),
        ]),
        "no_parking" => us_prohibition(vec![text("P", 50.0, 50.0, 52.0, AMERICAN, BLACK)]),
        "no_stopping" => us_plate(vec![
            text("NO", 50.0, 22.0, 20.0, narrow, RED),
            text("STOPPING", 50.0, 56.0, 15.0, narrow, RED),
            text("ANY", 50.0, 84.0, 15.0, narrow, RED),
            text("TIME", 50.0, 107.0, 15.0, narrow, RED),
        ]),
        "no_bicycles" => us_prohibition(vec![symbol(art::BICYCLE, at(50.0, 48.0, 62.0), BLACK)]),
        "no_left_turn" => us_prohibition(vec![symbol(
            art::ARROW_TURN_LEFT,
            at(48.0, 50.0, 56.0),
            BLACK,
        )]),
        "no_right_turn" => us_prohibition(vec![symbol(
            art::ARROW_TURN_LEFT,
            mirrored(at(52.0, 50.0, 56.0)),
            BLACK,
        )]),
        "keep_right" => us_plate(vec![
            symbol(art::ARROW_PASS_RIGHT, at(50.0, 44.0, 60.0), BLACK),
            text("KEEP", 50.0, 87.0, 14.0, AMERICAN, BLACK),
            text("RIGHT", 50.0, 108.0, 14.0, AMERICAN, BLACK),
        ]),
        "keep_left" => us_plate(vec![
            symbol(art::ARROW_PASS_RIGHT, mirrored(at(50.0, 44.0, 60.0)), BLACK),
            text("KEEP", 50.0, 87.0, 14.0, AMERICAN, BLACK),
            text("LEFT", 50.0, 108.0, 14.0, AMERICAN, BLACK),
        ]),
        "curve_left" => diamond(
            YELLOW,
            vec![symbol(art::BEND_ARROW_LEFT, at(54.0, 48.0, 56.0), BLACK)],
        ),
        "curve_right" => diamond(
            YELLOW,
            vec![symbol(
                art::BEND_ARROW_LEFT,
                mirrored(at(46.0, 48.0, 56.0)),
                BLACK,
            )],
        ),
        "traffic_signals" => diamond(
            YELLOW,
            vec![symbol(art::LIGHTS_HOUSED, at(50.0, 50.0, 62.0), BLACK)],
        ),
        "pedestrian_crossing" => diamond(
            YELLOW,
            vec![symbol(art::WALKER, mirrored(at(50.0, 50.0, 66.0)), BLACK)],
        ),
        "children" => diamond(
            YELLOW,
            vec![symbol(art::CHILDREN, at(50.0, 50.0, 56.0), BLACK)],
        ),
        "road_work" => diamond(
            ORANGE,
            vec![symbol(art::WORKER, at(50.0, 48.0, 58.0), BLACK)],
        ),
        "slippery_road" => diamond(
            YELLOW,
            vec![symbol(art::SKIDDING_CAR, at(50.0, 48.0, 56.0), BLACK)],
        ),
        "uneven_road" => diamond(YELLOW, vec![text("BUMP", 50.0, 50.0, 17.0, narrow, BLACK)]),
        "go_straight" => us_plate(vec![
            symbol(art::ARROW_UP, at(50.0, 46.0, 66.0), BLACK),
            text("ONLY", 50.0, 102.0, 18.0, AMERICAN, BLACK),
        ]),
        "turn_left" => us_plate(vec![
            symbol(art::ARROW_TURN_LEFT, at(48.0, 48.0, 66.0), BLACK),
            text("ONLY", 50.0, 102.0, 18.0, AMERICAN, BLACK),
        ]),
        "turn_right" => us_plate(vec![
            symbol(art::ARROW_TURN_LEFT, mirrored(at(52.0, 48.0, 66.0)), BLACK),
            text("ONLY", 50.0, 102.0, 18.0, AMERICAN, BLACK),
        ]),
        _ => return None,
    })
}
