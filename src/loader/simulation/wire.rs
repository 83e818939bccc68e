//! [`Net`]: what one process reaches of the cluster, and all that goes wrong in between.
//!
//! Two frontends and three backends stand in front of one [`Server`]. Each request draws its fault from numbers that belong
//! to the seed, the process, the operation, its label and how often it came; nothing else decides, so that a seed can be
//! played again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::answer::{self, PAGE, answer, redirect};
use super::dice::Dice;
use super::kernel::Kernel;
use super::life::Life;
use super::server::{Sender, Server, State, Taken};
use super::stream_load;
use super::weather::Weather;
use crate::target::simulated::{Lost, Request, Response, Wire};

pub(super) const BACKENDS: u64 = 3;

/// A process at the network.
#[derive(Clone)]
pub(super) struct Net {
    pub(super) kernel: Kernel,
    pub(super) server: Server,
    pub(super) sender: Sender,
    pub(super) life: Life,
    pub(super) weather: Weather,
    asked: Arc<Mutex<HashMap<String, u64>>>,
}

/// What goes wrong with a request that has no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NoConnection,
    /// It never arrives.
    LostBefore,
    /// It is done, and the answer does not arrive.
    LostAfter,
    PageBefore,
    PageAfter,
    CutAnswer,
    /// A frontend's exception before anything is done.
    Exception,
    /// The answer to another label.
    OtherLabel,
    /// It is done, and called a failure.
    DoneAndFailed,
    /// It is not done, and called a failure in words that are not known.
    UnknownFailure,
    /// Nothing for longer than anybody waits; then it is done after all.
    Stuck,
}

const FAULTS: &[Fault] = &[
    Fault::NoConnection,
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::PageBefore,
    Fault::PageAfter,
    Fault::CutAnswer,
    Fault::Exception,
    Fault::OtherLabel,
    Fault::DoneAndFailed,
    Fault::UnknownFailure,
    Fault::Stuck,
];

impl Net {
    pub(super) fn new(kernel: Kernel, server: Server, sender: Sender, life: Life, weather: Weather) -> Self {
        Self { kernel, server, sender, life, weather, asked: Arc::default() }
    }

    /// The numbers of this very request.
    fn dice(&self, thing: &str) -> Dice {
        let times = {
            let mut asked = self.asked.lock().unwrap();
            let times = asked.entry(thing.to_owned()).or_default();
            *times += 1;
            *times
        };
        Dice::of(self.weather.seed(), &format!("{} {thing} {times}", self.sender.name))
    }

    /// Some milliseconds on the way, and never the same twice.
    pub(super) async fn way(&self, dice: &mut Dice) {
        self.kernel.nap(Duration::from_nanos(dice.between(200_000, 9_000_000))).await;
    }

    pub(super) async fn wait(&self, duration: Duration) {
        self.kernel.nap(duration).await;
    }

    /// A request without a body: it is done in one moment, or it is not. One whose client goes away on its way may
    /// be done all the same.
    async fn control(
        &self,
        request: &Request,
        thing: &str,
        mut dice: Dice,
        act: impl FnOnce(&Self) -> Response + Send,
    ) -> Result<Response, Lost> {
        let fault = self.weather.strikes(&mut dice).then(|| dice.pick(FAULTS));
        if let Some(fault) = fault {
            self.kernel.note(|| format!("{} {thing}: {fault:?}", self.sender.name));
        }
        if fault == Some(Fault::NoConnection) {
            self.way(&mut dice).await;
            return Err(Lost::Connect("connection refused".into()));
        }
        let arrives = dice.once_in(2);
        let mut act = Pending(Some(|| act(self)), arrives);
        self.way(&mut dice).await;
        match fault {
            Some(Fault::LostBefore) => {
                act.forget();
                self.way(&mut dice).await;
                return Err(Lost::Asked("connection reset by peer".into()));
            }
            Some(Fault::Stuck) => {
                self.wait(request.whole).await;
                act.now();
                return Err(Lost::Asked("no answer within the time".into()));
            }
            Some(Fault::PageBefore) => {
                act.forget();
                return Ok(answer(200, PAGE, false));
            }
            Some(Fault::Exception) => {
                act.forget();
                return Ok(answer(500, answer::rest("FAILED", "java.lang.NullPointerException"), false));
            }
            Some(Fault::UnknownFailure) => {
                act.forget();
                return Ok(answer(200, answer::decided("FAILED", "a sentence of a newer version", "-"), false));
            }
            _ => {}
        }
        let reply = act.now();
        self.life.pass().await;
        self.way(&mut dice).await;
        match fault {
            Some(Fault::LostAfter) => Err(Lost::Asked("connection reset by peer".into())),
            Some(Fault::PageAfter) => Ok(answer(200, PAGE, false)),
            Some(Fault::CutAnswer) => {
                let body = reply.body.chars().take(reply.body.chars().count() / 2).collect::<String>();
                Ok(Response { body, headers: Vec::new(), status: 200, sent: false })
            }
            Some(Fault::OtherLabel) if reply.body.contains("\"Label\"") => {
                Ok(answer(200, answer::operation("OK", "", "somebody-elses-1", ""), false))
            }
            Some(Fault::DoneAndFailed) => {
                Ok(answer(200, answer::decided("FAILED", "publish timeout: 60000, transactionId=7", "-"), false))
            }
            _ => Ok(reply),
        }
    }

