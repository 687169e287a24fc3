//! Promise: a unit takes no pack by MQTT but a newer one that is whole and signed, goes back to the one before when it
//! does worse, and always has one.
//!
//! The broker is a map here; `system_rollout` has a real one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tsedge::delivery::rollout::Parcel;
use tsedge::delivery::{Delivery, DeliveryPlan, Offer, Restart, offer_topic, part_topic};
use tsedge::event::{Event, HealthEvent, Naming, RegionEvent};
use tsedge::health::{HealthState, Reason, Reasons};
use tsedge::output::mqtt::{Guest, Outbox, Request, Seen};
use tsedge::region::PackStore;
use tsedge::region::install::{install, previous_path};
use tsedge::region::pack::RowType;
use tsedge::region::sign::{Signatures, Trust, new_keys, sign, signature_path};
use tsedge::units::Timestamp;

use crate::output_events::{limit_60, region, sign as sign_event};
use crate::support::small_pack;

const DIM: usize = 16;
const TRIAL_SIGNS: u64 = 20;

/// A signer's key, and packs of theirs.
pub struct Signer {
    folder: tempfile::TempDir,
    /// The public key.
    pub key: String,
}

impl Signer {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (public, secret) = new_keys(None).unwrap();
        std::fs::write(folder.path().join("key"), secret).unwrap();
        let key = public.lines().nth(1).unwrap().to_owned();
        Self { folder, key }
    }

    pub fn sign(&self, bytes: &[u8], at: u64) -> String {
        let comment = format!("a pack timestamp:{at}");
        sign(bytes, &self.folder.path().join("key"), None, &comment).unwrap()
    }

    /// A pack of DE, signed at `at`.
    fn parcel(&self, version: &str, at: u64) -> Parcel {
        let pack = small_pack("DE", version, 5, DIM);
        let bytes = pack.to_bytes(RowType::F32).unwrap();
        let signature = self.sign(&bytes, at);
        Parcel::new(bytes, signature).unwrap()
    }

    /// Installs one by hand.
    fn install(&self, folder: &Path, version: &str, at: u64) {
        let inbox = tempfile::tempdir().unwrap();
        let file = inbox.path().join("pack");
        let parcel = self.parcel(version, at);
        std::fs::write(&file, &parcel.bytes).unwrap();
        std::fs::write(signature_path(&file), &parcel.signature).unwrap();
        install(&file, folder, &Trust::default()).unwrap();
    }
}

/// For all, in small parts.
pub fn for_all(parcel: &Parcel) -> Offer {
    let mut offer = parcel.offer(1000);
    offer.share = 1.0;
    offer
}

/// What the broker keeps.
#[derive(Default)]
pub struct Kept(pub BTreeMap<String, Vec<u8>>);

impl Kept {
    /// Offers something, and keeps its parts.
    pub fn offer(&mut self, offer: &Offer, bytes: &[u8]) {
        for (n, part) in bytes.chunks(offer.part_bytes).enumerate() {
            let topic = part_topic("rollout", &offer.sha256, n);
            self.0.insert(topic, part.to_vec());
        }
        let topic = offer_topic("rollout", &offer.region);
        self.0.insert(topic, serde_json::to_vec(offer).unwrap());
    }
}

struct Unit {
    state: tempfile::TempDir,
    models: tempfile::TempDir,
    key: String,
    delivery: Delivery,
    told: BTreeMap<String, Value>,
    asked_for: usize,
}

fn store(models: &Path, installed: &Path, key: &str) -> PackStore {
    let trust = Trust::new(Signatures::Optional, &[key.to_owned()]).unwrap();
    PackStore::new(models, "abc", DIM)
        .with_installed(Some(installed))
        .with_trust(trust)
}

fn open(models: &Path, installed: &Path, key: &str) -> Delivery {
    let plan = DeliveryPlan {
        topic: "rollout".to_owned(),
        prefix: "cars/7".to_owned(),
        group: None,
        max_bytes: 100_000,
        max_models_bytes: 1_000_000,
        trial_signs: TRIAL_SIGNS,
        installed: installed.to_owned(),
        restart: Restart::default(),
    };
    Delivery::open(plan, store(models, installed, key)).unwrap()
}

