//! `SHOW PROC '/…'`: what the frontend knows of itself, as a tree of small tables of texts.
//!
//! `SHOW BACKENDS`, `SHOW FRONTENDS` and `SHOW TRANSACTION` show the same rows, and so does `/api/show_proc`.

use super::function::calendar::{MICROS_PER_SECOND, Moment};
use super::overview::{LoadView, NodeView, Overview, Role};
use super::sql::{Error, Table};
use super::store::Store;
use super::tablet;

/// What stands for a time or a text that there is none of.
const NONE: &str = "\\N";

const BACKENDS: [&str; 30] = [
    "BackendId",
    "IP",
    "HeartbeatPort",
    "BePort",
    "HttpPort",
    "BrpcPort",
    "LastStartTime",
    "LastHeartbeat",
    "Alive",
    "SystemDecommissioned",
    "ClusterDecommissioned",
    "TabletNum",
    "DataUsedCapacity",
    "AvailCapacity",
    "TotalCapacity",
    "UsedPct",
    "MaxDiskUsedPct",
    "ErrMsg",
    "Version",
    "Status",
    "DataTotalCapacity",
    "DataUsedPct",
    "CpuCores",
    "MemLimit",
    "NumRunningQueries",
    "MemUsedPct",
    "CpuUsedPct",
    "DataCacheMetrics",
    "Location",
    "StatusCode",
];

const COMPUTE_NODES: [&str; 20] = [
    "ComputeNodeId",
    "IP",
    "HeartbeatPort",
    "BePort",
    "HttpPort",
    "BrpcPort",
    "LastStartTime",
    "LastHeartbeat",
    "Alive",
    "SystemDecommissioned",
    "ClusterDecommissioned",
    "ErrMsg",
    "Version",
    "CpuCores",
    "MemLimit",
    "NumRunningQueries",
    "MemUsedPct",
    "CpuUsedPct",
    "HasStoragePath",
    "StatusCode",
];

const FRONTENDS: [&str; 17] = [
    "Id",
    "Name",
    "IP",
    "EditLogPort",
    "HttpPort",
    "QueryPort",
    "RpcPort",
    "Role",
    "ClusterId",
    "Join",
    "Alive",
    "ReplayedJournalId",
    "LastHeartbeat",
    "IsHelper",
    "ErrMsg",
    "StartTime",
    "Version",
];

const TRANSACTIONS: [&str; 14] = [
    "TransactionId",
    "Label",
    "Coordinator",
    "TransactionStatus",
    "LoadJobSourceType",
    "PrepareTime",
    "CommitTime",
    "PublishTime",
    "FinishTime",
    "Reason",
    "ErrorReplicasCount",
    "ListenerId",
    "TimeoutMs",
    "ErrMsg",
];

/// The table at a path.
pub(super) fn proc(store: &Store, overview: &dyn Overview, path: &str) -> Result<Table, Error> {
    let unknown = || Error::analysis(format!("Proc path '{path}' doesn't exist"));
    let rest = path.strip_prefix('/').ok_or_else(unknown)?.trim_end_matches('/');
    let parts: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
    Ok(match parts.as_slice() {
        [] => {
            let names =
                ["backends", "compute_nodes", "current_queries", "dbs", "frontends", "statistic", "transactions"];
            Table::new(&["name"], names.map(|name| vec![Some(name.to_owned())]).to_vec())
        }
        ["backends"] => backends(store, overview)?,
        ["compute_nodes"] => Table::new(&COMPUTE_NODES, Vec::new()),
        ["frontends"] => frontends(overview),
        ["dbs"] => databases(store)?,
        ["dbs", id] => tables(store, &database(store, id)?.ok_or_else(unknown)?)?,
        ["transactions"] => {
            let rows = store.database_ids()?.into_iter().map(|(id, name)| texts([id.to_string(), name]));
            Table::new(&["DbId", "DbName"], rows.collect())
        }
        ["transactions", id] => {
            let loads = loads_of(overview, &database(store, id)?.ok_or_else(unknown)?)?;
            let running = loads.iter().filter(|load| is_running(load)).count();
            let finished = (loads.len() - running).to_string();
            let rows =
                vec![texts(["running".to_owned(), running.to_string()]), texts(["finished".to_owned(), finished])];
            Table::new(&["State", "Number"], rows)
        }
        ["transactions", id, state @ ("running" | "finished")] => {
            let loads = loads_of(overview, &database(store, id)?.ok_or_else(unknown)?)?;
            let wanted = loads.iter().filter(|load| is_running(load) == (*state == "running"));
            transactions(wanted)
        }
        ["statistic"] => statistic(store)?,
        ["current_queries"] => current_queries(store, overview),
        _ => return Err(unknown()),
    })
}

