//! The HTTP SQL API: one statement in, JSON out.
//!
//! The rows of a SELECT are lines of JSON between a line with the columns and a line with statistics; the last of them is
//! the only proof that nothing is missing. SHOW and DESC answer with one object.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::conversation::{Client, Conversation};
use super::overview::Overview;
use super::sessions::Running;
use super::sql::{Answer, BoundQuery, Error, Session, Table, is_single, leading_keyword};
use super::store::Store;
use super::{cell, function, select};

/// An answer for the HTTP side to send.
#[derive(Debug)]
pub(super) struct SqlReply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body follows in pieces.
    pub more: bool,
}

/// A step of an answer.
pub(super) enum Part {
    /// The first, always.
    Begin(SqlReply),
    /// A piece of the body.
    More(Vec<u8>),
    /// Too late for another status: the answer breaks off.
    Broken(String),
}

/// How large a piece of an answer is; a shorter answer goes out as a whole.
const PIECE_BYTES: usize = 64 * 1024;

/// The statements that the API takes.
const ALLOWED: [&str; 7] = ["SELECT", "WITH", "SHOW", "EXPLAIN", "DESC", "DESCRIBE", "KILL"];
/// The first words of StarRocks' other statements.
const REFUSED: [&str; 33] = [
    "ADMIN",
    "ALTER",
    "ANALYZE",
    "BACKUP",
    "BEGIN",
    "CALL",
    "CANCEL",
    "COMMIT",
    "CREATE",
    "DEALLOCATE",
    "DELETE",
    "DROP",
    "EXECUTE",
    "EXPORT",
    "GRANT",
    "INSERT",
    "LOAD",
    "PAUSE",
    "PREPARE",
    "RECOVER",
    "REFRESH",
    "RESTORE",
    "RESUME",
    "REVOKE",
    "ROLLBACK",
    "SET",
    "START",
    "STOP",
    "SUBMIT",
    "SYNC",
    "TRUNCATE",
    "UPDATE",
    "USE",
];

/// Runs the statement of a request and hands out its answer, until `send` takes no more of it. Tells whether it went well,
/// if there was a statement to run.
pub(super) fn respond(
    store: &Store,
    overview: Arc<dyn Overview>,
    conversation: Arc<Conversation>,
    client: &Client,
    database: Option<&str>,
    body: &[u8],
    mut send: impl FnMut(Part) -> bool,
) -> Option<bool> {
    let answered = run(store, overview, &conversation, client, database, body);
    // What is known of the sandbox is not kept while rows are read: one that stops does not wait for a long query, and a
    // client that goes gives up its seat, which ends the query.
    drop(conversation);
    match answered {
        Ok(Answered::Whole(reply)) => {
            send(Part::Begin(reply));
            Some(true)
        }
        Ok(Answered::Rows(select)) => Some(select.run(store, &mut send)),
        Err((status, message)) => {
            send(Part::Begin(failed(status, &message)));
            (status == 500).then_some(false)
        }
    }
}

enum Answered {
    Whole(SqlReply),
    Rows(Select),
}

type Refusal = (u16, String);

fn run(
    store: &Store,
    overview: Arc<dyn Overview>,
    conversation: &Conversation,
    client: &Client,
    database: Option<&str>,
    body: &[u8],
) -> Result<Answered, Refusal> {
    let request: Json = serde_json::from_slice(body).map_err(|fault| (400, format!("malformed json [{fault}]")))?;
    let query = request.get("query").and_then(Json::as_str).map(str::trim).unwrap_or_default();
    if query.is_empty() {
        return Err((400, "\"query can not be empty\"".to_owned()));
    }
    let raw = request.get("onlyOutputResultRaw").and_then(Json::as_bool).unwrap_or(false);
    check_statement(query)?;
    let (answer, running, connection_id) = conversation.speak(store, overview, client, |session, seat| {
        session.database = None;
        if let Some(database) = database {
            let refused = |error: Error| (403, format!("set catalog or db failed: {error}"));
            session.select_database(store, database).map_err(refused)?;
        }
        set_variables(store, session, request.get("sessionVariables"))?;
        seat.identify(&session.user, session.database.as_deref().unwrap_or_default());
        let running = seat.begin(query, session.query_timeout());
        session.running = Some(Arc::clone(&running));
        let answer = session.execute(store, query);
        session.running = None;
        Ok((answer.map_err(execution)?, running, session.connection_id))
    })?;
    Ok(match answer {
        Answer::Query(query) => Answered::Rows(Select { query, connection_id, raw, running }),
        Answer::Table(table) => Answered::Whole(reply(object(table).to_string().into_bytes())),
        Answer::Explanation(text) => Answered::Whole(reply(json!({ "explain": text }).to_string().into_bytes())),
        Answer::Done { .. } => Answered::Whole(reply(Vec::new())),
    })
}

