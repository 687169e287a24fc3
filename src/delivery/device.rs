//! The unit's side: takes what is offered if it is newer, whole and signed, puts it in its place, and puts the one
//! before back when the new one does worse.
//!
//! The connection's thread calls it ([`Guest`]). This is what it knows; `taking` is the way from an offer to its place,
//! `on_trial` what becomes of it there, `reports` what is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;

use super::fetch::Fetch;
use super::message::{InUse, Item, MAX_PART_BYTES, OFFER, Offer, State, offer_topic};
use super::packs::PackPlace;
use super::sets::ModelSets;
use super::state::{Handled, Memory, OfItem};
use super::taking::Unpacking;
use crate::event::Event;
use crate::health::{HealthState, Reasons};
use crate::output::mqtt::{Guest, Outbox, Request, Seen};
use crate::region::PackStore;
use crate::region::sign::Trust;
use crate::units::{RegionCode, Timestamp};

/// A start that lasts so long is no matter of what is on trial.
const LASTING_S: f64 = 60.0;
/// Offers of more regions are not looked at.
const MOST_REGIONS: usize = 512;

/// When other models come into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// The unit ends for it, and the service manager starts it anew.
    AtOnce,
    /// When it is started the next time.
    #[default]
    NextStart,
}

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
    /// Larger sets of models are refused.
    pub max_models_bytes: usize,
    /// What is new is judged by so many signs.
    pub trial_signs: u64,
    /// The folder for packs that are installed.
    pub installed: PathBuf,
    /// When other models come into force.
    pub restart: Restart,
}

type EndToRestart = Box<dyn Fn(&str) + Send>;

