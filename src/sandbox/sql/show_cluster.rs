//! SHOW of what goes on: nodes, sessions, loads, sizes.

use super::listing::finish;
use super::scope::{Context, is_system_database};
use super::session::Table;
use super::show::table_after_from;
use super::token::{Token, Tokens};
use super::{Error, information_schema};
use crate::sandbox::overview::{LoadKind, LoadView, Overview};
use crate::sandbox::proc::{self, proc};
use crate::sandbox::sessions::now_ms;
use crate::sandbox::store::{Listed, Store};
use crate::sandbox::tablet;
use crate::sandbox::types::TableDef;

/// Runs a SHOW whose first word is this.
pub(super) fn show(context: &Context<'_>, word: &str, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    let (store, overview) = context.surroundings()?;
    match word {
        "BACKENDS" => node_list(context, tokens, "/backends"),
        "FRONTENDS" => node_list(context, tokens, "/frontends"),
        "COMPUTE" => {
            tokens.expect("NODES")?;
            node_list(context, tokens, "/compute_nodes")
        }
        "PROC" => {
            let path = tokens.text()?;
            node_list(context, tokens, &path)
        }
        "PROCESSLIST" => finish(tokens, sessions(context, store)?),
        "STREAM" => {
            tokens.expect("LOAD")?;
            stream_loads(context, overview, tokens)
        }
        // It lists asynchronous jobs, which the sandbox has none of; loads over HTTP were never in it.
        "LOAD" => {
            database_after_from(context, tokens)?;
            finish(tokens, Table::new(&LOAD, Vec::new()))
        }
        "TRANSACTION" => {
            let database = database_after_from(context, tokens)?;
            let loads = visible_loads(context, overview)?;
            let mut table = proc::transactions(loads.iter().filter(|load| load.database == database));
            // `WHERE ID = 7` names the column in short.
            "ID".clone_into(&mut table.columns[0].0);
            let mut table = finish(tokens, table)?;
            "TransactionId".clone_into(&mut table.columns[0].0);
            Ok(table)
        }
        "DATA" => data(context, store, tokens),
        "PARTITIONS" => {
            let table = table_after_from(context, tokens)?;
            finish(tokens, partitions(store, &table)?)
        }
        "TABLET" | "TABLETS" => tablets(context, store, overview, tokens),
        "ALTER" => {
            tokens.expect("TABLE")?;
            let kind = tokens.name()?.to_ascii_uppercase();
            if !matches!(kind.as_str(), "COLUMN" | "OPTIMIZE" | "ROLLUP") {
                return Err(Error::unsupported(format!("SHOW ALTER TABLE {kind}")));
            }
            let database = database_after_from(context, tokens)?;
            let rows = if kind == "COLUMN" { alter_jobs(context, store, &database)? } else { Vec::new() };
            finish(tokens, Table::new(&ALTER_COLUMN, rows))
        }
        other => Err(Error::unsupported(format!("SHOW {other}"))),
    }
}

const LOAD: [&str; 21] = [
    "JobId",
    "Label",
    "State",
    "Progress",
    "Type",
    "Priority",
    "ScanRows",
    "FilteredRows",
    "UnselectedRows",
    "SinkRows",
    "EtlInfo",
    "TaskInfo",
    "ErrorMsg",
    "CreateTime",
    "EtlStartTime",
    "EtlFinishTime",
    "LoadStartTime",
    "LoadFinishTime",
    "TrackingSQL",
    "JobDetails",
    "Warehouse",
];

const STREAM_LOAD: [&str; 25] = [
    "Label",
    "Id",
    "LoadId",
    "TxnId",
    "DbName",
    "TableName",
    "State",
    "ErrorMsg",
    "TrackingURL",
    "ChannelNum",
    "PreparedChannelNum",
    "NumRowsNormal",
    "NumRowsAbNormal",
    "NumRowsUnselected",
    "NumLoadBytes",
    "TimeoutSecond",
    "CreateTimeMs",
    "BeforeLoadTimeMs",
    "StartLoadingTimeMs",
    "StartPreparingTimeMs",
    "FinishPreparingTimeMs",
    "EndTimeMs",
    "ChannelState",
    "Type",
    "TrackingSQL",
];

const ALTER_COLUMN: [&str; 13] = [
    "JobId",
    "TableName",
    "CreateTime",
    "FinishTime",
    "IndexName",
    "IndexId",
    "OriginIndexId",
    "SchemaVersion",
    "TransactionId",
    "State",
    "Msg",
    "Progress",
    "Timeout",
];

/// What only those see who look after the cluster.
fn node_list(context: &Context<'_>, tokens: &mut Tokens<'_>, path: &str) -> Result<Table, Error> {
    let (store, overview) = context.surroundings()?;
    if !store.is_operator(context.user)? {
        return Err(Error::denied("OPERATE/NODE", "SYSTEM", ""));
    }
    finish(tokens, proc(store, overview, path)?)
}

