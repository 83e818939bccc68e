//! The operator's view of a cluster: which nodes there are and how they are, what is loading, what a label came to.
//!
//! ```text
//!  health, nodes ─▶ /api/show_proc, SHOW …     loads ─▶ information_schema.loads, SHOW STREAM LOAD
//!  label ─▶ get_load_state                     transactions ─▶ /api/show_proc?path=/transactions/…
//!  metrics ─▶ /metrics                         get ─▶ any path that only reads
//! ```
//!
//! Nothing here changes anything. Each question has a first way to the answer and, where the server is older or the
//! user is no administrator, a second one; what neither tells is left out and said. Servers differ in what they tell:
//! keys are compared without case, and a key that is missing is a gap and no failure. No answer is read beyond 16 MiB.
//!
//! Credentials go where a load's would: to the frontends given and, for [`Cluster::get`], to a node that the cluster
//! lists or the user vouches for. Health and metrics of other nodes are asked for without, because they take none.

mod health;
mod label;
mod loads;
mod metric;
mod node;
mod transactions;
mod way;

use std::time::Duration;

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::Error;
use super::http::{Answer, Call, Outgoing, Patience, exchange};
use super::reply;
use super::route::Reached;
use super::starrocks::{ANSWER_BYTES_MAX, StarRocks, no_reply, unreadable};
use super::url::{Address, Scheme, split_host};

pub use health::Health;
use health::Member;
pub use label::LabelSeen;
pub use loads::{Load, LoadFilter};
pub use metric::{AllMetrics, Sample};
pub use node::{ClusterNode, Listing, NodeKind};
pub use transactions::Transaction;
pub use way::{Lead, Way};

/// How long a node may take to say how it is. A node that is well answers within milliseconds; one that takes longer
/// than this is not, and a person is waiting.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// How many nodes are asked at one time: enough for a large cluster to answer in a moment, few enough for one machine.
const NODES_AT_ONCE: usize = 32;

/// What may be asked for about the whole cluster.
const OPERATE: &str = "OPERATE ON SYSTEM";

/// Paths that are known to change something although they are asked for by GET, or that belong to no reader. Where one
/// of these is a segment of a path, it is refused.
const CHANGING: [&str; 11] = [
    "_set_config",
    "update_config",
    "_cancel",
    "_stop",
    "_stop_be",
    "_stop_fe",
    "reload_tablet",
    "restore_tablet",
    "snapshot",
    "trigger",
    "_stream_load",
];

/// A cluster, to ask it how it is.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    target: &'a StarRocks,
}

/// A node's answer, as it is.
#[derive(Clone, Debug)]
pub struct Got {
    /// Who answered.
    pub address: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Got {
    /// Whether the status is one of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The failure that an answer without success is; its body is not in it.
    #[must_use]
    pub fn refusal(&self, path: &str) -> Error {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        Error::QuestionRefused {
            address: self.address.clone(),
            question: format!("GET {path}"),
            message: format!("HTTP {} {}", self.status, reason.unwrap_or_default()).trim_end().to_owned(),
        }
    }
}

impl<'a> Cluster<'a> {
    pub(super) fn new(target: &'a StarRocks) -> Self {
        Self { target }
    }

    /// Asks the first frontend that answers, or the node named as `host:port`, for a path, and returns what it says.
    ///
    /// # Errors
    /// When the path changes something or is none, when the node must not be sent credentials, when nothing answers.
    pub async fn get(&self, path: &str, node: Option<&str>) -> Result<Got, Error> {
        let path = readable(path)?;
        let call = question(&path, self.target.route.headers());
        let reached = match node {
            None => self.target.route.send(&call, self.patience()).await?,
            Some(node) => {
                let address = self.target.route.vouched(&named(node)?).await?;
                self.target.route.send_to(&address, &call, self.patience()).await?
            }
        };
        let Reached { answer, address } = reached;
        Ok(Got { address: address.to_string(), status: answer.status.as_u16(), body: answer.body.to_vec() })
    }

    fn patience(self) -> Patience {
        let within = self.target.options.answer_timeout;
        Patience { first: within, whole: within }
    }

    /// One exchange with one node, without redirects.
    async fn ask_node(&self, address: &Address, path: &str, credentials: bool) -> Result<Answer, String> {
        let headers = if credentials { self.target.route.headers() } else { HeaderMap::new() };
        let call = question(path, headers);
        let patience = Patience { first: CHECK_WITHIN, whole: CHECK_WITHIN };
        exchange(&self.target.route.connector, address, &call, patience).await.map_err(|fault| fault.reason)
    }

    /// The rows of a path of the frontend's own bookkeeping.
    async fn proc(&self, path: &str) -> Result<Vec<Row>, Error> {
        let asked = format!("/api/show_proc?path={path}");
        let reached = self.target.ask(&asked).await?;
        let Reached { answer, address } = &reached;
        let rows = rows(&answer.body);
        match rows {
            Some(rows) if answer.status == StatusCode::OK => Ok(rows),
            _ => Err(refused(&reached, &format!("GET {asked}"), &address.to_string())),
        }
    }

    /// The database that the target names.
    fn database(self) -> Result<&'a str, Error> {
        let url = &self.target.options.url;
        url.database.as_deref().ok_or_else(|| Error::InvalidUrl {
            text: url.to_string(),
            reason: "it names no database, and this is asked about one".to_owned(),
        })
    }
}

/// A question by GET.
fn question(path: &str, headers: HeaderMap) -> Call<'static> {
    Call {
        method: Method::GET,
        path: path.to_owned(),
        headers,
        body: Outgoing::Nothing,
        answer_bytes_max: ANSWER_BYTES_MAX,
    }
}

impl StarRocks {
    /// The operator's view of the cluster.
    #[must_use]
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster::new(self)
    }
}

