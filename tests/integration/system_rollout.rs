//! Promise: over a real broker, a good pack reaches a whole fleet stage by stage; a bad one is refused or rolled back
//! everywhere; and at no time is a unit without a pack.
//!
//! Units are those of the program but for their eyes: connection, delivery, watcher, store and bank are real, each
//! with a folder and a connection of its own; signs are embeddings that the bank in force names. `TSEDGE_UNITS` says
//! how many there are (24); `make show-rollout` runs 200. The broker is Debian's `mosquitto`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use ndarray::Array1;
use tsedge::clock::{Clock as _, Monotonic};
use tsedge::config::ConfigFile;
use tsedge::delivery::fleet::{Bounds, Fleet};
use tsedge::delivery::rollout::{self, Parcel, RolloutPlan};
use tsedge::delivery::{Delivery, Item, Offer, State, is_meant};
use tsedge::event::{Event, Family, HealthEvent, Naming, RegionEvent};
use tsedge::health::{HealthState, Reason, Reasons};
use tsedge::output::Output;
use tsedge::output::mqtt::{MqttOutput, MqttPlan};
use tsedge::region::pack::RowType;
use tsedge::region::sign::{Signatures, Trust, signature_path};
use tsedge::region::{Pack, PackNews, PackStore, PackWatcher, RegionBank};
use tsedge::units::Timestamp;

use crate::delivery::Signer;
use crate::output_events::{region, sign};
use crate::running::repeated_by;
use crate::support::{program, root};
use crate::system_mqtt::{Broker, Listener, free_port, wait_for, wait_for_port};

/// Signs that a unit sees between two looks.
const SIGNS: usize = 4;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Units of the group that goes first.
const TEST_CARS: usize = 2;

fn units_wanted() -> usize {
    std::env::var("TSEDGE_UNITS").map_or(24, |n| n.parse().expect("TSEDGE_UNITS is a number"))
}

/// The shipped pack of Germany with another version, and with its certainty spoilt if it is to be `bad`.
fn pack(version: &str, bad: bool) -> Pack {
    let mut pack = Pack::read(&root().join("models/packs/DE.safetensors"))
        .unwrap()
        .0;
    version.clone_into(&mut pack.version);
    if bad {
        pack.calibration.scale *= 0.02;
    }
    pack
}

/// What a unit has in its view, by the models' pack: each row of it is the embedding of a sign.
fn signs_of(pack: &Pack) -> Vec<Array1<f32>> {
    let bank = pack.bank("").unwrap();
    let is_sign = |class: u16| {
        let family = pack.classes[usize::from(class)].family;
        !matches!(family, Family::Background | Family::OtherSign)
    };
    let signs = pack.text.iter().filter(|(_, class)| is_sign(*class));
    let named = |row: &Array1<f32>| matches!(bank.classify(row.view()).naming, Naming::Sign(_));
    signs
        .map(|(row, _)| row.to_owned())
        .filter(named)
        .take(50)
        .collect()
}

/// One unit, switched on or off.
struct Unit {
    models: PathBuf,
    installed: PathBuf,
    config: ConfigFile,
    key: String,
    on: Option<On>,
    /// It stands, and sees nothing.
    parked: bool,
}

struct On {
    output: MqttOutput,
    watcher: PackWatcher,
    bank: Arc<RegionBank>,
    seen: usize,
}

impl Unit {
    fn store(&self) -> PackStore {
        let shipped = pack("", false);
        let keys = std::slice::from_ref(&self.key);
        let trust = Trust::new(Signatures::Optional, keys).unwrap();
        PackStore::new(&self.models, &shipped.encoder_sha256, shipped.dim())
            .with_installed(Some(&self.installed))
            .with_trust(trust)
    }

    fn switch_on(&mut self) {
        let plan = self.config.delivery.as_ref().unwrap().plan(&self.config);
        let delivery = Delivery::open(plan.unwrap(), self.store()).unwrap();
        let mut store = self.store();
        let bank = store.best(region("DE")).unwrap();
        let plan = MqttPlan::try_from(self.config.mqtt.as_ref().unwrap()).unwrap();
        let output = MqttOutput::start_with(plan, Some(Box::new(delivery))).unwrap();
        let (watcher, seen) = (PackWatcher::new(store), 0);
        let mut on = On {
            output,
            watcher,
            bank,
            seen,
        };
        on.tell(health(HealthState::Normal, Reasons::NONE, None));
        on.tell_region();
        self.on = Some(on);
    }

