//! Metrics of nodes: Prometheus' text read into samples.

use futures_util::{StreamExt as _, stream};
use hyper::StatusCode;

use super::{Cluster, Member, NODES_AT_ONCE, named, question};
use crate::target::url::Address;
use crate::target::{Error, reply};

/// One value of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Whose it is.
    pub node: String,
    /// The metric's name.
    pub name: String,
    /// Its labels, in the node's order.
    pub labels: Vec<(String, String)>,
    /// The value, as the node writes it: counters may be greater than a float can tell.
    pub value: String,
}

/// The metrics of every node.
#[derive(Debug, Default)]
pub struct AllMetrics {
    /// What the nodes told.
    pub samples: Vec<Sample>,
    /// How many nodes there are.
    pub nodes: usize,
    /// Those that told nothing, and why.
    pub failed: Vec<(String, Error)>,
    /// What could not be listed, and why: a sentence each.
    pub missing: Vec<String>,
}

/// What is in the name of a metric that has to do with loading (SR §9).
const LOADING: [&str; 8] = [
    "streaming_load",
    "stream_load",
    "starrocks_fe_txn_",
    "txn_request",
    "txn_total_latency_ms",
    "memtable",
    "publish",
    "load_rows",
];

impl Cluster<'_> {
    /// The metrics of the first frontend that answers, or of the node named as `host:port`: those with this in their
    /// name, or those of loading.
    ///
    /// # Errors
    /// When nothing answers, or with something else than metrics.
    pub async fn metrics(&self, node: Option<&str>, part: Option<&str>) -> Result<Vec<Sample>, Error> {
        let call = |headers| question("/metrics", headers);
        let headers = self.target.route.headers();
        let Some(node) = node else {
            let reached = self.target.route.send(&call(headers), self.patience()).await?;
            return samples(&reached.address.to_string(), reached.answer.status, &reached.answer.body, part);
        };
        let named = named(node)?;
        let given = self.target.route.frontends.all();
        let frontend = given.iter().find(|one| one.host == named.host && one.port == named.port);
        let address = frontend.cloned().unwrap_or_else(|| self.target.route.policy.mapped(&named));
        self.metrics_at(&address, &named.to_string(), frontend.is_some(), part).await
    }

    /// The metrics of every node that there is.
    pub async fn all_metrics(&self, part: Option<&str>) -> AllMetrics {
        let (members, missing) = self.members().await;
        let ask = async |member: &Member| {
            let name = member.named.to_string();
            let asked = self.metrics_at(&member.address, &name, member.credentials, part).await;
            asked.map_err(|error| (format!("{} {name}", member.kind), error))
        };
        let answers: Vec<_> = stream::iter(members.iter().map(ask)).buffered(NODES_AT_ONCE).collect().await;
        let mut all = AllMetrics { nodes: members.len(), missing, ..AllMetrics::default() };
        for answer in answers {
            match answer {
                Ok(samples) => all.samples.extend(samples),
                Err(failure) => all.failed.push(failure),
            }
        }
        all
    }

    async fn metrics_at(
        &self,
        address: &Address,
        name: &str,
        credentials: bool,
        part: Option<&str>,
    ) -> Result<Vec<Sample>, Error> {
        let answer = self.ask_node(address, "/metrics", credentials).await;
        let answer = answer.map_err(|reason| Error::Unreachable { attempts: vec![(name.to_owned(), reason)] })?;
        samples(name, answer.status, &answer.body, part)
    }
}

fn samples(node: &str, status: StatusCode, body: &[u8], part: Option<&str>) -> Result<Vec<Sample>, Error> {
    if status != StatusCode::OK {
        return Err(Error::QuestionRefused {
            address: node.to_owned(),
            question: "GET /metrics".to_owned(),
            message: reply::excerpt(status, body),
        });
    }
    let text = String::from_utf8_lossy(body);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // One line that makes no sense is no reason to hide the others. Where none does, it is something else.
    if lines().next().is_some() && lines().all(|line| read(node, line).is_none()) {
        return Err(Error::AnswerUnreadable {
            address: node.to_owned(),
            excerpt: reply::excerpt(status, body),
            sent: false,
        });
    }
    let wanted = |name: &str| match part {
        Some(part) => name.contains(part),
        None => LOADING.iter().any(|part| name.contains(part)),
    };
    Ok(lines().filter_map(|line| read(node, line)).filter(|sample| wanted(&sample.name)).collect())
}

/// Reads `name{label="value",…} value [time]`.
fn read(node: &str, line: &str) -> Option<Sample> {
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')?;
    let (name, rest) = line.split_at(end);
    let starts = name.starts_with(|c: char| !c.is_ascii_digit());
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next()?;
    let time = words.next();
    let whole = words.next().is_none() && time.is_none_or(|time| time.parse::<i64>().is_ok());
    (starts && whole && value.parse::<f64>().is_ok()).then(|| Sample {
        node: node.to_owned(),
        name: name.to_owned(),
        labels,
        value: value.to_owned(),
    })
}

/// Labels and what follows their closing brace.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start().strip_prefix('"')?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = &after[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_labels_and_a_value() {
        let one = read("be", r#"txn_request{type="begin",note="a \"b\", c}\\\n"} 42 1700000000000"#).unwrap();
        assert_eq!(one.name, "txn_request");
        assert_eq!(one.labels, [("type".into(), "begin".into()), ("note".into(), "a \"b\", c}\\\n".into())]);
        assert_eq!(one.value, "42");
        for (line, value) in [("a 1", "1"), ("a{} NaN", "NaN"), ("a:b_c{x=\"\",} +Inf", "+Inf"), ("a 1.5e9", "1.5e9")] {
            assert_eq!(read("be", line).unwrap().value, value, "{line}");
        }
        for wrong in ["", "a", "a x", "a{", "a{b}", "a{b=\"c} 1", "<p> 1", "1a 1", "a 1 2 3", "a{b=\"\\", "ä 1", "{} 1"]
        {
            assert!(read("be", wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn samples_are_chosen_by_name_and_nonsense_is_no_metric() {
        let text = b"# TYPE x counter\nstarrocks_be_streaming_load_bytes 7\njvm_heap{type=\"max\"} 9\nodd line here\n";
        let names = |part| {
            let found = samples("be", StatusCode::OK, text, part).unwrap();
            found.into_iter().map(|sample| sample.name).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["starrocks_be_streaming_load_bytes"]);
        assert_eq!(names(Some("jvm")), ["jvm_heap"]);
        assert_eq!(names(Some("")).len(), 2);
        assert!(samples("be", StatusCode::OK, b"", None).unwrap().is_empty());
        assert!(matches!(samples("be", StatusCode::OK, b"<html>\n", None), Err(Error::AnswerUnreadable { .. })));
        assert!(matches!(samples("be", StatusCode::NOT_FOUND, b"x", None), Err(Error::QuestionRefused { .. })));
    }
}
