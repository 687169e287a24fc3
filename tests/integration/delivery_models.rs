//! Promise: a unit takes no models by MQTT but newer ones that are whole and signed, starts by them, and goes back to those
//! before when it does worse with them; at any moment there are models to start by.
//!
//! The broker is a map here, and the models are files that nothing loads; `system_models` has real ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tsedge::config::{ConfigFile, Plan};
use tsedge::delivery::rollout::Parcel;
use tsedge::delivery::sets::folder_in_use;
use tsedge::delivery::{Delivery, ModelSets, Offer, bundle, offer_topic, start};
use tsedge::event::{Event, HealthEvent, Naming};
use tsedge::health::{HealthState, Reasons};
use tsedge::output::mqtt::{Guest as _, Outbox, Seen};
use tsedge::region::pack::{RowType, sha256};
use tsedge::region::sign::Trust;
use tsedge::units::Timestamp;

use crate::delivery::{Kept, Signer, answer, for_all};
use crate::output_events::{limit_60, sign as sign_event};
use crate::support::{root, small_pack, tsedge_ok};

const DIM: usize = 16;
const REPORT: &str = "cars/7/packs/models";

/// A folder of models whose encoder consists of these words; DE's pack has the version `pack`.
pub fn models(folder: &Path, encoder: &str, pack: &str) {
    let packs = folder.join("packs");
    std::fs::create_dir_all(&packs).unwrap();
    for (name, bytes) in [("detector", "a detector"), ("encoder", encoder)] {
        let card = std::fs::read_to_string(root().join(format!("models/{name}.toml"))).unwrap();
        let line = |line: &str| match line.split(" = ").next().unwrap() {
            "sha256" => format!("sha256 = \"{}\"", sha256(bytes.as_bytes())),
            "size_bytes" => format!("size_bytes = {}", bytes.len()),
            "dim" => format!("dim = {DIM}"),
            _ => line.to_owned(),
        };
        let card = card.lines().map(line).collect::<Vec<_>>().join("\n");
        std::fs::write(folder.join(format!("{name}.toml")), card).unwrap();
        std::fs::write(folder.join(format!("{name}.onnx")), bytes).unwrap();
    }
    for (region, version) in [("DE", pack), ("WORLD", "1")] {
        let mut pack = small_pack(region, version, 5, DIM);
        pack.encoder_sha256 = sha256(encoder.as_bytes());
        let bytes = pack.to_bytes(RowType::F32).unwrap();
        std::fs::write(packs.join(format!("{region}.safetensors")), bytes).unwrap();
    }
}

/// A bundle of such a folder, signed at `at`.
pub fn parcel(signer: &Signer, version: &str, encoder: &str, at: u64) -> Parcel {
    let folder = tempfile::tempdir().unwrap();
    models(folder.path(), encoder, version);
    signed(signer, bundle::pack(folder.path(), version).unwrap(), at)
}

fn signed(signer: &Signer, bytes: Vec<u8>, at: u64) -> Parcel {
    let signature = signer.sign(&bytes, at);
    Parcel::new(bytes, signature).unwrap()
}

fn offered(parcel: &Parcel) -> (Kept, Offer) {
    let (mut kept, offer) = (Kept::default(), for_all(parcel));
    kept.offer(&offer, &parcel.bytes);
    (kept, offer)
}

/// A start of a unit. A model that begins with `broken` cannot be loaded.
pub fn open(config: &ConfigFile, restart: impl Fn(&str) + Send + 'static) -> (Plan, Delivery) {
    let folder = config.models.installed.as_ref().unwrap();
    let mut sets = ModelSets::open(folder).unwrap();
    let works = |plan: &Plan, on_trial: bool| {
        let bytes = plan.encoder.model_bytes()?;
        let loads = !bytes.starts_with(b"broken");
        anyhow::ensure!(loads || !on_trial, "cannot be loaded");
        plan.pack_store().best(plan.region)?;
        Ok(())
    };
    let plan = start::plan(config, &mut sets, works).unwrap();
    let own = config.delivery.as_ref().unwrap().plan(config).unwrap();
    let delivery = Delivery::open(own, plan.pack_store()).unwrap();
    let delivery = delivery.with_models(Ok(sets)).restarted_by(restart);
    (plan, delivery)
}

struct Unit {
    state: tempfile::TempDir,
    config: ConfigFile,
    delivery: Option<Delivery>,
    told: BTreeMap<String, Value>,
    asked_for: usize,
    restarts: Arc<Mutex<Vec<String>>>,
}

