//! The MySQL listener: ordinary MySQL clients, StarRocks' SQL.
//!
//! ```text
//!  client ⇄ opensrv-mysql ⇄ Connection ──▶ Session (on a thread that may block)
//!                               ▲               │
//!                               └── rows ◀──────┘  a bounded channel
//! ```
//!
//! Statements run where blocking is allowed, and their rows come back in small batches through a bounded channel: a client
//! that reads slowly stops the reading of the table, and one that goes away ends it. Neither side holds a whole result.
//!
//! TLS, `caching_sha2_password` and several statements in one packet are not offered.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opensrv_mysql::{
    AsyncMysqlIntermediary, AsyncMysqlShim, Column, ColumnFlags, ColumnType, ErrorKind, InitWriter,
    IntermediaryOptions, OkResponse, ParamParser, QueryResultWriter, StatementMetaWriter,
};
use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::http;
use super::overview::Overview;
use super::patient::{Patient, STALL};
use super::sessions::{Running, Seat};
use super::sql::{Answer, BoundQuery, Error, Session, password, placeholders, variables, with_parameters};
use super::store::Store;
use super::surface::metrics::FrontendMetrics;
use super::types::SqlType;
use super::{cell, select};
use crate::clock::{Clock as _, SystemClock};
use packet::Packets;
use value::Cell;

mod packet;
mod value;

/// How many rows travel from the thread that reads them at once.
const BATCH_ROWS: usize = 256;

/// How many batches may wait for a client. Two keep both sides busy.
const BATCHES_WAITING: usize = 2;

/// How many prepared statements one connection may have open.
const STATEMENTS_MAX: usize = 1024;

/// How long a client may take to say who it is.
const GREETING: Duration = Duration::from_mins(1);

/// Bytes of the challenge that a client proves its password with.
const SALT_BYTES: usize = 20;

/// Serves connections until `shutdown` says so, and then drops those that are open.
pub(super) async fn serve(
    listener: TcpListener,
    store: Arc<Store>,
    overview: Arc<dyn Overview>,
    metrics: Arc<FrontendMetrics>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Accepting is safe to abandon: a connection that was not handed out stays in the backlog.
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let metrics = Arc::clone(&metrics);
                    connections.spawn(converse(stream, peer, Arc::clone(&store), Arc::clone(&overview), metrics));
                }
                // Out of file descriptors, mostly: it passes when a connection ends.
                Err(fault) => {
                    tracing::warn!(%fault, "the MySQL listener cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut shutdown) => break,
        }
    }
    connections.shutdown().await;
}

/// Waits until it is time to stop, which it also is when nobody is left to say so.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    drop(shutdown.wait_for(|stop| *stop).await);
}

/// One connection, to its end.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    store: Arc<Store>,
    overview: Arc<dyn Overview>,
    metrics: Arc<FrontendMetrics>,
) {
    // Answers are small and waited for; without this each would be held back for the next packet.
    if let Err(fault) = stream.set_nodelay(true) {
        tracing::debug!(%fault, "a MySQL connection ended before it began");
        return;
    }
    let (reader, writer) = stream.into_split();
    let id = store.next_connection_id();
    let seat = Arc::new(store.sessions().open(id, "", &peer.to_string()));
    let connection = Connection {
        session: Arc::new(Mutex::new(Session::new("", id, overview))),
        seat: Arc::clone(&seat),
        user: OnceLock::new(),
        salt: salt(),
        id,
        statements: Vec::new(),
        store,
        metrics,
    };
    let options = IntermediaryOptions { process_use_statement_on_query: true, ..IntermediaryOptions::default() };
    let writer = tokio::io::BufWriter::new(Patient::new(writer, STALL));
    let anonymous = async {
        SystemClock.sleep(GREETING).await;
        if !seat.is_anonymous() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = AsyncMysqlIntermediary::run_with_options(connection, Packets::new(reader), writer, &options) => {
            if let Err(fault) = ended {
                tracing::debug!(%fault, "a MySQL connection failed");
            }
        }
        // Dropping the other branch closes the connection.
        () = anonymous => tracing::debug!(id, "a MySQL client has not said who it is"),
        () = seat.closed() => tracing::debug!(id, "a MySQL connection was killed"),
    }
}

