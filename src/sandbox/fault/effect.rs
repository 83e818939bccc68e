//! What a fault does, and at which steps it can.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::document::{Piece, Wrong, listed};
use super::preset::{self, Preset};
use super::step::Step;

/// The longest time that a fault takes: an hour.
const MILLISECONDS_MAX: u64 = 3_600_000;
/// The most bytes that a fault counts to.
const BYTES_MAX: u64 = 1 << 40;

/// What happens where a rule fires.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sandbox) enum Effect {
    /// On the wire, which the HTTP layer sees to.
    Wire(Wire),
    /// Inside the node, which whoever carries the load or the transaction sees to.
    Inner(Inner),
}

/// An effect inside the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Inner {
    /// Goes on after a while.
    Delay(Duration),
    /// Fails in these words, and rolls back as after any other failure.
    Fail(Complaint),
    /// Is committed, and answers like a failure all the same.
    CommitThenFail(Complaint),
    /// Is committed, and answers that the rows are not visible yet; they are made visible after a while.
    PublishTimeout { visible_after: Duration },
    /// Forgets the rollback: the transaction stays as it is until its time is up.
    LoseRollback,
    /// The node dies as by `kill -9`, and comes back after a while, or never.
    Crash { restart_after: Option<Duration> },
}

/// The words of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Complaint {
    /// The `Message`.
    pub(in crate::sandbox) message: String,
    /// The `Status` of the transaction interface; a Stream Load says `Fail` whatever this is.
    pub(in crate::sandbox) status: String,
}

/// An effect on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sandbox) enum Wire {
    Delay(Duration),
    /// So many bytes at a time, and a rest after each.
    Trickle {
        bytes: usize,
        rest: Duration,
    },
    /// Ends the connection.
    End(End),
    /// Says and reads nothing until the client has left, or this long.
    Hold(Option<Duration>),
    /// Says something else.
    Say(Say),
    /// Sends the beginning of the answer.
    Truncate {
        bytes: Option<usize>,
        length: Length,
    },
    /// Sends the head of the answer and no body.
    Empty,
    /// Sends every byte of the answer twice.
    Duplicate,
    /// Sends the answer with another content type, or none.
    ContentType(Option<HeaderValue>),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum End {
    /// By RST: the other side's reads and writes fail.
    Reset,
    /// By FIN: the other side reads the end.
    Close,
}

/// What a truncated answer's `Content-Length` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Length {
    /// The whole answer's: the client waits for the rest and meets the end of the connection.
    Full,
    /// What is sent: only a parser notices.
    Matching,
}

/// An answer that is not the node's.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sandbox) enum Say {
    /// A proxy's error page.
    Html(StatusCode),
    /// A redirect.
    Redirect(Target),
    /// Anything.
    Answer { status: StatusCode, body: String, content_type: Option<HeaderValue> },
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Target {
    /// Where the client is already.
    Itself,
    /// Where nobody listens.
    Dead,
    /// Elsewhere.
    Location(String),
}

/// The kinds of effects: name, steps at which they can happen, keys.
struct Kind {
    name: &'static str,
    steps: &'static [Step],
    keys: &'static [&'static str],
}

const ON_THE_WIRE: &[Step] = &[Step::Accept, Step::Head, Step::Continue, Step::Body, Step::Answer];
const OF_A_REQUEST: &[Step] = &[Step::Head, Step::Continue, Step::Body, Step::Answer];
const EVERYWHERE: &[Step] = &[
    Step::Accept,
    Step::Head,
    Step::Continue,
    Step::Body,
    Step::Begin,
    Step::Plan,
    Step::Write,
    Step::Commit,
    Step::Committed,
    Step::Publish,
    Step::Prepare,
    Step::Prepared,
    Step::Rollback,
    Step::Answer,
];
/// Where nothing has been decided yet, so that a failure leaves nothing behind.
const UNDECIDED: &[Step] = &[Step::Begin, Step::Plan, Step::Write, Step::Commit, Step::Prepare, Step::Rollback];
const INNER: &[Step] = &[
    Step::Begin,
    Step::Plan,
    Step::Write,
    Step::Commit,
    Step::Committed,
    Step::Publish,
    Step::Prepare,
    Step::Prepared,
    Step::Rollback,
];

