//! Jobs of the journal and their rejects, for people and for programs.

use serde_json::{Value, json};

use super::report::counted;
use crate::config::QueryResult;
use crate::loader::{JobEntry, LoadEntry, Rejected, Spooled, Unsettled};
use crate::model::{ByteCount, Label, LoadState};

/// The jobs as a table.
pub(in crate::cli) fn listing(jobs: &[JobEntry]) -> QueryResult {
    let columns = ["job", "state", "rows", "loads", "started", "ended", "target"];
    let columns = columns.map(|name| (name.to_owned(), "VARCHAR".to_owned())).to_vec();
    let row = |job: &JobEntry| {
        vec![
            json!(job.job.as_str()),
            json!(job.standing()),
            json!(job.rows_loaded),
            json!(by_state(&job.loads)),
            json!(job.started_at),
            json!(job.ended_at.as_deref().unwrap_or("-")),
            json!(job.target),
        ]
    };
    QueryResult { columns, rows: jobs.iter().map(row).collect() }
}

/// `3 visible, 1 sending`.
fn by_state(loads: &[(LoadState, u64)]) -> String {
    let counted: Vec<String> = loads.iter().map(|(state, count)| format!("{count} {}", word(*state))).collect();
    if counted.is_empty() { "none".to_owned() } else { counted.join(", ") }
}

fn word(state: LoadState) -> String {
    json!(state).as_str().unwrap_or_default().to_owned()
}

/// A job for programs. Field names are a contract.
pub(in crate::cli) fn object(job: &JobEntry) -> Value {
    let counts: serde_json::Map<String, Value> =
        job.loads.iter().map(|(state, count)| (word(*state), json!(count))).collect();
    json!({
        "job": job.job.as_str(),
        "run": job.run,
        "state": job.standing(),
        "target": job.target,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "cancelled_at": job.cancelled_at,
        "rows_loaded": job.rows_loaded,
        "loads_by_state": counts,
        "process": job.holder,
    })
}

/// A job with its loads and what its latest try said, for programs.
pub(in crate::cli) fn full_object(
    job: &JobEntry,
    loads: &[(Label, LoadEntry)],
    spooled: Option<&Spooled>,
    command: Option<&str>,
    settling: &[String],
) -> Value {
    let mut value = object(job);
    value["spool"] = json!(spooled);
    value["command"] = json!(command);
    value["commands"] = json!(settling);
    value["report"] = json!(job.report);
    value["loads"] = loads.iter().map(load_object).collect();
    value
}

fn load_object((label, load): &(Label, LoadEntry)) -> Value {
    json!({
        "label": label.as_str(),
        "transaction_id": load.transaction_id,
        "state": load.state,
        "rows": load.rows,
        "rows_loaded": load.rows_loaded,
        "rows_unselected": load.rows_unselected,
        "bytes": load.bytes,
        "input": load.input,
    })
}

/// A job with its loads, for people.
pub(in crate::cli) fn full_text(
    job: &JobEntry,
    loads: &[(Label, LoadEntry)],
    spooled: Option<&Spooled>,
    command: Option<&str>,
    settling: &[String],
) -> String {
    let mut lines = vec![format!("{}: {}", job.job, word_of(&json!(job.standing())))];
    let mut tell = |name: &str, text: &str| lines.push(format!("  {name:<12}{text}"));
    tell("target", &job.target);
    tell("rows", &format!("{} in the table", counted(job.rows_loaded)));
    tell("loads", &by_state(&job.loads));
    tell("started", &job.started_at);
    if let Some(at) = &job.ended_at {
        tell("ended", at);
    }
    if let Some(at) = job.cancelled_at.as_ref().filter(|_| !job.finished) {
        tell("cancelled", at);
    }
    if let Some(holder) = &job.holder {
        tell("process", &format!("{}, since {}", holder.pid, holder.since));
    }
    if let Some(Spooled { folder, loads, rows, bytes, whole }) = spooled {
        let (word, bytes) = (if *loads == 1 { "load" } else { "loads" }, ByteCount(*bytes));
        let read = if *whole { "read to its end" } else { "not read to its end" };
        let folder = folder.display();
        tell("spool", &format!("{} of {loads} {word}, {bytes} in {folder}; the stream was {read}", counted(*rows)));
    }
    if let Some(report) = &job.report {
        if report.rows_rejected > 0 {
            tell("rejected", &format!("{}, see `shipload rejects {}`", counted(report.rows_rejected), job.job));
        }
        if let Some(error) = &report.error {
            tell("error", &format!("[{}] {}", error.code, error.message));
        }
    }
    for command in settling {
        tell("settle", command);
    }
    if let Some(command) = command {
        tell("command", command);
    }
    if !loads.is_empty() {
        lines.push(super::table(&loads_table(loads)).trim_end_matches('\n').to_owned());
    }
    lines.join("\n")
}

