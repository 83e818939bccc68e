//! Where connections and requests pass on their way to a node, and meet the faults of the wire.
//!
//! `/sandbox/faults` is answered here, on every listener, and never meets a fault itself: whoever made things go wrong
//! has to be able to end it. Only a fault at `accept` comes before the request is known.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::header::{EXPECT, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use super::answer;
use super::body::Incoming;
use super::document::Wrong;
use super::effect::{Effect, End, Say, Wire};
use super::socket::Socket;
use super::spec::After;
use super::step::{Step, Subject};
use super::{Faults, Scene};
use crate::sandbox::http::{self, Credentials, Ends, Handler, Reply};
use crate::sandbox::store::Store;

/// Where faults are managed.
const PATH: &str = "/sandbox/faults";
/// The longest document.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Who may manage them.
const ADMINISTRATOR: &str = "root";

/// The way into one node.
#[derive(Debug)]
pub(in crate::sandbox) struct Gate {
    /// The node's name in rules: `fe1`, `be1`, …
    pub(in crate::sandbox) node: String,
    pub(in crate::sandbox) faults: Arc<Faults>,
    pub(in crate::sandbox) store: Arc<Store>,
}

/// A request on its way, as its faults see it.
#[derive(Debug)]
pub(super) struct Passing {
    gate: Arc<Gate>,
    subject: Subject,
    head: Parts,
    socket: Arc<Socket>,
    stop: watch::Receiver<bool>,
    /// What is to be said in place of the node's answer.
    said: Mutex<Option<Say>>,
}

/// Whether a request goes on after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Yes,
    No,
}

impl Gate {
    /// Lets a connection in, or ends it.
    pub(in crate::sandbox) async fn admit(&self, socket: &Socket, stop: &watch::Receiver<bool>) -> bool {
        let scene = Scene { node: &self.node, operation: None, database: None, label: None };
        match self.faults.strike(&scene, Step::Accept) {
            Some(Effect::Wire(Wire::End(how))) => {
                socket.end(how);
                false
            }
            Some(Effect::Wire(Wire::Delay(delay))) => {
                wait(delay, stop.clone()).await;
                true
            }
            _ => true,
        }
    }

    /// Has a request answered by its node, with whatever goes wrong on the way.
    pub(in crate::sandbox) async fn pass(
        self: Arc<Self>,
        handler: Arc<impl Handler>,
        request: Request<hyper::body::Incoming>,
        ends: Ends,
        socket: Arc<Socket>,
        stop: watch::Receiver<bool>,
    ) -> Reply {
        if request.uri().path() == PATH {
            return self.manage(request).await;
        }
        if !self.faults.is_armed() {
            return handler.handle(request.map(Incoming::plain), ends).await;
        }
        // The answer before this one is out.
        socket.hasten();
        let (head, body) = request.into_parts();
        let expects = head.headers.get(EXPECT).is_some();
        let subject = Subject::of(&head);
        let passing =
            Arc::new(Passing { gate: self, subject, head: head.clone(), socket, stop, said: Mutex::default() });
        if let Some((_, Effect::Wire(wire))) = passing.strike(Step::Head, After::BEGINNING)
            && passing.carry_out(wire).await == Stands::No
        {
            return passing.instead().await;
        }
        let body = Incoming::faulty(body, Arc::clone(&passing), expects);
        let reply = handler.handle(Request::from_parts(head, body), ends).await;
        if passing.said().is_some() {
            return passing.instead().await;
        }
        match passing.strike(Step::Answer, After::BEGINNING) {
            Some((sequence, Effect::Wire(wire))) => passing.answer(reply, wire, sequence).await,
            _ => reply,
        }
    }

