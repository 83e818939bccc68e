//! Replies to results: with [`symptom`](super::symptom), the only place that knows the server's words (SR §3, §5.4).
//!
//! Bodies decide, whatever the HTTP status and content type say; keys are compared without case, because the two kinds of
//! node spell them differently (SR §1.4).

use serde_json::Value;

use super::symptom::{Meaning, meaning};
use super::{Error, LabelState, Loaded};
use crate::model::Label;
use crate::simulated::{Mistake, makes};

/// How much of an answer that makes no sense is quoted, in characters.
const EXCERPT_CHARS: usize = 200;

/// How many lines of the server's error log are shown, and how many characters of each.
const SAMPLES: usize = 5;
const SAMPLE_CHARS: usize = 300;

/// A reply to a load.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reply {
    pub(super) status: String,
    pub(super) existing_job_status: String,
    pub(super) message: String,
    pub(super) label: Option<String>,
    pub(super) transaction_id: Option<i64>,
    pub(super) rows_total: Option<u64>,
    pub(super) rows_loaded: Option<u64>,
    pub(super) rows_filtered: Option<u64>,
    pub(super) rows_unselected: Option<u64>,
    pub(super) load_bytes: Option<u64>,
    pub(super) error_url: Option<String>,
    pub(super) phases: Vec<(String, u64)>,
}

/// What was sent, to compare a reply with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    pub(super) address: &'a str,
    pub(super) place: &'a str,
    pub(super) label: &'a Label,
    pub(super) rows: u64,
    pub(super) body_bytes: u64,
    /// Whether the load leaves rows out on purpose.
    pub(super) with_filter: bool,
}

/// What a reply means for its load.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is in the table.
    Loaded(Loaded),
    /// The label's state has to be asked for at once.
    Ask(String),
    /// It failed.
    Failed(Error),
}

/// Reads a reply; none where the body is not one.
pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let Value::Object(members) = serde_json::from_slice(body).ok()? else { return None };
    let mut reply = Reply::default();
    let mut status = None;
    for (key, value) in &members {
        match key.to_ascii_lowercase().as_str() {
            "status" => status = status.or_else(|| text(value)),
            "existingjobstatus" => reply.existing_job_status = text(value).unwrap_or_default(),
            "message" | "msg" | "exception" if reply.message.is_empty() => {
                reply.message = text(value).unwrap_or_default();
            }
            "label" => reply.label = text(value),
            "txnid" => reply.transaction_id = integer(value),
            "numbertotalrows" => reply.rows_total = count(value),
            "numberloadedrows" => reply.rows_loaded = count(value),
            "numberfilteredrows" => reply.rows_filtered = count(value),
            "numberunselectedrows" => reply.rows_unselected = count(value),
            "loadbytes" => reply.load_bytes = count(value),
            "errorurl" => reply.error_url = text(value).filter(|url| !url.is_empty()),
            lower if lower.ends_with("timems") => reply.phases.extend(count(value).map(|time| (key.clone(), time))),
            _ => {}
        }
    }
    reply.status = status?;
    Some(reply)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    text(value)?.parse().ok()
}

fn count(value: &Value) -> Option<u64> {
    text(value)?.parse().ok()
}

/// What a reply to a load means.
pub(super) fn judge(reply: &Reply, sent: &Sent<'_>) -> Verdict {
    match reply.status.trim().to_ascii_lowercase().as_str() {
        "success" => committed(reply, sent, true),
        "publish timeout" => committed(reply, sent, false),
        "label already exists" if reply.existing_job_status.eq_ignore_ascii_case("FINISHED") => {
            Verdict::Loaded(Loaded::before(false))
        }
        "label already exists" if reply.existing_job_status.eq_ignore_ascii_case("RUNNING") => {
            Verdict::Failed(Error::LabelBusy { label: sent.label.to_string(), message: said(reply) })
        }
        "label already exists" => Verdict::Ask(said(reply)),
        "fail" if makes(Mistake::TrustFail) => {
            Verdict::Failed(error_of(Meaning::Again(0), said(reply), sent.address, sent.place))
        }
        // A backend's failure whose words are not known may still have been committed (SR §3.4): the label says.
        "fail" => failed(reply, sent, Meaning::Settle),
        // A frontend's comes before any transaction.
        "failed" => failed(reply, sent, Meaning::Again(0)),
        _ => Verdict::Failed(Error::Unconfirmed {
            address: sent.address.to_owned(),
            reason: format!("an unknown status `{}`: {}", cut(&reply.status, SAMPLE_CHARS), said(reply)),
        }),
    }
}

