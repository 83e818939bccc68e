//! [`Member`]: one node of the sandbox, which can go down, come back, or be about to leave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::ledger::now_ms;
use super::merge_commit::Windows;
use super::surface::config::BackendSettings;
use super::surface::metrics::BackendMetrics;
use super::transaction::Contexts;
use crate::clock::{Clock as _, SystemClock};

/// How long the frontend takes a node for alive that is not (a few missed heartbeats).
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Frontend,
    Backend,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    Up,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// Nobody listens, since then.
    Down(Instant),
}

/// What can be done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Up,
    Down,
    Drain,
    /// Down and up at once: what was in memory is lost.
    Restart,
}

impl Order {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "up" => Some(Self::Up),
            "down" => Some(Self::Down),
            "drain" => Some(Self::Drain),
            "restart" => Some(Self::Restart),
            _ => None,
        }
    }
}

/// One node.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) kind: Kind,
    /// Its place among its kind, from 0.
    pub(super) position: usize,
    pub(super) address: SocketAddr,
    /// Where a frontend listens for MySQL clients.
    pub(super) mysql: Option<SocketAddr>,
    /// The transactions whose data it holds, if it is a backend.
    pub(super) contexts: Contexts,
    /// The small loads that it is putting together.
    pub(super) windows: Windows,
    /// Its settings and what it has counted, if it is a backend.
    pub(super) settings: Arc<BackendSettings>,
    pub(super) metrics: Arc<BackendMetrics>,
    started_ms: AtomicI64,
    life: watch::Sender<Life>,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) power: Power,
    /// How often it has lost its memory, so that who carries on can tell that the node is not the same.
    pub(super) deaths: u64,
}

impl Member {
    pub(super) fn new(kind: Kind, position: usize, address: SocketAddr, mysql: Option<SocketAddr>) -> Self {
        Self {
            kind,
            position,
            address,
            mysql,
            contexts: Contexts::default(),
            windows: Windows::default(),
            settings: Arc::default(),
            metrics: Arc::default(),
            started_ms: AtomicI64::new(now_ms()),
            life: watch::Sender::new(Life { power: Power::Up, deaths: 0 }),
        }
    }

    /// `fe1`, `be2`.
    pub(super) fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Frontend => "fe",
            Kind::Backend => "be",
        };
        format!("{kind}{}", self.position + 1)
    }

    /// 10001 and so on for backends, as in `SHOW BACKENDS`; frontends count from 1.
    pub(super) fn id(&self) -> i64 {
        let position = i64::try_from(self.position).unwrap_or(i64::MAX - 20_000);
        match self.kind {
            Kind::Frontend => 1 + position,
            Kind::Backend => 10_001 + position,
        }
    }

    pub(super) fn life(&self) -> Life {
        *self.life.borrow()
    }

    /// Follows how the node is.
    pub(super) fn watch(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    pub(super) fn started_ms(&self) -> i64 {
        self.started_ms.load(Ordering::Relaxed)
    }

    /// Whether the frontend takes it for alive: it needs a moment to notice that it is not.
    pub(super) fn seems_alive(&self) -> bool {
        match self.life().power {
            Power::Up | Power::Draining => true,
            Power::Down(since) => SystemClock.instant().saturating_duration_since(since) < HEARTBEAT,
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.life().power == Power::Draining
    }

    /// Carries an order out. A node that goes down forgets its transactions, which stay in PREPARE for the frontend.
    pub(super) fn obey(&self, order: Order) {
        match order {
            Order::Up => self.rise(),
            Order::Drain => {
                self.life.send_if_modified(|life| {
                    let up = life.power == Power::Up;
                    if up {
                        life.power = Power::Draining;
                    }
                    up
                });
            }
            Order::Down => self.die(),
            Order::Restart => {
                self.die();
                self.rise();
            }
        }
    }

    fn die(&self) {
        self.life
            .send_modify(|life| *life = Life { power: Power::Down(SystemClock.instant()), deaths: life.deaths + 1 });
        self.contexts.lose();
        self.windows.lose();
    }

    fn rise(&self) {
        self.started_ms.store(now_ms(), Ordering::Relaxed);
        self.life.send_modify(|life| life.power = Power::Up);
    }
}
