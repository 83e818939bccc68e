//! The tables of `information_schema` that tell of loads and of tablets.

use serde_json::json;

use super::Error;
use super::information_schema::{Seen, rows_of, tablets_of};
use super::scope::{BoundQuery, Context};
use super::show_cluster::{tracking_sql, visible_loads};
use crate::sandbox::error_log::ErrorLog;
use crate::sandbox::overview::{LoadKind, LoadView, Overview};
use crate::sandbox::proc;
use crate::sandbox::store::{Listed, Store};
use crate::sandbox::tablet;
use crate::sandbox::types::{SqlType, literal};

/// Every load: `information_schema.loads`, and those that are over: `_statistics_.loads_history`.
pub(super) fn loads(context: &Context<'_>, overview: &dyn Overview, history: bool) -> Result<BoundQuery, Error> {
    let loads = visible_loads(context, overview)?;
    let rows: Vec<Vec<String>> =
        loads.iter().filter(|load| !history || !proc::is_running(load)).map(load_row).collect();
    let mut columns = typed(&[("ID", SqlType::BigInt)]);
    columns.extend(texts(&["LABEL", "PROFILE_ID", "DB_NAME", "TABLE_NAME", "USER", "WAREHOUSE", "STATE", "PROGRESS"]));
    columns.extend(texts(&["TYPE", "PRIORITY"]));
    columns.extend(numbers(&["SCAN_ROWS", "SCAN_BYTES", "FILTERED_ROWS", "UNSELECTED_ROWS", "SINK_ROWS"]));
    columns.extend(typed(&[("RUNTIME_DETAILS", SqlType::Json)]));
    columns.extend(times(&["CREATE_TIME", "LOAD_START_TIME", "LOAD_COMMIT_TIME", "LOAD_FINISH_TIME"]));
    columns.extend(typed(&[("PROPERTIES", SqlType::Json)]));
    columns.extend(texts(&["ERROR_MSG", "TRACKING_SQL", "REJECTED_RECORD_PATH"]));
    columns.extend(numbers(&["JOB_ID"]));
    Ok(rows_of(&rows, columns))
}

fn load_row(load: &LoadView) -> Vec<String> {
    let (state, progress) = match load.state {
        "PREPARE" => ("LOADING", "ETL:N/A; LOAD:0%"),
        "PREPARED" => ("PREPARED", "ETL:100%; LOAD:100%"),
        "COMMITTED" => ("COMMITTED", "ETL:100%; LOAD:100%"),
        "VISIBLE" => ("FINISHED", "ETL:100%; LOAD:100%"),
        _ => ("CANCELLED", "ETL:N/A; LOAD:N/A"),
    };
    let scanned = load.loaded_rows.saturating_add(load.filtered_rows).saturating_add(load.unselected_rows);
    let details = json!({ "txn_id": load.id, "begin_txn_ms": 0, "client_ip": "" }).to_string();
    let properties = json!({ "timeout": load.timeout_seconds }).to_string();
    let tracking = load.error_url.as_ref().map(|_| tracking_sql(load.id));
    vec![
        load.id.to_string(),
        literal(&load.label),
        "NULL".to_owned(),
        literal(&load.database),
        literal(&load.table),
        literal(&load.user),
        literal("default_warehouse"),
        literal(state),
        literal(progress),
        literal(kind(load)),
        literal("NORMAL"),
        scanned.to_string(),
        load.bytes.to_string(),
        load.filtered_rows.to_string(),
        load.unselected_rows.to_string(),
        load.loaded_rows.to_string(),
        literal(&details),
        time(Some(load.begun_ms)),
        time(Some(load.begun_ms)),
        time(load.committed_ms),
        time(load.finished_ms),
        literal(&properties),
        if load.reason.is_empty() { "NULL".to_owned() } else { literal(&load.reason) },
        tracking.map_or("NULL".to_owned(), |sql| literal(&sql)),
        "NULL".to_owned(),
        load.id.to_string(),
    ]
}

fn kind(load: &LoadView) -> &'static str {
    match load.kind {
        LoadKind::Stream | LoadKind::Merged => "STREAM_LOAD",
        LoadKind::Transaction => "PARALLEL_STREAM_LOAD",
    }
}

