//! Real outputs whose other side takes nothing: a full pseudo-terminal, a pipe that nobody reads, a full
//! disk, a broker and a status page's visitor that do not read. Frames and other outputs go on.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use serial2::SerialPort;
use tsedge::clock::Monotonic;
use tsedge::config::{ConfigFile, FileConfig};
use tsedge::event::{Event, Naming};
use tsedge::output::jsonl::JsonLines;
use tsedge::output::mcap::McapOutput;
use tsedge::output::mqtt::{MqttOutput, MqttPlan};
use tsedge::output::serial::SerialOutput;
use tsedge::output::status::StatusOutput;
use tsedge::output::{Output, Progress, RotatingFile};
use tsedge::runtime::outputs::{Losses, OutputHub, QUEUE_EVENTS};
use tsedge::units::Timestamp;

use crate::output_events::{limit_60, sign};
use crate::support::{drive, root};

const O_NONBLOCK: i32 = 0o4000;

/// The other side of an output, which takes nothing until it is let go.
enum Block {
    /// The near end of a pseudo-terminal whose line is full, and the far end's name.
    Serial(SerialPort, PathBuf),
    /// A pipe that is full.
    Pipe(File, PathBuf),
    /// Takes connections and does not read.
    Broker(TcpListener),
    /// Asks again and again, and does not read.
    Visitor(Option<TcpStream>),
}

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

impl Block {
    fn serial() -> Self {
        let (near, mut far) = SerialPort::pair().unwrap();
        let name = far.get_configuration().map(|_| ()).and_then(|()| name_of(&far));
        far.set_write_timeout(Duration::from_millis(50)).unwrap();
        let name = name.unwrap();
        fill(&far);
        Self::Serial(near, name)
    }

    fn pipe(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(O_NONBLOCK);
        let pipe = options.open(&path).unwrap();
        fill(&pipe);
        Self::Pipe(pipe, path)
    }
}
