//! A request with a body: a load of its own (SR §2, §3), or the data of a transaction (SR §4).
//!
//! A frontend sends it on from the headers alone. A backend begins the transaction in the header phase, asks for the body,
//! and from then on goes on by itself: whether the client is still there when it commits changes nothing for sure.

use std::time::Duration;

use bytes::Bytes;

use super::answer::{self, Counts, PAGE, ROLLED_BACK, answer, redirect};
use super::dice::Dice;
use super::server::{State, Taken};
use super::wire::{BACKENDS, Net};
use crate::target::simulated::{Lost, Request, Response};

/// What goes wrong at a frontend, where nothing can be lost yet.
#[derive(Clone, Copy, Debug)]
enum Astray {
    NoConnection,
    NoAnswer,
    Page,
    Gateway,
    Exception,
    NoBackend,
    DeadNode,
    Loop,
    Nowhere,
}

const ASTRAY: &[Astray] = &[
    Astray::NoConnection,
    Astray::NoAnswer,
    Astray::Page,
    Astray::Gateway,
    Astray::Exception,
    Astray::NoBackend,
    Astray::DeadNode,
    Astray::DeadNode,
    Astray::Loop,
    Astray::Nowhere,
];

pub(super) async fn frontend(
    net: &Net,
    request: &Request,
    thing: &str,
    mut dice: Dice,
    node: u64,
) -> Result<Response, Lost> {
    net.way(&mut dice).await;
    // A redirect that nobody can follow ends the job, and rightly: it is the rarer one.
    let astray = net.weather.strikes(&mut dice).then(|| dice.pick(ASTRAY));
    if let Some(astray) = astray {
        net.kernel.note(|| format!("{} {thing}: {astray:?}", net.sender.name));
    }
    let failed =
        |message: &str| Ok(answer(200, answer::load("FAILED", message, "", None, Counts::default(), ""), false));
    match astray {
        None => Ok(redirect(&format!("be{node}:8040"), &request.path)),
        Some(Astray::NoConnection) => Err(Lost::Connect("connection refused".into())),
        Some(Astray::NoAnswer) => {
            net.wait(request.first).await;
            Err(Lost::Asked("no answer within the time".into()))
        }
        Some(Astray::Page) => Ok(answer(200, PAGE, false)),
        Some(Astray::Gateway) => Ok(answer(dice.pick(&[502, 503, 504]), PAGE, false)),
        Some(Astray::Exception) => Ok(answer(500, answer::rest("FAILED", "java.lang.NullPointerException"), false)),
        Some(Astray::NoBackend) => failed("class com.starrocks.common.DdlException: No backend alive."),
        // A node that is down, and a frontend that has not noticed.
        Some(Astray::DeadNode) => Ok(redirect(&format!("be{}:8040", BACKENDS + 1), &request.path)),
        Some(Astray::Loop) => Ok(redirect("fe1:8030", &request.path)),
        Some(Astray::Nowhere) => Ok(Response { headers: Vec::new(), ..redirect("", "") }),
    }
}

/// What goes wrong at a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NoConnection,
    /// Refused before a transaction is begun.
    Busy,
    /// The call that begins the transaction fails, or its answer is lost: it may be open all the same.
    BeginLost {
        open: bool,
    },
    /// The connection breaks before the body is asked for.
    GoneBeforeBody {
        open: bool,
    },
    /// Something in between answers before the body.
    PageBefore,
    /// The body breaks off; the rollback may be lost (SR §3.4).
    BodyCut {
        open: bool,
    },
    /// The server rolls back, and says so in words that are known.
    RolledBack,
    /// It rolls back, and the words are not known.
    RolledBackUnknown,
    /// The call that commits fails for the backend: it says `Fail`, whatever became of it.
    CommitLost {
        committed: bool,
    },
    /// Committed, and the words for the failure are not known.
    CommittedFail,
    AnswerLost,
    PageAfter {
        committed: bool,
    },
    GatewayAfter,
    AnswerCut,
    OtherLabel,
    UnknownStatus,
    /// Nothing for longer than the client waits; then it commits, or is rolled back.
    Stuck {
        committed: bool,
    },
    PublishTimeout,
    /// Fewer rows than were sent, honestly counted.
    FewerRows,
    /// All rows, counted wrongly.
    WrongCounts,
}

