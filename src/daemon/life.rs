//! What whoever started the process hears of it: that it is ready, how it is doing, that it reloads, that it stops.
//!
//! People read the log. systemd hears the same by datagrams (`sd_notify(3)`) where it names a socket in `NOTIFY_SOCKET`, and
//! wants to hear often that the service is alive (`WATCHDOG_USEC`). It hears so only while the loops of the service go round:
//! the one that accepts connections, the one that keeps count of jobs, and the supervisor that shares the memory out. A
//! target that stalls is not among them, since a restart would not help it.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::notify::Manager;
use super::service::Service;

/// How often the loops are looked at, at least.
const LOOK: Duration = Duration::from_secs(1);

/// Looks within the time after which systemd gives the service up: a few may fail.
const LOOKS_PER_WATCHDOG: u32 = 4;

/// How long the last answers may take after the drain, as systemd is told.
const MARGIN: Duration = Duration::from_secs(15);

/// Counts the rounds of a loop.
#[derive(Debug, Default)]
pub(super) struct Beat(AtomicU64);

impl Beat {
    pub(super) fn strike(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whoever started the process.
#[derive(Debug, Default)]
pub(super) struct Life {
    manager: Option<Manager>,
}

impl Life {
    /// The one that the environment names.
    pub(super) fn of_this_process() -> Self {
        Self { manager: Manager::of_this_process() }
    }

    fn tell(&self, words: &str) {
        if let Some(Err(error)) = self.manager.as_ref().map(|manager| manager.tell(words)) {
            tracing::warn!("systemd cannot be told: {error}");
        }
    }

    /// Callers are answered from now on.
    pub(super) fn ready(&self, address: SocketAddr) {
        tracing::info!("listening on {address}");
        self.tell(&format!("READY=1\nSTATUS=listening on {address}"));
    }

    /// It was told to stop, and takes nothing new. What is under way may take this long.
    pub(super) fn stopping(&self, patience: Duration) {
        tracing::info!("stopping: bringing what is under way to its end; once more cuts it off");
        let extend = (patience + MARGIN).as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={extend}"));
    }

    /// The configuration is being read again.
    pub(super) fn reloading(&self) {
        tracing::info!("reading the configuration again");
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", super::notify::monotonic_micros()));
    }

    /// The reload is over, whether or not anything came of it.
    pub(super) fn reloaded(&self) {
        self.tell("READY=1");
    }

    /// Everything has come to its end.
    pub(super) fn stopped(&self) {
        tracing::info!("stopped");
        self.tell("STATUS=stopped");
    }
}

/// Tells systemd how the service is doing, and that it is alive, as long as it is.
pub(super) async fn watch(service: Arc<Service>) {
    let Some(manager) = &service.life.manager else { return };
    let watchdog = watchdog();
    let pause = watchdog.map_or(LOOK, |watchdog| LOOK.min(watchdog / LOOKS_PER_WATCHDOG));
    let mut rounds = Rounds::default();
    let mut told = String::new();
    loop {
        tokio::time::sleep(pause).await;
        // Asked for here and not kept: a supervisor that does not answer stops this loop, too.
        let standing = service.jobs.standing();
        let verb = if service.is_draining() { "stopping: " } else { "" };
        let status = format!("STATUS={verb}{} jobs running, {} waiting", standing.running, standing.waiting);
        // A manager that is gone was logged when it was told of something that matters.
        if status != told && manager.tell(&status).is_ok() {
            told = status;
        }
        let now = [service.jobs.beat.count(), service.connections.beat.count()];
        if watchdog.is_some() && rounds.all_went_on(now) {
            let _ = manager.tell("WATCHDOG=1");
        }
    }
}

/// How long systemd waits for a sign of life from this process; none where it does not.
fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var_os(name)?.to_str()?.parse::<u64>().ok();
    let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros)
}

/// The rounds that each loop had gone when all of them were seen to have gone on.
#[derive(Debug, Default)]
struct Rounds([u64; 2]);

impl Rounds {
    /// Whether every loop has gone round since this was last so.
    fn all_went_on(&mut self, now: [u64; 2]) -> bool {
        let all = self.0.iter().zip(now).all(|(before, now)| now > *before);
        if all {
            self.0 = now;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loop_that_stands_still_is_no_life() {
        let mut rounds = Rounds::default();
        assert!(!rounds.all_went_on([0, 0]), "nothing has begun");
        assert!(!rounds.all_went_on([3, 0]));
        assert!(rounds.all_went_on([3, 1]), "slow is alive");
        assert!(!rounds.all_went_on([3, 1]) && !rounds.all_went_on([3, 90]) && !rounds.all_went_on([3, 99]));
        assert!(rounds.all_went_on([4, 99]));
    }
}
