//! The symbols on the signs, each in its box of 100 by 100.

use super::super::art::Ink::{Green, Ground, Main, Red, Yellow};
use super::super::art::Part::{self, Fill, Line};

/// An exclamation mark.
pub const EXCLAMATION: &[Part] = &[
    Fill(Main, "M40 4 C40 -3 60 -3 60 4 L56 68 H44 Z"),
    Fill(Main, "O50 87 9.5"),
];

/// A person walking to the left.
pub const WALKER: &[Part] = &[
    Fill(Main, "O51 10 8.5"),
    Line(Main, 9.0, "M47 26 L57 26 L56 50 L48 50 Z"),
    Line(Main, 10.0, "M50 52 L41 72 L27 93"),
    Line(Main, 10.0, "M54 52 L62 72 L73 94"),
    Line(Main, 6.5, "M45 26 L35 41 L29 53"),
    Line(Main, 6.5, "M59 26 L68 41 L75 52"),
    Line(Main, 5.0, "M27 94 L19 93"),
    Line(Main, 5.0, "M73 95 L66 96"),
];

/// A person on a zebra crossing, for the white triangle of the blue sign.
pub const ON_ZEBRA: &[Part] = &[
    Fill(Main, "O52 9 8"),
    Line(Main, 9.0, "M48 24 L58 24 L56 46 L49 46 Z"),
    Line(Main, 9.0, "M51 48 L43 64 L31 82"),
    Line(Main, 9.0, "M54 48 L62 65 L70 82"),
    Line(Main, 6.0, "M46 25 L36 38 L30 49"),
    Line(Main, 6.0, "M60 25 L69 38 L75 48"),
    Fill(Main, "M0 98 L8 84 H17 L11 98 Z"),
    Fill(Main, "M27 98 L31 86 H41 L39 98 Z"),
    Fill(Main, "M61 98 L59 86 H69 L73 98 Z"),
    Fill(Main, "M89 98 L83 84 H92 L100 98 Z"),
];

/// Two children running to the left, hand in hand.
pub const CHILDREN: &[Part] = &[
    Fill(Main, "O32 17 8"),
    Line(Main, 9.0, "M30 32 L38 32 L39 52 L32 52 Z"),
    Line(Main, 8.0, "M33 55 L22 68 L10 82"),
    Line(Main, 8.0, "M38 55 L44 72 L52 88"),
    Line(Main, 6.0, "M29 33 L18 42 L9 38"),
    Line(Main, 6.0, "M39 33 L49 46 L58 54"),
    Fill(Main, "M2 38 H14 V50 H2 Z"),
    Fill(Main, "O72 31 7.5"),
    Line(Main, 3.5, "M78 28 L86 33 L84 40"),
    Fill(Main, "M67 41 L77 41 L84 68 H62 Z"),
    Line(Main, 6.5, "M68 68 L62 80 L52 91"),
    Line(Main, 6.5, "M76 68 L80 80 L87 91"),
    Line(Main, 5.5, "M68 43 L58 54"),
    Line(Main, 5.5, "M76 43 L86 52 L93 56"),
];

/// A man with a shovel at a heap.
pub const WORKER: &[Part] = &[
    Fill(Main, "O52 12 8.5"),
    Line(Main, 11.0, "M52 27 L64 34 L70 54 L62 54 Z"),
    Line(Main, 9.5, "M64 57 L54 73 L44 92"),
    Line(Main, 9.5, "M69 57 L79 73 L85 92"),
    Line(Main, 5.0, "M44 93 L37 93"),
    Line(Main, 5.0, "M85 93 L79 94"),
    Line(Main, 7.0, "M54 29 L48 46 L40 56"),
    Line(Main, 7.0, "M60 36 L55 52 L47 50"),
    Line(Main, 4.0, "M62 36 L22 72"),
    Fill(Main, "M24 64 L30 72 L18 82 L12 76 Z"),
    Fill(Main, "M0 96 C4 84 14 72 20 74 C30 78 38 88 42 96 Z"),
];

