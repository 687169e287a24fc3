//! Promise: every event reaches a real MQTT broker once it can be reached, and whoever listens knows whether
//! the unit is there.
//!
//! The broker is Debian's `mosquitto`, the listener `mosquitto_sub` (`mosquitto-clients`).

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tsedge::config::ConfigFile;
use tsedge::event::{Event, Naming};
use tsedge::output::mqtt::{MqttOutput, MqttPlan};
use tsedge::runtime::outputs::OutputHub;

use crate::output_events::{limit_60, one_of_each, sign};
use crate::running::repeated_by;

/// A broker in a folder of its own; killed at the end.
pub struct Broker {
    child: Child,
    folder: PathBuf,
}

impl Broker {
    /// What the sessions of listeners hold outlives a kill.
    pub fn start(folder: &Path, port: u16, more: &str) -> Self {
        let text = format!(
            "listener {port} 127.0.0.1\nuser root\npersistence true\npersistence_location {}/\n\
             autosave_on_changes true\nautosave_interval 1\n{more}\n",
            folder.display()
        );
        Self::of(folder, &text)
    }

    /// With this configuration.
    pub fn of(folder: &Path, text: &str) -> Self {
        std::fs::write(folder.join("mosquitto.conf"), text).unwrap();
        Self {
            child: broker(folder),
            folder: folder.to_owned(),
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.child = broker(&self.folder);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broker(folder: &Path) -> Child {
    // Debian keeps it where only root's path leads.
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
    Command::new("env")
        .arg(format!("PATH={path}"))
        .args(["mosquitto", "-c"])
        .arg(folder.join("mosquitto.conf"))
        .stderr(Stdio::null())
        .spawn()
        .expect("a broker starts: apt-get install mosquitto mosquitto-clients")
}

/// All that `mosquitto_sub` hears, as (topic, text).
pub struct Listener {
    child: Child,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Listener {
    pub fn start(port: u16, more: &[&str]) -> Self {
        let mut child = Command::new("mosquitto_sub")
            .args(["-V", "5", "-h", "localhost", "-p", &port.to_string()])
            .args(["-c", "-i", "listener", "-x", "1000", "-q", "1"])
            .args(["-t", "car7/#", "-F", "%t %p"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub starts: apt-get install mosquitto-clients");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (lines, told) = (child.stdout.take().unwrap(), Arc::clone(&heard));
        std::thread::Builder::new()
            .spawn(move || {
                for line in BufReader::new(lines).lines().map_while(Result::ok) {
                    let (topic, text) = line.split_once(' ').unwrap();
                    let one = (topic.to_owned(), text.to_owned());
                    told.lock().unwrap().push(one);
                }
            })
            .unwrap();
        Self { child, heard }
    }

    fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().unwrap().clone()
    }

    pub fn wait_for(&self, topic: &str, text: &str) {
        wait_for(&format!("{topic} {text}"), || {
            (self.heard().iter()).any(|(t, p)| t == topic && p.contains(text))
        });
    }

    /// Frames of the events heard, and the newest count of lost ones.
    fn frames(&self) -> (BTreeSet<u64>, u64) {
        let (mut frames, mut lost) = (BTreeSet::new(), 0);
        for (topic, text) in self.heard() {
            if topic == "car7/lost" {
                lost = text.parse().unwrap();
            } else if topic.starts_with("car7/events/") {
                let event: serde_json::Value = serde_json::from_str(&text).unwrap();
                frames.insert(event["frame"].as_u64().unwrap());
            }
        }
        (frames, lost)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn wait_for(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A broker that takes connections, so that a listener can come.
pub fn wait_for_port(port: u16) {
    wait_for("broker", || {
        std::net::TcpStream::connect(("localhost", port)).is_ok()
    });
}

fn hub(section: &str) -> OutputHub {
    let config = ConfigFile::parse(&format!("[mqtt]\nprefix = \"car7\"\n{section}")).unwrap();
    let plan = MqttPlan::try_from(&config.mqtt.unwrap()).unwrap();
    let output = MqttOutput::start(plan).unwrap();
    crate::live_outputs::hub_of(vec![Box::new(output)])
}

fn event(frame: u64) -> Event {
    let mut sign = sign(Naming::Sign(limit_60()));
    sign.frame = frame;
    Event::SignSeen(sign)
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_mqtt_every_kind_is_told_and_the_end_too() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let _broker = Broker::start(folder.path(), port, "allow_anonymous true");
    wait_for_port(port);
    let listener = Listener::start(port, &[]);
    let hub = hub(&format!("broker = \"mqtt://localhost:{port}\"\n"));
    listener.wait_for("car7/status", "online");
    let events = one_of_each();
    for event in &events {
        hub.tell(event);
    }
    // Right behind the events: all that waits is told first.
    assert_eq!(hub.stop(), Vec::<String>::new());
    listener.wait_for("car7/status", "offline");
    let told: Vec<_> = (listener.heard().into_iter())
        .filter(|(topic, _)| topic.starts_with("car7/events/"))
        .collect();
    assert_eq!(told.len(), events.len());
    for ((topic, text), event) in told.iter().zip(&events) {
        assert_eq!(*topic, format!("car7/events/{}", event.kind()));
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(json["event"], event.kind());
    }
    // Who comes later still learns that the unit is gone.
    let late = Listener::start(port, &["-i", "late"]);
    late.wait_for("car7/status", "offline");
    late.wait_for("car7/lost", "0");
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_mqtt_a_unit_that_is_killed_is_told_as_offline() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let _broker = Broker::start(folder.path(), port, "allow_anonymous true");
    wait_for_port(port);
    let listener = Listener::start(port, &[]);
    let config = folder.path().join("tsedge.toml");
    let text = format!("[mqtt]\nbroker = \"mqtt://localhost:{port}\"\nprefix = \"car7\"\n");
    std::fs::write(&config, text).unwrap();
    let mut unit = repeated_by(&config).spawn().unwrap();
    listener.wait_for("car7/events/region", "\"to\":\"DE\"");
    unit.kill().unwrap();
    unit.wait().unwrap();
    listener.wait_for("car7/status", "offline");
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_mqtt_a_broker_that_is_killed_gets_the_newest_when_it_is_back() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut broker = Broker::start(folder.path(), port, "allow_anonymous true");
    wait_for_port(port);
    let listener = Listener::start(port, &[]);
    let hub = hub(&format!(
        "broker = \"mqtt://localhost:{port}\"\nqueue_kb = 32\n"
    ));
    listener.wait_for("car7/status", "online");
    let mut frame = 0;
    let mut tell = |events: u64| {
        for _ in 0..events {
            hub.tell(&event(frame));
            frame += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    tell(50);
    wait_for("events before", || listener.frames().0.len() == 50);
    for round in 1..=2 {
        // The broker notes its listeners' sessions on its disk by then.
        std::thread::sleep(Duration::from_millis(1500));
        broker.kill();
        wait_for("fault", || hub.reports()[0].fault.is_some());
        let fault = hub.reports()[0].fault.clone().unwrap();
        assert!(
            fault.starts_with(&format!("mqtt localhost:{port}: ")),
            "{fault}"
        );
        tell(300);
        broker.start_again();
        wait_for("recovery", || hub.reports()[0].fault.is_none());
        tell(1);
        let newest = 50 + round * 301 - 1;
        wait_for("newest event", || listener.frames().0.contains(&newest));
        let (frames, lost) = listener.frames();
        assert!(lost > 100 * round, "round {round}: {lost} lost");
        assert_eq!(hub.reports()[0].dropped, lost);
        assert_eq!(frames.len() as u64 + lost, newest + 1, "round {round}");
    }
    assert_eq!(hub.stop(), Vec::<String>::new());
}

fn openssl(folder: &Path, args: &str) {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(args.split(' '))
        .output()
        .unwrap();
    assert!(output.status.success(), "{args}: {output:?}");
}

/// An authority, and a broker's key that it vouches for.
fn certificates(folder: &Path) {
    for name in ["ca", "other"] {
        openssl(
            folder,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} \
                 -keyout {name}.key -out {name}.pem"
            ),
        );
    }
    openssl(
        folder,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=broker -keyout broker.key \
         -out broker.csr -addext subjectAltName=DNS:localhost",
    );
    openssl(
        folder,
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -copy_extensions copy -out broker.pem",
    );
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_mqtt_over_tls_with_a_password() {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let folder = dir.path();
    certificates(folder);
    let passwords = folder.join("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["unit", "correct horse"])
        .status();
    assert!(made.unwrap().success());
    std::fs::write(folder.join("right"), "correct horse\n").unwrap();
    std::fs::write(folder.join("wrong"), "wrong horse\n").unwrap();
    let at = folder.display();
    let _broker = Broker::start(
        folder,
        port,
        &format!(
            "certfile {at}/broker.pem\nkeyfile {at}/broker.key\nallow_anonymous false\n\
             password_file {at}/passwords"
        ),
    );
    wait_for_port(port);
    let ca = folder.join("ca.pem");
    let login = ["-u", "unit", "-P", "correct horse"];
    let more = [&["--cafile", ca.to_str().unwrap()][..], &login].concat();
    let listener = Listener::start(port, &more);
    let section = |ca: &str, password: &str| {
        format!(
            "broker = \"mqtts://localhost:{port}\"\nca_file = \"{at}/{ca}.pem\"\nuser = \"unit\"\n\
             password_file = \"{at}/{password}\"\n"
        )
    };
    let unit = hub(&section("ca", "right"));
    unit.tell(&event(1));
    listener.wait_for("car7/events/sign_seen", "\"frame\":1,");
    assert_eq!(unit.stop(), Vec::<String>::new());
    for (ca, password, words) in [
        ("other", "right", "certificate"),
        ("ca", "wrong", "return code"),
    ] {
        let unit = hub(&section(ca, password));
        wait_for("fault", || unit.reports()[0].fault.is_some());
        let fault = unit.reports()[0].fault.clone().unwrap();
        assert!(fault.contains(words), "{fault}");
        unit.stop();
    }
}
