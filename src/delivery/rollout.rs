//! The operator's side: offers a pack, or models, stage by stage, waits for what the units say, and withdraws it when too many
//! refuse it or go back.
//!
//! All that a roll-out needs to go on is kept by the broker: one that was stopped is begun again with the same file.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::bundle::{Manifest, is_bundle};
use super::fleet::{Bounds, Count, Fleet, HEAD, Standing};
use super::message::{Item, MAX_PART_BYTES, OFFER, Offer, offer_topic, part_topic};
use crate::clock::{Clock, Monotonic};
use crate::output::mqtt::MqttPlan;
use crate::region::Pack;
use crate::region::pack::sha256;
use crate::units::Timestamp;

/// Time between two looks at how things stand.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What the broker keeps has come when it let us listen, and nothing more came for so long.
const QUIET_S: f64 = 0.5;
/// Topics that are listened to.
const TOPICS: usize = 4;
/// Time between two tries to connect.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// A broker that takes nothing for so long is told of.
const NO_BROKER_S: f64 = 10.0;
/// A unit that starts anew, for models that came or went, is back within so long.
const STARTS_WITHIN_S: f64 = 30.0;
/// Messages on their way to the broker.
const MOST_WAITING: usize = 16_384;
/// A part, where the broker takes it.
const PART_BYTES: usize = 64 << 10;
/// Topic and header of a message.
const HEADER_BYTES: usize = 1024;

/// How units are reached and what is waited for.
pub struct RolloutPlan {
    /// The broker.
    pub mqtt: MqttPlan,
    /// Where packs are offered.
    pub topic: String,
    /// The units' prefixes, as a filter such as `cars/+`.
    pub units: String,
    /// When a stage is done or has failed.
    pub bounds: Bounds,
    /// A stage that is done is watched for so long before the next.
    pub hold: Duration,
    /// A stage that is not done after so long is left as it is, for another try.
    pub patience: Duration,
}

/// A pack, or a bundle of models, and its signature.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// What it is.
    pub item: Item,
    /// Its version.
    pub version: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The text of its signature.
    pub signature: String,
}

impl Parcel {
    /// Of a pack that parses, or of a bundle that says what it is.
    pub fn new(bytes: Vec<u8>, signature: String) -> Result<Self, String> {
        let (item, version) = if is_bundle(&bytes) {
            let manifest = Manifest::of(&bytes).map_err(|e| format!("{e:#}"))?;
            (Item::Models, manifest.version)
        } else {
            let pack = Pack::parse(&bytes)?;
            (Item::Pack(pack.region), pack.version)
        };
        Ok(Self {
            item,
            version,
            bytes,
            signature,
        })
    }

    /// The offer of it for nobody yet.
    pub fn offer(&self, part_bytes: usize) -> Offer {
        Offer {
            format: OFFER.to_owned(),
            region: self.item.to_string(),
            version: self.version.clone(),
            sha256: sha256(&self.bytes),
            bytes: self.bytes.len(),
            part_bytes,
            signature: self.signature.clone(),
            share: 0.0,
            groups: Vec::new(),
            withdrawn: false,
        }
    }
}

/// Units that are offered a pack together; those of the stages before are among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// As it was written, e.g. `10%`.
    pub name: String,
    share: f64,
    groups: Vec<String>,
}

impl Stage {
    /// Shares in percent and names of groups, e.g. `test-cars,1%,10%,100%`.
    pub fn parse_all(text: &str) -> anyhow::Result<Vec<Self>> {
        let (mut share, mut groups, mut stages) = (0.0, Vec::new(), Vec::new());
        for name in text.split(',').map(str::trim) {
            ensure!(!name.is_empty(), "a stage without a name in `{text}`");
            match name.strip_suffix('%') {
                None => groups.push(name.to_owned()),
                Some(percent) => {
                    let percent: f64 = percent
                        .parse()
                        .with_context(|| format!("stage `{name}`: not a share such as 10%"))?;
                    ensure!(
                        percent / 100.0 > share && percent <= 100.0,
                        "stage `{name}`: shares grow, up to 100%"
                    );
                    share = percent / 100.0;
                }
            }
            stages.push(Self {
                name: name.to_owned(),
                share,
                groups: groups.clone(),
            });
        }
        Ok(stages)
    }

