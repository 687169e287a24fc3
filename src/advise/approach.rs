//! How a sign was approached: where it stood beside the car's way, whether it was passed, and whether
//! it stood at all. From the track's boxes alone, without a calibrated camera.
//!
//! For a standing thing the box's centre is a straight line in its size: `x = x0 + (X / W) * side`,
//! where `x0` is the point driven towards, `X` how far beside it stands and `W` its width. A sticker on
//! a lorry keeps its size while the car drives on, or grows far less than the way driven says.

use super::odometer::Mark;
use crate::units::BoxPx;

/// Width of a common speed-limit sign; turns widths into metres.
const SIGN_M: f32 = 0.65;
/// Focal length of a common road camera, as a share of the picture's width.
const FOCAL_SHARE: f32 = 1.1;
/// A sign that was passed has grown by so much.
const PASSED_GROWTH: f32 = 1.25;
/// Farther beside the car, a sign belongs to another road or an exit.
const OTHER_ROAD_M: f32 = 9.0;
/// Closer than this to the car's way, and no higher: nothing can stand there, it rides on a vehicle.
const IN_THE_WAY_M: f32 = 1.4;
/// Over this way and more, a standing sign must have come nearer by a share of it.
const WAY_FOR_MOTION_M: f64 = 8.0;
const STANDING_SHARE: f64 = 0.3;
/// From this width of the sign on one sees whether a plate hangs below, again after this growth.
const PLATE_LOOK_PX: f32 = 22.0;
const PLATE_LOOK_GROWTH: f32 = 1.12;
/// Frames in which a companion must be seen.
const COMPANION_FRAMES: u32 = 3;

/// Whether a sign that ended is one for this car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It stood at the own road and was passed.
    Passed,
    /// It was lost from sight before that.
    NotReached,
    /// It moves: it is on a vehicle.
    Moving,
    /// It stands too far aside.
    OtherRoad,
    /// Its outline is not that of the region's speed limits.
    WrongShape,
}

/// What was seen of one track; see the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Approach {
    frames: u32,
    first_side: f32,
    last_side: f32,
    frame_width: f32,
    first_mark: Option<Mark>,
    last_mark: Option<Mark>,
    /// Weighted sums of size, x, y, size², size·x, size·y, and the weight.
    sums: [f64; 7],
    /// Weighted sums of the way driven, 1/size, way², way/size, and the weight.
    way_sums: [f64; 5],
    height_over_width: f32,
    plate: u32,
    /// Width of the last look below, looks, and those that found a plate.
    below: (f32, u32, u32),
    school: u32,
    warning: u32,
    /// How often the named limit changed.
    pub changes: u32,
    /// The limit it was named last.
    pub named: Option<f32>,
}

/// What hangs on the same post as a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// A flat plate below it.
    Plate,
    /// A school sign.
    School,
    /// Another danger sign.
    Warning,
}

impl Approach {
    /// Takes the box of a frame; one that is cut by the frame's edge says nothing.
    pub fn add(&mut self, bbox: BoxPx, frame_px: (u32, u32), mark: Option<Mark>) {
        if bbox.grown(0.02).clipped(frame_px.0, frame_px.1) != bbox.grown(0.02) {
            return;
        }
        let side = bbox.width().max(1.0);
        if self.frames == 0 {
            self.first_side = side;
            self.first_mark = mark;
            self.frame_width = frame_px.0 as f32;
        }
        self.frames += 1;
        self.last_side = side;
        self.last_mark = mark;
        let (x, y) = bbox.centre();
        let (s, x, y) = (f64::from(side), f64::from(x), f64::from(y));
        // Near views count most: there the road between car and sign is straight.
        let w = s.powi(4);
        for (sum, value) in self
            .sums
            .iter_mut()
            .zip([s, x, y, s * s, s * x, s * y, 1.0])
        {
            *sum += w * value;
        }
        if let Some(way) = mark
            .zip(self.first_mark)
            .and_then(|(here, first)| here.since(first))
        {
            let values = [way, 1.0 / s, way * way, way / s, 1.0];
            for (sum, value) in self.way_sums.iter_mut().zip(values) {
                *sum += s * s * value;
            }
        }
        let share = 1.0 / (self.frames.min(20) as f32);
        self.height_over_width += share * (bbox.height() / side - self.height_over_width);
    }

