//! Replay: every frame of a source through every stage, lossless and in order.
//!
//! `threads` workers take turns at the source (one decodes while others detect); the calling thread
//! puts their results back in order and does the rest. Decisions see media time and frame order only,
//! so the events are the same bytes for any number of threads. Frames come from a fixed pool.
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-detect-N` | source (one at a time), pool | results | a free frame, its turn at the source |
//! | caller | results | events, pictures, pool | the next frame in order |

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::timing::{Stage, StageTimes};
use crate::detect::{Detections, Detector};
use crate::event::{Event, HealthEvent, Summary};
use crate::frame::Frame;
use crate::health::{HealthState, Reason, Reasons};
use crate::output::Output;
use crate::pipeline::Recognition;
use crate::position::Reading;
use crate::region::{PackError, RegionFollower};
use crate::report::FrameSink;
use crate::source::{Damage, FrameSource, Next};
use crate::units::{RegionCode, Timestamp};

/// What a replay needs.
pub struct ReplayJob<'a> {
    /// Where frames come from.
    pub source: Box<dyn FrameSource>,
    /// One a worker thread.
    pub detectors: Vec<Detector>,
    /// The rest of the stages, with the first region's bank.
    pub recognition: Recognition,
    /// The region the drive starts in.
    pub region: RegionCode,
    /// Where the car was, for drives that cross borders.
    pub drive: Option<Drive>,
    /// Packs refused before the start, though something else is used in their place.
    pub refused: Vec<PackError>,
    /// Told every event.
    pub outputs: Vec<Box<dyn Output>>,
    /// Shown every frame.
    pub sinks: Vec<&'a mut dyn FrameSink>,
}

/// A recorded track, and what follows it.
pub struct Drive {
    /// In order of time.
    pub readings: Vec<Reading>,
    /// Follows them.
    pub follower: RegionFollower,
}

/// What came of it.
#[derive(Debug)]
pub struct ReplayResult {
    /// Closing figures.
    pub summary: Summary,
    /// What the source lost.
    pub damage: Damage,
    /// Time by stage.
    pub times: StageTimes,
    /// From the first frame asked for to the last event told.
    pub wall: Duration,
    /// Outputs that failed, one line each.
    pub failed_outputs: Vec<String>,
}

/// A frame a worker has finished with.
struct Looked {
    frame: Frame,
    detections: Detections,
    times: [(Stage, Duration); 3],
    boxes: Duration,
}

/// What workers share: the source, and whether it has ended.
struct Shared {
    source: Box<dyn FrameSource>,
    ended: bool,
}

/// Runs a replay; `progress` is told frames and media time after each frame.
#[allow(clippy::disallowed_methods)] // times are measured for the summary, nothing is decided by them
pub fn replay(
    job: ReplayJob<'_>,
    mut progress: impl FnMut(u64, Timestamp),
) -> anyhow::Result<ReplayResult> {
    let ReplayJob {
        source,
        detectors,
        recognition,
        region,
        drive,
        refused,
        outputs,
        sinks,
    } = job;
    let started = Instant::now();
    let shared = Mutex::new(Shared {
        source,
        ended: false,
    });
    // One in each worker's hands, one in the caller's, one on its way.
    let frames = detectors.len() + 2;
    let (pool_in, pool_out) = bounded(frames);
    for _ in 0..frames {
        // The channel holds as many.
        let _ = pool_in.send(Frame::default());
    }
    let (looked_in, looked_out) = bounded(frames);
    let mut tail = Tail::new(recognition, region, drive, outputs, sinks)?;
    tail.tell_refused(&refused);
    std::thread::scope(|scope| {
        for (n, detector) in detectors.into_iter().enumerate() {
            let (shared, pool, looked) = (&shared, pool_out.clone(), looked_in.clone());
            std::thread::Builder::new()
                .name(format!("ts-detect-{n}"))
                .spawn_scoped(scope, move || {
                    let result = worker(detector, shared, &pool, &looked);
                    if let Err(error) = result {
                        // The caller may have stopped listening after another error.
                        let _ = looked.send(Err(error));
                    }
                })
                .context("cannot start a thread")?;
        }
        drop((pool_out, looked_in));
        let outcome = tail.run(&looked_out, &pool_in, &mut progress);
        // Workers that wait for either must not wait for ever.
        drop((looked_out, pool_in));
        outcome
    })?;
    let shared = shared.into_inner().unwrap_or_else(|e| e.into_inner());
    let damage = shared.source.damage().clone();
    let summary = tail.finish(damage.lost_frames)?;
    Ok(ReplayResult {
        summary,
        damage,
        times: tail.times,
        wall: started.elapsed(),
        failed_outputs: tail.outputs.failed,
    })
}

/// Takes turns at the source and looks at its frames until it ends.
#[allow(clippy::disallowed_methods)]
fn worker(
    mut detector: Detector,
    shared: &Mutex<Shared>,
    pool: &Receiver<Frame>,
    looked: &Sender<anyhow::Result<Looked>>,
) -> anyhow::Result<()> {
    while let Ok(mut frame) = pool.recv() {
        let decode = {
            // A worker that panicked has ended the replay already.
            let mut shared = shared.lock().unwrap_or_else(|e| e.into_inner());
            if shared.ended {
                return Ok(());
            }
            let start = Instant::now();
            // An error ends the source for all.
            shared.ended = true;
            if shared.source.next_frame(&mut frame)? == Next::End {
                return Ok(());
            }
            shared.ended = false;
            start.elapsed()
        };
        let start = Instant::now();
        detector.prepare(&frame);
        let resample = start.elapsed();
        detector.infer()?;
        let detect = start.elapsed();
        let mut detections = Detections::new();
        detector.decode(&mut detections);
        let times = [
            (Stage::Decode, decode),
            (Stage::Resample, resample),
            (Stage::Detect, detect - resample),
        ];
        let done = Looked {
            frame,
            detections,
            times,
            boxes: start.elapsed() - detect,
        };
        if looked.send(Ok(done)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The outputs still working, and what became of the others.
struct Outputs {
    live: Vec<Box<dyn Output>>,
    failed: Vec<String>,
}

impl Outputs {
    /// Tells all outputs; one that fails is dropped, and the others go on.
    fn each(&mut self, mut tell: impl FnMut(&mut dyn Output) -> std::io::Result<()>) {
        let failed = &mut self.failed;
        self.live.retain_mut(|output| match tell(output.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                log::error!("{}: {error}; this output is off from here", output.name());
                failed.push(format!("{}: {error}", output.name()));
                false
            }
        });
    }
}

/// What happens to frames in order, on the caller's thread.
struct Tail<'a> {
    recognition: Recognition,
    region: RegionCode,
    drive: Option<Drive>,
    next_reading: usize,
    position_deg: Option<(f64, f64)>,
    reasons: Reasons,
    swap_took: Option<Duration>,
    outputs: Outputs,
    sinks: Vec<&'a mut dyn FrameSink>,
    times: StageTimes,
    summary: Summary,
    last_frame: u64,
    begun: bool,
}

impl<'a> Tail<'a> {
    fn new(
        recognition: Recognition,
        region: RegionCode,
        drive: Option<Drive>,
        outputs: Vec<Box<dyn Output>>,
        sinks: Vec<&'a mut dyn FrameSink>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            recognition,
            region,
            drive,
            next_reading: 0,
            position_deg: None,
            reasons: Reasons::NONE,
            swap_took: None,
            outputs: Outputs {
                live: outputs,
                failed: Vec::new(),
            },
            sinks,
            times: StageTimes::default(),
            summary: Summary::default(),
            last_frame: 0,
            begun: false,
        })
    }

    /// Brings the workers' frames back in order until all are done.
    fn run(
        &mut self,
        looked: &Receiver<anyhow::Result<Looked>>,
        pool: &Sender<Frame>,
        progress: &mut impl FnMut(u64, Timestamp),
    ) -> anyhow::Result<()> {
        let mut early: BTreeMap<u64, Looked> = BTreeMap::new();
        let mut next = 0;
        for done in looked {
            let done = done?;
            early.insert(done.frame.index, done);
            while let Some(done) = early.remove(&next) {
                self.frame(&done)?;
                progress(self.summary.frames, done.frame.time);
                // All workers may have ended meanwhile.
                let _ = pool.send(done.frame);
                next += 1;
            }
        }
        Ok(())
    }

    #[allow(clippy::disallowed_methods)]
    fn frame(&mut self, done: &Looked) -> anyhow::Result<()> {
        let frame = &done.frame;
        for (stage, time) in done.times {
            self.times.add(stage, time);
        }
        self.recognition.begin();
        self.follow(frame.time, frame.index);
        let start = Instant::now();
        self.recognition.step(frame, &done.detections)?;
        let encode = self.recognition.take_encode_time();
        let recognise = start.elapsed();
        self.times
            .add(Stage::Recognise, done.boxes + recognise - encode);
        if encode > Duration::ZERO {
            self.times.add(Stage::Encode, encode);
        }
        let mut view = self.recognition.view(self.position_deg);
        view.swap_took = self.swap_took;
        for sink in &mut self.sinks {
            sink.frame(frame, &view)?;
        }
        self.summary.frames += 1;
        self.summary.time = frame.time;
        self.last_frame = frame.index;
        self.tell();
        self.times.add(Stage::Output, start.elapsed() - recognise);
        Ok(())
    }

    /// Takes the readings up to `time`, and swaps the region before the frame is looked at.
    #[allow(clippy::disallowed_methods)]
    fn follow(&mut self, time: Timestamp, frame: u64) {
        self.swap_took = None;
        let first = !std::mem::replace(&mut self.begun, true);
        let Some(drive) = &mut self.drive else {
            if first {
                self.recognition.announce_region(self.region, None);
            }
            return;
        };
        let readings = &drive.readings[self.next_reading..];
        for reading in readings.iter().take_while(|r| r.time() <= time) {
            if let Reading::Fix(fix) = reading {
                self.position_deg = Some(fix.position_deg());
                self.recognition.position(fix.time, fix.position_deg());
            }
            drive.follower.take(reading);
            self.next_reading += 1;
        }
        drive.follower.look(time);
        let change = drive.follower.change();
        if first {
            let (region, bank) = drive.follower.current();
            self.region = region;
            self.recognition.set_bank(Arc::clone(bank));
            self.recognition.announce_region(region, self.position_deg);
        } else if let Some(change) = change {
            self.region = change.region;
            let start = Instant::now();
            self.recognition.swap_region((time, frame), change);
            let took = start.elapsed();
            self.times.add(Stage::Swap, took);
            self.swap_took = Some(took);
            self.summary.region_swaps += 1;
        }
        for note in drive.follower.notes() {
            self.reasons.set(note.reason, note.stands);
            let state = if self.reasons.is_empty() {
                HealthState::Normal
            } else {
                HealthState::Degraded
            };
            self.recognition.tell(Event::Health(HealthEvent {
                time,
                frame,
                state,
                reasons: self.reasons,
                detail: Some(note.words.into()),
                cameras: Arc::default(),
            }));
        }
    }

    fn tell_refused(&mut self, refused: &[PackError]) {
        for error in refused {
            let event = Event::Health(HealthEvent {
                time: Timestamp::ZERO,
                frame: 0,
                state: HealthState::Degraded,
                reasons: [Reason::PackRefused].into_iter().collect(),
                detail: Some(error.to_string().into()),
                cameras: Arc::default(),
            });
            self.outputs.each(|output| output.emit(&event));
        }
    }

    /// Tells the outputs what the recognition has to say.
    fn tell(&mut self) {
        for event in self.recognition.events() {
            self.summary.count(event);
            self.outputs.each(|output| output.emit(event));
        }
    }

    fn finish(&mut self, lost_frames: u64) -> anyhow::Result<Summary> {
        self.recognition.begin();
        self.recognition.finish(self.summary.time, self.last_frame);
        self.tell();
        self.summary.lost_frames = lost_frames;
        let event = Event::Summary(self.summary.clone());
        self.outputs.each(|output| output.emit(&event));
        self.outputs.each(|output| output.finish());
        Ok(self.summary.clone())
    }
}
