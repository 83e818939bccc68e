//! A frontend's HTTP interface: redirects loads to a backend, decides on transactions, answers for labels and SQL; the
//! rest is the [surface](super::surface)'s.
//!
//! A load is answered from its headers alone: nothing of the body is read and no `100 Continue` is sent, and because
//! the body may be on its way all the same, the connection is closed behind the answer. Behind the load of a transaction
//! it is not, and then whatever comes next is taken for that body, as on the server. What only the leader knows is sent
//! there by the others.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Limited};
use hyper::header::{CONTENT_TYPE, EXPECT, HeaderName, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode, Version};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::control;
use super::conversation::{Client, Conversation};
use super::coordinator::{Named, Operation, Verdict};
use super::dialect::Dialect;
use super::http::{self, Ends, Handler, Incoming, Pieces, Reply};
use super::member::Member;
use super::node::Node;
use super::overview::Overview;
use super::sql_api;
use super::sql_api::{Part, SqlReply};
use super::surface::config::FrontendSettings;
use super::surface::frontend::Surface;
use super::surface::rest::{authenticate, broken, denied, failure, success};
use super::user::Privilege;
use super::wire;
use crate::clock::{Clock as _, SystemClock};

/// The longest body of a request, which only SQL has.
const BODY_BYTES_MAX: usize = 6_553_600;
/// How many pieces of an answer may wait for its client.
const PIECES_MAX: usize = 2;
/// The reason that a cancelled load shows.
const CANCELLED: &str = "user cancel";

/// A frontend.
#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) node: Arc<Node>,
    pub(super) member: Arc<Member>,
    pub(super) surface: Arc<Surface>,
}

impl Handler for Frontend {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, ends: Ends) -> Reply {
        let (head, body) = request.into_parts();
        if is_too_long(&head, &self.node.settings) {
            // What the body is worth can no longer be told.
            return http::closing(http::reply(StatusCode::BAD_REQUEST, "text/plain", "Bad Request"));
        }
        let Some(path) = http::segments(head.uri.path()) else { return http::not_found() };
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        match (&head.method, segments.as_slice()) {
            (&Method::POST, ["api", "v1", "catalogs", catalog, "databases", database, "sql"]) => {
                let scope = (Some((*database).to_owned()), (*catalog).to_owned());
                self.sql(head, body, scope, ends).await
            }
            (&Method::POST, ["api", "v1", "catalogs", catalog, "sql"]) => {
                let scope = (None, (*catalog).to_owned());
                self.sql(head, body, scope, ends).await
            }
            (&Method::PUT, ["api", _, _, "_stream_load"])
            | (&Method::GET, ["api", _, "get_load_state"])
            | (&Method::POST, ["api", _, _, "_cancel"]) => {
                http::blocking(move || self.answer(&head, &path, ends)).await
            }
            (&Method::PUT, ["api", "transaction", "load"]) => {
                let reply = http::blocking(move || self.transaction(Operation::Load, &head, ends)).await;
                swallow(reply, body)
            }
            (&Method::POST | &Method::PUT, ["api", "transaction", name]) if Operation::parse(name).is_some() => {
                let operation = Operation::parse(name).expect("it was just parsed");
                let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
                    return failure(StatusCode::BAD_REQUEST, "the body is too long or broke off");
                };
                if !body.to_bytes().is_empty() {
                    return pretty_failure("class com.starrocks.common.DdlException: Malformed json tablets");
                }
                http::blocking(move || self.transaction(operation, &head, ends)).await
            }
            (_, ["sandbox", "nodes", ..]) => control::answer(&self.node, Request::from_parts(head, body), ends).await,
            _ => self.surface.answer(head, body, ends).await,
        }
    }
}

/// Whether a head is longer than the frontend takes. The backend has no such limits.
fn is_too_long(head: &Parts, settings: &FrontendSettings) -> bool {
    let line = head.method.as_str().len() + head.uri.to_string().len() + " HTTP/1.1 ".len();
    let headers: usize =
        head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    line > settings.line_bytes_max() || headers > settings.header_bytes_max()
}