    /// Something hung on the same post in this frame.
    pub fn with(&mut self, companion: Companion) {
        match companion {
            Companion::Plate => self.plate += 1,
            Companion::School => self.school += 1,
            Companion::Warning => self.warning += 1,
        }
    }

    /// Whether another look below is worth it: the sign is large enough and has grown.
    pub fn wants_plate_look(&self, bbox: BoxPx) -> bool {
        bbox.width() >= PLATE_LOOK_PX && bbox.width() > PLATE_LOOK_GROWTH * self.below.0
    }

    /// Somebody looked below it.
    pub fn plate_look(&mut self, width_px: f32, found: bool) {
        self.below = (width_px, self.below.1 + 1, self.below.2 + u32::from(found));
    }

    /// Whether a companion was there often enough.
    pub fn has(&self, companion: Companion) -> bool {
        let (_, looks, plates) = self.below;
        if companion == Companion::Plate && plates >= 2 && 2 * plates > looks {
            return true;
        }
        let seen = match companion {
            Companion::Plate => self.plate,
            Companion::School => self.school,
            Companion::Warning => self.warning,
        };
        seen >= COMPANION_FRAMES && 5 * seen >= self.frames
    }

    /// It was named a limit.
    pub fn name(&mut self, value: f32) {
        if self.named.is_some_and(|before| before != value) {
            self.changes += 1;
        }
        self.named = Some(value);
    }

    /// Width of the last whole box, in pixels.
    pub fn side_px(&self) -> f32 {
        self.last_side
    }

    /// How far to the right and below the car's way it stands, in metres; `None` while it has not
    /// grown enough to tell.
    pub fn offset_m(&self) -> Option<(f32, f32)> {
        let [s, x, y, ss, sx, sy, n] = self.sums;
        let spread = ss * n - s * s;
        if self.frames < 4 || self.last_side < PASSED_GROWTH * self.first_side || spread <= 0.0 {
            return None;
        }
        let slope = |sum: f64, product: f64| ((product * n - s * sum) / spread) as f32 * SIGN_M;
        Some((slope(x, sx), slope(y, sy)))
    }

    /// Whether it came nearer by much less than the car drove. For a standing thing 1/size falls with
    /// the way driven by one over its width times the focal length; both are known well enough.
    fn moves(&self) -> bool {
        let driven_m = (self.last_mark.zip(self.first_mark)).and_then(|(a, b)| a.since(b));
        let [way, inverse, squares, product, n] = self.way_sums;
        let spread = squares * n - way * way;
        if driven_m.is_none_or(|m| m < WAY_FOR_MOTION_M) || spread <= 0.0 {
            return false;
        }
        let per_metre = (way * inverse - product * n) / spread;
        let standing = 1.0 / f64::from(FOCAL_SHARE * self.frame_width * SIGN_M);
        per_metre < STANDING_SHARE * standing
    }

    /// Judges it once its track has ended. `shape` is the region's span of height over width of limits.
    pub fn passage(&self, shape: Option<[f32; 2]>) -> Passage {
        if self.moves() {
            return Passage::Moving;
        }
        if self.frames < 2 || self.last_side < PASSED_GROWTH * self.first_side {
            return Passage::NotReached;
        }
        if let Some([low, high]) = shape
            && !(low..=high).contains(&self.height_over_width)
        {
            return Passage::WrongShape;
        }
        match self.offset_m() {
            Some((right, _)) if right.abs() > OTHER_ROAD_M => Passage::OtherRoad,
            Some((right, down)) if right.abs() < IN_THE_WAY_M && down.abs() < 2.0 => {
                Passage::Moving
            }
            _ => Passage::Passed,
        }
    }
}

/// Where a plate hangs below a sign.
pub fn plate_place(sign: BoxPx) -> BoxPx {
    let (width, height) = (sign.width(), sign.width() * 0.56);
    let top = sign.y1 - 0.02 * width;
    BoxPx::new(sign.x0, top, sign.x1, top + height)
}

/// How `other` hangs on the post of `sign`, if it does: a flat nameless thing below, or anything above
/// or below (`stacked`).
pub fn below_as_plate(sign: BoxPx, other: BoxPx) -> bool {
    let flat = other.width() > 1.15 * other.height();
    let gap = other.y0 - sign.y1;
    let wide = (0.5..1.8).contains(&(other.width() / sign.width().max(1.0)));
    flat && wide && aligned(sign, other) && (-0.15..0.4).contains(&(gap / sign.height().max(1.0)))
}

