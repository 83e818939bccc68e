//! `ALTER TABLE`. In StarRocks a change of columns is a job in the background; here it is done when the statement returns.

use rusqlite::params;

use super::Error;
use super::catalog::{self, Rebuilt};
use super::coerce::cast;
use super::create::{check_columns, check_name, column, properties};
use super::insert::stored_default;
use super::keys;
use super::rewrite::{Changes, mentions, rewritten};
use super::scope::{Bound, Context};
use super::session::Session;
use super::token::{Token, Tokens};
use crate::sandbox::sessions::now_ms;
use crate::sandbox::store::Store;
use crate::sandbox::tablet;
use crate::sandbox::types::{Column, SqlType, TableDef, quote};
use crate::sandbox::user::Privilege;

/// A column of the table to be, and what it holds for the rows there are: nothing where it computes itself.
struct Next {
    column: Column,
    value: Option<String>,
}

/// `ALTER TABLE t …`, from the name on.
pub(super) fn table(session: &Session, store: &Store, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let (database, name) = tokens.qualified_name()?;
    let context = session.context(store);
    let table = context.table(database.as_deref(), &name)?;
    context.allow(Privilege::Alter, &table.database, &table.name)?;
    if tokens.accept(&["RENAME"]) && !tokens.is("COLUMN") {
        return rename(store, &table, tokens);
    }
    if tokens.accept(&["SWAP", "WITH"]) {
        return swap(&context, store, &table, tokens);
    }
    if tokens.accept(&["COMPACT"]) {
        tokens.end()?;
        return Ok(store.write(|transaction| tablet::compact(transaction, table.id))?);
    }
    let mut changes = Changes::default();
    if tokens.accept(&["SET"]) {
        changes.properties = properties(tokens)?;
    } else if tokens.accept(&["COMMENT"]) {
        tokens.accept_symbol('=');
        changes.comment = Some(tokens.text()?);
    } else if tokens.accept(&["COLUMN"]) {
        return rename_column(session, store, &table, tokens);
    } else {
        return change_columns(session, store, &table, tokens);
    }
    tokens.end()?;
    let ddl = rewritten(&table, &table.name, &table.columns, &changes)?;
    let written = store.write_catalog(|transaction| {
        if let Some(comment) = &changes.comment {
            transaction.execute("UPDATE sb_tables SET comment = ?2 WHERE id = ?1", params![table.id, comment])?;
        }
        catalog::update_table(transaction, &table, &table.columns, &ddl)
    });
    written.map_err(|fault| outdone(&table, fault))
}

/// Why a change could not be made: most likely another was made in the same moment.
fn outdone(table: &TableDef, fault: rusqlite::Error) -> Error {
    match fault {
        rusqlite::Error::QueryReturnedNoRows => {
            Error::analysis(format!("Table[{}]'s state is not NORMAL. Do not allow to do ALTER ops", table.name))
        }
        fault => fault.into(),
    }
}

fn rename(store: &Store, table: &TableDef, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    if let Some(what) = ["ROLLUP", "PARTITION", "INDEX"].iter().find(|what| tokens.is(what)) {
        return Err(Error::unsupported(format!("ALTER TABLE … RENAME {what}")));
    }
    tokens.accept(&["TO"]);
    let name = tokens.name()?;
    tokens.end()?;
    check_name("table", &name)?;
    if name == table.name {
        return Err(Error::analysis(format!("Same table name {name}")));
    }
    if store.table(&table.database, &name).is_ok() {
        return Err(Error::new(1050, format!("Table '{name}' already exists")));
    }
    let ddl = rewritten(table, &name, &table.columns, &Changes::default())?;
    Ok(store.write_catalog(|transaction| catalog::rename_table(transaction, table, &name, &ddl))?)
}

/// Two tables change names, and nobody sees either without one.
fn swap(context: &Context<'_>, store: &Store, table: &TableDef, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let name = tokens.name()?;
    tokens.end()?;
    let other = context.table(Some(&table.database), &name)?;
    context.allow(Privilege::Alter, &other.database, &other.name)?;
    let ddl = |of: &TableDef, name: &str| rewritten(of, name, &of.columns, &Changes::default());
    let (mine, others) = (ddl(table, &other.name)?, ddl(&other, &table.name)?);
    store.write_catalog(|transaction| {
        // No table can have this name, which is empty, so it is free for the moment between.
        let update = "UPDATE sb_tables SET name = ?2, ddl = ?3 WHERE id = ?1";
        transaction.execute(update, params![table.id, "", mine])?;
        transaction.execute(update, params![other.id, table.name, others])?;
        transaction.execute(update, params![table.id, other.name, mine]).map(drop)
    })?;
    Ok(())
}

