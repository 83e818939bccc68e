//! Loads that are prepared first and committed later, over the transaction interface (SR §4).
//!
//! ```text
//!  begin ─▶ frontend ─ 307 ─▶ backend      it has the data from now on: `load` and `prepare` go straight to it
//!  commit, rollback ─▶ frontend            it decides on what is prepared, and sends on what is not
//! ```
//!
//! A frontend keeps in mind which backend has a transaction, and older ones forget it under pressure (SR §4.2); the
//! address that answered `begin` cannot be forgotten. It is also the one that `load` needs no further redirect for.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::http::{Call, Outgoing, Patience};
use super::reply::{self, Reply, Sent};
use super::request;
use super::route::Reached;
use super::starrocks::{ANSWER_BYTES_MAX, LOAD_SLACK, StarRocks, no_reply};
use super::transaction_reply::{Operation, Verdict, judge, prepared};
use super::url::{Address, encode_segment};
use super::{Error, LoadSettings, Prepared, Target as _};
use crate::model::{Chunk, Label, WireFormat};
use crate::simulated::{Mistake, makes};

/// How long a prepared transaction may wait for its commit: three days, the longest that a server takes for any of its
/// limits (SR §2.1). A job that is still read after so long has other troubles.
const PREPARED_TIMEOUT_SECONDS: u64 = 259_200;

/// How long a commit waits for readers to see the rows, at the server.
const PUBLISH_TIMEOUT: Duration = Duration::from_mins(1);