    fn switch_off(&mut self) {
        self.on = None;
    }

    fn step(&mut self, signs: &[Array1<f32>]) {
        let Some(on) = &mut self.on else {
            return;
        };
        for news in on.watcher.look() {
            match news {
                PackNews::Live(bank) => {
                    on.bank = bank;
                    on.tell_region();
                    // A look may have come between a signature and its pack.
                    on.tell(health(HealthState::Normal, Reasons::NONE, None));
                }
                PackNews::Refused { error, .. } => {
                    let reasons = [Reason::PackRefused].into_iter().collect();
                    on.tell(health(
                        HealthState::Degraded,
                        reasons,
                        Some(error.to_string()),
                    ));
                }
            }
        }
        for _ in 0..if self.parked { 0 } else { SIGNS } {
            on.seen += 1;
            let seen = on.bank.classify(signs[on.seen % signs.len()].view());
            let mut event = sign(seen.naming);
            event.probability = seen.probability;
            on.tell(Event::SignLost(event));
        }
        let _ = on.output.tick(Monotonic.now());
    }
}

impl On {
    fn tell(&mut self, event: Event) {
        // A broker that is away is an error here, and none for a unit.
        let _ = self.output.emit(&event);
    }

    fn tell_region(&mut self) {
        let bank = Arc::clone(&self.bank);
        self.tell(Event::Region(RegionEvent {
            time: Timestamp::ZERO,
            frame: 0,
            from: None,
            to: region("DE"),
            pack: bank.region(),
            pack_version: Arc::clone(bank.version()),
            pack_sha256: Arc::clone(bank.sha256()),
            position_deg: None,
            crossing: None,
            change: None,
        }));
    }
}

fn health(state: HealthState, reasons: Reasons, detail: Option<String>) -> Event {
    Event::Health(HealthEvent {
        time: Timestamp::ZERO,
        frame: 1,
        state,
        reasons,
        detail: detail.map(Into::into),
        cameras: Arc::new([]),
    })
}

/// All units at work, and one who looks all the time whether each has a pack.
struct World {
    units: Arc<Vec<Mutex<Unit>>>,
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    without: Arc<Mutex<Vec<String>>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    signer: Signer,
    folder: tempfile::TempDir,
    port: u16,
    start: Instant,
}

/// Of an operator whose broker listens on `port` here: every unit must do well, and none is waited for.
pub fn rollout_plan(port: u16) -> RolloutPlan {
    let text = format!("[mqtt]\nbroker = \"mqtt://localhost:{port}\"\n");
    let config = ConfigFile::parse(&text).unwrap();
    RolloutPlan {
        mqtt: MqttPlan::try_from(&config.mqtt.unwrap()).unwrap(),
        topic: "rollout".to_owned(),
        units: "cars/+".to_owned(),
        bounds: Bounds {
            enough: 1.0,
            kept: 1.0,
            most_bad: 0.0,
        },
        hold: Duration::ZERO,
        patience: Duration::from_secs(60),
    }
}

