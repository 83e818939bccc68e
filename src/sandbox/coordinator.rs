//! Transactions at the frontend: which backend has the data, and decisions on what is no longer in PREPARE.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::decision::Decided;
use super::fault::{self, Step};
use super::label::{Beginning, Refusal};
use super::ledger::State;
use super::load;
use super::multi::{self, Multi};
use super::node::Node;
use super::ordeal::{Lost, Ordeal};
use super::overview::LoadKind;
use super::surface::metrics;
use super::transaction::Times;
use super::wire;

/// How many transactions the frontend keeps in mind; the oldest are forgotten.
const ROUTES_MAX: usize = 4096;

/// What the leading frontend has in mind of transactions.
#[derive(Debug, Default)]
pub(super) struct Coordinator {
    /// The backend of a transaction by its database and label, and when it was last chosen.
    routes: Mutex<HashMap<(String, String), (usize, u64)>>,
    multis: Mutex<HashMap<(String, String), Arc<Multi>>>,
}

/// A request on a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Begin,
    Load,
    Prepare,
    Commit,
    Rollback,
}

impl Operation {
    /// The operation of a path's last segment.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "begin" => Some(Self::Begin),
            "load" => Some(Self::Load),
            "prepare" => Some(Self::Prepare),
            "commit" => Some(Self::Commit),
            "rollback" => Some(Self::Rollback),
            _ => None,
        }
    }

    /// What it is counted as.
    pub(super) fn counted(self) -> metrics::Request {
        match self {
            Self::Begin => metrics::Request::Begin,
            Self::Load => metrics::Request::Load,
            Self::Prepare => metrics::Request::Prepare,
            Self::Commit => metrics::Request::Commit,
            Self::Rollback => metrics::Request::Rollback,
        }
    }
}

/// What the frontend does about a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The backend in this position answers.
    Redirect(usize),
    Answer(Map<String, Value>),
}

/// What a request names.
pub(super) struct Named<'a> {
    pub(super) database: &'a str,
    pub(super) label: &'a str,
    pub(super) table: &'a str,
    pub(super) user: &'a str,
    pub(super) headers: &'a HeaderMap,
}