impl StarRocks {
    pub(super) async fn prepare_transaction(
        &self,
        label: &Label,
        chunk: &Chunk,
        settings: &LoadSettings,
    ) -> Result<Prepared, Error> {
        if chunk.format == WireFormat::Csv {
            // The server would take every quote for a part of its value, silently (SR §4.4).
            return Err(Error::Refused { message: "a transaction does not read quoted CSV".to_owned() });
        }
        let (database, table) = self.place()?;
        let place = format!("{database}.{table}");
        let address = self.options.url.to_string();
        let sent = Sent {
            address: &address,
            place: &place,
            label,
            rows: chunk.rows,
            body_bytes: chunk.body_bytes,
            with_filter: settings.filter.is_some(),
        };
        let within = self.options.load_timeout + LOAD_SLACK;
        let patience = Patience { first: within, whole: within };

        let timeout = self.options.load_timeout.as_secs().max(1).to_string();
        let begin = self.call(Operation::Begin, label, &[("table", table), ("timeout", &timeout)])?;
        let reached = self.route.send(&begin, patience).await?;
        self.conclude_part(Operation::Begin, &reached, &sent).await?;

        let backend = reached.address;
        let mut headers = request::headers(label, chunk, settings, &self.fixed())?;
        for (name, value) in [("db", database), ("table", table)] {
            headers.insert(HeaderName::from_static(name), value_of(name, value)?);
        }
        let load = Call {
            method: Method::PUT,
            path: path(Operation::Load),
            headers,
            body: Outgoing::Held(&chunk.body),
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let loaded = self.part(Operation::Load, &backend, &load, patience, &sent).await;
        if loaded.is_err() && makes(Mistake::RepeatInTransaction) {
            self.part(Operation::Load, &backend, &load, patience, &sent).await?;
        } else {
            loaded?;
        }

        let timeout = PREPARED_TIMEOUT_SECONDS.to_string();
        let prepare = self.call(Operation::Prepare, label, &[("prepared_timeout", &timeout)])?;
        match self.part(Operation::Prepare, &backend, &prepare, patience, &sent).await? {
            Some(reply) => Ok(prepared(&reply, &sent)),
            None => {
                Ok(Prepared { transaction_id: None, rows_loaded: 0, rows_unselected: chunk.rows, phases: Vec::new() })
            }
        }
    }

    pub(super) async fn commit_transaction(&self, label: &Label) -> Result<bool, Error> {
        let timeout = PUBLISH_TIMEOUT.as_secs().to_string();
        let call = self.call(Operation::Commit, label, &[("timeout", &timeout)])?;
        match self.decide(Operation::Commit, label, &call).await? {
            (Verdict::Done, _) => Ok(true),
            // Before: perhaps a moment ago, and not to be seen yet.
            (Verdict::Already | Verdict::Empty, _) => Ok(false),
            (Verdict::Ask(reason), address) => Err(Error::Unconfirmed { address: address.to_string(), reason }),
            (Verdict::Failed(error), _) => Err(error),
        }
    }

    pub(super) async fn roll_back_transaction(&self, label: &Label) -> Result<(), Error> {
        let call = self.call(Operation::Rollback, label, &[])?;
        let unclear = match self.decide(Operation::Rollback, label, &call).await {
            Ok((Verdict::Done | Verdict::Already | Verdict::Empty, _)) => return Ok(()),
            Ok((Verdict::Ask(reason), address)) => Error::Unconfirmed { address: address.to_string(), reason },
            Ok((Verdict::Failed(error), _)) | Err(error) => error,
        };
        // A backend that was restarted knows nothing of what it had begun, and the frontend still sends there whoever
        // wants to roll it back (SR §4.8). What is not yet prepared can be cancelled at the frontend itself.
        if self.label_state(label).await? != super::LabelState::Prepare {
            return Err(unclear);
        }
        let (database, table) = self.place()?;
        let (database, table) = (encode_segment(database), encode_segment(table));
        let cancel = Call {
            method: Method::POST,
            path: format!("/api/{database}/{table}/_cancel?label={label}"),
            headers: self.route.headers(),
            body: Outgoing::Nothing,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let within = self.options.answer_timeout;
        let reached = self.route.send(&cancel, Patience { first: within, whole: within }).await?;
        match read(&reached) {
            Some(reply) if reply.status.eq_ignore_ascii_case("OK") => Ok(()),
            Some(reply) => Err(Error::Failed { after: None, message: reply::said(&reply) }),
            None => Err(no_reply(&reached)),
        }
    }

    /// One operation at the backend that has the transaction; none where nothing was selected.
    async fn part(
        &self,
        operation: Operation,
        backend: &Address,
        call: &Call<'_>,
        patience: Patience,
        sent: &Sent<'_>,
    ) -> Result<Option<Reply>, Error> {
        let reached = self.route.send_to(backend, call, patience).await?;
        self.conclude_part(operation, &reached, sent).await
    }

    async fn conclude_part(
        &self,
        operation: Operation,
        reached: &Reached,
        sent: &Sent<'_>,
    ) -> Result<Option<Reply>, Error> {
        let Some(reply) = read(reached) else {
            return Err(match no_reply(reached) {
                // The transaction has begun, so that this is a node of the cluster: nonsense from it passes.
                Error::AnswerUnreadable { address, excerpt, .. } if operation != Operation::Begin => {
                    Error::AnswerUnreadable { address, excerpt, sent: true }
                }
                error => error,
            });
        };
        match judge(operation, &reply, sent) {
            Verdict::Done if operation == Operation::Load && !reached.answer.sent => Err(Error::Failed {
                after: None,
                message: format!("{} answered without having asked for the body", reached.address),
            }),
            Verdict::Done | Verdict::Already => Ok(Some(reply)),
            Verdict::Empty => Ok(None),
            Verdict::Ask(message) => Err(Error::Failed { after: None, message }),
            Verdict::Failed(error) => Err(self.with_lines(error, sent.label).await),
        }
    }

    /// Asks a frontend for a decision on a transaction.
    async fn decide(&self, operation: Operation, label: &Label, call: &Call<'_>) -> Result<(Verdict, Address), Error> {
        let (database, table) = self.place()?;
        let within = self.options.answer_timeout + PUBLISH_TIMEOUT;
        let patience = Patience { first: within, whole: within };
        let reached = self.route.send_with(call, patience, patience).await?;
        let Some(reply) = read(&reached) else { return Err(no_reply(&reached)) };
        let (address, place) = (reached.address.to_string(), format!("{database}.{table}"));
        let sent = Sent { address: &address, place: &place, label, rows: 0, body_bytes: 0, with_filter: false };
        Ok((judge(operation, &reply, &sent), reached.address))
    }

    /// A request without a body: one that has a body would be read as something else (SR §4.2).
    fn call(&self, operation: Operation, label: &Label, more: &[(&'static str, &str)]) -> Result<Call<'static>, Error> {
        let (database, _) = self.place()?;
        let mut headers: HeaderMap = self.route.headers();
        for (name, value) in [("label", label.as_str()), ("db", database)].iter().chain(more) {
            headers.insert(HeaderName::from_static(name), value_of(name, value)?);
        }
        Ok(Call {
            method: Method::POST,
            path: path(operation),
            headers,
            body: Outgoing::Nothing,
            answer_bytes_max: ANSWER_BYTES_MAX,
        })
    }
}

fn path(operation: Operation) -> String {
    format!("/api/transaction/{}", operation.name())
}

fn value_of(name: &str, value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|error| Error::Refused { message: format!("`{name}` cannot travel in a header: {error}") })
}

/// The reply in an answer; a login that failed has none that counts.
fn read(reached: &Reached) -> Option<Reply> {
    reply::parse(&reached.answer.body).filter(|_| reached.answer.status != StatusCode::UNAUTHORIZED)
}