impl Unit {
    fn new(signer: &Signer, more: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let folder = |name: &str| state.path().join(name);
        models(&folder("shipped"), "shipped", "shipped");
        let text = format!(
            "[models]\nfolder = {:?}\ninstalled = {:?}\n[packs]\ninstalled = {:?}\npublic_keys = [\"{}\"]\n\
             [region]\nfixed = \"DE\"\n[mqtt]\nbroker = \"mqtt://localhost\"\nprefix = \"cars/7\"\n\
             [delivery]\ntrial_signs = 20\nmax_models_mb = 1\n{more}",
            folder("shipped"),
            folder("models"),
            folder("packs"),
            signer.key
        );
        let mut unit = Self {
            state,
            config: ConfigFile::parse(&text).unwrap(),
            delivery: None,
            told: BTreeMap::new(),
            asked_for: 0,
            restarts: Arc::default(),
        };
        unit.restart();
        unit
    }

    fn installed(&self) -> PathBuf {
        self.state.path().join("models")
    }

    /// Power off and on, without a word.
    fn restart(&mut self) {
        self.delivery = None;
        self.told.clear();
        let restarts = Arc::clone(&self.restarts);
        let restart = move |why: &str| restarts.lock().unwrap().push(why.to_owned());
        self.delivery = Some(open(&self.config, restart).1);
        self.is_sound();
    }

    fn run(&mut self, kept: &Kept, what: impl FnOnce(&mut Delivery, &mut Outbox)) {
        let mut outbox = Outbox::default();
        let delivery = self.delivery.as_mut().unwrap();
        what(delivery, &mut outbox);
        self.asked_for += answer(kept, delivery, outbox, &mut self.told);
        self.is_sound();
    }

    /// Whatever happens, there are whole models to start by, and no more than two sets.
    fn is_sound(&self) {
        if let Some(folder) = folder_in_use(&self.installed()) {
            bundle::check(&folder, &Trust::default()).unwrap();
        }
        assert!(self.sets() <= 2);
    }

    fn sets(&self) -> usize {
        let names = std::fs::read_dir(self.installed()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.len() == 64).count()
    }

    /// Connects, and waits until what is offered and wanted has been unpacked.
    fn connect(&mut self, kept: &Kept) {
        let asked_for = self.asked_for;
        self.run(kept, |delivery, outbox| delivery.connected(outbox));
        if self.asked_for == asked_for {
            return;
        }
        let offer = &kept.0[&offer_topic("rollout", "models")];
        let offer: Offer = serde_json::from_slice(offer).unwrap();
        for _ in 0..4000 {
            if (self.told.get(REPORT)).is_some_and(|told| told["sha256"] == *offer.sha256) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
            self.time(0.0);
        }
        panic!("it is never unpacked");
    }

    fn time(&mut self, s: f64) {
        self.sees(Seen::Time(Timestamp::from_seconds(s)));
    }

    fn sees(&mut self, seen: Seen) {
        let nothing = Kept::default();
        self.run(&nothing, |delivery, outbox| delivery.seen(seen, outbox));
    }

    fn signs(&mut self, naming: Naming, count: usize) {
        for _ in 0..count {
            self.sees(Seen::Event(Event::SignLost(sign_event(naming.clone()))));
        }
    }

    /// State, detail and the version that runs.
    fn report(&self) -> (&str, &str, Option<&str>) {
        let report = &self.told[REPORT];
        (
            report["state"].as_str().unwrap(),
            report["detail"].as_str().unwrap(),
            report["in_use"]["version"].as_str(),
        )
    }

    /// The encoder that the next start would take.
    fn encoder(&self) -> String {
        let folder = folder_in_use(&self.installed());
        let folder = folder.unwrap_or(self.state.path().join("shipped"));
        std::fs::read_to_string(folder.join("encoder.onnx")).unwrap()
    }
}

/// A unit that runs models which came, on trial.
fn with_models_on_trial(signer: &Signer, more: &str) -> (Unit, Kept, Offer) {
    let mut unit = Unit::new(signer, more);
    unit.signs(Naming::Sign(limit_60()), 20);
    let (kept, offer) = offered(&parcel(signer, "2", "second", 200));
    unit.connect(&kept);
    unit.restart();
    unit.connect(&kept);
    assert_eq!(unit.report(), ("installed", "", Some("2")));
    (unit, kept, offer)
}