/// `information_schema.stream_loads`.
pub(super) fn stream_loads(context: &Context<'_>, overview: &dyn Overview) -> Result<BoundQuery, Error> {
    let row = |load: &LoadView| {
        let state = match load.state {
            "PREPARE" => "LOADING",
            "COMMITTED" => "COMMITED",
            "VISIBLE" => "FINISHED",
            "ABORTED" => "CANCELLED",
            other => other,
        };
        let tracking = load.error_url.as_ref().map(|_| tracking_sql(load.id));
        vec![
            literal(&load.label),
            load.id.to_string(),
            literal(""),
            load.id.to_string(),
            literal(&load.database),
            literal(&load.table),
            literal(state),
            literal(&load.reason),
            literal(load.error_url.as_deref().unwrap_or_default()),
            "1".to_owned(),
            "0".to_owned(),
            load.loaded_rows.to_string(),
            load.filtered_rows.to_string(),
            load.unselected_rows.to_string(),
            load.bytes.to_string(),
            load.timeout_seconds.to_string(),
            time(Some(load.begun_ms)),
            time(Some(load.begun_ms)),
            time(Some(load.begun_ms)),
            time(load.prepared_ms.or(load.committed_ms)),
            time(load.prepared_ms.or(load.committed_ms)),
            time(load.finished_ms),
            literal(""),
            literal(if load.kind == LoadKind::Transaction { "PARALLEL_STREAM_LOAD" } else { "STREAM_LOAD" }),
            tracking.map_or("NULL".to_owned(), |sql| literal(&sql)),
        ]
    };
    let rows: Vec<Vec<String>> = visible_loads(context, overview)?.iter().map(row).collect();
    let mut columns = texts(&["LABEL"]);
    columns.extend(numbers(&["ID"]));
    columns.extend(texts(&["LOAD_ID"]));
    columns.extend(numbers(&["TXN_ID"]));
    columns.extend(texts(&["DB_NAME", "TABLE_NAME", "STATE", "ERROR_MSG", "TRACKING_URL"]));
    columns.extend(numbers(&["CHANNEL_NUM", "PREPARED_CHANNEL_NUM", "NUM_ROWS_NORMAL", "NUM_ROWS_AB_NORMAL"]));
    columns.extend(numbers(&["NUM_ROWS_UNSELECTED", "NUM_LOAD_BYTES", "TIMEOUT_SECOND"]));
    columns.extend(times(&["CREATE_TIME_MS", "BEFORE_LOAD_TIME_MS", "START_LOADING_TIME_MS"]));
    columns.extend(times(&["START_PREPARING_TIME_MS", "FINISH_PREPARING_TIME_MS", "END_TIME_MS"]));
    columns.extend(texts(&["CHANNEL_STATE", "TYPE", "TRACKING_SQL"]));
    Ok(rows_of(&rows, columns))
}

/// `information_schema.load_tracking_logs`: what loads filtered out, as far as it is still kept.
pub(super) fn tracking_logs(
    context: &Context<'_>,
    store: &Store,
    overview: &dyn Overview,
) -> Result<BoundQuery, Error> {
    let log = ErrorLog::of(store.dir());
    let loads = visible_loads(context, overview)?;
    let rows: Vec<Vec<String>> = loads
        .iter()
        .filter_map(|load| {
            let (_, name) = load.error_url.as_deref()?.rsplit_once("file=")?;
            let text = log.read(name);
            Some(vec![
                load.id.to_string(),
                literal(&load.label),
                literal(&load.database),
                literal(&text),
                literal(kind(load)),
            ])
        })
        .collect();
    let mut columns = numbers(&["JOB_ID"]);
    columns.extend(texts(&["LABEL", "DATABASE_NAME", "TRACKING_LOG", "TYPE"]));
    Ok(rows_of(&rows, columns))
}