/// One's own sessions, or everybody's for who looks after the cluster.
fn sessions(context: &Context<'_>, store: &Store) -> Result<Table, Error> {
    let columns = [
        "Id",
        "User",
        "Host",
        "Db",
        "Command",
        "ConnectionStartTime",
        "Time",
        "State",
        "Info",
        "IsPending",
        "Warehouse",
    ];
    let operator = store.is_operator(context.user)?;
    let mut all = store.sessions().all();
    all.retain(|session| operator || session.user == context.user);
    let now_ms = now_ms();
    let rows = all.into_iter().map(|session| {
        let seconds = now_ms.saturating_sub(session.since_ms) / 1000;
        vec![
            Some(session.id.to_string()),
            Some(session.user),
            Some(session.host),
            Some(session.database),
            Some(if session.statement.is_some() { "Query" } else { "Sleep" }.to_owned()),
            Some(proc::time(Some(session.connected_ms))),
            Some(seconds.to_string()),
            Some(if session.statement.is_some() { "OK" } else { "EOF" }.to_owned()),
            Some(session.statement.unwrap_or_default()),
            Some("false".to_owned()),
            Some("default_warehouse".to_owned()),
        ]
    });
    Ok(Table::new(&columns, rows.collect()))
}

/// The loads of tables that the user may see.
pub(super) fn visible_loads(context: &Context<'_>, overview: &dyn Overview) -> Result<Vec<LoadView>, Error> {
    let mut loads = overview.loads()?;
    if context.user != crate::sandbox::user::ROOT {
        let seen = information_schema::Seen::of(context)?;
        loads.retain(|load| seen.sees(&load.database, &load.table));
    }
    Ok(loads)
}

/// `[FROM db]`, or the current one.
fn database_after_from(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<String, Error> {
    let named =
        if tokens.accept(&["FROM"]) || tokens.accept(&["IN"]) { Some(tokens.qualified_name()?.1) } else { None };
    let database = named.as_deref().or(context.database).ok_or_else(Error::no_database)?;
    let (store, _) = context.surroundings()?;
    if !is_system_database(database) && !store.has_database(database)? {
        return Err(Error::unknown_database(database));
    }
    context.allow_any(database, "")?;
    Ok(database.to_owned())
}

/// `SHOW [ALL] STREAM LOAD [FOR label] [FROM db] …`.
fn stream_loads(context: &Context<'_>, overview: &dyn Overview, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    let label = if tokens.accept(&["FOR"]) {
        let (database, label) = match tokens.peek() {
            Some(Token::Text(_)) => (None, tokens.text()?),
            _ => tokens.qualified_name()?,
        };
        Some((database, label))
    } else {
        None
    };
    let database = match &label {
        Some((Some(database), _)) => database.clone(),
        _ => database_after_from(context, tokens)?,
    };
    let wanted =
        |load: &&LoadView| load.database == database && label.as_ref().is_none_or(|(_, label)| load.label == *label);
    let row = |load: &LoadView| {
        let state = match load.state {
            "PREPARE" => "LOADING",
            "PREPARED" => "PREPARED",
            "COMMITTED" => "COMMITED",
            "VISIBLE" => "FINISHED",
            _ => "CANCELLED",
        };
        let kind = if load.kind == LoadKind::Transaction { "PARALLEL_STREAM_LOAD" } else { "STREAM_LOAD" };
        let tracking = load.error_url.as_ref().map_or(String::new(), |_| tracking_sql(load.id));
        let cells = [
            load.label.clone(),
            load.id.to_string(),
            String::new(),
            load.id.to_string(),
            load.database.clone(),
            load.table.clone(),
            state.to_owned(),
            load.reason.clone(),
            load.error_url.clone().unwrap_or_default(),
            "1".to_owned(),
            "0".to_owned(),
            load.loaded_rows.to_string(),
            load.filtered_rows.to_string(),
            load.unselected_rows.to_string(),
            load.bytes.to_string(),
            load.timeout_seconds.to_string(),
            proc::time(Some(load.begun_ms)),
            proc::time(Some(load.begun_ms)),
            proc::time(Some(load.begun_ms)),
            proc::time(load.prepared_ms.or(load.committed_ms)),
            proc::time(load.prepared_ms.or(load.committed_ms)),
            proc::time(load.finished_ms),
            String::new(),
            kind.to_owned(),
            tracking,
        ];
        cells.map(Some).to_vec()
    };
    let loads = visible_loads(context, overview)?;
    finish(tokens, Table::new(&STREAM_LOAD, loads.iter().filter(wanted).map(row).collect()))
}

