//! Live outputs: each on a thread of its own behind a bounded queue, so that none delays a frame.
//!
//! A queue that is full loses its oldest event, and the loss is counted: an output that comes back tells
//! the newest. CAN and other state outputs are asked by time as well ([`Output::tick`]).
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-out-N` | its queue | its output | the next event, or the output's next tick |

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::board::HealthBoard;
use super::threads::ThreadPlan;
use crate::clock::Clock;
use crate::event::Event;
use crate::output::Output;
use crate::units::Timestamp;

/// Events that wait for a slow output.
pub const QUEUE_EVENTS: usize = 512;
/// An output that has not come back from one call for so long counts as down.
const STUCK_AFTER: Duration = Duration::from_millis(150);
/// Losses are told no more often.
const LOSSES_EVERY_S: f64 = 1.0;
/// How long outputs have to write what they hold when the unit stops.
const STOP_DEADLINE: Duration = Duration::from_millis(800);

/// What an output's thread says about itself.
#[derive(Debug)]
struct Status {
    /// Calls that ended.
    done: AtomicU64,
    /// Events lost because the queue was full.
    dropped: AtomicU64,
    /// Events that the output gave up itself.
    lost: AtomicU64,
    failing: AtomicBool,
    /// Start of the call in progress, nanoseconds; negative between calls.
    busy_since: AtomicI64,
    error: Mutex<String>,
}

/// One output and its queue.
struct Lane {
    name: String,
    sender: Sender<Event>,
    /// The same queue's other end, to take the oldest out.
    oldest: Receiver<Event>,
    status: Arc<Status>,
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

/// All live outputs.
pub struct OutputHub {
    lanes: Vec<Lane>,
    clock: Arc<dyn Clock>,
}

/// How an output does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// `None` while it works; else what is wrong.
    pub fault: Option<String>,
    /// Events lost because it was slow, or its other side away.
    pub dropped: u64,
    /// Events and ticks it has finished.
    pub done: u64,
}

/// Events that outputs lost, for telling: when an output works again, and at most once a second.
#[derive(Debug, Default)]
pub struct Losses {
    told: Vec<u64>,
    last: Option<Timestamp>,
}

impl Losses {
    /// What was lost and not told yet, in words.
    pub fn look(&mut self, reports: &[OutputReport], now: Timestamp) -> Option<String> {
        self.told.resize(reports.len(), 0);
        if (self.last).is_some_and(|last| now.seconds_since(last) < LOSSES_EVERY_S) {
            return None;
        }
        let mut words = Vec::new();
        for (report, told) in reports.iter().zip(&mut self.told) {
            // While it is down the number still grows.
            if report.fault.is_none() && report.dropped > *told {
                let lost = report.dropped - std::mem::replace(told, report.dropped);
                words.push(format!("{} lost {lost} events", report.name));
            }
        }
        (!words.is_empty()).then(|| {
            self.last = Some(now);
            words.join("; ")
        })
    }
}

impl OutputHub {
    /// Starts a thread for each output, placed by `plan`.
    pub fn start(
        outputs: Vec<Box<dyn Output>>,
        clock: Arc<dyn Clock>,
        plan: &ThreadPlan,
        board: &Arc<HealthBoard>,
    ) -> std::io::Result<Self> {
        let lanes = (outputs.into_iter().enumerate())
            .map(|(n, output)| {
                let (plan, board) = (plan.clone(), Arc::clone(board));
                Lane::start(n, output, Arc::clone(&clock), move || plan.place(&board))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { lanes, clock })
    }

    /// Hands an event to every queue. Never waits and never allocates.
    pub fn tell(&self, event: &Event) {
        for lane in &self.lanes {
            lane.put(event.clone());
        }
    }

    /// How each output does.
    pub fn reports(&self) -> Vec<OutputReport> {
        let now = self.clock.now();
        self.lanes.iter().map(|lane| lane.report(now)).collect()
    }

    /// Ends all threads after they have told what waits; the names of those that did not end in time.
    pub fn stop(self) -> Vec<String> {
        let deadline = deadline_after(STOP_DEADLINE);
        let mut late = Vec::new();
        let mut ends = Vec::new();
        for lane in self.lanes {
            drop((lane.sender, lane.oldest));
            ends.push((lane.name, lane.ended, lane.thread));
        }
        for (name, ended, thread) in ends {
            match ended.recv_deadline(deadline) {
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => late.push(name),
                _ => drop(thread.join()),
            }
        }
        late
    }
}

#[allow(clippy::disallowed_methods)] // a deadline for joining threads, not a decision about frames
fn deadline_after(pause: Duration) -> std::time::Instant {
    std::time::Instant::now() + pause
}

impl Lane {
    fn start(
        n: usize,
        output: Box<dyn Output>,
        clock: Arc<dyn Clock>,
        place: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let name = output.name().to_owned();
        let (sender, receiver) = bounded(QUEUE_EVENTS);
        let (end, ended) = bounded(1);
        let status = Arc::new(Status {
            done: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            busy_since: AtomicI64::new(-1),
            error: Mutex::new(String::new()),
        });
        let (queue, mine) = (receiver.clone(), Arc::clone(&status));
        let thread = std::thread::Builder::new()
            .name(format!("ts-out-{n}"))
            .spawn(move || {
                place();
                run(output, &queue, &mine, clock.as_ref());
                let _ = end.send(());
            })?;
        Ok(Self {
            name,
            sender,
            oldest: receiver,
            status,
            thread,
            ended,
        })
    }

    fn put(&self, mut event: Event) {
        loop {
            match self.sender.try_send(event) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => {
                    event = back;
                    if self.oldest.try_recv().is_ok() {
                        self.status.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    fn report(&self, now: Timestamp) -> OutputReport {
        let since = self.status.busy_since.load(Ordering::Acquire);
        let busy_s = now.seconds_since(Timestamp::from_nanos(since));
        let stuck = since >= 0 && busy_s > STUCK_AFTER.as_secs_f64();
        let fault = if self.status.failing.load(Ordering::Acquire) {
            let error = self.status.error.lock();
            Some(error.map_or_else(|e| e.into_inner().clone(), |e| e.clone()))
        } else if stuck {
            Some(format!(
                "{}: has not taken an event for {busy_s:.1} s",
                self.name
            ))
        } else {
            None
        };
        OutputReport {
            name: self.name.clone(),
            fault,
            dropped: self.status.dropped.load(Ordering::Relaxed)
                + self.status.lost.load(Ordering::Relaxed),
            done: self.status.done.load(Ordering::Relaxed),
        }
    }
}

/// Until the queue is closed: tells events and keeps the output's time.
fn run(mut output: Box<dyn Output>, queue: &Receiver<Event>, status: &Status, clock: &dyn Clock) {
    let every = output.tick_every().unwrap_or(Duration::from_secs(1));
    loop {
        let event = match queue.recv_timeout(every) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let now = clock.now();
        status.busy_since.store(now.nanos(), Ordering::Release);
        let ticked = output.tick(now);
        let outcome = match &event {
            // The last of a burst goes out with what an output may have gathered.
            Some(event) if queue.is_empty() => output.emit(event).and_then(|()| output.tick(now)),
            Some(event) => output.emit(event),
            None => ticked,
        };
        status.lost.store(output.lost(), Ordering::Relaxed);
        status.note(outcome);
    }
    status
        .busy_since
        .store(clock.now().nanos(), Ordering::Release);
    status.note(output.finish());
}

impl Status {
    fn note(&self, outcome: std::io::Result<()>) {
        match outcome {
            Ok(()) => {
                if self.failing.swap(false, Ordering::AcqRel) {
                    log::info!("an output works again");
                }
            }
            Err(error) => {
                let text = error.to_string();
                (self.error.lock().unwrap_or_else(|e| e.into_inner())).clone_from(&text);
                if !self.failing.swap(true, Ordering::AcqRel) {
                    log::warn!("{text}; trying again");
                }
            }
        }
        self.busy_since.store(-1, Ordering::Release);
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}
