//! `information_schema`: the catalogue as tables, as far as clients ask for it. `_statistics_` has one table beside it.

use super::Error;
use super::information_empty::EMPTY;
use super::scope::{BoundQuery, Context, is_system_database};
use super::{information_config, information_loads, variables};
use crate::sandbox::overview::{Overview, Role};
use crate::sandbox::store::{Listed, Store};
use crate::sandbox::tablet::{self, Versions};
use crate::sandbox::types::{Column, Default, SqlType, TableDef, literal};
use crate::sandbox::user::{EVERY, Grant, Kind, ROOT};

/// The tables that have rows.
const FILLED: [&str; 18] = [
    "be_tablets",
    "character_sets",
    "collations",
    "columns",
    "engines",
    "global_variables",
    "load_tracking_logs",
    "loads",
    "partitions_meta",
    "schema_privileges",
    "schemata",
    "session_variables",
    "stream_loads",
    "table_privileges",
    "tables",
    "tables_config",
    "user_privileges",
    "key_column_usage",
];

/// What a user may see. Read once for a list, and asked for each entry.
pub(super) struct Seen {
    all: bool,
    grants: Vec<Grant>,
}

impl Seen {
    /// What the user of a statement may see.
    pub(super) fn of(context: &Context<'_>) -> Result<Self, Error> {
        let (store, _) = context.surroundings()?;
        Ok(Self { all: context.user == ROOT, grants: store.grants(context.user)? })
    }

    /// Whether a table is seen; without a name, whether the database or anything in it is.
    pub(super) fn sees(&self, database: &str, table: &str) -> bool {
        let is = |grant: &&Grant| match grant.kind {
            Kind::Table => table.is_empty() || grant.table == EVERY || grant.table == table,
            Kind::Database => table.is_empty(),
            Kind::System | Kind::Catalog => false,
        };
        let here = |grant: &&Grant| grant.database == EVERY || grant.database == database;
        self.all || self.grants.iter().filter(here).any(|grant| is(&grant))
    }
}

/// The names of all databases that the user sees, in order.
pub(super) fn databases(context: &Context<'_>) -> Result<Vec<String>, Error> {
    let (store, _) = context.surroundings()?;
    let seen = Seen::of(context)?;
    let mut names: Vec<String> =
        store.database_ids()?.into_iter().map(|(_, name)| name).filter(|name| seen.sees(name, "")).collect();
    names.push("information_schema".to_owned());
    names.sort();
    Ok(names)
}

/// The names of a database's tables that the user sees, in order.
pub(super) fn table_names(context: &Context<'_>, database: &str) -> Result<Vec<String>, Error> {
    if database.eq_ignore_ascii_case("_statistics_") {
        return Ok(vec!["loads_history".to_owned()]);
    }
    if is_system_database(database) {
        let mut names: Vec<String> =
            FILLED.iter().copied().chain(EMPTY.iter().map(|(name, _)| *name)).map(str::to_owned).collect();
        names.sort();
        return Ok(names);
    }
    let (store, _) = context.surroundings()?;
    if !store.has_database(database)? {
        return Err(Error::unknown_database(database));
    }
    let seen = Seen::of(context)?;
    if !seen.sees(database, "") {
        context.allow_any(database, "")?;
    }
    let mut names: Vec<String> = store.read(|connection| {
        let mut statement =
            connection.prepare_cached("SELECT name FROM sb_tables WHERE database = ?1 ORDER BY name")?;
        statement.query_map([database], |row| row.get(0))?.collect()
    })?;
    names.retain(|name| seen.sees(database, name));
    Ok(names)
}

