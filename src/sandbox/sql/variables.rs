//! Session variables: those that clients ask for when they connect, and those that the session has set.

use super::Error;
use super::scope::{Bound, Context};
use crate::sandbox::types::SqlType;

/// The version that MySQL clients see, which is what StarRocks shows them too.
pub(in crate::sandbox) const MYSQL_VERSION: &str = "8.0.33";

/// The version of StarRocks that the sandbox resembles.
pub(in crate::sandbox) const STARROCKS_VERSION: &str = "3.5.0-sandbox";

/// How long a statement may take, unless the session says otherwise; the value of `query_timeout` below.
pub(super) const QUERY_TIMEOUT_SECONDS: u64 = 300;

/// Variables of StarRocks that may be set and whose setting changes nothing here, with StarRocks' defaults.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("activate_all_roles_on_login", "0"),
    ("big_query_profile_threshold", "30s"),
    ("broadcast_row_limit", "15000000"),
    ("catalog", "default_catalog"),
    ("cbo_enable_low_cardinality_optimize", "1"),
    ("character_set_database", "utf8mb4"),
    ("connector_io_tasks_per_scan_operator", "16"),
    ("custom_query_id", ""),
    ("default_table_compression", "lz4_frame"),
    ("disable_join_reorder", "0"),
    ("div_precision_increment", "4"),
    ("dynamic_overwrite", "0"),
    ("enable_adaptive_sink_dop", "1"),
    ("enable_insert_strict", "1"),
    ("enable_load_profile", "0"),
    ("enable_materialized_view_rewrite", "1"),
    ("enable_pipeline_engine", "1"),
    ("enable_profile", "0"),
    ("enable_query_cache", "0"),
    ("enable_sort_aggregate", "0"),
    ("enable_spill", "0"),
    ("event_scheduler", "OFF"),
    ("exec_mem_limit", "2147483648"),
    ("foreign_key_checks", "1"),
    ("forward_to_leader", "0"),
    ("group_concat_max_len", "1024"),
    ("insert_max_filter_ratio", "0.0"),
    ("insert_timeout", "14400"),
    ("io_tasks_per_scan_operator", "4"),
    ("is_report_success", "0"),
    ("load_mem_limit", "0"),
    ("max_execution_time", "0"),
    ("new_planner_optimize_timeout", "3000"),
    ("parallel_exchange_instance_num", "-1"),
    ("parallel_fragment_exec_instance_num", "1"),
    ("pipeline_dop", "0"),
    ("pipeline_profile_level", "1"),
    ("prefer_compute_node", "0"),
    ("query_mem_limit", "0"),
    ("query_queue_max_queued_queries", "1024"),
    ("resource_group", ""),
    ("runtime_filter_scan_wait_time", "20"),
    ("spill_mode", "auto"),
    ("sql_auto_is_null", "0"),
    ("sql_dialect", "StarRocks"),
    ("sql_quote_show_create", "1"),
    ("sql_warnings", "0"),
    ("storage_engine", "OLAP"),
    ("streaming_preaggregation_mode", "auto"),
    ("transaction_visible_wait_timeout", "10"),
    ("tx_visible_wait_timeout", "10"),
    ("unique_checks", "1"),
    ("use_compute_nodes", "-1"),
    ("warehouse", "default_warehouse"),
];

/// What a client library asks for that would not connect without an answer. It is NULL, there being none.
const ABSENT: [&str; 1] = ["socket"];

/// Names and values, sorted by name.
const VARIABLES: &[(&str, &str)] = &[
    ("auto_increment_increment", "1"),
    ("autocommit", "1"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("collation_connection", "utf8mb4_general_ci"),
    ("collation_database", "utf8mb4_general_ci"),
    ("collation_server", "utf8mb4_general_ci"),
    ("default_storage_engine", "OLAP"),
    ("init_connect", ""),
    ("interactive_timeout", "3600"),
    ("license", "Apache License, Version 2.0"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "33554432"),
    ("net_buffer_length", "16384"),
    ("net_read_timeout", "60"),
    ("net_write_timeout", "60"),
    ("performance_schema", "0"),
    ("query_cache_size", "1048576"),
    ("query_cache_type", "0"),
    ("query_timeout", "300"),
    ("sql_mode", "ONLY_FULL_GROUP_BY"),
    ("sql_safe_updates", "0"),
    ("sql_select_limit", "9223372036854775807"),
    ("system_time_zone", "UTC"),
    ("time_zone", "UTC"),
    ("transaction_isolation", "REPEATABLE-READ"),
    ("transaction_read_only", "0"),
    ("tx_isolation", "REPEATABLE-READ"),
    ("tx_read_only", "0"),
    ("version", MYSQL_VERSION),
    ("version_comment", "StarRocks version 3.5.0-sandbox"),
    ("wait_timeout", "28800"),
];

/// `@@name`, `@@session.name` or `@name` as an expression. A user's own variable that was never set is NULL.
pub(super) fn read(context: &Context<'_>, name: &str) -> Result<Bound, Error> {
    let key = normal_name(name);
    let value = context.variables.get(&key).map(String::as_str).or_else(|| built_in(&key));
    Ok(match value {
        Some(value) if value.parse::<i64>().is_ok() => Bound::new(value, SqlType::BigInt),
        Some(value) => Bound::constant(value),
        None if key.starts_with('@') || ABSENT.contains(&key.as_str()) => Bound::new("NULL", SqlType::TEXT),
        None => return Err(unknown(&key)),
    })
}

/// Refuses to set what StarRocks does not know either.
pub(super) fn check_settable(name: &str) -> Result<(), Error> {
    if name.starts_with('@') || built_in(name).is_some() {
        return Ok(());
    }
    Err(unknown(name))
}

fn unknown(name: &str) -> Error {
    Error::new(1193, format!("Unknown system variable '{name}'"))
}

/// Every variable with its value in this session, sorted by name.
pub(super) fn all(context: &Context<'_>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = VARIABLES
        .iter()
        .chain(WITHOUT_EFFECT)
        .filter(|(name, _)| !context.variables.contains_key(*name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain(context.variables.iter().filter(|(name, _)| !name.starts_with('@')).map(|(n, v)| (n.clone(), v.clone())))
        .collect();
    all.sort();
    all
}

/// `@@session.x` and `x` are the same variable; `@x` is the user's own.
pub(super) fn normal_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let Some(system) = lower.strip_prefix("@@") else { return lower };
    let system = system.strip_prefix("session.").or(system.strip_prefix("global.")).unwrap_or(system);
    system.to_owned()
}

fn built_in(name: &str) -> Option<&'static str> {
    VARIABLES.iter().chain(WITHOUT_EFFECT).find(|(known, _)| *known == name).map(|(_, value)| *value)
}
