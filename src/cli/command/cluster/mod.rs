//! `shipload cluster VERB`: the operator's view of the far side.
//!
//! Answers go to stdout, as `sql` shows its rows: a table, or one JSON object per row. What could not be found out, and
//! what is not well, goes to stderr, a line each.

mod table;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use super::on_runtime;
use crate::cli::args::{ClusterArgs, ClusterCommon, ClusterVerb, Output, TargetArgs};
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config::cluster::{Cluster, Got, LoadFilter};
use crate::config::{self, Connected, LabelState, QueryResult};
use crate::failure::{Code, Failure, chain};
use crate::model::Label;

/// No load is sent; the options ask for a timeout all the same.
const LOAD_TIMEOUT: Duration = Duration::from_mins(10);

pub(in crate::cli) fn run(args: ClusterArgs) -> Exit {
    let target = target_of(&args.verb);
    let mut options = target.connect_options(LOAD_TIMEOUT, "UTC".to_owned());
    if let Err(error) = options.ask_password() {
        return render::failure(&error, None);
    }
    on_runtime(async move {
        let connected = match config::connect(&options).await {
            Ok(connected) => connected,
            Err(error) => return render::failure(&error, None),
        };
        for notice in connected.notices() {
            render::note(notice);
        }
        let exit = answer(&connected, args.verb).await.unwrap_or_else(|error| render::failure(&error, None));
        connected.close().await;
        exit
    })
}

fn target_of(verb: &ClusterVerb) -> &TargetArgs {
    match verb {
        ClusterVerb::Health { common }
        | ClusterVerb::Nodes { common }
        | ClusterVerb::Loads { common, .. }
        | ClusterVerb::Label { common, .. }
        | ClusterVerb::Transactions { common, .. }
        | ClusterVerb::Metrics { common, .. } => &common.target,
        ClusterVerb::Get { target, .. } => target,
    }
}

async fn answer(connected: &Connected, verb: ClusterVerb) -> Result<Exit, config::Error> {
    let cluster = connected.cluster();
    Ok(match verb {
        ClusterVerb::Health { common } => health(cluster, common.output).await,
        ClusterVerb::Nodes { common } => {
            let listing = cluster.nodes().await?;
            notes(&listing.missing);
            show(&table::nodes(&listing.nodes), &common, "the cluster lists no nodes")
        }
        ClusterVerb::Loads { common, label, state, limit } => {
            let filter = LoadFilter { label, state, limit: limit as usize };
            show(&table::loads(&cluster.loads(&filter).await?), &common, "the server knows of no such loads")
        }
        ClusterVerb::Label { label, common } => tell_label(cluster, &label, common.output).await?,
        ClusterVerb::Transactions { common, limit } => {
            let transactions = cluster.transactions(limit as usize).await?;
            show(&table::transactions(&transactions), &common, "the server knows of no transactions")
        }
        ClusterVerb::Metrics { common, part, node: _, all: true } => all_metrics(cluster, &common, part).await,
        ClusterVerb::Metrics { common, part, node, all: false } => {
            let samples = cluster.metrics(node.as_deref(), part.as_deref()).await?;
            show(&table::metrics(&samples, common.output), &common, NO_METRIC)
        }
        ClusterVerb::Get { path, node, target: _ } => print(&cluster.get(&path, node.as_deref()).await?, &path),
    })
}

const NO_METRIC: &str = "no metric is named like that; `--match ''` shows all";

/// Shows rows; a person is told when there are none.
fn show(rows: &QueryResult, common: &ClusterCommon, none: &str) -> Exit {
    match common.output {
        Output::Text if rows.rows.is_empty() => render::note(none),
        Output::Text => shown(&table::without_gaps(rows)),
        Output::Json => render::result(&render::json_rows(rows)),
    }
    Exit::Success
}

fn notes(lines: &[String]) {
    for line in lines {
        render::note(line);
    }
}

fn shown(rows: &QueryResult) {
    render::result(render::table(rows).trim_end_matches('\n'));
}

/// Nodes that are not well, each of which has been named.
#[derive(Debug, thiserror::Error)]
#[error("{down} of {all} nodes {} not well", if *.down == 1 { "is" } else { "are" })]
struct NotWell {
    down: usize,
    all: usize,
}

impl Failure for NotWell {
    fn code(&self) -> Code {
        Code::NodeDown
    }

    fn hint(&self) -> Option<String> {
        Some("each has a line above; a node that is reached elsewhere from here takes --map-host".to_owned())
    }
}

