//! From a request to an answer: frontends in turn, redirects by hand, credentials only where they belong.

use std::time::{Duration, Instant};

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;

use super::Error;
use super::connect::Connector;
use super::endpoint::Frontends;
use super::http::{Answer, Call, Fault, Outgoing, Patience, Stage, exchange};
use super::redirect::{Next, Policy, Refusal, foreign, read_location};
use super::reply;
use super::url::{Address, Scheme};
use crate::clock::{Clock as _, SystemClock};

/// A follower sends a transaction to its leader and that to a node, which is two; one more for proxies (SR §1.3).
const HOPS_MAX: usize = 3;

/// How long the list of a cluster's nodes is believed when a host is not on it.
const NODES_FRESH: Duration = Duration::from_secs(30);

/// The longest list of nodes that is read.
const NODES_BYTES_MAX: usize = 4 << 20;

/// How often a request is led to a node that is down before that is the answer. Frontends take turns among the backends
/// and notice a dead one after some seconds.
const DEAD_NODES_MAX: usize = 3;

/// Where the frontend lists its nodes.
const NODE_LISTS: [&str; 3] = ["/backends", "/compute_nodes", "/frontends"];

/// The statements that list them, for users who may not use those.
const NODE_STATEMENTS: [&str; 2] = ["SHOW BACKENDS", "SHOW COMPUTE NODES"];

/// The way to a target.
pub(super) struct Route {
    pub(super) frontends: Frontends,
    pub(super) connector: Connector,
    pub(super) authorization: HeaderValue,
    pub(super) policy: Policy,
    /// How long a frontend may take for the first word of an answer.
    pub(super) answer_within: Duration,
    nodes: Mutex<Option<Nodes>>,
}

/// What the cluster said of its nodes, and when.
#[derive(Clone)]
struct Nodes {
    list: Vec<(String, u16)>,
    asked: Instant,
}

/// An answer, and who gave it.
pub(super) struct Reached {
    pub(super) answer: Answer,
    pub(super) address: Address,
}

/// Why one frontend did not lead to an answer.
enum Stop {
    /// It did not answer itself: another one may.
    Silent(String),
    /// It answered, and the node it names does not take a connection: the address, and why.
    Dead(String, String),
    /// It answered, and what followed failed.
    Final(Error),
}

impl Route {
    pub(super) fn new(
        frontends: Frontends,
        connector: Connector,
        authorization: HeaderValue,
        policy: Policy,
        answer_within: Duration,
    ) -> Self {
        Self { frontends, connector, authorization, policy, answer_within, nodes: Mutex::new(None) }
    }

    /// Sends a request to the first frontend that answers, and follows where it leads.
    ///
    /// The frontend gets the usual time for the first word of its answer; `node_patience` is for everything behind it.
    pub(super) async fn send(&self, call: &Call<'_>, node_patience: Patience) -> Result<Reached, Error> {
        let whole = node_patience.whole.max(self.answer_within);
        self.send_with(call, Patience { first: self.answer_within, whole }, node_patience).await
    }

    /// The same, with a patience of its own for the frontend.
    pub(super) async fn send_with(
        &self,
        call: &Call<'_>,
        patience: Patience,
        node_patience: Patience,
    ) -> Result<Reached, Error> {
        let mut attempts = Vec::new();
        for _ in 0..DEAD_NODES_MAX {
            let mut named_dead = false;
            for index in self.frontends.order(SystemClock.instant()) {
                let frontend = &self.frontends.all()[index];
                let result = self.send_by(frontend, call, patience, node_patience).await;
                let answered = !matches!(result, Err(Stop::Silent(_)));
                self.frontends.note(index, answered, SystemClock.instant());
                let attempt = match result {
                    Err(Stop::Silent(reason)) => (frontend.to_string(), reason),
                    Err(Stop::Dead(node, reason)) => (format!("{node} via {frontend}"), reason),
                    Err(Stop::Final(error)) => return Err(error),
                    Ok(reached) => return Ok(reached),
                };
                tracing::debug!(address = attempt.0, reason = attempt.1, "no answer");
                if !attempts.contains(&attempt) {
                    attempts.push(attempt);
                }
                if answered {
                    named_dead = true;
                    break;
                }
            }
            if !named_dead {
                break;
            }
        }
        Err(Error::Unreachable { attempts })
    }

