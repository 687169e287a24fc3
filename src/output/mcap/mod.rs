//! An MCAP recording, which Foxglove and other tools open: a channel a kind of event with JSON messages, and
//! `foxglove.LocationFix` where an event says where the car was.
//!
//! Events are written a chunk a second, whole: after a sudden end all but the last second can be read (in
//! order, without the index at the end). A file never goes on after a restart: the old one is put aside.

mod schema;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use ::mcap::records::MessageHeader;
use ::mcap::write::NoSeek;
use ::mcap::{McapError, WriteOptions, Writer};
use serde_json::{Value, json};

use super::hold::Hold;
use super::{Output, RotatingFile, named, record};
use crate::clock::Clock;
use crate::event::Event;
use crate::units::Timestamp;

/// Parts of the published schema, in the order of the channels' schemas.
const PARTS: [&str; 5] = ["sign", "speed_limit", "region", "health", "summary"];
/// Kinds of events, each with its schema's place in [`PARTS`].
const KINDS: [(&str, usize); 7] = [
    ("sign_seen", 0),
    ("sign_confirmed", 0),
    ("sign_lost", 0),
    ("speed_limit", 1),
    ("region", 2),
    ("health", 3),
    ("summary", 4),
];
const CHUNK_BYTES: u64 = 64 * 1024;
const CHUNK_EVERY_S: f64 = 1.0;

/// Writes events to MCAP files; see the module.
pub struct McapOutput {
    name: String,
    file: Hold<RotatingFile>,
    /// A larger file is put aside.
    most: u64,
    /// Where times are since some start, the clock that they are of; recordings have the time of day.
    clock: Option<Arc<dyn Clock>>,
    recording: Option<Recording>,
    /// Where the recording leaves its bytes.
    sink: Sink,
    /// The recording has ended; what is held still belongs to it.
    put_aside: bool,
    json: Vec<u8>,
    chunk_since: Option<Timestamp>,
    lost: u64,
}

impl McapOutput {
    /// Creates or replaces the file at `path`; messages have the events' own times.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::open(path, u64::MAX, 0, None)
    }

    /// For live operation: files of `most` bytes, of which `keep` stay besides the newest; messages have the
    /// time of day, as other recordings in the vehicle, where the events' times are of `clock`.
    pub fn record(path: &Path, most: u64, keep: u32, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Self::open(path, most, keep, Some(clock))
    }

    fn open(path: &Path, most: u64, keep: u32, clock: Option<Arc<dyn Clock>>) -> io::Result<Self> {
        let name = format!("mcap {}", path.display());
        let file = RotatingFile::open(path, u64::MAX, keep).map_err(|e| named(&name, &e))?;
        let mut output = Self {
            name,
            put_aside: file.size() > 0,
            file: Hold::new(file, 2 * CHUNK_BYTES as usize),
            most,
            clock,
            recording: None,
            sink: Sink::default(),
            json: Vec::with_capacity(4096),
            chunk_since: None,
            lost: 0,
        };
        let begun = output.begin();
        begun.map_err(|e| named(&output.name, &e))?;
        Ok(output)
    }

    /// A new recording, unless one goes on.
    fn begin(&mut self) -> io::Result<()> {
        if self.put_aside {
            self.file.hand_over()?;
            self.file.writer.put_aside()?;
            self.put_aside = false;
        }
        if self.recording.is_none() {
            let sink = self.sink.clone();
            let recording = Recording::begin(sink, self.clock.as_deref()).map_err(io_error)?;
            self.recording = Some(recording);
        }
        Ok(())
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.file.make_room()?;
        self.json.clear();
        record::write(event, &mut self.json)?;
        self.begin()?;
        if let Some(recording) = &mut self.recording {
            recording.write(event, &self.json).map_err(io_error)?;
        }
        self.collect();
        Ok(())
    }

    /// What the recording has written, for the file.
    fn collect(&mut self) {
        self.file.pending.append(&mut self.sink.bytes());
    }

    fn end_recording(&mut self) -> io::Result<()> {
        if let Some(mut recording) = self.recording.take() {
            recording.writer.finish().map_err(io_error)?;
        }
        self.collect();
        self.file.hand_over()
    }

    fn end_chunk(&mut self) -> io::Result<()> {
        if let Some(recording) = &mut self.recording {
            recording.writer.flush().map_err(io_error)?;
        }
        self.collect();
        self.file.hand_over()?;
        if self.file.writer.size() >= self.most {
            self.put_aside = true;
            self.end_recording()?;
        }
        Ok(())
    }
}