/// Fresh for each connection, without the bytes that end a text. The answer to one challenge is no use for another.
fn salt() -> [u8; SALT_BYTES] {
    let random = super::function::random_bytes().into_iter().chain(super::function::random_bytes());
    let mut salt = [0; SALT_BYTES];
    salt.iter_mut().zip(random).for_each(|(byte, random)| *byte = b'0' + random % 64);
    salt
}

/// One client's state.
struct Connection {
    session: Arc<Mutex<Session>>,
    seat: Arc<Seat>,
    /// Who the client says it is, once it has proved it.
    user: OnceLock<String>,
    salt: [u8; SALT_BYTES],
    id: u32,
    /// The prepared statements; the identifier of each is its position and one. Closed ones leave a gap.
    statements: Vec<Option<Arc<str>>>,
    store: Arc<Store>,
    metrics: Arc<FrontendMetrics>,
}

/// What the thread that runs a statement sends.
enum Message {
    Done(u64),
    /// What the columns are; rows follow.
    Columns(Vec<(String, SqlType)>),
    Rows(Vec<Vec<Cell>>),
    Failed(Error),
}

impl Connection {
    /// Starts a statement on a thread that may block.
    fn start(&self, text: String) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
        let (session, store, user) = (Arc::clone(&self.session), Arc::clone(&self.store), self.user.get().cloned());
        let (seat, metrics) = (Arc::clone(&self.seat), Arc::clone(&self.metrics));
        http::patiently(&http::QUERIES, move || {
            let started = SystemClock.instant();
            let (answer, running) = {
                let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
                session.user = user.unwrap_or_default();
                seat.identify(&session.user, session.database.as_deref().unwrap_or_default());
                let running = seat.begin(&text, session.query_timeout());
                session.running = Some(Arc::clone(&running));
                let answer = session.execute(&store, &text);
                session.running = None;
                seat.identify(&session.user, session.database.as_deref().unwrap_or_default());
                (answer, running)
            };
            // While rows are read, nothing is kept but the store: a sandbox that stops does not wait for a long query, and
            // a client that goes gives up its seat, which ends the query.
            drop((session, seat));
            let ended = |went_well| metrics.query_ended(went_well, started.elapsed());
            if !matches!(answer, Ok(Answer::Query(_))) {
                ended(answer.is_ok());
            }
            // A send fails only when the client has gone; there is nobody left to tell.
            let _ = match answer {
                Ok(Answer::Done { rows }) => sender.blocking_send(Message::Done(rows)),
                Ok(Answer::Query(query)) => return send_rows(&store, &query, &running, &sender, ended),
                Ok(Answer::Table(table)) => {
                    let rows = table.rows.into_iter().map(|row| row.into_iter().map(Cell::from).collect()).collect();
                    let columns = sender.blocking_send(Message::Columns(table.columns));
                    columns.and_then(|()| sender.blocking_send(Message::Rows(rows)))
                }
                Ok(Answer::Explanation(text)) => {
                    let rows = text.lines().map(|line| vec![Cell::from(Some(line.to_owned()))]).collect();
                    let columns = vec![("Explain String".to_owned(), SqlType::TEXT)];
                    sender
                        .blocking_send(Message::Columns(columns))
                        .and_then(|()| sender.blocking_send(Message::Rows(rows)))
                }
                Err(error) => sender.blocking_send(Message::Failed(error)),
            };
        });
        receiver
    }

    /// Writes what a statement answers.
    async fn answer<W: AsyncWrite + Send + Unpin>(
        mut messages: mpsc::Receiver<Message>,
        results: QueryResultWriter<'_, W>,
    ) -> io::Result<()> {
        let columns = match messages.recv().await {
            Some(Message::Done(rows)) => {
                let done = OkResponse { affected_rows: rows, ..OkResponse::default() };
                return results.completed(done).await;
            }
            Some(Message::Columns(columns)) => columns,
            Some(Message::Failed(error)) => return results.error(kind(&error), error.message.as_bytes()).await,
            Some(Message::Rows(_)) | None => {
                return results.error(ErrorKind::ER_UNKNOWN_ERROR, b"the statement broke off".as_slice()).await;
            }
        };
        let columns: Vec<Column> = columns.iter().map(|(name, ty)| header(name, ty)).collect();
        let mut writer = results.start(&columns).await?;
        while let Some(message) = messages.recv().await {
            match message {
                Message::Rows(rows) => {
                    for row in rows {
                        writer.write_row(row).await?;
                    }
                }
                Message::Failed(error) => return writer.finish_error(kind(&error), &error.message.into_bytes()).await,
                Message::Done(_) | Message::Columns(_) => unreachable!("columns come once, and rows after them"),
            }
        }
        writer.finish().await
    }
}