const KINDS: &[Kind] = &[
    Kind { name: "delay", steps: EVERYWHERE, keys: &["ms"] },
    Kind { name: "reset", steps: ON_THE_WIRE, keys: &[] },
    Kind { name: "close", steps: ON_THE_WIRE, keys: &[] },
    Kind { name: "hold", steps: OF_A_REQUEST, keys: &["ms"] },
    Kind { name: "trickle", steps: &[Step::Body, Step::Answer], keys: &["bytes", "every_ms"] },
    Kind { name: "html", steps: OF_A_REQUEST, keys: &["status"] },
    Kind { name: "redirect", steps: OF_A_REQUEST, keys: &["to"] },
    Kind { name: "answer", steps: OF_A_REQUEST, keys: &["status", "body", "content_type"] },
    Kind { name: "empty", steps: &[Step::Answer], keys: &[] },
    Kind { name: "truncate", steps: &[Step::Answer], keys: &["bytes", "length"] },
    Kind { name: "duplicate", steps: &[Step::Answer], keys: &[] },
    Kind { name: "content_type", steps: &[Step::Answer], keys: &["value"] },
    Kind { name: "fail", steps: UNDECIDED, keys: &["preset", "message", "status"] },
    Kind { name: "commit_then_fail", steps: &[Step::Committed], keys: &["preset", "message", "status"] },
    Kind { name: "publish_timeout", steps: &[Step::Publish], keys: &["visible_after_ms"] },
    Kind { name: "lose_rollback", steps: &[Step::Rollback], keys: &[] },
    Kind { name: "crash", steps: INNER, keys: &["restart_after_ms"] },
];

impl Effect {
    /// Reads what a rule does at a step, with the name of its kind.
    pub(super) fn parse(piece: &Piece<'_>, step: Step) -> Result<(&'static str, Self), Wrong> {
        let kinds: Vec<(&str, &Kind)> = KINDS.iter().map(|kind| (kind.name, kind)).collect();
        let mut keys: Vec<&str> = vec!["kind"];
        for key in KINDS.iter().flat_map(|kind| kind.keys) {
            if !keys.contains(key) {
                keys.push(key);
            }
        }
        let named = piece.members(&keys)?;
        let named = named.required("kind")?;
        let kind = named.name("an effect", &kinds)?;
        if !kind.steps.contains(&step) {
            let at: Vec<&str> = kind.steps.iter().map(|step| step.name()).collect();
            let here: Vec<&str> =
                KINDS.iter().filter(|kind| kind.steps.contains(&step)).map(|kind| kind.name).collect();
            let message = format!(
                "`{}` cannot happen at `{}` but at {}; what can happen there: {}",
                kind.name,
                step.name(),
                listed(&at),
                listed(&here)
            );
            return Err(named.wrong(message));
        }
        let members = piece.members(&[&["kind"], kind.keys].concat())?;
        let millis = |key: &str| match members.optional(key) {
            Some(piece) => piece.number(0, MILLISECONDS_MAX).map(|number| Some(Duration::from_millis(number))),
            None => Ok(None),
        };
        let size = |key: &str, otherwise: Option<usize>| match members.optional(key) {
            Some(piece) => {
                let number = piece.number(u64::from(key == "bytes" && kind.name == "trickle"), BYTES_MAX)?;
                Ok(Some(usize::try_from(number).unwrap_or(usize::MAX)))
            }
            None => Ok(otherwise),
        };
        let effect = match kind.name {
            "delay" => {
                members.required("ms")?;
                let delay = millis("ms")?.unwrap_or_default();
                if step.is_inner() { Self::Inner(Inner::Delay(delay)) } else { Self::Wire(Wire::Delay(delay)) }
            }
            "reset" => Self::Wire(Wire::End(End::Reset)),
            "close" => Self::Wire(Wire::End(End::Close)),
            "hold" => Self::Wire(Wire::Hold(millis("ms")?)),
            "trickle" => {
                members.required("bytes")?;
                members.required("every_ms")?;
                let bytes = size("bytes", None)?.unwrap_or(1);
                Self::Wire(Wire::Trickle { bytes, rest: millis("every_ms")?.unwrap_or_default() })
            }
            "html" => Self::Wire(Wire::Say(Say::Html(status(members.optional("status"), StatusCode::BAD_GATEWAY)?))),
            "redirect" => Self::Wire(Wire::Say(Say::Redirect(target(members.required("to")?)?))),
            "answer" => Self::Wire(Wire::Say(Say::Answer {
                status: status(members.optional("status"), StatusCode::OK)?,
                body: members.optional("body").map_or(Ok(String::new()), body)?,
                content_type: members.optional("content_type").map_or(Ok(None), content_type)?,
            })),
            "empty" => Self::Wire(Wire::Empty),
            "truncate" => {
                let lengths = [("full", Length::Full), ("matching", Length::Matching)];
                let length =
                    members.optional("length").map_or(Ok(Length::Full), |piece| piece.name("a length", &lengths));
                Self::Wire(Wire::Truncate { bytes: size("bytes", None)?, length: length? })
            }
            "duplicate" => Self::Wire(Wire::Duplicate),
            "content_type" => Self::Wire(Wire::ContentType(content_type(members.required("value")?)?)),
            "fail" => {
                if members.optional("preset").is_none() {
                    members.required("message").map_err(|_| piece.wrong("give a `preset` or a `message`"))?;
                }
                Self::Inner(Inner::Fail(complaint(&members, None)?))
            }
            "commit_then_fail" => Self::Inner(Inner::CommitThenFail(complaint(&members, Some(&preset::RPC_FAILURE))?)),
            "publish_timeout" => {
                let visible_after = millis("visible_after_ms")?.unwrap_or_default();
                Self::Inner(Inner::PublishTimeout { visible_after })
            }
            "lose_rollback" => Self::Inner(Inner::LoseRollback),
            _ => Self::Inner(Inner::Crash { restart_after: millis("restart_after_ms")? }),
        };
        Ok((kind.name, effect))
    }

