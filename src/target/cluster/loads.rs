//! Recent stream loads of a database: from `information_schema.loads`, which has them since 3.4, or from
//! `SHOW STREAM LOAD`.

use super::{ANSWER_BYTES_MAX, Cluster, Row, named_rows};
use crate::model::Label;
use crate::target::Error;
use crate::target::request::quote;

/// Which loads to show.
#[derive(Clone, Debug, Default)]
pub struct LoadFilter {
    /// Only that of this label.
    pub label: Option<Label>,
    /// Only those in this state, as the server names it.
    pub state: Option<String>,
    /// At most so many, the newest first.
    pub limit: usize,
}

/// One load, as far as the server tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The server's number of it.
    pub id: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// Its table.
    pub table: Option<String>,
    /// Its state: `FINISHED`, `CANCELLED`, `LOADING` …
    pub state: Option<String>,
    /// What kind of load it is.
    pub kind: Option<String>,
    /// Rows that arrived.
    pub rows_loaded: Option<u64>,
    /// Rows that were refused.
    pub rows_filtered: Option<u64>,
    /// Rows that a filter left out.
    pub rows_unselected: Option<u64>,
    /// When it was begun.
    pub created: Option<String>,
    /// When it ended.
    pub finished: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// The columns asked for. One that a server does not have is left out.
const COLUMNS: [&str; 11] = [
    "ID",
    "LABEL",
    "TABLE_NAME",
    "STATE",
    "TYPE",
    "SINK_ROWS",
    "FILTERED_ROWS",
    "UNSELECTED_ROWS",
    "CREATE_TIME",
    "LOAD_FINISH_TIME",
    "ERROR_MSG",
];

/// What is asked where the table is missing or has nothing: all loads, else those under way.
const STATEMENTS: [&str; 2] = ["SHOW ALL STREAM LOAD FROM", "SHOW STREAM LOAD FROM"];

impl Load {
    /// Both sources name the same things differently.
    fn read(row: &Row) -> Self {
        Self {
            id: row.text(&["ID", "JOB_ID", "TxnId"]),
            label: row.text(&["LABEL"]),
            table: row.text(&["TABLE_NAME", "TableName"]),
            state: row.text(&["STATE"]),
            kind: row.text(&["TYPE"]),
            rows_loaded: row.number(&["SINK_ROWS", "NumRowsNormal"]),
            rows_filtered: row.number(&["FILTERED_ROWS", "NumRowsAbNormal"]),
            rows_unselected: row.number(&["UNSELECTED_ROWS", "NumRowsUnselected"]),
            created: row.text(&["CREATE_TIME", "CreateTimeMs"]),
            finished: row.text(&["LOAD_FINISH_TIME", "EndTimeMs", "FinishTimeMs"]),
            error: row.text(&["ERROR_MSG", "ErrorMsg"]),
        }
    }

    /// What grows with newer loads. Times are written so that their text sorts, to the second; a longer number is greater.
    fn age(&self) -> (Option<&str>, Option<(usize, &str)>) {
        (self.created.as_deref(), self.id.as_deref().map(|id| (id.len(), id)))
    }

    fn fits(&self, filter: &LoadFilter, table: Option<&str>) -> bool {
        let streams = self.kind.as_ref().is_none_or(|kind| kind.to_ascii_uppercase().contains("STREAM"));
        let is = |wanted: Option<&str>, got: &Option<String>| {
            wanted.is_none_or(|wanted| got.as_ref().is_none_or(|got| got == wanted))
        };
        let state = filter
            .state
            .as_ref()
            .is_none_or(|wanted| self.state.as_ref().is_some_and(|state| state.eq_ignore_ascii_case(wanted)));
        streams && state && is(filter.label.as_ref().map(Label::as_str), &self.label) && is(table, &self.table)
    }
}