/// See the module.
pub struct Delivery {
    pub(super) plan: DeliveryPlan,
    pub(super) packs: PackPlace,
    /// Or why none are taken.
    pub(super) models: Result<ModelSets, String>,
    pub(super) trust: Trust,
    pub(super) memory: Memory,
    pub(super) fetch: Option<Fetch>,
    pub(super) unpacking: Option<Unpacking>,
    pub(super) waiting: BTreeMap<Item, Offer>,
    pub(super) in_force: Option<(RegionCode, InUse)>,
    pub(super) health: HealthState,
    pub(super) reasons: Reasons,
    restart: Option<EndToRestart>,
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
        let packs = PackPlace::open(folder, store)
            .with_context(|| format!("[packs] installed {}", folder.display()))?;
        let mut delivery = Self {
            memory: Memory::read(folder),
            plan,
            packs,
            models: Err("this unit has no folder for models: [models] installed".to_owned()),
            trust,
            fetch: None,
            unpacking: None,
            waiting: BTreeMap::new(),
            in_force: None,
            health: HealthState::default(),
            reasons: Reasons::NONE,
            restart: None,
            started: None,
            lasts: false,
        };
        delivery.start_over();
        Ok(delivery)
    }

    /// Takes models too, or says to their offers why not.
    pub fn with_models(mut self, models: Result<ModelSets, String>) -> Self {
        self.models = models;
        self
    }

    /// Ends the unit in order, so that it is started anew; called with the reason where the plan is to restart at once.
    pub fn restarted_by(mut self, restart: impl Fn(&str) + Send + 'static) -> Self {
        self.restart = Some(Box::new(restart));
        self
    }

    /// Ends what a power cut left half done with packs, and counts the start.
    fn start_over(&mut self) {
        let mut nowhere = Outbox::default();
        let _ = std::fs::remove_file(self.packs.incoming());
        for region in self.regions() {
            let lies_there = self.packs.lies_there(region);
            let item = Item::Pack(region);
            let Some(newest) = self.newest_mut(item) else {
                continue;
            };
            let same = lies_there.as_ref() == Some(&newest.sha256);
            match newest.state {
                State::Installed if !same => self.of(item).newest = None,
                State::Installed => match newest.too_short() {
                    Some(why) => self.roll_back(item, &why, &mut nowhere),
                    None => newest.starts += 1,
                },
                State::RolledBack if same => self.packs.take_back(region),
                _ => {}
            }
        }
        self.keep_packs();
    }

    /// Regions of which something is known.
    pub(super) fn regions(&self) -> Vec<RegionCode> {
        let regions = self.memory.regions.keys();
        regions.filter_map(|r| RegionCode::parse(r)).collect()
    }

    /// What is known of an item; where models are not taken, that is remembered with the packs.
    pub(super) fn of(&mut self, item: Item) -> &mut OfItem {
        match (item, &mut self.models) {
            (Item::Models, Ok(sets)) => sets.known_mut(),
            _ => self.memory.regions.entry(item.to_string()).or_default(),
        }
    }

    pub(super) fn newest(&self, item: Item) -> Option<&Handled> {
        let of = match (item, &self.models) {
            (Item::Models, Ok(sets)) => Some(sets.known()),
            _ => self.memory.regions.get(&item.to_string()),
        };
        of?.newest.as_ref()
    }

    pub(super) fn newest_mut(&mut self, item: Item) -> Option<&mut Handled> {
        // Asked for what is not known, `of` would note it.
        self.newest(item)?;
        self.of(item).newest.as_mut()
    }

    pub(super) fn keep(&self, item: Item) {
        match (item, &self.models) {
            (Item::Models, Ok(sets)) => sets.keep(),
            _ => self.keep_packs(),
        }
    }

    fn keep_packs(&self) {
        if let Err(e) = self.memory.write(&self.plan.installed) {
            log::warn!("delivery: {}: {e}", self.plan.installed.display());
        }
    }

    pub(super) fn restart(&self, why: &str) {
        if let (Restart::AtOnce, Some(restart)) = (self.plan.restart, &self.restart) {
            restart(why);
        }
    }

    /// Puts the one before back, and never takes this one again.
    pub(super) fn roll_back(&mut self, item: Item, why: &str, outbox: &mut Outbox) {
        match (item, &mut self.models) {
            (Item::Models, Ok(sets)) => {
                sets.roll_back(why);
                let restarts = sets.must_start_over();
                self.report(item, outbox);
                if restarts {
                    self.restart(&format!("models are rolled back: {why}"));
                }
            }
            (Item::Models, Err(_)) => {}
            (Item::Pack(region), _) => self.roll_back_pack(region, why, outbox),
        }
    }

    fn roll_back_pack(&mut self, region: RegionCode, why: &str, outbox: &mut Outbox) {
        let item = Item::Pack(region);
        let of = self.of(item);
        let Some(newest) = &mut of.newest else {
            return;
        };
        log::warn!("pack {region} is rolled back: {why}");
        newest.state = State::RolledBack;
        newest.detail = why.to_owned();
        of.usual = newest.before.unwrap_or_default();
        let sha256 = newest.sha256.clone();
        self.memory.barred.put(&sha256);
        self.keep(item);
        self.packs.take_back(region);
        self.report(item, outbox);
    }
}

/// An offer of `item` in its form.
fn parse(item: Item, message: &[u8]) -> Result<Offer, String> {
    let offer: Offer = serde_json::from_slice(message).map_err(|e| e.to_string())?;
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let sound = offer.region == item.to_string()
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
            outbox.put(Request::Hear(fetch.topic(&self.plan.topic)));
        }
        self.tell_unit(outbox);
        self.report_all(outbox);
    }

    fn heard(&mut self, topic: &str, message: &[u8], outbox: &mut Outbox) {
        let offers = offer_topic(&self.plan.topic, "");
        let Some(item) = topic.strip_prefix(&offers) else {
            return self.part(topic, message, outbox);
        };
        // An empty one says that the broker keeps none.
        let Some(item) = Item::parse(item).filter(|_| !message.is_empty()) else {
            return;
        };
        if self.memory.regions.len() >= MOST_REGIONS {
            return;
        }
        match parse(item, message) {
            Ok(offer) => self.offered(item, offer, outbox),
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
                self.unpacked(outbox);
                let started = *self.started.get_or_insert(now);
                if !self.lasts && now.seconds_since(started) >= LASTING_S {
                    self.lasts();
                    self.lasts = true;
                }
            }
        }
    }

    fn ending(&mut self) {
        // A thread that died, or failed: that is no end in order.
        if self.health != HealthState::Fault {
            self.lasts();
        }
        self.keep_packs();
        if let Ok(sets) = &self.models {
            sets.keep();
        }
    }
}