const FAULTS: &[Fault] = &[
    Fault::NoConnection,
    Fault::Busy,
    Fault::Busy,
    Fault::BeginLost { open: false },
    Fault::BeginLost { open: true },
    Fault::GoneBeforeBody { open: false },
    Fault::GoneBeforeBody { open: true },
    Fault::PageBefore,
    Fault::BodyCut { open: false },
    Fault::BodyCut { open: true },
    Fault::RolledBack,
    Fault::RolledBack,
    Fault::RolledBackUnknown,
    Fault::CommitLost { committed: false },
    Fault::CommitLost { committed: true },
    Fault::CommittedFail,
    Fault::AnswerLost,
    Fault::AnswerLost,
    Fault::PageAfter { committed: false },
    Fault::PageAfter { committed: true },
    Fault::GatewayAfter,
    Fault::AnswerCut,
    Fault::UnknownStatus,
    Fault::Stuck { committed: false },
    Fault::Stuck { committed: true },
    Fault::PublishTimeout,
    Fault::PublishTimeout,
];

const LIES: &[Fault] = &[Fault::FewerRows, Fault::WrongCounts, Fault::OtherLabel];

fn draw(net: &Net, dice: &mut Dice) -> Option<Fault> {
    if !net.weather.strikes(dice) {
        return None;
    }
    if net.weather.lies() && dice.once_in(6) {
        return Some(dice.pick(LIES));
    }
    Some(dice.pick(FAULTS))
}

pub(super) async fn backend(
    net: &Net,
    request: &Request,
    thing: &str,
    mut dice: Dice,
    node: u64,
) -> Result<Response, Lost> {
    let fault = draw(net, &mut dice);
    if let Some(fault) = fault {
        net.kernel.note(|| format!("{} {thing}: {fault:?}", net.sender.name));
    }
    if fault == Some(Fault::NoConnection) {
        return Err(Lost::Connect("connection refused".into()));
    }
    net.way(&mut dice).await;
    let label = request.header("label").to_owned();
    let data = Data { net, request, label: &label, node, fault };
    if request.path.starts_with("/api/transaction/") { data.load(dice).await } else { data.stream_load(dice).await }
}

struct Data<'a> {
    net: &'a Net,
    request: &'a Request,
    label: &'a str,
    node: u64,
    fault: Option<Fault>,
}

/// A transaction whose client has not sent its body yet: it goes with the connection.
struct Headers<'a> {
    net: &'a Net,
    at: usize,
    /// What becomes of it when the client goes away now: the rollback may be lost.
    aborts: bool,
    held: bool,
}

impl Drop for Headers<'_> {
    fn drop(&mut self) {
        if self.held && self.aborts {
            self.net.server.abort(self.at, "the client has gone");
        }
    }
}