/// Transactions as `SHOW TRANSACTION` and the tree show them, the newest first.
pub(super) fn transactions<'a>(loads: impl DoubleEndedIterator<Item = &'a LoadView>) -> Table {
    let rows = loads.rev().map(|load| {
        let coordinator = if load.node.is_empty() { "FE: fe1".to_owned() } else { format!("BE: {}", load.node) };
        texts([
            load.id.to_string(),
            load.label.clone(),
            coordinator,
            load.state.to_owned(),
            "BACKEND_STREAMING".to_owned(),
            time(Some(load.begun_ms)),
            time(load.committed_ms),
            time(load.finished_ms.filter(|_| load.state == "VISIBLE")),
            time(load.finished_ms),
            load.reason.clone(),
            "0".to_owned(),
            "0".to_owned(),
            load.timeout_seconds.saturating_mul(1000).to_string(),
            load.reason.clone(),
        ])
    });
    Table::new(&TRANSACTIONS, rows.collect())
}

/// A moment as tables show it.
pub(super) fn time(ms: Option<i64>) -> String {
    let moment = ms.and_then(|ms| Moment::from_micros(ms.div_euclid(1000).checked_mul(MICROS_PER_SECOND)?));
    moment.map_or(NONE.to_owned(), |moment| moment.to_string())
}

/// An amount of bytes as tables show it.
pub(super) fn size(bytes: u64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < units.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.3} {}", units[unit])
}

/// Whether a load is still on its way.
pub(super) fn is_running(load: &LoadView) -> bool {
    !matches!(load.state, "VISIBLE" | "ABORTED")
}

fn texts<const N: usize>(cells: [String; N]) -> Vec<Option<String>> {
    cells.map(Some).to_vec()
}

fn backends(store: &Store, overview: &dyn Overview) -> Result<Table, Error> {
    let nodes = overview.nodes();
    let backends: Vec<&NodeView> = nodes.iter().filter(|node| node.role == Role::Backend).collect();
    let tablets: u64 = store.table_list()?.iter().map(|table| tablet::buckets(&table.ddl)).sum();
    let bytes = store.bytes_used()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = |all: u64, at: usize| {
        let (count, at) = (backends.len().max(1) as u64, at as u64);
        all / count + u64::from(at < all % count)
    };
    let row = |(at, node): (usize, &&NodeView)| {
        let running = store.sessions().running().to_string();
        let code = match (node.alive, node.draining) {
            (true, false) => "OK",
            (true, true) => "SHUTDOWN",
            (false, _) => "DISCONNECTED",
        };
        let error = if node.alive { "" } else { "the node does not answer" };
        // What the sandbox has none of is 0: it has no other ports, and it measures neither memory nor processor.
        vec![
            Some(node.id.to_string()),
            Some(node.host.clone()),
            Some("0".to_owned()),
            Some("0".to_owned()),
            Some(node.http_port.to_string()),
            Some("0".to_owned()),
            Some(time(Some(node.started_ms))),
            Some(time(node.alive.then(super::sessions::now_ms))),
            Some(node.alive.to_string()),
            Some("false".to_owned()),
            Some("false".to_owned()),
            Some(share(tablets, at).to_string()),
            Some(size(share(bytes, at))),
            Some(size(0)),
            Some(size(0)),
            Some("0.00 %".to_owned()),
            Some("0.00 %".to_owned()),
            Some(error.to_owned()),
            Some(overview.version()),
            Some("{\"lastSuccessReportTabletsTime\":\"N/A\"}".to_owned()),
            Some(size(share(bytes, at))),
            Some("0.00 %".to_owned()),
            Some(cores.to_string()),
            Some(size(0)),
            Some(running),
            Some("0.00 %".to_owned()),
            Some("0.0 %".to_owned()),
            Some("N/A".to_owned()),
            Some(String::new()),
            Some(code.to_owned()),
        ]
    };
    Ok(Table::new(&BACKENDS, backends.iter().enumerate().map(row).collect()))
}