    /// Whether an offer is for all of its units.
    fn is_in(&self, offer: &Offer) -> bool {
        self.share <= offer.share && self.groups.iter().all(|g| offer.groups.contains(g))
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All stages are done.
    Done,
    /// It was withdrawn, and these words say why.
    Withdrawn(String),
    /// A stage did not get done in time: the offer stands, and the same command goes on.
    Waiting(String),
}

/// Offers `parcel` stage by stage; what happens is told to `say`, line by line.
pub fn start(
    plan: &RolloutPlan,
    parcel: &Parcel,
    stages: &[Stage],
    mut say: impl FnMut(&str),
) -> anyhow::Result<End> {
    in_a_runtime(async {
        let mut desk = Desk::open(plan, parcel.item).await?;
        let sha256 = sha256(&parcel.bytes);
        let known = desk.offer.take().filter(|offer| offer.sha256 == sha256);
        ensure!(
            known.as_ref().is_none_or(|offer| !offer.withdrawn),
            "{} version {} was withdrawn, and units do not take it again: make another version",
            parcel.item,
            parcel.version
        );
        // Parts that are with the broker already keep their size.
        let part_bytes = known.as_ref().map_or(desk.part_bytes, |o| o.part_bytes);
        let mut offer = parcel.offer(part_bytes);
        let mut first = 0;
        if let Some(known) = known {
            let done = stages.iter().take_while(|stage| stage.is_in(&known));
            first = done.count().saturating_sub(1);
            say(&format!("goes on with stage {}", stages[first].name));
            (offer.share, offer.groups) = (known.share, known.groups);
        }
        say(HEAD);
        for stage in &stages[first..] {
            offer.share = offer.share.max(stage.share);
            for group in &stage.groups {
                if !offer.groups.contains(group) {
                    offer.groups.push(group.clone());
                }
            }
            desk.publish(&offer, Some(&parcel.bytes))?;
            let (standing, count) = desk.stage(&offer).await?;
            say(&format!("{:<14} {count}", stage.name));
            let words = || format!("stage {}", stage.name);
            match standing {
                Standing::Done => {}
                Standing::Failed => {
                    desk.withdraw(&mut offer, &mut say).await?;
                    let bad = count.refused + count.rolled_back;
                    let (words, meant) = (words(), count.meant);
                    return Ok(End::Withdrawn(format!(
                        "{words}: {bad} of {meant} units refused it or went back"
                    )));
                }
                Standing::Open => {
                    desk.confirmed().await?;
                    let words = words();
                    return Ok(End::Waiting(format!(
                        "{words} is not done after {:?}",
                        plan.patience
                    )));
                }
            }
        }
        desk.confirmed().await?;
        Ok(End::Done)
    })
}

/// Withdraws what is offered.
pub fn withdraw(plan: &RolloutPlan, item: Item, mut say: impl FnMut(&str)) -> anyhow::Result<()> {
    in_a_runtime(async {
        let mut desk = Desk::open(plan, item).await?;
        let Some(mut offer) = desk.offer.take() else {
            bail!("nothing is offered for {item} under {}", plan.topic);
        };
        say(HEAD);
        desk.withdraw(&mut offer, &mut say).await
    })
}

/// What is offered, and what each unit says.
pub fn look(plan: &RolloutPlan, item: Item) -> anyhow::Result<(Option<Offer>, Fleet)> {
    in_a_runtime(async {
        let desk = Desk::open(plan, item).await?;
        Ok((desk.offer, desk.fleet))
    })
}

/// Offers what need not be right, as a stranger at the broker could: units must refuse it by themselves.
pub fn offer_unchecked(plan: &RolloutPlan, offer: &Offer, bytes: &[u8]) -> anyhow::Result<()> {
    in_a_runtime(async {
        let item = Item::parse(&offer.region).context("region")?;
        let mut desk = Desk::open(plan, item).await?;
        desk.publish(offer, Some(bytes))?;
        desk.confirmed().await
    })
}

fn in_a_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// The operator's connection, and what came by it.
struct Desk<'a> {
    plan: &'a RolloutPlan,
    item: Item,
    client: AsyncClient,
    events: mpsc::Receiver<Result<Event, String>>,
    fleet: Fleet,
    /// What the broker keeps for it.
    offer: Option<Offer>,
    part_bytes: usize,
    /// To be told again after a break, for the broker may have lost it.
    told: Option<(Offer, Vec<u8>)>,
    asked: usize,
    answered: usize,
    /// Topics that the broker lets us listen to.
    listening: usize,
    newest: Timestamp,
    fault: Option<(Timestamp, String)>,
}