impl Frontend {
    /// Answers what needs no body.
    fn answer(&self, head: &Parts, path: &[String], ends: Ends) -> Reply {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let load = matches!((&head.method, path.as_slice()), (&Method::PUT, ["api", _, _, "_stream_load"]));
        let user = match authenticate(&self.node.store, head, ends) {
            Ok(found) => found.user,
            Err(reply) => return if load { http::closing(*reply) } else { *reply },
        };
        let label = || http::parameter(head.uri.query(), "label");
        let leads = self.leads();
        match (&head.method, path.as_slice()) {
            (&Method::PUT, ["api", database, table, "_stream_load"]) => {
                if let Err(reply) = self.check_insert(&user, (database, table), ends) {
                    return http::closing(*reply);
                }
                let merges = self.node.cluster.dialect.merges() && wire::flag(&head.headers, "enable_merge_commit");
                let reply = if merges && !leads { self.to_leader(head, ends) } else { self.redirect(head, ends) };
                http::closing(self.typed(reply))
            }
            _ if !leads => self.to_leader(head, ends),
            (&Method::GET, ["api", database, "get_load_state"]) => self.typed(self.load_state(database, label())),
            (&Method::POST, ["api", database, _, "_cancel"]) => self.typed(self.cancel(database, label())),
            _ => http::not_found(),
        }
    }

    /// Lets in who may load into a table.
    fn check_insert(&self, user: &str, (database, table): (&str, &str), ends: Ends) -> Result<(), Box<Reply>> {
        match self.node.store.may(user, Privilege::Insert, database, table) {
            Ok(true) => Ok(()),
            Ok(false) => Err(denied(user, ends)),
            Err(error) => Err(Box::new(broken(&error))),
        }
    }

    fn leads(&self) -> bool {
        self.node.cluster.leader().position == self.member.position
    }

    /// An answer with the type that the release gives it.
    fn typed(&self, mut reply: Reply) -> Reply {
        if self.node.cluster.dialect == Dialect::V3_3 {
            reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        }
        reply
    }

    fn to_leader(&self, head: &Parts, ends: Ends) -> Reply {
        self.send_to(self.node.cluster.leader(), head, ends)
    }

    fn send_to(&self, member: &Member, head: &Parts, ends: Ends) -> Reply {
        let target = head.uri.path_and_query().map_or(head.uri.path(), |target| target.as_str());
        let location = format!("http://{}{target}", self.node.cluster.authority(member, ends));
        let mut reply = http::reply(StatusCode::TEMPORARY_REDIRECT, "text/html", Bytes::new());
        if let Ok(location) = HeaderValue::from_str(&location) {
            reply.headers_mut().insert(LOCATION, location);
        }
        reply
    }

    fn redirect(&self, head: &Parts, ends: Ends) -> Reply {
        let expects =
            head.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        if !expects && head.version != Version::HTTP_10 {
            return pretty_failure("class com.starrocks.common.DdlException: There is no 100-continue header");
        }
        match self.node.cluster.choose_backend() {
            Some(position) => self.send_to(&self.node.cluster.backends[position], head, ends),
            None => pretty_failure("class com.starrocks.common.DdlException: No backend alive."),
        }
    }

    /// Answers a request on a transaction, or says who does.
    fn transaction(&self, operation: Operation, head: &Parts, ends: Ends) -> Reply {
        let user = match authenticate(&self.node.store, head, ends) {
            Ok(found) => found.user,
            Err(reply) => return *reply,
        };
        if !self.leads() {
            return self.to_leader(head, ends);
        }
        let header = |name| wire::text(&head.headers, name).unwrap_or_default();
        let (database, label, table) = (header("db"), header("label"), header("table"));
        let multi = self.node.cluster.dialect.has_multi_table() && Named::is_multi(&head.headers);
        let needs_table = operation == Operation::Load || (operation == Operation::Begin && !multi);
        for (what, value, needed) in
            [("database", &database, true), ("label", &label, true), ("table", &table, needs_table)]
        {
            if needed && value.is_empty() {
                return pretty_failure(&format!("class com.starrocks.common.DdlException: No {what} selected."));
            }
        }
        if needs_table && let Err(reply) = self.check_insert(&user, (&database, &table), ends) {
            return *reply;
        }
        let headers = &head.headers;
        let named = Named { database: &database, label: &label, table: &table, user: &user, headers };
        let coordinator = &self.node.coordinator;
        let started = SystemClock.instant();
        let verdict = if multi {
            coordinator.several(&self.node, operation, &named)
        } else {
            coordinator.single(&self.node, operation, &named)
        };
        self.node.registry.metrics().transaction_request(operation.counted(), started.elapsed());
        match verdict {
            Verdict::Redirect(position) => self.send_to(&self.node.cluster.backends[position], head, ends),
            Verdict::Answer(body) => self.typed(http::pretty(&body)),
        }
    }

