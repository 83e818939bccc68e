//! [`StarRocks`]: the target that loads by Stream Load.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::connect::Connector;
use super::ddl;
use super::endpoint::Frontends;
use super::error_log;
use super::http::{Call, Outgoing, Patience};
use super::mysql;
use super::redirect::{HostMap, Policy};
use super::reply;
use super::request::{self, Fixed, quote};
use super::route::{Reached, Route};
use super::schema;
use super::sql::{self, QueryResult};
use super::url::{Scheme, TargetUrl, encode_segment};
use super::{Capacity, Error, LabelState, LoadSettings, Loaded, Overload, Prepared, Target};
use crate::model::{Chunk, Column, Label, Secret, Table};
use crate::simulated::{Mistake, makes};

/// The longest answer to a load or a question that is read.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The longest result of a query that is read.
const RESULT_BYTES_MAX: usize = 256 << 20;

/// How much longer than the server's own limit the answer to a load may take: the server counts from the begin of the
/// transaction, and still has to abort and to answer (SR §2.4).
pub(super) const LOAD_SLACK: Duration = Duration::from_secs(30);

/// The longest pause that an answer may ask for: a wrong number must not stop a job for days.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// How a StarRocks cluster is reached, and what every load says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Frontends, user, database and table.
    pub url: TargetUrl,
    /// The password; it may be empty.
    pub password: Secret<String>,
    /// Nodes that are reached elsewhere than they say.
    pub map_host: Vec<HostMap>,
    /// Hosts that redirects may lead to besides those of the cluster: `be1:8040`, `be1`, `*.suffix`, `*`.
    pub allow_redirect: Vec<String>,
    /// The frontends' MySQL port, for DDL.
    pub mysql_port: u16,
    /// The host of that port, where it is not the frontends' own.
    pub mysql_host: Option<String>,
    /// PEM certificates to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// The server's limit for one load, from begin to commit; in whole seconds.
    pub load_timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a frontend may take to answer a question, or to name the node for a load.
    pub answer_timeout: Duration,
    /// How long a query may take.
    pub query_timeout: Duration,
    /// The time zone of functions in `columns` expressions.
    pub timezone: String,
}

impl Options {
    /// The usual values for everything but the address. A password in the URL is taken from there.
    #[must_use]
    pub fn new(url: TargetUrl) -> Self {
        let password = url.password.clone().unwrap_or_else(|| Secret::new(String::new()));
        Self {
            url,
            password,
            map_host: Vec::new(),
            allow_redirect: Vec::new(),
            mysql_port: 9030,
            mysql_host: None,
            ca_file: None,
            load_timeout: Duration::from_mins(10),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_mins(1),
            query_timeout: Duration::from_mins(5),
            timezone: "UTC".to_owned(),
        }
    }
}

/// A table in a StarRocks cluster. Cheap to share; every method takes `&self`, and calls run side by side.
pub struct StarRocks {
    pub(super) options: Options,
    pub(super) route: Route,
    pub(super) ways: error_log::Ways,
}

impl StarRocks {
    /// Prepares the way to a cluster; nothing is asked yet.
    ///
    /// # Errors
    /// When a flag among the options means nothing, or the certificates cannot be read.
    pub fn new(options: Options) -> Result<Self, Error> {
        let frontends = options.url.frontends.clone();
        // A frontend always redirects to plain http (SR §1.3), so that a target without TLS needs no certificates.
        let tls = frontends.iter().any(|frontend| frontend.scheme == Scheme::Https) || options.ca_file.is_some();
        let connector = Connector::new(options.connect_timeout, tls, options.ca_file.as_deref())?;
        let policy = Policy::new(&frontends, options.map_host.clone(), &options.allow_redirect)?;
        let authorization = basic(&options.url.user, &options.password);
        let route = Route::new(Frontends::new(frontends), connector, authorization, policy, options.answer_timeout);
        Ok(Self { options, route, ways: error_log::Ways::default() })
    }

    /// The way to another table of the same cluster.
    ///
    /// # Errors
    /// When the certificates cannot be read any more.
    pub fn into_table(
        &self,
        database: &str,
        table: &str,
        load_timeout: Duration,
        timezone: &str,
    ) -> Result<Self, Error> {
        let (database, table) = (Some(database.to_owned()), Some(table.to_owned()));
        let url = TargetUrl { database, table, ..self.options.url.clone() };
        Self::new(Options { url, load_timeout, timezone: timezone.to_owned(), ..self.options.clone() })
    }

