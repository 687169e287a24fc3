//! Packs and models that come to units by MQTT: what is offered, what a unit does with it, and how a roll-out goes on.
//!
//! | topic | text | who writes |
//! |---|---|---|
//! | `TOPIC/offer/REGION`, `TOPIC/offer/models` | [`Offer`], kept by the broker: which pack or set of models, for which units, or that it is withdrawn | operator |
//! | `TOPIC/pack/SHA256/N` | a part of it, kept | operator |
//! | `PREFIX/packs/REGION`, `PREFIX/packs/models` | [`Report`], kept: what the unit did with the newest offer | unit |
//! | `PREFIX/unit` | [`UnitReport`], kept: program, models, region, health | unit |
//!
//! What a unit takes is held by signatures: by a trusted key, signed later than what is in use. Whoever may
//! write to the broker without a key can offer what was signed, or withdraw it; a unit never goes back further
//! than to what it kept. [`device::Delivery`] is the unit's side, [`rollout`] the operator's; [`bundle`] is the file
//! that models come in, [`sets`] where they lie, [`start`] how a unit begins with them.

pub mod bundle;
pub mod device;
mod fetch;
pub mod fleet;
mod message;
mod on_trial;
mod packs;
mod reports;
pub mod rollout;
pub mod sets;
pub mod start;
mod state;
mod taking;
mod trial;

pub use device::{Delivery, DeliveryPlan, Restart};
pub use message::{
    InUse, Item, Offer, Report, State, UnitReport, is_meant, offer_topic, part_topic,
};
pub use sets::ModelSets;
