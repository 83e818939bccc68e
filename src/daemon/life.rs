//! What whoever started the process hears of it: that it is ready, that it stops, that it has stopped.

use std::net::SocketAddr;

/// Callers are answered from now on.
pub(super) fn ready(address: SocketAddr) {
    tracing::info!("listening on {address}");
}

/// It was told to stop, and takes nothing new.
pub(super) fn stopping() {
    tracing::info!("stopping: bringing what is under way to its end; once more cuts it off");
}

/// The configuration is being read again.
pub(super) fn reloading() {
    tracing::info!("reading the configuration again");
}

/// Everything has come to its end.
pub(super) fn stopped() {
    tracing::info!("stopped");
}

/// What was read again is in use.
pub(super) fn ready_again() {
    tracing::debug!("reloaded");
}
