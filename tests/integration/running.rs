//! A unit that runs, and what it tells in JSON lines.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use serial2::SerialPort;

use crate::support::{drive, root};

/// See the module. Ends with the test, also where that fails.
pub struct Running {
    command: Command,
    child: Option<Child>,
    dir: tempfile::TempDir,
}

impl Running {
    /// On a drive, with a CAN interface that does not exist.
    pub fn replay(more: &[&str]) -> Self {
        let drive = drive("test_de_fr").video;
        let replay = ["--replay".as_ref(), drive.as_os_str()];
        let more = more.iter().map(OsStr::new);
        Self::start(
            &[],
            "[can]\ninterface = \"nocan0\"\n",
            replay.into_iter().chain(more),
        )
    }

    /// With a configuration to which JSON lines are added, by `before` (such as `nice`) and with more arguments.
    pub fn start<'a>(
        before: &[&str],
        config: &str,
        more: impl IntoIterator<Item = &'a OsStr>,
    ) -> Self {
        Self::in_region(
            "DE",
            tempfile::TempDir::new().unwrap(),
            before,
            config,
            more,
        )
    }

    /// The same with another region's signs, in a folder that is there.
    pub fn in_region<'a>(
        region: &str,
        dir: tempfile::TempDir,
        before: &[&str],
        config: &str,
        more: impl IntoIterator<Item = &'a OsStr>,
    ) -> Self {
        let path = dir.path().join("tsedge.toml");
        let events = dir.path().join("events.jsonl");
        std::fs::write(&path, format!("{config}\n[jsonl]\npath = {events:?}\n")).unwrap();
        let mut words = before.iter().map(OsStr::new).collect::<Vec<_>>();
        words.push(env!("CARGO_BIN_EXE_tsedge").as_ref());
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(root())
            .args(["run", "--region", region, "--config"])
            .arg(path)
            .args(more)
            .stderr(Stdio::piped());
        let child = Some(command.spawn().unwrap());
        Self {
            command,
            child,
            dir,
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// All that it has told so far.
    pub fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("events.jsonl"));
        let text = text.unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits for a minute at most.
    pub fn wait_for(&self, what: impl Fn(&[Value]) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !what(&self.events()) {
            assert!(Instant::now() < end, "waited in vain: {:?}", self.events());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it without a word and starts it anew.
    pub fn restart(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.child = Some(self.command.spawn().unwrap());
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let kill = Command::new("kill")
            .args(["-TERM", &self.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Waits for its end: what it printed, and all that it told.
    pub fn end(mut self) -> (Output, Vec<Value>) {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let events = std::fs::read_to_string(self.dir.path().join("events.jsonl")).unwrap();
        assert!(events.ends_with('\n'));
        let events = (events.lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (output, events)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `tsedge run` on a drive, over and over, by a configuration.
pub fn repeated_by(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tsedge"));
    command
        .current_dir(root())
        .args(["run", "--repeat", "--region", "DE", "--replay"])
        .arg(drive("test_de_fr").video)
        .arg("--config")
        .arg(config);
    command
}

/// A serial line, and when the unit's regular sentences came over it.
pub struct Line {
    device: PathBuf,
    /// Keeps the line open until the unit is there.
    _far: SerialPort,
    beats: Arc<Mutex<Vec<Instant>>>,
}

impl Line {
    /// With nobody at it yet.
    pub fn new() -> Self {
        let (near, far) = SerialPort::pair().unwrap();
        let device = format!("/proc/self/fd/{}", far.as_raw_fd());
        let line = Self {
            device: std::fs::read_link(device).unwrap(),
            _far: far,
            beats: Arc::default(),
        };
        let beats = Arc::clone(&line.beats);
        std::thread::spawn(move || {
            let (mut near, mut sentence) = (BufReader::new(near), String::new());
            loop {
                match near.read_line(&mut sentence) {
                    Ok(1..) if sentence.contains("$PTSES") => {
                        beats.lock().unwrap().push(Instant::now())
                    }
                    Ok(1..) => {}
                    Err(e) if e.kind() == ErrorKind::TimedOut => continue,
                    _ => return,
                }
                sentence.clear();
            }
        });
        line
    }

    /// The section that makes a unit use it.
    pub fn config(&self) -> String {
        format!("[serial]\ndevice = {:?}\n", self.device)
    }

    /// Between two of the sentences that come every second or more often.
    pub fn longest_pause_s(&self) -> f64 {
        let beats = self.beats.lock().unwrap();
        let pauses = beats
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64());
        pauses.reduce(f64::max).expect("sentences came")
    }
}

/// The events of a kind.
pub fn kinds<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["event"] == kind).collect()
}

/// The words of all health events.
pub fn details(events: &[Value]) -> Vec<&str> {
    let health = kinds(events, "health");
    health.iter().filter_map(|h| h["detail"].as_str()).collect()
}