    /// Answers for the faults themselves.
    async fn manage(self: Arc<Self>, request: Request<hyper::body::Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let credentials = Credentials::parse(&head.headers);
        let this = Arc::clone(&self);
        if !http::blocking(move || this.allows(credentials.as_ref())).await {
            let mut reply = refusal(StatusCode::UNAUTHORIZED, "Access denied: /sandbox/faults is for root");
            reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"\""));
            return http::closing(reply);
        }
        match head.method {
            Method::GET => http::json(StatusCode::OK, &self.faults.show()),
            Method::DELETE => http::json(StatusCode::OK, &self.faults.clear()),
            Method::POST => {
                let Ok(body) = Limited::new(body, DOCUMENT_BYTES_MAX).collect().await else {
                    let message = format!("the document broke off, or is longer than {DOCUMENT_BYTES_MAX} bytes");
                    return http::closing(refusal(StatusCode::BAD_REQUEST, &message));
                };
                let body = body.to_bytes();
                let Ok(text) = std::str::from_utf8(&body) else {
                    return refusal(StatusCode::BAD_REQUEST, "the document is not UTF-8");
                };
                match self.faults.install(text) {
                    Ok(()) => http::json(StatusCode::OK, &self.faults.show()),
                    Err(wrong) => mistake(&wrong),
                }
            }
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED, "GET lists the faults, POST sets them, DELETE clears them"),
        }
    }

    /// Whether these credentials are root's; none are needed while root has no password.
    fn allows(&self, credentials: Option<&Credentials>) -> bool {
        let given = credentials.filter(|given| given.user == ADMINISTRATOR).map(|given| given.password.as_str());
        self.store.check_user(ADMINISTRATOR, "")
            || given.is_some_and(|password| self.store.check_user(ADMINISTRATOR, password))
    }
}

impl Passing {
    /// What strikes here, and the number of its record.
    pub(super) fn strike(&self, step: Step, after: After) -> Option<(u64, Effect)> {
        self.gate.faults.strike_after(&self.scene(), step, after)
    }

    /// The first place within these bytes of the body where something may strike.
    pub(super) fn next_place(&self, bytes: &RangeInclusive<u64>) -> Option<u64> {
        self.gate.faults.next_place(&self.scene(), bytes)
    }

    /// Waits, but not beyond the sandbox's end.
    pub(super) async fn wait(&self, delay: Duration) {
        wait(delay, self.stop.clone()).await;
    }

    /// Carries out what is no matter of the answer.
    pub(super) async fn carry_out(&self, wire: Wire) -> Stands {
        match wire {
            Wire::Delay(delay) => {
                self.wait(delay).await;
                return Stands::Yes;
            }
            Wire::End(how) => self.socket.end(how),
            Wire::Hold(longest) => {
                tokio::select! {
                    () = self.socket.left() => {}
                    () = self.wait(longest.unwrap_or(Duration::MAX)) => {}
                }
                self.socket.end(End::Close);
            }
            Wire::Say(say) => *self.said() = Some(say),
            // These are the answer's, or the body's own matter: no document has them here.
            Wire::Trickle { .. } | Wire::Truncate { .. } | Wire::Empty | Wire::Duplicate | Wire::ContentType(_) => {
                return Stands::Yes;
            }
        }
        Stands::No
    }

    /// What is said in place of the node's answer; nothing, where the connection has ended.
    async fn instead(&self) -> Reply {
        let said = self.said().take();
        match said {
            // Nobody knows how much of the body is still to come.
            Some(say) => http::closing(answer::say(say, &self.head, &self.socket)),
            None => std::future::pending().await,
        }
    }

    /// What becomes of an answer.
    async fn answer(&self, reply: Reply, wire: Wire, sequence: u64) -> Reply {
        match wire {
            Wire::Trickle { bytes, rest } => {
                self.socket.slow(bytes, rest);
                reply
            }
            Wire::Delay(_) | Wire::End(_) | Wire::Hold(_) => match self.carry_out(wire).await {
                Stands::Yes => reply,
                Stands::No => std::future::pending().await,
            },
            Wire::Say(say) => answer::in_place_of(&reply, answer::say(say, &self.head, &self.socket)),
            Wire::Truncate { .. } | Wire::Empty | Wire::Duplicate | Wire::ContentType(_) => {
                match answer::falsify(reply, &wire, &self.head, &self.socket).await {
                    Ok(reply) => reply,
                    Err(why) => {
                        self.gate.faults.failed(sequence, why);
                        self.socket.end(End::Close);
                        std::future::pending().await
                    }
                }
            }
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            node: &self.gate.node,
            operation: Some(self.subject.operation),
            database: self.subject.database.as_deref(),
            label: self.subject.label.as_deref(),
        }
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Option<Say>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a while or until the sandbox stops.
async fn wait(delay: Duration, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = http::stopped(&mut stop) => {}
    }
}

fn refusal(status: StatusCode, message: &str) -> Reply {
    http::json(status, &json!({"status": "FAILED", "code": "1", "msg": message, "message": message}))
}

fn mistake(wrong: &Wrong) -> Reply {
    let message = wrong.to_string();
    let Wrong { line, place, .. } = wrong;
    let body =
        json!({"status": "FAILED", "code": "1", "msg": message, "message": message, "line": line, "place": place});
    http::json(StatusCode::BAD_REQUEST, &body)
}
