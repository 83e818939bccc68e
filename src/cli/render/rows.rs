//! Query results as a table, as JSON lines, as CSV.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::config::QueryResult;

/// The widest cell of a table shown to people, in characters.
const CELL_CHARS_MAX: usize = 80;

/// A table with a line under the header; NULL is shown as such, and long cells are cut.
pub(in crate::cli) fn table(result: &QueryResult) -> String {
    let mut lines = vec![result.columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()];
    lines.extend(result.rows.iter().map(|row| row.iter().map(cell).collect()));
    let columns = result.columns.len();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        write_line(&mut text, line, &widths);
        if index == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            write_line(&mut text, &rule, &widths);
        }
    }
    text
}

fn write_line(text: &mut String, cells: &[String], widths: &[usize]) {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let padding = width - cell.chars().count();
        let _ = write!(line, "{cell}{}  ", " ".repeat(padding));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return "NULL".to_owned(),
        value => plain(value),
    };
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One JSON object per row.
pub(in crate::cli) fn json(result: &QueryResult) -> String {
    let object = |row: &Vec<Value>| {
        let pairs = result.columns.iter().zip(row).map(|((name, _), value)| (name.clone(), value.clone()));
        Value::Object(pairs.collect::<Map<_, _>>()).to_string()
    };
    result.rows.iter().map(object).collect::<Vec<_>>().join("\n")
}

/// CSV with a header. NULL is an empty field, the empty string a quoted one.
pub(in crate::cli) fn csv(result: &QueryResult) -> String {
    let header: Vec<String> = result.columns.iter().map(|(name, _)| quoted(name)).collect();
    let mut text = header.join(",");
    for row in &result.rows {
        let cells: Vec<String> = row
            .iter()
            .map(|value| match value {
                Value::Null => String::new(),
                value => quoted(&plain(value)),
            })
            .collect();
        text.push('\n');
        text.push_str(&cells.join(","));
    }
    text
}

fn quoted(text: &str) -> String {
    let special = text.is_empty() || text.contains([',', '"', '\n', '\r']);
    if special { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result() -> QueryResult {
        let columns = vec![("state".to_owned(), "VARCHAR".to_owned()), ("n".to_owned(), "BIGINT".to_owned())];
        QueryResult { columns, rows: vec![vec![json!("AK"), json!(263)], vec![json!(null), json!("a,\"b\"")]] }
    }

    #[test]
    fn a_table_lines_up() {
        assert_eq!(table(&result()), "state  n\n-----  -----\nAK     263\nNULL   a,\"b\"\n");
    }

    #[test]
    fn csv_tells_null_from_empty_and_quotes_what_needs_it() {
        assert_eq!(csv(&result()), "state,n\nAK,263\n,\"a,\"\"b\"\"\"");
    }

    #[test]
    fn json_has_one_object_per_row() {
        assert_eq!(json(&result()), "{\"state\":\"AK\",\"n\":263}\n{\"state\":null,\"n\":\"a,\\\"b\\\"\"}");
    }
}