    /// The same, with the words of a failure filled in for one request.
    pub(super) fn fill(mut self, node: &str, database: Option<&str>, label: Option<&str>) -> Self {
        if let Self::Inner(Inner::Fail(complaint) | Inner::CommitThenFail(complaint)) = &mut self {
            for (name, value) in [("{node}", Some(node)), ("{database}", database), ("{label}", label)] {
                if complaint.message.contains(name) {
                    complaint.message = complaint.message.replace(name, value.unwrap_or_default());
                }
            }
        }
        self
    }
}

fn status(piece: Option<&Piece<'_>>, otherwise: StatusCode) -> Result<StatusCode, Wrong> {
    let Some(piece) = piece else { return Ok(otherwise) };
    // 1xx is no answer.
    let number = piece.number(200, 599)?;
    let number = u16::try_from(number).expect("a status has three digits");
    Ok(StatusCode::from_u16(number).expect("200 to 599 are statuses"))
}

/// A text as it is, or any other value as JSON.
fn body(piece: &Piece<'_>) -> Result<String, Wrong> {
    if piece.is_text() { piece.read("a text") } else { Ok(piece.as_written().to_owned()) }
}

fn content_type(piece: &Piece<'_>) -> Result<Option<HeaderValue>, Wrong> {
    let text: Option<String> = piece.read("a content type, or null for none")?;
    let value = |text: String| HeaderValue::from_str(&text).map_err(|_| piece.wrong("this cannot stand in a header"));
    text.map(value).transpose()
}

fn target(piece: &Piece<'_>) -> Result<Target, Wrong> {
    let expected = "\"itself\", \"dead\", or a location: http://host:port[/path]";
    let text: String = piece.read(expected)?;
    match text.as_str() {
        "itself" => Ok(Target::Itself),
        "dead" => Ok(Target::Dead),
        _ if HeaderValue::from_str(&text).is_err() => Err(piece.wrong("this cannot stand in a header")),
        _ if text.contains("://") => Ok(Target::Location(text)),
        _ => Err(piece.wrong(format!("this is {expected}"))),
    }
}

fn complaint(members: &super::document::Members<'_>, otherwise: Option<&Preset>) -> Result<Complaint, Wrong> {
    let presets: Vec<(&str, &Preset)> = preset::ALL.iter().map(|preset| (preset.name, preset)).collect();
    let preset = match members.optional("preset") {
        Some(piece) => Some(piece.name("a preset", &presets)?),
        None => otherwise,
    };
    let message = match (members.optional("message"), preset) {
        (Some(piece), _) => piece.read("a text")?,
        (None, preset) => preset.map(|preset| preset.message.to_owned()).unwrap_or_default(),
    };
    let statuses: Vec<(&str, &str)> = preset::STATUSES.iter().map(|name| (*name, *name)).collect();
    let status = match (members.optional("status"), preset) {
        (Some(piece), _) => piece.name("a status", &statuses)?,
        (None, preset) => preset.map_or("INTERNAL_ERROR", |preset| preset.status),
    };
    Ok(Complaint { message, status: status.to_owned() })
}