/// Reads the rows of a query and sends them in batches. Tells `ended` whether that went well, before the client learns it.
fn send_rows(
    store: &Store,
    query: &BoundQuery,
    running: &Running,
    sender: &mpsc::Sender<Message>,
    ended: impl FnOnce(bool),
) {
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    let mut started = false;
    let mut start = |sender: &mpsc::Sender<Message>| {
        // The columns wait for the first row, so that a statement that fails at once answers with an error alone.
        let first = !std::mem::replace(&mut started, true);
        !first || sender.blocking_send(Message::Columns(query.columns.clone())).is_ok()
    };
    let read = select::for_each_row(store, query, Some(running), |row| {
        let cells = row.iter().zip(&query.columns).map(|(value, (_, ty))| Cell::new(cell::text(*value, ty)));
        batch.push(cells.collect());
        batch.len() < BATCH_ROWS
            || start(sender) && sender.blocking_send(Message::Rows(std::mem::take(&mut batch))).is_ok()
    });
    ended(read.is_ok());
    let _ = match read {
        Ok(_) => {
            start(sender);
            sender.blocking_send(Message::Rows(batch))
        }
        Err(error) => sender.blocking_send(Message::Failed(error)),
    };
}

#[async_trait]
impl<W: AsyncWrite + Send + Unpin> AsyncMysqlShim<W> for Connection {
    type Error = io::Error;

    fn version(&self) -> String {
        variables::MYSQL_VERSION.to_owned()
    }

    fn connect_id(&self) -> u32 {
        self.id
    }

    fn salt(&self) -> [u8; SALT_BYTES] {
        self.salt
    }

    async fn authenticate(&self, _plugin: &str, user: &[u8], salt: &[u8], answer: &[u8]) -> bool {
        let user = String::from_utf8_lossy(user);
        // As over HTTP, what follows an `@` names a cluster or host and not the user.
        let user = user.split('@').next().unwrap_or_default();
        let known = self.store.password_digest(user);
        let proved = known.is_some_and(|stored| password::proves(answer, salt, &stored));
        if proved {
            user.clone_into(&mut self.session.lock().unwrap_or_else(PoisonError::into_inner).user);
            self.seat.identify(user, "");
        }
        proved && self.user.set(user.to_owned()).is_ok()
    }

    async fn on_prepare<'a>(&'a mut self, query: &'a str, info: StatementMetaWriter<'a, W>) -> io::Result<()> {
        let count = match placeholders(query) {
            Ok(places) => places.len(),
            Err(error) => return info.error(kind(&error), error.message.as_bytes()).await,
        };
        if self.statements.iter().flatten().count() >= STATEMENTS_MAX {
            let message = b"too many prepared statements are open".as_slice();
            return info.error(ErrorKind::ER_MAX_PREPARED_STMT_COUNT_REACHED, message).await;
        }
        // Describing the columns takes the catalogue, which is a short read.
        let described = {
            let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            session.describe(&self.store, query)
        };
        let columns = match described {
            Ok(columns) => columns,
            Err(error) => return info.error(kind(&error), error.message.as_bytes()).await,
        };
        self.statements.push(Some(query.into()));
        let id = u32::try_from(self.statements.len()).unwrap_or(u32::MAX);
        let parameters: Vec<Column> = (0..count).map(|_| header("?", &SqlType::TEXT)).collect();
        let columns: Vec<Column> = columns.iter().map(|(name, ty)| header(name, ty)).collect();
        info.reply(id, &parameters, &columns).await
    }

    async fn on_execute<'a>(
        &'a mut self,
        id: u32,
        params: ParamParser<'a>,
        results: QueryResultWriter<'a, W>,
    ) -> io::Result<()> {
        let statement = id.checked_sub(1).and_then(|at| self.statements.get(at as usize)).cloned().flatten();
        let Some(statement) = statement else {
            return results.error(ErrorKind::ER_UNKNOWN_STMT_HANDLER, b"no such prepared statement".as_slice()).await;
        };
        let values: Vec<String> =
            params.into_iter().map(|parameter| value::literal(parameter.value.into_inner())).collect();
        match with_parameters(&statement, &values) {
            Ok(text) => Self::answer(self.start(text), results).await,
            Err(error) => results.error(kind(&error), error.message.as_bytes()).await,
        }
    }

    async fn on_close<'a>(&'a mut self, id: u32)
    where
        W: 'async_trait,
    {
        if let Some(statement) = id.checked_sub(1).and_then(|at| self.statements.get_mut(at as usize)) {
            *statement = None;
        }
    }

    async fn on_query<'a>(&'a mut self, query: &'a str, results: QueryResultWriter<'a, W>) -> io::Result<()> {
        Self::answer(self.start(query.to_owned()), results).await
    }

    async fn on_init<'a>(&'a mut self, database: &'a str, writer: InitWriter<'a, W>) -> io::Result<()> {
        let selected = if database.is_empty() {
            Ok(())
        } else {
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            let selected = session.select_database(&self.store, database);
            self.seat.identify(&session.user, session.database.as_deref().unwrap_or_default());
            selected
        };
        match selected {
            Ok(()) => writer.ok().await,
            Err(error) => writer.error(kind(&error), error.message.as_bytes()).await,
        }
    }
}

