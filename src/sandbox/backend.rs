//! The backend's HTTP interface: loads, their error log, and whether it is alive.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio::sync::watch;

use super::PATIENCE;
use super::body::{Body, Piece};
use super::http::{self, Ends, Handler, Reply};
use super::load::{self, Call, Job};
use super::node::Node;

/// The backend.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) node: Arc<Node>,
    pub(super) address: SocketAddr,
    pub(super) shutdown: watch::Receiver<bool>,
}

impl Handler for Backend {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, ends: Ends) -> Reply {
        let Some(path) = http::segments(request.uri().path()) else { return http::not_found() };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (request.method(), path.as_slice()) {
            (&Method::PUT, ["api", database, table, "_stream_load"]) => {
                let (database, table) = ((*database).to_owned(), (*table).to_owned());
                self.load(database, table, request, ends).await
            }
            (&Method::GET | &Method::HEAD, ["api", "_load_error_log"]) => {
                let file = http::parameter(request.uri().query(), "file").unwrap_or_default();
                let text = http::blocking(move || self.node.error_log.read(&file)).await;
                http::reply(StatusCode::OK, "text/plain", text)
            }
            (&Method::GET, ["api", "health"]) => {
                http::reply(StatusCode::OK, "application/json", r#"{"status": "OK","msg": "To Be Added"}"#)
            }
            _ => http::not_found(),
        }
    }
}

impl Backend {
    async fn load(self: Arc<Self>, database: String, table: String, request: Request<Incoming>, ends: Ends) -> Reply {
        let (head, body) = request.into_parts();
        let backend = reachable(self.address, ends);
        let call = Call { database, table, headers: head.headers, remote: ends.remote.to_string(), backend };
        let node = Arc::clone(&self.node);
        let job = match http::blocking(move || Job::begin(&node, &call)).await {
            Ok(job) => job,
            // Without having looked at the body, so that no `100 Continue` goes out.
            Err(answer) => return http::pretty(&answer),
        };
        let deadline = job.deadline();
        let aborted = job.aborted();
        let mut shutdown = self.shutdown.clone();
        let closing = async {
            http::stopped(&mut shutdown).await;
            tokio::time::sleep(PATIENCE).await;
        };
        let (pieces, received) = Body::channel();
        let running = tokio::task::spawn_blocking(move || job.run(received));
        let broken_by = tokio::select! {
            () = pieces.forward(body) => None,
            () = tokio::time::sleep(load::remaining(deadline)) => Some(load::TIMED_OUT),
            () = aborted.notified() => Some("transaction is aborted"),
            () = closing => Some("Service is shutting down, please retry later!"),
        };
        if let Some(reason) = broken_by {
            pieces.say(Piece::Broken(reason.to_owned())).await;
        }
        drop(pieces);
        match running.await {
            Ok(answer) => http::pretty(&answer),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// The address under which a client that got here would reach a listener: one that is bound to all addresses is
/// reached by the one that the client used.
pub(super) fn reachable(listener: SocketAddr, ends: Ends) -> SocketAddr {
    if listener.ip().is_unspecified() { SocketAddr::new(ends.local, listener.port()) } else { listener }
}
