//! The steps of a request at which a fault can strike, and the operations that requests are.

use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use crate::sandbox::http;

/// A point on the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::sandbox) enum Step {
    /// A connection was accepted; nothing of a request was read.
    Accept,
    /// The head of a request was read, nothing was done.
    Head,
    /// The body is wanted, and `100 Continue` is about to go out.
    Continue,
    /// The body is being read.
    Body,
    /// The transaction is about to begin.
    Begin,
    /// The load is about to be planned: its columns, its expressions.
    Plan,
    /// The rows are about to be written.
    Write,
    /// Just before the decision to commit is durable.
    Commit,
    /// Just after it is, before anything is answered.
    Committed,
    /// The rows are about to become visible.
    Publish,
    /// Just before the decision to prepare is durable.
    Prepare,
    /// Just after it is.
    Prepared,
    /// The transaction is about to be rolled back.
    Rollback,
    /// The answer is about to be sent.
    Answer,
}

impl Step {
    /// Every step by its name, in the order of a request.
    pub(in crate::sandbox) const ALL: &'static [(&'static str, Self)] = &[
        ("accept", Self::Accept),
        ("head", Self::Head),
        ("continue", Self::Continue),
        ("body", Self::Body),
        ("begin", Self::Begin),
        ("plan", Self::Plan),
        ("write", Self::Write),
        ("commit", Self::Commit),
        ("committed", Self::Committed),
        ("publish", Self::Publish),
        ("prepare", Self::Prepare),
        ("prepared", Self::Prepared),
        ("rollback", Self::Rollback),
        ("answer", Self::Answer),
    ];

    /// Its name in a document.
    pub(in crate::sandbox) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, step)| *step == self).map_or("", |(name, _)| name)
    }

    /// Whether it lies inside the node rather than on the wire.
    pub(in crate::sandbox) fn is_inner(self) -> bool {
        !matches!(self, Self::Accept | Self::Head | Self::Continue | Self::Body | Self::Answer)
    }
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::sandbox) enum Operation {
    /// `_stream_load`, at either node.
    StreamLoad,
    /// `transaction/begin`, and so on.
    Begin,
    Load,
    Prepare,
    Commit,
    Rollback,
    /// `transaction/list`.
    TransactionList,
    /// `get_load_state`.
    LabelState,
    /// `_cancel`.
    Cancel,
    Sql,
    Schema,
    Count,
    ErrorLog,
    Health,
    /// `show_proc`: which nodes there are.
    Nodes,
    /// Whatever else was asked for.
    Other,
}

impl Operation {
    /// Every operation by its name.
    pub(in crate::sandbox) const ALL: &'static [(&'static str, Self)] = &[
        ("stream_load", Self::StreamLoad),
        ("begin", Self::Begin),
        ("load", Self::Load),
        ("prepare", Self::Prepare),
        ("commit", Self::Commit),
        ("rollback", Self::Rollback),
        ("transaction_list", Self::TransactionList),
        ("label_state", Self::LabelState),
        ("cancel", Self::Cancel),
        ("sql", Self::Sql),
        ("schema", Self::Schema),
        ("count", Self::Count),
        ("error_log", Self::ErrorLog),
        ("health", Self::Health),
        ("nodes", Self::Nodes),
        ("other", Self::Other),
    ];

    /// Its name in a document.
    pub(in crate::sandbox) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, operation)| *operation == self).map_or("", |(name, _)| name)
    }
}

/// What a request is about, told from its head alone: this must not depend on what the nodes make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) operation: Operation,
    pub(super) database: Option<String>,
    pub(super) label: Option<String>,
}