#[test]
fn models_that_come_wait_for_the_next_start_and_are_kept_after_their_trial() {
    let signer = Signer::new();
    let mut unit = Unit::new(&signer, "");
    let (kept, offer) = offered(&parcel(&signer, "2", "second", 200));
    unit.connect(&kept);
    assert_eq!(unit.asked_for, offer.parts());
    let waits = "waits for the next start of the unit";
    assert_eq!(unit.report(), ("installed", waits, None));
    // What is seen before is no matter of the trial.
    unit.signs(Naming::UnknownSign, 30);
    assert_eq!(unit.told[REPORT]["signs"], 0);
    unit.restart();
    unit.connect(&kept);
    assert_eq!(unit.report(), ("installed", "", Some("2")));
    let about = &unit.told["cars/7/unit"];
    assert_eq!(about["models"]["version"], "2");
    assert_eq!(about["encoder_sha256"], sha256(b"second"));
    unit.signs(Naming::Sign(limit_60()), 20);
    assert_eq!(unit.report(), ("kept", "", Some("2")));
    assert_eq!(unit.asked_for, offer.parts(), "fetched once");
    // A third and a fourth: of sets there are two at most.
    for (version, encoder, at) in [("3", "third", 300), ("4", "fourth", 400)] {
        let (kept, _) = offered(&parcel(&signer, version, encoder, at));
        unit.connect(&kept);
        assert_eq!((unit.report().2, unit.sets()), (Some("2"), 2));
    }
    unit.restart();
    assert_eq!(unit.encoder(), "fourth");
    assert!(
        unit.restarts.lock().unwrap().is_empty(),
        "it was not asked to"
    );
}

/// An archive of these entries, whatever they are called.
fn archive(entries: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes, kind) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn hostile_and_damaged_bundles_are_refused_though_they_are_signed() {
    let signer = Signer::new();
    let mut unit = Unit::new(&signer, "");
    let plain = tar::EntryType::Regular;
    let manifest = "format = \"tsedge-models/1\"\nversion = \"2\"\n".as_bytes();
    let with = |name: &'static str, kind| {
        archive(&[("bundle.toml", manifest, plain), (name, b"../../x", kind)])
    };
    let good = parcel(&signer, "2", "second", 200);
    let changed = |change: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        models(folder.path(), "second", "2");
        change(folder.path());
        let names = [
            "detector.toml",
            "detector.onnx",
            "encoder.toml",
            "encoder.onnx",
        ];
        let packs = ["packs/DE.safetensors", "packs/WORLD.safetensors"];
        let names = names.into_iter().chain(packs);
        let files: Vec<_> = names
            .filter_map(|name| Some((name, std::fs::read(folder.path().join(name)).ok()?)))
            .collect();
        let mut entries = vec![("bundle.toml", manifest, plain)];
        entries.extend(files.iter().map(|(name, bytes)| (*name, &bytes[..], plain)));
        archive(&entries)
    };
    let mut cut = good.bytes.clone();
    cut.truncate(good.bytes.len() / 2);
    let cases = [
        (cut, "is cut off"),
        (with("../../../evil", plain), "does not belong"),
        (with("/etc/passwd", plain), "does not belong"),
        (
            with("packs/../../evil.safetensors", plain),
            "does not belong",
        ),
        (with("models.json", plain), "does not belong"),
        (
            with("encoder.onnx", tar::EntryType::Symlink),
            "is not a plain file",
        ),
        (
            with("encoder.onnx", tar::EntryType::Link),
            "is not a plain file",
        ),
        (
            with("packs", tar::EntryType::Directory),
            "is not a plain file",
        ),
        (
            with("x", tar::EntryType::GNULongName),
            "is not a plain file",
        ),
        (with("x", tar::EntryType::XHeader), "is not a plain file"),
        (
            archive(&[
                ("bundle.toml", manifest, plain),
                ("encoder.onnx", b"1", plain),
                ("encoder.onnx", b"2", plain),
            ]),
            "is there twice",
        ),
        (with("encoder.onnx", plain), "detector.toml: No such file"),
        (
            changed(&|folder| std::fs::write(folder.join("encoder.onnx"), "other!").unwrap()),
            "encoder.onnx: sha256 is",
        ),
        (
            changed(&|folder| {
                let card = folder.join("encoder.toml");
                let text = std::fs::read_to_string(&card).unwrap();
                let text = text.replace("file = \"encoder.onnx\"", "file = \"/etc/passwd\"");
                std::fs::write(card, text).unwrap();
            }),
            "in a bundle it is encoder.onnx",
        ),
        (
            changed(&|folder| {
                std::fs::remove_file(folder.join("packs/WORLD.safetensors")).unwrap();
            }),
            "packs/WORLD.safetensors is missing",
        ),
        (
            changed(&|folder| {
                let pack = small_pack("DE", "2", 5, DIM)
                    .to_bytes(RowType::F32)
                    .unwrap();
                std::fs::write(folder.join("packs/DE.safetensors"), pack).unwrap();
            }),
            "encoder_sha256 is abc",
        ),
    ];
    for (bytes, words) in cases {
        let (kept, _) = offered(&signed(&signer, bytes, 200));
        unit.connect(&kept);
        let (state, detail, _) = unit.report();
        assert_eq!(state, "refused", "{words}");
        assert!(detail.contains(words), "{words}: {detail}");
        assert_eq!((&*unit.encoder(), unit.sets()), ("shipped", 0));
        let asked_for = unit.asked_for;
        unit.connect(&kept);
        assert_eq!(unit.asked_for, asked_for, "{words}: fetched once");
    }
    let outside = unit.state.path().read_dir().unwrap().count();
    assert_eq!(outside, 3, "shipped, models, packs");
    let (kept, _) = offered(&good);
    unit.connect(&kept);
    assert_eq!(unit.report().0, "installed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage that a signer did not see: it is refused, or it changes nothing; nothing is written elsewhere.
    #[test]
    fn whatever_bytes_a_bundle_has_nothing_is_written_outside_its_folder(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        headers in prop::collection::vec((0_usize..4, 0_usize..512, any::<u8>()), 0..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("in/new"), dir.path().join("bundle"));
        models(&dir.path().join("models"), "second", "2");
        let mut bytes = bundle::pack(&dir.path().join("models"), "2").unwrap();
        for (n, at, value) in headers {
            bytes[n * 1024 + at] = value;
        }
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        std::fs::write(&file, bytes).unwrap();
        if bundle::unpack(&file, &folder, &Trust::default()).is_ok() {
            bundle::check(&folder, &Trust::default()).unwrap();
        }
        prop_assert_eq!(dir.path().read_dir().unwrap().count(), 3);
        prop_assert_eq!(dir.path().join("in").read_dir().unwrap().count(), 1);
    }
}