pub(super) fn said(reply: &Reply) -> String {
    let message = if reply.message.is_empty() { &reply.status } else { &reply.message };
    cut(message, 2_000)
}

fn committed(reply: &Reply, sent: &Sent<'_>, visible: bool) -> Verdict {
    if let Some(difference) = difference(reply, sent) {
        return Verdict::Failed(Error::CountsDisagree { label: sent.label.to_string(), difference });
    }
    Verdict::Loaded(Loaded {
        transaction_id: reply.transaction_id.filter(|id| *id >= 0),
        visible,
        already: false,
        rows_loaded: reply.rows_loaded,
        rows_unselected: reply.rows_unselected,
        phases: reply.phases.clone(),
    })
}

/// How label, rows and bytes in a reply differ from what was sent; none where they agree.
pub(super) fn difference(reply: &Reply, sent: &Sent<'_>) -> Option<String> {
    if makes(Mistake::TrustCounts) || makes(Mistake::RepeatInTransaction) {
        return None;
    }
    let mut differences = Vec::new();
    let mut compare = |name: &str, got: Option<u64>, wanted: u64| {
        if got != Some(wanted) {
            let got = got.map_or("no".to_owned(), |got| got.to_string());
            differences.push(format!("{got} {name} for {wanted}"));
        }
    };
    compare("rows", reply.rows_total, sent.rows);
    compare("filtered rows", reply.rows_filtered, 0);
    let kept =
        reply.rows_loaded.zip(reply.rows_unselected).map(|(loaded, unselected)| loaded.saturating_add(unselected));
    compare("loaded and unselected rows", kept, sent.rows);
    compare("body bytes", reply.load_bytes, sent.body_bytes);
    differences.extend(other_label(reply, sent.label));
    (!differences.is_empty()).then(|| differences.join(", "))
}

/// The label of a reply, in words, where it is not the one that was sent.
pub(super) fn other_label(reply: &Reply, sent: &Label) -> Option<String> {
    let got = reply.label.as_deref();
    (got != Some(sent.as_str()))
        .then(|| format!("label `{}`", got.map_or("none".to_owned(), |label| cut(label, SAMPLE_CHARS))))
}

fn failed(reply: &Reply, sent: &Sent<'_>, unknown: Meaning) -> Verdict {
    let message = said(reply);
    let meaning = meaning(&reply.message).unwrap_or(unknown);
    if meaning == Meaning::Settle {
        return Verdict::Ask(message);
    }
    if meaning == Meaning::NoRows && sent.with_filter && nothing_selected(reply, sent) {
        // The filter left no row of this chunk. The server calls an empty load an error and rolls it back; its rows are
        // accounted for all the same.
        return Verdict::Loaded(Loaded {
            transaction_id: None,
            visible: true,
            already: false,
            rows_loaded: Some(0),
            rows_unselected: Some(sent.rows),
            phases: reply.phases.clone(),
        });
    }
    if meaning == Meaning::Rows {
        return Verdict::Failed(Error::RowsRefused {
            message,
            total: reply.rows_total.unwrap_or(sent.rows),
            filtered: reply.rows_filtered.unwrap_or(0),
            samples: Vec::new(),
            lines: Vec::new(),
            log: reply.error_url.clone(),
        });
    }
    Verdict::Failed(error_of(meaning, message, sent.address, sent.place))
}

