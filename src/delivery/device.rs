//! The unit's side: takes what is offered if it is newer, whole and signed, puts it in its place, and puts the pack
//! before back when the new one does worse.
//!
//! It has no thread: the connection's calls it ([`Guest`]). A pack that it installs goes live as any other that
//! appears in the folder (`region::watch`). Parts are asked for one by one, so that events go out between them and
//! memory is bounded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;

use super::message::{
    InUse, MAX_PART_BYTES, OFFER, Offer, REPORT, Report, State, UNIT, UnitReport, is_meant,
    offer_topic, part_topic,
};
use super::state::{Handled, Memory};
use super::trial::{Verdict, judge};
use crate::event::{Event, HealthEvent, SignEvent};
use crate::health::{HealthState, Reason, Reasons};
use crate::model::card::file_sha256;
use crate::output::mqtt::{Guest, Outbox, Request, Seen};
use crate::region::PackStore;
use crate::region::install::{place, previous_path, put_back};
use crate::region::pack::sha256;
use crate::region::sign::{Signed, Trust};
use crate::units::{RegionCode, Timestamp};

/// So many starts in a row that did not last, and a pack on trial goes.
const SHORT_STARTS: u32 = 3;
/// A start that lasts so long is no matter of the pack.
const LASTING_S: f64 = 60.0;
/// What is learned is written to the disk after so many signs.
const KEEP_AFTER: u64 = 25;
/// Offers of more regions are not looked at.
const MOST_REGIONS: usize = 512;

/// How a unit takes deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPlan {
    /// Where offers are.
    pub topic: String,
    /// The unit's own topics begin with this.
    pub prefix: String,
    /// The group that it belongs to.
    pub group: Option<String>,
    /// Larger packs are refused.
    pub max_bytes: usize,
    /// A new pack is judged by so many signs.
    pub trial_signs: u64,
    /// The folder for packs that are installed.
    pub installed: PathBuf,
}

/// A pack on its way.
struct Fetch {
    region: RegionCode,
    offer: Offer,
    bytes: Vec<u8>,
    part: usize,
}

/// See the module.
pub struct Delivery {
    plan: DeliveryPlan,
    store: PackStore,
    trust: Trust,
    memory: Memory,
    fetch: Option<Fetch>,
    waiting: BTreeMap<RegionCode, Offer>,
    in_force: Option<(RegionCode, InUse)>,
    health: HealthState,
    reasons: Reasons,
    started: Option<Timestamp>,
    lasts: bool,
}

