//! A plan, for people and for programs.

use serde_json::{Value, json};

use super::grouped;
use crate::config::cluster::Way;
use crate::failure::{Failure, chain};
use crate::model::plan::{ColumnPlan, InputPlan, Plan, Standing};
use crate::model::{ByteCount, Relay};

/// How many inputs are shown one by one to a person; a folder may hold thousands.
const INPUTS_MAX: usize = 8;

/// What was found out.
pub(in crate::cli) struct Seen<'a> {
    pub(in crate::cli) plan: &'a Plan,
    /// The way to the table, where it could be tried.
    pub(in crate::cli) way: Option<&'a Way>,
    /// What running the import would do: `load`, `go on`, `do nothing`, `fail`.
    pub(in crate::cli) would: &'static str,
}

/// One JSON object. What is not known is null.
pub(in crate::cli) fn json(seen: &Seen<'_>, failure: Option<&dyn Failure>) -> Value {
    let mut value = serde_json::to_value(seen.plan).expect("a plan is plain values");
    for field in ["job", "target", "compression"] {
        if value[field] == "" {
            value[field] = Value::Null;
        }
    }
    let would = if failure.is_some() { "fail" } else { seen.would };
    value["would"] = would.replace(' ', "_").into();
    let node = |health: &crate::config::cluster::Health| {
        json!({
            "kind": health.kind.to_string(),
            "address": health.address,
            "well": health.problems.is_empty(),
            "version": health.version,
            "problems": health.problems,
        })
    };
    let lead = |lead: &crate::config::cluster::Lead| json!({"frontend": lead.frontend, "node": lead.node, "problem": lead.problem});
    value["nodes"] = seen.way.map_or(Value::Null, |way| way.nodes.iter().map(node).collect());
    value["leads"] = seen.way.map_or(Value::Null, |way| way.leads.iter().map(lead).collect());
    let may: Vec<_> = privileges(seen).into_iter().map(|(name, may)| (name.to_owned(), json!(may))).collect();
    value["privileges"] = Value::Object(may.into_iter().collect());
    value["error"] = failure.map_or(
        Value::Null,
        |error| json!({"code": error.code().to_string(), "message": chain(error), "hint": error.hint()}),
    );
    value
}

/// What the user may do, as far as it can be seen without doing it.
fn privileges(seen: &Seen<'_>) -> [(&'static str, Option<bool>); 4] {
    let known = !seen.plan.inputs.is_empty() && !seen.plan.table_missing;
    let denied = |way: &Way| way.error.as_ref().is_some_and(|error| error.code() == crate::failure::Code::AccessDenied);
    let insert = seen.way.and_then(|way| {
        let led = way.leads.iter().any(|lead| lead.node.is_some());
        if denied(way) { Some(false) } else { (led && !seen.plan.table_missing).then_some(true) }
    });
    [
        ("select", known.then_some(true)),
        ("insert", insert),
        ("operate", seen.way.map(|way| way.missing.is_empty())),
        // Only a CREATE TABLE tells.
        ("create_table", None),
    ]
}

/// A few lines for people.
pub(in crate::cli) fn text(seen: &Seen<'_>, fails: bool) -> String {
    let plan = seen.plan;
    let job = if plan.job.is_empty() { String::new() } else { format!("{}: ", plan.job) };
    let would = match (fails, plan.standing) {
        (true, _) => "would fail to load",
        (false, Standing::New) => "would be loaded",
        (false, Standing::Unfinished) => "would go on where it stopped",
        (false, Standing::Finished) => "is loaded already; nothing would happen",
    };
    let mut lines = vec![format!("{job}{would}, into {}", plan.target)];
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<11} {text}"));
    if plan.table_missing {
        line("table", "missing; it would be created".to_owned());
    }
    for input in plan.inputs.iter().take(INPUTS_MAX) {
        line("input", one_input(input));
    }
    if plan.inputs.len() > INPUTS_MAX {
        line("", format!("and {} more", grouped((plan.inputs.len() - INPUTS_MAX) as u64)));
    }
    if let Some(first) = plan.inputs.first() {
        let computed = first.computed.iter().map(|item| format!("{item} (computed)"));
        let columns: Vec<String> = first.columns.iter().map(one_column).chain(computed).collect();
        line("columns", columns.join(", "));
        let wires: Vec<&str> = ["csv", "json"].into_iter().filter(|wire| has(plan, wire)).collect();
        line("wire", format!("{}, compression {}: {}", wires.join(" and "), plan.compression, plan.compression_reason));
        line("loads", volume(plan));
    }
    if let Some(seconds) = plan.seconds_min {
        line("duration", format!("at least {} s, by --max-rate and --max-requests", grouped(seconds)));
    }
    if let Some(commit) = &plan.commit {
        line("commit", format!("{}: {}", commit.scope, commit.reason));
    }
    if let Some(memory) = plan.memory {
        line("parallel", format!("up to {} loads at once", plan.parallel_max));
        line("memory", format!("{}, of which {} for loads", ByteCount(memory.limit), ByteCount(memory.loads)));
    }
    for lead in seen.way.iter().flat_map(|way| &way.leads) {
        let to = lead.node.as_ref().map_or_else(String::new, |node| format!(" leads to {node}"));
        let problem = lead.problem.as_ref().map_or_else(|| ", which answers".to_owned(), |why| format!(": {why}"));
        line("way", format!("{}{to}{problem}", lead.frontend));
    }
    let ill = seen.way.iter().flat_map(|way| &way.nodes).filter(|node| !node.problems.is_empty());
    for node in ill {
        line("not well", format!("{} {}: {}", node.kind, node.address, node.problems.join("; ")));
    }
    let may = privileges(seen).map(|(name, may)| {
        let may = may.map_or("not to be seen", |may| if may { "yes" } else { "no" });
        format!("{} {may}", name.to_uppercase().replace('_', " "))
    });
    line("privileges", may.join(", "));
    lines.join("\n")
}

fn has(plan: &Plan, wire: &str) -> bool {
    plan.inputs.iter().any(|input| input.wire == wire)
}

fn one_input(input: &InputPlan) -> String {
    let size = input.bytes.map_or_else(|| "of unknown length".to_owned(), |bytes| ByteCount(bytes).to_string());
    let relay = match input.relay {
        Relay::None => "",
        Relay::Checked => "; values that pass the check travel as they are",
        Relay::Unchecked => "; records travel unchecked",
    };
    format!("{}: {}; {size}{relay}", input.path, input.format)
}

fn one_column(column: &ColumnPlan) -> String {
    let from = if column.from == column.column { String::new() } else { format!(" from {}", column.from) };
    format!("{} {}{from}", column.column, column.ty)
}

fn volume(plan: &Plan) -> String {
    let Some((loads, bytes)) = plan.loads.zip(plan.bytes) else {
        return "as many as the stream brings: nobody can know before it ends".to_owned();
    };
    let word = if loads == 1 { "load" } else { "loads" };
    format!("about {} {word}, about {} of text", grouped(loads), ByteCount(bytes))
}
