//! The HTTP SQL API (SR §8): one statement, and its rows.
//!
//! A result is complete only where its statistics say so: the server reports an error in mid-result by closing the
//! connection under a status of 200, and half a result looks like a whole one.

use hyper::StatusCode;
use serde_json::{Map, Value};

use super::http::Answer;
use super::reply;
use super::{Error, Overload};

/// The rows of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryResult {
    /// Each column's name and type, as the server names them.
    pub columns: Vec<(String, String)>,
    /// The rows, each with one value per column.
    pub rows: Vec<Vec<Value>>,
}

impl QueryResult {
    /// The index of a column, whatever the case of its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| column.eq_ignore_ascii_case(name))
    }
}

/// Makes a result of an answer.
pub(super) fn result(query: &str, answer: &Answer, address: &str) -> Result<QueryResult, Error> {
    if answer.status != StatusCode::OK {
        return Err(refusal(answer, address));
    }
    // KILL has nothing to say. An empty answer to anything else is a result that was cut off.
    if answer.body.iter().all(u8::is_ascii_whitespace) && is_kill(query) {
        return Ok(QueryResult::default());
    }
    let unreadable = || Error::AnswerUnreadable {
        address: address.to_owned(),
        excerpt: reply::excerpt(answer.status, &answer.body),
        sent: false,
    };
    let mut reading = Reading::default();
    for value in serde_json::Deserializer::from_slice(&answer.body).into_iter::<Value>() {
        match value {
            Ok(Value::Object(members)) => reading.take(&members)?,
            Ok(_) => return Err(unreadable()),
            // Text that is cut off in the middle of a line, or no JSON at all.
            Err(error) if error.is_eof() => break,
            Err(_) if reading.result.columns.is_empty() => return Err(unreadable()),
            Err(error) => return Err(failed(format!("line {} of the result is damaged", error.line()))),
        }
    }
    if reading.complete {
        Ok(reading.result)
    } else {
        let rows = reading.result.rows.len();
        Err(failed(format!("the result broke off after {rows} rows: {address} did not say that it is complete")))
    }
}

fn is_kill(query: &str) -> bool {
    query.trim_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case("kill"))
}

fn failed(message: String) -> Error {
    Error::QueryFailed { message }
}

fn refusal(answer: &Answer, address: &str) -> Error {
    let message = reply::words(answer.status, &answer.body);
    match answer.status.as_u16() {
        401 => Error::AccessDenied { address: address.to_owned(), message },
        // The limit of connections, or a follower that cannot serve just now.
        429 | 503 => {
            let address = address.to_owned();
            Error::Busy { address, overload: Overload::Requests, after: None, message }
        }
        404 => failed(format!("{address} has no SQL over HTTP: a backend's port, or a server before 3.2 ({message})")),
        _ => failed(message),
    }
}

#[derive(Default)]
struct Reading {
    result: QueryResult,
    complete: bool,
}

impl Reading {
    /// Takes one object: a line of a SELECT, or the whole answer of a SHOW.
    fn take(&mut self, members: &Map<String, Value>) -> Result<(), Error> {
        if members.get("status").and_then(Value::as_str).is_some_and(|status| !status.eq_ignore_ascii_case("OK")) {
            let message = ["msg", "message", "exception"].into_iter().find_map(|key| members.get(key)?.as_str());
            return Err(failed(message.unwrap_or("the server does not say why").to_owned()));
        }
        if let Some(text) = members.get("explain").and_then(Value::as_str) {
            self.result.columns = vec![("Explain".to_owned(), "varchar".to_owned())];
            self.result.rows = text.lines().map(|line| vec![Value::String(line.to_owned())]).collect();
            self.complete = true;
        }
        if let Some(Value::Array(meta)) = members.get("meta") {
            self.result.columns = meta.iter().map(column).collect();
        }
        if let Some(Value::Array(data)) = members.get("data") {
            if members.contains_key("meta") {
                for row in data {
                    let row = self.shown_row(row)?;
                    self.result.rows.push(row);
                }
            } else {
                self.check_width(data.len())?;
                self.result.rows.push(data.clone());
            }
        }
        self.complete |= members.contains_key("statistics");
        Ok(())
    }