pub(super) fn nothing_selected(reply: &Reply, sent: &Sent<'_>) -> bool {
    let all_unselected = reply.rows_unselected == Some(sent.rows);
    // Where the failure comes before the rows are counted, the whole body has arrived and none of it was at fault.
    let uncounted = reply.rows_total == Some(0) && reply.load_bytes == Some(sent.body_bytes);
    (all_unselected || uncounted) && reply.rows_filtered == Some(0) && reply.rows_loaded == Some(0)
}

pub(super) fn error_of(meaning: Meaning, message: String, address: &str, place: &str) -> Error {
    match meaning {
        Meaning::Open | Meaning::Settle => Error::Unconfirmed { address: address.to_owned(), reason: message },
        Meaning::Again(pause) => Error::Failed { after: Meaning::pause(pause), message },
        Meaning::Busy(overload) => {
            // What less sending does not cure passes in its own time, and attempts are counted meanwhile.
            let after = (!overload.is_back_pressure()).then(|| overload.backoff_max());
            Error::Busy { address: address.to_owned(), overload, after, message }
        }
        Meaning::Denied => Error::AccessDenied { address: address.to_owned(), message },
        Meaning::NoTable => Error::NoSuchTable { place: place.to_owned(), message },
        Meaning::Rows | Meaning::NoRows | Meaning::Refused => Error::Refused { message },
    }
}

/// Reads the answer to a question for a label's state; none where it is not one.
pub(super) fn label_state(body: &[u8], address: &str, place: &str) -> Option<Result<LabelState, Error>> {
    let reply = parse(body)?;
    if !reply.status.eq_ignore_ascii_case("OK") {
        return Some(Err(refusal(&reply, address, place)));
    }
    let Value::Object(members) = serde_json::from_slice(body).ok()? else { return None };
    let state = members.iter().find(|(key, _)| key.eq_ignore_ascii_case("state")).and_then(|(_, value)| text(value))?;
    Some(Ok(match state.trim().to_ascii_uppercase().as_str() {
        "UNKNOWN" => LabelState::Unknown,
        "PREPARE" => LabelState::Prepare,
        "PREPARED" => LabelState::Prepared,
        "COMMITTED" => LabelState::Committed,
        "VISIBLE" => LabelState::Visible,
        "ABORTED" => LabelState::Aborted,
        _ => return None,
    }))
}

/// A frontend's refusal of anything but a load: nothing was to be applied, so nothing is in doubt.
pub(super) fn refusal(reply: &Reply, address: &str, place: &str) -> Error {
    let message = said(reply);
    match meaning(&reply.message) {
        Some(Meaning::Open | Meaning::Settle) | None => Error::Refused { message },
        Some(meaning) => error_of(meaning, message, address, place),
    }
}

/// What an answer says for itself: the message in it where it is a reply of any shape, else its start.
pub(super) fn words(status: hyper::StatusCode, body: &[u8]) -> String {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return excerpt(status, body) };
    let said = ["message", "msg", "exception"].into_iter().find_map(|wanted| {
        let member = members.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted));
        member.and_then(|(_, value)| value.as_str()).filter(|text| !text.is_empty())
    });
    said.map_or_else(|| excerpt(status, body), |said| cut(said, 2_000))
}

/// Whether a message says that the database, or the table, does not exist.
pub(super) fn says_no_table(message: &str) -> bool {
    meaning(message) == Some(Meaning::NoTable)
}

/// The start of an answer, for people.
pub(super) fn excerpt(status: hyper::StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return format!("HTTP {} without a body", status.as_u16());
    }
    format!("HTTP {}: {}", status.as_u16(), cut(text.trim(), EXCERPT_CHARS))
}

/// The first lines of the server's error log. A log that is gone is answered with a sentence (SR §3.3), which is no line.
pub(super) fn samples(log: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(log);
    if !text.contains("Row:") {
        return Vec::new();
    }
    text.lines().filter(|line| !line.trim().is_empty()).take(SAMPLES).map(|line| cut(line, SAMPLE_CHARS)).collect()
}

/// At most this many characters, all of them printable.
fn cut(text: &str, chars: usize) -> String {
    let mut cut: String = text.chars().take(chars).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(chars).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
