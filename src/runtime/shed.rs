//! What is left out when the machine cannot keep up, in a declared order: encoder calls first, then the
//! detector's resolution, then the frame rate.
//!
//! The load is the time a frame took by the time between frames, smoothed. Above `HIGH` one more thing is
//! left out, below `LOW` for some seconds one less; a pause after each step lets its effect show.

use crate::units::Timestamp;

const HIGH: f64 = 0.95;
const LOW: f64 = 0.6;
/// From one step up to the next.
const SETTLE_S: f64 = 0.5;
/// The load must stay low for so long before a step down.
const CALM_S: f64 = 4.0;
/// Share of the newest frame in the smoothed load.
const NEWEST: f64 = 0.1;

/// How much is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Shed {
    /// Nothing.
    #[default]
    Nothing,
    /// All but one encoder call a frame.
    EncoderCalls,
    /// The detector sees a smaller picture, too.
    Resolution,
    /// Every second frame is left out, too.
    Rate,
}

impl Shed {
    /// In words, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing is left out",
            Self::EncoderCalls => "one encoder call a frame",
            Self::Resolution => "one encoder call a frame, smaller detector picture",
            Self::Rate => {
                "one encoder call a frame, smaller detector picture, every second frame left out"
            }
        }
    }

    const fn more(self) -> Self {
        match self {
            Self::Nothing => Self::EncoderCalls,
            Self::EncoderCalls => Self::Resolution,
            Self::Resolution | Self::Rate => Self::Rate,
        }
    }

    const fn less(self) -> Self {
        match self {
            Self::Nothing | Self::EncoderCalls => Self::Nothing,
            Self::Resolution => Self::EncoderCalls,
            Self::Rate => Self::Resolution,
        }
    }
}

/// Decides from each frame's figures.
#[derive(Debug, Default)]
pub struct Shedder {
    level: Shed,
    load: Option<f64>,
    changed: Option<Timestamp>,
    calm_since: Option<Timestamp>,
}

impl Shedder {
    /// A frame ended at `now` that took `busy_s`, `interval_s` after the one before was captured.
    pub fn frame(&mut self, now: Timestamp, busy_s: f64, interval_s: f64) -> Shed {
        let newest = busy_s / interval_s.max(1e-3);
        let load = self.load.map_or(newest, |l| l + NEWEST * (newest - l));
        self.load = Some(load);
        let settled =
            |changed: Option<Timestamp>| changed.is_none_or(|at| now.seconds_since(at) >= SETTLE_S);
        if load < LOW {
            let since = *self.calm_since.get_or_insert(now);
            if self.level != Shed::Nothing && now.seconds_since(since) >= CALM_S {
                self.step(self.level.less(), now);
            }
        } else {
            self.calm_since = None;
            if load > HIGH && settled(self.changed) && self.level != Shed::Rate {
                self.step(self.level.more(), now);
            }
        }
        self.level
    }

    fn step(&mut self, level: Shed, now: Timestamp) {
        self.level = level;
        self.changed = Some(now);
        self.calm_since = None;
        // What was measured belongs to the level before.
        self.load = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels of frames at 30 a second that take `busy_s`.
    fn run(shedder: &mut Shedder, from_s: f64, seconds: f64, busy_s: f64) -> Vec<Shed> {
        let mut levels: Vec<Shed> = (0..(seconds * 30.0) as usize)
            .map(|i| Timestamp::from_seconds(from_s + i as f64 / 30.0))
            .map(|now| shedder.frame(now, busy_s, 1.0 / 30.0))
            .collect();
        levels.dedup();
        levels
    }

    #[test]
    fn work_is_left_out_in_order_and_taken_up_again_in_reverse() {
        let mut shedder = Shedder::default();
        let all = [Shed::EncoderCalls, Shed::Resolution, Shed::Rate];
        assert_eq!(run(&mut shedder, 0.0, 5.0, 0.05), all);
        let back = [
            Shed::Rate,
            Shed::Resolution,
            Shed::EncoderCalls,
            Shed::Nothing,
        ];
        assert_eq!(run(&mut shedder, 5.0, 20.0, 0.005), back);
    }

    #[test]
    fn a_load_between_the_limits_changes_nothing() {
        let mut shedder = Shedder::default();
        assert_eq!(run(&mut shedder, 0.0, 20.0, 0.026), [Shed::Nothing]);
        let mut shedder = Shedder::default();
        run(&mut shedder, 0.0, 0.05, 0.05);
        assert_eq!(run(&mut shedder, 0.05, 20.0, 0.026), [Shed::EncoderCalls]);
    }

    #[test]
    fn one_slow_frame_is_no_overload() {
        let mut shedder = Shedder::default();
        run(&mut shedder, 0.0, 2.0, 0.015);
        let now = Timestamp::from_seconds(2.0);
        assert_eq!(shedder.frame(now, 0.15, 1.0 / 30.0), Shed::Nothing);
    }
}
