//! How much at once: a budget for bytes, a window for loads, a pace for sending.
//!
//! [`Budget`] bounds what lies between reading and acknowledgement. A chunk takes its room before its first row is
//! encoded and gives it back when its load is settled; when the budget is full the encoder waits, the reader behind it
//! waits, and that is all the back-pressure there is. [`Window`] decides by goodput and refusals how many loads may be under
//! way, and [`Gate`] lets so many attempts through. [`Pace`] spreads bytes and requests over time where the user set a limit.

mod budget;
mod gate;
mod pace;
mod window;

pub use budget::{Budget, Closed, Permit};
pub use gate::{Gate, Pass};
pub use pace::Pace;
pub use window::{Ticket, Window};