fn word_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('_', " ")
}

fn loads_table(loads: &[(Label, LoadEntry)]) -> QueryResult {
    let columns = ["label", "state", "rows", "loaded", "bytes", "input"];
    let columns = columns.map(|name| (name.to_owned(), "VARCHAR".to_owned())).to_vec();
    let row = |(label, load): &(Label, LoadEntry)| {
        vec![
            json!(label.as_str()),
            json!(load.state),
            json!(load.rows),
            json!(load.rows_loaded),
            json!(load.bytes),
            json!(load.input),
        ]
    };
    QueryResult { columns, rows: loads.iter().map(row).collect() }
}

/// What is in the table of a job that was cancelled, for people.
pub(in crate::cli) fn cancelled_text(job: &JobEntry, open: &[Unsettled], settling: &[String]) -> String {
    let landed = landed(job);
    let what = if job.finished { "finished before it could be cancelled" } else { "cancelled" };
    let loads = format!("{landed} {}", if landed == 1 { "load" } else { "loads" });
    let are = if job.rows_loaded == 1 { "is" } else { "are" };
    let stays = match (landed, open.is_empty()) {
        (0, true) => format!("nothing of it is in {}", job.target),
        (0, false) => format!("nothing of it is known to be in {}", job.target),
        _ => format!("{} of {loads} {are} in {} and stay there", counted(job.rows_loaded), job.target),
    };
    let mut lines = vec![format!("{}: {what}; {stays}", job.job)];
    for load in open {
        lines.push(format!("  in doubt    {} ({}): {}", load.label, counted(load.rows), load.why));
    }
    lines.extend(settling.iter().map(|command| format!("  settle      {command}")));
    lines.join("\n")
}

fn landed(job: &JobEntry) -> u64 {
    let landed = |state: LoadState| state.is_loaded() || state == LoadState::Disagreed;
    job.loads.iter().filter(|(state, _)| landed(*state)).map(|(_, count)| count).sum()
}

/// The same for programs.
pub(in crate::cli) fn cancelled_object(
    job: &JobEntry,
    loads: &[(Label, LoadEntry)],
    open: &[Unsettled],
    settling: &[String],
) -> Value {
    let mut value = object(job);
    value["loads"] = loads.iter().map(load_object).collect();
    let open = open.iter().map(|load| json!({"label": load.label.as_str(), "rows": load.rows, "why": load.why}));
    value["in_doubt"] = open.collect();
    value["commands"] = json!(settling);
    value
}

/// The rejects of a job, for people.
pub(in crate::cli) fn rejects_text(job: &JobEntry, rejected: &Rejected) -> String {
    if rejected.rows == 0 {
        return format!("{}: no row was rejected", job.job);
    }
    let are = if rejected.rows == 1 { "is" } else { "are" };
    let mut lines = vec![format!("{}: {} {are} rejected", job.job, counted(rejected.rows))];
    for file in &rejected.files {
        let records = file.records.as_ref().unwrap_or(&file.reasons);
        lines.push(format!("  {}  {}", records.display(), counted(file.rows)));
    }
    lines.push("why".to_owned());
    for reason in &rejected.reasons {
        let column = reason.column.as_ref().map(|column| format!(" in `{column}`")).unwrap_or_default();
        lines.push(format!("  {}  {}{column}: {}", counted(reason.rows), reason.code, reason.rule));
    }
    if !rejected.first.is_empty() {
        lines.push("first".to_owned());
    }
    for reason in &rejected.first {
        let column = reason.column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default();
        let value = reason.value.as_ref().map(|value| format!(", value `{value}`")).unwrap_or_default();
        lines.push(format!("  {} line {}, byte {}{column}{value}", reason.file, reason.line, reason.byte));
    }
    super::without_control(&lines.join("\n")).into_owned()
}

/// A line about a job for those who have to choose among several.
pub(in crate::cli) fn one_line(job: &JobEntry) -> String {
    let bytes = job.report.as_ref().map(|report| format!(", {} read", ByteCount(report.bytes_read)));
    format!("{} ({}{})", job.job, word_of(&json!(job.standing())), bytes.unwrap_or_default())
}
