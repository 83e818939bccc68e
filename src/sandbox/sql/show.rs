//! `SHOW` and `DESC`.

use super::create::backticked;
use super::information_schema::{databases, default_text, table_names};
use super::scope::Context;
use super::session::{Answer, Table};
use super::token::{Token, Tokens};
use super::{Error, variables};
use crate::sandbox::function::like;
use crate::sandbox::store::Store;
use crate::sandbox::types::{SqlType, TableDef};

/// Runs a SHOW statement.
pub(super) fn show(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
    tokens.expect("SHOW")?;
    let store = context.store.ok_or_else(Error::no_database)?;
    let full = tokens.accept(&["FULL"]);
    let _ = tokens.accept(&["GLOBAL"]) || tokens.accept(&["SESSION"]);
    let Some(Token::Word(word)) = tokens.take() else {
        return Err(tokens.unexpected("what to show"));
    };
    let table = match word.to_ascii_uppercase().as_str() {
        "DATABASES" | "SCHEMAS" => {
            let names = databases(store)?.into_iter().map(|name| vec![Some(name)]);
            filtered(tokens, table(&["Database"], names.collect()))?
        }
        "TABLES" => tables(context, store, full, tokens)?,
        "CREATE" => create(context, store, tokens)?,
        "COLUMNS" | "FIELDS" => {
            let table = table_after_from(context, tokens)?;
            filtered(tokens, describe(&table))?
        }
        "VARIABLES" => {
            let rows = variables::all(context).into_iter().map(|(name, value)| vec![Some(name), Some(value)]);
            filtered(tokens, table(&["Variable_name", "Value"], rows.collect()))?
        }
        "STATUS" => filtered(tokens, table(&["Variable_name", "Value"], Vec::new()))?,
        "WARNINGS" | "ERRORS" => table(&["Level", "Code", "Message"], Vec::new()),
        "CATALOGS" => {
            let row =
                ["default_catalog", "Internal", "An internal catalog contains this cluster's self-managed tables."];
            table(&["Catalog", "Type", "Comment"], vec![row.map(|cell| Some(cell.to_owned())).to_vec()])
        }
        "ENGINES" => {
            let row = ["OLAP", "YES", "Default storage engine of StarRocks", "NO", "NO", "NO"];
            let columns = ["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"];
            table(&columns, vec![row.map(|cell| Some(cell.to_owned())).to_vec()])
        }
        "INDEX" | "INDEXES" | "KEYS" => {
            table_after_from(context, tokens)?;
            table(&["Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name"], Vec::new())
        }
        "PROCESSLIST" => {
            let row = [context.connection_id.to_string(), context.user.to_owned(), "Query".to_owned()];
            table(&["Id", "User", "Command"], vec![row.map(Some).to_vec()])
        }
        other => return Err(Error::unsupported(format!("SHOW {other}"))),
    };
    Ok(Answer::Table(table))
}

fn table(columns: &[&str], rows: Vec<Vec<Option<String>>>) -> Table {
    Table { columns: columns.iter().map(|name| ((*name).to_owned(), SqlType::TEXT)).collect(), rows }
}

/// Applies `LIKE 'pattern'` or `WHERE column = 'text'` to the rows, and takes the end of the statement.
fn filtered(tokens: &mut Tokens<'_>, mut table: Table) -> Result<Table, Error> {
    if tokens.accept(&["LIKE"]) {
        let pattern = tokens.text()?;
        let matches =
            |row: &Vec<Option<String>>| row.first().and_then(Option::as_deref).is_some_and(|name| like(name, &pattern));
        table.rows.retain(matches);
    } else if tokens.accept(&["WHERE"]) {
        let name = tokens.name()?;
        let Some(at) = table.columns.iter().position(|(column, _)| column.eq_ignore_ascii_case(&name)) else {
            return Err(Error::analysis(format!("Column '{name}' cannot be resolved")));
        };
        let pattern = tokens.accept(&["LIKE"]);
        if !pattern {
            tokens.expect_symbol('=')?;
        }
        let wanted = tokens.text()?;
        table.rows.retain(|row| {
            row[at].as_deref().is_some_and(|cell| if pattern { like(cell, &wanted) } else { cell == wanted })
        });
    }
    tokens.end()?;
    Ok(table)
}

fn tables(context: &Context<'_>, store: &Store, full: bool, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    let named =
        if tokens.accept(&["FROM"]) || tokens.accept(&["IN"]) { Some(tokens.qualified_name()?.1) } else { None };
    let database = named.as_deref().or(context.database).ok_or_else(Error::no_database)?;
    let all = table_names(store, database)?;
    let heading = format!("Tables_in_{database}");
    let shown = if full {
        let row = |name| vec![Some(name), Some("BASE TABLE".to_owned())];
        table(&[&heading, "Table_type"], all.into_iter().map(row).collect())
    } else {
        table(&[&heading], all.into_iter().map(|name| vec![Some(name)]).collect())
    };
    filtered(tokens, shown)
}

fn create(context: &Context<'_>, store: &Store, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    if tokens.accept(&["DATABASE"]) || tokens.accept(&["SCHEMA"]) {
        let name = tokens.name()?;
        tokens.end()?;
        if !store.has_database(&name)? {
            return Err(Error::unknown_database(&name));
        }
        let ddl = format!("CREATE DATABASE {}", backticked(&name));
        return Ok(table(&["Database", "Create Database"], vec![vec![Some(name), Some(ddl)]]));
    }
    tokens.expect("TABLE")?;
    let (database, name) = tokens.qualified_name()?;
    tokens.end()?;
    let found = context.table(database.as_deref(), &name)?;
    Ok(table(&["Table", "Create Table"], vec![vec![Some(name), Some(found.ddl.clone())]]))
}

fn table_after_from(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<std::sync::Arc<TableDef>, Error> {
    if !tokens.accept(&["FROM"]) {
        tokens.expect("IN")?;
    }
    let (mut database, name) = tokens.qualified_name()?;
    if tokens.accept(&["FROM"]) || tokens.accept(&["IN"]) {
        database = Some(tokens.name()?);
    }
    context.table(database.as_deref(), &name)
}

/// What DESC shows of a table.
pub(super) fn describe(described: &TableDef) -> Table {
    let yes = |truth: bool, yes: &str, no: &str| Some(if truth { yes } else { no }.to_owned());
    let rows = described.columns.iter().map(|column| {
        let extra = match (&column.generated, column.auto_increment) {
            (Some(expression), _) => format!("AS {expression}"),
            (None, true) => "AUTO_INCREMENT".to_owned(),
            (None, false) => String::new(),
        };
        vec![
            Some(column.name.clone()),
            Some(column.ty.to_string()),
            yes(column.nullable, "YES", "NO"),
            yes(column.key, "true", "false"),
            default_text(column),
            Some(extra),
        ]
    });
    table(&["Field", "Type", "Null", "Key", "Default", "Extra"], rows.collect())
}
