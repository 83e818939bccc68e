//! [`Service`]: what all of its parts share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tokio::sync::watch;

use super::Error;
use super::events::Events;
use super::jobs::Jobs;
use super::life::Life;
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
    // Asked of the kernel: under systemd, `/proc` shows processes and nothing else (ProcSubset=pid).
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(super) struct Service {
    /// Replaced as a whole by a reload.
    config: watch::Sender<Arc<ServiceConfig>>,
    pub(super) jobs: Arc<Jobs>,
    pub(super) events: Arc<Events>,
    pub(super) metrics: Arc<Registry>,
    pub(super) level: Level,
    pub(super) connections: Arc<Connections>,
    pub(super) life: Life,
    pub(super) started: SystemTime,
    address: SocketAddr,
    /// Set once, when it is told to stop.
    draining: AtomicBool,
    /// Said when everything has come to its end.
    ended: watch::Sender<bool>,
}

impl Service {
    /// Makes everything ready; nothing runs yet.
    pub(super) fn start(config: ServiceConfig, level: Level, address: SocketAddr) -> Result<Self, Error> {
        let metrics = Arc::new(Registry::default());
        let started = SystemClock.now();
        metrics.set(&metric::BUILD, &[env!("CARGO_PKG_VERSION"), REVISION], 1.0);
        let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        metrics.set(&metric::STARTED, &[], since.as_secs_f64());
        let (config, seen) = watch::channel(Arc::new(config));
        let events = Arc::new(Events::default());
        let jobs = Arc::new(Jobs::open(seen, Arc::clone(&metrics), Arc::clone(&events))?);
        Ok(Self {
            config,
            jobs,
            events,
            metrics,
            level,
            connections: Arc::default(),
            life: Life::of_this_process(),
            started,
            address,
            draining: AtomicBool::new(false),
            ended: watch::channel(false).0,
        })
    }

    /// The configuration as it is now.
    pub(super) fn config(&self) -> Arc<ServiceConfig> {
        Arc::clone(&self.config.borrow())
    }

    /// The configuration as it is now, and word of each other one.
    pub(super) fn configs(&self) -> watch::Receiver<Arc<ServiceConfig>> {
        self.config.subscribe()
    }

    /// Goes on with another configuration.
    pub(super) fn take_over(&self, config: ServiceConfig) {
        self.config.send_replace(Arc::new(config));
        self.jobs.share();
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Takes nothing new, and brings what is under way to its end.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.jobs.drain().await;
        self.ended.send_replace(true);
    }

    /// Says when everything has come to its end.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// Measures what nobody counts as it happens.
    pub(super) fn measure(&self) {
        self.metrics.set(&metric::DRAINING, &[], f64::from(u8::from(self.is_draining())));
        #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
        self.metrics.set(&metric::CONNECTIONS, &[], self.connections.count() as f64);
        self.jobs.measure();
        super::process::measure(&self.metrics);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_the_name_that_the_system_gives_it() {
        let known = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(host_name(), known.trim());
    }
}
