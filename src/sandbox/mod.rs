//! A StarRocks look-alike for tests, demonstrations and pipelines without a cluster.
//!
//! ```text
//!  PUT _stream_load ─▶ frontend ── 307 ─▶ backend ─▶ load ─▶ spool file ─▶ ingest ─▶ store (SQLite)
//!  labels, schema, SQL ─▶ frontend ─────────────────────────▶ label, schema_api, sql_api ──▶ store
//!  MySQL clients ─▶ mysql ──────────────────────────────────▶ sql ──▶ store
//! ```
//!
//! It reads the protocol for itself: nothing here is shared with the loader that it is there to test, so that one
//! misreading cannot hide on both sides. Everything it knows is in one directory, in one SQLite database. The rows of a
//! load and the label that vouches for them become durable in one commit: what was acknowledged survives `kill -9`, and
//! what was not leaves no trace, because a load on its way exists only in the memory of the process that carries it.
//!
//! Bodies are spooled to disk before they are parsed, and rows are taken from there one at a time, so memory does not
//! grow with the size of a load. When the disk is slower than the client, the client waits.
//!
//! Several nodes share one process and one database; each backend has the data of its own transactions in memory, which
//! it loses when it is switched off.

mod answer;
mod backend;
mod body;
mod cell;
mod cluster;
mod columns;
mod control;
mod conversation;
mod coordinator;
mod count;
mod csv;
mod decision;
mod decompress;
mod dialect;
mod error;
mod error_log;
mod fault;
mod frontend;
mod function;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod http;
mod ingest;
mod intake;
mod json;
mod json_path;
mod label;
mod ledger;
mod load;
mod lock;
mod member;
mod merge;
mod merge_commit;
mod multi;
mod mysql;
mod nested;
mod node;
mod number;
mod ordeal;
mod overview;
mod partition;
mod patient;
mod plan;
mod proc;
mod recovery;
mod row;
mod schema_api;
mod select;
mod sessions;
mod sql;
mod sql_api;
mod stage;
mod store;
mod surface;
mod tablet;
mod temporal;
mod transaction;
mod types;
mod user;
mod value;
mod wire;
mod zone;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::model::Secret;

use backend::Backend;
use cluster::Cluster;
use coordinator::Coordinator;
pub use dialect::Dialect;
pub use error::Error;
use error_log::ErrorLog;
pub use fault::Wrong as FaultsWrong;
use fault::{Faults, Gate};
use frontend::Frontend;
use label::Registry;
use lock::Lock;
use member::{Kind, Life, Member, Power};
use node::Node;
pub use recovery::Recovery;
use store::Store;
use surface::config::FrontendSettings;
use surface::metrics::FrontendMetrics;

/// What a sandbox is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it keeps everything; created when missing. One sandbox at a time.
    pub dir: PathBuf,
    /// The address that it listens on.
    pub host: IpAddr,
    /// The frontend's HTTP port; 0 takes any free one, here and below.
    pub fe_port: u16,
    /// The backend's HTTP port.
    pub be_port: u16,
    /// The port for MySQL clients.
    pub mysql_port: u16,
    /// Root's password from now on. Without one root keeps the password that it has, and has none at first.
    pub password: Option<Secret<String>>,
    /// Whether to accept and count rows but keep none of them, to measure a client. Labels are kept.
    pub discard: bool,
    /// How many finished loads each database remembers; the labels of older ones are free again.
    pub label_keep_max: usize,
    /// How long a finished load is remembered.
    pub label_keep: Duration,
    /// How many backends there are, 1 to 32.
    pub backends: usize,
    /// How many frontends there are beside the one that leads, 0 to 8.
    pub followers: usize,
    /// What the nodes say that their host is, in redirects and error logs; none means the address that they are reached
    /// by.
    pub advertise_host: Option<String>,
    /// Which release it speaks like.
    pub dialect: Dialect,
    /// A file of faults that strike from the start; see `docs/faults.md`.
    pub faults: Option<PathBuf>,
}

impl Options {
    /// A sandbox in a directory, on the loopback address, with StarRocks' ports.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            fe_port: 8030,
            be_port: 8040,
            mysql_port: 9030,
            password: None,
            discard: false,
            label_keep_max: 1000,
            label_keep: Duration::from_hours(72),
            backends: 1,
            followers: 0,
            advertise_host: None,
            dialect: Dialect::default(),
            faults: None,
        }
    }

    /// The same, on ports that are free.
    #[must_use]
    pub fn with_any_ports(mut self) -> Self {
        (self.fe_port, self.be_port, self.mysql_port) = (0, 0, 0);
        self
    }
}

/// Where a sandbox listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The frontend, for HTTP.
    pub frontend: SocketAddr,
    /// The backend, for HTTP.
    pub backend: SocketAddr,
    /// The frontend, for MySQL clients.
    pub mysql: SocketAddr,
    /// The frontends that do not lead, for HTTP.
    #[serde(default)]
    pub followers: Vec<SocketAddr>,
    /// The backends after the first, for HTTP.
    #[serde(default)]
    pub more_backends: Vec<SocketAddr>,
}