impl Cluster<'_> {
    /// The newest stream loads of the target's database; of its table, where it names one.
    ///
    /// # Errors
    /// When the target names no database, and when neither way leads to a list.
    pub async fn loads(&self, filter: &LoadFilter) -> Result<Vec<Load>, Error> {
        let database = self.database()?;
        let listed = self.listed_loads(database, filter).await;
        match listed {
            Ok(loads) if !loads.is_empty() => return Ok(loads),
            Err(error @ (Error::Unreachable { .. } | Error::RedirectRefused { .. })) => return Err(error),
            _ => {}
        }
        let mut shown = Err(None);
        for statement in STATEMENTS {
            let query = format!("{statement} {}", quote(database));
            match self.target.sql_within(&query, Some(database), ANSWER_BYTES_MAX).await {
                Ok(result) => {
                    shown = Ok(named_rows(result));
                    break;
                }
                Err(error) => shown = Err(Some(error)),
            }
        }
        match (listed, shown) {
            (_, Ok(rows)) => Ok(self.newest(&rows, filter)),
            (Ok(nothing), Err(_)) => Ok(nothing),
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// Asks the table; once more for each column that it turns out not to have.
    async fn listed_loads(&self, database: &str, filter: &LoadFilter) -> Result<Vec<Load>, Error> {
        let mut columns = COLUMNS.to_vec();
        loop {
            let query = query(&columns, database, self.target.options.url.table.as_deref(), filter);
            match self.target.sql_within(&query, Some(database), ANSWER_BYTES_MAX).await {
                Ok(result) => return Ok(self.newest(&named_rows(result), filter)),
                Err(Error::QueryFailed { message }) => match unknown_column(&message, &columns) {
                    Some(index) if columns.len() > 1 => {
                        columns.remove(index);
                    }
                    _ => return Err(Error::QueryFailed { message }),
                },
                Err(error) => return Err(error),
            }
        }
    }

    fn newest(self, rows: &[Row], filter: &LoadFilter) -> Vec<Load> {
        let table = self.target.options.url.table.as_deref();
        let mut loads: Vec<Load> = rows.iter().map(Load::read).filter(|load| load.fits(filter, table)).collect();
        loads.sort_by(|one, other| other.age().cmp(&one.age()));
        loads.truncate(filter.limit);
        loads
    }
}

/// The query over those columns that there are: what needs one that is missing is left to [`Load::fits`].
fn query(columns: &[&str], database: &str, table: Option<&str>, filter: &LoadFilter) -> String {
    let has = |name: &str| columns.contains(&name);
    let mut conditions = vec![format!("DB_NAME = {}", literal(database))];
    let equal = |name: &str, value: &str| format!("{name} = {}", literal(value));
    if let Some(table) = table.filter(|_| has("TABLE_NAME")) {
        conditions.push(equal("TABLE_NAME", table));
    }
    if let Some(label) = &filter.label {
        conditions.push(equal("LABEL", label.as_str()));
    }
    if let Some(state) = filter.state.as_ref().filter(|_| has("STATE")) {
        conditions.push(equal("STATE", &state.to_ascii_uppercase()));
    }
    if has("TYPE") {
        conditions.push("TYPE LIKE '%STREAM%'".to_owned());
    }
    // The number tells loads of one second apart, of which the limit would drop any.
    let newest: Vec<String> =
        ["CREATE_TIME", "ID"].into_iter().filter(|name| has(name)).map(|name| format!("{name} DESC")).collect();
    let order = if newest.is_empty() { String::new() } else { format!(" ORDER BY {}", newest.join(", ")) };
    format!(
        "SELECT {} FROM information_schema.loads WHERE {}{order} LIMIT {}",
        columns.join(", "),
        conditions.join(" AND "),
        filter.limit
    )
}

/// Text as SQL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The column that a message says there is not.
fn unknown_column(message: &str, columns: &[&str]) -> Option<usize> {
    let lower = message.to_ascii_lowercase();
    if !lower.contains("cannot be resolved") && !lower.contains("unknown column") {
        return None;
    }
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    // `TYPE` and `STATE` are words of prose as well; a longer name says more.
    let named = columns.iter().enumerate().filter(|(_, name)| words.contains(&name.to_ascii_lowercase().as_str()));
    named.max_by_key(|(_, name)| name.len()).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_what_is_wanted_and_takes_no_quote_for_its_end() {
        let filter = LoadFilter { label: Some("a-1".parse().unwrap()), state: Some("finished".into()), limit: 5 };
        let all = query(&COLUMNS, "it's", Some("t\\"), &filter);
        assert!(
            all.contains("WHERE DB_NAME = 'it''s' AND TABLE_NAME = 't\\\\' AND LABEL = 'a-1' AND STATE = 'FINISHED'")
        );
        assert!(all.ends_with("AND TYPE LIKE '%STREAM%' ORDER BY CREATE_TIME DESC, ID DESC LIMIT 5"), "{all}");
        let few = query(&["LABEL"], "db", Some("t"), &filter);
        assert_eq!(few, "SELECT LABEL FROM information_schema.loads WHERE DB_NAME = 'db' AND LABEL = 'a-1' LIMIT 5");
    }

    #[test]
    fn a_column_that_is_missing_is_known_by_the_servers_words() {
        let name = |message: &str| unknown_column(message, &COLUMNS).map(|index| COLUMNS[index]);
        assert_eq!(name("Getting analyzing error. Detail message: Column 'TYPE' cannot be resolved."), Some("TYPE"));
        assert_eq!(name("Column '`information_schema`.`loads`.`sink_rows`' cannot be resolved"), Some("SINK_ROWS"));
        assert_eq!(name("Unknown column 'ERROR_MSG' in state x"), Some("ERROR_MSG"));
        assert_eq!(name("Column 'DB_NAME' cannot be resolved"), None);
        assert_eq!(name("Unknown table 'information_schema.loads'"), None);
    }
}