fn frontends(overview: &dyn Overview) -> Table {
    let nodes = overview.nodes();
    let frontends = nodes.iter().filter(|node| node.role != Role::Backend);
    let row = |node: &NodeView| {
        texts([
            node.id.to_string(),
            node.name.clone(),
            node.host.clone(),
            "0".to_owned(),
            node.http_port.to_string(),
            node.query_port.unwrap_or_default().to_string(),
            "0".to_owned(),
            if node.role == Role::Leader { "LEADER" } else { "FOLLOWER" }.to_owned(),
            "1".to_owned(),
            "true".to_owned(),
            node.alive.to_string(),
            "0".to_owned(),
            time(node.alive.then(super::sessions::now_ms)),
            (node.role == Role::Leader).to_string(),
            if node.alive { "" } else { "the node does not answer" }.to_owned(),
            time(Some(node.started_ms)),
            overview.version(),
        ])
    };
    Table::new(&FRONTENDS, frontends.map(row).collect())
}

fn databases(store: &Store) -> Result<Table, Error> {
    let tables = store.table_list()?;
    let row = |(id, name): (i64, String)| {
        let count = tables.iter().filter(|table| table.database == name).count().to_string();
        texts([id.to_string(), name, count, size(0), "NULL".to_owned(), "9223372036854775807".to_owned()])
    };
    let columns = ["DbId", "DbName", "TableNum", "Quota", "LastConsistencyCheckTime", "ReplicaQuota"];
    Ok(Table::new(&columns, store.database_ids()?.into_iter().map(row).collect()))
}

fn tables(store: &Store, database: &str) -> Result<Table, Error> {
    let columns = [
        "TableId",
        "TableName",
        "IndexNum",
        "PartitionColumnName",
        "PartitionNum",
        "State",
        "Type",
        "LastConsistencyCheckTime",
        "ReplicaCount",
        "PartitionType",
    ];
    let tables = store.table_list()?;
    let rows = tables.iter().filter(|table| table.database == database).map(|table| {
        texts([
            table.id.to_string(),
            table.name.clone(),
            "1".to_owned(),
            String::new(),
            "1".to_owned(),
            "NORMAL".to_owned(),
            "OLAP".to_owned(),
            "NULL".to_owned(),
            tablet::buckets(&table.ddl).to_string(),
            "UNPARTITIONED".to_owned(),
        ])
    });
    Ok(Table::new(&columns, rows.collect()))
}

fn statistic(store: &Store) -> Result<Table, Error> {
    let columns = [
        "DbId",
        "DbName",
        "TableNum",
        "PartitionNum",
        "IndexNum",
        "TabletNum",
        "ReplicaNum",
        "UnhealthyTabletNum",
        "InconsistentTabletNum",
        "CloningTabletNum",
        "ErrorStateTabletNum",
    ];
    let all = store.table_list()?;
    let row = |id: String, name: String, count: usize, tablets: u64| {
        let (count, tablets, none) = (count.to_string(), tablets.to_string(), "0".to_owned());
        let cells = [id, name, count.clone(), count.clone(), count, tablets.clone(), tablets];
        cells.into_iter().chain(std::iter::repeat_n(none, 4)).map(Some).collect::<Vec<_>>()
    };
    let databases = store.database_ids()?;
    let total = ("Total".to_owned(), databases.len().to_string());
    let mut rows: Vec<_> = databases
        .into_iter()
        .map(|(id, name)| {
            let mine: Vec<_> = all.iter().filter(|table| table.database == name).collect();
            let tablets = mine.iter().map(|table| tablet::buckets(&table.ddl)).sum();
            row(id.to_string(), name, mine.len(), tablets)
        })
        .collect();
    rows.push(row(total.0, total.1, all.len(), all.iter().map(|table| tablet::buckets(&table.ddl)).sum()));
    Ok(Table::new(&columns, rows))
}