/// Three lights one above the other, bare.
pub const LIGHTS: &[Part] = &[
    Fill(Red, "O50 18 15"),
    Fill(Yellow, "O50 50 15"),
    Fill(Green, "O50 82 15"),
];

/// Three lights in a black housing.
pub const LIGHTS_HOUSED: &[Part] = &[
    Line(Main, 8.0, "M34 4 H66 V96 H34 Z"),
    Fill(Main, "M34 4 H66 V96 H34 Z"),
    Fill(Red, "O50 20 13"),
    Fill(Yellow, "O50 50 13"),
    Fill(Green, "O50 80 13"),
];

/// A road bending to the left, cut off at a slant.
pub const BEND_LEFT: &[Part] = &[Fill(
    Main,
    "M54 100 V62 C54 52 50 47 42 42 L22 31 L8 14 L34 16 L56 28 C68 35 75 45 75 60 V100 Z",
)];

/// The US arrow for a bend to the left.
pub const BEND_ARROW_LEFT: &[Part] = &[
    Fill(
        Main,
        "M52 100 V66 C52 54 46 48 36 42 L46 28 C62 36 70 48 70 64 V100 Z",
    ),
    Fill(Main, "M12 26 L54 20 L32 56 Z"),
];

/// Two humps on a level road.
pub const HUMPS: &[Part] = &[Fill(
    Main,
    "M0 96 V78 H8 C16 78 18 52 30 52 C42 52 42 72 50 72 C58 72 58 52 70 52 C82 52 84 78 92 78 H100 V96 Z",
)];

/// A car from behind, swerving over its own tracks.
pub const SKIDDING_CAR: &[Part] = &[
    Fill(
        Main,
        "M36 6 L74 12 L80 30 L88 34 L84 52 L77 51 L76 58 L66 56 L67 50 L34 45 L33 51 L23 49 L24 43 L17 42 L20 24 L28 22 Z",
    ),
    Fill(Ground, "M40 12 L70 17 L74 29 L34 23 Z"),
    Line(Main, 6.0, "M30 58 C10 66 22 74 38 76 C58 79 52 88 34 98"),
    Line(Main, 6.0, "M70 64 C52 70 60 76 74 79 C92 83 86 90 70 98"),
];

/// Two cars side by side from behind, the left one red.
pub const OVERTAKING_CARS: &[Part] = &[
    Fill(
        Red,
        "M0 50 L5 49 L10 36 C11 34 12 33 14 33 H34 C36 33 37 34 38 36 L43 49 L47 50 V66 H43 V71 H35 V66 H12 V71 H4 V66 H0 Z",
    ),
    Fill(Ground, "M11 47 L14 38 H34 L37 47 Z"),
    Fill(
        Main,
        "M53 50 L57 49 L62 36 C63 34 64 33 66 33 H86 C88 33 89 34 90 36 L95 49 L100 50 V66 H96 V71 H88 V66 H65 V71 H57 V66 H53 Z",
    ),
    Fill(Ground, "M63 47 L66 38 H86 L89 47 Z"),
];

/// A bicycle.
pub const BICYCLE: &[Part] = &[
    Line(Main, 4.5, "O20 66 18"),
    Line(Main, 4.5, "O80 66 18"),
    Line(Main, 4.5, "M20 66 L36 38 H68 L48 68 L34 34 M48 68 H20"),
    Line(Main, 4.5, "M80 66 L64 24 L74 20"),
    Line(Main, 5.5, "M27 33 H41"),
];

/// A straight arrow upwards.
pub const ARROW_UP: &[Part] = &[Fill(
    Main,
    "M43 100 V38 L24 48 V34 L50 2 L76 34 V48 L57 38 V100 Z",
)];

/// An arrow that comes from below and turns to the left.
pub const ARROW_TURN_LEFT: &[Part] = &[
    Fill(
        Main,
        "M58 96 V56 C58 47 54 43 45 43 H32 V29 H46 C64 29 73 39 73 55 V96 Z",
    ),
    Fill(Main, "M4 36 L36 10 H48 L38 29 V43 L48 62 H36 Z"),
];