impl Coordinator {
    fn routes(&self) -> MutexGuard<'_, HashMap<(String, String), (usize, u64)>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn multis(&self) -> MutexGuard<'_, HashMap<(String, String), Arc<Multi>>> {
        self.multis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything, as a frontend does that dies. Transactions over several tables are aborted.
    pub(super) fn lose(&self) {
        self.routes().clear();
        for (_, multi) in std::mem::take(&mut *self.multis()) {
            multi.lose("the frontend was restarted");
        }
    }

    /// Forgets transactions over several tables that are over.
    pub(super) fn sweep(&self) {
        self.multis().retain(|_, multi| !multi.is_over());
    }

    /// The transaction over several tables that has the label.
    pub(super) fn multi(&self, database: &str, label: &str) -> Option<Arc<Multi>> {
        let found = self.multis().get(&(database.to_owned(), label.to_owned())).cloned();
        found.filter(|multi| multi.is_live())
    }

    fn route(&self, named: &Named<'_>) -> Option<usize> {
        self.routes().get(&named.key()).map(|(node, _)| *node)
    }

    fn remember(&self, named: &Named<'_>, node: usize) {
        let mut routes = self.routes();
        let newest = routes.values().map(|(_, at)| *at).max().unwrap_or(0);
        routes.insert(named.key(), (node, newest + 1));
        if routes.len() > ROUTES_MAX
            && let Some(oldest) = routes.iter().min_by_key(|(_, (_, at))| *at).map(|(key, _)| key.clone())
        {
            routes.remove(&oldest);
        }
    }

    /// Decides who answers a request on a transaction of one table.
    pub(super) fn single(&self, node: &Arc<Node>, operation: Operation, named: &Named<'_>) -> Verdict {
        let standing = match node.registry.standing(named.database, named.label) {
            Ok(standing) => standing,
            Err(error) => return refused(named, &format!("the sandbox's database failed: {error}")),
        };
        match operation {
            Operation::Begin => {
                let known = self.route(named).filter(|_| node.cluster.dialect.has_multi_table());
                let known = known.filter(|position| node.cluster.backends[*position].seems_alive());
                let Some(position) = known.or_else(|| node.cluster.choose_backend()) else { return no_backend(named) };
                self.remember(named, position);
                Verdict::Redirect(position)
            }
            Operation::Commit if standing.state != State::Prepare => self.commit(node, named),
            Operation::Rollback if standing.state != State::Prepare => self.rollback(node, named),
            Operation::Load | Operation::Prepare | Operation::Commit | Operation::Rollback => {
                let remembered = standing.node.filter(|_| node.cluster.dialect.remembers_coordinators());
                match self.route(named).or(remembered) {
                    Some(position) if node.cluster.backends[position].seems_alive() => Verdict::Redirect(position),
                    Some(_) => no_backend(named),
                    None => refused(named, &format!("Can't find the transaction with label {}", named.label)),
                }
            }
        }
    }

    fn commit(&self, node: &Arc<Node>, named: &Named<'_>) -> Verdict {
        let label = named.label;
        let ordeal = named.ordeal(node, fault::Operation::Commit);
        if let Err(complaint) = ordeal.pass(Step::Commit) {
            return refused(named, &complaint.message);
        }
        let hold = ordeal.publish().unwrap_or(Duration::ZERO);
        match node.registry.commit_prepared(named.database, label, hold) {
            Ok(Decided::Done(id)) => {
                self.routes().remove(&named.key());
                match ordeal.pass(Step::Committed) {
                    Ok(()) => accepted(named, id, ""),
                    Err(complaint) => refused(named, &complaint.message),
                }
            }
            Ok(Decided::Already(id)) => {
                accepted(named, id, &format!("Transaction {id} has already committed, label is {label}"))
            }
            Ok(Decided::Publishing(id)) => {
                let message = format!("publish timeout: 20000, transactionId={id}");
                Verdict::Answer(answer("FAILED", &message, named, Some(id)))
            }
            Ok(Decided::Refused(id, state)) => {
                let message = format!("Can not commit {} transaction {id}, label is {label}", state.as_str());
                Verdict::Answer(answer("FAILED", &message, named, Some(id)))
            }
            Ok(Decided::Impossible(message)) => refused(named, &message),
            Ok(Decided::Preparing) => refused(named, "the transaction has only just begun, retry"),
            Ok(Decided::Unknown) => refused(named, &format!("No transaction found by label {label}")),
            Err(error) => refused(named, &format!("the sandbox's database failed: {error}")),
        }
    }

    fn rollback(&self, node: &Arc<Node>, named: &Named<'_>) -> Verdict {
        let label = named.label;
        match named.ordeal(node, fault::Operation::Rollback).rollback() {
            Ok(()) => {}
            Err(Lost::Silently) => return Verdict::Answer(answer("OK", "", named, None)),
            Err(Lost::Because(complaint)) => return refused(named, &complaint.message),
        }
        match node.registry.abort_prepared(named.database, label, "User Cancelled") {
            Ok(Decided::Done(id)) => {
                self.routes().remove(&named.key());
                accepted(named, id, "")
            }
            Ok(Decided::Already(id)) => {
                accepted(named, id, &format!("Transaction {id} has already aborted, label is {label}"))
            }
            Ok(Decided::Publishing(id)) => refused(named, &format!("Can not abort COMMITTED transaction {id}")),
            Ok(Decided::Refused(id, state)) => {
                let message = format!("Can not abort {} transaction {id}, label is {label}", state.as_str());
                Verdict::Answer(answer("FAILED", &message, named, Some(id)))
            }
            Ok(Decided::Impossible(message)) => refused(named, &message),
            Ok(Decided::Preparing) => refused(named, "the transaction has only just begun, retry"),
            Ok(Decided::Unknown) => refused(named, &format!("No transaction found by label {label}")),
            Err(error) => refused(named, &format!("the sandbox's database failed: {error}")),
        }
    }

    /// Answers a request on a transaction over several tables, or says who does.
    pub(super) fn several(&self, node: &Arc<Node>, operation: Operation, named: &Named<'_>) -> Verdict {
        let multi = self.multi(named.database, named.label);
        match (operation, multi) {
            (Operation::Begin, _) => self.begin(node, named),
            (Operation::Prepare, _) => refused(named, "Unsupported operation: prepare"),
            (Operation::Load, Some(multi)) => {
                let Some(offered) = node.cluster.choose_backend() else { return no_backend(named) };
                Verdict::Redirect(multi.home(named.table, offered))
            }
            (Operation::Commit, Some(multi)) => match multi.commit(node, &named.ordeal(node, fault::Operation::Commit))
            {
                Some(Ok(())) => accepted(named, multi.id, ""),
                Some(Err(message)) => refused(named, &message),
                None => self.commit(node, named),
            },
            (Operation::Rollback, Some(multi)) => {
                multi.abort("User Cancelled");
                // Unless a commit was faster.
                match node.registry.standing(named.database, named.label) {
                    Ok(standing) if standing.state == State::Aborted => accepted(named, multi.id, ""),
                    _ => self.rollback(node, named),
                }
            }
            (Operation::Load, None) => {
                refused(named, &format!("Can't find the transaction with label {}", named.label))
            }
            (Operation::Commit, None) => self.commit(node, named),
            (Operation::Rollback, None) => self.rollback(node, named),
        }
    }

    fn begin(&self, node: &Arc<Node>, named: &Named<'_>) -> Verdict {
        let times = match Times::parse(named.headers, multi::TIMEOUT_DEFAULT) {
            Ok(times) => times,
            Err(message) => return refused(named, &message),
        };
        if let Ok(false) | Err(_) = node.store.has_database(named.database) {
            return refused(named, &format!("unknown database, database={}", named.database));
        }
        if let Err(complaint) = named.ordeal(node, fault::Operation::Begin).pass(Step::Begin) {
            return refused(named, &complaint.message);
        }
        let beginning = Beginning {
            database: named.database,
            label: named.label,
            table: "",
            user: named.user,
            kind: LoadKind::Transaction,
            node: None,
            timeout: times.timeout,
        };
        match node.registry.begin(&beginning) {
            Ok(load) => {
                let multi = Arc::new(Multi::new(load, times.timeout));
                self.multis().insert(named.key(), multi);
                let body = json!({"Status": "OK", "Message": ""});
                Verdict::Answer(body.as_object().cloned().unwrap_or_default())
            }
            Err(Refusal::Taken(state)) => {
                let known = self.multi(named.database, named.label).is_some();
                let status = match state {
                    State::Prepare if known => "BEGIN",
                    State::Committed | State::Visible => "COMMITED",
                    other => other.as_str(),
                };
                let message = format!("Label [{}] has already been used.", named.label);
                let mut body = answer("LABEL_ALREADY_EXISTS", &message, named, None);
                body.insert("ExistingJobStatus".to_owned(), status.into());
                Verdict::Answer(body)
            }
            Err(refusal) => {
                refused(named, &load::refusal_message(&refusal, named.database, named.label, node.cluster.dialect))
            }
        }
    }
}

impl Named<'_> {
    fn key(&self) -> (String, String) {
        (self.database.to_owned(), self.label.to_owned())
    }