    /// Sends a request to this one node, and follows where it leads. Whether the node may see what is in the request is
    /// the caller's to know.
    pub(super) async fn send_to(&self, node: &Address, call: &Call<'_>, patience: Patience) -> Result<Reached, Error> {
        match self.send_by(node, call, patience, patience).await {
            Ok(reached) => Ok(reached),
            Err(Stop::Silent(reason)) => Err(Error::Unreachable { attempts: vec![(node.to_string(), reason)] }),
            Err(Stop::Dead(next, reason)) => {
                Err(Error::Unreachable { attempts: vec![(format!("{next} via {node}"), reason)] })
            }
            Err(Stop::Final(error)) => Err(error),
        }
    }

    /// The address of a node that a person names, if it may be sent credentials: by the same rules as a redirect there.
    pub(super) async fn vouched(&self, named: &Address) -> Result<Address, Error> {
        let same = |frontend: &&Address| frontend.host == named.host && frontend.port == named.port;
        if let Some(frontend) = self.frontends.all().iter().find(same) {
            return Ok(frontend.clone());
        }
        let foreign_node = |refusal: Refusal| Error::NodeForeign {
            node: named.to_string(),
            reason: refusal.reason,
            remedy: refusal.remedy,
        };
        let from = &self.frontends.all()[0];
        let next = self.policy.judge(from, &format!("http://{named}/")).map_err(foreign_node)?;
        if next.trusted {
            return Ok(next.address);
        }
        let mut why = String::new();
        for index in self.frontends.order(SystemClock.instant()) {
            match self.is_node(&self.frontends.all()[index], &next.named).await {
                Ok(true) => return Ok(next.address),
                Ok(false) => return Err(foreign_node(foreign(&next.named, ""))),
                Err(reason) => why = reason,
            }
        }
        Err(foreign_node(foreign(&next.named, &format!(" (the list is not to be had: {why})"))))
    }

    async fn send_by(
        &self,
        frontend: &Address,
        call: &Call<'_>,
        mut patience: Patience,
        node_patience: Patience,
    ) -> Result<Reached, Stop> {
        let mut at = frontend.clone();
        let mut call = call.clone();
        for hop in 0..=HOPS_MAX {
            let answer = match exchange(&self.connector, &at, &call, patience).await {
                Ok(answer) => answer,
                Err(fault) => return Err(stop(hop, frontend, &at, fault)),
            };
            if !is_redirect(answer.status) {
                return Ok(Reached { answer, address: at });
            }
            let next = self.next(frontend, &at, &answer).await.map_err(Stop::Final)?;
            tracing::debug!(from = %at, to = %next.address, "redirected");
            at = next.address;
            call.path = next.path;
            patience = node_patience;
        }
        Err(Stop::Final(Error::RedirectRefused {
            address: frontend.to_string(),
            location: format!("http://{at}"),
            reason: format!("it would be the redirect number {}: the nodes point at each other", HOPS_MAX + 1),
            remedy: "check what stands between here and the cluster; a frontend redirects at most twice".to_owned(),
        }))
    }