fn current_queries(store: &Store, overview: &dyn Overview) -> Table {
    let columns = [
        "StartTime",
        "feIp",
        "QueryId",
        "ConnectionId",
        "Database",
        "User",
        "ScanBytes",
        "ScanRows",
        "MemoryUsage",
        "DiskSpillSize",
        "CPUTime",
        "ExecTime",
        "Warehouse",
        "CustomQueryId",
        "ResourceGroup",
    ];
    let host = overview.nodes().first().map(|node| node.host.clone()).unwrap_or_default();
    let now_ms = super::sessions::now_ms();
    let rows = store.sessions().all().into_iter().filter(|session| session.statement.is_some()).map(|session| {
        texts([
            time(Some(session.since_ms)),
            host.clone(),
            session.query_id,
            session.id.to_string(),
            session.database,
            session.user,
            size(0),
            "0 rows".to_owned(),
            size(0),
            size(0),
            "0.000 s".to_owned(),
            format!("{} ms", now_ms.saturating_sub(session.since_ms)),
            "default_warehouse".to_owned(),
            String::new(),
            String::new(),
        ])
    });
    Table::new(&columns, rows.collect())
}

/// The database with this number.
fn database(store: &Store, id: &str) -> Result<Option<String>, Error> {
    let Ok(id) = id.parse::<i64>() else { return Ok(None) };
    Ok(store.database_ids()?.into_iter().find(|(known, _)| *known == id).map(|(_, name)| name))
}

fn loads_of(overview: &dyn Overview, database: &str) -> Result<Vec<LoadView>, Error> {
    Ok(overview.loads()?.into_iter().filter(|load| load.database == database).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::overview::fake::Fake;
    use crate::sandbox::sql::Session;

    #[test]
    fn every_path_leads_to_a_table_whose_rows_are_as_wide_as_its_head() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let overview = Fake::with_loads("d");
        let mut session = Session::new("root", 1, overview.clone());
        for sql in ["CREATE DATABASE d", "CREATE TABLE d.t (a INT) DISTRIBUTED BY HASH(a) BUCKETS 3"] {
            session.execute(&store, sql).expect(sql);
        }
        let id = store.database_ids().expect("it reads")[0].0;
        for (path, rows) in [
            ("/".to_owned(), 7),
            ("/backends".to_owned(), 1),
            ("/backends/".to_owned(), 1),
            ("/frontends".to_owned(), 1),
            ("/compute_nodes".to_owned(), 0),
            ("/dbs".to_owned(), 1),
            (format!("/dbs/{id}"), 1),
            ("/transactions".to_owned(), 1),
            (format!("/transactions/{id}"), 2),
            (format!("/transactions/{id}/running"), 1),
            (format!("/transactions/{id}/finished"), 2),
            ("/statistic".to_owned(), 2),
            ("/current_queries".to_owned(), 0),
        ] {
            let table = proc(&store, &*overview, &path).expect(&path);
            assert_eq!(table.rows.len(), rows, "{path}: {table:?}");
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{path}: {table:?}");
        }
        for path in ["", "backends", "/nowhere", "/dbs/1", "/dbs/x", "/transactions/1/running", "/dbs/é/ü"] {
            assert!(proc(&store, &*overview, path).is_err(), "{path}");
        }
        let table = proc(&store, &*overview, "/statistic").expect("it is there");
        assert_eq!(table.rows[0][5].as_deref(), Some("3"), "three buckets are three tablets");
    }
}