impl Delivery {
    /// Before packs are read: a new one that the unit does not survive is taken back here.
    pub fn open(plan: DeliveryPlan, store: PackStore) -> anyhow::Result<Self> {
        let trust = store
            .trust()
            .required()
            .context("[delivery] needs [packs] public_keys")?;
        let folder = &plan.installed;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("[packs] installed {}", folder.display()))?;
        let mut delivery = Self {
            memory: Memory::read(folder),
            plan,
            store,
            trust,
            fetch: None,
            waiting: BTreeMap::new(),
            in_force: None,
            health: HealthState::default(),
            reasons: Reasons::NONE,
            started: None,
            lasts: false,
        };
        delivery.start_over();
        Ok(delivery)
    }

    /// Ends what a power cut left half done, and counts the start.
    fn start_over(&mut self) {
        let regions: Vec<RegionCode> = (self.memory.regions.keys())
            .filter_map(|region| RegionCode::parse(region))
            .collect();
        let mut nowhere = Outbox::default();
        for region in regions {
            let lies_there = self.lies_there(region);
            let Some(newest) = self.newest(region) else {
                continue;
            };
            let same = lies_there.as_ref() == Some(&newest.sha256);
            match newest.state {
                State::Installed if !same => self.of(region).newest = None,
                State::Installed if newest.starts >= SHORT_STARTS => {
                    let why = format!("the unit did not last in {SHORT_STARTS} starts with it");
                    self.roll_back(region, &why, &mut nowhere);
                }
                State::Installed => newest.starts += 1,
                State::RolledBack if same => self.take_back(region),
                _ => {}
            }
        }
        self.keep();
    }

    fn of(&mut self, region: RegionCode) -> &mut super::state::OfRegion {
        let regions = &mut self.memory.regions;
        regions.entry(region.to_string()).or_default()
    }

    fn newest(&mut self, region: RegionCode) -> Option<&mut Handled> {
        let of = self.memory.regions.get_mut(region.as_str())?;
        of.newest.as_mut()
    }

    fn target(&self, region: RegionCode) -> PathBuf {
        self.plan.installed.join(format!("{region}.safetensors"))
    }

    /// SHA-256 of the pack that is installed, whatever it is worth.
    fn lies_there(&self, region: RegionCode) -> Option<String> {
        file_sha256(&self.target(region)).ok()
    }

    /// The region's own pack as a start would read it, and when it was signed.
    fn in_use(&self, region: RegionCode) -> Option<(InUse, u64)> {
        let name = format!("{region}.safetensors");
        let places = self.store.folders().flat_map(|folder| {
            let path = folder.join(&name);
            [previous_path(&path), path].into_iter().rev()
        });
        let mut sound = places
            .filter(|path| path.exists())
            .filter_map(|path| self.store.read(&path, region).ok());
        let (bank, signed) = sound.next()?;
        let in_use = InUse {
            version: bank.version().to_string(),
            sha256: bank.sha256().to_string(),
        };
        Some((in_use, signed.signed_at().unwrap_or_default()))
    }

    fn keep(&self) {
        if let Err(e) = self.memory.write(&self.plan.installed) {
            log::warn!("delivery: {}: {e}", self.plan.installed.display());
        }
    }

    /// Whether a pack that was delivered is the one in force and on trial.
    fn is_tried(&mut self, region: RegionCode) -> bool {
        let Some((_, in_force)) = self.in_force.clone().filter(|(r, _)| *r == region) else {
            return false;
        };
        self.newest(region)
            .is_some_and(|n| n.state == State::Installed && n.sha256 == in_force.sha256)
    }

    fn offered(&mut self, region: RegionCode, offer: Offer, outbox: &mut Outbox) {
        // A newer offer of the region replaces one on its way.
        self.waiting.remove(&region);
        let other = |fetch: &mut Fetch| fetch.region == region && fetch.offer != offer;
        if let Some(fetch) = self.fetch.take_if(other) {
            let topic = part_topic(&self.plan.topic, &fetch.offer.sha256, fetch.part);
            outbox.put(Request::Leave(topic));
        }
        if offer.withdrawn {
            if self.lies_there(region).as_ref() == Some(&offer.sha256) {
                let of = self.of(region);
                if (of.newest.as_ref()).is_none_or(|newest| newest.sha256 != offer.sha256) {
                    of.newest = Some(Handled::of(&offer, State::Kept, String::new()));
                }
                self.roll_back(region, "it was withdrawn", outbox);
            }
        } else if is_meant(&offer, &self.plan.prefix, self.plan.group.as_deref()) {
            match self.is_wanted(region, &offer) {
                Ok(true) => {
                    self.waiting.insert(region, offer);
                }
                Ok(false) => {}
                Err((state, why)) => self.handled(region, &offer, state, why, outbox),
            }
        }
        self.fetch_next(outbox);
    }

    /// Whether it is worth being fetched; an error says why nothing more is to be done with it.
    fn is_wanted(&mut self, region: RegionCode, offer: &Offer) -> Result<bool, (State, String)> {
        if (self.fetch.as_ref()).is_some_and(|fetch| fetch.offer == *offer) {
            return Ok(false);
        }
        let lies_there = self.lies_there(region);
        let known = self
            .newest(region)
            .filter(|newest| newest.sha256 == offer.sha256 && newest.signature == offer.signature);
        if let Some(newest) = known {
            let gone = lies_there.as_ref() != Some(&offer.sha256);
            let taken = matches!(newest.state, State::Installed | State::Kept);
            if !(taken && gone) {
                return Ok(false);
            }
        }
        if self.memory.is_barred(&offer.sha256) {
            let why = "this pack was rolled back before: make another version";
            return Err((State::RolledBack, why.to_owned()));
        }
        let refused = |why: String| Err((State::Refused, why));
        let (bytes, most) = (offer.bytes, self.plan.max_bytes);
        if bytes > most {
            return refused(format!("is {bytes} bytes, at most {most} are taken"));
        }
        let in_use = self.in_use(region);
        if (in_use.as_ref()).is_some_and(|(pack, _)| pack.sha256 == offer.sha256) {
            return Err((State::Kept, String::new()));
        }
        match self.trust.claim(&offer.signature) {
            Err(why) => refused(why),
            Ok(signed) => match newer(&signed, in_use) {
                Err(why) => refused(why),
                Ok(()) => Ok(true),
            },
        }
    }

    fn fetch_next(&mut self, outbox: &mut Outbox) {
        if self.fetch.is_some() {
            return;
        }
        let Some((region, offer)) = self.waiting.pop_first() else {
            return;
        };
        let (bytes, part) = (Vec::with_capacity(offer.bytes), 0);
        let topic = part_topic(&self.plan.topic, &offer.sha256, part);
        outbox.put(Request::Hear(topic));
        self.fetch = Some(Fetch {
            region,
            offer,
            bytes,
            part,
        });
    }

    fn part(&mut self, topic: &str, message: &[u8], outbox: &mut Outbox) {
        let root = &self.plan.topic;
        let Some(fetch) = &mut self.fetch else {
            return;
        };
        if part_topic(root, &fetch.offer.sha256, fetch.part) != topic || message.is_empty() {
            return;
        }
        outbox.put(Request::Leave(topic.to_owned()));
        let missing = fetch.offer.bytes - fetch.bytes.len();
        let whole = message.len() == missing.min(fetch.offer.part_bytes);
        if whole {
            fetch.bytes.extend_from_slice(message);
            fetch.part += 1;
            if fetch.bytes.len() < fetch.offer.bytes {
                let next = part_topic(root, &fetch.offer.sha256, fetch.part);
                outbox.put(Request::Hear(next));
                return;
            }
        }
        if let Some(fetch) = self.fetch.take() {
            self.arrived(fetch, outbox);
        }
        self.fetch_next(outbox);
    }

    /// All parts are there, or one that cannot be right.
    fn arrived(&mut self, fetch: Fetch, outbox: &mut Outbox) {
        let Fetch {
            region,
            mut offer,
            bytes,
            ..
        } = fetch;
        if sha256(&bytes) != offer.sha256 {
            // Not the signer's fault: it is tried again with the next connection.
            offer.signature.clear();
            let why = "damaged on its way: its SHA-256 is not the one offered".to_owned();
            self.handled(region, &offer, State::Refused, why, outbox);
            return;
        }
        if let Err(why) = self.check(region, &offer, &bytes) {
            self.handled(region, &offer, State::Refused, why, outbox);
            return;
        }
        let (trial_signs, of) = (self.plan.trial_signs, self.of(region));
        let before = (of.usual.signs >= trial_signs).then_some(of.usual);
        of.newest = Some(Handled {
            before,
            ..Handled::of(&offer, State::Installed, String::new())
        });
        let target = self.target(region);
        // Noted first: a start must know of it.
        let noted = self.memory.write(&self.plan.installed);
        let placed =
            noted.and_then(|()| place(&target, &bytes, Some(&offer.signature), self.store.trust()));
        match placed {
            Ok(()) => {
                log::info!("pack {region} version {} came by MQTT", offer.version);
                self.report(region, outbox);
            }
            Err(e) => {
                offer.signature.clear();
                let why = format!("{}: {e}", target.display());
                self.handled(region, &offer, State::Refused, why, outbox);
            }
        }
    }

    fn check(&self, region: RegionCode, offer: &Offer, bytes: &[u8]) -> Result<(), String> {
        let signed = self.trust.check_text(Some(&offer.signature), bytes)?;
        newer(&signed, self.in_use(region))?;
        self.store.bank_of(bytes, region).map(drop)
    }

    /// What was done with an offer that is not installed.
    fn handled(
        &mut self,
        region: RegionCode,
        offer: &Offer,
        state: State,
        detail: String,
        outbox: &mut Outbox,
    ) {
        if !detail.is_empty() {
            log::warn!("pack {region} version {} by MQTT: {detail}", offer.version);
        }
        let handled = Handled::of(offer, state, detail);
        // One on trial stays so: what is offered now does not change what is installed.
        let on_trial = |newest: &mut Handled| newest.state == State::Installed;
        if self.newest(region).is_some_and(on_trial) && state == State::Refused {
            self.tell(region, &handled, outbox);
            return;
        }
        self.of(region).newest = Some(handled);
        self.keep();
        self.report(region, outbox);
    }

    /// Puts the pack before back, and never takes this one again.
    fn roll_back(&mut self, region: RegionCode, why: &str, outbox: &mut Outbox) {
        let of = self.of(region);
        let Some(newest) = &mut of.newest else {
            return;
        };
        log::warn!("pack {region} is rolled back: {why}");
        newest.state = State::RolledBack;
        newest.detail = why.to_owned();
        of.usual = newest.before.unwrap_or_default();
        let sha256 = newest.sha256.clone();
        self.memory.bar(&sha256);
        self.keep();
        self.take_back(region);
        self.report(region, outbox);
    }

    fn take_back(&self, region: RegionCode) {
        let target = self.target(region);
        let previous = previous_path(&target);
        // A damaged one is none: what came with the models is better.
        if previous.exists() && self.store.read(&previous, region).is_err() {
            let _ = std::fs::remove_file(&previous);
        }
        if let Err(e) = put_back(&target) {
            log::error!("{}: {e}", target.display());
        }
    }

    fn report(&mut self, region: RegionCode, outbox: &mut Outbox) {
        if let Some(newest) = self.newest(region).cloned() {
            self.tell(region, &newest, outbox);
        }
    }

    fn tell(&self, region: RegionCode, handled: &Handled, outbox: &mut Outbox) {
        let report = Report {
            format: REPORT.to_owned(),
            region: region.to_string(),
            sha256: handled.sha256.clone(),
            state: handled.state,
            detail: handled.detail.clone(),
            signs: handled.trial.signs,
            unknown: handled.trial.share,
            unknown_before: handled.before.map(|b| b.share),
            in_use: self.in_use(region).map(|(pack, _)| pack),
        };
        self.put(&format!("packs/{region}"), &report, outbox);
    }

    fn tell_unit(&self, outbox: &mut Outbox) {
        let in_force = self.in_force.as_ref();
        let report = UnitReport {
            format: UNIT,
            program: env!("CARGO_PKG_VERSION"),
            encoder_sha256: self.store.encoder_sha256().to_owned(),
            group: self.plan.group.clone(),
            region: in_force.map(|(region, _)| region.to_string()),
            pack: in_force.map(|(_, pack)| pack.clone()),
            health: self.health,
            reasons: self.reasons,
        };
        self.put("unit", &report, outbox);
    }

    fn put(&self, name: &str, what: &impl serde::Serialize, outbox: &mut Outbox) {
        if let Ok(text) = serde_json::to_string(what) {
            let topic = format!("{}/{name}", self.plan.prefix);
            outbox.put(Request::Tell { topic, text });
        }
    }

    fn sign(&mut self, sign: &SignEvent, outbox: &mut Outbox) {
        let trial_signs = self.plan.trial_signs;
        // Of a subdivision that reads by its country's pack, the country: the pack is what is judged.
        let in_force = self.in_force.as_ref();
        let region = in_force.map_or(sign.region, |(pack, _)| *pack);
        let tried = self.is_tried(region);
        let of = self.of(region);
        let signs = match &mut of.newest {
            Some(newest) if tried => {
                if !newest.trial.ended(sign) {
                    return;
                }
                match judge(&newest.trial, newest.before.as_ref(), trial_signs) {
                    Verdict::Open => newest.trial.signs,
                    Verdict::Bad(why) => return self.roll_back(region, &why, outbox),
                    Verdict::Good => {
                        newest.state = State::Kept;
                        of.usual = newest.trial;
                        self.keep();
                        return self.report(region, outbox);
                    }
                }
            }
            _ => {
                if !of.usual.ended(sign) {
                    return;
                }
                of.usual.signs
            }
        };
        if signs.is_multiple_of(KEEP_AFTER) {
            self.keep();
        }
    }

    fn health(&mut self, event: &HealthEvent, outbox: &mut Outbox) {
        let before = std::mem::replace(&mut self.reasons, event.reasons);
        let rises = |reason| event.reasons.has(reason) && !before.has(reason);
        let tried = self.in_force.as_ref().map(|(region, _)| *region);
        if rises(Reason::EvaluateAgain)
            && let Some(region) = tried
            && self.is_tried(region)
        {
            let words = event.detail.as_deref().unwrap_or("evaluate again");
            self.roll_back(region, words, outbox);
        }
        if event.reasons.has(Reason::PackRefused) {
            self.look_for_damage(outbox);
        }
        if self.health != event.state || before != event.reasons {
            self.health = event.state;
            self.tell_unit(outbox);
        }
    }

    /// A pack was refused: if it is one on trial, the one before takes its place.
    fn look_for_damage(&mut self, outbox: &mut Outbox) {
        let regions: Vec<RegionCode> = (self.memory.regions.iter())
            .filter(|(_, of)| {
                of.newest
                    .as_ref()
                    .is_some_and(|n| n.state == State::Installed)
            })
            .filter_map(|(region, _)| RegionCode::parse(region))
            .collect();
        for region in regions {
            if let Err(e) = self.store.read(&self.target(region), region) {
                self.roll_back(region, &e.reason, outbox);
            }
        }
    }

    fn lasts(&mut self) {
        self.lasts = true;
        let newest = (self.memory.regions.values_mut()).filter_map(|of| of.newest.as_mut());
        let mut short = false;
        for newest in newest {
            short |= std::mem::take(&mut newest.starts) > 0;
        }
        if short {
            self.keep();
        }
    }
}