/// What the broker answers to a unit, and what the unit tells; how many parts it asked for.
pub fn answer(
    kept: &Kept,
    delivery: &mut Delivery,
    mut outbox: Outbox,
    told: &mut BTreeMap<String, Value>,
) -> usize {
    let mut asked_for = 0;
    while let Some(request) = outbox.pop() {
        match request {
            Request::Hear(topic) if topic.ends_with("/+") => {
                let root = topic.trim_end_matches('+');
                for (topic, message) in kept.0.iter().filter(|(t, _)| t.starts_with(root)) {
                    delivery.heard(topic, message, &mut outbox);
                }
            }
            Request::Hear(topic) => {
                asked_for += 1;
                if let Some(message) = kept.0.get(&topic) {
                    delivery.heard(&topic, message, &mut outbox);
                }
            }
            Request::Leave(_) => {}
            Request::Tell { topic, text } => {
                told.insert(topic, serde_json::from_str(&text).unwrap());
            }
        }
    }
    asked_for
}

impl Unit {
    /// With version 1 in the models' folder and nothing installed.
    fn new(signer: &Signer) -> Self {
        let (state, models) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let shipped = small_pack("DE", "shipped", 5, DIM);
        let shipped = shipped.to_bytes(RowType::F32).unwrap();
        std::fs::write(models.path().join("DE.safetensors"), shipped).unwrap();
        let installed = state.path().join("packs");
        Self {
            delivery: open(models.path(), &installed, &signer.key),
            state,
            models,
            key: signer.key.clone(),
            told: BTreeMap::new(),
            asked_for: 0,
        }
    }

    fn installed(&self) -> std::path::PathBuf {
        self.state.path().join("packs")
    }

    /// Power off and on, without a word.
    fn restart(&mut self) {
        self.delivery = open(self.models.path(), &self.installed(), &self.key);
    }

    fn run(&mut self, kept: &Kept, what: impl FnOnce(&mut Delivery, &mut Outbox)) {
        let mut outbox = Outbox::default();
        what(&mut self.delivery, &mut outbox);
        self.asked_for += answer(kept, &mut self.delivery, outbox, &mut self.told);
        // Whatever happens, there is a pack.
        let mut store = store(self.models.path(), &self.installed(), &self.key);
        assert_eq!(store.best(region("DE")).unwrap().region(), region("DE"));
    }

    fn connect(&mut self, kept: &Kept) {
        self.run(kept, |delivery, outbox| delivery.connected(outbox));
    }

    /// State, detail and the version in use.
    fn report(&self) -> (String, String, String) {
        let report = &self.told["cars/7/packs/DE"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&report["state"]),
            text(&report["detail"]),
            text(&report["in_use"]["version"]),
        )
    }

    fn version(&self) -> String {
        let mut store = store(self.models.path(), &self.installed(), &self.key);
        store.best(region("DE")).unwrap().version().to_string()
    }

    /// What is in the folder goes live.
    fn goes_live(&mut self) {
        let mut store = store(self.models.path(), &self.installed(), &self.key);
        let bank = store.best(region("DE")).unwrap();
        let event = Event::Region(RegionEvent {
            time: Timestamp::ZERO,
            frame: 0,
            from: None,
            to: region("DE"),
            pack: region("DE"),
            pack_version: Arc::clone(bank.version()),
            pack_sha256: Arc::clone(bank.sha256()),
            position_deg: None,
            crossing: None,
            change: None,
        });
        self.sees(event);
    }

    fn sees(&mut self, event: Event) {
        let kept = Kept::default();
        self.run(&kept, |delivery, outbox| {
            delivery.seen(Seen::Event(event), outbox);
        });
    }

    fn signs(&mut self, named: usize, unknown: usize) {
        for _ in 0..named {
            self.sees(Event::SignLost(sign_event(Naming::Sign(limit_60()))));
        }
        for _ in 0..unknown {
            self.sees(Event::SignLost(sign_event(Naming::UnknownSign)));
        }
    }

    fn health(&mut self, reasons: &[Reason], detail: &str) {
        self.sees(Event::Health(HealthEvent {
            time: Timestamp::ZERO,
            frame: 1,
            state: HealthState::Degraded,
            reasons: reasons.iter().copied().collect::<Reasons>(),
            detail: Some(detail.into()),
            cameras: Arc::new([]),
        }));
    }
}