#[test]
fn what_is_not_newer_small_enough_and_signed_by_a_trusted_key_is_not_fetched() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let (mut unit, ..) = with_models_on_trial(&signer, "");
    unit.signs(Naming::Sign(limit_60()), 20);
    let asked_for = unit.asked_for;
    let mut huge = for_all(&parcel(&signer, "3", "third", 300));
    huge.bytes = 2 << 20;
    let by_stranger = for_all(&parcel(&stranger, "3", "third", 300));
    let older = for_all(&parcel(&signer, "1", "first", 100));
    for (offer, words) in [
        (huge, "at most 1048576 are taken"),
        (by_stranger, "by none of the trusted keys"),
        (older, "is not newer than version 2 in use"),
    ] {
        let mut kept = Kept::default();
        kept.offer(&offer, &[]);
        unit.connect(&kept);
        let (state, detail, version) = unit.report();
        assert_eq!((state, version), ("refused", Some("2")));
        assert!(detail.contains(words), "{detail}");
    }
    assert_eq!(unit.asked_for, asked_for);
    // Signed by the right key, but not this.
    let mut other = parcel(&signer, "3", "third", 300);
    other.signature = signer.sign(b"something else", 300);
    let (kept, _) = offered(&other);
    unit.connect(&kept);
    assert_eq!(unit.report().0, "refused");
    assert_eq!(unit.encoder(), "second");
}

#[test]
fn a_unit_that_takes_no_models_says_why() {
    let signer = Signer::new();
    let mut unit = Unit::new(&signer, "");
    let delivery = unit.delivery.take().unwrap();
    unit.delivery = Some(delivery.with_models(Err("engines are prepared ahead".to_owned())));
    let (kept, _) = offered(&parcel(&signer, "2", "second", 200));
    unit.connect(&kept);
    assert_eq!(
        unit.report(),
        ("refused", "engines are prepared ahead", None)
    );
    assert_eq!(unit.asked_for, 0);
}

