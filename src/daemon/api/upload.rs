//! Uploads: the body of a request is a stream that is loaded while it comes.
//!
//! Nothing of a body is read before everything else is known to be good and there is memory for it, so that a caller who
//! says `Expect: 100-continue` sends nothing in vain. Then it is read as fast as the loader takes it: a target that stalls
//! stops the loader, the loader this, and this the caller. What was read lies in the spool until it is in the table, so that
//! the same body under the same key goes on where an earlier one broke off.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::body::{self, Reply};
use super::problem::Problem;
use super::{Call, jobs};
use crate::daemon::auth::hex;
use crate::daemon::jobs::ask::Ask;
use crate::daemon::jobs::entry::{Entry, Outcome};
use crate::daemon::jobs::new_id;
use crate::failure::Code;
use crate::loader::{Bringer, brought};

/// The header by which a request is known again.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The same as Stream Load has it.
const LABEL: HeaderName = HeaderName::from_static("label");

/// What begins the name of a header that is a setting: `X-Shipload-Columns`.
const SETTING: &str = "x-shipload-";

/// The longest key that is used as it is; a label has room for it and for what we put behind it.
const KEY_BYTES_MAX: usize = 60;

/// How much of the digest of another key is used: enough that no two of them meet.
const KEY_DIGEST_BYTES: usize = 16;

/// The longest key that is taken at all.
const KEY_BYTES_LIMIT: usize = 1024;

/// The key of a request, as a name that a job may have.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(KEY).or_else(|| headers.get(LABEL)) else { return Ok(None) };
    let wrong =
        |what: &str| Problem::new(Code::RequestWrong, what).with_hint("a key is a text of 1 to 1024 characters");
    let text = value.to_str().map_err(|_| wrong("the key is no text"))?;
    // The draft of the header writes it in quotes.
    let text = text.trim().trim_matches('"');
    if text.is_empty() || text.len() > KEY_BYTES_LIMIT {
        return Err(wrong("the key is empty or too long"));
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if plain && text.len() <= KEY_BYTES_MAX {
        return Ok(Some(text.to_owned()));
    }
    Ok(Some(format!("k-{}", hex(&Sha256::digest(text)[..KEY_DIGEST_BYTES]))))
}

/// Loads the body of a request into a table, and answers with the account of it.
pub(super) async fn load(call: Call) -> Result<Reply, Problem> {
    let jobs = Arc::clone(&call.service.jobs);
    jobs.is_open()?;
    let config = call.service.config();
    let key = key(call.request.headers())?.unwrap_or_else(|| format!("upload-{}", new_id()));
    let (target, given) = settings(&call)?;
    let [database, table] = call.segments.as_slice() else { unreachable!("the route has two") };
    let ask = Ask::of_upload(&config, database, table, target, given, &key)?;
    let entry = jobs.submit_upload(ask, &key)?;
    let turn = match jobs.turn_of_upload(&entry).await {
        Ok(turn) => turn,
        Err(problem) => {
            jobs.give_up(&entry, &problem);
            return Err(problem);
        }
    };
    let (bringer, brought) = brought();
    jobs.spawn_upload(Arc::clone(&entry), brought, turn);
    let came = forward(call.request.into_body(), bringer, config.server.stall_timeout).await;
    entry.over().await;
    let outcome = entry.outcome().expect("it is over");
    Ok(answered(&entry, &outcome, &key, came))
}

/// Settings by their names.
type Given = Vec<(String, String)>;

/// The target and the settings that query and headers give.
fn settings(call: &Call) -> Result<(Option<String>, Given), Problem> {
    let mut given = call.parameters();
    for (name, value) in call.request.headers() {
        if let Some(setting) = name.as_str().strip_prefix(SETTING) {
            let value = value.to_str().map_err(|_| {
                Problem::new(Code::RequestWrong, format!("the header {name} is no text"))
                    .with_hint("use the query for it")
            })?;
            given.push((setting.replace('-', "_"), value.to_owned()));
        }
    }
    let is_target = |(name, _): &(String, String)| name == "target";
    let target = given.iter().find(|pair| is_target(pair)).map(|(_, value)| value.clone());
    given.retain(|pair| !is_target(pair));
    if !given.iter().any(|(name, _)| name == "format")
        && let Some(format) = call.request.headers().get(CONTENT_TYPE).and_then(|value| format_of(value.to_str().ok()?))
    {
        given.push(("format".to_owned(), format.to_owned()));
    }
    Ok((target, given))
}