/// `information_schema.be_tablets`.
pub(super) fn be_tablets(context: &Context<'_>, store: &Store, overview: &dyn Overview) -> Result<BoundQuery, Error> {
    let seen = Seen::of(context)?;
    let mut rows = Vec::new();
    for listed in store.table_list()?.iter().filter(|table| seen.sees(&table.database, &table.name)) {
        let table = context.table(Some(&listed.database), &listed.name)?;
        for tablet in tablets_of(store, overview, &table)? {
            rows.push(vec![
                tablet.backend_id.to_string(),
                table.id.to_string(),
                table.id.to_string(),
                tablet.id.to_string(),
                tablet.versions.count.to_string(),
                tablet.versions.newest.to_string(),
                "0".to_owned(),
                tablet.versions.count.to_string(),
                tablet.rows.to_string(),
                tablet.bytes.to_string(),
                "0".to_owned(),
                format!("CAST(strftime('%s', {}) AS INTEGER)", literal(&listed.created)),
                literal("NORMAL"),
                literal(table.keys.catalogue_name()),
                literal(""),
                "0".to_owned(),
                "0".to_owned(),
                "0".to_owned(),
                literal("HDD"),
                tablet.versions.count.to_string(),
            ]);
        }
    }
    let mut columns = numbers(&["BE_ID", "TABLE_ID", "PARTITION_ID", "TABLET_ID", "NUM_VERSION", "MAX_VERSION"]);
    columns.extend(numbers(&["MIN_VERSION", "NUM_ROWSET", "NUM_ROW", "DATA_SIZE", "INDEX_MEM", "CREATE_TIME"]));
    columns.extend(texts(&["STATE", "TYPE", "DATA_DIR"]));
    columns.extend(numbers(&["SHARD_ID", "SCHEMA_HASH", "INDEX_DISK"]));
    columns.extend(texts(&["MEDIUM_TYPE"]));
    columns.extend(numbers(&["NUM_SEGMENT"]));
    Ok(rows_of(&rows, columns))
}

/// `information_schema.partitions_meta`: one partition for each table.
pub(super) fn partitions_meta(store: &Store, tables: &[Listed]) -> Result<BoundQuery, Error> {
    let mut rows = Vec::new();
    for table in tables {
        let versions = tablet::versions(store, table.id)?;
        let (bytes, count) = store.table_size(table.id)?;
        rows.push(vec![
            literal(&table.database),
            literal(&table.name),
            literal(&table.name),
            table.id.to_string(),
            "0".to_owned(),
            versions.newest.to_string(),
            "NULL".to_owned(),
            (versions.newest + 1).to_string(),
            versions.newest.to_string(),
            literal(""),
            literal(""),
            tablet::buckets(&table.ddl).to_string(),
            "1".to_owned(),
            literal("HDD"),
            literal(&proc::size(bytes)),
            count.to_string(),
        ]);
    }
    let mut columns = texts(&["DB_NAME", "TABLE_NAME", "PARTITION_NAME"]);
    columns.extend(numbers(&["PARTITION_ID", "COMPACT_VERSION", "VISIBLE_VERSION"]));
    columns.extend(times(&["VISIBLE_VERSION_TIME"]));
    columns.extend(numbers(&["NEXT_VERSION", "DATA_VERSION"]));
    columns.extend(texts(&["PARTITION_KEY", "PARTITION_VALUE"]));
    columns.extend(numbers(&["BUCKETS", "REPLICATION_NUM"]));
    columns.extend(texts(&["STORAGE_MEDIUM", "DATA_SIZE"]));
    columns.extend(numbers(&["ROW_COUNT"]));
    Ok(rows_of(&rows, columns))
}

fn typed(columns: &[(&str, SqlType)]) -> Vec<(String, SqlType)> {
    columns.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect()
}

fn texts(names: &[&str]) -> Vec<(String, SqlType)> {
    super::information_schema::text_columns(names)
}

fn numbers(names: &[&str]) -> Vec<(String, SqlType)> {
    names.iter().map(|name| ((*name).to_owned(), SqlType::BigInt)).collect()
}

fn times(names: &[&str]) -> Vec<(String, SqlType)> {
    names.iter().map(|name| ((*name).to_owned(), SqlType::DateTime)).collect()
}

/// A moment as SQL.
fn time(ms: Option<i64>) -> String {
    ms.map_or("NULL".to_owned(), |ms| literal(&proc::time(Some(ms))))
}