    fn shown_row(&self, row: &Value) -> Result<Vec<Value>, Error> {
        match row {
            Value::Object(cells) => {
                let cell = |(name, _): &(String, String)| cells.get(name).cloned().unwrap_or(Value::Null);
                Ok(self.result.columns.iter().map(cell).collect())
            }
            Value::Array(cells) => {
                self.check_width(cells.len())?;
                Ok(cells.clone())
            }
            _ => Err(failed("a row of the result is neither an object nor an array".to_owned())),
        }
    }

    fn check_width(&self, cells: usize) -> Result<(), Error> {
        let columns = self.result.columns.len();
        if cells == columns {
            return Ok(());
        }
        Err(failed(format!("a row of the result has {cells} values for {columns} columns")))
    }
}

fn column(meta: &Value) -> (String, String) {
    let member = |name: &str| meta.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (member("name"), member("type"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::HeaderMap;
    use serde_json::json;

    use super::*;

    fn read(query: &str, status: u16, body: &'static str) -> Result<QueryResult, Error> {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
            sent: true,
        };
        result(query, &answer, "fe:8030")
    }

    const SELECTED: &str = "{\"connectionId\":7}\n{\"meta\":[{\"name\":\"a\",\"type\":\"int(11)\"},{\"name\":\"b\",\
        \"type\":\"decimal\"}]}\n{\"data\":[1,\"2.50\"]}\n{\"data\":[null,2.5]}\n";

    #[test]
    fn a_select_comes_line_by_line_and_ends_with_its_statistics() {
        let body = format!("{SELECTED}{{\"statistics\":{{\"scanRows\":2,\"returnRows\":2}}}}\n");
        let result = read("SELECT 1", 200, body.leak()).unwrap();
        assert_eq!(result.columns, [("a".into(), "int(11)".into()), ("b".into(), "decimal".into())]);
        assert_eq!(result.rows[0], [json!(1), json!("2.50")]);
        assert_eq!(result.rows[1][1].to_string(), "2.5");
        assert_eq!(result.column("B"), Some(1));
    }

    #[test]
    fn a_result_without_its_statistics_is_no_result() {
        for (body, rows) in [(SELECTED, 2), ("", 0), ("{\"connectionId\":7}\n{\"meta\":[]}\n{\"da", 0)] {
            let error = read("SELECT 1", 200, body).unwrap_err().to_string();
            assert!(error.contains(&format!("after {rows} rows")), "{error}");
        }
    }

    #[test]
    fn a_show_is_one_object_with_rows_keyed_by_name() {
        let body = r#"{"meta":[{"name":"Field","type":"varchar"},{"name":"Null","type":"varchar"}],
            "data":[{"Null":"YES","Field":"a"},{"Field":"b"}],"statistics":{"scanRows":0}}"#;
        let result = read("SHOW x", 200, body).unwrap();
        assert_eq!(result.rows, [vec![json!("a"), json!("YES")], vec![json!("b"), Value::Null]]);
    }

    #[test]
    fn explain_and_kill_end_by_themselves() {
        let explained = read("EXPLAIN x", 200, r#"{"explain":"PLAN\n  SCAN"}"#).unwrap();
        assert_eq!(explained.rows, [[json!("PLAN")], [json!("  SCAN")]]);
        assert_eq!(read(" kill 7", 200, "").unwrap(), QueryResult::default());
    }

    #[test]
    fn refusals_are_told_apart() {
        for (status, body, wanted) in [
            (400, r#"{"status":"FAILED","msg":"/api/v1 only supports one statement"}"#, "L2013"),
            (500, r#"{"status":"FAILED","msg":"Getting syntax error"}"#, "L2013"),
            (403, r#"{"status":"FAILED","msg":"set catalog or db failed"}"#, "L2013"),
            (401, r#"{"status":"FAILED","msg":"Access denied for u@h"}"#, "L2002"),
            (503, r#"{"status":"FAILED","msg":"too many connections"}"#, "L2008"),
            (404, "Not Found", "L2013"),
            (200, r#"{"status":"FAILED","msg":"no"}"#, "L2013"),
            (200, "<html>login</html>", "L2007"),
            (200, "[1]", "L2007"),
            (200, "{\"meta\":[{\"name\":\"a\",\"type\":\"int\"}]}\n{\"data\":[1,2]}\n{\"statistics\":{}}", "L2013"),
        ] {
            let error = read("SELECT 1", status, body).unwrap_err();
            assert_eq!(crate::failure::Failure::code(&error).as_str(), wanted, "{status} {body}: {error}");
        }
    }
}
