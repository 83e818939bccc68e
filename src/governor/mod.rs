//! How much at once: a budget for bytes, a pace for sending.
//!
//! [`Budget`] bounds what lies between reading and acknowledgement. A chunk takes its room before its first row is
//! encoded and gives it back when its load is settled; when the budget is full the encoder waits, the reader behind it
//! waits, and that is all the back-pressure there is. [`Pace`] spreads bytes and requests over time where the user set a
//! limit.

mod budget;
mod pace;

pub use budget::{Budget, Closed, Permit};
pub use pace::Pace;
