//! Packs that come to units by MQTT: what is offered, what a unit does with it, and how a roll-out goes on.
//!
//! | topic | text | who writes |
//! |---|---|---|
//! | `TOPIC/offer/REGION` | [`Offer`], kept by the broker: which pack, for which units, or that it is withdrawn | operator |
//! | `TOPIC/pack/SHA256/N` | a part of the pack, kept | operator |
//! | `PREFIX/packs/REGION` | [`Report`], kept: what the unit did with the newest offer | unit |
//! | `PREFIX/unit` | [`UnitReport`], kept: program, models, region, health | unit |
//!
//! What a unit takes is held by signatures: a pack by a trusted key, signed later than the one in use. Whoever may
//! write to the broker without a key can offer what was signed, or withdraw it; a unit never goes back further
//! than to the pack that it kept. [`device::Delivery`] is the unit's side, [`rollout`] the operator's.

pub mod device;
pub mod fleet;
mod message;
pub mod rollout;
mod state;
mod trial;

pub use device::{Delivery, DeliveryPlan};
pub use message::{InUse, Offer, Report, State, UnitReport, is_meant, offer_topic, part_topic};
