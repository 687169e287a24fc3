//! Real outputs whose other side takes nothing: a full serial line, pipes that nobody reads, a full disk, a
//! broker that does not answer; and visitors of the status page that do not read. Frames and other outputs go
//! on, and what was lost is told.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use serial2::SerialPort;
use tsedge::clock::{Clock as _, Monotonic};
use tsedge::config::ConfigFile;
use tsedge::event::{ClassInfo, Event, HealthEvent, Naming};
use tsedge::health::{HealthState, Reason};
use tsedge::output::jsonl::JsonLines;
use tsedge::output::mcap::McapOutput;
use tsedge::output::mqtt::{MqttOutput, MqttPlan};
use tsedge::output::serial::{FlowControl, SerialOutput};
use tsedge::output::status::StatusOutput;
use tsedge::output::{Output, Progress, RotatingFile};
use tsedge::region::pack::MAX_TEXT_BYTES;
use tsedge::runtime::outputs::{Losses, OutputReport, QUEUE_EVENTS};

use crate::output_events::{limit_60, sign};
use crate::running::repeated_by;
use crate::support::succeeds;

const O_NONBLOCK: i32 = 0o4000;
/// Enough to overrun each queue, and the megabyte that files hold back for a full disk.
const EVENTS: u64 = 8 * QUEUE_EVENTS as u64;

/// Writes until no more is taken.
fn fill(mut to: impl Write) {
    loop {
        match to.write(&[b'.'; 512]) {
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            Err(e) => panic!("{e}"),
        }
    }
}

/// A pseudo-terminal whose line is full: both ends, and the far end's name.
fn full_line() -> (SerialPort, SerialPort, PathBuf) {
    let (mut near, mut far) = SerialPort::pair().unwrap();
    near.set_read_timeout(Duration::from_millis(20)).unwrap();
    far.set_write_timeout(Duration::from_millis(50)).unwrap();
    let name = std::fs::read_link(format!("/proc/self/fd/{}", far.as_raw_fd())).unwrap();
    fill(&far);
    (near, far, name)
}

/// A pipe that is full.
fn full_pipe(folder: &Path) -> (File, PathBuf) {
    let path = folder.join("pipe");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(O_NONBLOCK);
    let pipe = options.open(&path).unwrap();
    fill(&pipe);
    (pipe, path)
}

