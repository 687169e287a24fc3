//! The vehicle's CAN bus, by SocketCAN: `can/tsedge.dbc` says what is sent.
//!
//! Messages are due by time, so this output wants to be asked often ([`tick`](super::Output::tick)). A bus that is
//! down, off or missing costs messages, never time: sockets do not block, and a lost interface is
//! opened again for every message that is due, ten times a second or more. State is kept meanwhile, so that the
//! first messages after a return tell the newest.

mod bus;
mod codec;
mod e2e;
mod state;

pub use bus::CanOutput;
pub use codec::{Schedule, UNKNOWN_SIGN, class_number};
pub use state::{MAX_DUE, Message, MessageIds, VehicleState};
