//! [`Node`]: what the frontend and the backend share.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error_log::ErrorLog;
use super::label::Registry;
use super::lock::Lock;
use super::store::Store;

/// The state behind both listeners.
#[derive(Debug)]
pub(super) struct Node {
    /// Where bodies are spooled.
    pub(super) dir: PathBuf,
    pub(super) store: Arc<Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) error_log: ErrorLog,
    /// Whether rows are counted and dropped.
    pub(super) discard: bool,
    /// Held as long as anything may write: given back after the database, before whoever waits for that is told.
    pub(super) lock: Lock,
    /// Never sent on; its end tells that the node is gone.
    pub(super) _alive: mpsc::Sender<()>,
}