/// Takes connections, as the kernel does by itself, and says nothing.
fn dumb_broker() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A hundred visitors at a time who ask for the page and for pictures, a hundred times each, and read no answer.
fn crowd(address: SocketAddr, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        let mut inside = Vec::new();
        for n in 0..100 {
            let path = ["", "preview.jpg?token=0123456789abcdef"][n % 2];
            let request = format!("GET /{path} HTTP/1.1\r\nHost: unit\r\n\r\n");
            if let Ok(mut visitor) = TcpStream::connect(address) {
                // Who was answered may be shown out before all is asked.
                let _ = visitor.write_all(request.repeat(100).as_bytes());
                inside.push(visitor);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Reads what comes until the end of `done`.
fn drain(mut from: impl Read, done: &AtomicBool) {
    let mut some = [0; 65536];
    while !done.load(Ordering::SeqCst) {
        if !matches!(from.read(&mut some), Ok(n) if n > 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(90), "no {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The output beside the blocked one.
struct Other(Arc<AtomicU64>);

impl Output for Other {
    fn name(&self) -> &str {
        "other"
    }

    fn emit(&mut self, _: &Event) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn mqtt(address: SocketAddr) -> MqttOutput {
    let text = format!("[mqtt]\nbroker = \"mqtt://{address}\"\nqueue_kb = 16\n");
    let config = ConfigFile::parse(&text).unwrap().mqtt.unwrap();
    MqttOutput::start(MqttPlan::try_from(&config).unwrap()).unwrap()
}

/// Tells a blocked output more than it can hold: the other one gets every event at once, the loss is counted,
/// and told when `unblock` has let the output go (where it can).
fn nobody_waits(output: impl Output + 'static, unblock: Option<&(dyn Fn(&AtomicBool) + Sync)>) {
    let (name, others) = (output.name().to_owned(), Arc::new(AtomicU64::new(0)));
    let outputs: Vec<Box<dyn Output>> =
        vec![Box::new(output), Box::new(Other(Arc::clone(&others)))];
    let hub = crate::live_outputs::hub_of(outputs);
    for frame in 0..EVENTS {
        let mut sign = sign(Naming::Sign(limit_60()));
        sign.frame = frame;
        hub.tell(&Event::SignConfirmed(sign));
        wait_for("other output", || others.load(Ordering::SeqCst) > frame);
    }
    wait_for("fault", || hub.reports()[0].fault.is_some());
    let fault = hub.reports()[0].fault.clone().unwrap();
    assert!(fault.starts_with(&name), "{fault}");
    wait_for("loss", || hub.reports()[0].dropped > 0);
    let mut losses = Losses::default();
    assert_eq!(losses.look(&hub.reports(), Monotonic.now()), None);
    if let Some(unblock) = unblock {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| unblock(&done));
            wait_for("recovery", || hub.reports()[0].fault.is_none());
            done.store(true, Ordering::SeqCst);
        });
        let told = losses.look(&hub.reports(), Monotonic.now()).unwrap();
        assert!(told.starts_with(&format!("{name} lost ")), "{told}");
    }
    let reports = hub.reports();
    assert_eq!((reports[1].dropped, &reports[1].fault), (0, &None));
    hub.stop();
}

#[test]
fn nobody_waits_for_a_full_serial_line() {
    let (near, _far, name) = full_line();
    let progress = Arc::new(Progress::default());
    let output = SerialOutput::new(&name, 38_400, FlowControl::None, progress);
    nobody_waits(output, Some(&|done| drain(&near, done)));
}

#[test]
fn nobody_waits_for_a_pipe_of_json_lines() {
    let dir = tempfile::tempdir().unwrap();
    let (pipe, path) = full_pipe(dir.path());
    let file = RotatingFile::open(&path, u64::MAX, 0).unwrap();
    let output = JsonLines::new(format!("jsonl {}", path.display()), file);
    nobody_waits(output, Some(&|done| drain(&pipe, done)));
}

#[test]
fn nobody_waits_for_a_pipe_of_mcap() {
    let dir = tempfile::tempdir().unwrap();
    let (pipe, path) = full_pipe(dir.path());
    let output = McapOutput::record(&path, u64::MAX, 0, Arc::new(Monotonic)).unwrap();
    nobody_waits(output, Some(&|done| drain(&pipe, done)));
}

#[test]
fn nobody_waits_for_a_full_disk() {
    let full = Path::new("/dev/full");
    nobody_waits(JsonLines::create(full).unwrap(), None);
    let clock = Arc::new(Monotonic);
    nobody_waits(McapOutput::record(full, u64::MAX, 0, clock).unwrap(), None);
}

#[test]
fn nobody_waits_for_a_broker_that_says_nothing() {
    let (_listener, address) = dumb_broker();
    nobody_waits(mqtt(address), None);
}

#[test]
fn nobody_waits_for_a_broker_that_confirms_nothing() {
    let (listener, address) = dumb_broker();
    let connections = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&connections);
    std::thread::Builder::new()
        .spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                assert!(stream.read(&mut [0; 512]).unwrap() > 0);
                // "You are in."
                stream.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                open.push(stream);
            }
        })
        .unwrap();
    let output = mqtt(address);
    wait_for("connection", || connections.load(Ordering::SeqCst) == 1);
    nobody_waits(output, None);
    // It is not pestered with new connections either.
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// The page itself does not even notice.
#[test]
fn nobody_waits_for_visitors_who_do_not_read() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let output = StatusOutput::listen(listen, Arc::new(Progress::default())).unwrap();
    let (address, done) = (output.address().unwrap(), AtomicBool::new(false));
    let others = Arc::new(AtomicU64::new(0));
    let outputs: Vec<Box<dyn Output>> =
        vec![Box::new(output), Box::new(Other(Arc::clone(&others)))];
    let hub = crate::live_outputs::hub_of(outputs);
    std::thread::scope(|scope| {
        scope.spawn(|| crowd(address, &done));
        for frame in 0..EVENTS {
            hub.tell(&Event::SignConfirmed(sign(Naming::Sign(limit_60()))));
            wait_for("other output", || others.load(Ordering::SeqCst) > frame);
        }
        wait_for("page", || hub.reports()[0].done >= EVENTS);
        done.store(true, Ordering::SeqCst);
    });
    let reports = hub.reports();
    let failed = |r: &&OutputReport| {
        r.dropped > 0
            || r.fault
                .as_deref()
                .is_some_and(|f| !f.contains("has not taken"))
    };
    assert_eq!(reports.iter().find(failed), None);
    hub.stop();
}

/// Whether this is a process of its own, where memory is that of one test; if not, there is one now, and it did well.
fn alone(test: &str) -> bool {
    const ALONE: &str = "TSEDGE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = succeeds(
        command
            .args(["--exact", test, "--nocapture"])
            .env(ALONE, "1"),
    );
    print!("{}", String::from_utf8_lossy(&output.stdout));
    false
}

