//! The server's own words for what can go wrong, each under a name.
//!
//! What clients recognise is a fragment of each message; the rest of a sentence varies between versions. Which status the
//! transaction interface gives with each is known for few of them; the others have the likeliest one, and a rule may
//! name another.

/// A failure in the server's words. `{database}`, `{label}` and `{node}` are filled in.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    pub(super) message: &'static str,
    /// The status that the transaction interface gives with it.
    pub(super) status: &'static str,
}

/// The commit's outcome is unknown to the backend.
pub(super) const RPC_FAILURE: Preset = Preset {
    name: "rpc_failure",
    message: "FE RPC failure, address=TNetworkAddress(hostname=127.0.0.1, port=9020), reason=THRIFT_EAGAIN (timed out)",
    status: "THRIFT_RPC_ERROR",
};

/// Every preset.
pub(super) const ALL: &[Preset] = &[
    Preset {
        name: "too_many_versions",
        message: "Failed to load data into tablet 10005, because of too many versions, current/limit: 1001/1000. You \
                  can reduce the loading job concurrency, or increase loading data batch size.",
        status: "SERVICE_UNAVAILABLE",
    },
    Preset {
        name: "memory_limit",
        message: "Memory of process exceed limit. Used: 8589934592, Limit: 8589934592",
        status: "MEM_LIMIT_EXCEEDED",
    },
    Preset {
        name: "primary_key_memory",
        message: "primary key memory usage exceeds the limit. tablet_id: 10005",
        status: "MEM_LIMIT_EXCEEDED",
    },
    Preset {
        name: "running_transactions",
        message: "current running txns on db {database} is 1000, larger than limit 1000",
        status: "ANALYSIS_ERROR",
    },
    Preset {
        name: "backend_transactions",
        message: "streamload txn num per be exceeds limit",
        status: "SERVICE_UNAVAILABLE",
    },
    Preset {
        name: "concurrency_limit",
        message: "Stream Load exceed http cuncurrent limit",
        status: "SERVICE_UNAVAILABLE",
    },
    Preset {
        name: "shutting_down",
        message: "Service is shutting down, please retry later!",
        status: "SERVICE_UNAVAILABLE",
    },
    Preset { name: "lock_timeout", message: "get database write lock timeout, database={database}", status: "TIMEOUT" },
    Preset { name: "no_backend", message: "No backend alive.", status: "ANALYSIS_ERROR" },
    Preset { name: "not_master", message: "current fe is not master", status: "INTERNAL_ERROR" },
    Preset { name: "commit_rate", message: "Commit rate exceeds compaction throughput", status: "SERVICE_UNAVAILABLE" },
    Preset {
        name: "quorum",
        message: "Commit failed. txn: 1 table: t tablet: 10005 quorum: 2<3 errorReplicas: {10003}",
        status: "ANALYSIS_ERROR",
    },
    Preset { name: "unfinished_tablets", message: "has unfinished tablets", status: "ANALYSIS_ERROR" },
    Preset { name: "tablet_error", message: "Tablet is in error state, tablet_id: 10005", status: "INTERNAL_ERROR" },
    Preset { name: "loads_disabled", message: "disable_load_job is set to true", status: "ANALYSIS_ERROR" },
    Preset { name: "body_mismatch", message: "receive body don't equal with body bytes", status: "INTERNAL_ERROR" },
    Preset { name: "too_many_filtered", message: "too many filtered rows", status: "DATA_QUALITY_ERROR" },
    Preset { name: "timeout", message: "timeout by txn manager", status: "ABORTED" },
    Preset { name: "coordinator_down", message: "coordinate BE is down", status: "ABORTED" },
    Preset { name: "publish_timeout", message: "publish timeout: 20000, transactionId=1", status: "FAILED" },
    RPC_FAILURE,
    Preset {
        name: "outcome_unknown",
        message: "Transaction status unknown, you can retry with same label.",
        status: "THRIFT_RPC_ERROR",
    },
];

/// The statuses that a rule may name: what the transaction interface of either node can say.
pub(super) const STATUSES: &[&str] = &[
    "FAILED",
    "LABEL_ALREADY_EXISTS",
    "TXN_NOT_EXISTS",
    "TXN_IN_PROCESSING",
    "ABORTED",
    "INVALID_ARGUMENT",
    "INTERNAL_ERROR",
    "ANALYSIS_ERROR",
    "TIMEOUT",
    "THRIFT_RPC_ERROR",
    "SERVICE_UNAVAILABLE",
    "MEM_LIMIT_EXCEEDED",
    "CANCELLED",
    "PUBLISH_TIMEOUT",
    "DATA_QUALITY_ERROR",
];