impl World {
    fn new(count: usize, port: u16) -> Self {
        let (folder, signer) = (tempfile::tempdir().unwrap(), Signer::new());
        let models = folder.path().join("models");
        std::fs::create_dir(&models).unwrap();
        let shipped = root().join("models/packs/DE.safetensors");
        std::fs::copy(shipped, models.join("DE.safetensors")).unwrap();
        let unit = |n: usize| {
            let installed = folder.path().join(format!("unit-{n}"));
            let group = if n < TEST_CARS {
                "group = \"test-cars\""
            } else {
                ""
            };
            let config = format!(
                "[mqtt]\nbroker = \"mqtt://localhost:{port}\"\nprefix = \"cars/{n}\"\nqueue_kb = 16\n\
                 [packs]\ninstalled = {installed:?}\npublic_keys = [\"{}\"]\n\
                 [delivery]\ntrial_signs = 20\n{group}\n",
                signer.key
            );
            Mutex::new(Unit {
                models: models.clone(),
                installed,
                config: ConfigFile::parse(&config).unwrap(),
                key: signer.key.clone(),
                on: None,
                parked: false,
            })
        };
        let units: Arc<Vec<_>> = Arc::new((0..count).map(unit).collect());
        let mut world = Self {
            units,
            stop: Arc::default(),
            looks: Arc::default(),
            without: Arc::default(),
            threads: Vec::new(),
            signer,
            folder,
            port,
            start: Instant::now(),
        };
        // Every third had a pack installed by hand.
        let (file, _) = world.signed("1", false, 100);
        for n in (0..count).step_by(3) {
            let unit = world.unit(n);
            std::fs::create_dir_all(&unit.installed).unwrap();
            let target = unit.installed.join("DE.safetensors");
            std::fs::copy(signature_path(&file), signature_path(&target)).unwrap();
            std::fs::copy(&file, target).unwrap();
        }
        world.run();
        world
    }

