//! Promise: models reach units over a real broker, units start by them, and go back by themselves when they are bad.
//!
//! One unit is the program with the shipped models; a fleet is the program's connection and delivery with models that
//! nothing loads. The broker is Debian's `mosquitto`.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tsedge::clock::{Clock as _, Monotonic};
use tsedge::config::ConfigFile;
use tsedge::delivery::rollout::{self, End, Stage};
use tsedge::delivery::sets::folder_in_use;
use tsedge::delivery::{Item, bundle};
use tsedge::event::{Event, Naming};
use tsedge::output::Output as _;
use tsedge::output::mqtt::{MqttOutput, MqttPlan};
use tsedge::region::Pack;
use tsedge::region::pack::{RowType, sha256};
use tsedge::region::sign::{new_keys, signature_path};

use crate::delivery::Signer;
use crate::delivery_models::{models, open, parcel};
use crate::output_events::{limit_60, sign};
use crate::running::repeated_by;
use crate::support::{program, root, succeeds};
use crate::system_mqtt::{Broker, Listener, free_port, wait_for, wait_for_port};
use crate::system_rollout::{follows_the_schema, memory_mb, rollout_plan};

/// The program with the shipped models, started anew as systemd does.
struct Unit {
    dir: tempfile::TempDir,
    config: PathBuf,
    listener: Listener,
    most_mb: Arc<AtomicU64>,
    _broker: Broker,
}