/// A unit to which a pack was brought, and which reads by it.
fn with_pack_on_trial(signer: &Signer, version: &str, at: u64) -> (Unit, Kept, Offer) {
    let (mut unit, mut kept) = (Unit::new(signer), Kept::default());
    unit.connect(&kept);
    unit.goes_live();
    unit.signs(45, 5);
    let parcel = signer.parcel(version, at);
    let offer = for_all(&parcel);
    kept.offer(&offer, &parcel.bytes);
    unit.connect(&kept);
    assert_eq!(
        unit.report(),
        ("installed".into(), String::new(), version.into())
    );
    unit.goes_live();
    (unit, kept, offer)
}

#[test]
fn a_newer_signed_pack_is_installed_and_kept_after_its_trial() {
    let signer = Signer::new();
    let (mut unit, kept, offer) = with_pack_on_trial(&signer, "2", 200);
    assert_eq!(unit.asked_for, offer.parts(), "part by part, none twice");
    unit.signs(19, 0);
    assert_eq!(unit.report().0, "installed");
    unit.signs(1, 0);
    assert_eq!(unit.report(), ("kept".into(), String::new(), "2".into()));
    // Nothing more is done with it, now or after a start.
    unit.restart();
    unit.connect(&kept);
    assert_eq!(unit.report().0, "kept");
    assert_eq!(unit.asked_for, offer.parts());
}

#[test]
fn what_is_not_newer_whole_signed_and_fitting_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let mut unit = Unit::new(&signer);
    signer.install(&unit.installed(), "1", 100);
    let good = signer.parcel("2", 200);
    let by_stranger = stranger.parcel("2", 200);
    let mut other_text = good.clone();
    other_text.signature = signer.sign(b"something else", 200);
    let mut foreign = small_pack("DE", "2", 5, DIM);
    foreign.encoder_sha256 = "def".to_owned();
    let foreign = foreign.to_bytes(RowType::F32).unwrap();
    let foreign = Parcel::new(foreign.clone(), signer.sign(&foreign, 200)).unwrap();
    let mut cut = good.clone();
    cut.bytes.truncate(good.bytes.len() - 100);
    cut.signature = signer.sign(&cut.bytes, 200);
    let mut untimed = good.clone();
    untimed.signature = signer.sign(&good.bytes, 0).replace("timestamp:0", "");
    let mut huge = for_all(&good);
    huge.bytes = 200_000;
    let cases = [
        (
            for_all(&by_stranger),
            &by_stranger,
            "by none of the trusted keys",
        ),
        (for_all(&other_text), &other_text, "signature: "),
        (
            for_all(&foreign),
            &foreign,
            "encoder_sha256 is def, expected abc",
        ),
        (for_all(&cut), &cut, "not a pack"),
        (for_all(&untimed), &untimed, "does not say when it was made"),
        (huge, &good, "at most 100000 are taken"),
    ];
    for (offer, parcel, words) in cases {
        let mut kept = Kept::default();
        kept.offer(&offer, &parcel.bytes);
        unit.connect(&kept);
        let (state, detail, version) = unit.report();
        assert_eq!((&*state, &*version), ("refused", "1"), "{words}");
        assert!(detail.contains(words), "{words}: {detail}");
        let asked_for = unit.asked_for;
        unit.connect(&kept);
        assert_eq!(unit.asked_for, asked_for, "{words}: fetched once");
    }
    for (at, words) in [(100, "is not newer"), (99, "is not newer")] {
        let old = signer.parcel("old", at);
        let mut kept = Kept::default();
        kept.offer(&for_all(&old), &old.bytes);
        unit.connect(&kept);
        assert!(unit.report().1.contains(words));
    }
    // Damaged on its way: the broker has it whole the next time.
    let mut kept = Kept::default();
    let mut damaged = good.bytes.clone();
    damaged[500] ^= 1;
    kept.offer(&for_all(&good), &damaged);
    unit.connect(&kept);
    assert!(unit.report().1.contains("damaged on its way"));
    kept.offer(&for_all(&good), &good.bytes);
    unit.connect(&kept);
    assert_eq!(
        unit.report(),
        ("installed".into(), String::new(), "2".into())
    );
}