#[test]
fn models_that_cannot_be_loaded_go_within_the_same_start() {
    let signer = Signer::new();
    let mut unit = Unit::new(&signer, "");
    let (kept, _) = offered(&parcel(&signer, "2", "broken", 200));
    unit.connect(&kept);
    assert_eq!(unit.encoder(), "broken");
    unit.restart();
    assert_eq!((&*unit.encoder(), unit.sets()), ("shipped", 0));
    unit.connect(&kept);
    assert_eq!(unit.report(), ("rolled_back", "cannot be loaded", None));
    // Signed anew they are still the same.
    let again = parcel(&signer, "2", "broken", 300);
    let asked_for = unit.asked_for;
    let (kept, _) = offered(&again);
    unit.connect(&kept);
    assert!(unit.report().1.contains("rolled back before"));
    assert_eq!(unit.asked_for, asked_for);
}

#[test]
fn models_that_name_less_go_back_with_the_next_start_or_at_once() {
    let signer = Signer::new();
    for (more, restarts) in [("", 0), ("restart = \"at_once\"", 2)] {
        let (mut unit, kept, _) = with_models_on_trial(&signer, more);
        unit.signs(Naming::UnknownSign, 20);
        let (state, detail, version) = unit.report();
        assert_eq!(
            (state, version),
            ("rolled_back", Some("2")),
            "it still runs them"
        );
        assert!(detail.contains("signs are unknown to it"), "{detail}");
        assert_eq!(unit.restarts.lock().unwrap().len(), restarts);
        // Until it has started anew, nothing else is taken.
        let asked_for = unit.asked_for;
        let (better, _) = offered(&parcel(&signer, "3", "third", 300));
        unit.connect(&better);
        assert_eq!(unit.asked_for, asked_for);
        unit.restart();
        assert_eq!((&*unit.encoder(), unit.sets()), ("shipped", 0));
        unit.connect(&kept);
        assert_eq!((unit.report().0, unit.report().2), ("rolled_back", None));
        assert_eq!(unit.asked_for, asked_for);
        unit.connect(&better);
        unit.restart();
        assert_eq!(unit.encoder(), "third");
    }
}

#[test]
fn models_that_the_unit_does_not_survive_go_before_they_are_read() {
    let signer = Signer::new();
    let (mut unit, ..) = with_models_on_trial(&signer, "");
    for _ in 0..2 {
        unit.restart();
        assert_eq!(unit.encoder(), "second");
    }
    unit.restart();
    assert_eq!(unit.encoder(), "shipped");
    unit.connect(&Kept::default());
    assert!(unit.report().1.contains("did not last in 3 starts"));

    // A unit that ends with a fault does not end in order; one that lasts a minute, or is switched off, says nothing.
    for (fault, encoder) in [(true, "shipped"), (false, "second")] {
        let (mut unit, ..) = with_models_on_trial(&signer, "");
        for start in 0..4 {
            if start % 2 == 1 && !fault {
                unit.time(0.0);
                unit.time(61.0);
            } else {
                let state = [HealthState::Normal, HealthState::Fault][usize::from(fault)];
                unit.sees(Seen::Event(Event::Health(HealthEvent {
                    time: Timestamp::ZERO,
                    frame: 1,
                    state,
                    reasons: Reasons::NONE,
                    detail: None,
                    cameras: Arc::new([]),
                })));
                unit.delivery.as_mut().unwrap().ending();
            }
            unit.restart();
        }
        assert_eq!(unit.encoder(), encoder);
    }
}

#[test]
fn withdrawn_models_go_whether_they_wait_run_or_were_kept() {
    let signer = Signer::new();
    let withdrawn = |offer: &Offer| {
        let (mut kept, mut offer) = (Kept::default(), offer.clone());
        offer.withdrawn = true;
        kept.offer(&offer, &[]);
        kept
    };
    let mut unit = Unit::new(&signer, "");
    let (kept, offer) = offered(&parcel(&signer, "2", "second", 200));
    unit.connect(&kept);
    unit.connect(&withdrawn(&offer));
    assert_eq!(unit.report(), ("rolled_back", "it was withdrawn", None));
    assert_eq!(unit.encoder(), "shipped");

    let (mut unit, _, first) = with_models_on_trial(&signer, "");
    unit.signs(Naming::Sign(limit_60()), 20);
    let (kept, offer) = offered(&parcel(&signer, "3", "third", 300));
    unit.connect(&kept);
    unit.restart();
    unit.connect(&kept);
    unit.signs(Naming::Sign(limit_60()), 20);
    assert_eq!(unit.report(), ("kept", "", Some("3")));
    unit.connect(&withdrawn(&offer));
    assert_eq!(
        unit.report(),
        ("rolled_back", "it was withdrawn", Some("3"))
    );
    unit.restart();
    assert_eq!(unit.encoder(), "second");
    unit.connect(&withdrawn(&first));
    unit.restart();
    assert_eq!(unit.encoder(), "shipped");
}

