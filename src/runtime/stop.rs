//! One token that ends everything. Whoever waits, waits on it too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub struct Stop {
    stopped: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Stop {
    /// Asks everything to end; wakes all who wait.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let _held = self.lock.lock();
        self.wake.notify_all();
    }

    /// Whether the end was asked for.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits for `pause`; true when stopped.
    pub fn wait(&self, pause: Duration) -> bool {
        let held = self.lock.lock().unwrap_or_else(|e| e.into_inner());
        let waiting = |_: &mut ()| !self.is_stopped();
        drop(self.wake.wait_timeout_while(held, pause, waiting));
        self.is_stopped()
    }
}
