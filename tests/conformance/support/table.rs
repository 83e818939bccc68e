//! Rules as tables: what goes in, what is found afterwards.

use super::cluster::{Cluster, Database};
use super::curl::{field, number};

/// Rows as they are found in the table, in no order; `NULL` stands for NULL.
pub(crate) type Rows = &'static [&'static [&'static str]];

/// What comes of a load.
pub(crate) enum Outcome {
    /// `Success` with these rows in the table and so many filtered.
    Loads { rows: Rows, filtered: i64 },
    /// `Fail` with a message that has this in it.
    Fails(&'static str),
}

/// One rule: a body under some headers, and what comes of it.
pub(crate) struct Case {
    /// The rule, in the protocol's words.
    pub(crate) rule: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static [u8],
    pub(crate) outcome: Outcome,
}

/// A rule under which everything is loaded.
pub(crate) const fn loads(
    rule: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    rows: Rows,
) -> Case {
    filters(rule, headers, body, rows, 0)
}

/// A rule under which so many rows are filtered.
pub(crate) const fn filters(
    rule: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    rows: Rows,
    filtered: i64,
) -> Case {
    Case { rule, headers, body, outcome: Outcome::Loads { rows, filtered } }
}

/// A rule under which the load fails.
pub(crate) const fn fails(
    rule: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    message: &'static str,
) -> Case {
    Case { rule, headers, body, outcome: Outcome::Fails(message) }
}

/// What all rules of a table share.
pub(crate) struct Rules<'a> {
    /// The columns of the table that each case gets for itself.
    pub(crate) columns: &'a str,
    /// The expressions that are compared.
    pub(crate) select: &'a str,
    /// Headers of every case; one of the case comes behind them.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) cases: &'a [Case],
}

/// Holds a cluster to all rules and tells of every one that it breaks.
pub(crate) fn hold(cluster: &Cluster, rules: &Rules<'_>) {
    let database = cluster.database();
    let broken: Vec<String> =
        (0..rules.cases.len()).filter_map(|index| broken(&database, rules, index).err()).collect();
    assert!(broken.is_empty(), "{} of {} rules:\n{}", broken.len(), rules.cases.len(), broken.join("\n"));
}

fn broken(database: &Database<'_>, rules: &Rules<'_>, index: usize) -> Result<(), String> {
    let case = &rules.cases[index];
    let table = format!("t{index}");
    database.table(&table, rules.columns);
    let names = case.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let common: Vec<_> = rules.headers.iter().filter(|(name, _)| !names.contains(name)).copied().collect();
    let reply = database.load(&table).headers(&common).headers(case.headers).body(case.body).json();
    let rule = case.rule;
    let told = || format!("- {rule}: {} {} {}", field(&reply, "Status"), field(&reply, "Message"), errors(&reply));
    match &case.outcome {
        Outcome::Fails(message) => {
            let fails = field(&reply, "Status") == "Fail" && field(&reply, "Message").contains(message);
            if fails { Ok(()) } else { Err(format!("{}: expected Fail with `{message}`", told())) }
        }
        Outcome::Loads { rows, filtered } => {
            let mut expected: Vec<Vec<String>> =
                rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
            expected.sort();
            let found = database.sorted(&format!("SELECT {} FROM {table}", rules.select));
            if field(&reply, "Status") != "Success" || found != expected {
                return Err(format!("{}: expected {expected:?}, found {found:?}", told()));
            }
            let counted = number(&reply, "NumberFilteredRows");
            if counted == *filtered { Ok(()) } else { Err(format!("{}: filtered {counted}, not {filtered}", told())) }
        }
    }
}

/// What the log of the load's rows says.
fn errors(reply: &serde_json::Value) -> String {
    match field(reply, "ErrorURL") {
        url if url.is_empty() => url,
        url => super::curl::Request::new("GET", &url).send().text(),
    }
}