/// `VmRSS` or `VmHWM` of a process.
fn memory_kb(process: &str, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.unwrap().trim_matches([':', '\t', ' ', 'k', 'B']);
    number.parse().unwrap()
}

/// Events as long as they get.
fn long_events() -> [Event; 2] {
    let text = || "x".repeat(MAX_TEXT_BYTES);
    let class = Arc::new(ClassInfo {
        key: text(),
        national_code: Some(text()),
        label_en: text(),
        label_local: text(),
        ..ClassInfo::clone(&limit_60())
    });
    let mut long = sign(Naming::Sign(Arc::clone(&class)));
    for candidate in &mut long.top {
        candidate.class = Arc::clone(&class);
    }
    let health = HealthEvent {
        time: long.time,
        frame: 0,
        state: HealthState::Degraded,
        reasons: Reason::ALL.into_iter().collect(),
        detail: Some(text().into()),
        cameras: Arc::default(),
    };
    [Event::SignConfirmed(long), Event::Health(health)]
}

/// What waits for each output has a bound in bytes: some 8 MiB for all of these, whose events are 200 MB.
#[test]
fn memory_is_bounded_while_all_outputs_are_blocked() {
    if !alone("live_blocked::memory_is_bounded_while_all_outputs_are_blocked") {
        return;
    }
    const MOST_KB: u64 = 24 * 1024;
    let folders = [0; 2].map(|_| tempfile::tempdir().unwrap());
    let (_near, _far, line) = full_line();
    let [lines, recording] = [0, 1].map(|n| full_pipe(folders[n].path()));
    let (_listener, broker) = dumb_broker();
    let (clock, progress) = (Arc::new(Monotonic), Arc::new(Progress::default()));
    let file = RotatingFile::open(&lines.1, u64::MAX, 0).unwrap();
    let config = ConfigFile::parse(&format!("[mqtt]\nbroker = \"mqtt://{broker}\"\n")).unwrap();
    let plan = MqttPlan::try_from(&config.mqtt.unwrap()).unwrap();
    let full = Path::new("/dev/full");
    let listen = "127.0.0.1:0".parse().unwrap();
    let page = StatusOutput::listen(listen, Arc::clone(&progress)).unwrap();
    let (address, others) = (page.address().unwrap(), Arc::new(AtomicU64::new(0)));
    let outputs: Vec<Box<dyn Output>> = vec![
        Box::new(SerialOutput::new(
            &line,
            38_400,
            FlowControl::None,
            progress,
        )),
        Box::new(JsonLines::new("jsonl of nobody", file)),
        Box::new(JsonLines::create(full).unwrap()),
        Box::new(McapOutput::record(&recording.1, u64::MAX, 0, clock.clone()).unwrap()),
        Box::new(McapOutput::record(full, u64::MAX, 0, clock).unwrap()),
        Box::new(MqttOutput::start(plan).unwrap()),
        Box::new(page),
        Box::new(Other(Arc::clone(&others))),
    ];
    let hub = crate::live_outputs::hub_of(outputs);
    let events = long_events();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| crowd(address, &done));
        let (mut before, mut most) = (0, 0);
        for n in 0..80 * QUEUE_EVENTS as u64 {
            // As long as they get, but not the same one.
            let event = match &events[n as usize % 2] {
                Event::Health(health) => Event::Health(HealthEvent {
                    detail: Some(health.detail.as_deref().unwrap().into()),
                    ..health.clone()
                }),
                other => other.clone(),
            };
            hub.tell(&event);
            if n % 256 == 0 {
                wait_for("other output", || others.load(Ordering::SeqCst) > n);
                let now = memory_kb("self", "VmRSS");
                before = if n == 0 { now } else { before };
                most = most.max(now);
            }
        }
        done.store(true, Ordering::SeqCst);
        let grown = most - before;
        println!("all outputs blocked: memory grew by {grown} kB at most");
        assert!(grown < MOST_KB, "{grown} kB");
    });
    for n in 0..6 {
        wait_for("fault and loss", || {
            let report = &hub.reports()[n];
            report.fault.is_some() && report.dropped > 0
        });
    }
    // The threads of blocked outputs do not end.
    std::process::exit(0);
}