#[test]
fn a_pack_that_names_less_goes_back_and_does_not_come_again() {
    let signer = Signer::new();
    let (mut unit, kept, _) = with_pack_on_trial(&signer, "2", 200);
    unit.signs(10, 7);
    assert_eq!(unit.report().0, "installed");
    unit.signs(0, 1);
    let (state, detail, version) = unit.report();
    assert_eq!((&*state, &*version), ("rolled_back", "shipped"));
    assert!(
        detail.starts_with("0.44 of 18 signs are unknown"),
        "{detail}"
    );
    assert_eq!(unit.version(), "shipped");
    let asked_for = unit.asked_for;
    unit.restart();
    unit.connect(&kept);
    assert_eq!(
        (unit.report().0, unit.asked_for),
        ("rolled_back".into(), asked_for)
    );
    // Signed anew it is still the same pack.
    let again = signer.parcel("2", 300);
    let mut kept = Kept::default();
    kept.offer(&for_all(&again), &again.bytes);
    unit.connect(&kept);
    assert!(unit.report().1.contains("rolled back before"));
    assert_eq!(unit.asked_for, asked_for);
    let better = signer.parcel("3", 250);
    kept.offer(&for_all(&better), &better.bytes);
    unit.connect(&kept);
    assert_eq!(
        unit.report(),
        ("installed".into(), String::new(), "3".into())
    );
}

/// Signs carry the region in force, which may be a subdivision that reads by its country's pack.
#[test]
fn signs_of_a_subdivision_judge_the_pack_that_named_them() {
    let signer = Signer::new();
    let (mut unit, ..) = with_pack_on_trial(&signer, "2", 200);
    for _ in 0..18 {
        let mut sign = sign_event(Naming::UnknownSign);
        sign.region = region("DE-BY");
        unit.sees(Event::SignLost(sign));
    }
    assert_eq!(unit.report().0, "rolled_back");
}

#[test]
fn evaluate_again_and_damage_during_a_trial_put_the_pack_before_back() {
    let signer = Signer::new();
    let (mut unit, ..) = with_pack_on_trial(&signer, "2", 200);
    unit.health(&[Reason::NoPosition], "no fix");
    assert_eq!(unit.report().0, "installed");
    unit.health(
        &[Reason::NoPosition, Reason::EvaluateAgain],
        "DE: size has left",
    );
    assert_eq!(
        unit.report(),
        (
            "rolled_back".into(),
            "DE: size has left".into(),
            "shipped".into()
        )
    );

    let (mut unit, ..) = with_pack_on_trial(&signer, "2", 200);
    let file = unit.installed().join("DE.safetensors");
    std::fs::write(&file, "damaged").unwrap();
    unit.health(&[Reason::PackRefused], "refused");
    assert_eq!(unit.report().0, "rolled_back");
    assert_eq!(unit.version(), "shipped");
    // Another pack's refusal is no matter of the trial.
    let (mut unit, ..) = with_pack_on_trial(&signer, "2", 200);
    unit.health(&[Reason::PackRefused], "FR");
    assert_eq!(unit.report().0, "installed");
}

#[test]
fn a_pack_that_the_unit_does_not_survive_is_taken_back_before_it_is_read() {
    let signer = Signer::new();
    let (mut unit, kept, _) = with_pack_on_trial(&signer, "2", 200);
    for start in 1..=3 {
        unit.restart();
        assert_eq!(unit.version(), "2", "start {start}");
    }
    unit.restart();
    assert_eq!(unit.version(), "shipped");
    unit.connect(&kept);
    assert!(unit.report().1.contains("did not last in 3 starts"));

    // Starts that last a minute, or end in order, are no sign of anything.
    let (mut unit, kept, _) = with_pack_on_trial(&signer, "2", 200);
    for start in 0..10 {
        unit.restart();
        if start % 2 == 0 {
            unit.delivery.ending();
            continue;
        }
        for at_s in [0.0, 61.0] {
            let seen = Seen::Time(Timestamp::from_seconds(at_s));
            unit.run(&kept, |delivery, outbox| delivery.seen(seen, outbox));
        }
    }
    assert_eq!(unit.version(), "2");
}