/// A table of a system database as a query.
pub(super) fn table(context: &Context<'_>, database: &str, name: &str) -> Result<BoundQuery, Error> {
    let (store, overview) = context.surroundings()?;
    let name = name.to_ascii_lowercase();
    if database.eq_ignore_ascii_case("_statistics_") {
        return match name.as_str() {
            "loads_history" => information_loads::loads(context, overview, true),
            _ => Err(Error::unknown_table(database, &name)),
        };
    }
    match name.as_str() {
        "schemata" => schemata(context),
        "tables" => tables(context),
        "tables_config" => information_config::tables_config(context, &seen_tables(context)?),
        "columns" => columns(context),
        "key_column_usage" => key_column_usage(context),
        "partitions_meta" => information_loads::partitions_meta(store, &seen_tables(context)?),
        "loads" => information_loads::loads(context, overview, false),
        "stream_loads" => information_loads::stream_loads(context, overview),
        "load_tracking_logs" => information_loads::tracking_logs(context, store, overview),
        "be_tablets" => information_loads::be_tablets(context, store, overview),
        "engines" => {
            let columns = ["ENGINE", "SUPPORT", "COMMENT", "TRANSACTIONS", "XA", "SAVEPOINTS"];
            Ok(constants(&columns, &["StarRocks", "YES", "StarRocks storage engine", "NO", "NO", "NO"]))
        }
        "character_sets" => {
            let columns = ["CHARACTER_SET_NAME", "DEFAULT_COLLATE_NAME", "DESCRIPTION", "MAXLEN"];
            Ok(constants(&columns, &["utf8", "utf8_general_ci", "UTF-8 Unicode", "3"]))
        }
        "collations" => {
            let columns = ["COLLATION_NAME", "CHARACTER_SET_NAME", "ID", "IS_DEFAULT", "IS_COMPILED", "SORTLEN"];
            Ok(constants(&columns, &["utf8_general_ci", "utf8", "33", "Yes", "Yes", "1"]))
        }
        "session_variables" | "global_variables" => {
            let rows: Vec<_> =
                variables::all(context).iter().map(|(name, value)| vec![literal(name), literal(value)]).collect();
            Ok(rows_of(&rows, text_columns(&["VARIABLE_NAME", "VARIABLE_VALUE"])))
        }
        "user_privileges" => privileges(context, Kind::System),
        "schema_privileges" => privileges(context, Kind::Database),
        "table_privileges" => privileges(context, Kind::Table),
        name => match EMPTY.iter().find(|(known, _)| *known == name) {
            Some((_, columns)) => Ok(rows_of(&[], text_columns(columns))),
            None => Err(Error::unknown_table("information_schema", name)),
        },
    }
}

pub(super) fn text_columns(names: &[&str]) -> Vec<(String, SqlType)> {
    names.iter().map(|name| ((*name).to_owned(), SqlType::TEXT)).collect()
}

fn constants(columns: &[&str], cells: &[&str]) -> BoundQuery {
    rows_of(&[cells.iter().map(|cell| literal(cell)).collect()], text_columns(columns))
}

/// The tables that the user sees.
fn seen_tables(context: &Context<'_>) -> Result<Vec<Listed>, Error> {
    let (store, _) = context.surroundings()?;
    let seen = Seen::of(context)?;
    let mut tables = store.table_list()?;
    tables.retain(|table| seen.sees(&table.database, &table.name));
    Ok(tables)
}

/// What the user was granted on objects of a kind.
fn privileges(context: &Context<'_>, kind: Kind) -> Result<BoundQuery, Error> {
    let (store, _) = context.surroundings()?;
    let mut columns = vec!["GRANTEE", "TABLE_CATALOG"];
    if kind != Kind::System {
        columns.push("TABLE_SCHEMA");
    }
    if kind == Kind::Table {
        columns.push("TABLE_NAME");
    }
    columns.extend(["PRIVILEGE_TYPE", "IS_GRANTABLE"]);
    let grants = store.grants(context.user)?;
    let rows: Vec<Vec<String>> = grants
        .iter()
        .filter(|grant| grant.kind == kind)
        .map(|grant| {
            let mut row = vec![literal(&format!("'{}'@'%'", context.user)), literal("def")];
            if kind != Kind::System {
                row.push(literal(&grant.database));
            }
            if kind == Kind::Table {
                row.push(literal(&grant.table));
            }
            row.extend([literal(&grant.privilege), literal("NO")]);
            row
        })
        .collect();
    Ok(rows_of(&rows, text_columns(&columns)))
}