    async fn frontend(&self, request: Request) -> Result<Response, Lost> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let label = query.strip_prefix("label=").unwrap_or_else(|| request.header("label")).to_owned();
        let operation = path.rsplit('/').next().unwrap_or_default().to_owned();
        let thing = format!("{operation} {label}");
        let mut dice = self.dice(&thing);
        let node = dice.between(1, BACKENDS);
        if operation == "_stream_load" {
            return stream_load::frontend(self, &request, &thing, dice, node).await;
        }
        let whole = request.path.clone();
        let act = move |net: &Self| net.decide(&operation, &label, node, &whole);
        self.control(&request, &thing, dice, act).await
    }

    /// What a frontend answers.
    fn decide(&self, operation: &str, label: &str, node: u64, path: &str) -> Response {
        let newest = self.server.with(|registry| {
            let at = registry.newest(label)?;
            let transaction = &registry.transactions[at];
            Some((at, transaction.state, transaction.node))
        });
        let to = |node: u64| redirect(&format!("be{node}:8040"), path);
        let said = |text: String| answer(200, text, false);
        if matches!(operation, "commit" | "rollback" | "_cancel") && newest.is_some() {
            self.server.watch(&self.sender, label, operation);
        }
        self.kernel.note(|| format!("{} {operation} {label}: {newest:?}", self.sender.name));
        match (operation, newest) {
            ("schema", _) => said(answer::SCHEMA.to_owned()),
            ("get_load_state", newest) => {
                said(answer::label_state(newest.map_or("UNKNOWN", |(_, state, _)| state.word())))
            }
            ("begin", _) => to(node),
            ("commit" | "rollback", None) => {
                said(answer::decided("FAILED", &format!("No transaction found by label {label}"), label))
            }
            ("commit" | "rollback", Some((_, State::Prepare, node))) => to(node),
            ("commit", Some((at, State::Prepared, _))) => {
                self.server.commit_prepared(&self.sender, at);
                self.publish_soon(at, node);
                said(answer::decided("OK", "", label))
            }
            ("commit", Some((_, State::Aborted, _))) => {
                said(answer::decided("FAILED", "Can not commit ABORTED transaction 7", label))
            }
            ("commit", Some(_)) => {
                said(answer::decided("OK", &format!("Transaction 7 has already committed, label is {label}"), label))
            }
            ("rollback", Some((at, State::Prepared, _))) => {
                self.server.roll_back(&self.sender, at);
                said(answer::decided("OK", "", label))
            }
            ("rollback", Some((_, State::Aborted, _))) => {
                said(answer::decided("OK", "Transaction 7 has already aborted", label))
            }
            ("rollback", Some((_, state, _))) => {
                said(answer::decided("FAILED", &format!("Can not abort {} transaction 7", state.word()), label))
            }
            ("_cancel", Some((at, State::Prepare, _))) => {
                self.server.roll_back(&self.sender, at);
                said(answer::rest("OK", "OK"))
            }
            ("_cancel", _) => said(answer::rest("FAILED", &format!("transaction not found: {label}"))),
            _ => answer(404, "Not Found", false),
        }
    }

    fn publish_soon(&self, at: usize, seconds: u64) {
        let server = self.server.clone();
        self.kernel.after(Duration::from_millis(seconds * 700), move || {
            server.publish(at);
            false
        });
    }

    async fn backend(&self, request: Request, node: u64) -> Result<Response, Lost> {
        let path = request.path.clone();
        let operation = path.rsplit('/').next().unwrap_or_default().to_owned();
        let label = request.header("label").to_owned();
        let thing = format!("be {operation} {label}");
        let dice = self.dice(&thing);
        if self.server.is_down(node) {
            return Err(Lost::Connect("connection refused".into()));
        }
        if request.held.is_some() {
            return stream_load::backend(self, &request, &thing, dice, node).await;
        }
        let timeout = Duration::from_secs(request.header("timeout").parse().unwrap_or(600));
        let act = move |net: &Self| net.part(&operation, &label, node, timeout);
        self.control(&request, &thing, dice, act).await
    }

    /// What a backend answers to a request on a transaction.
    fn part(&self, operation: &str, label: &str, node: u64, timeout: Duration) -> Response {
        let said = |text: String| answer(200, text, false);
        if operation == "begin" {
            return match self.server.begin(&self.sender, label, node, timeout) {
                Ok(at) => said(answer::operation("OK", "", label, &format!(r#" "TxnId": {at},"#))),
                Err(taken) => {
                    if self.weather.old_dialect() {
                        let words = format!("Label [{label}] has already been used.");
                        return said(answer::operation("ANALYSIS_ERROR", &words, label, ""));
                    }
                    let existing = if taken == Taken::Running { "RUNNING" } else { "FINISHED" };
                    let more = format!(r#" "ExistingJobStatus": "{existing}","#);
                    said(answer::operation("LABEL_ALREADY_EXISTS", "", label, &more))
                }
            };
        }
        let here = self.server.with(|registry| {
            let at = registry.newest(label)?;
            let transaction = &registry.transactions[at];
            let here = transaction.node == node && transaction.context && transaction.state == State::Prepare;
            here.then(|| (at, answer::Counts::of(transaction)))
        });
        let Some((at, counts)) = here else {
            return said(answer::operation("TXN_NOT_EXISTS", "", label, ""));
        };
        match operation {
            "prepare" if counts.bytes == 0 => {
                self.server.abort(at, "no data");
                let words = format!("transaction {label} hasn't send any data yet");
                said(answer::operation("INTERNAL_ERROR", &words, label, ""))
            }
            "prepare" => {
                self.server.with(|registry| registry.transactions[at].state = State::Prepared);
                said(answer::prepared(label, at, counts))
            }
            "rollback" => {
                self.server.roll_back(&self.sender, at);
                said(answer::operation("OK", "", label, ""))
            }
            _ => said(answer::operation("INTERNAL_ERROR", "unsupport transaction operation", label, "")),
        }
    }
}

#[async_trait]
impl Wire for Net {
    async fn exchange(&self, request: Request) -> Result<Response, Lost> {
        self.life.pass().await;
        let to = request.to.clone();
        let begun = request.path.ends_with("/begin").then(|| request.header("label").to_owned());
        if let Some(label) = &begun {
            // From here on it may be its own, for all that it can know.
            self.server.sends_begin(&self.sender, label);
        }
        let result = match to.strip_prefix("be").and_then(|rest| rest.split(':').next()?.parse().ok()) {
            Some(node) => self.backend(request, node).await,
            None => self.frontend(request).await,
        };
        self.life.pass().await;
        if let (Some(label), Ok(response)) = (begun, &result)
            && response.body.ends_with('}')
            && (response.body.contains("LABEL_ALREADY_EXISTS") || response.body.contains("has already been used"))
        {
            self.server.told_taken(&self.sender, &label);
        }
        result
    }
}

/// Something that a server does with a request once it has arrived: at once, or, where the client goes away before, as the
/// dice have it.
struct Pending<A: FnOnce() -> Response>(Option<A>, bool);

impl<A: FnOnce() -> Response> Pending<A> {
    fn now(&mut self) -> Response {
        self.0.take().expect("a request is done once")()
    }

    fn forget(&mut self) {
        self.0 = None;
    }
}

impl<A: FnOnce() -> Response> Drop for Pending<A> {
    fn drop(&mut self) {
        if let Some(act) = self.0.take().filter(|_| self.1) {
            act();
        }
    }
}