#[test]
fn what_is_withdrawn_goes_back_also_where_it_was_kept_and_where_it_is_heard_late() {
    let signer = Signer::new();
    let (mut unit, mut kept, mut offer) = with_pack_on_trial(&signer, "2", 200);
    unit.signs(20, 0);
    assert_eq!(unit.report().0, "kept");
    // A later one that was refused changes nothing about it.
    let stranger = Signer::new().parcel("3", 300);
    kept.offer(&for_all(&stranger), &stranger.bytes);
    unit.connect(&kept);
    assert_eq!(unit.report().0, "refused");
    unit.restart();
    offer.withdrawn = true;
    kept.offer(&offer, &[]);
    unit.connect(&kept);
    assert_eq!(
        unit.report(),
        (
            "rolled_back".into(),
            "it was withdrawn".into(),
            "shipped".into()
        )
    );
    // A unit that never had it has nothing to say.
    let mut late = Unit::new(&signer);
    late.connect(&kept);
    assert!(!late.told.contains_key("cars/7/packs/DE"));
    assert_eq!(late.asked_for, 0);
}

#[test]
fn power_may_fail_between_any_two_steps() {
    let signer = Signer::new();
    // Noted, and not installed: it is taken anew.
    let (mut unit, kept, offer) = with_pack_on_trial(&signer, "2", 200);
    std::fs::remove_file(unit.installed().join("DE.safetensors")).unwrap();
    unit.restart();
    unit.connect(&kept);
    assert_eq!(unit.report().2, "2");
    assert_eq!(unit.asked_for, 2 * offer.parts());
    // Rolled back, and not put back.
    let bad = std::fs::read(unit.installed().join("DE.safetensors")).unwrap();
    unit.goes_live();
    unit.signs(0, 20);
    assert_eq!(unit.version(), "shipped");
    std::fs::write(unit.installed().join("DE.safetensors"), bad).unwrap();
    unit.restart();
    assert_eq!(unit.version(), "shipped");
    // Half of a state: it starts anew, and packs are judged by what is on the disk.
    std::fs::write(unit.installed().join("delivery.json"), "{\"form").unwrap();
    unit.restart();
    unit.connect(&kept);
    assert_eq!(unit.report().2, "2");
}

#[test]
fn the_pack_that_was_installed_before_comes_back_not_the_shipped_one() {
    let signer = Signer::new();
    let (mut unit, mut kept) = (Unit::new(&signer), Kept::default());
    signer.install(&unit.installed(), "1", 100);
    let parcel = signer.parcel("2", 200);
    kept.offer(&for_all(&parcel), &parcel.bytes);
    unit.connect(&kept);
    assert!(previous_path(&unit.installed().join("DE.safetensors")).exists());
    unit.goes_live();
    unit.signs(0, 20);
    assert_eq!(unit.report().2, "1");
    assert_eq!(unit.version(), "1");
    let file = unit.installed().join("DE.safetensors");
    let trust = Trust::new(Signatures::Required, std::slice::from_ref(&signer.key)).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(trust.check(&file, &bytes).unwrap().signed_at(), Some(100));
}

#[test]
fn offers_for_others_and_what_is_no_offer_are_left_alone() {
    let signer = Signer::new();
    let (mut unit, mut kept) = (Unit::new(&signer), Kept::default());
    let parcel = signer.parcel("2", 200);
    let mut offer = for_all(&parcel);
    offer.share = 0.0;
    offer.groups.push("test".to_owned());
    kept.offer(&offer, &parcel.bytes);
    for (name, text) in [
        ("FR", "{}"),
        ("IT", "not json"),
        ("nowhere", "{}"),
        ("ES", ""),
        ("AT", &serde_json::to_string(&offer).unwrap()),
    ] {
        let topic = offer_topic("rollout", name);
        kept.0.insert(topic, text.as_bytes().to_vec());
    }
    unit.connect(&kept);
    assert_eq!(unit.told.keys().collect::<Vec<_>>(), ["cars/7/unit"]);
    assert_eq!(unit.asked_for, 0);
}