    fn load_state(&self, database: &str, label: Option<String>) -> Reply {
        let label = match self.named(database, label) {
            Ok(label) => label,
            Err(reply) => return *reply,
        };
        match self.node.registry.standing(database, &label) {
            Ok(standing) => {
                let mut answer = serde_json::Map::new();
                answer.insert("state".to_owned(), standing.state.as_str().into());
                if !standing.reason.is_empty() && self.node.cluster.dialect.tells_reasons() {
                    answer.insert("reason".to_owned(), standing.reason.into());
                }
                success(answer)
            }
            Err(error) => broken(&error),
        }
    }

    fn cancel(&self, database: &str, label: Option<String>) -> Reply {
        let label = match self.named(database, label) {
            Ok(label) => label,
            Err(reply) => return *reply,
        };
        match self.node.registry.cancel(database, &label, CANCELLED) {
            Ok(true) => success(serde_json::Map::new()),
            Ok(false) => failure(StatusCode::OK, &format!("transaction not found: {label}")),
            Err(error) => broken(&error),
        }
    }

    /// The label of a request about one, in a database that there is.
    fn named(&self, database: &str, label: Option<String>) -> Result<String, Box<Reply>> {
        match self.node.store.has_database(database) {
            Ok(true) => {}
            Ok(false) => {
                return Err(Box::new(failure(StatusCode::OK, &format!("unknown database, database={database}"))));
            }
            Err(error) => return Err(Box::new(broken(&error))),
        }
        let label = label.filter(|label| !label.is_empty());
        label.ok_or_else(|| Box::new(failure(StatusCode::OK, "No label selected.")))
    }

    async fn sql(
        self: Arc<Self>,
        head: Parts,
        body: Incoming,
        (database, catalog): (Option<String>, String),
        ends: Ends,
    ) -> Reply {
        let conversation = head.extensions.get::<Arc<Conversation>>().cloned().unwrap_or_default();
        let this = Arc::clone(&self);
        let user = match http::blocking(move || authenticate(&this.node.store, &head, ends)).await {
            Ok(credentials) => credentials.user,
            Err(reply) => return *reply,
        };
        if catalog != "default_catalog" {
            return failure(StatusCode::FORBIDDEN, "set catalog or db failed");
        }
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return failure(StatusCode::BAD_REQUEST, "the body is too long or broke off");
        };
        let body = body.to_bytes();
        // While rows are read it keeps the store alone: a sandbox that stops does not wait for a long query.
        let store = Arc::clone(&self.node.store);
        let metrics = Arc::clone(&self.surface.metrics);
        let overview: Arc<dyn Overview> = Arc::clone(&self.node.cluster) as _;
        let client = Client { user, host: ends.remote.to_string() };
        let (head, answered) = oneshot::channel();
        let (pieces, received) = mpsc::channel(PIECES_MAX);
        let answering = http::patiently(&http::QUERIES, move || {
            let mut head = Some(head);
            let started = SystemClock.instant();
            let send = |part| match part {
                Part::Begin(reply) => head.take().is_some_and(|head| head.send(reply).is_ok()),
                Part::More(bytes) => pieces.blocking_send(Ok(bytes.into())).is_ok(),
                Part::Broken(error) => pieces.blocking_send(Err(io::Error::other(error))).is_ok(),
            };
            let went_well = sql_api::respond(&store, overview, conversation, &client, database.as_deref(), &body, send);
            if let Some(went_well) = went_well {
                metrics.query_ended(went_well, started.elapsed());
            }
        });
        match answered.await {
            Ok(answered) => assemble(answered, received),
            // It went without a word, which only a panic does.
            Err(_) => match answering.await {
                Err(error) => std::panic::resume_unwind(error.into_panic()),
                Ok(()) => failure(StatusCode::INTERNAL_SERVER_ERROR, "the statement broke off"),
            },
        }
    }
}

fn pretty_failure(message: &str) -> Reply {
    http::pretty(&json!({"Status": "FAILED", "Message": message}))
}

/// Has the connection taken on behind an answer to a request whose body nobody reads: what comes next on it is that body.
fn swallow(mut reply: Reply, mut body: Incoming) -> Reply {
    // Dropped when the answer has been written: whoever asked for the body before would send a `100 Continue`.
    let (written, waiting) = oneshot::channel::<()>();
    reply.extensions_mut().insert(Arc::new(Mutex::new(written)));
    tokio::spawn(async move {
        let _ = waiting.await;
        while let Some(Ok(_)) = body.frame().await {}
    });
    reply
}

fn assemble(answered: SqlReply, pieces: mpsc::Receiver<io::Result<Bytes>>) -> Reply {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = http::reply(status, answered.content_type, answered.body);
    if answered.more {
        *reply.body_mut() = Either::Right(Pieces(pieces));
    }
    for (name, value) in answered.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}