/// Refuses what is no statement (500, as everything that the parser refuses), several, and one of another kind (400).
fn check_statement(query: &str) -> Result<(), Refusal> {
    if !is_single(query).map_err(execution)? {
        return Err((400, "/api/v1/catalogs/{catalog}/sql only support execute one statement".to_owned()));
    }
    let keyword = leading_keyword(query).map_err(execution)?;
    if ALLOWED.contains(&keyword.as_str()) || query.starts_with('(') {
        Ok(())
    } else if REFUSED.contains(&keyword.as_str()) {
        Err((400, "http query only support SELECT, SHOW, EXPLAIN, DESC, KILL statement".to_owned()))
    } else {
        let found = query.split_whitespace().next().unwrap_or_default();
        Err((500, format!("Getting syntax error. Detail message: Unexpected input '{found}'.")))
    }
}

fn execution(error: Error) -> Refusal {
    (500, error.message)
}

fn set_variables(store: &Store, session: &mut Session, variables: Option<&Json>) -> Result<(), Refusal> {
    for (name, value) in variables.and_then(Json::as_object).into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let statement =
            format!("SET `{}` = '{}'", name.replace('`', ""), value.replace('\\', "\\\\").replace('\'', "''"));
        session.execute(store, &statement).map_err(|error| (400, error.message))?;
    }
    Ok(())
}

/// A SELECT whose rows are to be read.
struct Select {
    query: BoundQuery,
    connection_id: u32,
    /// Whether only columns and rows are wanted.
    raw: bool,
    running: Arc<Running>,
}

impl Select {
    /// Hands out the rows, in pieces however few they are; whether it came to the end.
    fn run(&self, store: &Store, send: &mut impl FnMut(Part) -> bool) -> bool {
        let mut out = Vec::new();
        let mut begun = false;
        if !self.raw {
            line(&mut out, &json!({ "connectionId": self.connection_id }));
        }
        line(&mut out, &json!({ "meta": meta(&self.query.columns) }));
        // The status waits for the first piece, so that a statement that fails at once has one of its own.
        let piece = |begun: &mut bool, bytes: Vec<u8>, send: &mut dyn FnMut(Part) -> bool| {
            let first = !std::mem::replace(begun, true);
            (!first || send(Part::Begin(SqlReply { more: true, ..reply(Vec::new()) }))) && send(Part::More(bytes))
        };
        let read = select::for_each_row(store, &self.query, Some(&self.running), |row| {
            let cells: Vec<Json> =
                row.iter().zip(&self.query.columns).map(|(value, (_, ty))| cell::json(*value, ty)).collect();
            line(&mut out, &json!({ "data": cells }));
            out.len() < PIECE_BYTES || piece(&mut begun, std::mem::take(&mut out), send)
        });
        match read {
            Ok(rows) => {
                if !self.raw {
                    line(&mut out, &json!({ "statistics": statistics(rows) }));
                }
                piece(&mut begun, out, send);
                true
            }
            Err(error) => {
                send(if begun { Part::Broken(error.message) } else { Part::Begin(failed(500, &error.message)) });
                false
            }
        }
    }
}

fn line(out: &mut Vec<u8>, json: &Json) {
    out.extend(json.to_string().into_bytes());
    out.push(b'\n');
}

fn meta(columns: &[(String, super::types::SqlType)]) -> Json {
    columns.iter().map(|(name, ty)| json!({ "name": name, "type": ty.to_string() })).collect()
}

/// The sandbox counts rows that it returns, and none that it scans.
fn statistics(rows: u64) -> Json {
    json!({ "scanRows": 0, "scanBytes": 0, "returnRows": rows })
}

/// A SHOW as one object: its rows are objects by column name, their values strings.
fn object(table: Table) -> Json {
    let returned = table.rows.len() as u64;
    let row = |row: Vec<Option<String>>| -> Json {
        let names = table.columns.iter().map(|(name, _)| name.clone());
        let cells = row.into_iter().map(|cell| cell.map_or(Json::Null, Json::String));
        Json::Object(names.zip(cells).collect::<Map<_, _>>())
    };
    let data: Vec<Json> = table.rows.into_iter().map(row).collect();
    json!({ "meta": meta(&table.columns), "data": data, "statistics": statistics(returned) })
}