/// What the status page says, if it answers.
fn page(status: SocketAddr) -> Option<Value> {
    let mut stream = TcpStream::connect(status).ok()?;
    let wait = Some(Duration::from_secs(5));
    stream.set_read_timeout(wait).unwrap();
    stream
        .write_all(b"GET /status.json HTTP/1.0\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// A unit that plays a recording, with one output blocked: it is told as down, and frames go on.
fn frames_go_on(folder: &Path, blocked: &str, section: &str) {
    let (listener, status) = dumb_broker();
    drop(listener);
    let (config, events) = (folder.join("tsedge.toml"), folder.join("events.jsonl"));
    let mut text = format!("{section}\n[status]\nlisten = \"{status}\"\n");
    if blocked != "jsonl" {
        text += &format!("[jsonl]\npath = {events:?}\n");
    }
    std::fs::write(&config, text).unwrap();
    let mut unit = repeated_by(&config).stderr(Stdio::null()).spawn().unwrap();
    let told = || -> Vec<Value> {
        if blocked == "jsonl" {
            // The page says it where JSON lines are what is blocked.
            return page(status).into_iter().collect();
        }
        let text = std::fs::read_to_string(&events).unwrap_or_default();
        (text.lines())
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    wait_for("status page", || TcpStream::connect(status).is_ok());
    let frame = |event: &Value| event["frame"].as_u64().or(event["frames"].as_u64());
    let mut down = None;
    wait_for("output_down", || {
        let is_down = |event: &Value| {
            let detail = event["detail"].as_str().unwrap_or_default();
            detail.starts_with(blocked) && event["reasons"].to_string().contains("output_down")
        };
        down = told().iter().find(|event| is_down(event)).and_then(frame);
        down.is_some()
    });
    let down = down.unwrap();
    wait_for("more frames", || {
        told()
            .iter()
            .filter_map(frame)
            .any(|frame| frame > down + 30)
    });
    let pid = unit.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(asked.success());
    // 1: an output did not end in time.
    assert!(matches!(unit.wait().unwrap().code(), Some(0 | 1)));
}

#[test]
fn frames_go_on_while_the_serial_line_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let (_near, _far, name) = full_line();
    let section = format!("[serial]\ndevice = {name:?}");
    frames_go_on(dir.path(), "serial", &section);
}

#[test]
fn frames_go_on_while_nobody_reads_the_json_lines() {
    let dir = tempfile::tempdir().unwrap();
    let (_pipe, path) = full_pipe(dir.path());
    let section = format!("[jsonl]\npath = {path:?}");
    frames_go_on(dir.path(), "jsonl", &section);
}

#[test]
fn frames_go_on_while_nobody_reads_the_mcap_recording() {
    let dir = tempfile::tempdir().unwrap();
    let (_pipe, path) = full_pipe(dir.path());
    let section = format!("[mcap]\npath = {path:?}");
    frames_go_on(dir.path(), "mcap", &section);
}

#[test]
fn frames_go_on_while_the_broker_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (_listener, address) = dumb_broker();
    let section = format!("[mqtt]\nbroker = \"mqtt://{address}\"");
    frames_go_on(dir.path(), "mqtt", &section);
}

/// All at once, with visitors who flood the page: it is answered, frames go on, memory stays small.
#[test]
fn frames_go_on_while_all_outputs_are_blocked() {
    let folders = [0; 2].map(|_| tempfile::tempdir().unwrap());
    let (_near, _far, line) = full_line();
    let [lines, recording] = [0, 1].map(|n| full_pipe(folders[n].path()));
    let (_listener, broker) = dumb_broker();
    let (free, status) = dumb_broker();
    drop(free);
    let [config, token] = ["tsedge.toml", "token"].map(|name| folders[0].path().join(name));
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let text = format!(
        "[serial]\ndevice = {line:?}\n[jsonl]\npath = {:?}\n[mcap]\npath = {:?}\n\
         [mqtt]\nbroker = \"mqtt://{broker}\"\n\
         [status]\nlisten = \"{status}\"\npreview_token_file = {token:?}\n",
        lines.1, recording.1
    );
    std::fs::write(&config, text).unwrap();
    let mut unit = repeated_by(&config).stderr(Stdio::null()).spawn().unwrap();
    wait_for("status page", || TcpStream::connect(status).is_ok());
    let done = AtomicBool::new(false);
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        scope.spawn(|| crowd(status, &done));
        let mut since = None;
        wait_for("frames while all are blocked", || {
            let asked = Instant::now();
            let Some(page) = page(status) else {
                return false;
            };
            slowest = slowest.max(asked.elapsed());
            let frames = page["frames"].as_u64().unwrap();
            if page["reasons"].to_string().contains("output_down") {
                return frames > *since.get_or_insert(frames) + 60;
            }
            assert_eq!(since, None, "an output is not blocked: {page}");
            false
        });
        done.store(true, Ordering::SeqCst);
    });
    let most_kb = memory_kb(&unit.id().to_string(), "VmHWM");
    println!(
        "all outputs blocked, a crowd at the page: answered within {slowest:.2?}, {most_kb} kB"
    );
    assert!(most_kb * 1024 <= 200_000_000, "{most_kb} kB");
    unit.kill().unwrap();
    unit.wait().unwrap();
}