impl Addresses {
    fn of(cluster: &Cluster) -> Self {
        let rest = |members: &[Arc<Member>]| members[1..].iter().map(|member| member.address).collect();
        let first = &cluster.frontends[0];
        Self {
            frontend: first.address,
            backend: cluster.backends[0].address,
            mysql: first.mysql.expect("a frontend listens for MySQL clients"),
            followers: rest(&cluster.frontends),
            more_backends: rest(&cluster.backends),
        }
    }
}

/// A running sandbox. Dropping it breaks off what is under way; see [`Sandbox::drain`].
#[derive(Debug)]
#[must_use = "dropping the sandbox stops it"]
pub struct Sandbox {
    addresses: Addresses,
    recovery: Option<Recovery>,
    shutdown: watch::Sender<bool>,
    listeners: JoinSet<()>,
    node: Arc<Node>,
    /// Ends when nobody uses the node any more, and the directory has been given back.
    released: mpsc::Receiver<()>,
}

/// How long a sandbox that stops waits for clients that are slow to send or to read.
const PATIENCE: Duration = Duration::from_secs(3);

impl Sandbox {
    /// Starts a sandbox on the caller's runtime. When this returns, it answers.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (alive, released) = mpsc::channel(1);
        let (opened, options) = http::blocking(move || Opened::new(options)).await?;
        let (mut frontends, mut backends, mut clients) = (Vec::new(), Vec::new(), Vec::new());
        for position in 0..=options.followers {
            let (mysql, mysql_address) = listen(&options, options.mysql_port, position).await?;
            let (listener, address) = listen(&options, options.fe_port, position).await?;
            let member = Member::new(Kind::Frontend, position, address, Some(mysql_address));
            frontends.push((listener, Arc::new(member)));
            clients.push(mysql);
        }
        for position in 0..options.backends {
            let (listener, address) = listen(&options, options.be_port, position).await?;
            backends.push((listener, Arc::new(Member::new(Kind::Backend, position, address, None))));
        }
        let members = |listeners: &[(TcpListener, Arc<Member>)]| {
            listeners.iter().map(|(_, member)| Arc::clone(member)).collect::<Vec<_>>()
        };
        let (frontend_members, backend_members) = (members(&frontends), members(&backends));
        let (metrics, recovery) = (Arc::clone(&opened.metrics), opened.recovery.clone());
        let node = opened.into_node(&options, (frontend_members, backend_members), alive);
        let (shutdown, stop) = watch::channel(false);
        let mut listeners = JoinSet::new();
        let world = (Arc::clone(&node.faults), Arc::clone(&node.store));
        let mut counted = Vec::new();
        for (listener, member) in frontends {
            let overview: Arc<dyn overview::Overview> = Arc::clone(&node.cluster) as _;
            let metrics = if member.position == 0 { Arc::clone(&metrics) } else { Arc::default() };
            counted.push(Arc::clone(&metrics));
            let surface = surface::frontend::Surface::new(
                &member.name(),
                Arc::clone(&node.store),
                overview,
                metrics,
                Arc::clone(&node.settings),
            );
            let handler = Frontend { node: Arc::clone(&node), member: Arc::clone(&member), surface: Arc::new(surface) };
            listeners.spawn(live(listener, member, (Arc::new(handler), world.clone()), stop.clone(), Some(PATIENCE)));
        }
        for (listener, member) in backends {
            let (metrics, settings) = (Arc::clone(&member.metrics), Arc::clone(&member.settings));
            let surface = Arc::new(surface::backend::Surface::new(Arc::clone(&node.store), metrics, settings));
            let (node, shutdown) = (Arc::clone(&node), stop.clone());
            let handler = Backend { node, member: Arc::clone(&member), shutdown, surface };
            // A load whose body is whole is finished, however long it takes: its client would not know how it ended.
            listeners.spawn(live(listener, member, (Arc::new(handler), world.clone()), stop.clone(), None));
        }
        for (listener, metrics) in clients.into_iter().zip(counted) {
            let overview: Arc<dyn overview::Overview> = Arc::clone(&node.cluster) as _;
            listeners.spawn(mysql::serve(listener, Arc::clone(&node.store), overview, metrics, stop.clone()));
        }
        listeners.spawn(sweep(Arc::clone(&node), stop));
        let addresses = Addresses::of(&node.cluster);
        node.lock.announce(&addresses)?;
        Ok(Self { addresses, recovery, shutdown, listeners, node, released })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What was found of transactions, if the sandbox was not stopped the last time.
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// Stops accepting connections, finishes the requests that are under way, and gives the directory back. A client
    /// that takes its time to send a body or to read an answer is not waited for.
    pub async fn drain(mut self) {
        // Nobody listening any more is what is wanted.
        let _ = self.shutdown.send(true);
        while self.listeners.join_next().await.is_some() {}
        // A load whose client has gone away has no connection any more, but ends before the directory is given back.
        drop(self.node);
        let _ = self.released.recv().await;
    }
}

/// The addresses of the sandbox that runs on a directory, in this process or another; `None` when none does.
///
/// Waits a moment for one that is just starting.
pub fn running(dir: &Path) -> Result<Option<Addresses>, Error> {
    lock::running(dir)
}

