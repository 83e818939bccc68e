//! Session variables: those that clients ask for when they connect, and those that the session has set.

use super::scope::{Bound, Context};
use crate::sandbox::types::SqlType;

/// The version that MySQL clients see, which is what StarRocks shows them too.
pub(in crate::sandbox) const MYSQL_VERSION: &str = "8.0.33";

/// The version of StarRocks that the sandbox resembles.
pub(in crate::sandbox) const STARROCKS_VERSION: &str = "3.5.0-sandbox";

/// How long a statement may take, unless the session says otherwise; the value of `query_timeout` below.
pub(super) const QUERY_TIMEOUT_SECONDS: u64 = 300;

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

/// `@@name`, `@@session.name` or `@name` as an expression. What is not known is NULL, which is what drivers that probe for
/// features of other servers expect.
pub(super) fn read(context: &Context<'_>, name: &str) -> Bound {
    let key = normal_name(name);
    let value = context.variables.get(&key).map(String::as_str).or_else(|| built_in(&key));
    match value {
        Some(value) if value.parse::<i64>().is_ok() => Bound::new(value, SqlType::BigInt),
        Some(value) => Bound::constant(value),
        None => Bound::new("NULL", SqlType::TEXT),
    }
}

/// Every variable with its value in this session, sorted by name.
pub(super) fn all(context: &Context<'_>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = VARIABLES
        .iter()
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
    VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}