/// The query that shows the rows that a load filtered out.
pub(super) fn tracking_sql(id: i64) -> String {
    format!("select tracking_log from information_schema.load_tracking_logs where job_id={id}")
}

fn data(context: &Context<'_>, store: &Store, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    if tokens.is("FROM") && matches!(tokens.peek_at(2), Some(Token::Symbol('.'))) {
        let table = table_after_from(context, tokens)?;
        let (bytes, rows) = store.table_size(table.id)?;
        let replicas = tablet::buckets(&table.ddl).to_string();
        let name = Some(table.name.clone());
        let row = |first, second: &str| {
            let size = proc::size(bytes);
            vec![first, Some(second.to_owned()), Some(size), Some(replicas.clone()), Some(rows.to_string())]
        };
        let rows = vec![row(name, &table.name), row(Some(String::new()), "Total")];
        return finish(tokens, Table::new(&["TableName", "IndexName", "Size", "ReplicaCount", "RowCount"], rows));
    }
    let database = database_after_from(context, tokens)?;
    let row = |name: &str, size: String, replicas: String| vec![Some(name.to_owned()), Some(size), Some(replicas)];
    let (mut rows, mut bytes, mut replicas) = (Vec::new(), 0, 0);
    for table in visible_tables(context, store, &database)? {
        let (size, buckets) = (store.table_size(table.id)?.0, tablet::buckets(&table.ddl));
        rows.push(row(&table.name, proc::size(size), buckets.to_string()));
        bytes += size;
        replicas += buckets;
    }
    rows.push(row("Total", proc::size(bytes), replicas.to_string()));
    let endless = i64::MAX.unsigned_abs();
    rows.push(row("Quota", proc::size(endless), endless.to_string()));
    rows.push(row("Left", proc::size(endless - bytes), (endless - replicas).to_string()));
    finish(tokens, Table::new(&["TableName", "Size", "ReplicaCount"], rows))
}

fn visible_tables(context: &Context<'_>, store: &Store, database: &str) -> Result<Vec<Listed>, Error> {
    let names = information_schema::table_names(context, database)?;
    let mut tables = store.table_list()?;
    tables.retain(|table| table.database == database && names.contains(&table.name));
    Ok(tables)
}

/// `SHOW TABLE STATUS [FROM db]`.
pub(super) fn table_status(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    let columns = [
        "Name",
        "Engine",
        "Version",
        "Row_format",
        "Rows",
        "Avg_row_length",
        "Data_length",
        "Max_data_length",
        "Index_length",
        "Data_free",
        "Auto_increment",
        "Create_time",
        "Update_time",
        "Check_time",
        "Collation",
        "Checksum",
        "Create_options",
        "Comment",
    ];
    let (store, _) = context.surroundings()?;
    let database = database_after_from(context, tokens)?;
    let mut rows = Vec::new();
    for table in visible_tables(context, store, &database)? {
        let (bytes, count) = store.table_size(table.id)?;
        let mut row = vec![Some(table.name), Some("StarRocks".to_owned()), None, Some(String::new())];
        row.extend([count, bytes.checked_div(count).unwrap_or_default(), bytes].map(|number| Some(number.to_string())));
        row.extend([None, None, None, None, Some(table.created), None, None]);
        row.extend([Some("utf8_general_ci".to_owned()), None, Some(String::new()), Some(table.comment)]);
        rows.push(row);
    }
    finish(tokens, Table::new(&columns, rows))
}

fn partitions(store: &Store, table: &TableDef) -> Result<Table, Error> {
    let columns = [
        "PartitionId",
        "PartitionName",
        "VisibleVersion",
        "VisibleVersionTime",
        "VisibleVersionHash",
        "State",
        "PartitionKey",
        "Range",
        "DistributionKey",
        "Buckets",
        "ReplicationNum",
        "StorageMedium",
        "CooldownTime",
        "LastConsistencyCheckTime",
        "DataSize",
        "StorageSize",
        "IsInMemory",
        "RowCount",
    ];
    let (bytes, rows) = store.table_size(table.id)?;
    let cells = [
        table.id.to_string(),
        table.name.clone(),
        tablet::versions(store, table.id)?.newest.to_string(),
        proc::time(None),
        "0".to_owned(),
        "NORMAL".to_owned(),
        String::new(),
        String::new(),
        distribution_key(&table.ddl),
        tablet::buckets(&table.ddl).to_string(),
        "1".to_owned(),
        "HDD".to_owned(),
        "9999-12-31 23:59:59".to_owned(),
        "NULL".to_owned(),
        proc::size(bytes),
        proc::size(bytes),
        "false".to_owned(),
        rows.to_string(),
    ];
    Ok(Table::new(&columns, vec![cells.map(Some).to_vec()]))
}

