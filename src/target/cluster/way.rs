//! The way that a load would take, tried without a load.
//!
//! A frontend says where a load goes from its headers alone, and judges the user's right to INSERT by them (SR §1.2,
//! §1.3). So it is asked as for a load, and what it names is asked for its health instead of being sent one. The
//! request says a format that there is not: a node that would take loads itself, because a person has named a
//! backend's port, refuses it before it begins anything.

use hyper::Method;
use hyper::header::{EXPECT, HeaderValue};

use super::health::Health;
use super::{ANSWER_BYTES_MAX, CHECK_WITHIN, Cluster};
use crate::failure::chain;
use crate::model::Label;
use crate::target::Error;
use crate::target::http::{Answer, Call, Outgoing, Patience, exchange};
use crate::target::reply::{self, Sent, Verdict};
use crate::target::route::{Reached, is_redirect};
use crate::target::starrocks::no_reply;
use crate::target::url::{Address, encode_segment};

/// How often each frontend is asked: it chooses by turns or by chance, and often names another node the next time.
const ASKS: usize = 3;

/// What a frontend made of the question where a load would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The frontend.
    pub frontend: String,
    /// The node that it names; none where it names none.
    pub node: Option<String>,
    /// What is wrong with it; nothing where a load would arrive.
    pub problem: Option<String>,
}

/// The way to a table.
#[derive(Debug)]
pub struct Way {
    /// How every known node is.
    pub nodes: Vec<Health>,
    /// What could not be listed.
    pub missing: Vec<String>,
    /// Where each frontend leads.
    pub leads: Vec<Lead>,
    /// Why no load would arrive, where none would.
    pub error: Option<Error>,
}

/// Where one question led.
enum Led {
    To(Address),
    Silent(String),
    Refused(Error),
}

impl Cluster<'_> {
    /// Tries the way of a load without one.
    ///
    /// # Errors
    /// When the target names no table.
    pub async fn way(&self) -> Result<Way, Error> {
        let (database, table) = self.target.place()?;
        let path = format!("/api/{}/{}/_stream_load", encode_segment(database), encode_segment(table));
        let (nodes, missing) = self.health().await;
        let mut leads: Vec<Lead> = Vec::new();
        let (mut refusal, mut silent) = (None, Vec::new());
        for frontend in self.target.route.frontends.all() {
            for _ in 0..ASKS {
                let (named, problem) = match self.led(frontend, &path).await {
                    Led::To(node) => {
                        let named = node.to_string();
                        if leads.iter().any(|lead| lead.node.as_ref() == Some(&named)) {
                            continue;
                        }
                        let problem = self.ask_node(&node, "/api/health", false).await.err();
                        if let Some(reason) = &problem {
                            silent.push((format!("{named} via {frontend}"), reason.clone()));
                        }
                        (Some(named), problem)
                    }
                    Led::Silent(reason) => {
                        silent.push((frontend.to_string(), reason.clone()));
                        (None, Some(reason))
                    }
                    Led::Refused(error) => {
                        let words = chain(&error);
                        refusal.get_or_insert(error);
                        (None, Some(words))
                    }
                };
                let over = named.is_none();
                leads.push(Lead { frontend: frontend.to_string(), node: named, problem });
                if over {
                    break;
                }
            }
        }
        let arrives = leads.iter().any(|lead| lead.problem.is_none());
        let error = (!arrives).then(|| refusal.unwrap_or(Error::Unreachable { attempts: silent }));
        Ok(Way { nodes, missing, leads, error })
    }

    async fn led(&self, frontend: &Address, path: &str) -> Led {
        let mut headers = self.target.route.headers();
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        headers.insert("format", HeaderValue::from_static("none"));
        let call = Call {
            method: Method::PUT,
            path: path.to_owned(),
            headers,
            // Held until somebody asks for it, which no frontend does; and empty, for whoever does.
            body: Outgoing::Held(&[]),
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let patience = Patience { first: CHECK_WITHIN, whole: CHECK_WITHIN };
        let answer = match exchange(&self.target.route.connector, frontend, &call, patience).await {
            Ok(answer) => answer,
            Err(fault) => return Led::Silent(fault.reason),
        };
        if is_redirect(answer.status) {
            return match self.target.route.next(frontend, frontend, &answer).await {
                Ok(next) => Led::To(next.address),
                Err(error) => Led::Refused(error),
            };
        }
        Led::Refused(self.refusal_of(frontend, answer))
    }

    /// What an answer means that leads nowhere.
    fn refusal_of(self, frontend: &Address, answer: Answer) -> Error {
        let url = &self.target.options.url;
        let place =
            format!("{}.{}", url.database.as_deref().unwrap_or_default(), url.table.as_deref().unwrap_or_default());
        let label: Label = "shipload-plan".parse().expect("letters and a hyphen");
        let address = frontend.to_string();
        let sent = Sent { address: &address, place: &place, label: &label, rows: 0, body_bytes: 0, with_filter: false };
        let reached = Reached { answer, address: frontend.clone() };
        let reply = reply::parse(&reached.answer.body).filter(|_| reached.answer.status == hyper::StatusCode::OK);
        match reply.map(|reply| (reply::judge(&reply, &sent), reply::said(&reply))) {
            Some((Verdict::Failed(error), _)) => error,
            Some((Verdict::Loaded(_) | Verdict::Ask(_), said)) => Error::Refused {
                message: format!("{address} takes loads itself instead of naming a node, as a backend does: {said}"),
            },
            None => no_reply(&reached),
        }
    }
}