    fn ordeal(&self, node: &Arc<Node>, operation: fault::Operation) -> Ordeal {
        Ordeal::new((node, node.cluster.leader()), operation, self.database, self.label)
    }

    /// Whether the transaction is one over several tables: there are two ways to say so.
    pub(super) fn is_multi(headers: &HeaderMap) -> bool {
        wire::text(headers, "transaction_type").is_some_and(|kind| kind.eq_ignore_ascii_case("multi"))
            || wire::text(headers, "source_type").as_deref() == Some("12")
    }
}

fn accepted(named: &Named<'_>, id: i64, message: &str) -> Verdict {
    Verdict::Answer(answer("OK", message, named, Some(id)))
}

fn refused(named: &Named<'_>, message: &str) -> Verdict {
    Verdict::Answer(answer("FAILED", message, named, None))
}

fn no_backend(named: &Named<'_>) -> Verdict {
    refused(named, "class com.starrocks.common.DdlException: No backend alive.")
}

fn answer(status: &str, message: &str, named: &Named<'_>, id: Option<i64>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("Status".to_owned(), status.into());
    body.insert("Message".to_owned(), message.into());
    body.insert("Label".to_owned(), named.label.into());
    if let Some(id) = id {
        body.insert("TxnId".to_owned(), id.into());
    }
    body
}