    pub(super) async fn next(&self, frontend: &Address, at: &Address, answer: &Answer) -> Result<Next, Error> {
        let location = answer.headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let refused = |location: &str, refusal: Refusal| Error::RedirectRefused {
            address: at.to_string(),
            location: location.to_owned(),
            reason: refusal.reason,
            remedy: refusal.remedy,
        };
        if answer.sent {
            return Err(Error::AnswerUnreadable {
                address: at.to_string(),
                excerpt: "a redirect after it had accepted the body".to_owned(),
                sent: true,
            });
        }
        let location = location.unwrap_or_default();
        // A location may hold credentials, as those of Doris do; they are not for the screen.
        let shown = without_login(&location);
        let next = self.policy.judge(at, &location).map_err(|refusal| refused(&shown, refusal))?;
        if next.trusted {
            return Ok(next);
        }
        match self.is_node(frontend, &next.named).await {
            Ok(true) => Ok(next),
            Ok(false) => Err(refused(&shown, foreign(&next.named, ""))),
            Err(reason) => {
                Err(refused(&shown, foreign(&next.named, &format!(" (the list is not to be had: {reason})"))))
            }
        }
    }

    /// Whether the cluster lists a node. The list is kept, and asked for again when a node is not on an old one.
    async fn is_node(&self, frontend: &Address, named: &Address) -> Result<bool, String> {
        // The lock is held over the question on purpose: loads that start together ask once.
        let mut known = self.nodes.lock().await;
        let on = |nodes: &Nodes| nodes.list.iter().any(|(host, port)| *host == named.host && *port == named.port);
        if let Some(nodes) = known.as_ref() {
            if on(nodes) {
                return Ok(true);
            }
            if nodes.asked.elapsed() < NODES_FRESH {
                return Ok(false);
            }
        }
        let list = self.list_nodes(frontend).await?;
        let nodes = known.insert(Nodes { list, asked: SystemClock.instant() });
        Ok(on(nodes))
    }

    async fn list_nodes(&self, frontend: &Address) -> Result<Vec<(String, u16)>, String> {
        let mut list = Vec::new();
        let mut why = String::new();
        for name in NODE_LISTS {
            match self.ask_plainly(frontend, Method::GET, &format!("/api/show_proc?path={name}"), None).await {
                Ok(body) => list.extend(nodes_in(&body)),
                Err(reason) => why = reason,
            }
        }
        if list.is_empty() {
            for statement in NODE_STATEMENTS {
                let body = serde_json::json!({ "query": statement }).to_string();
                let path = "/api/v1/catalogs/default_catalog/sql";
                match self.ask_plainly(frontend, Method::POST, path, Some(body)).await {
                    Ok(body) => list.extend(nodes_in(&body)),
                    Err(reason) => why = reason,
                }
            }
        }
        match (list.is_empty(), why.is_empty()) {
            (false, _) => Ok(list),
            (true, false) => Err(why),
            (true, true) => Err("it names no node".to_owned()),
        }
    }

    /// One exchange with a frontend, without redirects.
    async fn ask_plainly(
        &self,
        at: &Address,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Vec<u8>, String> {
        let body = body.map(bytes::Bytes::from);
        let call = Call {
            method,
            path: path.to_owned(),
            headers: self.headers(),
            body: body.as_ref().map_or(Outgoing::Nothing, Outgoing::Now),
            answer_bytes_max: NODES_BYTES_MAX,
        };
        let patience = Patience { first: self.answer_within, whole: self.answer_within };
        let answer = exchange(&self.connector, at, &call, patience).await.map_err(|fault| fault.reason)?;
        if answer.status == StatusCode::OK {
            Ok(answer.body.to_vec())
        } else {
            Err(reply::excerpt(answer.status, &answer.body))
        }
    }

    /// The headers of a small question.
    pub(super) fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, self.authorization.clone())])
    }

    /// Fetches a text that a reply points at, without credentials: from where a redirect might lead, and only from a path
    /// that begins like this.
    pub(super) async fn fetch(
        &self,
        url: &str,
        path_start: &str,
        answer_bytes_max: usize,
        within: Duration,
    ) -> Result<Vec<u8>, String> {
        let (named, path) = read_location(url).map_err(|refusal| refusal.reason)?;
        if named.scheme != Scheme::Http || !path.starts_with(path_start) {
            return Err("that is no address of such a text".to_owned());
        }
        let at = self.vouched(&named).await.map_err(|error| error.to_string())?;
        let call =
            Call { method: Method::GET, path, headers: HeaderMap::new(), body: Outgoing::Nothing, answer_bytes_max };
        let patience = Patience { first: within, whole: within };
        let answer = exchange(&self.connector, &at, &call, patience).await.map_err(|fault| fault.reason)?;
        if answer.status == StatusCode::OK {
            Ok(answer.body.to_vec())
        } else {
            Err(reply::excerpt(answer.status, &answer.body))
        }
    }
}

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 307 | 308)
}

