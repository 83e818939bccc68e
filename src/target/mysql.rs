//! DDL and settings over the MySQL port: the HTTP SQL API takes neither (SR §8).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row};
use tokio::time::timeout;

use super::error::MYSQL;
use super::http::innermost;
use super::reply;
use super::{Error, Overload};
use crate::model::Secret;

/// Where and as whom to log in.
pub(super) struct Login<'a> {
    pub(super) hosts: Vec<String>,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) password: &'a Secret<String>,
    pub(super) connect_within: Duration,
    pub(super) answer_within: Duration,
}

/// The server's number for an unknown database.
const UNKNOWN_DATABASE: [u16; 2] = [1049, 5501];

/// The server's numbers for a login or a privilege that is missing.
const DENIED: [u16; 5] = [1044, 1045, 1142, 1227, 5203];

/// The server's numbers for too many connections.
const CROWDED: [u16; 2] = [1040, 1203];

/// The longest packet, in bytes. Told beforehand, it saves the client a query that it would send at every login.
const PACKET_BYTES_MAX: usize = 16 << 20;

/// How long the server may keep an idle connection, in seconds; told for the same reason.
const IDLE_SECONDS: usize = 60;

/// Creates a table; and its database, where the server says that this is what is missing.
///
/// Users often may create tables in a database and may not create databases, so the database is not created on the
/// off-chance.
pub(super) async fn create(login: &Login<'_>, database: &str, table: &str) -> Result<(), Error> {
    let (mut conn, address) = connect(login).await?;
    let created = match run(login, &mut conn, &address, table).await {
        Err(Trouble::NoDatabase(_)) => match run(login, &mut conn, &address, database).await {
            Ok(()) => run(login, &mut conn, &address, table).await,
            failed => failed,
        },
        done => done,
    };
    // What the server makes of the farewell changes nothing.
    let _ = timeout(login.connect_within, conn.disconnect()).await;
    created.map_err(|trouble| match trouble {
        Trouble::NoDatabase(message) => Error::Refused { message },
        Trouble::Other(error) => error,
    })
}

/// These columns of the rows of statements that show something; a cell that is no text is empty.
pub(super) async fn rows(
    login: &Login<'_>,
    statements: &[String],
    columns: &[&str],
) -> Result<Vec<Vec<String>>, Error> {
    let (mut conn, address) = connect(login).await?;
    let mut all = Vec::new();
    for statement in statements {
        let rows: Vec<Row> = match timeout(login.answer_within, conn.query(statement)).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(mysql_async::Error::Server(error))) => return Err(refusal(error, address)),
            Ok(Err(error)) => return Err(Error::Unreachable { attempts: vec![(address, innermost(&error))] }),
            Err(_) => return Err(Error::Unreachable { attempts: vec![(address, "no answer in time".to_owned())] }),
        };
        let cell =
            |row: &Row, column: &&str| row.get_opt::<String, _>(*column).and_then(Result::ok).unwrap_or_default();
        all.extend(rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()));
    }
    // What the server makes of the farewell changes nothing.
    let _ = timeout(login.connect_within, conn.disconnect()).await;
    Ok(all)
}

enum Trouble {
    NoDatabase(String),
    Other(Error),
}

async fn connect(login: &Login<'_>) -> Result<(Conn, String), Error> {
    let mut attempts = Vec::new();
    for host in &login.hosts {
        let address = format!("{host}:{}{MYSQL}", login.port);
        let options = OptsBuilder::default()
            .ip_or_hostname(host.clone())
            .tcp_port(login.port)
            .user(Some(login.user))
            .pass(Some(login.password.expose().clone()))
            .prefer_socket(false)
            .max_allowed_packet(Some(PACKET_BYTES_MAX))
            .wait_timeout(Some(IDLE_SECONDS));
        match timeout(login.connect_within, Conn::new(options)).await {
            Ok(Ok(conn)) => return Ok((conn, address)),
            Ok(Err(mysql_async::Error::Server(error))) => {
                return Err(refusal(error, address));
            }
            Ok(Err(error)) => attempts.push((address, innermost(&error))),
            Err(_) => attempts.push((address, format!("no login within {} s", login.connect_within.as_secs()))),
        }
    }
    Err(Error::Unreachable { attempts })
}

fn refusal(error: mysql_async::ServerError, address: String) -> Error {
    let message = error.message;
    match error.code {
        code if DENIED.contains(&code) => Error::AccessDenied { address, message },
        code if CROWDED.contains(&code) => Error::Busy { address, overload: Overload::Requests, after: None, message },
        _ => Error::Refused { message },
    }
}

async fn run(login: &Login<'_>, conn: &mut Conn, address: &str, statement: &str) -> Result<(), Trouble> {
    let other = |error| Err(Trouble::Other(error));
    match timeout(login.answer_within, conn.query_drop(statement)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(mysql_async::Error::Server(error))) => {
            let unknown_database = UNKNOWN_DATABASE.contains(&error.code) || reply::says_no_table(&error.message);
            if unknown_database {
                Err(Trouble::NoDatabase(error.message))
            } else {
                other(refusal(error, address.to_owned()))
            }
        }
        Ok(Err(error)) => other(Error::Unreachable { attempts: vec![(address.to_owned(), innermost(&error))] }),
        Err(_) => other(Error::Unreachable {
            attempts: vec![(address.to_owned(), format!("no answer within {} s", login.answer_within.as_secs()))],
        }),
    }
}