impl Subject {
    /// Reads it off a request.
    pub(super) fn of(head: &Parts) -> Self {
        let path = http::segments(head.uri.path()).unwrap_or_default();
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let named = |database: &str| Some(database.to_owned());
        let (operation, database) = match (&head.method, segments.as_slice()) {
            (&Method::PUT, ["api", database, _, "_stream_load"]) => (Operation::StreamLoad, named(database)),
            (&Method::PUT | &Method::POST, ["api", "transaction", verb]) => {
                (transaction(verb), header(&head.headers, "db"))
            }
            (&Method::GET, ["api", database, "get_load_state"]) => (Operation::LabelState, named(database)),
            (&Method::POST, ["api", database, _, "_cancel"]) => (Operation::Cancel, named(database)),
            (&Method::POST, ["api", "v1", "catalogs", _, "databases", database, "sql"]) => {
                (Operation::Sql, named(database))
            }
            (&Method::POST, ["api", "v1", "catalogs", _, "sql"]) => (Operation::Sql, None),
            (&Method::GET, ["api", "v2", "catalogs", _, "databases", database, "tables", _, "schema"]) => {
                (Operation::Schema, named(database))
            }
            (&Method::GET, ["api", database, _, "_schema"]) => (Operation::Schema, named(database)),
            (&Method::GET, ["api", database, _, "_count"]) => (Operation::Count, named(database)),
            (&Method::GET | &Method::HEAD, ["api", "_load_error_log"]) => (Operation::ErrorLog, None),
            (_, ["api", "health"]) => (Operation::Health, None),
            (_, ["api", "show_proc"]) => (Operation::Nodes, None),
            _ => (Operation::Other, None),
        };
        let label = header(&head.headers, "label").or_else(|| http::parameter(head.uri.query(), "label"));
        Self { operation, database, label }
    }
}

fn transaction(verb: &str) -> Operation {
    match verb {
        "begin" => Operation::Begin,
        "load" => Operation::Load,
        "prepare" => Operation::Prepare,
        "commit" => Operation::Commit,
        "rollback" => Operation::Rollback,
        "list" => Operation::TransactionList,
        _ => Operation::Other,
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_known_by_what_it_wants() {
        for (method, path, operation, database, label) in [
            ("PUT", "/api/d/t/_stream_load", Operation::StreamLoad, Some("d"), Some("h")),
            ("GET", "/api/d/t/_stream_load", Operation::Other, None, Some("h")),
            ("POST", "/api/transaction/begin", Operation::Begin, Some("hd"), Some("h")),
            ("PUT", "/api/transaction/load", Operation::Load, Some("hd"), Some("h")),
            ("POST", "/api/transaction/prepare", Operation::Prepare, Some("hd"), Some("h")),
            ("PUT", "/api/transaction/commit", Operation::Commit, Some("hd"), Some("h")),
            ("POST", "/api/transaction/rollback", Operation::Rollback, Some("hd"), Some("h")),
            ("POST", "/api/transaction/list", Operation::TransactionList, Some("hd"), Some("h")),
            ("GET", "/api/d/get_load_state?label=q%2D1", Operation::LabelState, Some("d"), Some("h")),
            ("POST", "/api/d/x/_cancel?label=q", Operation::Cancel, Some("d"), Some("h")),
            ("POST", "/api/v1/catalogs/c/databases/d/sql", Operation::Sql, Some("d"), Some("h")),
            ("POST", "/api/v1/catalogs/c/sql", Operation::Sql, None, Some("h")),
            ("GET", "/api/d/t/_schema", Operation::Schema, Some("d"), Some("h")),
            ("GET", "/api/v2/catalogs/c/databases/d/tables/t/schema", Operation::Schema, Some("d"), Some("h")),
            ("GET", "/api/d/t/_count", Operation::Count, Some("d"), Some("h")),
            ("GET", "/api/_load_error_log?file=x", Operation::ErrorLog, None, Some("h")),
            ("GET", "/api/health", Operation::Health, None, Some("h")),
            ("GET", "/api/show_proc?path=/backends", Operation::Nodes, None, Some("h")),
            ("GET", "/%ff", Operation::Other, None, Some("h")),
        ] {
            let request = hyper::Request::builder().method(method).uri(path).header("label", "h").header("db", "hd");
            let subject = Subject::of(&request.body(()).unwrap().into_parts().0);
            let found = (subject.operation, subject.database.as_deref(), subject.label.as_deref());
            assert_eq!(found, (operation, database, label), "{method} {path}");
        }
        let request = hyper::Request::builder().uri("/api/d/get_load_state?label=q%2D1").body(()).unwrap();
        assert_eq!(Subject::of(&request.into_parts().0).label.as_deref(), Some("q-1"));
    }
}