impl<'a> Desk<'a> {
    /// Connects, and hears what the broker keeps.
    async fn open(plan: &'a RolloutPlan, item: Item) -> anyhow::Result<Self> {
        let mut options = plan.mqtt.bare_options();
        options.set_max_packet_size(u32::try_from(MAX_PART_BYTES + HEADER_BYTES).ok());
        let (client, connection) = AsyncClient::new(options, MOST_WAITING);
        let (to, events) = mpsc::channel(16);
        tokio::spawn(keep_up(connection, to));
        let mut desk = Self {
            plan,
            item,
            client,
            events,
            fleet: Fleet::default(),
            offer: None,
            part_bytes: PART_BYTES,
            told: None,
            asked: 0,
            answered: 0,
            listening: 0,
            newest: Monotonic.now(),
            fault: Some((Monotonic.now(), "no answer".to_owned())),
        };
        desk.until(|desk, now| desk.fault.is_none() && now.seconds_since(desk.newest) >= QUIET_S)
            .await?;
        Ok(desk)
    }

    /// Hears until `done` says so; it is asked at each message and ten times a second.
    async fn until(
        &mut self,
        mut done: impl FnMut(&mut Self, Timestamp) -> bool,
    ) -> anyhow::Result<()> {
        loop {
            let now = Monotonic.now();
            if done(self, now) {
                return Ok(());
            }
            if let Some((since, words)) = &self.fault
                && now.seconds_since(*since) > NO_BROKER_S
            {
                let (host, port) = (&self.plan.mqtt.host, self.plan.mqtt.port);
                bail!("mqtt {host}:{port}: {words}; the same command goes on from here");
            }
            match timeout(LOOK_EVERY, self.events.recv()).await {
                Err(_) => {}
                Ok(Some(Ok(event))) => self.event(event)?,
                Ok(Some(Err(words))) => {
                    self.fault.get_or_insert((now, String::new())).1 = words;
                }
                Ok(None) => bail!("the connection's task died"),
            }
        }
    }

