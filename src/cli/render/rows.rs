//! Query results as a table, as JSON lines, as CSV.

use std::fmt::Write;

use console::measure_text_width;
use serde_json::{Map, Value};

use crate::config::QueryResult;

/// The widest cell of a table shown to people, in characters.
const CELL_CHARS_MAX: usize = 80;

/// A table with a line under the header; numbers stand right, NULL is shown as such, and long cells are cut.
pub(in crate::cli) fn table(result: &QueryResult) -> String {
    let mut lines: Vec<Vec<String>> = vec![result.columns.iter().map(|(name, _)| one_line(name)).collect()];
    lines.extend(result.rows.iter().map(|row| row.iter().map(cell).collect()));
    let columns = result.columns.len();
    let width = |column: usize| lines.iter().map(|line| measure_text_width(&line[column])).max().unwrap_or(0);
    let layout: Vec<Layout> =
        (0..columns).map(|column| Layout { width: width(column), right: is_numeric(result, column) }).collect();
    let rule: Vec<String> = layout.iter().map(|column| "-".repeat(column.width)).collect();
    lines.insert(1, rule);
    lines.iter().map(|line| shown_line(line, &layout)).collect()
}

/// How a column is laid out.
struct Layout {
    width: usize,
    right: bool,
}

/// Numbers too exact for JSON come as text; the column's type tells them.
fn is_numeric(result: &QueryResult, column: usize) -> bool {
    let ty = result.columns[column].1.to_ascii_lowercase();
    let exact = ["decimal", "largeint"].iter().any(|name| ty.starts_with(name));
    let mut values = result.rows.iter().map(|row| &row[column]).filter(|value| !value.is_null()).peekable();
    values.peek().is_some() && values.all(|value| value.is_number() || exact)
}

fn shown_line(cells: &[String], layout: &[Layout]) -> String {
    let mut line = String::new();
    for (cell, Layout { width, right }) in cells.iter().zip(layout) {
        let padding = " ".repeat(width - measure_text_width(cell));
        let _ = if *right { write!(line, "{padding}{cell}  ") } else { write!(line, "{cell}{padding}  ") };
    }
    format!("{}\n", line.trim_end())
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return "NULL".to_owned(),
        value => plain(value),
    };
    let text = one_line(&text);
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One JSON object per row. A name that comes twice is numbered, so that no value is lost.
pub(in crate::cli) fn json(result: &QueryResult) -> String {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in &result.columns {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !names.contains(name));
        names.extend(free);
    }
    let object = |row: &Vec<Value>| {
        let pairs = names.iter().zip(row).map(|(name, value)| (name.clone(), value.clone()));
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
        let columns = [("n", "int"), ("d", "decimal(9,2)"), ("text", "varchar")];
        let columns = columns.map(|(name, ty)| (name.to_owned(), ty.to_owned())).to_vec();
        let rows = vec![vec![json!(7), json!("1.50"), json!("大阪")], vec![json!(null), json!("-12.25"), json!("b")]];
        let expected = "   n       d  text\n----  ------  ----\n   7    1.50  大阪\nNULL  -12.25  b\n";
        assert_eq!(table(&QueryResult { columns, rows }), expected);
    }

    #[test]
    fn a_name_that_comes_twice_loses_no_value() {
        let columns = ["a", "a", "a_2"].map(|name| (name.to_owned(), "int".to_owned())).to_vec();
        let result = QueryResult { columns, rows: vec![vec![json!(1), json!(2), json!(3)]] };
        assert_eq!(json(&result), "{\"a\":1,\"a_2\":2,\"a_2_2\":3}");
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
