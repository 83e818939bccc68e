//! A backend's HTTP interface: loads, transactions, and the log of filtered rows; the rest is the
//! [surface](super::surface)'s.

use std::sync::Arc;

use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::PATIENCE;
use super::answer::TransactionAnswer;
use super::body::{Body, Piece};
use super::control;
use super::coordinator::{Named, Operation};
use super::http::{self, Ends, Handler, Incoming, Reply};
use super::label::TIMED_OUT;
use super::load::{self, Call, Job, SHUTTING_DOWN};
use super::member::Member;
use super::merge_commit::Merging;
use super::node::Node;
use super::surface::backend::Surface;
use super::transaction::{self, End};
use super::wire;

/// A backend.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) node: Arc<Node>,
    pub(super) member: Arc<Member>,
    pub(super) shutdown: watch::Receiver<bool>,
    pub(super) surface: Arc<Surface>,
}

impl Handler for Backend {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, ends: Ends) -> Reply {
        let path = if self.node.cluster.dialect.decodes_names() {
            http::segments(request.uri().path())
        } else {
            Some(http::raw_segments(request.uri().path()))
        };
        let Some(path) = path else { return http::not_found() };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (request.method(), path.as_slice()) {
            (&Method::PUT, ["api", database, table, "_stream_load"]) => {
                let call = self.call(database, table, &request, ends);
                let merges = self.node.cluster.dialect.merges() && wire::flag(&call.headers, "enable_merge_commit");
                let body = request.into_body();
                if merges { self.merge(call, body).await } else { self.load(call, body).await }
            }
            (&Method::PUT, ["api", "transaction", "load"]) => {
                self.member.metrics.transaction_request(Operation::Load.counted());
                let call = self.named_call(&request, ends);
                self.transaction_load(call, request.into_body()).await
            }
            (&Method::POST | &Method::PUT, ["api", "transaction", "list"]) => {
                let mut shown = String::new();
                for context in self.member.contexts.list() {
                    shown.push_str(&serde_json::to_string_pretty(&context).expect("a context is plain data"));
                }
                http::reply(StatusCode::OK, "application/json", shown)
            }
            (&Method::POST | &Method::PUT, ["api", "transaction", operation]) => {
                let operation = (*operation).to_owned();
                self.control(&operation, request, ends).await
            }
            (&Method::GET | &Method::HEAD, ["api", "_load_error_log"]) => {
                let file = http::parameter(request.uri().query(), "file").unwrap_or_default();
                let text = http::blocking(move || self.node.error_log.read(&file)).await;
                http::reply(StatusCode::OK, "text/plain", text)
            }
            (_, ["sandbox", "nodes", ..]) => control::answer(&self.node, request, ends).await,
            _ => {
                let (head, body) = request.into_parts();
                self.surface.answer(head, body, ends).await
            }
        }
    }
}

impl Backend {
    fn call(&self, database: &str, table: &str, request: &Request<Incoming>, ends: Ends) -> Call {
        Call {
            database: database.to_owned(),
            table: table.to_owned(),
            headers: request.headers().clone(),
            remote: ends.remote.to_string(),
            authority: self.node.cluster.authority(&self.member, ends),
        }
    }

    /// A call whose database and table are headers.
    fn named_call(&self, request: &Request<Incoming>, ends: Ends) -> Call {
        let header = |name| wire::text(request.headers(), name).unwrap_or_default();
        self.call(&header("db"), &header("table"), request, ends)
    }

    fn pretty(&self, answer: &impl Serialize) -> Reply {
        let mut reply = http::pretty(answer);
        if !self.node.cluster.dialect.types_answers() {
            reply.headers_mut().remove(CONTENT_TYPE);
        }
        reply
    }

    async fn load(self: Arc<Self>, call: Call, body: Incoming) -> Reply {
        let (node, member) = (Arc::clone(&self.node), Arc::clone(&self.member));
        let dialect = node.cluster.dialect;
        let job = match http::blocking(move || Job::begin(&node, &member, &call)).await {
            Ok(job) => job,
            // Without having looked at the body, so that no `100 Continue` goes out.
            Err(answer) => return self.pretty(&answer.in_dialect(dialect)),
        };
        let deadline = job.deadline();
        let aborted = job.aborted();
        let late = async move {
            tokio::time::sleep(load::remaining(deadline)).await;
            TIMED_OUT
        };
        let answer = self.receive(body, Some(&aborted), late, move |body| job.run(body)).await;
        self.pretty(&answer.in_dialect(dialect))
    }