/// It is asked before each start: the unit must get as far as going back.
#[test]
fn damaged_models_do_not_keep_a_check_from_passing() {
    let dir = tempfile::tempdir().unwrap();
    let (config, installed) = (dir.path().join("tsedge.toml"), dir.path().join("models"));
    let text = format!(
        "[models]\nfolder = {:?}\ninstalled = {installed:?}\n",
        root().join("models")
    );
    std::fs::write(&config, text).unwrap();
    std::fs::create_dir(&installed).unwrap();
    let state = serde_json::json!({
        "format": "tsedge-models-state/1",
        "current": { "version": "2", "sha256": "ab".repeat(32), "signed_at": 1 },
        "before": null,
        "of": { "newest": null, "usual": { "signs": 0, "share": 0.0 } },
        "barred": [],
    });
    std::fs::write(installed.join("models.json"), state.to_string()).unwrap();
    let output = tsedge_ok(["check", "--config", config.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning installed models: "), "{said}");
    assert!(said.contains("ok      encoder on CPU"), "{said}");
}

/// Every state that the disk can be left in is made by hand: a start takes the models before or the new ones, whole, and
/// what is offered comes in the end.
#[test]
fn power_may_fail_between_any_two_steps() {
    let signer = Signer::new();
    let (third, _) = offered(&parcel(&signer, "3", "third", 300));
    let arrives = |unit: &mut Unit, before: &str| {
        unit.restart();
        assert_eq!(unit.encoder(), before);
        unit.connect(&third);
        unit.restart();
        assert_eq!(unit.encoder(), "third");
    };
    let copy = |from: &Path, to: &Path| {
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .arg(from)
            .arg(to)
            .status();
        assert!(copied.unwrap().success());
    };
    let kept_second = || {
        let (mut unit, ..) = with_models_on_trial(&signer, "");
        unit.signs(Naming::Sign(limit_60()), 20);
        unit
    };
    // What the disk holds when the third has come whole.
    let mut done = kept_second();
    done.connect(&third);
    let new = folder_in_use(&done.installed()).unwrap();
    let name = new.file_name().unwrap();
    let files = [
        "detector.toml",
        "encoder.toml",
        "encoder.onnx",
        "packs/DE.safetensors",
    ];

    // Half of a bundle has come.
    let mut unit = kept_second();
    std::fs::write(unit.installed().join(".incoming"), "half").unwrap();
    arrives(&mut unit, "second");
    // It is unpacked up to some file.
    for missing in files {
        let mut unit = kept_second();
        let half = unit.installed().join(".new");
        copy(&new, &half);
        std::fs::remove_file(half.join(missing)).unwrap();
        std::fs::write(half.join(missing).with_extension("new"), "half").unwrap();
        arrives(&mut unit, "second");
    }
    // It has its name, and does not count.
    let mut unit = kept_second();
    copy(&new, &unit.installed().join(name));
    arrives(&mut unit, "second");
    // Half of the file is written that lets it count.
    let mut unit = kept_second();
    copy(&new, &unit.installed().join(name));
    std::fs::write(unit.installed().join(".models.json.new"), "{\"form").unwrap();
    arrives(&mut unit, "second");
    // It counts, and older ones were not removed.
    copy(&new, &done.installed().join("ab".repeat(32)));
    done.restart();
    assert_eq!((&*done.encoder(), done.sets()), ("third", 2));
    // It was rolled back, and not removed.
    done.signs(Naming::UnknownSign, 20);
    copy(&new, &done.installed().join("cd".repeat(32)));
    done.restart();
    assert_eq!((&*done.encoder(), done.sets()), ("second", 1));

    // A disk that lost what it held: the unit starts by what came with the program, and takes the models anew.
    let mut unit = kept_second();
    std::fs::write(unit.installed().join("models.json"), "{\"form").unwrap();
    arrives(&mut unit, "shipped");
    let mut unit = kept_second();
    let set = folder_in_use(&unit.installed()).unwrap();
    std::fs::write(set.join("encoder.onnx"), "sec").unwrap();
    unit.delivery = None;
    arrives(&mut unit, "shipped");
}