async fn health(cluster: Cluster<'_>, output: Output) -> Exit {
    let (nodes, missing) = cluster.health().await;
    let rows = table::health(&nodes);
    match output {
        Output::Text => shown(&table::without_gaps(&rows)),
        Output::Json => render::result(&render::json_rows(&rows)),
    }
    notes(&missing);
    let down: Vec<_> = nodes.iter().filter(|node| !node.problems.is_empty()).collect();
    for node in &down {
        render::line(&format!("down: {} {}: {}", node.kind, node.address, node.problems.join("; ")));
    }
    finish(down.len(), nodes.len())
}

fn finish(down: usize, all: usize) -> Exit {
    if down == 0 { Exit::Success } else { render::failure(&NotWell { down, all }, None) }
}

async fn all_metrics(cluster: Cluster<'_>, common: &ClusterCommon, part: Option<String>) -> Exit {
    let asked = cluster.all_metrics(part.as_deref()).await;
    if !asked.samples.is_empty() || asked.failed.is_empty() {
        show(&table::metrics(&asked.samples, common.output), common, NO_METRIC);
    }
    notes(&asked.missing);
    for (node, error) in &asked.failed {
        render::line(&format!("down: {node}: {}", chain(error)));
    }
    finish(asked.failed.len(), asked.nodes)
}

async fn tell_label(cluster: Cluster<'_>, label: &Label, output: Output) -> Result<Exit, config::Error> {
    let seen = cluster.label(label).await?;
    let (state, meaning, next) = explained(seen.state);
    let members = [
        ("label", Some(label.as_str())),
        ("database", Some(seen.database.as_str())),
        ("state", Some(state)),
        ("reason", seen.reason.as_deref()),
        ("meaning", Some(meaning)),
        ("next", Some(next)),
    ];
    match output {
        Output::Json => render::result(&serde_json::Value::from_iter(members).to_string()),
        Output::Text => {
            let told = members.iter().filter_map(|(name, value)| Some((name, (*value)?)));
            let one_line = |text: &str| text.replace(char::is_control, " ");
            let lines = told.map(|(name, value)| format!("{name:<10}{}", one_line(value)));
            render::result(&lines.collect::<Vec<_>>().join("\n"));
        }
    }
    Ok(if seen.state == LabelState::Unknown { Exit::Failed } else { Exit::Success })
}

/// A state's name, what it means for a load whose outcome is open, and what to do (SR §5.4).
fn explained(state: LabelState) -> (&'static str, &'static str, &'static str) {
    match state {
        LabelState::Visible => ("VISIBLE", "the rows are in the table, and readers see them", "nothing"),
        LabelState::Committed => (
            "COMMITTED",
            "the rows are in the table for good; readers see them within moments",
            "nothing; if it stays so for minutes, look at the backends",
        ),
        LabelState::Prepared => (
            "PREPARED",
            "the rows are written and wait for the second phase of a two-phase commit",
            "commit or roll back, as whoever opened the transaction decides",
        ),
        LabelState::Prepare => (
            "PREPARE",
            "an attempt is under way, or was left behind; it may still commit",
            "ask again; after the load's own timeout the server aborts it",
        ),
        LabelState::Aborted => (
            "ABORTED",
            "the load was rolled back: none of its rows is in the table, and the label is free",
            "send the same rows again under the same label, which running the same import again does",
        ),
        LabelState::Unknown => (
            "UNKNOWN",
            "the server does not know the label: it was never begun, has not begun yet, or is forgotten. A finished \
             label is forgotten after three days (label_keep_max_second), and earlier once the database has seen more \
             than 1000 transactions (label_keep_max_num), so that the rows may be in the table all the same",
            "look for it with `cluster loads --label` and in the journal of whoever sent it; if it is sent again, then \
             under the same label",
        ),
    }
}

/// Prints an answer as it is; one without success goes to stderr.
fn print(got: &Got, path: &str) -> Exit {
    if !got.is_success() {
        let exit = render::failure(&got.refusal(path), None);
        render::line(&String::from_utf8_lossy(&got.body));
        return exit;
    }
    let pretty =
        io::stdout().is_terminal().then(|| serde_json::from_slice::<serde_json::Value>(&got.body).ok()).flatten();
    let body = match pretty {
        Some(value) => format!("{value:#}\n").into_bytes(),
        None => got.body.clone(),
    };
    let mut stdout = io::stdout().lock();
    // A reader that has gone away is no failure of ours.
    let _ = stdout.write_all(&body).and_then(|()| stdout.flush());
    Exit::Success
}