/// A tablet, with its share of the table's rows.
pub(super) struct Tablet {
    pub id: i64,
    pub backend_id: i64,
    pub rows: u64,
    pub bytes: u64,
    pub versions: Versions,
}

/// The tablets of a table. Rows are not held by buckets, so each tablet is given an equal share of them.
pub(super) fn tablets_of(store: &Store, overview: &dyn Overview, table: &TableDef) -> Result<Vec<Tablet>, Error> {
    let nodes = overview.nodes();
    let backends: Vec<i64> = nodes.iter().filter(|node| node.role == Role::Backend).map(|node| node.id).collect();
    let (bytes, rows) = store.table_size(table.id)?;
    let versions = tablet::versions(store, table.id)?;
    let buckets = tablet::buckets(&table.ddl);
    let share = |all: u64, bucket: u64| all / buckets + u64::from(bucket < all % buckets);
    let all = (0..buckets).map(|bucket| Tablet {
        id: tablet::id(table.id, bucket),
        backend_id: backends
            .iter()
            .cycle()
            .nth(usize::try_from(bucket).unwrap_or_default())
            .copied()
            .unwrap_or_default(),
        rows: share(rows, bucket),
        bytes: share(bytes, bucket),
        versions,
    });
    Ok(all.collect())
}

fn schemata(context: &Context<'_>) -> Result<BoundQuery, Error> {
    let rows: Vec<Vec<String>> = databases(context)?
        .iter()
        .map(|name| vec![literal("def"), literal(name), literal("utf8"), literal("utf8_general_ci"), "NULL".to_owned()])
        .collect();
    let columns = ["CATALOG_NAME", "SCHEMA_NAME", "DEFAULT_CHARACTER_SET_NAME", "DEFAULT_COLLATION_NAME", "SQL_PATH"];
    Ok(rows_of(&rows, text_columns(&columns)))
}

fn tables(context: &Context<'_>) -> Result<BoundQuery, Error> {
    let null = || "NULL".to_owned();
    let row = |table: Listed| {
        let mut row = ["def", &table.database, &table.name, "BASE TABLE", "StarRocks"].map(literal).to_vec();
        row.extend(std::iter::repeat_with(null).take(9));
        row.push(literal(&table.created));
        row.extend([null(), null(), literal("utf8_general_ci"), null(), null(), literal(&table.comment)]);
        row
    };
    let rows: Vec<Vec<String>> = seen_tables(context)?.into_iter().map(row).collect();
    let number = |name: &str| (name.to_owned(), SqlType::BigInt);
    let time = |name: &str| (name.to_owned(), SqlType::DateTime);
    let mut columns = text_columns(&["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE", "ENGINE"]);
    columns.push(number("VERSION"));
    columns.extend(text_columns(&["ROW_FORMAT"]));
    columns.extend(["TABLE_ROWS", "AVG_ROW_LENGTH", "DATA_LENGTH", "MAX_DATA_LENGTH"].map(number));
    columns.extend(["INDEX_LENGTH", "DATA_FREE", "AUTO_INCREMENT"].map(number));
    columns.extend(["CREATE_TIME", "UPDATE_TIME", "CHECK_TIME"].map(time));
    columns.extend(text_columns(&["TABLE_COLLATION"]));
    columns.push(number("CHECKSUM"));
    columns.extend(text_columns(&["CREATE_OPTIONS", "TABLE_COMMENT"]));
    Ok(rows_of(&rows, columns))
}

