//! Routes: which function answers which path, who may ask it, and the same as a table on paper.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::Body;
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::rest;
use crate::sandbox::http::{self, Ends, Incoming, Reply};
use crate::sandbox::store::Store;

/// The longest body of a request, as a frontend puts it together.
const BODY_BYTES_MAX: usize = 6_553_600;

/// A request, as far as an answer depends on it.
pub(super) struct Asked {
    pub(super) head: Parts,
    pub(super) body: Bytes,
    /// What stands in the path where the route has a name in braces.
    pub(super) path: Vec<String>,
    pub(super) ends: Ends,
    /// Who asks; nobody where everybody may.
    pub(super) user: String,
}

impl Asked {
    /// A parameter of the query, unless it is empty.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        http::parameter(self.head.uri.query(), name).filter(|value| !value.is_empty())
    }

    /// Every parameter of the query, in order.
    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = self.head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        pairs.map(pair).collect()
    }

    /// A header, as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Anybody,
    User,
    /// Who may read the table that the path names.
    Select,
    /// Who may load into it.
    Insert,
    /// Who looks after the cluster.
    Operator,
}

/// What answers a request, where blocking is allowed.
pub(super) type Respond<S> = fn(&S, &Asked) -> Reply;

/// What becomes of a request.
pub(super) enum Does<S: 'static> {
    /// It is answered as a server does.
    Answers(Respond<S>),
    /// It is answered as by a server that has this switched off, or does not let this client have it.
    Declines(Respond<S>),
    /// Another part of the node takes it before this one is asked.
    Elsewhere,
    /// 404, as for a path that there is not.
    Missing,
}

/// A path of a node.
pub(super) struct Route<S: 'static> {
    /// The methods, with commas between.
    pub(super) methods: &'static str,
    /// The path, with names in braces where anything may stand.
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) does: Does<S>,
    /// Where its shape is known from: a section of the protocol, or `unverified`.
    #[allow(dead_code, reason = "for the paper, which is checked in tests")]
    pub(super) basis: &'static str,
    /// What the sandbox's answer is worth.
    #[allow(dead_code, reason = "for the paper, which is checked in tests")]
    pub(super) note: &'static str,
}

impl<S> Route<S> {
    /// A route whose requests are answered.
    pub(super) const fn answers(
        methods: &'static str,
        path: &'static str,
        access: Access,
        respond: Respond<S>,
        basis: &'static str,
        note: &'static str,
    ) -> Self {
        Self { methods, path, access, does: Does::Answers(respond), basis, note }
    }

    /// A route whose requests are declined.
    pub(super) const fn declines(
        methods: &'static str,
        path: &'static str,
        access: Access,
        respond: Respond<S>,
        note: &'static str,
    ) -> Self {
        Self { methods, path, access, does: Does::Declines(respond), basis: "unverified", note }
    }

    /// A route whose requests another part of the node answers.
    pub(super) const fn elsewhere(
        methods: &'static str,
        path: &'static str,
        access: Access,
        basis: &'static str,
        note: &'static str,
    ) -> Self {
        Self { methods, path, access, does: Does::Elsewhere, basis, note }
    }

    /// A path of a server that the sandbox does not have.
    pub(super) const fn missing(methods: &'static str, path: &'static str, note: &'static str) -> Self {
        Self { methods, path, access: Access::Anybody, does: Does::Missing, basis: "unverified", note }
    }

    /// The database and the table that the path names; nothing for what it does not.
    fn about<'a>(&self, path: &'a [String]) -> (&'a str, &'a str) {
        let parts = self.path.split('/').filter(|part| part.starts_with('{'));
        let value = |wanted: &str| {
            parts.clone().zip(path).find(|(part, _)| *part == wanted).map_or("", |(_, value)| value.as_str())
        };
        (value("{db}"), value("{table}"))
    }

    /// What stands at the braces, if this is the route of a request.
    fn matches(&self, method: &str, segments: &[String]) -> Option<Vec<String>> {
        let pattern: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        if pattern.len() != segments.len() || !self.methods.split(", ").any(|allowed| allowed == method) {
            return None;
        }
        let mut taken = Vec::new();
        for (part, segment) in pattern.into_iter().zip(segments) {
            if part.starts_with('{') {
                taken.push(segment.clone());
            } else if part != segment {
                return None;
            }
        }
        Some(taken)
    }
}

/// Answers a request by the route that it takes. One without a route, be it for its path or its method, is not found.
pub(super) async fn answer<S: Send + Sync + 'static>(
    surface: Arc<S>,
    store: Arc<Store>,
    routes: &'static [Route<S>],
    (head, body): (Parts, Incoming),
    ends: Ends,
) -> Reply {
    let Some(segments) = http::segments(head.uri.path()) else { return http::not_found() };
    let found = routes.iter().find_map(|route| Some((route, route.matches(head.method.as_str(), &segments)?)));
    let Some((route, path)) = found else { return http::not_found() };
    let (Does::Answers(respond) | Does::Declines(respond)) = route.does else { return http::not_found() };
    let body = if body.is_end_stream() {
        Bytes::new()
    } else {
        match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return rest::failure(StatusCode::BAD_REQUEST, "the body is too long or broke off"),
        }
    };
    http::blocking(move || match rest::admit(&store, &head, ends, route.access, route.about(&path)) {
        Ok(user) => respond(&surface, &Asked { head, body, path, ends, user }),
        Err(refusal) => *refusal,
    })
    .await
}

/// The routes as a table on paper.
#[cfg(test)]
pub(super) fn table<S>(routes: &[Route<S>]) -> String {
    let mut table = "| | Path | Who | Here | Known from | |\n|---|---|---|---|---|---|\n".to_owned();
    for route in routes {
        use std::fmt::Write as _;
        let who = match route.access {
            Access::Anybody => "anybody",
            Access::User => "a user",
            Access::Select => "SELECT",
            Access::Insert => "INSERT",
            Access::Operator => "OPERATE",
        };
        let here = match route.does {
            Does::Answers(_) | Does::Elsewhere => "answered",
            Does::Declines(_) => "declined",
            Does::Missing => "404",
        };
        let who = if matches!(route.does, Does::Missing) { "" } else { who };
        let Route { methods, path, basis, note, .. } = route;
        writeln!(table, "| {methods} | `{path}` | {who} | {here} | {basis} | {note} |").expect("a text takes more");
    }
    table
}