impl Unit {
    fn new() -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let _broker = Broker::start(dir.path(), port, "allow_anonymous true");
        wait_for_port(port);
        let (public, secret) = new_keys(None).unwrap();
        std::fs::write(dir.path().join("signer.key"), secret).unwrap();
        let config = dir.path().join("tsedge.toml");
        let folder = |name: &str| dir.path().join(name);
        let text = format!(
            "[mqtt]\nbroker = \"mqtt://localhost:{port}\"\nprefix = \"car7\"\n\
             [models]\nfolder = {:?}\ninstalled = {:?}\n\
             [packs]\ninstalled = {:?}\npublic_keys = [\"{}\"]\n\
             [delivery]\nrestart = \"at_once\"\n",
            root().join("models"),
            folder("models"),
            folder("packs"),
            public.lines().nth(1).unwrap()
        );
        std::fs::write(&config, text).unwrap();
        Self {
            listener: Listener::start(port, &[]),
            most_mb: Arc::default(),
            dir,
            config,
            _broker,
        }
    }

    fn start(&self) -> Child {
        let mut command = repeated_by(&self.config);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (id, most_mb) = (child.id().to_string(), Arc::clone(&self.most_mb));
        std::thread::spawn(move || {
            while let Some(mb) = memory_mb(&id, "VmHWM") {
                most_mb.fetch_max(mb as u64, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        child
    }

    /// Of the shipped models with another encoder, bundled and signed by the commands.
    fn bundle(&self, version: &str, encoder: &[u8]) -> (PathBuf, String) {
        let folder = self.dir.path().join(version);
        std::fs::create_dir_all(folder.join("packs")).unwrap();
        let shipped = root().join("models");
        for name in ["detector.onnx", "detector.toml"] {
            std::fs::copy(shipped.join(name), folder.join(name)).unwrap();
        }
        let sum = sha256(encoder);
        let card = std::fs::read_to_string(shipped.join("encoder.toml")).unwrap();
        let line = |line: &str| match line.split(" = ").next().unwrap() {
            "sha256" => format!("sha256 = \"{sum}\""),
            "size_bytes" => format!("size_bytes = {}", encoder.len()),
            _ => line.to_owned(),
        };
        let card = card.lines().map(line).collect::<Vec<_>>().join("\n");
        std::fs::write(folder.join("encoder.toml"), card).unwrap();
        std::fs::write(folder.join("encoder.onnx"), encoder).unwrap();
        for pack in shipped.join("packs").read_dir().unwrap() {
            let name = Path::new("packs").join(pack.unwrap().file_name());
            let mut pack = Pack::read(&shipped.join(&name)).unwrap().0;
            pack.encoder_sha256.clone_from(&sum);
            version.clone_into(&mut pack.version);
            std::fs::write(folder.join(name), pack.to_bytes(RowType::F16).unwrap()).unwrap();
        }
        let out = self.dir.path().join(format!("{version}.tar"));
        succeeds(
            (program().args(["models", "bundle"]).arg(&folder))
                .args(["--models-version", version, "--out"])
                .arg(&out),
        );
        let key = self.dir.path().join("signer.key");
        succeeds(
            program()
                .args(["region", "sign"])
                .arg(&out)
                .arg("--key")
                .arg(key),
        );
        (out, sum)
    }

    /// The operator's command.
    fn rollout(&self, command: &str, what: &Path, more: &[&str]) -> String {
        let mut operator = program();
        let usual = ["--patience", "120", "--units", "+"];
        operator
            .args(["rollout", command])
            .arg(what)
            .args(usual)
            .args(more);
        let output = succeeds(operator.arg("--config").arg(&self.config));
        String::from_utf8(output.stdout).unwrap()
    }

    fn ends_to_start_anew(child: Child) {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}");
    }
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_models_a_unit_starts_by_the_models_that_came_and_goes_back_when_they_are_withdrawn() {
    let unit = Unit::new();
    let first = unit.start();
    unit.listener
        .wait_for("car7/events/region", "\"to\":\"DE\"");
    // The shipped encoder under another version of its maker: another file that does the same.
    let mut encoder = std::fs::read(root().join("models/encoder.onnx")).unwrap();
    encoder.extend(b"\x1a\x05other");
    let (bundle, sum) = unit.bundle("second", &encoder);
    let start = ["--stages", "100%", "--kept", "0"];
    let said = unit.rollout("start", &bundle, &start);
    assert!(said.contains("models version second is out"), "{said}");
    let words = "models second came by MQTT: the unit starts anew";
    unit.listener.wait_for("car7/events/health", words);
    Unit::ends_to_start_anew(first);

    let second = unit.start();
    unit.listener
        .wait_for("car7/unit", &format!("\"encoder_sha256\":\"{sum}\""));
    let named = "\"pack_version\":\"second\"";
    unit.listener.wait_for("car7/events/region", named);
    unit.listener
        .wait_for("car7/packs/models", "\"in_use\":{\"version\":\"second\"");
    let said = unit.rollout("status", Path::new("models"), &[]);
    assert!(said.contains("1 units: version second"), "{said}");

    unit.rollout("withdraw", Path::new("models"), &[]);
    Unit::ends_to_start_anew(second);
    let mut third = unit.start();
    unit.listener.wait_for("car7/packs/models", "\"state\":\"rolled_back\",\"detail\":\"it was withdrawn\",\"signs\":0,\"unknown\":0.0,\"unknown_before\":null,\"in_use\":null");
    third.kill().unwrap();
    third.wait().unwrap();
    let most_mb = unit.most_mb.load(Ordering::Relaxed);
    println!("{most_mb} MB at most");
    assert!((1..200).contains(&most_mb), "{most_mb} MB");
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_models_that_cannot_be_loaded_go_within_the_same_start() {
    let unit = Unit::new();
    let (bundle, sum) = unit.bundle("broken", b"no graph at all");
    let first = unit.start();
    unit.rollout("start", &bundle, &["--stages", "100%", "--kept", "0"]);
    Unit::ends_to_start_anew(first);
    let folder = folder_in_use(&unit.dir.path().join("models")).unwrap();
    let lies_there = std::fs::read(folder.join("encoder.onnx")).unwrap();
    assert_eq!(sha256(&lies_there), sum);
    // What systemd asks before a start lets it go on.
    succeeds(program().args(["check", "--config"]).arg(&unit.config));
    let mut second = unit.start();
    unit.listener
        .wait_for("car7/packs/models", "\"state\":\"rolled_back\"");
    let words = "models that came are given up: ";
    unit.listener.wait_for("car7/events/health", words);
    unit.listener
        .wait_for("car7/events/health", "\"state\":\"normal\"");
    assert!(!folder.exists());
    second.kill().unwrap();
    second.wait().unwrap();
    // By another signer: the command does not even send them.
    let bytes = std::fs::read(&bundle).unwrap();
    let other = Signer::new().sign(&bytes, 4_000_000_000);
    std::fs::write(signature_path(&bundle), other).unwrap();
    let mut operator = program();
    operator
        .args(["rollout", "start"])
        .arg(&bundle)
        .arg("--config")
        .arg(&unit.config);
    let output = operator.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("by none of the trusted keys"), "{said}");
}

/// A unit of the fleet; it is started anew when it asks for it.
struct Car {
    config: ConfigFile,
    installed: PathBuf,
    on: Option<(MqttOutput, Naming)>,
    restart: Arc<AtomicBool>,
}

impl Car {
    fn step(&mut self) {
        if self.restart.swap(false, Ordering::Relaxed)
            && let Some((mut output, _)) = self.on.take()
        {
            // A process that starts anew has ended; here the one before may take its time, and must not speak any more.
            for _ in 0..20 {
                if output.finish().is_ok() {
                    break;
                }
            }
        }
        let (output, naming) = self.on.get_or_insert_with(|| {
            let restart = Arc::clone(&self.restart);
            let (plan, delivery) = open(&self.config, move |_| {
                restart.store(true, Ordering::Relaxed)
            });
            let encoder = plan.encoder.model_bytes().unwrap();
            let naming = match encoder.starts_with(b"blind") {
                true => Naming::UnknownSign,
                false => Naming::Sign(limit_60()),
            };
            let plan = MqttPlan::try_from(self.config.mqtt.as_ref().unwrap()).unwrap();
            let output = MqttOutput::start_with(plan, Some(Box::new(delivery))).unwrap();
            (output, naming)
        });
        for _ in 0..4 {
            // A broker that is away is an error here, and none for a unit.
            let _ = output.emit(&Event::SignLost(sign(naming.clone())));
        }
        let _ = output.tick(Monotonic.now());
        if let Some(folder) = folder_in_use(&self.installed) {
            bundle::check(&folder, &Default::default()).unwrap();
        }
    }
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_models_reach_a_fleet_stage_by_stage_and_bad_ones_go_back_everywhere() {
    let (dir, port, signer) = (tempfile::tempdir().unwrap(), free_port(), Signer::new());
    let _broker = Broker::start(dir.path(), port, "allow_anonymous true");
    wait_for_port(port);
    let shipped = dir.path().join("shipped");
    models(&shipped, "shipped", "shipped");
    let car = |n: usize| {
        let installed = dir.path().join(format!("models-{n}"));
        let text = format!(
            "[mqtt]\nbroker = \"mqtt://localhost:{port}\"\nprefix = \"cars/{n}\"\n\
             [models]\nfolder = {shipped:?}\ninstalled = {installed:?}\n\
             [packs]\ninstalled = {:?}\npublic_keys = [\"{}\"]\n\
             [delivery]\ntrial_signs = 20\nrestart = \"at_once\"\n",
            dir.path().join(format!("packs-{n}")),
            signer.key
        );
        Car {
            config: ConfigFile::parse(&text).unwrap(),
            installed,
            on: None,
            restart: Arc::default(),
        }
    };
    let mut cars: Vec<Car> = (0..6).map(car).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let driving = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            cars.iter_mut().for_each(Car::step);
            std::thread::sleep(Duration::from_millis(100));
        }
        cars
    });
    let plan = rollout_plan(port);
    let stages = Stage::parse_all("40%,100%").unwrap();
    let roll_out = |version: &str, encoder: &str, at: u64| {
        let say = |line: &str| println!("{version}: {line}");
        rollout::start(&plan, &parcel(&signer, version, encoder, at), &stages, say).unwrap()
    };
    let running = |version: &str| {
        let (_, fleet) = rollout::look(&plan, Item::Models).unwrap();
        fleet.versions().get(&format!("version {version}")).copied()
    };
    let all_online = || {
        let (_, fleet) = rollout::look(&plan, Item::Models).unwrap();
        fleet.units.values().filter(|unit| unit.online).count() == 6
    };
    wait_for("units", all_online);
    assert_eq!(roll_out("2", "second", 200), End::Done);
    assert_eq!(running("2"), Some(6));
    let end = roll_out("3", "blind", 300);
    assert!(
        matches!(&end, End::Withdrawn(why) if why.contains("went back")),
        "{end:?}"
    );
    wait_for("units that went back", || running("3").is_none());
    follows_the_schema(port);
    stop.store(true, Ordering::Relaxed);
    for car in driving.join().unwrap() {
        let folder = folder_in_use(&car.installed).unwrap();
        assert_eq!(
            std::fs::read(folder.join("encoder.onnx")).unwrap(),
            b"second"
        );
    }
}