/// The columns that rows are distributed by, as StarRocks lists them.
fn distribution_key(ddl: &str) -> String {
    let clause = ddl.lines().rev().find_map(|line| line.strip_prefix("DISTRIBUTED BY HASH("));
    let names = clause.and_then(|rest| rest.split_once(')')).map(|(names, _)| names.replace('`', ""));
    names.unwrap_or_else(|| "ALL KEY".to_owned())
}

/// `SHOW TABLET 7` and `SHOW TABLET FROM t`.
fn tablets(
    context: &Context<'_>,
    store: &Store,
    overview: &dyn Overview,
    tokens: &mut Tokens<'_>,
) -> Result<Table, Error> {
    if let Some(Token::Number(_)) = tokens.peek() {
        let id = i64::try_from(tokens.integer()?).unwrap_or(i64::MAX);
        let columns = [
            "DbName",
            "TableName",
            "PartitionName",
            "IndexName",
            "DbId",
            "TableId",
            "PartitionId",
            "IndexId",
            "IsSync",
            "DetailCmd",
        ];
        let mut rows = Vec::new();
        for table in store.table_list()? {
            let mine = (0..tablet::buckets(&table.ddl)).any(|bucket| tablet::id(table.id, bucket) == id);
            if mine && store.sees(context.user, &table.database, &table.name)? {
                let database = store.database_ids()?.into_iter().find(|(_, name)| *name == table.database);
                let database_id = database.map_or(0, |(id, _)| id).to_string();
                let (table_id, name) = (table.id.to_string(), table.name);
                let mut row = vec![table.database, name.clone(), name.clone(), name, database_id];
                row.extend([table_id.clone(), table_id.clone(), table_id]);
                row.extend(["true".to_owned(), format!("SHOW PROC '/dbs/{}/{}'", row[4], row[5])]);
                rows.push(row.into_iter().map(Some).collect());
            }
        }
        return finish(tokens, Table::new(&columns, rows));
    }
    let columns = [
        "TabletId",
        "ReplicaId",
        "BackendId",
        "SchemaHash",
        "Version",
        "VersionHash",
        "LstSuccessVersion",
        "LstSuccessVersionHash",
        "LstFailedVersion",
        "LstFailedVersionHash",
        "LstFailedTime",
        "DataSize",
        "RowCount",
        "State",
        "LstConsistencyCheckTime",
        "CheckVersion",
        "CheckVersionHash",
        "VersionCount",
        "PathHash",
        "MetaUrl",
        "CompactionStatus",
        "DiskRootPath",
        "IsConsistent",
        "Checksum",
    ];
    let table = table_after_from(context, tokens)?;
    let rows = information_schema::tablets_of(store, overview, &table)?.into_iter().map(|tablet| {
        let version = tablet.versions.newest.to_string();
        let cells = [
            tablet.id.to_string(),
            tablet.id.to_string(),
            tablet.backend_id.to_string(),
            "0".to_owned(),
            version.clone(),
            "0".to_owned(),
            version,
            "0".to_owned(),
            "-1".to_owned(),
            "0".to_owned(),
            proc::time(None),
            proc::size(tablet.bytes),
            tablet.rows.to_string(),
            "NORMAL".to_owned(),
            proc::time(None),
            "-1".to_owned(),
            "-1".to_owned(),
            tablet.versions.count.to_string(),
            "0".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            "true".to_owned(),
            "-1".to_owned(),
        ];
        cells.map(Some).to_vec()
    });
    let rows = rows.collect();
    finish(tokens, Table::new(&columns, rows))
}

/// Changes of columns, which are finished when the statement that made them is.
fn alter_jobs(context: &Context<'_>, store: &Store, database: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
    let jobs: Vec<(i64, String, i64, i64)> = store.read(|connection| {
        let mut statement = connection.prepare_cached(
            "SELECT id, table_name, table_id, done_ms FROM sb_alter_jobs WHERE database = ?1 ORDER BY id",
        )?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        statement.query_map([database], row)?.collect()
    })?;
    let seen = information_schema::Seen::of(context)?;
    let rows =
        jobs.into_iter().filter(|(_, name, ..)| seen.sees(database, name)).map(|(id, name, table_id, done_ms)| {
            let cells = [
                id.to_string(),
                name.clone(),
                proc::time(Some(done_ms)),
                proc::time(Some(done_ms)),
                name,
                table_id.to_string(),
                table_id.to_string(),
                "1:0".to_owned(),
                "-1".to_owned(),
                "FINISHED".to_owned(),
                String::new(),
                "NULL".to_owned(),
                "86400".to_owned(),
            ];
            cells.map(Some).to_vec()
        });
    Ok(rows.collect())
}