impl Output for McapOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn emit(&mut self, event: &Event) -> io::Result<()> {
        let written = self.write(event);
        if written.is_err() {
            self.lost += 1;
        } else if self.file.pending.len() as u64 >= CHUNK_BYTES {
            // Kept for the next try if the disk refuses.
            return self.file.hand_over().map_err(|e| named(&self.name, &e));
        }
        written.map_err(|e| named(&self.name, &e))
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        let since = *self.chunk_since.get_or_insert(now);
        if now.seconds_since(since) < CHUNK_EVERY_S && self.file.pending.is_empty() {
            return Ok(());
        }
        self.chunk_since = Some(now);
        self.end_chunk().map_err(|e| named(&self.name, &e))
    }

    fn lost(&self) -> u64 {
        self.lost
    }

    fn finish(&mut self) -> io::Result<()> {
        self.end_recording().map_err(|e| named(&self.name, &e))
    }
}

/// One file's content.
struct Recording {
    writer: Writer<NoSeek<Sink>>,
    channels: [u16; KINDS.len()],
    positions: u16,
    written: u32,
    /// From the events' times to those of messages, in nanoseconds.
    offset: i64,
}

impl Recording {
    fn begin(sink: Sink, clock: Option<&dyn Clock>) -> Result<Self, McapError> {
        let mut writer = WriteOptions::new()
            .compression(None)
            .chunk_size(Some(CHUNK_BYTES))
            .library(concat!("tsedge ", env!("CARGO_PKG_VERSION")))
            .disable_seeking(true)
            .create(NoSeek::new(sink))?;
        let mut add = |name: &str, schema: &Value| {
            let text = schema.to_string();
            writer.add_schema(name, "jsonschema", text.as_bytes())
        };
        let events = schema::of_events(&PARTS).map_err(io::Error::from)?;
        let mut schemas = [0; PARTS.len()];
        for ((id, part), schema) in schemas.iter_mut().zip(PARTS).zip(&events) {
            *id = add(&format!("tsedge.{part}"), schema)?;
        }
        let fix = add("foxglove.LocationFix", &schema::of_positions())?;
        let mut channels = [0; KINDS.len()];
        let nothing = BTreeMap::new();
        for (id, (kind, part)) in channels.iter_mut().zip(KINDS) {
            let topic = format!("/tsedge/{kind}");
            *id = writer.add_channel(schemas[part], &topic, "json", &nothing)?;
        }
        let positions = writer.add_channel(fix, "/tsedge/position", "json", &nothing)?;
        Ok(Self {
            writer,
            channels,
            positions,
            written: 0,
            offset: clock.map_or(0, time_of_day),
        })
    }

    fn write(&mut self, event: &Event, json: &[u8]) -> Result<(), McapError> {
        let at = KINDS.iter().position(|(kind, _)| *kind == event.kind());
        let channel = self.channels[at.unwrap_or_default()];
        let time = event.time().nanos().saturating_add(self.offset).max(0);
        if let Event::Region(region) = event
            && let Some((latitude, longitude)) = region.position_deg
        {
            let fix = json!({
                "timestamp": { "sec": time / 1_000_000_000, "nsec": time % 1_000_000_000 },
                "frame_id": "vehicle",
                "latitude": latitude,
                "longitude": longitude,
                "altitude": 0.0,
                "position_covariance": vec![0; 9],
                "position_covariance_type": 0,
            });
            self.message(self.positions, time, fix.to_string().as_bytes())?;
        }
        self.message(channel, time, json)
    }

    fn message(&mut self, channel_id: u16, time: i64, data: &[u8]) -> Result<(), McapError> {
        let header = MessageHeader {
            channel_id,
            sequence: self.written,
            log_time: time.unsigned_abs(),
            publish_time: time.unsigned_abs(),
        };
        self.written = self.written.wrapping_add(1);
        self.writer.write_to_known_channel(&header, data)
    }
}

/// From `clock` to the time of day, in nanoseconds.
#[allow(clippy::disallowed_methods)] // a recording's times are for people and other recordings
fn time_of_day(clock: &dyn Clock) -> i64 {
    let day = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let day = day.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0));
    day - clock.now().nanos()
}

fn io_error(error: McapError) -> io::Error {
    match error {
        McapError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// Where the writer leaves whole pieces; it never fails.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
