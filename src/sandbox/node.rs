//! [`Node`]: what the frontends and the backends share.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::cluster::Cluster;
use super::coordinator::Coordinator;
use super::error_log::ErrorLog;
use super::fault::Faults;
use super::label::Registry;
use super::lock::Lock;
use super::member::{Kind, Member, Order};
use super::store::Store;
use super::surface::config::FrontendSettings;
use super::wire::Limits;

/// The state behind all listeners.
#[derive(Debug)]
pub(super) struct Node {
    /// Where bodies are spooled.
    pub(super) dir: PathBuf,
    pub(super) store: Arc<Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) coordinator: Coordinator,
    /// What goes wrong on demand.
    pub(super) faults: Arc<Faults>,
    pub(super) error_log: ErrorLog,
    /// The frontends' settings, which they share.
    pub(super) settings: Arc<FrontendSettings>,
    /// Whether rows are counted and dropped.
    pub(super) discard: bool,
    /// Held as long as anything may write: given back after the database, before whoever waits for that is told.
    pub(super) lock: Lock,
    /// Never sent on; its end tells that the node is gone.
    pub(super) _alive: mpsc::Sender<()>,
}

impl Node {
    /// What a load on a backend is allowed.
    pub(super) fn limits(&self, backend: &Member) -> Limits {
        Limits {
            timeout: self.settings.load_timeout(),
            body_bytes_max: backend.settings.body_bytes_max(),
            json_bytes_max: backend.settings.json_bytes_max(),
        }
    }

    /// Carries out what somebody wants done to a node.
    pub(super) fn order(&self, member: &Member, order: Order) {
        let led = member.kind == Kind::Frontend && self.cluster.leader().position == member.position;
        member.obey(order);
        if led && matches!(order, Order::Down | Order::Restart) {
            self.coordinator.lose();
        }
    }

    /// Does what is due, see the sweeps of its parts.
    pub(super) fn sweep(&self) -> rusqlite::Result<()> {
        for backend in &self.cluster.backends {
            backend.contexts.sweep();
        }
        self.registry
            .sweep(|position| self.cluster.backends.get(position).is_some_and(|backend| !backend.seems_alive()))?;
        self.coordinator.sweep();
        // The backends share their files, so the one that keeps its own the longest decides.
        let kept_for = self.cluster.backends.iter().map(|backend| backend.settings.error_logs_kept_for()).max();
        self.error_log.sweep(kept_for.unwrap_or_default());
        Ok(())
    }
}