    /// The frontends, each with scheme, host and port.
    #[must_use]
    pub fn frontends(&self) -> Vec<String> {
        self.options.url.frontends.iter().map(|frontend| format!("{}://{frontend}", frontend.scheme.name())).collect()
    }

    /// Runs one statement: SELECT, SHOW, EXPLAIN, DESC or KILL.
    ///
    /// # Errors
    /// When the server refuses it, or its result does not come to its end.
    pub async fn sql(&self, query: &str, database: Option<&str>) -> Result<QueryResult, Error> {
        self.sql_within(query, database, RESULT_BYTES_MAX).await
    }

    /// The same, for a result that is no longer than this.
    pub(super) async fn sql_within(
        &self,
        query: &str,
        database: Option<&str>,
        answer_bytes_max: usize,
    ) -> Result<QueryResult, Error> {
        let database = database.map(|name| format!("/databases/{}", encode_segment(name))).unwrap_or_default();
        let body = Bytes::from(serde_json::json!({ "query": query }).to_string());
        let mut headers = self.route.headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let call = Call {
            method: Method::POST,
            path: format!("/api/v1/catalogs/default_catalog{database}/sql"),
            headers,
            body: Outgoing::Now(&body),
            answer_bytes_max,
        };
        let within = self.options.query_timeout;
        let patience = Patience { first: within, whole: within };
        let reached = self.route.send_with(&call, patience, patience).await.map_err(|error| match error {
            // A query changes nothing, so nothing of it is in doubt.
            Error::Unconfirmed { address, reason } => Error::QueryFailed { message: format!("{address}: {reason}") },
            error => error,
        })?;
        sql::result(query, &reached.answer, &reached.address.to_string())
    }

