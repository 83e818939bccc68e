//! `information_schema`: the catalogue as tables, as far as clients ask for it.

use super::Error;
use super::scope::{BoundQuery, Context};
use crate::sandbox::store::Store;
use crate::sandbox::types::{Column, Default, SqlType, TableDef, literal};

/// The tables there are.
pub(super) const TABLES: [&str; 3] = ["columns", "schemata", "tables"];

/// The names of all databases, in order.
pub(super) fn databases(store: &Store) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = store.read(|connection| {
        connection.prepare_cached("SELECT name FROM sb_databases")?.query_map([], |row| row.get(0))?.collect()
    })?;
    names.push("information_schema".to_owned());
    names.sort();
    Ok(names)
}

/// The names of a database's tables, in order.
pub(super) fn table_names(store: &Store, database: &str) -> Result<Vec<String>, Error> {
    if database.eq_ignore_ascii_case("information_schema") {
        return Ok(TABLES.map(str::to_owned).to_vec());
    }
    if !store.has_database(database)? {
        return Err(Error::unknown_database(database));
    }
    Ok(store.read(|connection| {
        let mut statement =
            connection.prepare_cached("SELECT name FROM sb_tables WHERE database = ?1 ORDER BY name")?;
        statement.query_map([database], |row| row.get(0))?.collect()
    })?)
}

/// A table of `information_schema` as a query.
pub(super) fn table(context: &Context<'_>, _database: &str, name: &str) -> Result<BoundQuery, Error> {
    let store = context.store.ok_or_else(|| Error::analysis("an expression of a load cannot name a table"))?;
    match name.to_ascii_lowercase().as_str() {
        "schemata" => schemata(store),
        "tables" => Ok(tables()),
        "columns" => columns(context, store),
        _ => Err(Error::unknown_table("information_schema", name)),
    }
}

fn text_columns(names: &[&str]) -> Vec<(String, SqlType)> {
    names.iter().map(|name| ((*name).to_owned(), SqlType::TEXT)).collect()
}

fn schemata(store: &Store) -> Result<BoundQuery, Error> {
    let rows: Vec<Vec<String>> = databases(store)?
        .iter()
        .map(|name| vec![literal("def"), literal(name), literal("utf8"), literal("utf8_general_ci"), "NULL".to_owned()])
        .collect();
    let columns = ["CATALOG_NAME", "SCHEMA_NAME", "DEFAULT_CHARACTER_SET_NAME", "DEFAULT_COLLATION_NAME", "SQL_PATH"];
    Ok(rows_of(&rows, text_columns(&columns)))
}

fn tables() -> BoundQuery {
    let mut columns = text_columns(&["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE", "ENGINE"]);
    columns.extend(text_columns(&["TABLE_COMMENT"]));
    columns.push(("CREATE_TIME".to_owned(), SqlType::DateTime));
    let sql =
        "SELECT 'def' AS \"c1\", database AS \"c2\", name AS \"c3\", 'BASE TABLE' AS \"c4\", 'StarRocks' AS \"c5\",
               comment AS \"c6\", created AS \"c7\" FROM sb_tables";
    BoundQuery { sql: sql.to_owned(), columns }
}

fn columns(context: &Context<'_>, store: &Store) -> Result<BoundQuery, Error> {
    let mut rows = Vec::new();
    for database in databases(store)?.iter().filter(|name| *name != "information_schema") {
        for name in table_names(store, database)? {
            let table = context.table(Some(database), &name)?;
            rows.extend(table.columns.iter().enumerate().map(|(at, column)| column_row(&table, at, column)));
        }
    }
    let number = |name: &str| (name.to_owned(), SqlType::BigInt);
    let mut columns = text_columns(&["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME"]);
    columns.push(number("ORDINAL_POSITION"));
    columns.extend(text_columns(&["COLUMN_DEFAULT", "IS_NULLABLE", "DATA_TYPE"]));
    columns.extend([number("CHARACTER_MAXIMUM_LENGTH"), number("NUMERIC_PRECISION"), number("NUMERIC_SCALE")]);
    columns.extend(text_columns(&["COLUMN_TYPE", "COLUMN_KEY", "EXTRA", "COLUMN_COMMENT", "GENERATION_EXPRESSION"]));
    Ok(rows_of(&rows, columns))
}

fn column_row(table: &TableDef, at: usize, column: &Column) -> Vec<String> {
    let (length, precision, scale) = match &column.ty {
        SqlType::Char(length) | SqlType::Varchar(length) | SqlType::Varbinary(length) => (Some(*length), None, None),
        SqlType::Decimal { precision, scale } => (None, Some(*precision), Some(*scale)),
        _ => (None, None, None),
    };
    let or_null = |number: Option<String>| number.unwrap_or_else(|| "NULL".to_owned());
    let text = column.ty.to_string();
    let data_type = text.split(['(', '<']).next().unwrap_or_default();
    vec![
        literal("def"),
        literal(&table.database),
        literal(&table.name),
        literal(&column.name),
        (at + 1).to_string(),
        default_text(column).map_or("NULL".to_owned(), |text| literal(&text)),
        literal(if column.nullable { "YES" } else { "NO" }),
        literal(data_type),
        or_null(length.map(|length| length.to_string())),
        or_null(precision.map(|precision| precision.to_string())),
        or_null(scale.map(|scale| scale.to_string())),
        literal(&text),
        literal(if column.key { "DUP" } else { "" }),
        literal(if column.auto_increment { "auto_increment" } else { "" }),
        literal(&column.comment),
        literal(column.generated.as_deref().unwrap_or_default()),
    ]
}

/// A column's default as the catalogue shows it.
pub(super) fn default_text(column: &Column) -> Option<String> {
    match column.default.as_ref()? {
        Default::Literal(text) | Default::Expression(text) => Some(text.clone()),
    }
}

/// Rows of SQL expressions as a query.
fn rows_of(rows: &[Vec<String>], columns: Vec<(String, SqlType)>) -> BoundQuery {
    let select = |cells: &[String]| {
        let cells: Vec<String> =
            cells.iter().enumerate().map(|(at, cell)| format!("{cell} AS \"c{}\"", at + 1)).collect();
        format!("SELECT {}", cells.join(", "))
    };
    let sql = if rows.is_empty() {
        format!("{} WHERE 0", select(&vec!["NULL".to_owned(); columns.len()]))
    } else {
        // One VALUES list, since SQLite limits the number of SELECTs that UNION ALL may chain.
        let rows: Vec<String> = rows.iter().map(|cells| format!("({})", cells.join(", "))).collect();
        let names: Vec<String> = (1..=columns.len()).map(|at| format!("column{at} AS \"c{at}\"")).collect();
        format!("SELECT {} FROM (VALUES {})", names.join(", "), rows.join(", "))
    };
    BoundQuery { sql, columns }
}