    async fn merge(self: Arc<Self>, call: Call, body: Incoming) -> Reply {
        let (node, member) = (Arc::clone(&self.node), Arc::clone(&self.member));
        let merging = match http::blocking(move || Merging::begin(&node, &member, &call)).await {
            Ok(merging) => merging,
            Err(answer) => return self.pretty(&answer),
        };
        let shutdown = self.shutdown.clone();
        let append = move |body| merging.append(body, shutdown);
        let appended = self.receive(body, None, std::future::pending(), append).await;
        match appended {
            Ok(waiting) => self.pretty(&waiting.answer().await),
            Err(answer) => self.pretty(&answer),
        }
    }

    async fn transaction_load(self: Arc<Self>, call: Call, body: Incoming) -> Reply {
        let this = Arc::clone(&self);
        let begun = http::blocking(move || {
            let label = wire::text(&call.headers, "label").unwrap_or_default();
            let request = transaction::Request { node: &this.node, member: &this.member, call: &call, label: &label };
            if !(this.node.cluster.dialect.has_multi_table() && Named::is_multi(&call.headers)) {
                return request.load();
            }
            let Some(multi) = this.node.coordinator.multi(&call.database, &label) else {
                let answer = TransactionAnswer::new(&label);
                return Err(Box::new(answer.fail("TXN_NOT_EXISTS", transaction::not_exists(&label))));
            };
            request.load_part(&multi)
        });
        match begun.await {
            Ok(upload) => {
                let running = move |body| upload.run(body);
                let answer = self.receive(body, None, std::future::pending(), running).await;
                self.pretty(&answer)
            }
            Err(answer) => self.pretty(&answer),
        }
    }

    /// Hands a body to a thread for it, until it is whole or nobody wants it any more.
    async fn receive<R: Send + 'static>(
        &self,
        body: Incoming,
        aborted: Option<&Notify>,
        late: impl Future<Output = &'static str>,
        run: impl FnOnce(Body) -> R + Send + 'static,
    ) -> R {
        let aborted = async {
            match aborted {
                Some(aborted) => aborted.notified().await,
                None => std::future::pending().await,
            }
        };
        let mut shutdown = self.shutdown.clone();
        let closing = async {
            http::stopped(&mut shutdown).await;
            tokio::time::sleep(PATIENCE).await;
        };
        let (pieces, received) = Body::channel();
        let running = http::patiently(&http::LOADS, move || run(received));
        let broken_by = tokio::select! {
            () = pieces.forward(body) => None,
            reason = late => Some(reason),
            () = aborted => Some("transaction is aborted"),
            () = closing => Some(SHUTTING_DOWN),
        };
        if let Some(reason) = broken_by {
            pieces.say(Piece::Broken(reason.to_owned())).await;
        }
        drop(pieces);
        match running.await {
            Ok(answer) => answer,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Answers what needs no body: begin, prepare, commit and rollback.
    async fn control(self: Arc<Self>, operation: &str, request: Request<Incoming>, ends: Ends) -> Reply {
        if let Some(operation) = Operation::parse(operation) {
            self.member.metrics.transaction_request(operation.counted());
        }
        let call = self.named_call(&request, ends);
        let this = Arc::clone(&self);
        let operation = operation.to_owned();
        let answer = http::blocking(move || {
            let label = wire::text(&call.headers, "label").unwrap_or_default();
            let request = transaction::Request { node: &this.node, member: &this.member, call: &call, label: &label };
            let refused = |message: &str| TransactionAnswer::new(&label).fail("INVALID_ARGUMENT", message);
            if label.is_empty() || call.database.is_empty() {
                return refused("the headers label and db are needed");
            }
            if this.node.cluster.dialect.has_multi_table() && Named::is_multi(&call.headers) {
                return refused("Multi-statement transaction requests can only be sent to FE nodes");
            }
            match Operation::parse(&operation) {
                Some(Operation::Begin) if call.table.is_empty() => refused("the header table is needed"),
                Some(Operation::Begin) => request.begin(),
                Some(Operation::Prepare) => request.end(End::Prepare),
                Some(Operation::Commit) => request.end(End::Commit),
                Some(Operation::Rollback) => request.rollback(),
                Some(Operation::Load) | None => refused(&format!("unsupport transaction operation {operation}")),
            }
        });
        self.pretty(&answer.await)
    }
}
