//! The drive itself, frame after frame.

use std::io::Write;

use anyhow::Context;

use super::board::{Placed, Viewpoint};
use super::camera::Camera;
use super::ground::Ground;
use super::noise::Random;
use super::picture::Picture;
use super::route::{Pose, Route};
use super::scenario::Scenario;
use super::shake::{Shake, Turn};
use super::track::{self, TrackPoint};
use super::truth::Truth;
use super::weather::Air;
use super::world::World;
use crate::frame::Frame;
use crate::region::{Areas, Borders};
use crate::units::Timestamp;

/// The car keeps this far right of the road's middle.
const LANE_M: f64 = 1.65;
/// Boards nearer than this are behind the windscreen; farther ones are too small to matter.
const NEAREST_M: f32 = 1.0;
const FARTHEST_M: f32 = 380.0;

/// A scenario made ready to be driven; gives one frame after the other.
pub struct Drive {
    scenario: Scenario,
    route: Route,
    camera: Camera,
    shake: Shake,
    world: World,
    ground: Ground,
    air: Air,
    borders: Borders,
    /// Distance along the road and speed, frame by frame.
    ticks: Vec<(f64, f64)>,
    next: usize,
    picture: Picture,
    in_view: Vec<(usize, Placed)>,
    truth: Truth,
}

impl Drive {
    /// Builds the world of a scenario.
    pub fn new(scenario: Scenario) -> anyhow::Result<Self> {
        let route = Route::new(&scenario.route);
        let world = World::new(&scenario, &route)?;
        let mut random = Random::new(scenario.seed.wrapping_add(1));
        let camera = Camera::new(&scenario.camera);
        let positions: Vec<_> = world
            .signs
            .iter()
            .map(|&board| {
                let board = &world.boards[board];
                route.geographic(board.x_m, board.y_m)
            })
            .collect();
        Ok(Self {
            ticks: route.drive(f64::from(scenario.camera.rate_hz)),
            ground: Ground::new(&mut random),
            air: Air::new(&scenario.weather, scenario.camera.noise, &mut random),
            borders: Borders::new(Areas::default(), Vec::new())
                .context("the border data is damaged; build again")?,
            picture: Picture::new(camera.width_px, camera.height_px),
            truth: Truth::new(&scenario, &positions),
            in_view: Vec::new(),
            shake: Shake::new(scenario.camera.shake, scenario.seed),
            next: 0,
            world,
            camera,
            route,
            scenario,
        })
    }

    /// Number of frames of the whole drive.
    pub fn frames(&self) -> u64 {
        self.ticks.len() as u64
    }

    /// What was seen in the frames rendered so far.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Renders the next frame; false when the drive is over.
    pub fn frame(&mut self, frame: &mut Frame) -> bool {
        let Some(&(along_m, speed)) = self.ticks.get(self.next) else {
            return false;
        };
        let index = self.next as u64;
        self.next += 1;
        let time_s = index as f64 / f64::from(self.scenario.camera.rate_hz);
        let view = self.viewpoint(time_s, along_m, speed);
        self.camera.turn(self.shake.at(time_s));
        self.world.set_time(time_s, &self.route);
        self.ground
            .paint(&mut self.picture, &self.camera, &self.route, along_m, &view);
        self.air.light(&mut self.picture);
        self.stand_boards(index, &view);
        self.air
            .finish(&mut self.picture, index, self.scenario.seed);
        self.picture.write_to(frame);
        frame.index = index;
        frame.time = Timestamp::from_ticks(index as i64, self.scenario.camera.rate_hz);
        let position_deg = self.route.geographic(view.pose.x_m, view.pose.y_m);
        let region = self.borders.region_at(position_deg);
        self.truth.region(index, region);
        self.truth.way(along_m);
        self.truth.frames = self.next as u64;
        true
    }

    /// Writes the whole drive's positions as GPX.
    pub fn write_gpx(&self, out: impl Write) -> anyhow::Result<()> {
        let rate_hz = self.scenario.position_rate_hz;
        let points: Vec<_> = (0..)
            .zip(self.route.drive(rate_hz))
            .map(|(tick, (along_m, _))| {
                let (x_m, y_m) = self.route.at(along_m).offset(0.0, LANE_M);
                let (latitude_deg, longitude_deg) = self.route.geographic(x_m, y_m);
                TrackPoint {
                    time_s: f64::from(tick) / rate_hz,
                    latitude_deg,
                    longitude_deg,
                }
            })
            .collect();
        track::write(out, &self.scenario.start, &points)
    }

    fn viewpoint(&self, time_s: f64, along_m: f64, speed: f64) -> Viewpoint {
        let road = self.route.at(along_m);
        let (x_m, y_m) = road.offset(0.0, LANE_M);
        let exposure_s = f64::from(self.scenario.camera.shutter_ms) / 1e3;
        let blur_m = speed * exposure_s;
        let bend = self.route.at(along_m + blur_m).heading - road.heading;
        let shake = self.shake.during(time_s, exposure_s);
        Viewpoint {
            pose: Pose { x_m, y_m, ..road },
            blur_m: blur_m as f32,
            blur_turn: Turn {
                yaw: bend as f32 + shake.yaw,
                ..shake
            },
        }
    }

    fn stand_boards(&mut self, frame: u64, view: &Viewpoint) {
        self.in_view.clear();
        for (index, board) in self.world.boards.iter().enumerate() {
            let placed = board.placed(&self.camera, view);
            if (NEAREST_M..FARTHEST_M).contains(&placed.distance_m()) {
                self.in_view.push((index, placed));
            }
        }
        // Far to near; boards at the same distance keep their order, so the result is repeatable.
        self.in_view
            .sort_by(|a, b| b.1.distance_m().total_cmp(&a.1.distance_m()));
        for (index, placed) in &self.in_view {
            let board = &self.world.boards[*index];
            let lit = self.air.on_board(board.reflective, placed.distance_m());
            let texture = &self.world.textures[board.texture];
            placed.draw(&mut self.picture, &self.camera, texture, view, &lit);
        }
        for (id, &board) in self.world.signs.iter().enumerate() {
            let seen = self.in_view.iter().find(|(index, _)| *index == board);
            if let Some(bounds) = seen.and_then(|(_, placed)| placed.bounds(&self.camera)) {
                self.truth.sign(id, frame, bounds);
            }
        }
    }
}
