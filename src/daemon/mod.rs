//! The service: jobs and uploads over HTTP, for months and unattended.
//!
//! ```text
//!  socket ─▶ listen: limits, TLS ─▶ api: routes, who may, problems ─▶ jobs: requests ─▶ loader::Supervisor ─▶ Loader
//!                                        │                              └─▶ journal (requests survive)      └─▶ journal
//!                                        └─▶ events, metrics
//!  SIGHUP ─▶ reload: what can be taken over      SIGTERM ─▶ drain: every job to a clean end, the next start goes on
//! ```
//!
//! Nothing here reads or sends a row: a request becomes the flags of an import, and the same loader runs it. A request that
//! was accepted is in the journal before its answer, so that it outlives the process; one that has ended stays listed for a
//! while. What an upload has sent before the service died lies in its spool, as that of any stream does.
//!
//! `watch` makes requests of files that come into a folder. `life` tells whoever started the process how it is doing.

mod api;
mod auth;
mod events;
mod inherited;
mod jobs;
mod life;
mod listen;
mod notify;
mod patient;
mod process;
mod profile;
mod reload;
mod service;
mod tls;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync;

use crate::config::ServiceConfig;
use crate::failure::{Code, Failure};
use crate::telemetry::setup::Level;
use service::Service;

/// How long callers may take for the rest of their answers when everything else has come to its end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What a service starts from.
pub struct Start {
    /// What it is told.
    pub config: ServiceConfig,
    /// Where that comes from, to be read again.
    pub file: Option<PathBuf>,
    /// What is logged.
    pub level: Level,
    /// Told once, when callers are answered.
    pub ready: Box<dyn FnOnce(SocketAddr) + Send>,
}

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its address cannot be listened on.
    #[error("the service cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Its certificate or key cannot be used.
    #[error("TLS cannot be set up with {}: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The sockets that it was started with are not what it can listen on.
    #[error("the service cannot listen on the sockets that it was started with: {reason}")]
    Inherited {
        /// Why not.
        reason: String,
    },
    /// Anybody could reach the socket that it was started with.
    #[error("anybody who reaches {address}, which the service was started with, could load and cancel")]
    Unguarded {
        /// Where the socket listens.
        address: SocketAddr,
    },
    /// The system does not let it listen for signals.
    #[error("the service cannot listen for signals")]
    Signals(#[source] io::Error),
    /// There is no folder for its journal.
    #[error("there is no folder for the journal: none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set")]
    NoFolder,
    /// Another service has its folder.
    #[error("another service has the folder {}", folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
    /// Something of its configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] crate::loader::JournalError),
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Config(error) => error.code(),
            Self::Journal(error) => error.code(),
            _ => Code::ServiceUnusable,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { .. } => Some("end whoever listens there, or set server.listen".to_owned()),
            Self::Tls { .. } => Some("server.tls_certificate, tls_key and tls_client_ca name PEM files".to_owned()),
            Self::Inherited { .. } => Some("ListenStream= takes one address and port".to_owned()),
            Self::Unguarded { .. } => {
                Some("let the socket listen on 127.0.0.1, or configure [tokens.NAME] or tls_client_ca".to_owned())
            }
            Self::Signals(_) => None,
            Self::Taken { .. } => Some("end that one, or set another jobs.state_dir".to_owned()),
            Self::NoFolder => Some("set jobs.state_dir".to_owned()),
            Self::Config(error) => error.hint(),
            Self::Journal(error) => error.hint(),
        }
    }
}

/// Runs the service until it is told to stop and everything has come to its end.
///
/// # Errors
/// When it cannot begin.
pub async fn serve(start: Start) -> Result<(), Error> {
    let Start { config, file, level, ready } = start;
    process::keep_pages_small();
    let mut signals = Signals::listen().map_err(Error::Signals)?;
    let tls = tls::acceptor(&config.server)?;
    let mut config = config;
    let (listener, bound) = listener(&mut config).await?;
    let service = Arc::new(Service::start(config, level, bound)?);
    let (close, closed) = sync::watch::channel(false);
    let watching = tokio::spawn(life::watch(Arc::clone(&service)));
    let listening = tokio::spawn(listen::run(listener, tls, Arc::clone(&service), closed));
    service.jobs.recover()?;
    let folders = tokio::spawn(watch::run(Arc::clone(&service)));
    service.life.ready(bound);
    ready(bound);
    while let Signal::Reload = signals.next().await {
        service.life.reloading();
        reload::reload(&service, file.as_deref());
        service.life.reloaded();
    }
    // Nothing new is taken from there; what was is listed with the other jobs.
    folders.abort();
    stop(&service, &mut signals).await;
    close.send_replace(true);
    if tokio::time::timeout(LAST_ANSWERS, listening).await.is_err() {
        tracing::info!("some callers did not wait for the end of their answers");
    }
    watching.abort();
    service.life.stopped();
    Ok(())
}

/// What it listens on: the socket that it was started with, or else one at the address that is configured.
async fn listener(config: &mut ServiceConfig) -> Result<(TcpListener, SocketAddr), Error> {
    if let Some((listener, address)) = inherited::listener()? {
        config.server.listen = address;
        return if config.is_guarded() { Ok((listener, address)) } else { Err(Error::Unguarded { address }) };
    }
    let address = config.server.listen;
    let listen = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    Ok((listener, bound))
}

/// Brings everything to its end: a drain, and a cancel when that takes too long or somebody says stop again.
async fn stop(service: &Arc<Service>, signals: &mut Signals) {
    let patience = service.config().jobs.drain_timeout;
    service.life.stopping(patience);
    let drained = service.drain();
    tokio::pin!(drained);
    tokio::select! {
        () = &mut drained => return,
        () = tokio::time::sleep(patience) => {
            tracing::warn!("jobs are not at their end after {} s: cutting them off", patience.as_secs());
        }
        () = signals.stop() => tracing::warn!("told to stop again: cutting jobs off"),
    }
    service.jobs.cut_off();
    tokio::select! {
        () = &mut drained => {}
        // The journal knows every label that may be under way.
        () = signals.stop() => tracing::warn!("told to stop once more: ending at once"),
    }
}

/// What the process may be told.
enum Signal {
    Reload,
    Stop,
}

struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
        }
    }

    /// Waits for a stop; a reload means nothing any more.
    async fn stop(&mut self) {
        while !matches!(self.next().await, Signal::Stop) {}
    }
}