/// The columns of primary keys, which is what MySQL's clients ask it for.
fn key_column_usage(context: &Context<'_>) -> Result<BoundQuery, Error> {
    let mut rows = Vec::new();
    for listed in seen_tables(context)? {
        let table = context.table(Some(&listed.database), &listed.name)?;
        if table.keys.catalogue_name() != "PRI_KEYS" && table.keys.catalogue_name() != "PRIMARY_KEYS" {
            continue;
        }
        for (at, column) in table.columns.iter().filter(|column| column.key).enumerate() {
            let mut row = ["def", &table.database, "PRIMARY", "def", &table.database, &table.name, &column.name]
                .map(literal)
                .to_vec();
            row.push((at + 1).to_string());
            row.extend(std::iter::repeat_n("NULL".to_owned(), 4));
            rows.push(row);
        }
    }
    let mut columns = text_columns(&[
        "CONSTRAINT_CATALOG",
        "CONSTRAINT_SCHEMA",
        "CONSTRAINT_NAME",
        "TABLE_CATALOG",
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "COLUMN_NAME",
    ]);
    columns.push(("ORDINAL_POSITION".to_owned(), SqlType::BigInt));
    columns.push(("POSITION_IN_UNIQUE_CONSTRAINT".to_owned(), SqlType::BigInt));
    columns.extend(text_columns(&["REFERENCED_TABLE_SCHEMA", "REFERENCED_TABLE_NAME", "REFERENCED_COLUMN_NAME"]));
    Ok(rows_of(&rows, columns))
}

fn columns(context: &Context<'_>) -> Result<BoundQuery, Error> {
    let mut rows = Vec::new();
    for listed in seen_tables(context)? {
        let table = context.table(Some(&listed.database), &listed.name)?;
        rows.extend(table.columns.iter().enumerate().map(|(at, column)| column_row(&table, at, column)));
    }
    let number = |name: &str| (name.to_owned(), SqlType::BigInt);
    let mut columns = text_columns(&["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME"]);
    columns.push(number("ORDINAL_POSITION"));
    columns.extend(text_columns(&["COLUMN_DEFAULT", "IS_NULLABLE", "DATA_TYPE"]));
    columns.extend(["CHARACTER_MAXIMUM_LENGTH", "CHARACTER_OCTET_LENGTH", "NUMERIC_PRECISION"].map(number));
    columns.extend(["NUMERIC_SCALE", "DATETIME_PRECISION"].map(number));
    columns.extend(text_columns(&["CHARACTER_SET_NAME", "COLLATION_NAME", "COLUMN_TYPE", "COLUMN_KEY", "EXTRA"]));
    columns.extend(text_columns(&["PRIVILEGES", "COLUMN_COMMENT"]));
    columns.extend(["COLUMN_SIZE", "DECIMAL_DIGITS"].map(number));
    columns.extend(text_columns(&["GENERATION_EXPRESSION"]));
    columns.push(number("SRS_ID"));
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
        // A character may take four bytes.
        or_null(length.map(|length| (u64::from(length) * 4).to_string())),
        or_null(precision.map(|precision| precision.to_string())),
        or_null(scale.map(|scale| scale.to_string())),
        "NULL".to_owned(),
        "NULL".to_owned(),
        "NULL".to_owned(),
        literal(&text),
        literal(if column.key { table.keys.column_key() } else { "" }),
        literal(if column.auto_increment { "auto_increment" } else { "" }),
        literal(""),
        literal(&column.comment),
        or_null(length.map(u64::from).or(precision.map(u64::from)).map(|size| size.to_string())),
        or_null(scale.map(|scale| scale.to_string())),
        literal(column.generated.as_deref().unwrap_or_default()),
        "NULL".to_owned(),
    ]
}

/// A column's default as the catalogue shows it.
pub(super) fn default_text(column: &Column) -> Option<String> {
    match column.default.as_ref()? {
        Default::Literal(text) | Default::Expression(text) => Some(text.clone()),
    }
}

/// Rows of SQL expressions as a query.
pub(super) fn rows_of(rows: &[Vec<String>], columns: Vec<(String, SqlType)>) -> BoundQuery {
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