/// A row of a server's table: the cells that are no lists, by name.
#[derive(Clone, Debug, Default)]
struct Row(Map<String, Value>);

impl Row {
    /// The first of these cells that says something, whatever the case of its name.
    fn text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|wanted| {
            let cell = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?.1;
            let text = match cell {
                Value::String(text) => text.trim().to_owned(),
                Value::Number(number) => number.to_string(),
                Value::Bool(yes) => yes.to_string(),
                _ => return None,
            };
            // This is how the server writes that there is nothing.
            let nothing = ["", "null", "\\N", "N/A"].iter().any(|word| text.eq_ignore_ascii_case(word));
            (!nothing).then_some(text)
        })
    }

    fn number(&self, names: &[&str]) -> Option<u64> {
        self.text(names)?.parse().ok()
    }

    fn truth(&self, names: &[&str]) -> Option<bool> {
        match self.text(names)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        }
    }
}

/// The rows in an answer of `show_proc`: an array of objects.
fn rows(body: &[u8]) -> Option<Vec<Row>> {
    let Value::Array(items) = serde_json::from_slice(body).ok()? else { return None };
    let row = |item| match item {
        Value::Object(members) => Some(Row(members)),
        _ => None,
    };
    Some(items.into_iter().filter_map(row).collect())
}

/// The rows of a query, by name.
fn named_rows(result: super::QueryResult) -> Vec<Row> {
    let names: Vec<String> = result.columns.into_iter().map(|(name, _)| name).collect();
    result.rows.into_iter().map(|row| Row(names.iter().cloned().zip(row).collect())).collect()
}

/// What an answer means that is not the one asked for.
fn refused(reached: &Reached, question: &str, address: &str) -> Error {
    let Answer { status, body, .. } = &reached.answer;
    let message = reply::words(*status, body);
    let (address, question) = (address.to_owned(), question.to_owned());
    let of_the_protocol = matches!(serde_json::from_slice(body), Ok(Value::Object(_)));
    match status.as_u16() {
        401 | 403 => Error::PrivilegeMissing { address, question, privilege: OPERATE, message },
        429 | 502..=504 => no_reply(reached),
        200 if !of_the_protocol => unreadable(reached),
        _ if message.to_ascii_lowercase().starts_with("access denied") => {
            Error::PrivilegeMissing { address, question, privilege: OPERATE, message }
        }
        _ => Error::QuestionRefused { address, question, message },
    }
}

/// A node as a person names it. Nodes speak plain http; a frontend that speaks TLS is known by the target.
fn named(node: &str) -> Result<Address, Error> {
    let invalid = |reason: String| Error::InvalidHost { flag: "--node", text: node.to_owned(), reason };
    match split_host(node.trim()).map_err(invalid)? {
        (host, Some(port)) => Ok(Address { scheme: Scheme::Http, host, port }),
        (_, None) => Err(invalid("it has no port".to_owned())),
    }
}

/// A path that only reads, with its slash.
fn readable(path: &str) -> Result<String, Error> {
    let invalid = |reason| Error::PathInvalid { path: path.to_owned(), reason };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let whole = format!("{slash}{path}");
    let plain = whole.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !plain || whole.parse::<hyper::Uri>().is_err() {
        return Err(invalid("it is no path of a URL"));
    }
    let before_query = whole.split('?').next().unwrap_or_default();
    if before_query.contains("://") || before_query.starts_with("//") {
        return Err(invalid("it names a host, which --node and --to are for"));
    }
    let changes = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        CHANGING.iter().any(|changing| decoded.split('/').any(|part| part.eq_ignore_ascii_case(changing)))
    };
    if before_query.split('/').any(changes) {
        return Err(invalid("it changes something, and `cluster` only reads"));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_its_slash_and_changes_nothing() {
        for (path, expected) in [
            ("api/health", "/api/health"),
            ("/metrics?type=json", "/metrics?type=json"),
            ("", "/"),
            ("/api/show_data?db=http://x", "/api/show_data?db=http://x"),
        ] {
            assert_eq!(readable(path).unwrap(), expected);
        }
        for wrong in [
            "http://evil/x",
            "//evil/x",
            "/a b",
            "/ä",
            "/x\r\nHost: y",
            "/x#y",
            "/api/_set_config?a=b",
            "api/%5Fset_config?a=b",
            "/api/x%2f_SET_config",
            "/api/db/t/_cancel",
        ] {
            assert!(matches!(readable(wrong), Err(Error::PathInvalid { .. })), "{wrong}");
        }
    }

    #[test]
    fn cells_are_found_whatever_their_case_and_gaps_are_gaps() {
        let row = rows(br#"[{"ip":"10.0.0.1","HTTPPORT":8040,"Alive":true,"Version":" ","Err":[1]}, 7]"#).unwrap();
        assert_eq!(row.len(), 1);
        assert_eq!(row[0].text(&["Host", "IP"]).as_deref(), Some("10.0.0.1"));
        assert_eq!((row[0].number(&["HttpPort"]), row[0].truth(&["alive"])), (Some(8040), Some(true)));
        assert_eq!((row[0].text(&["Version"]), row[0].text(&["Err"]), row[0].number(&["IP"])), (None, None, None));
        for nothing in ["", "<html>", "{}", "7"] {
            assert!(rows(nothing.as_bytes()).is_none(), "{nothing}");
        }
    }

    #[test]
    fn a_node_is_named_with_its_port() {
        assert_eq!(named("BE1:8040").unwrap().to_string(), "be1:8040");
        for wrong in ["be1", "", "be1:0", "u:p@be1:8040", "http://be1:8040"] {
            assert!(matches!(named(wrong), Err(Error::InvalidHost { flag: "--node", .. })), "{wrong}");
        }
    }
}