    fn unit(&self, n: usize) -> MutexGuard<'_, Unit> {
        self.units[n].lock().unwrap()
    }

    fn run(&mut self) {
        let (units, stop) = (Arc::clone(&self.units), Arc::clone(&self.stop));
        let signs = signs_of(&pack("", false));
        assert!(signs.len() > 20);
        self.threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                for unit in units.iter() {
                    unit.lock().unwrap().step(&signs);
                }
                std::thread::sleep(LOOK_EVERY.saturating_sub(start.elapsed()));
            }
        }));
        let (units, stop) = (Arc::clone(&self.units), Arc::clone(&self.stop));
        let (looks, without) = (Arc::clone(&self.looks), Arc::clone(&self.without));
        self.threads.push(std::thread::spawn(move || {
            // A fresh start would find a pack of its own region, whatever is being written.
            let stores: Vec<_> = units.iter().map(|u| u.lock().unwrap().store()).collect();
            while !stop.load(Ordering::Relaxed) {
                for (n, store) in stores.iter().enumerate() {
                    let mut fresh = copy_of(store);
                    match fresh.best(region("DE")) {
                        Ok(bank) if bank.region() == region("DE") => {}
                        Ok(bank) => note(&without, format!("unit {n}: {}", bank.region())),
                        Err(e) => note(&without, format!("unit {n}: {e}")),
                    }
                    looks.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }));
    }

    /// A signed pack as a file, and its parcel.
    fn signed(&self, version: &str, bad: bool, at: u64) -> (PathBuf, Parcel) {
        let bytes = pack(version, bad).to_bytes(RowType::F16).unwrap();
        let file = self.folder.path().join(format!("DE-{version}.safetensors"));
        let signature = self.signer.sign(&bytes, at);
        std::fs::write(&file, &bytes).unwrap();
        std::fs::write(signature_path(&file), &signature).unwrap();
        (file, Parcel::new(bytes, signature).unwrap())
    }

    fn plan(&self) -> RolloutPlan {
        rollout_plan(self.port)
    }

    /// The operator's command.
    fn operator(&self, command: &str, what: &str, more: &[&str]) -> Command {
        let config = self.folder.path().join("operator.toml");
        let text = format!(
            "[mqtt]\nbroker = \"mqtt://localhost:{}\"\n[packs]\npublic_keys = [\"{}\"]\n",
            self.port, self.signer.key
        );
        std::fs::write(&config, text).unwrap();
        let mut program = program();
        program
            .args(["rollout", command, what, "--config"])
            .arg(config);
        program.args(["--patience", "300"]).args(more);
        program.stdout(Stdio::piped()).stderr(Stdio::piped());
        program
    }

    fn start(&self, pack: &Path, stages: &str, more: &[&str]) -> Command {
        let usual = ["--stages", stages, "--kept", "0.9", "--enough", "0.95"];
        let more = [&usual, more].concat();
        self.operator("start", pack.to_str().unwrap(), &more)
    }

    fn fleet(&self) -> Fleet {
        rollout::look(&self.plan(), Item::Pack(region("DE")))
            .unwrap()
            .1
    }

    /// Waits until all units have told such a state of that pack.
    fn wait_for_all(&self, what: &str, offer: &Offer, state: State) -> Fleet {
        let mut fleet = Fleet::default();
        wait_for_it(what, || {
            fleet = self.fleet();
            let told = fleet.units.values().filter_map(|unit| unit.report.as_ref());
            told.filter(|r| r.sha256 == offer.sha256 && r.state == state)
                .count()
                == self.units.len()
        });
        fleet
    }

    /// Versions on the units' disks.
    fn versions(&self) -> BTreeMap<String, usize> {
        let mut versions = BTreeMap::new();
        for unit in self.units.iter() {
            let mut store = unit.lock().unwrap().store();
            let bank = store.best(region("DE")).unwrap();
            *versions.entry(bank.version().to_string()).or_default() += 1;
        }
        versions
    }

    fn all_read(&self, version: &str) {
        let all = BTreeMap::from([(version.to_owned(), self.units.len())]);
        assert_eq!(self.versions(), all);
    }

    fn say(&self, words: &str) {
        println!("{:6.1} s  {words}", self.start.elapsed().as_secs_f64());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn note(to: &Mutex<Vec<String>>, words: String) {
    to.lock().unwrap().push(words);
}

/// A store that has read nothing yet.
fn copy_of(store: &PackStore) -> PackStore {
    let folders: Vec<_> = store.folders().collect();
    PackStore::new(folders[1], store.encoder_sha256(), pack_dim())
        .with_installed(Some(folders[0]))
        .with_trust(store.trust().clone())
}

fn pack_dim() -> usize {
    static DIM: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *DIM.get_or_init(|| pack("", false).dim())
}

fn wait_for_it(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(180), "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs to its end; its table goes to the test's.
fn ends(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{text}{errors}");
    assert_eq!(output.status.code(), Some(code), "{text}{errors}");
    text + &errors
}

/// Lines of a command that runs, until one begins with `word`.
fn runs_until(command: &mut Child, word: &str) {
    let lines = BufReader::new(command.stdout.as_mut().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        println!("{line}");
        if line.starts_with(word) {
            return;
        }
    }
    panic!("it ended before `{word}`");
}

/// `None` of a process that has ended.
pub fn memory_mb(pid: &str, key: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().unwrap();
    Some(kib / 1024.0)
}

/// One of the broker's own figures.
fn broker_says(port: u16, topic: &str) -> f64 {
    let output = Command::new("mosquitto_sub")
        .args(["-h", "localhost", "-p", &port.to_string(), "-C", "1", "-t"])
        .arg(format!("$SYS/broker/{topic}"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap()
}

/// All that the broker keeps follows the published schema.
pub fn follows_the_schema(port: u16) {
    let schema = std::fs::read_to_string(root().join("docs/schema/delivery.schema.json"));
    let schema: serde_json::Value = serde_json::from_str(&schema.unwrap()).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let output = Command::new("mosquitto_sub")
        .args(["-h", "localhost", "-p", &port.to_string(), "-W", "2"])
        .args(["--retained-only", "-F", "%t %p"])
        .args([
            "-t",
            "rollout/offer/#",
            "-t",
            "cars/+/unit",
            "-t",
            "cars/+/packs/#",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() > 2 * TEST_CARS);
    for line in text.lines() {
        let (topic, json) = line.split_once(' ').unwrap();
        let json = serde_json::from_str(json).unwrap();
        let faults: Vec<_> = schema.iter_errors(&json).map(|e| e.to_string()).collect();
        assert_eq!(faults, [""; 0], "{topic} {json}");
    }
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_rollout_bad_packs_are_refused_or_rolled_back_everywhere_and_no_unit_is_without() {
    let (folder, port, count) = (tempfile::tempdir().unwrap(), free_port(), units_wanted());
    // It keeps nothing over its death.
    let config =
        format!("listener {port} 127.0.0.1\nuser root\nallow_anonymous true\nsys_interval 1\n");
    let mut broker = Broker::of(folder.path(), &config);
    wait_for_port(port);
    let world = World::new(count, port);
    let before_mb = memory_mb("self", "VmRSS").unwrap();
    // Two are not there at first.
    let away = [count - 1, count - 2];
    for n in (0..count).filter(|n| !away.contains(n)) {
        world.unit(n).switch_on();
    }
    wait_for_it("unit at the broker", || {
        let fleet = world.fleet();
        fleet.units.values().filter(|unit| unit.online).count() == count - away.len()
    });
    let used_mb = memory_mb("self", "VmRSS").unwrap() - before_mb;
    world.say(&format!(
        "{count} units, {used_mb:.0} MB, {} of them away",
        away.len()
    ));

    // A good one. The operator's command is killed after its first stage, and goes on.
    let (file, parcel) = world.signed("2", false, 200);
    let sent = broker_says(port, "bytes/sent");
    let began = Instant::now();
    let mut first = world
        .start(&file, "test-cars,10%,100%", &[])
        .spawn()
        .unwrap();
    runs_until(&mut first, "test-cars");
    first.kill().unwrap();
    first.wait().unwrap();
    world.say("the operator's command was killed");
    let said = ends(world.start(&file, "test-cars,10%,100%", &[]), 0);
    assert!(said.contains("goes on with stage"), "{said}");
    let took_s = began.elapsed().as_secs_f64();
    let sent_mb = (broker_says(port, "bytes/sent") - sent) / 1e6;
    world.say(&format!(
        "version 2 of {} bytes is out after {took_s:.1} s; the broker sent {sent_mb:.1} MB",
        parcel.bytes.len()
    ));
    for n in away {
        world.unit(n).switch_on();
    }
    world.wait_for_all("version 2 everywhere", &parcel.offer(1), State::Kept);
    world.all_read("2");
    world.say("those that were away have it too");

    // What the operator's command would not even send.
    let stranger = Signer::new();
    let (by_stranger_file, mut by_stranger) = world.signed("3", false, 300);
    by_stranger.signature = stranger.sign(&by_stranger.bytes, 300);
    std::fs::write(signature_path(&by_stranger_file), &by_stranger.signature).unwrap();
    ends(world.start(&by_stranger_file, "100%", &[]), 1);
    let mut cut = by_stranger.clone();
    cut.bytes.truncate(cut.bytes.len() / 2);
    cut.signature = world.signer.sign(&cut.bytes, 300);
    let mut foreign = pack("3", false);
    foreign.encoder_sha256 = "ab".repeat(32);
    let foreign = foreign.to_bytes(RowType::F16).unwrap();
    let signature = world.signer.sign(&foreign, 300);
    let foreign = Parcel::new(foreign, signature).unwrap();
    let (_, old) = world.signed("0", false, 50);
    for (what, parcel) in [
        ("not signed by a trusted key", &by_stranger),
        ("truncated before it was signed", &cut),
        ("of another encoder", &foreign),
        ("older than the one in use", &old),
    ] {
        let mut offer = parcel.offer(30_000);
        offer.share = 1.0;
        rollout::offer_unchecked(&world.plan(), &offer, &parcel.bytes).unwrap();
        let fleet = world.wait_for_all(what, &offer, State::Refused);
        world.all_read("2");
        let reports = fleet.units.values().filter_map(|unit| unit.report.as_ref());
        let reasons: BTreeMap<_, _> = reports.map(|r| (&r.detail, ())).collect();
        world.say(&format!("{what}: refused by all {count}: {reasons:?}"));
    }

    // Sound and signed, but it names nothing: two units of the stage stand and cannot tell, and one of these is away
    // when it is withdrawn.
    let (file, parcel) = world.signed("4", true, 400);
    let mut offer = parcel.offer(1);
    offer.share = 0.3;
    let group = |n: usize| (n < TEST_CARS).then_some("test-cars");
    let meant: Vec<usize> = (0..count)
        .filter(|n| is_meant(&offer, &format!("cars/{n}"), group(*n)))
        .collect();
    assert!(meant.len() > 2, "{meant:?}");
    let (parked, leaves) = (meant[0], meant[1]);
    for n in [parked, leaves] {
        world.unit(n).parked = true;
    }
    let mut operator = world.start(&file, "30%,100%", &["--most-bad", "0.5"]);
    let operator = std::thread::spawn(move || ends_as_it_may(&mut operator));
    let target = world.unit(leaves).installed.join("DE.safetensors");
    wait_for_it("bad pack on a unit", || {
        std::fs::read(&target).is_ok_and(|bytes| bytes == parcel.bytes)
    });
    world.unit(leaves).switch_off();
    let (code, said) = operator.join().unwrap();
    println!("{said}");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("withdrawn: stage 30%"), "{said}");
    let versions = world.versions();
    assert_eq!(
        versions.get("4"),
        Some(&1),
        "just the one that is away: {versions:?}"
    );
    world.unit(leaves).switch_on();
    wait_for_it("one that was away", || !world.versions().contains_key("4"));
    world.all_read("2");
    let fleet = world.fleet();
    for (n, unit) in fleet.units.values().enumerate() {
        let state = unit.report.as_ref().map(|report| report.state);
        let expected = [Some(State::RolledBack), Some(State::Refused)];
        assert!(expected.contains(&state), "{n}: {state:?}");
    }
    let reports = fleet.units.values().filter_map(|unit| unit.report.as_ref());
    let back = reports.filter(|r| r.sha256 == offer.sha256).count();
    assert!(2 * back > meant.len() && back <= meant.len(), "{back}");
    for n in [parked, leaves] {
        world.unit(n).parked = false;
    }
    world.say(&format!(
        "version 4 was rolled back by all {} that had it",
        meant.len()
    ));

    // The broker dies while a good one is on its way.
    let (file, parcel) = world.signed("5", false, 500);
    let mut operator = world.start(&file, "50%,100%", &[]);
    let operator = std::thread::spawn(move || ends_as_it_may(&mut operator));
    wait_for_it("version 5 on some units", || {
        world.versions().get("5").copied().unwrap_or_default() > count / 10
    });
    broker.kill();
    world.say("the broker was killed");
    std::thread::sleep(Duration::from_secs(2));
    broker.start_again();
    let (code, said) = operator.join().unwrap();
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    world.wait_for_all("version 5 everywhere", &parcel.offer(1), State::Kept);
    world.all_read("5");
    world.say("version 5 is out");

    follows_the_schema(port);
    ends(world.operator("status", "DE", &[]), 0);
    let looks = world.looks.load(Ordering::Relaxed);
    let without = world.without.lock().unwrap();
    world.say(&format!(
        "{looks} looks at units' packs, {} found none; {:.0} MB at most with {count} units",
        without.len(),
        memory_mb("self", "VmHWM").unwrap()
    ));
    assert!(without.is_empty(), "{without:?}");
    wait_for("looks", || looks > count as u64);
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_rollout_a_running_unit_reads_by_the_pack_that_came() {
    let (dir, port, signer) = (tempfile::tempdir().unwrap(), free_port(), Signer::new());
    let _broker = Broker::start(dir.path(), port, "allow_anonymous true");
    wait_for_port(port);
    let listener = Listener::start(port, &[]);
    let config = dir.path().join("tsedge.toml");
    let installed = dir.path().join("packs");
    let text = format!(
        "[mqtt]\nbroker = \"mqtt://localhost:{port}\"\nprefix = \"car7\"\n\
         [packs]\ninstalled = {installed:?}\npublic_keys = [\"{}\"]\n[delivery]\n",
        signer.key
    );
    std::fs::write(&config, text).unwrap();
    let mut unit = repeated_by(&config).spawn().unwrap();
    listener.wait_for("car7/events/region", "\"to\":\"DE\"");
    let file = dir.path().join("DE.safetensors");
    let bytes = pack("came", false).to_bytes(RowType::F16).unwrap();
    std::fs::write(&file, &bytes).unwrap();
    std::fs::write(signature_path(&file), signer.sign(&bytes, 100)).unwrap();
    let file = file.to_str().unwrap();
    let more = ["--kept", "0", "--units", "+"];
    let mut start = program();
    start
        .args(["rollout", "start", file, "--config"])
        .arg(&config)
        .args(more);
    let output = start.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    listener.wait_for("car7/events/region", "\"pack_version\":\"came\"");
    unit.kill().unwrap();
    unit.wait().unwrap();
}

/// Code and words.
fn ends_as_it_may(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}
