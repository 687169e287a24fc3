//! What the process owes its service manager: signals, panics, readiness and the watchdog.

use std::sync::Arc;

use anyhow::Context as _;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::health::Reason;
use crate::runtime::shared::Shared;

/// The first signal ends the run in order, the second at once.
pub(super) fn end_on_signals(shared: &Arc<Shared>) -> anyhow::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("ts-signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if shared.stop.is_stopped() {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                log::info!("signal {signal}: stopping");
                shared.stop.stop();
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// No part of the unit dies in silence: whatever thread panics, it ends, and the service manager starts it anew.
pub(super) fn end_on_panics(shared: &Arc<Shared>) {
    let (usual, shared) = (std::panic::take_hook(), Arc::clone(shared));
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        shared.died();
    }));
}

/// What the service manager is told: that the unit is up, what it does, and that it makes progress.
#[derive(Default)]
pub(super) struct Service {
    ready: bool,
    frames: u64,
    status: String,
}

impl Service {
    /// The watchdog is fed by progress alone: a frame recognised, or a lost camera that is being tried.
    pub(super) fn look(&mut self, shared: &Shared) {
        let frames = shared.progress.frames();
        let reasons = shared.board.reasons();
        let progress = frames != self.frames || reasons.has(Reason::NoCamera);
        self.frames = frames;
        if progress {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
        if !self.ready && progress {
            self.ready = true;
            let _ = sd_notify::notify(&[NotifyState::Ready]);
        }
        let status = if reasons.is_empty() {
            "normal".to_owned()
        } else {
            format!("degraded: {reasons}")
        };
        if status != self.status {
            let _ = sd_notify::notify(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    pub(super) fn stopping(&self) {
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_thread_panics_the_unit_ends() {
        let shared = Arc::new(Shared::default());
        end_on_panics(&shared);
        let thread = std::thread::Builder::new().name("ts-out-0".to_owned());
        let died = thread.spawn(|| panic!("an output")).unwrap().join();
        assert!(died.is_err() && shared.stop.is_stopped());
    }
}
