//! The speed limit a vehicle may use, kept from one sign to the next. It never invents a limit.
//!
//! A sign takes effect where it stands: when its track ends, with all that was seen of it. What is not
//! for this car (signs on vehicles, of exits, of another outline) changes nothing; see [`Approach`].
//! What a sign brings and what ends it is the region's [`Rules`](crate::region::Rules): data, not code.

mod advisor;
mod approach;
mod limit;
mod odometer;
mod role;

pub use advisor::{Advisor, Seen};
pub use approach::{Approach, Companion, Passage, below_as_plate, plate_place, stacked};
pub use limit::{Context, Now, PassedSign, SpeedLimit, Standing};
pub use odometer::{Mark, Odometer};
pub use role::Role;

#[cfg(test)]
mod tests;
