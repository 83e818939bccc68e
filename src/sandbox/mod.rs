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
//! Not here yet: the transaction interface (`/api/transaction/…` answers 404), several backends, faults on demand,
//! tables with keys other than duplicate.

mod answer;
mod backend;
mod body;
mod cell;
mod columns;
mod csv;
mod decompress;
mod error;
mod error_log;
mod frontend;
mod function;
mod http;
mod ingest;
mod json;
mod json_path;
mod label;
mod load;
mod lock;
mod mysql;
mod nested;
mod node;
mod number;
mod overview;
mod plan;
mod schema_api;
mod select;
mod sql;
mod sql_api;
mod store;
mod surface;
mod temporal;
mod types;
mod value;
mod wire;

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
pub use error::Error;
use error_log::ErrorLog;
use frontend::Frontend;
use label::{Registry, Retention};
use lock::Lock;
use node::Node;
use store::Store;

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
}

/// A running sandbox. Dropping it breaks off what is under way; see [`Sandbox::drain`].
#[derive(Debug)]
#[must_use = "dropping the sandbox stops it"]
pub struct Sandbox {
    addresses: Addresses,
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
        let (node, options) = http::blocking(move || prepare(options, alive)).await?;
        let frontend = listen(&options, options.fe_port).await?;
        let backend = listen(&options, options.be_port).await?;
        let mysql = listen(&options, options.mysql_port).await?;
        let addresses = Addresses { frontend: frontend.1, backend: backend.1, mysql: mysql.1 };
        let (shutdown, stop) = watch::channel(false);
        let mut listeners = JoinSet::new();
        let overview = surface::Alone::new(Arc::clone(&node.store), &addresses);
        let surface = surface::frontend::Surface::new("fe1", Arc::clone(&node.store), Arc::new(overview));
        let handler = Frontend { node: Arc::clone(&node), backend: addresses.backend, surface: Arc::new(surface) };
        listeners.spawn(http::serve(frontend.0, Arc::new(handler), stop.clone(), Some(PATIENCE)));
        let handler = Backend { node: Arc::clone(&node), address: addresses.backend, shutdown: stop.clone() };
        // A load whose body is whole is finished, however long it takes: its client would not know how it ended.
        listeners.spawn(http::serve(backend.0, Arc::new(handler), stop.clone(), None));
        listeners.spawn(mysql::serve(mysql.0, Arc::clone(&node.store), stop));
        node.lock.announce(&addresses)?;
        Ok(Self { addresses, shutdown, listeners, node, released })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
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

/// Takes the directory and opens what is in it.
fn prepare(options: Options, alive: mpsc::Sender<()>) -> Result<(Arc<Node>, Options), Error> {
    let dir = &options.dir;
    let lock = Lock::take(dir)?;
    let password = options.password.as_ref().map(|password| password.expose().as_str());
    let database = |source: Box<dyn std::error::Error + Send + Sync>| Error::Database { dir: dir.clone(), source };
    let store = Arc::new(Store::open(dir, password).map_err(|error| database(error.into()))?);
    let keep = Retention { count_max: options.label_keep_max, age_max: options.label_keep };
    let registry = Registry::open(Arc::clone(&store), keep).map_err(|error| database(error.into()))?;
    let failed = |source: io::Error| Error::Directory { path: dir.clone(), source };
    let error_log = ErrorLog::open(dir).map_err(failed)?;
    let (dir, discard) = (dir.clone(), options.discard);
    let node = Node { dir, store, registry: Arc::new(registry), error_log, discard, lock, _alive: alive };
    Ok((Arc::new(node), options))
}

async fn listen(options: &Options, port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let address = SocketAddr::new(options.host, port);
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