fn without_login(location: &str) -> String {
    match (location.split_once("://"), location.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        _ => location.to_owned(),
    }
}

/// What a broken exchange means, by how far it came and on which hop.
fn stop(hop: usize, frontend: &Address, at: &Address, fault: Fault) -> Stop {
    match (fault.stage, hop) {
        (Stage::Sent, _) => Stop::Final(Error::Unconfirmed { address: at.to_string(), reason: fault.reason }),
        (Stage::Resolve | Stage::Connect | Stage::Asked, 0) => Stop::Silent(fault.reason),
        (Stage::Resolve, _) => Stop::Final(Error::RedirectRefused {
            address: frontend.to_string(),
            location: format!("{}://{at}", at.scheme.name()),
            reason: format!("its host is not known here: {}", fault.reason),
            remedy: format!("say where it is reached: --map-host {at}=HOST:PORT"),
        }),
        // Nothing has reached the node: a frontend, asked again, may name another one.
        (Stage::Connect, _) => Stop::Dead(at.to_string(), fault.reason),
        // It went before it took a byte of the body, and may have begun a transaction: that is for the next attempt.
        (Stage::Asked, _) => {
            Stop::Final(Error::Unreachable { attempts: vec![(format!("{at} via {frontend}"), fault.reason)] })
        }
    }
}

/// The nodes in an answer: objects with a host and an HTTP port, however deep and however spelt.
fn nodes_in(body: &[u8]) -> Vec<(String, u16)> {
    let mut nodes = Vec::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter::<Value>().map_while(Result::ok) {
        gather(&value, &mut nodes);
    }
    nodes
}

fn gather(value: &Value, nodes: &mut Vec<(String, u16)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, nodes)),
        Value::Object(members) => {
            let member = |name: &str| {
                members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                })
            };
            let port = member("HttpPort").and_then(|port| port.parse().ok());
            if let Some(port) = port {
                let hosts = ["IP", "Host", "HostName"].into_iter().filter_map(member);
                nodes.extend(hosts.map(|host| (host.to_ascii_lowercase(), port)));
            }
            members.values().for_each(|value| gather(value, nodes));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_in_each_shape_of_the_list() {
        let listed = br#"[{"BackendId":"1","IP":"10.0.0.1","HttpPort":"8040"},{"IP":"BE2","HttpPort":8041}]"#;
        assert_eq!(nodes_in(listed), [("10.0.0.1".to_owned(), 8040), ("be2".to_owned(), 8041)]);
        let shown = br#"{"meta":[{"name":"IP"}],"data":[{"IP":"be1","HttpPort":"8040"}],"statistics":{}}"#;
        assert_eq!(nodes_in(shown), [("be1".to_owned(), 8040)]);
        for nothing in ["", "[]", "<html>", r#"{"IP":"be1"}"#, r#"{"IP":"be1","HttpPort":"-1"}"#] {
            assert!(nodes_in(nothing.as_bytes()).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn a_location_is_shown_without_a_login() {
        assert_eq!(without_login("http://u:p@be:8040/x"), "http://***@be:8040/x");
        assert_eq!(without_login("http://be:8040/x"), "http://be:8040/x");
    }
}
