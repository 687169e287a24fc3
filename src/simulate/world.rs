//! Everything that stands beside the road, put in its place once.

use std::collections::BTreeMap;
use std::f64::consts::FRAC_PI_2;

use anyhow::Context;

use super::board::Board;
use super::noise::Random;
use super::route::Route;
use super::scenario::{Scenario, Side, Sign};
use super::scenery;
use super::texture::Texture;
use crate::draw::sign::{NationalStyle, draw_sign};

/// Size of a sign's drawing; larger than it ever appears.
const SIGN_PX: u32 = 384;
/// Plants and houses are placed this far beyond the drive's end.
const BEYOND_M: f64 = 350.0;

/// The boards and their drawings.
pub struct World {
    /// All boards; those of the signs are named by `signs`.
    pub boards: Vec<Board>,
    /// All drawings.
    pub textures: Vec<Texture>,
    /// For each sign of the scenario, its board.
    pub signs: Vec<usize>,
    movers: Vec<Mover>,
    displays: Vec<Display>,
    /// Where the drawings of signs are.
    drawn: BTreeMap<(NationalStyle, String), usize>,
}

/// A board that drives along the road.
struct Mover {
    board: usize,
    at_m: f64,
    lateral_m: f64,
    speed_m_per_s: f64,
}

/// A board that shows drawings in turn.
struct Display {
    board: usize,
    textures: Vec<usize>,
    each_s: f64,
}

/// Where a lorry keeps in its lane, and how large its back is.
const LORRY_LATERAL_M: f64 = 1.65;
const LORRY_M: (f32, f32) = (2.5, 3.3);

impl World {
    /// Builds what the scenario asks for.
    pub fn new(scenario: &Scenario, route: &Route) -> anyhow::Result<Self> {
        let mut random = Random::new(scenario.seed);
        let mut world = Self {
            boards: Vec::new(),
            textures: Vec::new(),
            signs: Vec::new(),
            movers: Vec::new(),
            displays: Vec::new(),
            drawn: BTreeMap::new(),
        };
        world
            .furnish(scenario, route, &mut random)
            .context("the scenery's drawings are too small to draw")?;
        let post = world.textures.len();
        world
            .textures
            .push(Texture::new(&scenery::post().context("post")?));
        for sign in &scenario.signs {
            world
                .stand(sign, route, post)
                .with_context(|| format!("no drawing of `{}`", sign.class))?;
        }
        Ok(world)
    }

    /// Moves what moves to where it is at a time.
    pub fn set_time(&mut self, time_s: f64, route: &Route) {
        for mover in &self.movers {
            let road = route.at(mover.at_m + mover.speed_m_per_s * time_s);
            let (x_m, y_m) = road.offset(0.0, mover.lateral_m);
            let board = &mut self.boards[mover.board];
            (board.x_m, board.y_m) = (x_m, y_m);
            board.heading = road.heading + FRAC_PI_2;
        }
        for display in &self.displays {
            let turn = (time_s / display.each_s) as usize % display.textures.len();
            self.boards[display.board].texture = display.textures[turn];
        }
    }

