//! The connection to the broker, on a thread of its own: kept up, and made anew when it breaks.
//!
//! A connection is made from nothing each time; what must outlive it is in the [`Backlog`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crossbeam_channel::Receiver;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet, PubAck, PubAckReason};
use rumqttc::v5::{AsyncClient, Event};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::backlog::Backlog;
use super::guest::{Guest, MAX_MESSAGE_BYTES, Outbox, Request, Seen};
use super::plan::MqttPlan;
use crate::retry::Retry;

/// Events sent and not yet confirmed, at most; brokers take 20 and more.
const WINDOW: usize = 16;
/// Requests of a guest on their way, at most.
const GUEST_WINDOW: usize = 8;
/// How long a broker may take to let us in.
const PATIENCE: Duration = Duration::from_secs(6);
/// Topic and header of a message, generously.
const HEADER_BYTES: usize = 1024;

/// What the output and the connection's thread share.
pub struct Shared {
    backlog: Mutex<Backlog>,
    fault: Mutex<Option<String>>,
    ending: AtomicBool,
    wake: Notify,
}

impl Shared {
    pub fn new(queue_bytes: usize) -> Self {
        Self {
            backlog: Mutex::new(Backlog::new(queue_bytes)),
            fault: Mutex::new(None),
            ending: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    pub fn backlog(&self) -> MutexGuard<'_, Backlog> {
        // Counters and whole messages: a panic cannot leave half of one.
        self.backlog.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What is wrong with the connection.
    pub fn fault(&self) -> Option<String> {
        let fault = self.fault.lock();
        fault.unwrap_or_else(|e| e.into_inner()).clone()
    }

    fn set_fault(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(|e| e.into_inner()) = fault;
    }

    /// There is something to send.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// What waits is sent, then the connection ends.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.wake();
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }
}

/// A guest, what it is told of the unit, and what it wants.
pub struct Visit {
    pub guest: Box<dyn Guest>,
    pub seen: Receiver<Seen>,
    outbox: Outbox,
    on_their_way: usize,
}

impl Visit {
    pub fn new(guest: Box<dyn Guest>, seen: Receiver<Seen>) -> Self {
        Self {
            guest,
            seen,
            outbox: Outbox::default(),
            on_their_way: 0,
        }
    }

    fn look(&mut self) {
        for seen in self.seen.try_iter() {
            self.guest.seen(seen, &mut self.outbox);
        }
    }
}

/// Until the end is asked for.
pub fn run(plan: &MqttPlan, shared: &Shared, mut visit: Option<Visit>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(keep_up(plan, shared, &mut visit));
    if let Some(visit) = &mut visit {
        visit.look();
        visit.guest.ending();
    }
    // A look-up of the broker's name may still be waiting.
    runtime.shutdown_background();
    Ok(())
}

async fn keep_up(plan: &MqttPlan, shared: &Shared, visit: &mut Option<Visit>) {
    let mut retry = Retry::new(Duration::from_millis(200), Duration::from_secs(5));
    while let Err(words) = connection(plan, shared, &mut retry, visit).await {
        shared.backlog().take_back();
        shared.set_fault(Some(words));
        let pause = tokio::time::sleep(retry.next_pause());
        tokio::pin!(pause);
        loop {
            if shared.is_ending() {
                return;
            }
            if let Some(visit) = visit {
                visit.look();
            }
            tokio::select! {
                () = &mut pause => break,
                () = shared.wake.notified() => {}
            }
        }
    }
}

/// Until the end was asked for and all is sent; an error says why the connection broke.
async fn connection(
    plan: &MqttPlan,
    shared: &Shared,
    retry: &mut Retry,
    visit: &mut Option<Visit>,
) -> Result<(), String> {
    let mut options = plan.options();
    if visit.is_some() {
        options.set_max_packet_size(u32::try_from(MAX_MESSAGE_BYTES + HEADER_BYTES).ok());
    }
    // Room for all that can be on its way, so that handing over never waits.
    let (client, mut events) = AsyncClient::new(options, WINDOW + GUEST_WINDOW + 8);
    let mut sender = Sender {
        plan,
        shared,
        client,
        visit,
        largest: None,
        told_lost: None,
        leaving: false,
    };
    loop {
        // A broker that neither takes nor says anything would hold the line for ever.
        let patience = match sender.largest {
            Some(_) => plan.keep_alive * 3 / 2,
            None => PATIENCE,
        };
        let next = timeout(patience, events.poll());
        tokio::pin!(next);
        let event = loop {
            tokio::select! {
                event = &mut next => break event,
                () = shared.wake.notified() => {
                    if sender.largest.is_none() && shared.is_ending() {
                        return Ok(());
                    }
                    sender.hand_over()?;
                }
            }
        };
        let event = event.map_err(|_| format!("no answer in {patience:?}"))?;
        match event.map_err(|e| e.to_string())? {
            Event::Incoming(Packet::ConnAck(ack)) => {
                retry.succeeded();
                sender.let_in(&ack)?;
            }
            Event::Incoming(Packet::PubAck(ack)) => sender.answered(&ack),
            Event::Incoming(Packet::Publish(message)) => {
                if let Some(visit) = sender.visit {
                    let topic = String::from_utf8_lossy(&message.topic);
                    (visit.guest).heard(&topic, &message.payload, &mut visit.outbox);
                }
            }
            // What needs no answer has no number.
            Event::Outgoing(Outgoing::Publish(number)) if number != 0 => {
                shared.backlog().numbered(number);
            }
            Event::Outgoing(
                Outgoing::Publish(_) | Outgoing::Subscribe(_) | Outgoing::Unsubscribe(_),
            ) => {
                if let Some(visit) = sender.visit {
                    visit.on_their_way = visit.on_their_way.saturating_sub(1);
                }
            }
            Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
            _ => {}
        }
        sender.hand_over()?;
    }
}

/// What one connection sends.
struct Sender<'a> {
    plan: &'a MqttPlan,
    shared: &'a Shared,
    client: AsyncClient,
    visit: &'a mut Option<Visit>,
    /// The largest event that the broker takes; `None` until it has let us in.
    largest: Option<usize>,
    told_lost: Option<u64>,
    leaving: bool,
}

