//! What the threads of a live run share, and others hand in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::board::HealthBoard;
use super::stop::Stop;
use super::threads::ThreadPlans;
use super::timing::StageTimes;
use crate::output::Progress;
use crate::position::Fix;
use crate::region::{RegionBank, RegionChange};

/// What others may look at and hand in while the unit runs.
pub struct Shared {
    /// Frames done and dropped.
    pub progress: Arc<Progress>,
    /// Reasons that stand.
    pub board: Arc<HealthBoard>,
    /// Where threads run.
    pub threads: ThreadPlans,
    /// Ends everything.
    pub stop: Stop,
    pub(super) next_region: Mutex<Option<RegionChange>>,
    renewed: Mutex<Vec<Arc<RegionBank>>>,
    pub(super) place: Mutex<Option<Fix>>,
    pub(super) collect_fault: Mutex<Option<String>>,
    pub(super) times: Mutex<StageTimes>,
    pub(super) frame: AtomicU64,
    pub(super) died: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            progress: Arc::new(Progress::default()),
            board: Arc::default(),
            threads: ThreadPlans::default(),
            stop: Stop::default(),
            next_region: Mutex::new(None),
            renewed: Mutex::new(Vec::new()),
            place: Mutex::new(None),
            collect_fault: Mutex::new(None),
            times: Mutex::new(StageTimes::default()),
            frame: AtomicU64::new(0),
            died: AtomicBool::new(false),
        }
    }
}

impl Shared {
    /// For a unit whose threads are placed by `threads`, with cameras of these names.
    pub fn new(threads: ThreadPlans, cameras: impl IntoIterator<Item = Option<Arc<str>>>) -> Self {
        Self {
            threads,
            board: Arc::new(HealthBoard::of_cameras(cameras)),
            ..Self::default()
        }
    }

    /// Puts a region in force from the next frame on; a newer one replaces one that still waits.
    pub fn swap_region(&self, change: RegionChange) {
        *lock(&self.next_region) = Some(change);
    }

    /// Tells the recognition where the car is, for the way it drives; the newest fix counts.
    pub fn place(&self, fix: Fix) {
        *lock(&self.place) = Some(fix);
    }

    /// A newer pack is there, for whoever knows the region in force.
    pub fn renew(&self, bank: Arc<RegionBank>) {
        lock(&self.renewed).push(bank);
    }

    /// Takes the newer packs.
    pub fn take_renewed(&self) -> Vec<Arc<RegionBank>> {
        std::mem::take(&mut *lock(&self.renewed))
    }

    /// What keeps crops from being collected, if anything does.
    pub fn collecting(&self, fault: Option<String>) {
        *lock(&self.collect_fault) = fault;
    }

    /// A thread of the unit died: the unit ends, with a fault.
    pub fn died(&self) {
        self.died.store(true, Ordering::Release);
        self.stop.stop();
    }

    /// Time by stage so far.
    pub fn times(&self) -> StageTimes {
        lock(&self.times).clone()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is guarded here cannot be half changed by a panic, and a panic ends the unit anyway.
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
