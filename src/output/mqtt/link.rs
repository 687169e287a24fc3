//! The connection to the broker, on a thread of its own: kept up, and made anew when it breaks.
//!
//! A connection is made from nothing each time; what must outlive it is in the [`Backlog`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet, PubAck, PubAckReason};
use rumqttc::v5::{AsyncClient, Event};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::backlog::Backlog;
use super::plan::MqttPlan;
use crate::retry::Retry;

/// Events sent and not yet confirmed, at most; brokers take 20 and more.
const WINDOW: usize = 16;
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

/// Until the end is asked for.
pub fn run(plan: &MqttPlan, shared: &Shared) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(keep_up(plan, shared));
    // A look-up of the broker's name may still be waiting.
    runtime.shutdown_background();
    Ok(())
}

async fn keep_up(plan: &MqttPlan, shared: &Shared) {
    let mut retry = Retry::new(Duration::from_millis(200), Duration::from_secs(5));
    while let Err(words) = connection(plan, shared, &mut retry).await {
        shared.backlog().take_back();
        shared.set_fault(Some(words));
        let pause = tokio::time::sleep(retry.next_pause());
        tokio::pin!(pause);
        loop {
            if shared.is_ending() {
                return;
            }
            tokio::select! {
                () = &mut pause => break,
                () = shared.wake.notified() => {}
            }
        }
    }
}

/// Until the end was asked for and all is sent; an error says why the connection broke.
async fn connection(plan: &MqttPlan, shared: &Shared, retry: &mut Retry) -> Result<(), String> {
    // Room for all that can be on its way, so that handing over never waits.
    let (client, mut events) = AsyncClient::new(plan.options(), WINDOW + 4);
    let mut sender = Sender {
        plan,
        shared,
        client,
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
            // What needs no answer has no number.
            Event::Outgoing(Outgoing::Publish(number)) if number != 0 => {
                shared.backlog().numbered(number);
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
        if empty && self.shared.is_ending() && !self.leaving {
            self.leaving = true;
            self.say("status", super::OFFLINE)?;
            self.client.try_disconnect().map_err(|e| e.to_string())?;
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