    fn event(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Incoming(Packet::ConnAck(ack)) => {
                let most = ack.properties.and_then(|p| p.max_packet_size);
                let most = most.map_or(usize::MAX, |bytes| bytes as usize);
                self.part_bytes = PART_BYTES.min(most.saturating_sub(HEADER_BYTES)).max(1);
                self.fault = None;
                self.newest = Monotonic.now();
                let units = &self.plan.units;
                self.listening = 0;
                let own: [String; TOPICS] = [
                    format!("{units}/status"),
                    format!("{units}/unit"),
                    format!("{units}/packs/{}", self.item),
                    offer_topic(&self.plan.topic, &self.item.to_string()),
                ];
                for topic in own {
                    self.client.try_subscribe(topic, QoS::AtLeastOnce)?;
                }
                // What was on its way may be lost: all is told anew.
                (self.asked, self.answered) = (0, 0);
                if let Some((offer, bytes)) = self.told.take() {
                    self.publish(&offer, Some(&bytes))?;
                }
            }
            Event::Incoming(Packet::SubAck(ack)) => {
                let taken = |code: &_| matches!(code, SubscribeReasonCode::Success(_));
                let codes = &ack.return_codes;
                ensure!(
                    codes.iter().all(taken),
                    "the broker does not let us listen: {codes:?}"
                );
                self.listening += 1;
                self.newest = Monotonic.now();
            }
            Event::Incoming(Packet::Publish(message)) => {
                // What is told just now is no sign that more of what was kept is on its way.
                if message.retain {
                    self.newest = Monotonic.now();
                }
                let topic = String::from_utf8_lossy(&message.topic).into_owned();
                self.heard(&topic, &message.payload);
            }
            Event::Incoming(Packet::PubAck(ack)) => {
                let taken = matches!(
                    ack.reason,
                    PubAckReason::Success | PubAckReason::NoMatchingSubscribers
                );
                ensure!(taken, "the broker refuses an offer: {:?}", ack.reason);
                self.answered += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn heard(&mut self, topic: &str, message: &[u8]) {
        if topic == offer_topic(&self.plan.topic, &self.item.to_string()) {
            self.offer = serde_json::from_slice(message).ok();
            return;
        }
        let report = format!("/packs/{}", self.item);
        for name in ["/status", "/unit", &report] {
            if let Some(prefix) = topic.strip_suffix(name) {
                self.fleet.heard(prefix, &name[1..], message);
            }
        }
    }

    fn tell(&mut self, topic: String, message: Vec<u8>) -> anyhow::Result<()> {
        self.client
            .try_publish(topic, QoS::AtLeastOnce, true, message)?;
        self.asked += 1;
        Ok(())
    }

    /// Gives the parts to the broker, unless they are there, and the offer.
    fn publish(&mut self, offer: &Offer, bytes: Option<&[u8]>) -> anyhow::Result<()> {
        let there = (self.told.as_ref()).is_some_and(|(told, _)| told.sha256 == offer.sha256);
        if let Some(bytes) = bytes.filter(|_| !there) {
            for (n, part) in bytes.chunks(offer.part_bytes).enumerate() {
                let topic = part_topic(&self.plan.topic, &offer.sha256, n);
                self.tell(topic, part.to_vec())?;
            }
        }
        let topic = offer_topic(&self.plan.topic, &offer.region);
        self.tell(topic, serde_json::to_vec(offer)?)?;
        let bytes = match (bytes, self.told.take()) {
            (Some(bytes), _) => bytes.to_vec(),
            (None, Some((_, bytes))) => bytes,
            (None, None) => Vec::new(),
        };
        self.told = Some((offer.clone(), bytes));
        Ok(())
    }

    /// Until the stage is done, has failed or takes too long.
    async fn stage(&mut self, offer: &Offer) -> anyhow::Result<(Standing, Count)> {
        let (began, plan) = (Monotonic.now(), self.plan);
        let mut done_since = None;
        let mut found = (Standing::Open, Count::default());
        self.until(|desk, now| {
            let count = desk.fleet.count(offer);
            let standing = count.standing(&plan.bounds);
            found = (standing, count);
            match standing {
                Standing::Failed => return true,
                Standing::Open => done_since = None,
                Standing::Done => {
                    let since = *done_since.get_or_insert(now);
                    if now.seconds_since(since) >= plan.hold.as_secs_f64() {
                        return true;
                    }
                }
            }
            now.seconds_since(began) >= plan.patience.as_secs_f64()
        })
        .await?;
        Ok(found)
    }

    /// Until the broker has confirmed all that it was told.
    async fn confirmed(&mut self) -> anyhow::Result<()> {
        self.until(|desk, _| desk.answered >= desk.asked).await
    }

    /// Takes an offer back, and waits until no unit that is there has it.
    async fn withdraw(
        &mut self,
        offer: &mut Offer,
        say: &mut impl FnMut(&str),
    ) -> anyhow::Result<()> {
        offer.withdrawn = true;
        self.publish(offer, None)?;
        let (began, patience) = (Monotonic.now(), self.plan.patience);
        self.until(|desk, now| {
            let (there, away) = desk.fleet.having(&offer.sha256);
            let waited_s = now.seconds_since(began);
            let settled = there == 0 && (away == 0 || waited_s >= STARTS_WITHIN_S);
            settled || waited_s >= patience.as_secs_f64()
        })
        .await?;
        // Of this moment: others may come back while the broker confirms what follows.
        let ((left, _), count) = (self.fleet.having(&offer.sha256), self.fleet.count(offer));
        // What nobody takes any more need not be kept; the word that it is withdrawn must.
        for n in 0..offer.parts() {
            let topic = part_topic(&self.plan.topic, &offer.sha256, n);
            self.tell(topic, Vec::new())?;
        }
        self.told = Some((offer.clone(), Vec::new()));
        self.confirmed().await?;
        say(&format!("{:<14} {count}", "withdrawn"));
        ensure!(
            left == 0,
            "{left} units still have it; they go back when they hear of it"
        );
        Ok(())
    }
}

/// Keeps the connection up; a wait for its next event can be given up at any time.
async fn keep_up(mut events: EventLoop, to: mpsc::Sender<Result<Event, String>>) {
    loop {
        let event = events.poll().await.map_err(|e| e.to_string());
        let failed = event.is_err();
        if to.send(event).await.is_err() {
            return;
        }
        if failed {
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_shares_that_grow_and_groups() {
        let stages = Stage::parse_all("test-cars, 1%,10%,100%").unwrap();
        let shares: Vec<f64> = stages.iter().map(|s| s.share).collect();
        assert_eq!(shares, [0.0, 0.01, 0.1, 1.0]);
        assert!(stages.iter().all(|s| s.groups == ["test-cars"]));
        for bad in ["", "10%,5%", "101%", "x%", "1%,,2%"] {
            assert!(Stage::parse_all(bad).is_err(), "{bad}");
        }
    }
}