/// An arrow down to the right.
pub const ARROW_PASS_RIGHT: &[Part] = &[
    Line(
        Main,
        1.0,
        "M8 18 L18 8 L74 64 V34 L90 50 V90 H50 L34 74 H64 Z",
    ),
    Fill(Main, "M8 18 L18 8 L74 64 V34 L90 50 V90 H50 L34 74 H64 Z"),
];

/// One of the three arrows of a roundabout, at the top; the others are turned by a third.
pub const ROUNDABOUT_ARROW: &[Part] = &[Fill(
    Main,
    "M84 22 C74 10 60 6 46 8 L46 0 L22 18 L46 36 L46 26 C58 22 66 26 74 33 Z",
)];

/// Two carriageways that pass under a bridge.
pub const MOTORWAY: &[Part] = &[
    Fill(Main, "M8 100 L38 4 H47 V100 Z"),
    Fill(Main, "M92 100 L62 4 H53 V100 Z"),
    Fill(Ground, "M0 24 H100 V48 H0 Z"),
    Fill(Main, "M0 29 H100 V55 L88 43 H12 L0 55 Z"),
];

/// A car from the front.
pub const CAR_FROM_FRONT: &[Part] = &[
    Fill(
        Main,
        "M10 88 V56 C10 49 14 46 19 44 L28 22 C30 17 33 15 38 15 H62 C67 15 70 17 72 22 L81 44 C86 46 90 49 90 56 V88 H74 V79 H26 V88 Z",
    ),
    Fill(Ground, "M29 42 L36 24 H64 L71 42 Z"),
    Fill(Ground, "O24 59 6"),
    Fill(Ground, "O76 59 6"),
    Fill(Ground, "M38 64 H62 V70 H38 Z"),
];

/// A house, an adult, a child with a ball and a car, in the upper two thirds of the box.
pub const HOME_ZONE: &[Part] = &[
    Fill(Main, "M54 18 L72 5 L94 18 V36 H88 L84 30 H70 L66 36 H54 Z"),
    Fill(Ground, "M60 20 H66 V26 H60 Z"),
    Fill(Ground, "M76 18 H82 V24 H76 Z"),
    Fill(
        Main,
        "M60 57 V47 L66 45 L71 35 H85 L91 45 L95 47 V57 H89 V60 H84 V57 H71 V60 H66 V57 Z",
    ),
    Fill(Ground, "M70 45 L74 38 H83 L87 45 Z"),
    Fill(Main, "O21 10 4.5"),
    Line(Main, 5.0, "M18 19 L25 19 L25 35 L18 35 Z"),
    Line(Main, 4.5, "M19 37 L14 58"),
    Line(Main, 4.5, "M24 37 L29 58"),
    Line(Main, 3.5, "M17 19 L10 34"),
    Line(Main, 3.5, "M26 19 L33 33"),
    Fill(Main, "O42 28 3.8"),
    Line(Main, 4.0, "M40 35 L45 35 L45 46 L40 46 Z"),
    Line(Main, 3.5, "M41 47 L38 60"),
    Line(Main, 3.5, "M45 47 L50 57"),
    Line(Main, 3.0, "M39 35 L34 34"),
    Line(Main, 3.0, "M46 35 L51 42"),
    Fill(Main, "O55 59 2.8"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::art::parse;

    #[test]
    fn every_outline_can_be_read() {
        for symbol in [
            EXCLAMATION,
            WALKER,
            ON_ZEBRA,
            CHILDREN,
            WORKER,
            LIGHTS,
            LIGHTS_HOUSED,
            BEND_LEFT,
            BEND_ARROW_LEFT,
            HUMPS,
            SKIDDING_CAR,
            OVERTAKING_CARS,
            BICYCLE,
            ARROW_UP,
            ARROW_TURN_LEFT,
            ARROW_PASS_RIGHT,
            ROUNDABOUT_ARROW,
            MOTORWAY,
            CAR_FROM_FRONT,
            HOME_ZONE,
        ] {
            for part in symbol {
                let (Fill(_, text) | Line(_, _, text)) = part;
                assert!(parse(text).is_some(), "{text}");
            }
        }
    }
}
