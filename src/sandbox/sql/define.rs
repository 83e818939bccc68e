//! `CREATE TABLE` from something else: `… LIKE` another table, `… AS` a query.

use super::create::{CreateTable, backticked, check_name};
use super::rewrite::{Changes, rewritten};
use super::session::{Answer, Session};
use super::token::{Token, Tokens};
use super::{Error, catalog};
use crate::sandbox::store::Store;
use crate::sandbox::types::SqlType;
use crate::sandbox::user::Privilege;

/// Creates the table, if the statement behind `CREATE TABLE` is one of these. Otherwise nothing is taken.
pub(super) fn create_from(session: &Session, store: &Store, tokens: &mut Tokens<'_>) -> Result<Option<Answer>, Error> {
    let mut ahead = Tokens::new(&tokens.source()[tokens.offset()..])?;
    let if_not_exists = ahead.accept(&["IF", "NOT", "EXISTS"]);
    let (database, name) = ahead.qualified_name()?;
    let database = database.as_deref().or(session.database.as_deref());
    if ahead.accept(&["LIKE"]) {
        let (other_database, other) = ahead.qualified_name()?;
        ahead.end()?;
        let database = database.ok_or_else(Error::no_database)?;
        let context = session.context(store);
        let source = context.table(other_database.as_deref(), &other)?;
        context.allow_any(&source.database, &source.name)?;
        context.allow(Privilege::CreateTable, database, "")?;
        check_name("table", &name)?;
        let ddl = rewritten(&source, &name, &source.columns, &Changes::default())?;
        let mut words = Tokens::new(&ddl)?;
        words.accept(&["CREATE", "TABLE"]);
        let table = CreateTable { if_not_exists, ..CreateTable::parse(&mut words)? };
        catalog::create_table(store, database, &table, &session.generated(store, &table.columns)?)?;
        return Ok(Some(Answer::Done { rows: 0 }));
    }
    if ahead.peek() == Some(&Token::Symbol('(')) {
        // With a list of columns it is an ordinary one; one of names alone in front of AS is refused there.
        return Ok(None);
    }
    let start = ahead.offset();
    let mut depth = 0;
    while let Some(token) = ahead.peek() {
        match token {
            Token::Symbol('(') => depth += 1,
            Token::Symbol(')') => depth -= 1,
            Token::Word(word) if depth == 0 && word.eq_ignore_ascii_case("AS") => break,
            _ => {}
        }
        ahead.take();
    }
    let clauses = &ahead.source()[start..ahead.offset()];
    if !ahead.accept(&["AS"]) {
        return Ok(None);
    }
    let query = &ahead.source()[ahead.offset()..];
    let database = database.ok_or_else(Error::no_database)?;
    as_query(session, store, (if_not_exists, database, &name), clauses, query).map(Some)
}

fn as_query(
    session: &Session,
    store: &Store,
    (if_not_exists, database, name): (bool, &str, &str),
    clauses: &str,
    query: &str,
) -> Result<Answer, Error> {
    session.context(store).allow(Privilege::CreateTable, database, "")?;
    if if_not_exists && store.table(database, name).is_ok() {
        return Ok(Answer::Done { rows: 0 });
    }
    let columns: Vec<String> = session
        .query(store, query)?
        .columns
        .iter()
        .map(|(column, ty)| {
            // NULL alone is of no type; StarRocks makes it a BOOLEAN.
            let ty = if matches!(ty, SqlType::Other(name) if name == "null_type") { &SqlType::Boolean } else { ty };
            format!("{} {ty}", backticked(column))
        })
        .collect();
    let statement = format!("{} ({}) {clauses}", backticked(name), columns.join(", "));
    let table = CreateTable::parse(&mut Tokens::new(&statement)?)?;
    catalog::create_table(store, database, &table, &session.generated(store, &table.columns)?)?;
    let target = format!("{}.{}", backticked(database), backticked(name));
    session.insert(store, &format!("INSERT INTO {target} {query}")).inspect_err(|_| {
        // A table that could not be filled is not left behind; that it cannot be dropped either changes nothing.
        let _ = catalog::drop_table(store, database, name, true);
    })
}