impl Data<'_> {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn failed(&self, message: &str, at: Option<usize>, sent: bool) -> Response {
        answer(200, answer::load("Fail", message, self.label, at, Counts::default(), ""), sent)
    }

    fn body(&self) -> &Bytes {
        self.request.held.as_ref().expect("it has a body")
    }

    fn commit_lost(&self, at: usize) -> Response {
        let message = "FE RPC failure, address=TNetworkAddress(hostname=fe1, port=9020), reason=timed out";
        self.failed(message, Some(at), true)
    }

    async fn stream_load(&self, mut dice: Dice) -> Result<Response, Lost> {
        let net = self.net;
        if self.is(Fault::Busy) {
            return Ok(self.failed(dice.pick(ROLLED_BACK), None, false));
        }
        if self.is(Fault::PageBefore) {
            return Ok(answer(dice.pick(&[200, 502, 503]), PAGE, false));
        }
        if self.is(Fault::BeginLost { open: false }) {
            return Ok(self.failed("FE RPC failure, address=fe1, reason=no more data to read", None, false));
        }
        let timeout = Duration::from_secs(self.request.header("timeout").parse().unwrap_or(600));
        let at = match net.server.begin(&net.sender, self.label, self.node, timeout) {
            Ok(at) => at,
            Err(taken) => return Ok(self.taken(taken)),
        };
        let mut headers = Headers { net, at, aborts: !dice.once_in(4), held: true };
        match self.fault {
            Some(Fault::BeginLost { .. }) => {
                headers.held = false;
                return Ok(self.failed("FE RPC failure, address=fe1, reason=no more data to read", None, false));
            }
            Some(Fault::GoneBeforeBody { open }) => {
                headers.aborts = !open;
                return Err(Lost::Asked("connection reset by peer".into()));
            }
            _ => {}
        }
        // `100 Continue`, and the body.
        net.life.pass().await;
        net.way(&mut dice).await;
        if let Some(Fault::BodyCut { open }) = self.fault {
            headers.aborts = !open;
            return Err(Lost::Sent("connection reset by peer".into()));
        }
        headers.held = false;
        let lost_rows = usize::from(self.is(Fault::FewerRows));
        if !net.server.receive(&net.sender, at, self.body(), lost_rows) {
            return Err(Lost::Sent("connection reset by peer".into()));
        }
        self.conclude(at, timeout, dice).await
    }

    fn taken(&self, taken: Taken) -> Response {
        if self.net.weather.old_dialect() {
            let label = self.label;
            let message = format!(
                "STREAM_LOAD_TASK:7, label{{{label}}}, error_msg{{cancel stream task for exception: Label [{label}] \
                 has already been used.}}"
            );
            return self.failed(&message, None, false);
        }
        let existing = if taken == Taken::Running { "RUNNING" } else { "FINISHED" };
        let more = format!(r#" "ExistingJobStatus": "{existing}","#);
        let message = format!("Label [{}] has already been used.", self.label);
        let reply = answer::load("Label Already Exists", &message, self.label, None, Counts::default(), &more);
        answer(200, reply, false)
    }

    /// The server has all of it, and goes on by itself.
    async fn conclude(&self, at: usize, timeout: Duration, mut dice: Dice) -> Result<Response, Lost> {
        let net = self.net;
        let mut works = Duration::from_nanos(dice.between(5_000_000, 900_000_000));
        let commits = match self.fault {
            Some(Fault::RolledBack | Fault::RolledBackUnknown) => false,
            Some(Fault::CommitLost { committed } | Fault::PageAfter { committed } | Fault::Stuck { committed }) => {
                committed
            }
            _ => true,
        };
        if self.is(Fault::Stuck { committed: true }) {
            works = timeout.mul_f64(0.9) + works;
        }
        // Where it answers `Fail` for a commit that did not happen, the rollback may be lost as well.
        let aborts = !commits && !self.is(Fault::Stuck { committed: false }) && !dice.once_in(3);
        let publish = Duration::from_millis(dice.between(0, 2_000));
        let (server, kernel) = (net.server.clone(), net.kernel.clone());
        net.kernel.after(works, move || {
            if commits && server.commit(at, State::Prepare) {
                let server = server.clone();
                kernel.after(publish, move || {
                    server.publish(at);
                    false
                });
            } else if aborts {
                server.abort(at, "rolled back by the backend");
            }
            false
        });
        let gone = Gone { net, at, notices: dice.once_in(2), waits: true };
        if matches!(self.fault, Some(Fault::Stuck { .. })) {
            net.wait(self.request.whole.min(works)).await;
            gone.stays();
            return Err(Lost::Sent("no answer within 60 s".into()));
        }
        net.wait(works).await;
        net.way(&mut dice).await;
        net.life.pass().await;
        gone.stays();
        self.reply(at, &mut dice)
    }

    fn reply(&self, at: usize, dice: &mut Dice) -> Result<Response, Lost> {
        let (state, counts) = self.net.server.with(|registry| {
            let transaction = &registry.transactions[at];
            (transaction.state, Counts::of(transaction))
        });
        let status = if state == State::Visible { "Success" } else { "Publish Timeout" };
        let landed = |status: &str, label: &str, counts: Counts| {
            Ok(answer(200, answer::load(status, "OK", label, Some(at), counts, ""), true))
        };
        match self.fault {
            Some(Fault::RolledBack) => Ok(self.failed(dice.pick(ROLLED_BACK), Some(at), true)),
            Some(Fault::RolledBackUnknown | Fault::CommittedFail) => {
                Ok(self.failed("a sentence of a newer version", Some(at), true))
            }
            Some(Fault::CommitLost { .. }) => Ok(self.commit_lost(at)),
            Some(Fault::AnswerLost) => Err(Lost::Sent("connection reset by peer".into())),
            Some(Fault::PageAfter { .. }) => Ok(answer(200, PAGE, true)),
            Some(Fault::GatewayAfter) => Ok(answer(dice.pick(&[502, 503, 504]), PAGE, true)),
            Some(Fault::AnswerCut) => Ok(answer(200, r#"{ "TxnId": 7, "Label": "#, true)),
            Some(Fault::OtherLabel) => landed("Success", "somebody-elses-1", counts),
            Some(Fault::UnknownStatus) => landed("Deferred", self.label, counts),
            Some(Fault::WrongCounts) => {
                landed("Success", self.label, Counts { rows: counts.rows + dice.between(1, 3), ..counts })
            }
            _ if !state.is_landed() => Ok(self.failed("transaction is aborted by timeout 60 seconds.", Some(at), true)),
            Some(Fault::PublishTimeout) => landed("Publish Timeout", self.label, counts),
            _ => landed(status, self.label, counts),
        }
    }

    /// The data of a transaction.
    async fn load(&self, mut dice: Dice) -> Result<Response, Lost> {
        let net = self.net;
        let said = |status: &str, message: &str, more: &str, sent: bool| {
            Ok(answer(200, answer::operation(status, message, self.label, more), sent))
        };
        if self.is(Fault::PageBefore) {
            return Ok(answer(dice.pick(&[200, 502, 503]), PAGE, false));
        }
        if let Some(Fault::GoneBeforeBody { .. }) = self.fault {
            return Err(Lost::Asked("connection reset by peer".into()));
        }
        let at = net.server.with(|registry| {
            let at = registry.newest(self.label)?;
            let transaction = &registry.transactions[at];
            let here = transaction.node == self.node && transaction.context && transaction.state == State::Prepare;
            here.then_some(at)
        });
        let Some(at) = at else { return said("TXN_NOT_EXISTS", "", "", false) };
        if matches!(self.fault, Some(Fault::Busy | Fault::BeginLost { .. })) {
            return said("TXN_IN_PROCESSING", "Transaction in processing, please retry later", "", false);
        }
        net.life.pass().await;
        net.way(&mut dice).await;
        if let Some(Fault::BodyCut { open } | Fault::Stuck { committed: open }) = self.fault {
            // An error rolls the transaction back (SR §4.5), where the connection lives long enough to have one.
            if !open {
                net.server.abort(at, "the body breaks off");
            }
            return Err(Lost::Sent("connection reset by peer".into()));
        }
        let lost_rows = usize::from(self.is(Fault::FewerRows));
        if !net.server.receive(&net.sender, at, self.body(), lost_rows) {
            return Err(Lost::Sent("connection reset by peer".into()));
        }
        net.life.pass().await;
        net.way(&mut dice).await;
        let bytes = self.body().len();
        let accepted = |label: &str, bytes: usize| {
            let more = format!(r#" "TxnId": {at}, "LoadBytes": {bytes},"#);
            Ok(answer(200, answer::operation("OK", "", label, &more), true))
        };
        match self.fault {
            Some(Fault::RolledBack | Fault::RolledBackUnknown | Fault::CommitLost { .. }) => {
                net.server.abort(at, "an error in the load");
                said("INTERNAL_ERROR", "a sentence of a newer version", "", true)
            }
            Some(Fault::AnswerLost | Fault::CommittedFail) => Err(Lost::Sent("connection reset by peer".into())),
            Some(Fault::PageAfter { .. }) => Ok(answer(200, PAGE, true)),
            Some(Fault::GatewayAfter) => Ok(answer(504, PAGE, true)),
            Some(Fault::AnswerCut) => Ok(answer(200, "{ \"Status\": ", true)),
            Some(Fault::WrongCounts) => accepted(self.label, bytes + 1),
            _ => accepted(self.label, bytes),
        }
    }
}

/// A load that the server works on while its client waits. It may notice that the client has gone.
struct Gone<'a> {
    net: &'a Net,
    at: usize,
    notices: bool,
    waits: bool,
}

impl Gone<'_> {
    /// The client has had what there was to have.
    fn stays(mut self) {
        self.waits = false;
    }
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if self.waits && self.notices {
            self.net.server.abort(self.at, "the client has gone");
        }
    }
}