fn rename_column(session: &Session, store: &Store, table: &TableDef, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let old = tokens.name()?;
    tokens.expect("TO")?;
    let new = tokens.name()?;
    tokens.end()?;
    check_name("column", &new)?;
    let mut next = as_it_is(table);
    let at = position(&next, &old)?;
    let old = std::mem::replace(&mut next[at].column.name, new.clone());
    check_free(&next, &old, "renamed")?;
    let changes = Changes { renamed: Some((old, new)), ..Changes::default() };
    rebuild(session, store, table, &next, &changes)
}

/// `ADD COLUMN`, `DROP COLUMN`, `MODIFY COLUMN`: as many as there are, done together.
fn change_columns(session: &Session, store: &Store, table: &TableDef, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let mut next = as_it_is(table);
    let context = session.context(store);
    loop {
        if tokens.accept(&["ADD", "COLUMN"]) {
            add(&context, &mut next, tokens)?;
        } else if tokens.accept(&["DROP", "COLUMN"]) {
            let at = position(&next, &tokens.name()?)?;
            let gone = next.remove(at).column;
            if gone.key {
                return Err(Error::analysis(format!("Can not drop key column {}", gone.name)));
            }
            check_free(&next, &gone.name, "dropped")?;
        } else if tokens.accept(&["MODIFY", "COLUMN"]) {
            modify(&mut next, tokens)?;
        } else {
            let what: Vec<String> = (0..2).map_while(|_| tokens.name().ok()).collect();
            return Err(Error::unsupported(format!("ALTER TABLE … {}", what.join(" ").to_uppercase())));
        }
        if !tokens.accept_symbol(',') {
            break;
        }
    }
    tokens.end()?;
    rebuild(session, store, table, &next, &Changes::default())
}