/// Of two packs, the one signed later is the newer.
fn newer(signed: &Signed, in_use: Option<(InUse, u64)>) -> Result<(), String> {
    let signed_at = signed.dated()?;
    match in_use {
        Some((pack, at)) if signed_at <= at => Err(format!(
            "is not newer than version {} in use: signed at {signed_at}, that one at {at}",
            pack.version
        )),
        _ => Ok(()),
    }
}

/// An offer of `region` in its form.
fn parse(region: RegionCode, message: &[u8]) -> Result<Offer, String> {
    let offer: Offer = serde_json::from_slice(message).map_err(|e| e.to_string())?;
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let sound = offer.region == region.as_str()
        && offer.sha256.len() == 64
        && offer.sha256.bytes().all(hex)
        && offer.bytes > 0
        && (1..=MAX_PART_BYTES).contains(&offer.part_bytes);
    match () {
        () if offer.format != OFFER => Err(format!("format is {}, expected {OFFER}", offer.format)),
        () if !sound => Err("region, sha256, bytes or part_bytes cannot be".to_owned()),
        () => Ok(offer),
    }
}

impl Guest for Delivery {
    fn connected(&mut self, outbox: &mut Outbox) {
        outbox.put(Request::Hear(offer_topic(&self.plan.topic, "+")));
        if let Some(fetch) = &self.fetch {
            let topic = part_topic(&self.plan.topic, &fetch.offer.sha256, fetch.part);
            outbox.put(Request::Hear(topic));
        }
        self.tell_unit(outbox);
        let told: Vec<_> = (self.memory.regions.iter())
            .filter_map(|(region, of)| Some((RegionCode::parse(region)?, of.newest.clone()?)))
            .collect();
        for (region, newest) in told {
            self.tell(region, &newest, outbox);
        }
    }

