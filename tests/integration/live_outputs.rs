//! Live outputs: none delays the others or the frames, none is silent when it fails, all end in time.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tsedge::clock::Monotonic;
use tsedge::event::{Event, Naming};
use tsedge::output::Output;
use tsedge::runtime::outputs::{OutputHub, QUEUE_EVENTS};
use tsedge::runtime::threads::ThreadPlan;

use crate::output_events::{limit_60, sign};

/// Takes events until told to block, or to fail.
#[derive(Clone, Default)]
struct Probe {
    taken: Arc<AtomicU64>,
    last_frame: Arc<AtomicU64>,
    failing: Arc<AtomicBool>,
    blocked: Arc<(Mutex<bool>, Condvar)>,
}

impl Probe {
    fn block(&self, blocked: bool) {
        *self.blocked.0.lock().unwrap() = blocked;
        self.blocked.1.notify_all();
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    fn wait_for(&self, what: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !what(self) {
            assert!(Instant::now() < end, "waited in vain");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

struct ProbeOutput(String, Probe);

impl Output for ProbeOutput {
    fn name(&self) -> &str {
        &self.0
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        let blocked = self.1.blocked.0.lock().unwrap();
        drop(self.1.blocked.1.wait_while(blocked, |b| *b).unwrap());
        if self.1.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("the cable is cut"));
        }
        if let Event::SignSeen(sign) = event {
            self.1.last_frame.store(sign.frame, Ordering::SeqCst);
        }
        self.1.taken.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hub(probes: &[Probe]) -> OutputHub {
    let outputs = (probes.iter().enumerate())
        .map(|(i, probe)| {
            Box::new(ProbeOutput(format!("probe {i}"), probe.clone())) as Box<dyn Output>
        })
        .collect();
    hub_of(outputs)
}

/// Threads on any core, without priority.
pub fn hub_of(outputs: Vec<Box<dyn Output>>) -> OutputHub {
    let (clock, threads) = (Arc::new(Monotonic), ThreadPlan::default());
    OutputHub::start(outputs, clock, &threads, &Arc::default()).unwrap()
}

fn event(frame: u64) -> Event {
    let mut sign = sign(Naming::Sign(limit_60()));
    sign.frame = frame;
    Event::SignSeen(sign)
}

#[test]
fn a_blocked_output_delays_nobody_and_tells_the_newest_when_it_comes_back() {
    let probes = [Probe::default(), Probe::default()];
    let hub = hub(&probes);
    probes[0].block(true);
    let events = 4 * QUEUE_EVENTS as u64;
    for frame in 0..events {
        hub.tell(&event(frame));
        probes[1].wait_for(|p| p.taken() > frame);
    }
    probes[0].wait_for(|_| hub.reports()[0].fault.is_some());
    let reports = hub.reports();
    assert!(reports[0].fault.as_ref().unwrap().contains("probe 0"));
    assert_eq!(reports[0].dropped, events - QUEUE_EVENTS as u64 - 1);
    assert_eq!((reports[1].dropped, &reports[1].fault), (0, &None));
    probes[0].block(false);
    probes[0].wait_for(|p| p.taken() == QUEUE_EVENTS as u64 + 1);
    assert_eq!(probes[0].last_frame.load(Ordering::SeqCst), events - 1);
    probes[0].wait_for(|_| hub.reports()[0].fault.is_none());
    assert_eq!(hub.stop(), Vec::<String>::new());
}

#[test]
fn a_failing_output_is_named_with_its_error_until_it_works_again() {
    let probe = Probe::default();
    let hub = hub(std::slice::from_ref(&probe));
    probe.failing.store(true, Ordering::SeqCst);
    hub.tell(&event(0));
    probe.wait_for(|_| hub.reports()[0].fault.is_some());
    assert_eq!(hub.reports()[0].fault.as_deref(), Some("the cable is cut"));
    probe.failing.store(false, Ordering::SeqCst);
    hub.tell(&event(1));
    probe.wait_for(|_| hub.reports()[0].fault.is_none());
    hub.stop();
}

#[test]
fn what_waits_is_told_before_the_end_and_a_stuck_output_does_not_hold_it_up() {
    let probes = [Probe::default(), Probe::default()];
    let hub = hub(&probes);
    probes[1].block(true);
    for frame in 0..100 {
        hub.tell(&event(frame));
    }
    let start = Instant::now();
    assert_eq!(hub.stop(), ["probe 1"]);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(probes[0].taken(), 100);
    probes[1].block(false);
}