/// How often what is due is done, where a server takes 30 seconds.
const SWEEP_PAUSE: Duration = Duration::from_millis(200);
/// How long to wait for the port of a node that comes back.
const PORT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a node while it is up. When it goes down its connections break and its port is closed.
async fn live(
    listener: TcpListener,
    member: Arc<Member>,
    (handler, (faults, store)): (Arc<impl http::Handler>, (Arc<Faults>, Arc<Store>)),
    mut stop: watch::Receiver<bool>,
    patience: Option<Duration>,
) {
    let mut life = member.watch();
    let mut listener = Some(listener);
    loop {
        let deaths = life.borrow_and_update().deaths;
        if let Some(listener) = listener.take() {
            let gate = Gate { node: member.name(), faults: Arc::clone(&faults), store: Arc::clone(&store) };
            tokio::select! {
                () = http::serve(listener, Arc::clone(&handler), gate, stop.clone(), patience) => return,
                // The serving is dropped here, and the connections with it.
                _ = life.wait_for(|life| life.deaths != deaths) => {}
            }
        }
        let is_back = life.wait_for(|life: &Life| !matches!(life.power, Power::Down(_)));
        tokio::select! {
            () = http::stopped(&mut stop) => return,
            _ = is_back => {}
        }
        match TcpListener::bind(member.address).await {
            Ok(bound) => listener = Some(bound),
            Err(error) => {
                tracing::warn!(error = %error, node = %member.name(), "a node that came back waits for its port");
                tokio::time::sleep(PORT_PAUSE).await;
            }
        }
    }
}

/// Does what is due again and again, until the sandbox stops.
async fn sweep(node: Arc<Node>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = http::stopped(&mut stop) => return,
            () = tokio::time::sleep(SWEEP_PAUSE) => {}
        }
        let node = Arc::clone(&node);
        if let Err(error) = http::blocking(move || node.sweep()).await {
            tracing::warn!(error = %error, "what was due could not be done");
        }
    }
}

/// A directory that was taken, and what is in it.
struct Opened {
    faults: Faults,
    lock: Lock,
    store: Arc<Store>,
    settings: Arc<FrontendSettings>,
    metrics: Arc<FrontendMetrics>,
    registry: Arc<Registry>,
    error_log: ErrorLog,
    /// What was found of transactions, if the last one to hold the directory was killed.
    recovery: Option<Recovery>,
}

impl Opened {
    fn new(options: Options) -> Result<(Self, Options), Error> {
        let dir = &options.dir;
        let faults = options.faults.as_deref().map_or_else(|| Ok(Faults::none()), Faults::open)?;
        let lock = Lock::take(dir)?;
        let password = options.password.as_ref().map(|password| password.expose().as_str());
        let database = |source: Box<dyn std::error::Error + Send + Sync>| Error::Database { dir: dir.clone(), source };
        let store = Arc::new(Store::open(dir, password).map_err(|error| database(error.into()))?);
        let settings = FrontendSettings::default().with_labels_kept(options.label_keep_max, options.label_keep);
        let (settings, metrics) = (Arc::new(settings), Arc::new(FrontendMetrics::default()));
        let registry = Registry::open(Arc::clone(&store), Arc::clone(&settings), Arc::clone(&metrics));
        let registry = registry.map_err(|error| database(error.into()))?;
        let unfinished = store.read(ledger::unfinished).map_err(|error| database(error.into()))?;
        let recovery = lock.abandoned.then(|| Recovery::of(&unfinished));
        let failed = |source: io::Error| Error::Directory { path: dir.clone(), source };
        let error_log = ErrorLog::open(dir).map_err(failed)?;
        Ok((
            Self { faults, lock, store, settings, metrics, registry: Arc::new(registry), error_log, recovery },
            options,
        ))
    }

    fn into_node(
        self,
        options: &Options,
        (frontends, backends): (Vec<Arc<Member>>, Vec<Arc<Member>>),
        alive: mpsc::Sender<()>,
    ) -> Arc<Node> {
        let Self { faults, lock, store, settings, registry, error_log, .. } = self;
        let advertised = options.advertise_host.clone();
        let cluster = Cluster::new(
            options.dialect,
            Arc::clone(&registry),
            Arc::clone(&settings),
            (frontends, backends),
            advertised,
        );
        Arc::new(Node {
            dir: options.dir.clone(),
            store,
            registry,
            cluster: Arc::new(cluster),
            coordinator: Coordinator::default(),
            faults: Arc::new(faults),
            error_log,
            settings,
            discard: options.discard,
            lock,
            _alive: alive,
        })
    }
}

/// Listens for the node in some position: on the port after those of the nodes before it, or any if the port is 0.
async fn listen(options: &Options, port: u16, position: usize) -> Result<(TcpListener, SocketAddr), Error> {
    let offset = u16::try_from(position).unwrap_or(u16::MAX);
    let port = if port == 0 { 0 } else { port.saturating_add(offset) };
    let address = SocketAddr::new(options.host, port);
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
