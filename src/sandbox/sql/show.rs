//! `SHOW` and `DESC`.

use std::sync::Arc;

use super::create::backticked;
use super::information_schema::{databases, default_text, table_names};
use super::listing::finish;
use super::scope::{Context, is_system_database};
use super::session::{Answer, Table};
use super::token::{Token, Tokens};
use super::{Error, account, show_cluster, variables};
use crate::sandbox::store::Store;
use crate::sandbox::types::{Aggregation, TableDef};
use crate::sandbox::user::Kind;

/// Runs a SHOW statement.
pub(super) fn show(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
    tokens.expect("SHOW")?;
    let (store, _) = context.surroundings()?;
    let full = tokens.accept(&["FULL"]);
    let all = tokens.accept(&["ALL"]);
    let _ = tokens.accept(&["GLOBAL"]) || tokens.accept(&["SESSION"]) || tokens.accept(&["EXTENDED"]);
    let Some(Token::Word(word)) = tokens.take() else {
        return Err(tokens.unexpected("what to show"));
    };
    let word = word.to_ascii_uppercase();
    let table = match word.as_str() {
        "DATABASES" | "SCHEMAS" => {
            if tokens.accept(&["FROM"]) || tokens.accept(&["IN"]) {
                tokens.expect("DEFAULT_CATALOG")?;
            }
            let names = databases(context)?.into_iter().map(|name| vec![Some(name)]);
            finish(tokens, Table::new(&["Database"], names.collect()))?
        }
        "TABLES" => tables(context, full, tokens)?,
        "TABLE" if tokens.accept(&["STATUS"]) => show_cluster::table_status(context, tokens)?,
        "CREATE" => create(context, store, tokens)?,
        "COLUMNS" | "FIELDS" => {
            let table = table_after_from(context, tokens)?;
            finish(tokens, if full { describe_in_full(&table) } else { describe(&table) })?
        }
        "VARIABLES" => {
            let rows = variables::all(context).into_iter().map(|(name, value)| vec![Some(name), Some(value)]);
            finish(tokens, Table::new(&["Variable_name", "Value"], rows.collect()))?
        }
        "CATALOGS" => {
            let row =
                ["default_catalog", "Internal", "An internal catalog contains this cluster's self-managed tables."];
            finish(tokens, Table::new(&["Catalog", "Type", "Comment"], vec![texts(&row)]))?
        }
        "STORAGE" if tokens.accept(&["ENGINES"]) => engines(tokens)?,
        "ENGINES" => engines(tokens)?,
        "INDEX" | "INDEXES" | "KEYS" => {
            table_after_from(context, tokens)?;
            finish(tokens, Table::new(&["Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name"], Vec::new()))?
        }
        "GRANTS" => account::show_grants(store, context, tokens)?,
        "USERS" => account::show_users(store, context, tokens)?,
        "AUTHENTICATION" => account::show_authentication(store, context, tokens, all)?,
        other => match ceremony(other, tokens) {
            Some(table) => finish(tokens, table)?,
            None => show_cluster::show(context, other, tokens)?,
        },
    };
    Ok(Answer::Table(table))
}

/// What clients ask when they connect, and what has no rows here or always the same.
fn ceremony(word: &str, tokens: &mut Tokens<'_>) -> Option<Table> {
    let empty = |columns: &[&str]| Some(Table::new(columns, Vec::new()));
    match word {
        "STATUS" => empty(&["Variable_name", "Value"]),
        "WARNINGS" | "ERRORS" => empty(&["Level", "Code", "Message"]),
        "CHARSET" => Some(character_sets()),
        "CHARACTER" if tokens.accept(&["SET"]) => Some(character_sets()),
        "COLLATION" => {
            let row = ["utf8_general_ci", "utf8", "33", "Yes", "Yes", "1"];
            Some(Table::new(&["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"], vec![texts(&row)]))
        }
        "PLUGINS" => empty(&["Name", "Type", "Status", "Library", "License"]),
        "PRIVILEGES" => {
            let kinds = [Kind::Table, Kind::Database, Kind::Catalog, Kind::System];
            let rows =
                kinds.iter().flat_map(|kind| kind.privileges().iter().map(|name| texts(&[name, kind.name(), ""])));
            Some(Table::new(&["Privilege", "Context", "Comment"], rows.collect()))
        }
        "ROLES" => Some(Table::new(&["Name"], vec![texts(&["root"]), texts(&["public"])])),
        "PROCEDURE" | "FUNCTION" if tokens.accept(&["STATUS"]) => {
            empty(&["Db", "Name", "Type", "Definer", "Modified", "Created", "Security_type", "Comment"])
        }
        "TRIGGERS" => empty(&["Trigger", "Event", "Table", "Statement", "Timing", "Created"]),
        "EVENTS" => empty(&["Db", "Name", "Definer", "Time", "Type", "Execute At", "Interval value", "Status"]),
        "OPEN" if tokens.accept(&["TABLES"]) => empty(&["Database", "Table", "In_use", "Name_locked"]),
        _ => None,
    }
}