impl Sender<'_> {
    fn let_in(&mut self, ack: &ConnAck) -> Result<(), String> {
        let largest = (ack.properties.as_ref()).and_then(|p| p.max_packet_size);
        let largest = largest.map_or(usize::MAX, |bytes| bytes as usize);
        self.largest = Some(largest.saturating_sub(HEADER_BYTES));
        self.say("status", super::ONLINE)?;
        if let Some(visit) = self.visit {
            visit.outbox.clear();
            visit.on_their_way = 0;
            visit.guest.connected(&mut visit.outbox);
        }
        self.shared.set_fault(None);
        log::info!("mqtt {}:{}: connected", self.plan.host, self.plan.port);
        Ok(())
    }

    fn answered(&self, ack: &PubAck) {
        let taken = matches!(
            ack.reason,
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers
        );
        self.shared.backlog().answered(ack.pkid, taken);
        let refused = format!("the broker refuses an event: {:?}", ack.reason);
        self.shared.set_fault((!taken).then_some(refused));
    }

    /// Sends what may be sent now; at the end, the last word.
    fn hand_over(&mut self) -> Result<(), String> {
        if let Some(visit) = self.visit {
            visit.look();
        }
        let Some(largest) = self.largest else {
            return Ok(());
        };
        let mut backlog = self.shared.backlog();
        // A broker that confirms nothing is told nothing more either.
        let takes = backlog.unconfirmed() < WINDOW;
        while let Some(message) = backlog.send(WINDOW, largest) {
            let topic = self.plan.topic(&format!("events/{}", message.kind));
            let json = message.json.clone();
            (self.client)
                .try_publish(topic, QoS::AtLeastOnce, false, json)
                .map_err(|e| e.to_string())?;
        }
        let (lost, empty) = (backlog.lost(), backlog.len() == 0);
        drop(backlog);
        if takes && self.told_lost != Some(lost) {
            self.say("lost", &lost.to_string())?;
            self.told_lost = Some(lost);
        }
        self.ask()?;
        if empty && self.shared.is_ending() && !self.leaving {
            self.leaving = true;
            self.say("status", super::OFFLINE)?;
            self.client.try_disconnect().map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Hands a guest's requests over.
    fn ask(&mut self) -> Result<(), String> {
        let Some(visit) = self.visit else {
            return Ok(());
        };
        while !self.leaving
            && visit.on_their_way < GUEST_WINDOW
            && let Some(request) = visit.outbox.pop()
        {
            let client = &self.client;
            let asked = match request {
                Request::Hear(topic) => client.try_subscribe(topic, QoS::AtLeastOnce),
                Request::Leave(topic) => client.try_unsubscribe(topic),
                Request::Tell { topic, text } => {
                    client.try_publish(topic, QoS::AtMostOnce, true, text)
                }
            };
            asked.map_err(|e| e.to_string())?;
            visit.on_their_way += 1;
        }
        Ok(())
    }

    /// A retained message of state, which needs no answer: each connection says it anew.
    fn say(&self, name: &str, text: &str) -> Result<(), String> {
        (self.client)
            .try_publish(
                self.plan.topic(name),
                QoS::AtMostOnce,
                true,
                text.as_bytes().to_vec(),
            )
            .map_err(|e| e.to_string())
    }
}
