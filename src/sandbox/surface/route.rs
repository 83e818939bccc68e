//! Routes: which function answers which path, who may ask it, and the same as a table on paper.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::rest;
use crate::sandbox::http::{self, Ends, Reply};
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
    Administrator,
}

/// What becomes of a request.
pub(super) enum Does<S: 'static> {
    /// It is answered as a server does.
    Answers(fn(&S, &Asked) -> Reply),
    /// It is answered as by a server that has this switched off, or does not let this client have it.
    Declines(fn(&S, &Asked) -> Reply),
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
    pub(super) basis: &'static str,
    /// What the sandbox's answer is worth.
    pub(super) note: &'static str,
}

impl<S> Route<S> {
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
    http::blocking(move || match rest::admit(&store, &head, ends, route.access) {
        Ok(user) => respond(&surface, &Asked { head, body, path, ends, user }),
        Err(refusal) => *refusal,
    })
    .await
}

/// The routes as a table on paper.
pub(super) fn table<S>(routes: &[Route<S>]) -> String {
    let mut table = "| | Path | Who | Here | Known from | |\n|---|---|---|---|---|---|\n".to_owned();
    for route in routes {
        let who = match route.access {
            Access::Anybody => "anybody",
            Access::User => "a user",
            Access::Administrator => "root",
        };
        let here = match route.does {
            Does::Answers(_) | Does::Elsewhere => "answered",
            Does::Declines(_) => "declined",
            Does::Missing => "404",
        };
        let Route { methods, path, basis, note, .. } = route;
        writeln!(table, "| {methods} | `{path}` | {who} | {here} | {basis} | {note} |").expect("a text takes more");
    }
    table
}