/// One column, or several in parentheses.
fn add(context: &Context<'_>, next: &mut Vec<Next>, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let several = tokens.accept_symbol('(');
    loop {
        let column = column(tokens, &mut Vec::new())?;
        if column.key || column.auto_increment {
            let what = if column.key { "a key column" } else { "an AUTO_INCREMENT column" };
            return Err(Error::unsupported(format!("ALTER TABLE … ADD COLUMN of {what}")));
        }
        if !column.nullable && column.default.is_none() && column.generated.is_none() {
            let detail = format!("Column {} is not nullable and has no default value", column.name);
            return Err(Error::analysis(detail));
        }
        let value = match column.generated {
            Some(_) => None,
            None => Some(stored_default(context, &column)?),
        };
        let at = if several { next.len() } else { place(next, tokens)?.unwrap_or(next.len()) };
        next.insert(at, Next { column, value });
        if !(several && tokens.accept_symbol(',')) {
            break;
        }
    }
    if several {
        tokens.expect_symbol(')')?;
    }
    in_rollup(tokens)
}

/// Another type, place or comment. A type may only grow, so that each value stays what it was.
fn modify(next: &mut Vec<Next>, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    if matches!(tokens.peek_at(1), Some(Token::Word(word)) if word.eq_ignore_ascii_case("COMMENT")) {
        let at = position(next, &tokens.name()?)?;
        tokens.expect("COMMENT")?;
        next[at].column.comment = tokens.text()?;
        return Ok(());
    }
    let wanted = column(tokens, &mut Vec::new())?;
    let at = position(next, &wanted.name)?;
    let Next { column: old, value } = next.remove(at);
    if wanted.generated.is_some() || old.generated.is_some() || wanted.auto_increment != old.auto_increment {
        return Err(Error::unsupported("ALTER TABLE … MODIFY COLUMN of a generated or AUTO_INCREMENT column"));
    }
    if old.nullable && !wanted.nullable {
        return Err(Error::analysis(format!("Can not change from nullable to non-nullable. Column: {}", old.name)));
    }
    if !widens(&old.ty, &wanted.ty) {
        return Err(Error::analysis(format!("Can not change {} to {}", old.ty, wanted.ty)));
    }
    let value = match value {
        Some(value) => Some(cast(Bound::new(value, old.ty.clone()), &wanted.ty)?.sql),
        None => None,
    };
    let changed =
        Column { name: old.name.clone(), key: old.key, default: wanted.default.or(old.default.clone()), ..wanted };
    let comment = if changed.comment.is_empty() { old.comment.clone() } else { changed.comment.clone() };
    let mut kept = old;
    (kept.ty, kept.nullable, kept.default, kept.comment) = (changed.ty, changed.nullable, changed.default, comment);
    let to = place(next, tokens)?.unwrap_or(at);
    next.insert(to, Next { column: kept, value });
    in_rollup(tokens)
}

/// `FIRST` or `AFTER column`.
fn place(next: &[Next], tokens: &mut Tokens<'_>) -> Result<Option<usize>, Error> {
    if tokens.accept(&["FIRST"]) {
        return Ok(Some(0));
    }
    if tokens.accept(&["AFTER"]) {
        return Ok(Some(position(next, &tokens.name()?)? + 1));
    }
    Ok(None)
}

fn in_rollup(tokens: &mut Tokens<'_>) -> Result<(), Error> {
    if ["TO", "IN", "FROM"].iter().any(|word| tokens.is(word)) {
        return Err(Error::unsupported("ALTER TABLE of a rollup"));
    }
    if tokens.accept(&["PROPERTIES"]) {
        properties(tokens)?;
    }
    Ok(())
}

fn as_it_is(table: &TableDef) -> Vec<Next> {
    let next = |column: &Column| Next {
        column: column.clone(),
        value: column.generated.is_none().then(|| quote(&column.name)),
    };
    table.columns.iter().map(next).collect()
}

fn position(next: &[Next], name: &str) -> Result<usize, Error> {
    let found = next.iter().position(|next| next.column.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| Error::analysis(format!("Column {name} does not exist")))
}

/// Makes sure that no generated column is computed from this one.
fn check_free(next: &[Next], name: &str, what: &str) -> Result<(), Error> {
    let uses = |next: &&Next| next.column.generated.as_deref().is_some_and(|expression| mentions(expression, name));
    match next.iter().find(uses) {
        Some(by) => {
            let detail = format!("Column {name} cannot be {what}, it is used by generated column {}", by.column.name);
            Err(Error::analysis(detail))
        }
        None => Ok(()),
    }
}

/// Whether every value of a type is also one of another.
fn widens(from: &SqlType, to: &SqlType) -> bool {
    let width = |ty: &SqlType| match ty {
        SqlType::TinyInt => Some(1),
        SqlType::SmallInt => Some(2),
        SqlType::Int => Some(4),
        SqlType::BigInt => Some(8),
        SqlType::LargeInt => Some(16),
        _ => None,
    };
    if let (Some(from), Some(to)) = (width(from), width(to)) {
        return from <= to;
    }
    match (from, to) {
        (from, to) if from == to => true,
        (SqlType::Char(from) | SqlType::Varchar(from), SqlType::Varchar(to)) => from <= to,
        (SqlType::Char(from), SqlType::Char(to)) | (SqlType::Varbinary(from), SqlType::Varbinary(to)) => from <= to,
        (SqlType::Float, SqlType::Double) | (SqlType::Date, SqlType::DateTime) => true,
        (SqlType::TinyInt | SqlType::SmallInt | SqlType::Int, SqlType::Double) => true,
        (SqlType::Decimal { precision: p, scale: s }, SqlType::Decimal { precision, scale }) => {
            s <= scale && p - s <= precision - scale
        }
        (from, SqlType::Varchar(length)) => width(from).is_some() && *length >= 40,
        _ => false,
    }
}

/// Makes the table anew and notes that there was a job.
fn rebuild(session: &Session, store: &Store, table: &TableDef, next: &[Next], changes: &Changes) -> Result<(), Error> {
    let columns: Vec<Column> = next.iter().map(|next| next.column.clone()).collect();
    check_columns(&columns)?;
    let keys = columns.iter().filter(|column| column.key).count();
    if columns[..keys].iter().any(|column| !column.key) {
        return Err(Error::analysis("Invalid column order. value should be after key"));
    }
    keys::check(table.keys, &columns)?;
    let ddl = rewritten(table, &table.name, &columns, changes)?;
    let generated = session.generated(store, &columns)?;
    let values: Vec<Option<String>> = next.iter().map(|next| next.value.clone()).collect();
    let context = session.context(store);
    let mut refused = None;
    let written = store.write_catalog(|transaction| {
        let new = Rebuilt { columns: &columns, generated: &generated, values: &values };
        if let Err(refusal) = context.interruptible(transaction, || catalog::rebuild_table(transaction, table, &new)) {
            refused = Some(refusal);
            // Any error rolls the transaction back; the one that matters is kept aside.
            return Err(rusqlite::Error::ExecuteReturnedResults);
        }
        catalog::update_table(transaction, table, &columns, &ddl)?;
        transaction.execute(
            "INSERT INTO sb_alter_jobs (database, table_name, table_id, done_ms) VALUES (?1, ?2, ?3, ?4)",
            params![table.database, table.name, table.id, now_ms()],
        )?;
        tablet::bump_version(transaction, table.id)
    });
    match refused {
        Some(refusal) => Err(refusal),
        None => written.map_err(|fault| outdone(table, fault)),
    }
}