    fn heard(&mut self, topic: &str, message: &[u8], outbox: &mut Outbox) {
        let offers = offer_topic(&self.plan.topic, "");
        let Some(region) = topic.strip_prefix(&offers) else {
            return self.part(topic, message, outbox);
        };
        // An empty one says that the broker keeps none.
        let Some(region) = RegionCode::parse(region).filter(|_| !message.is_empty()) else {
            return;
        };
        if self.memory.regions.len() >= MOST_REGIONS {
            return;
        }
        match parse(region, message) {
            Ok(offer) => self.offered(region, offer, outbox),
            Err(why) => log::warn!("{topic}: not an offer: {why}"),
        }
    }

    fn seen(&mut self, seen: Seen, outbox: &mut Outbox) {
        match seen {
            Seen::Event(Event::Region(region)) => {
                let in_use = InUse {
                    version: region.pack_version.to_string(),
                    sha256: region.pack_sha256.to_string(),
                };
                self.in_force = Some((region.pack, in_use));
                self.tell_unit(outbox);
            }
            Seen::Event(Event::SignLost(sign)) => self.sign(&sign, outbox),
            Seen::Event(Event::Health(health)) => self.health(&health, outbox),
            Seen::Event(_) => {}
            Seen::Time(now) => {
                let started = *self.started.get_or_insert(now);
                if !self.lasts && now.seconds_since(started) >= LASTING_S {
                    self.lasts();
                }
            }
        }
    }

    fn ending(&mut self) {
        self.lasts();
        self.keep();
    }
}