/// The format that a content type stands for. What says nothing, such as curl's own, is found out from the bytes.
fn format_of(content_type: &str) -> Option<&'static str> {
    Some(match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/csv" => "csv",
        "text/tab-separated-values" => "tsv",
        "application/x-ndjson" | "application/jsonl" | "application/json-lines" => "ndjson",
        "application/json" => "json",
        "application/vnd.apache.parquet" => "parquet",
        "application/vnd.apache.arrow.stream" | "application/vnd.apache.arrow.file" => "arrow",
        _ => return None,
    })
}

/// How a body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// To its end, or as far as anybody wanted it.
    Whole,
    /// Not to its end.
    Broken,
    /// Nothing of it for too long.
    Stalled,
}

/// Hands a body on as it comes, and as far as it is taken.
async fn forward(mut body: Incoming, bringer: Bringer, stall: Duration) -> Came {
    loop {
        let frame = tokio::select! {
            frame = tokio::time::timeout(stall, body.frame()) => frame,
            // The job has ended before its input; its account says why.
            () = bringer.gone() => return Came::Whole,
        };
        let failed = match frame {
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data()
                    && bringer.bring(bytes).await.is_err()
                {
                    return Came::Whole;
                }
                continue;
            }
            Ok(None) => {
                // A reader that is gone has no use for the end.
                let _ = bringer.end().await;
                return Came::Whole;
            }
            Ok(Some(Err(error))) => (Came::Broken, io::Error::new(io::ErrorKind::ConnectionAborted, error)),
            Err(_) => {
                let what = format!("nothing came for {} s", stall.as_secs_f64());
                (Came::Stalled, io::Error::new(io::ErrorKind::TimedOut, what))
            }
        };
        let (came, error) = failed;
        bringer.fail(error).await;
        return came;
    }
}

fn answered(entry: &Entry, outcome: &Outcome, key: &str, came: Came) -> Reply {
    let mut reply = if outcome.state.is_done() {
        body::json(StatusCode::OK, &outcome.report)
    } else {
        let error = outcome.error().cloned();
        let code = error.as_ref().and_then(|error| Code::named(&error.code)).unwrap_or(Code::Interrupted);
        let detail = error.as_ref().map_or_else(|| outcome.state.word().to_owned(), |error| error.message.clone());
        let problem =
            Problem::new(code, detail).with("report", json!(outcome.report)).with("id", entry.id.as_str().into());
        // What is said of a command that was interrupted is no help here.
        let hint = error.and_then(|error| error.hint).filter(|_| code != Code::Interrupted);
        let problem = problem.with_hint(hint.as_deref().unwrap_or("send it again under the same key"));
        let problem = match came {
            Came::Whole => problem,
            Came::Broken => problem.with_status(StatusCode::BAD_REQUEST),
            Came::Stalled => problem.with_status(StatusCode::REQUEST_TIMEOUT),
        };
        problem.with_retry_where_it_helps().reply()
    };
    if let Ok(value) = HeaderValue::from_str(key) {
        reply.headers_mut().insert(KEY, value);
    }
    jobs::located(reply, entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_name_or_becomes_one() {
        let key_of = |name: &'static str, value: &str| {
            key(&HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())]))
        };
        assert_eq!(key_of("idempotency-key", "\"night-7\"").unwrap().as_deref(), Some("night-7"));
        assert_eq!(key_of("label", "night_7").unwrap().as_deref(), Some("night_7"));
        let hashed = key_of("idempotency-key", "a b/c").unwrap().unwrap();
        assert!(hashed.parse::<crate::model::JobId>().is_ok() && hashed.starts_with("k-"), "{hashed}");
        assert_ne!(hashed, key_of("idempotency-key", "a b/d").unwrap().unwrap());
        assert!(key_of("idempotency-key", &"x".repeat(61)).unwrap().unwrap().starts_with("k-"));
        assert!(key_of("idempotency-key", "").is_err());
        assert!(key_of("idempotency-key", &"x".repeat(2000)).is_err());
        assert_eq!(key(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_content_type_tells_the_format_where_it_tells_anything() {
        assert_eq!(format_of("Text/CSV; charset=utf-8"), Some("csv"));
        assert_eq!(format_of("application/x-www-form-urlencoded"), None);
    }
}