/// The error number that the library can send. It does not know StarRocks' own numbers for an unknown table and for a
/// missing privilege; MySQL's mean the same.
fn kind(error: &Error) -> ErrorKind {
    match error.code {
        Error::UNKNOWN_TABLE => ErrorKind::ER_NO_SUCH_TABLE,
        Error::ACCESS_DENIED => ErrorKind::ER_ACCESS_DENIED_ERROR,
        1094 => ErrorKind::ER_NO_SUCH_THREAD,
        1095 => ErrorKind::ER_KILL_DENIED_ERROR,
        1193 => ErrorKind::ER_UNKNOWN_SYSTEM_VARIABLE,
        1317 => ErrorKind::ER_QUERY_INTERRUPTED,
        1007 => ErrorKind::ER_DB_CREATE_EXISTS,
        1008 => ErrorKind::ER_DB_DROP_EXISTS,
        1046 => ErrorKind::ER_NO_DB_ERROR,
        1049 => ErrorKind::ER_BAD_DB_ERROR,
        1050 => ErrorKind::ER_TABLE_EXISTS_ERROR,
        1060 => ErrorKind::ER_DUP_FIELDNAME,
        1065 => ErrorKind::ER_EMPTY_QUERY,
        1103 => ErrorKind::ER_WRONG_TABLE_NAME,
        1166 => ErrorKind::ER_WRONG_COLUMN_NAME,
        1248 => ErrorKind::ER_DERIVED_MUST_HAVE_ALIAS,
        1298 => ErrorKind::ER_UNKNOWN_TIME_ZONE,
        _ => ErrorKind::ER_PARSE_ERROR,
    }
}

/// A column as the client is told of it.
fn header(name: &str, ty: &SqlType) -> Column {
    let coltype = match ty {
        SqlType::Boolean | SqlType::TinyInt => ColumnType::MYSQL_TYPE_TINY,
        SqlType::SmallInt => ColumnType::MYSQL_TYPE_SHORT,
        SqlType::Int => ColumnType::MYSQL_TYPE_LONG,
        SqlType::BigInt => ColumnType::MYSQL_TYPE_LONGLONG,
        SqlType::Float => ColumnType::MYSQL_TYPE_FLOAT,
        SqlType::Double => ColumnType::MYSQL_TYPE_DOUBLE,
        SqlType::Decimal { .. } => ColumnType::MYSQL_TYPE_NEWDECIMAL,
        SqlType::Date => ColumnType::MYSQL_TYPE_DATE,
        SqlType::DateTime => ColumnType::MYSQL_TYPE_DATETIME,
        SqlType::Varchar(_) => ColumnType::MYSQL_TYPE_VAR_STRING,
        SqlType::Varbinary(_) => ColumnType::MYSQL_TYPE_BLOB,
        _ => ColumnType::MYSQL_TYPE_STRING,
    };
    let colflags = if matches!(ty, SqlType::Varbinary(_)) { ColumnFlags::BINARY_FLAG } else { ColumnFlags::empty() };
    Column { table: String::new(), column: name.to_owned(), coltype, colflags }
}

#[cfg(test)]
mod tests;