/// Whether two boxes of similar width hang on one post, one above the other.
pub fn stacked(a: BoxPx, b: BoxPx) -> bool {
    let gap = (a.y0 - b.y1).max(b.y0 - a.y1);
    let wide = (0.5..2.2).contains(&(b.width() / a.width().max(1.0)));
    wide && aligned(a, b) && (-0.2..0.5).contains(&(gap / a.height().max(1.0)))
}

fn aligned(a: BoxPx, b: BoxPx) -> bool {
    (a.centre().0 - b.centre().0).abs() < 0.35 * a.width()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::Odometer;
    use crate::position::METRES_PER_DEGREE;
    use crate::units::Timestamp;

    const FRAME: (u32, u32) = (1280, 720);
    const FOCAL: f32 = 1508.0;

    /// Drives `metres` towards a sign `right` beside and `up` above the camera, 60 m ahead; `own`
    /// is the share of the way it moves along.
    fn approached(right: f32, up: f32, width: f32, metres: f32, own: f32) -> Approach {
        let mut odometer = Odometer::default();
        let mut approach = Approach::default();
        for frame in 0..=(metres / 0.6) as u32 {
            let driven = frame as f32 * 0.6;
            let time = Timestamp::from_ticks(i64::from(frame), 30);
            odometer.fix(time, (48.0 + f64::from(driven) / METRES_PER_DEGREE, 8.0));
            let ahead = 60.0 - driven * (1.0 - own);
            let (x, y) = (640.0 + FOCAL * right / ahead, 360.0 - FOCAL * up / ahead);
            let side = FOCAL * width / ahead;
            approach.add(
                BoxPx::from_centre(x, y, side, side),
                FRAME,
                odometer.mark(time),
            );
        }
        approach
    }

    #[test]
    fn a_sign_beside_the_road_is_passed_where_it_stands() {
        let sign = approached(3.0, 0.9, 0.65, 54.0, 0.0);
        let (right, down) = sign.offset_m().unwrap();
        assert!(
            (right - 3.0).abs() < 0.1 && (down + 0.9).abs() < 0.1,
            "{right} {down}"
        );
        assert_eq!(sign.passage(None), Passage::Passed);
        assert_eq!(sign.passage(Some([1.1, 1.5])), Passage::WrongShape);
        // A large sign on a motorway, and one above the lane.
        assert_eq!(
            approached(5.5, 1.5, 1.0, 50.0, 0.0).passage(None),
            Passage::Passed
        );
        assert_eq!(
            approached(0.3, 4.5, 1.0, 50.0, 0.0).passage(None),
            Passage::Passed
        );
    }

    #[test]
    fn what_rides_on_a_vehicle_is_told_by_its_motion() {
        // Followed at the same speed, slowly overtaken, and closed up to in the same lane.
        assert_eq!(
            approached(0.5, 0.3, 0.3, 200.0, 1.0).passage(None),
            Passage::Moving
        );
        assert_eq!(
            approached(-3.2, 0.3, 0.4, 400.0, 0.88).passage(None),
            Passage::Moving
        );
        assert_eq!(
            approached(0.5, 0.3, 0.3, 55.0, 0.0).passage(None),
            Passage::Moving
        );
    }

    #[test]
    fn an_exit_s_sign_belongs_to_another_road() {
        assert_eq!(
            approached(11.0, 0.9, 0.65, 35.0, 0.0).passage(None),
            Passage::OtherRoad
        );
    }

    #[test]
    fn a_sign_that_never_grew_was_not_reached() {
        assert_eq!(
            approached(3.0, 0.9, 0.65, 6.0, 0.0).passage(None),
            Passage::NotReached
        );
    }

    #[test]
    fn plates_hang_below_and_signs_above_each_other() {
        let sign = BoxPx::new(100.0, 100.0, 140.0, 140.0);
        assert!(below_as_plate(sign, BoxPx::new(98.0, 144.0, 142.0, 164.0)));
        assert!(!below_as_plate(
            sign,
            BoxPx::new(100.0, 144.0, 140.0, 184.0)
        ));
        assert!(!below_as_plate(sign, BoxPx::new(98.0, 70.0, 142.0, 95.0)));
        assert!(stacked(sign, BoxPx::new(95.0, 40.0, 145.0, 92.0)));
        assert!(!stacked(sign, BoxPx::new(160.0, 100.0, 200.0, 140.0)));
    }
}