fn reply(body: Vec<u8>) -> SqlReply {
    let id = ("X-StarRocks-Query-Id".to_owned(), function::uuid_text());
    SqlReply { status: 200, content_type: "application/x-ndjson; charset=utf-8", headers: vec![id], body, more: false }
}

fn failed(status: u16, message: &str) -> SqlReply {
    let body = json!({ "status": "FAILED", "code": "1", "msg": message, "message": message });
    SqlReply {
        status,
        content_type: "application/json; charset=utf-8",
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        more: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::overview::fake::Fake;

    fn client() -> Client {
        Client { user: "root".to_owned(), host: "127.0.0.1:1".to_owned() }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let mut session = Session::new("root", 1, Fake::idle());
        for sql in [
            "CREATE DATABASE d",
            "CREATE TABLE d.t (a INT, b DECIMAL(10,2), c VARCHAR(9), e BOOLEAN, f ARRAY<INT>)",
            "INSERT INTO d.t VALUES (1, 1.50, 'x', true, [1,2]), (2, NULL, NULL, false, NULL)",
        ] {
            session.execute(&store, sql).expect(sql);
        }
        (dir, store)
    }

    fn ask(store: &Store, database: Option<&str>, body: &str) -> (u16, String) {
        let (mut status, mut text) = (0, Vec::new());
        let conversation = Arc::new(Conversation::default());
        respond(store, Fake::idle(), Arc::clone(&conversation), &client(), database, body.as_bytes(), |part| {
            match part {
                Part::Begin(reply) => (status, text) = (reply.status, reply.body),
                Part::More(bytes) => text.extend(bytes),
                Part::Broken(message) => panic!("{message}"),
            }
            true
        });
        (status, String::from_utf8(text).expect("answers are UTF-8"))
    }

    #[test]
    fn a_select_is_lines_from_connection_to_statistics() {
        let (_dir, store) = store();
        let (status, body) = ask(&store, Some("d"), r#"{"query": "SELECT a, b, c, e, f FROM t ORDER BY a;"}"#);
        let lines: Vec<&str> = body.lines().collect();
        assert_eq!(status, 200);
        assert!(lines[0].starts_with(r#"{"connectionId":"#));
        assert!(lines[1].starts_with(r#"{"meta":[{"name":"a","type":"int"},{"name":"b","type":"decimal(10,2)"}"#));
        assert_eq!(lines[2], r#"{"data":[1,"1.50","x",true,[1,2]]}"#);
        assert_eq!(lines[3], r#"{"data":[2,null,null,false,null]}"#);
        assert_eq!(lines[4], r#"{"statistics":{"scanRows":0,"scanBytes":0,"returnRows":2}}"#);
        let raw =
            r#"{"query": "SELECT @@sql_mode", "sessionVariables": {"sql_mode": "it's"}, "onlyOutputResultRaw": true}"#;
        let (_, body) = ask(&store, None, raw);
        assert_eq!(body.lines().nth(1), Some(r#"{"data":["it's"]}"#), "{body}");
        assert_eq!(body.lines().count(), 2);
    }

    #[test]
    fn a_long_answer_comes_in_pieces_and_stops_when_nobody_takes_them() {
        let (_dir, store) = store();
        let mut session = Session::new("root", 1, Fake::idle());
        let wide = format!("INSERT INTO d.t (c) SELECT '{}' FROM d.t a, d.t b", "x".repeat(9));
        for _ in 0..3 {
            session.execute(&store, &wide).expect("it inserts");
        }
        let body = br#"{"query": "SELECT a.c FROM d.t a, d.t b"}"#;
        let collect = |pieces_max: usize| {
            let (mut text, mut pieces) = (Vec::new(), 0);
            let conversation = Arc::new(Conversation::default());
            respond(&store, Fake::idle(), Arc::clone(&conversation), &client(), None, body, |part| {
                match part {
                    Part::Begin(reply) => assert!(reply.more && reply.body.is_empty()),
                    Part::More(bytes) => {
                        pieces += 1;
                        text.extend(bytes);
                    }
                    Part::Broken(message) => panic!("{message}"),
                }
                pieces < pieces_max
            });
            (String::from_utf8(text).expect("answers are UTF-8"), pieces)
        };
        let (text, pieces) = collect(usize::MAX);
        let rows = text.lines().filter(|line| line.starts_with(r#"{"data":"#)).count();
        let last = json!({ "statistics": { "scanRows": 0, "scanBytes": 0, "returnRows": rows } }).to_string();
        assert_eq!(text.lines().last(), Some(last.as_str()));
        assert!(pieces > 2 && text.len() > 2 * PIECE_BYTES, "{pieces} pieces of {} bytes", text.len());
        assert!(collect(1).1 <= 2, "the table is not read for a client that has gone away");
    }

    #[test]
    fn variables_stay_with_the_connection_and_its_end_stops_the_query() {
        let (_dir, store) = store();
        let conversation = Arc::new(Conversation::default());
        let say = |conversation: Arc<Conversation>, body: &str| {
            let mut text = Vec::new();
            let went_well = respond(&store, Fake::idle(), conversation, &client(), None, body.as_bytes(), |part| {
                match part {
                    Part::Begin(reply) => text.extend(reply.body),
                    Part::More(bytes) => text.extend(bytes),
                    Part::Broken(message) => text.extend(message.into_bytes()),
                }
                true
            });
            (went_well, String::from_utf8(text).expect("answers are UTF-8"))
        };
        let set = r#"{"query": "SELECT connection_id()", "sessionVariables": {"sql_mode": "mine"}}"#;
        let (_, first) = say(Arc::clone(&conversation), set);
        let (went_well, second) = say(
            Arc::clone(&conversation),
            r#"{"query": "SELECT connection_id() FROM d.t WHERE @@sql_mode = 'mine' LIMIT 1"}"#,
        );
        assert_eq!(went_well, Some(true));
        assert_eq!(first.lines().nth(2), second.lines().nth(2), "{second}");
        assert_eq!(say(Arc::clone(&conversation), r#"{"query": "DROP TABLE d.t"}"#).0, None, "nothing was run");
        assert_eq!(say(Arc::clone(&conversation), r#"{"query": "SELECT nope"}"#).0, Some(false));
        // Nobody but the request knows of this one any more: its connection has ended meanwhile.
        let (went_well, text) = say(conversation, r#"{"query": "SELECT count(*) FROM d.t"}"#);
        assert!(went_well == Some(false) && text.contains("interrupted"), "{text}");
    }

    #[test]
    fn show_is_one_object() {
        let (_dir, store) = store();
        let (status, body) = ask(&store, Some("d"), r#"{"query": "SHOW TABLES"}"#);
        assert_eq!(status, 200);
        let expected = r#"{"meta":[{"name":"Tables_in_d","type":"varchar(65533)"}],"data":[{"Tables_in_d":"t"}],"statistics":{"scanRows":0,"scanBytes":0,"returnRows":1}}"#;
        assert_eq!(body, expected);
        assert!(ask(&store, None, r#"{"query": "EXPLAIN SELECT 1"}"#).1.starts_with(r#"{"explain":"PLAN FRAGMENT 0"#));
        assert_eq!(ask(&store, None, r#"{"query": "KILL 7777"}"#).0, 500, "there is no such session");
        let other = store.sessions().open(7777, "root", "127.0.0.1:2");
        assert_eq!(ask(&store, None, r#"{"query": "KILL 7777"}"#), (200, String::new()));
        drop(other);
    }

    #[test]
    fn what_the_api_does_not_take_is_refused() {
        let (_dir, store) = store();
        for (database, body, status, words) in [
            (None, "{", 400, "malformed json"),
            (None, "{}", 400, "query can not be empty"),
            (None, r#"{"query": " "}"#, 400, "query can not be empty"),
            (None, r#"{"query": "SELECT 1; SELECT 2"}"#, 400, "only support execute one statement"),
            (None, r#"{"query": "INSERT INTO d.t VALUES (1)"}"#, 400, "only support SELECT"),
            (None, r#"{"query": "CREATE DATABASE e"}"#, 400, "only support SELECT"),
            (None, r#"{"query": "SELEC 1"}"#, 500, "Unexpected input 'SELEC'"),
            (None, r#"{"query": "1"}"#, 500, "Unexpected input '1'"),
            (Some("nope"), r#"{"query": "SELECT 1"}"#, 403, "set catalog or db failed"),
            (None, r#"{"query": "SELECT FROM"}"#, 500, "syntax error"),
            (None, r#"{"query": "SELECT x FROM d.t"}"#, 500, "cannot be resolved"),
        ] {
            let (answered, text) = ask(&store, database, body);
            let json: Json = serde_json::from_str(&text).expect("refusals are JSON");
            assert_eq!((answered, &json["status"]), (status, &Json::from("FAILED")), "{body}: {text}");
            assert!(text.contains(words), "{body}: {text}");
        }
    }
}
