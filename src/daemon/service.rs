//! [`Service`]: what all of its parts share.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::Error;
use super::listen::Connections;
use crate::clock::{Clock as _, SystemClock};
use crate::config::ServiceConfig;
use crate::telemetry::setup::Level;
use crate::telemetry::{Registry, metric};

/// What was built, where the build says so.
pub(super) const REVISION: &str = match option_env!("SHIPLOAD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// The name of this host.
pub(super) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

pub(super) struct Service {
    /// Replaced as a whole by a reload.
    config: RwLock<Arc<ServiceConfig>>,
    pub(super) metrics: Arc<Registry>,
    pub(super) level: Level,
    pub(super) connections: Arc<Connections>,
    pub(super) started: SystemTime,
    /// Set once, when it is told to stop.
    draining: AtomicBool,
}

impl Service {
    pub(super) fn start(config: ServiceConfig, level: Level) -> Result<Self, Error> {
        let metrics = Arc::new(Registry::default());
        let started = SystemClock.now();
        metrics.set(&metric::BUILD, &[env!("CARGO_PKG_VERSION"), REVISION], 1.0);
        let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        metrics.set(&metric::STARTED, &[], since.as_secs_f64());
        Ok(Self {
            config: RwLock::new(Arc::new(config)),
            metrics,
            level,
            connections: Arc::default(),
            started,
            draining: AtomicBool::new(false),
        })
    }

    /// The configuration as it is now.
    pub(super) fn config(&self) -> Arc<ServiceConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with another configuration.
    pub(super) fn take_over(&self, config: ServiceConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Takes nothing new, and brings what is under way to its end.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Cuts off what is under way.
    pub(super) fn cut_off(&self) {}

    /// Measures what nobody counts as it happens.
    pub(super) fn measure(&self) {
        self.metrics.set(&metric::DRAINING, &[], f64::from(u8::from(self.is_draining())));
        #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
        self.metrics.set(&metric::CONNECTIONS, &[], self.connections.count() as f64);
        super::process::measure(&self.metrics);
    }
}
