//! What a cluster says, as rows: the names are those of the JSON members as well.

use serde_json::{Map, Value};

use crate::cli::args::Output;
use crate::config::QueryResult;
use crate::config::cluster::{ClusterNode, Health, Load, Sample, Transaction};

/// A row: names and values.
type Cells = Vec<(&'static str, Value)>;

fn rows(names: &[&str], rows: impl Iterator<Item = Cells>) -> QueryResult {
    let columns = names.iter().map(|name| ((*name).to_owned(), "varchar".to_owned())).collect();
    let values = |cells: Cells| {
        debug_assert!(cells.iter().map(|(name, _)| name).eq(names), "a row has every column, in order");
        cells.into_iter().map(|(_, value)| value).collect()
    };
    QueryResult { columns, rows: rows.map(values).collect() }
}

/// The same without the columns in which nothing stands, for people.
pub(super) fn without_gaps(result: &QueryResult) -> QueryResult {
    let said: Vec<bool> =
        (0..result.columns.len()).map(|column| result.rows.iter().any(|row| !row[column].is_null())).collect();
    let keep = |index: &usize| said[*index];
    let indices: Vec<usize> = (0..said.len()).filter(keep).collect();
    let cell = |value: &Value| if value.is_null() { Value::from("-") } else { value.clone() };
    QueryResult {
        columns: indices.iter().map(|index| result.columns[*index].clone()).collect(),
        rows: result.rows.iter().map(|row| indices.iter().map(|index| cell(&row[*index])).collect()).collect(),
    }
}

fn text(value: Option<&String>) -> Value {
    value.map(String::as_str).into()
}

pub(super) fn health(nodes: &[Health]) -> QueryResult {
    let names = ["kind", "address", "well", "reachable", "alive", "version", "latency_ms", "problem"];
    let row = |node: &Health| {
        // A tenth of a millisecond is as exact as it is true.
        let latency = node.latency.map(|latency| (latency.as_secs_f64() * 10_000.0).round() / 10.0);
        let problem = (!node.problems.is_empty()).then(|| node.problems.join("; "));
        let values = [
            node.kind.to_string().into(),
            node.address.as_str().into(),
            node.problems.is_empty().into(),
            node.reachable.into(),
            node.alive.into(),
            text(node.version.as_ref()),
            latency.into(),
            problem.into(),
        ];
        names.into_iter().zip(values).collect()
    };
    rows(&names, nodes.iter().map(row))
}

pub(super) fn nodes(nodes: &[ClusterNode]) -> QueryResult {
    let names = [
        "kind",
        "name",
        "host",
        "http_port",
        "role",
        "alive",
        "status",
        "version",
        "decommissioned",
        "tablets",
        "running",
        "memory_used",
        "disk_used",
        "last_heartbeat",
        "error",
    ];
    let row = |node: &ClusterNode| {
        let values = [
            node.kind.to_string().into(),
            text(node.name.as_ref()),
            text(node.host.as_ref()),
            node.http_port.into(),
            text(node.role.as_ref()),
            node.alive.into(),
            text(node.status.as_ref()),
            text(node.version.as_ref()),
            node.decommissioned.into(),
            node.tablets.into(),
            node.running.into(),
            text(node.memory_used.as_ref()),
            text(node.disk_used.as_ref()),
            text(node.last_heartbeat.as_ref()),
            text(node.error.as_ref()),
        ];
        names.into_iter().zip(values).collect()
    };
    rows(&names, nodes.iter().map(row))
}

pub(super) fn loads(loads: &[Load]) -> QueryResult {
    let names = [
        "id",
        "label",
        "table",
        "state",
        "type",
        "rows_loaded",
        "rows_filtered",
        "rows_unselected",
        "created",
        "finished",
        "error",
    ];
    let row = |load: &Load| {
        let values = [
            text(load.id.as_ref()),
            text(load.label.as_ref()),
            text(load.table.as_ref()),
            text(load.state.as_ref()),
            text(load.kind.as_ref()),
            load.rows_loaded.into(),
            load.rows_filtered.into(),
            load.rows_unselected.into(),
            text(load.created.as_ref()),
            text(load.finished.as_ref()),
            text(load.error.as_ref()),
        ];
        names.into_iter().zip(values).collect()
    };
    rows(&names, loads.iter().map(row))
}

pub(super) fn transactions(transactions: &[Transaction]) -> QueryResult {
    let names = [
        "id",
        "label",
        "state",
        "finished",
        "source",
        "coordinator",
        "begun",
        "committed",
        "ended",
        "timeout_ms",
        "reason",
    ];
    let row = |transaction: &Transaction| {
        let values = [
            text(transaction.id.as_ref()),
            text(transaction.label.as_ref()),
            text(transaction.state.as_ref()),
            transaction.finished.into(),
            text(transaction.source.as_ref()),
            text(transaction.coordinator.as_ref()),
            text(transaction.begun.as_ref()),
            text(transaction.committed.as_ref()),
            text(transaction.ended.as_ref()),
            transaction.timeout_milliseconds.into(),
            text(transaction.reason.as_ref()),
        ];
        names.into_iter().zip(values).collect()
    };
    rows(&names, transactions.iter().map(row))
}

/// Metrics: labels as one text for people, as an object for programs.
pub(super) fn metrics(samples: &[Sample], output: Output) -> QueryResult {
    let names = ["node", "name", "labels", "value"];
    let row = |sample: &Sample| {
        let labels = match output {
            Output::Json => {
                let pairs = sample.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
            Output::Text if sample.labels.is_empty() => Value::Null,
            Output::Text => {
                let pairs = sample.labels.iter().map(|(name, value)| format!("{name}={value}"));
                pairs.collect::<Vec<_>>().join(",").into()
            }
        };
        let values = [sample.node.as_str().into(), sample.name.as_str().into(), labels, number(&sample.value)];
        names.into_iter().zip(values).collect()
    };
    rows(&names, samples.iter().map(row))
}

/// A value as JSON can tell it: what is no number there stays text.
fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_in_which_nothing_stands_is_left_out() {
        let names = ["a", "b", "c"].map(|name| (name.to_owned(), String::new())).to_vec();
        let result = QueryResult {
            columns: names,
            rows: vec![vec![json!(1), json!(null), json!(null)], vec![json!(null), json!(null), json!(false)]],
        };
        let shown = without_gaps(&result);
        assert_eq!(shown.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(shown.rows, [[json!(1), json!("-")], [json!("-"), json!(false)]]);
    }

    #[test]
    fn a_value_that_json_cannot_tell_stays_text() {
        assert_eq!(number("9007199254740993"), json!(9_007_199_254_740_993_i64));
        assert_eq!(number("1.5"), json!(1.5));
        for text in ["NaN", "+Inf", "-Inf"] {
            assert_eq!(number(text), json!(text));
        }
    }
}