    /// Asks for the server's version.
    ///
    /// # Errors
    /// When no frontend answers, or none in a way that tells.
    pub async fn version(&self) -> Result<String, Error> {
        let reached = self.ask("/api/v2/feature").await?;
        let told: Option<Value> = serde_json::from_slice(&reached.answer.body).ok();
        let version = told.as_ref().and_then(|told| told.get("version")).and_then(Value::as_str);
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            return Ok(version.to_owned());
        }
        let result = self.sql("SELECT current_version()", None).await?;
        let cell = result.rows.first().and_then(|row| row.first()).and_then(Value::as_str);
        cell.map(str::to_owned).ok_or_else(|| unreadable(&reached))
    }

    pub(super) async fn ask(&self, path: &str) -> Result<Reached, Error> {
        let call = Call {
            method: Method::GET,
            path: path.to_owned(),
            headers: self.route.headers(),
            body: Outgoing::Nothing,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let within = self.options.answer_timeout;
        self.route.send(&call, Patience { first: within, whole: within }).await
    }

    /// The database and the table that the URL names.
    pub(super) fn place(&self) -> Result<(&str, &str), Error> {
        let url = &self.options.url;
        match (&url.database, &url.table) {
            (Some(database), Some(table)) => Ok((database, table)),
            _ => Err(Error::InvalidUrl { text: url.to_string(), reason: "it names no table".to_owned() }),
        }
    }

    /// What every load says.
    pub(super) fn fixed(&self) -> Fixed<'_> {
        Fixed {
            authorization: &self.route.authorization,
            timeout_seconds: self.options.load_timeout.as_secs().max(1),
            timezone: &self.options.timezone,
        }
    }

    /// Settles a load whose reply says no more than that its label is taken, or nothing that is understood.
    async fn settle(&self, label: &Label, message: String) -> Result<Loaded, Error> {
        match self.label_state(label).await {
            Ok(LabelState::Visible) => Ok(Loaded::before(true)),
            Ok(LabelState::Committed) => Ok(Loaded::before(false)),
            Ok(LabelState::Aborted) => Err(Error::Failed { after: None, message }),
            Ok(LabelState::Prepare | LabelState::Prepared) => {
                Err(Error::LabelBusy { label: label.to_string(), message })
            }
            // The label is not known, although the load had begun: forgotten, or a matter of timing.
            Ok(LabelState::Unknown) | Err(_) => {
                Err(Error::Unconfirmed { address: self.options.url.to_string(), reason: message })
            }
        }
    }

    async fn conclude(
        &self,
        reached: Reached,
        label: &Label,
        chunk: &Chunk,
        with_filter: bool,
    ) -> Result<Loaded, Error> {
        let (database, table) = self.place()?;
        let address = reached.address.to_string();
        let place = format!("{database}.{table}");
        if makes(Mistake::TrustStatus) && reply::parse(&reached.answer.body).is_none() && reached.answer.status == 200 {
            return Ok(Loaded::before(true));
        }
        let Some(reply) =
            reply::parse(&reached.answer.body).filter(|_| reached.answer.status != StatusCode::UNAUTHORIZED)
        else {
            return Err(no_reply(&reached));
        };
        let sent = reply::Sent {
            address: &address,
            place: &place,
            label,
            rows: chunk.rows,
            body_bytes: chunk.body_bytes,
            with_filter,
        };
        match reply::judge(&reply, &sent) {
            reply::Verdict::Loaded(loaded) if !reached.answer.sent && !loaded.already => Err(Error::Unconfirmed {
                address,
                reason: format!("it answered `{}` without having asked for the body", reply.status),
            }),
            reply::Verdict::Loaded(loaded) => Ok(loaded),
            reply::Verdict::Ask(message) => self.settle(label, message).await,
            reply::Verdict::Failed(Error::Busy { address, overload, after, message }) => {
                let after = after.or_else(|| retry_after(&reached));
                Err(Error::Busy { address, overload, after, message })
            }
            reply::Verdict::Failed(error) => Err(self.with_lines(error, label).await),
        }
    }

    /// The same error; one about refused rows with those that the server names.
    pub(super) async fn with_lines(&self, error: Error, label: &Label) -> Error {
        match error {
            Error::RowsRefused { message, total, filtered, log, .. } => {
                let text = self.error_log(label, log.as_deref()).await;
                let (samples, lines) = (reply::samples(&text), error_log::lines(&text));
                Error::RowsRefused { message, total, filtered, samples, lines, log }
            }
            error => error,
        }
    }

    /// The columns by the first of the ways that tells them.
    async fn columns(&self, database: &str, table: &str) -> Result<Vec<Column>, Error> {
        let (in_database, in_table) = (encode_segment(database), encode_segment(table));
        let path = format!("/api/v2/catalogs/default_catalog/databases/{in_database}/tables/{in_table}/schema");
        let full = self.ask(&path).await?;
        if let Some(columns) = schema::from_v2(&full.answer.body) {
            return Ok(columns);
        }
        check_place(&full, database, table)?;
        let described = self.sql(&format!("DESC {}.{}", quote(database), quote(table)), None).await;
        if let Some(columns) = described.as_ref().ok().and_then(schema::from_desc) {
            return Ok(columns);
        }
        let short = self.ask(&format!("/api/{in_database}/{in_table}/_schema")).await?;
        if let Some(columns) = schema::from_properties(&short.answer.body) {
            return Ok(columns);
        }
        check_place(&short, database, table)?;
        match described {
            Err(Error::QueryFailed { message }) if reply::says_no_table(&message) => {
                Err(Error::NoSuchTable { place: format!("{database}.{table}"), message })
            }
            // No frontend is without all three.
            _ if [&full, &short].iter().all(|reached| reached.answer.status == StatusCode::NOT_FOUND) => {
                Err(unreadable(&short))
            }
            _ => Err(no_reply(&short)),
        }
    }
}

#[async_trait]
impl Target for StarRocks {
    fn address(&self) -> String {
        self.options.url.to_string()
    }

    async fn table(&self) -> Result<Table, Error> {
        let (database, table) = self.place()?;
        let columns = self.columns(database, table).await?;
        Ok(Table { database: database.to_owned(), name: table.to_owned(), columns })
    }

    async fn create_table(&self, columns: &[Column]) -> Result<(), Error> {
        let (database, table) = self.place()?;
        let statement = ddl::create_table(Some(database), table, columns)?;
        mysql::create(&self.login(), &ddl::create_database(database), &statement).await
    }

