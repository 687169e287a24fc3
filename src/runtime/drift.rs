//! Drift while driving: told every event as outputs are, keeps statistics, and says when to evaluate again.
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-drift` | states to keep | the state's file | the next state |

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::board::HealthBoard;
use crate::evaluate::drift::{Drift, References, references};
use crate::event::Event;
use crate::health::Reason;
use crate::output::Output;
use crate::region::install::write_atomically;
use crate::units::Timestamp;

/// A unit that is switched off loses no more than this.
const KEEP_EVERY: Duration = Duration::from_secs(30);

/// The state's file in its folder.
pub fn state_path(folder: &Path) -> PathBuf {
    folder.join("drift.json")
}

/// Takes events and keeps what they tell of drift.
pub struct DriftOutput {
    name: String,
    drift: Drift,
    references: References,
    board: Arc<HealthBoard>,
    changed: bool,
    keeper: Option<(Sender<Vec<u8>>, JoinHandle<()>)>,
    fault: Arc<Mutex<Option<String>>>,
}

impl DriftOutput {
    /// With the state in `folder`, if there is one; `reference` says what is usual.
    pub fn start(
        folder: &Path,
        reference: Option<&Path>,
        board: Arc<HealthBoard>,
    ) -> anyhow::Result<Self> {
        let path = state_path(folder);
        let references = reference.map(references).transpose()?.unwrap_or_default();
        std::fs::create_dir_all(folder)?;
        let drift = match path.exists().then(|| Drift::read(&path)) {
            Some(Ok(drift)) => drift,
            Some(Err(fault)) => {
                log::warn!("{fault:#}: statistics start anew");
                Drift::default()
            }
            None => Drift::default(),
        };
        if drift.has_left() {
            board.set(Reason::EvaluateAgain, true);
        }
        let fault = Arc::new(Mutex::new(None));
        // A disk that takes long must not look like an output that hangs.
        let (sender, states) = bounded(1);
        let (own, name) = (Arc::clone(&fault), format!("drift {}", path.display()));
        let thread = std::thread::Builder::new().name("ts-drift".to_owned());
        let thread = thread.spawn(move || keep(&path, &states, &own))?;
        Ok(Self {
            name,
            drift,
            references,
            board,
            changed: false,
            keeper: Some((sender, thread)),
            fault,
        })
    }

    /// Hands the state over, unless the last one is still being written.
    fn hand_over(&mut self) -> io::Result<()> {
        if let (true, Some((sender, _))) = (self.changed, &self.keeper) {
            let state = serde_json::to_vec(&self.drift)?;
            self.changed = sender.try_send(state).is_err();
        }
        match lock(&self.fault).as_ref() {
            Some(fault) => Err(io::Error::other(format!("{}: {fault}", self.name))),
            None => Ok(()),
        }
    }
}

fn keep(path: &Path, states: &Receiver<Vec<u8>>, fault: &Mutex<Option<String>>) {
    for state in states {
        *lock(fault) = write_atomically(path, &state).err().map(|e| e.to_string());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A text cannot be half changed.
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Output for DriftOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Region(region) => {
                self.drift
                    .pack(region.to, &region.pack_sha256, &self.references);
                // A newer pack has not left anything yet.
                self.board.set(Reason::EvaluateAgain, self.drift.has_left());
                self.changed = true;
            }
            Event::SignLost(sign) => {
                if let Some(words) = self.drift.ended(sign) {
                    self.board.explain(Reason::EvaluateAgain, true, words);
                }
                self.changed = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(KEEP_EVERY)
    }

    fn tick(&mut self, _now: Timestamp) -> io::Result<()> {
        self.hand_over()
    }

    fn finish(&mut self) -> io::Result<()> {
        if let (true, Some((sender, _))) = (self.changed, &self.keeper) {
            let state = serde_json::to_vec(&self.drift)?;
            self.changed = sender.send(state).is_err();
        }
        if let Some((sender, thread)) = self.keeper.take() {
            drop(sender);
            let _ = thread.join();
        }
        self.hand_over()
    }
}