fn character_sets() -> Table {
    let row = ["utf8", "UTF-8 Unicode", "utf8_general_ci", "3"];
    Table::new(&["Charset", "Description", "Default collation", "Maxlen"], vec![texts(&row)])
}

fn engines(tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    let row = ["OLAP", "YES", "Default storage engine of StarRocks", "NO", "NO", "NO"];
    let columns = ["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"];
    finish(tokens, Table::new(&columns, vec![texts(&row)]))
}

/// A row of constant texts.
fn texts(cells: &[&str]) -> Vec<Option<String>> {
    cells.iter().map(|cell| Some((*cell).to_owned())).collect()
}

fn tables(context: &Context<'_>, full: bool, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    let named =
        if tokens.accept(&["FROM"]) || tokens.accept(&["IN"]) { Some(tokens.qualified_name()?.1) } else { None };
    let database = named.as_deref().or(context.database).ok_or_else(Error::no_database)?;
    let all = table_names(context, database)?;
    let heading = format!("Tables_in_{database}");
    let shown = if full {
        let kind = if is_system_database(database) { "SYSTEM VIEW" } else { "BASE TABLE" };
        let row = |name| vec![Some(name), Some(kind.to_owned())];
        Table::new(&[&heading, "Table_type"], all.into_iter().map(row).collect())
    } else {
        Table::new(&[&heading], all.into_iter().map(|name| vec![Some(name)]).collect())
    };
    finish(tokens, shown)
}

fn create(context: &Context<'_>, store: &Store, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    if tokens.accept(&["DATABASE"]) || tokens.accept(&["SCHEMA"]) {
        let name = tokens.name()?;
        tokens.end()?;
        if !store.has_database(&name)? {
            return Err(Error::unknown_database(&name));
        }
        context.allow_any(&name, "")?;
        let ddl = format!("CREATE DATABASE {}", backticked(&name));
        return Ok(Table::new(&["Database", "Create Database"], vec![vec![Some(name), Some(ddl)]]));
    }
    if ["VIEW", "MATERIALIZED", "FUNCTION", "CATALOG"].iter().any(|what| tokens.is(what)) {
        let what = tokens.name()?.to_uppercase();
        return Err(Error::unsupported(format!("SHOW CREATE {what}")));
    }
    tokens.expect("TABLE")?;
    let (database, name) = tokens.qualified_name()?;
    tokens.end()?;
    let found = context.table(database.as_deref(), &name)?;
    context.allow_any(&found.database, &found.name)?;
    Ok(Table::new(&["Table", "Create Table"], vec![vec![Some(name), Some(found.ddl.clone())]]))
}

pub(super) fn table_after_from(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Arc<TableDef>, Error> {
    if !tokens.accept(&["FROM"]) {
        tokens.expect("IN")?;
    }
    let (mut database, name) = tokens.qualified_name()?;
    if tokens.accept(&["FROM"]) || tokens.accept(&["IN"]) {
        database = Some(tokens.name()?);
    }
    let found = context.table(database.as_deref(), &name)?;
    context.allow_any(&found.database, &found.name)?;
    Ok(found)
}

/// What DESC shows of a table.
pub(super) fn describe(described: &TableDef) -> Table {
    let yes = |truth: bool, yes: &str, no: &str| Some(if truth { yes } else { no }.to_owned());
    let rows = described.columns.iter().map(|column| {
        let extra = match (&column.generated, column.aggregation) {
            (Some(expression), _) => format!("AS {expression}"),
            (None, _) if column.auto_increment => "AUTO_INCREMENT".to_owned(),
            (None, aggregation) => aggregation.map_or("", Aggregation::keyword).to_owned(),
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
    Table::new(&["Field", "Type", "Null", "Key", "Default", "Extra"], rows.collect())
}

/// What SHOW FULL COLUMNS shows of a table.
fn describe_in_full(described: &TableDef) -> Table {
    let rows = describe(described).rows.into_iter().zip(&described.columns).map(|(mut row, column)| {
        let collation = column.ty.is_text().then(|| "utf8_general_ci".to_owned());
        row.insert(2, collation);
        row.extend([Some(String::new()), Some(column.comment.clone())]);
        row
    });
    let columns = ["Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"];
    Table::new(&columns, rows.collect())
}