    async fn load(&self, label: &Label, chunk: &Chunk, settings: &LoadSettings) -> Result<Loaded, Error> {
        let (database, table) = self.place()?;
        debug_assert_eq!(chunk.body.iter().map(|piece| piece.len() as u64).sum::<u64>(), chunk.body_bytes);
        let call = Call {
            method: Method::PUT,
            path: format!("/api/{}/{}/_stream_load", encode_segment(database), encode_segment(table)),
            headers: request::headers(label, chunk, settings, &self.fixed())?,
            body: Outgoing::Held(&chunk.body),
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let whole = self.options.load_timeout + LOAD_SLACK;
        let reached = self.route.send(&call, Patience { first: whole, whole }).await?;
        self.conclude(reached, label, chunk, settings.filter.is_some()).await
    }

    async fn prepare(&self, label: &Label, chunk: &Chunk, settings: &LoadSettings) -> Result<Prepared, Error> {
        self.prepare_transaction(label, chunk, settings).await
    }

    async fn commit(&self, label: &Label) -> Result<bool, Error> {
        self.commit_transaction(label).await
    }

    async fn roll_back(&self, label: &Label) -> Result<(), Error> {
        self.roll_back_transaction(label).await
    }

    async fn capacity(&self) -> Capacity {
        // It is asked for over a port that is not simulated, and within a time that is not.
        #[cfg(test)]
        if crate::simulated::runs() {
            return Capacity::default();
        }
        self.ask_capacity().await
    }

    async fn label_state(&self, label: &Label) -> Result<LabelState, Error> {
        let (database, _) = self.place()?;
        let reached = self.ask(&format!("/api/{}/get_load_state?label={label}", encode_segment(database))).await?;
        if reached.answer.status == StatusCode::UNAUTHORIZED {
            return Err(no_reply(&reached));
        }
        let address = reached.address.to_string();
        reply::label_state(&reached.answer.body, &address, database).unwrap_or_else(|| Err(no_reply(&reached)))
    }
}

/// The header that logs in.
fn basic(user: &str, password: &Secret<String>) -> HeaderValue {
    let login = STANDARD.encode(format!("{user}:{}", password.expose()));
    let mut header =
        HeaderValue::from_str(&format!("Basic {login}")).expect("base64 consists of characters that a header may hold");
    header.set_sensitive(true);
    header
}

/// An error where an answer says that access is denied or that the table does not exist.
fn check_place(reached: &Reached, database: &str, table: &str) -> Result<(), Error> {
    let message = reply::words(reached.answer.status, &reached.answer.body);
    if reached.answer.status == StatusCode::UNAUTHORIZED {
        return Err(Error::AccessDenied { address: reached.address.to_string(), message });
    }
    if reply::says_no_table(&message) {
        return Err(Error::NoSuchTable { place: format!("{database}.{table}"), message });
    }
    Ok(())
}

pub(super) fn unreadable(reached: &Reached) -> Error {
    Error::AnswerUnreadable {
        address: reached.address.to_string(),
        excerpt: reply::excerpt(reached.answer.status, &reached.answer.body),
        sent: false,
    }
}

/// How long a node asks to be left alone, in seconds; the other form, a date, would need clocks that agree.
fn retry_after(reached: &Reached) -> Option<Duration> {
    let seconds = reached.answer.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// What an answer means whose body says nothing of the protocol's. Once a body has begun to leave, whatever else it says,
/// the outcome is open.
pub(super) fn no_reply(reached: &Reached) -> Error {
    let address = reached.address.to_string();
    let excerpt = reply::excerpt(reached.answer.status, &reached.answer.body);
    if reached.answer.sent {
        return Error::AnswerUnreadable { address, excerpt, sent: true };
    }
    let words = reply::words(reached.answer.status, &reached.answer.body);
    let message = format!("{address}: {words}");
    let status = reached.answer.status.as_u16();
    match status {
        401 | 403 => Error::AccessDenied { address, message: words },
        429 | 502 | 503 | 504 => {
            let overload = if matches!(status, 429 | 503) { Overload::Requests } else { Overload::Gateway };
            Error::Busy { address, overload, after: retry_after(reached), message: words }
        }
        500..=599 => Error::Failed { after: None, message },
        400..=499 => Error::Refused { message },
        _ => Error::AnswerUnreadable { address, excerpt, sent: false },
    }
}