    fn stand(&mut self, sign: &Sign, route: &Route, post: usize) -> Option<()> {
        let shown = self.drawing(sign.style, &sign.class)?;
        let size_m = sign.size_m()?;
        let road = route.at(sign.at_m);
        let side = match sign.side {
            Side::Right => 1.0,
            Side::Left => -1.0,
        };
        let (x_m, y_m) = road.offset(0.0, side * sign.lateral_m);
        let board = Board {
            x_m,
            y_m,
            bottom_m: sign.height_m - size_m.1 / 2.0,
            heading: road.heading + FRAC_PI_2 + side * sign.yaw_deg.to_radians(),
            size_m,
            texture: shown,
            reflective: true,
        };
        if let Some(speed_kmh) = sign.lorry_kmh {
            let back = self.textures.len();
            self.textures.push(Texture::new(&scenery::lorry()?));
            let (lorry, sticker) = (self.boards.len(), self.boards.len() + 1);
            self.boards.push(Board {
                bottom_m: 0.45,
                size_m: LORRY_M,
                texture: back,
                reflective: false,
                ..board
            });
            let mut mover = |board, at_m, lateral_m| {
                self.movers.push(Mover {
                    board,
                    at_m,
                    lateral_m,
                    speed_m_per_s: speed_kmh / 3.6,
                });
            };
            mover(lorry, sign.at_m + 0.05, side * LORRY_LATERAL_M);
            mover(sticker, sign.at_m, side * sign.lateral_m);
        } else {
            // The post stands just behind, so that it is painted first.
            let (x_m, y_m) = road.offset(0.05, side * sign.lateral_m);
            self.boards.push(Board {
                x_m,
                y_m,
                bottom_m: 0.0,
                size_m: (0.08, sign.height_m),
                texture: post,
                reflective: false,
                ..board
            });
        }
        if !sign.shows.is_empty() {
            let mut textures = vec![shown];
            for class in &sign.shows {
                textures.push(self.drawing(sign.style, class)?);
            }
            self.displays.push(Display {
                board: self.boards.len(),
                textures,
                each_s: sign.shows_s,
            });
        }
        self.signs.push(self.boards.len());
        self.boards.push(board);
        Some(())
    }

    /// That of a sign, made once however often it stands there.
    fn drawing(&mut self, style: NationalStyle, class: &str) -> Option<usize> {
        let key = (style, class.to_owned());
        if let Some(drawn) = self.drawn.get(&key) {
            return Some(*drawn);
        }
        let made = self.textures.len();
        self.textures
            .push(Texture::new(&draw_sign(style, class, SIGN_PX)?));
        self.drawn.insert(key, made);
        Some(made)
    }

    fn furnish(&mut self, scenario: &Scenario, route: &Route, random: &mut Random) -> Option<()> {
        const KINDS: u64 = 5;
        let trees = self.textures.len();
        for _ in 0..KINDS {
            self.textures.push(Texture::new(&scenery::tree(random)?));
        }
        let houses = self.textures.len();
        for _ in 0..KINDS {
            self.textures.push(Texture::new(&scenery::house(random)?));
        }
        let length_m = route.length_m() + BEYOND_M;
        let count = |per_100_m: f32| (f64::from(per_100_m) * length_m / 100.0) as usize;
        let parts = &scenario.scenery;
        for _ in 0..count(parts.trees_per_100_m) {
            let height = random.between(5.0, 12.0);
            let out = random.between(10.0, 45.0);
            let kind = random.bits() % KINDS;
            self.plant(
                route,
                random,
                length_m,
                out,
                (height * 0.7, height),
                trees + kind as usize,
            );
        }
        for _ in 0..count(parts.houses_per_100_m) {
            let out = random.between(17.0, 30.0);
            let kind = random.bits() % KINDS;
            self.plant(
                route,
                random,
                length_m,
                out,
                (12.0, 9.6),
                houses + kind as usize,
            );
        }
        let marker = self.textures.len();
        self.textures.push(Texture::new(&scenery::marker()?));
        for number in 0..(length_m / 50.0) as usize {
            let road = route.at(number as f64 * 50.0 + 25.0);
            for out in [-4.5, 4.5] {
                let (x_m, y_m) = road.offset(0.0, out);
                self.boards.push(Board {
                    x_m,
                    y_m,
                    bottom_m: 0.0,
                    heading: road.heading + FRAC_PI_2,
                    size_m: (0.12, 1.0),
                    texture: marker,
                    reflective: false,
                });
            }
        }
        Some(())
    }

    fn plant(
        &mut self,
        route: &Route,
        random: &mut Random,
        length_m: f64,
        out_m: f32,
        size_m: (f32, f32),
        texture: usize,
    ) {
        let road = route.at(f64::from(random.unit()) * length_m);
        let side = if random.bits() & 1 == 0 { 1.0 } else { -1.0 };
        let (x_m, y_m) = road.offset(0.0, side * f64::from(out_m));
        self.boards.push(Board {
            x_m,
            y_m,
            bottom_m: 0.0,
            heading: road.heading + FRAC_PI_2,
            size_m,
            texture,
            reflective: false,
        });
    }
}
