//! [`Cluster`]: the nodes of a sandbox, and what there is to see of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::dialect::Dialect;
use super::http::Ends;
use super::label::Registry;
use super::ledger::Entry;
use super::member::Member;
use super::overview::{LoadView, NodeView, Overview, Role};
use super::surface::config::FrontendSettings;

/// The nodes. Whoever only looks at them holds this, and does not keep the sandbox from stopping.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) dialect: Dialect,
    pub(super) registry: Arc<Registry>,
    settings: Arc<FrontendSettings>,
    pub(super) frontends: Vec<Arc<Member>>,
    pub(super) backends: Vec<Arc<Member>>,
    /// What the nodes say that their host is; none means the address that they are reached by.
    pub(super) advertised: Option<String>,
    leader: AtomicUsize,
    /// Counts the backends that have been chosen.
    chosen: AtomicUsize,
}

impl Cluster {
    pub(super) fn new(
        dialect: Dialect,
        registry: Arc<Registry>,
        settings: Arc<FrontendSettings>,
        (frontends, backends): (Vec<Arc<Member>>, Vec<Arc<Member>>),
        advertised: Option<String>,
    ) -> Self {
        let (leader, chosen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { dialect, registry, settings, frontends, backends, advertised, leader, chosen }
    }

    /// The frontend that leads. When it is gone the next one that is there takes over.
    pub(super) fn leader(&self) -> &Arc<Member> {
        let leader = self.leader.load(Ordering::SeqCst);
        if self.frontends[leader].seems_alive() {
            return &self.frontends[leader];
        }
        let next = self.frontends.iter().position(|frontend| frontend.seems_alive()).unwrap_or(leader);
        self.leader.store(next, Ordering::SeqCst);
        &self.frontends[next]
    }

    /// The backend for the next load, by its position: each in turn, without those that are gone, and without those that
    /// are about to leave unless there are no others.
    pub(super) fn choose_backend(&self) -> Option<usize> {
        let alive = |draining: bool| {
            let fit = move |member: &&Arc<Member>| member.seems_alive() && (draining || !member.is_draining());
            self.backends.iter().filter(fit).map(|member| member.position).collect::<Vec<_>>()
        };
        let mut fit = alive(false);
        if fit.is_empty() {
            fit = alive(true);
        }
        let turn = self.chosen.fetch_add(1, Ordering::Relaxed);
        fit.get(turn.checked_rem(fit.len())?).copied()
    }

    /// Any node by its name.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<Member>> {
        self.frontends.iter().chain(&self.backends).find(|member| member.name() == name)
    }

    /// The host and port under which a client that got here is sent to a node.
    pub(super) fn authority(&self, member: &Member, ends: Ends) -> String {
        match &self.advertised {
            Some(host) => format!("{host}:{}", member.address.port()),
            None => reachable(member.address, ends).to_string(),
        }
    }

    fn view(&self, member: &Member, role: Role) -> NodeView {
        NodeView {
            id: member.id(),
            role,
            name: member.name(),
            host: self.advertised.clone().unwrap_or_else(|| member.address.ip().to_string()),
            http_port: member.address.port(),
            query_port: member.mysql.map(|address| address.port()),
            alive: member.seems_alive(),
            draining: member.is_draining(),
            started_ms: member.started_ms(),
        }
    }
}

impl Overview for Cluster {
    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn settings(&self) -> &FrontendSettings {
        &self.settings
    }

    fn nodes(&self) -> Vec<NodeView> {
        let leader = self.leader();
        let followers = self.frontends.iter().filter(|member| member.position != leader.position);
        std::iter::once(self.view(leader, Role::Leader))
            .chain(followers.map(|member| self.view(member, Role::Follower)))
            .chain(self.backends.iter().map(|member| self.view(member, Role::Backend)))
            .collect()
    }

    fn loads(&self) -> rusqlite::Result<Vec<LoadView>> {
        Ok(self.registry.all()?.iter().map(Entry::view).collect())
    }
}

/// The address under which a client that got here would reach a listener: one that is bound to all addresses is
/// reached by the one that the client used.
fn reachable(listener: SocketAddr, ends: Ends) -> SocketAddr {
    if listener.ip().is_unspecified() { SocketAddr::new(ends.local, listener.port()) } else { listener }
}
