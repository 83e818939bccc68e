//! Staging against direct loading, and both against a model.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::sandbox::ingest::ingest;
use crate::sandbox::overview::fake::Fake;
use crate::sandbox::sql::Session;
use crate::sandbox::store::Store;
use crate::sandbox::wire::Limits;

/// A store with a database `d` and a table `t` in it.
struct World {
    dir: TempDir,
    store: Store,
}

impl World {
    fn with(create: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let world = Self { dir, store };
        world.run("CREATE DATABASE d");
        world.run(create);
        world
    }

    fn run(&self, sql: &str) {
        let mut session = Session::new("root", 1, Fake::idle());
        session.execute(&self.store, sql).expect(sql);
    }

    fn table(&self) -> Arc<TableDef> {
        self.store.table("d", "t").expect("the table is there")
    }

    fn transact(&self, f: impl FnOnce(&Transaction<'_>) -> Result<(), Failed>) -> Result<(), Failed> {
        let mut result = Ok(());
        let _ = self.store.write(|transaction| {
            result = f(transaction);
            if result.is_ok() { Ok(()) } else { Err(rusqlite::Error::ExecuteReturnedResults) }
        });
        result
    }

    /// Loads at once, or stages for an owner.
    fn load(&self, owner: Option<i64>, headers: &[(&str, &str)], body: &str) -> Tally {
        let (table, request) = (self.table(), request(headers));
        let plan = Plan::new(&request, &table).expect("the plan is sound");
        let mut tally = Tally::default();
        self.transact(|transaction| match owner {
            None => ingest(transaction, &request, &table, &plan, body.as_bytes(), &mut tally),
            Some(owner) => stage(transaction, owner, &request, &table, &plan, body.as_bytes(), &mut tally),
        })
        .expect("it loads");
        tally
    }

    fn publish(&self, owner: i64) -> Result<(), Failed> {
        self.transact(|transaction| publish(transaction, owner))
    }

    fn rows(&self) -> Vec<String> {
        let table = self.table();
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("quote({})", quote(&column.name))).collect();
        self.read(&format!("SELECT {} FROM {} ORDER BY 1", columns.join(" || '|' || "), table.storage()))
    }

    fn read(&self, sql: &str) -> Vec<String> {
        let read = |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare(sql)?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        self.store.read(read).expect(sql)
    }

    /// The names of the staging tables.
    fn staging(&self) -> Vec<String> {
        self.read("SELECT name FROM sqlite_master WHERE name LIKE 'sb\\_staged\\__%' ESCAPE '\\' AND name <> 'sb_staged_owner'")
    }

    fn restart(self) -> Self {
        let Self { dir, store } = self;
        drop(store);
        let store = Store::open(dir.path(), None).expect("the store opens again");
        Self { dir, store }
    }
}

fn request(headers: &[(&str, &str)]) -> LoadRequest {
    let mut map = HeaderMap::new();
    for (name, value) in [("column_separator", ",")].iter().chain(headers) {
        let name: HeaderName = name.parse().expect("a name");
        map.insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    LoadRequest::parse(&map, &Limits::default()).expect("the headers are sound")
}

#[test]
fn staged_rows_are_nowhere_until_they_are_published() {
    let world = World::with("CREATE TABLE d.t (k INT, v VARCHAR(5), g INT AS k + 1) DUPLICATE KEY(k)");
    let tally = world.load(Some(7), &[("strict_mode", "true")], "1,a\n2,b\nx,c\n1,a\n");
    assert_eq!((tally.counts.loaded, tally.counts.filtered), (3, 1));
    world.load(Some(8), &[], "3,c\n");
    world.load(Some(7), &[("columns", "k")], "4\n");
    assert_eq!(world.rows(), [""; 0]);
    let world = world.restart();
    world.publish(7).expect("it publishes");
    assert_eq!(world.rows(), ["1|'a'|2", "1|'a'|2", "2|'b'|3", "4|NULL|5"]);
    world.transact(|transaction| Ok(discard(transaction, 8)?)).expect("it discards");
    assert_eq!(world.staging(), [""; 0]);
    world.publish(7).expect("there is nothing left to publish");
    world.publish(8).expect("there is nothing left to publish");
    assert_eq!(world.rows().len(), 4);
}

#[test]
fn rows_meet_when_they_are_published() {
    let world = World::with("CREATE TABLE d.t (k INT, n INT, v VARCHAR(5) DEFAULT 'new') PRIMARY KEY(k)");
    world.load(None, &[], "1,1,a\n2,2,b\n3,3,c\n");
    world.load(Some(1), &[("columns", "k,n,__op")], "1,5,0\n2,0,1\n3,0,1\n3,9,0\n9,0,1\n8,8,0\n8,0,1\n");
    world.load(Some(1), &[("columns", "k,n"), ("partial_update", "true"), ("merge_condition", "n")], "1,7\n1,6\n5,5\n");
    // What is committed in between is what the rows meet.
    world.load(None, &[], "1,1,x\n2,2,y\n");
    world.publish(1).expect("it publishes");
    assert_eq!(world.rows(), ["1|7|'new'", "3|9|'new'", "5|5|'new'"]);
    assert_eq!(world.staging(), [""; 0]);
}

#[test]
fn a_table_that_is_gone_is_told() {
    let world = World::with("CREATE TABLE d.t (k INT)");
    world.load(Some(1), &[], "1\n");
    world.run("DROP TABLE d.t");
    world.run("CREATE TABLE d.t (k INT)");
    let Err(Failed::Body(message)) = world.publish(1) else { panic!("the table was dropped") };
    assert_eq!(message, "unknown table, table=t: it was dropped after the rows were prepared");
    assert_eq!(world.staging().len(), 1, "a failed transaction changes nothing");
    world.transact(|transaction| Ok(discard(transaction, 1)?)).expect("it discards");
    assert_eq!((world.rows(), world.staging()), (Vec::new(), Vec::new()));

    world.load(Some(2), &[], "1\n");
    world
        .store
        .write(|transaction| transaction.execute_batch("ALTER TABLE t2 RENAME COLUMN k TO j"))
        .expect("it alters");
    let Err(Failed::Body(message)) = world.publish(2) else { panic!("the column is gone") };
    assert!(message.starts_with("table t has changed since the rows were prepared"), "{message}");
}

/// A row of a load: a key of two parts, either of them perhaps NULL, a value, and whether it is a delete.
type Line = ((Option<u8>, Option<u8>), Option<i16>, bool);

fn lines(nulls: bool) -> impl Strategy<Value = Vec<Vec<Line>>> {
    let part = move || if nulls { proptest::option::of(0_u8..3).boxed() } else { (0_u8..3).prop_map(Some).boxed() };
    let line = ((part(), part()), proptest::option::of(any::<i16>()), prop::bool::weighted(0.3));
    prop::collection::vec(prop::collection::vec(line, 1..12), 1..5)
}

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map_or("\\N".to_owned(), |value| value.to_string())
}

/// Loads all of it, each load at once or staged, and compares what there is then with the model.
fn agree(
    create: &str,
    headers: &[(&str, &str)],
    loads: &[Vec<Line>],
    expected: &BTreeMap<(Option<u8>, Option<u8>), String>,
) -> Result<(), TestCaseError> {
    let mut expected: Vec<String> = expected
        .iter()
        .map(|((a, b), value)| {
            let part = |part: &Option<u8>| part.map_or("NULL".to_owned(), |part| format!("'{part}.0'"));
            format!("{}|{}|{value}", part(a), b.map_or("NULL".to_owned(), |b| b.to_string()))
        })
        .collect();
    expected.sort();
    for staged in 0..3 {
        let world = World::with(create);
        for (at, load) in loads.iter().enumerate() {
            let mut body = String::new();
            for ((a, b), value, delete) in load {
                let value = shown(*value);
                let op = if headers.is_empty() { String::new() } else { format!(",{}", u8::from(*delete)) };
                let _ = writeln!(body, "{},{},{value},{value},{value},{value}{op}", shown(*a), shown(*b));
            }
            // At once; each load published for itself; all of them published together.
            world.load((staged > 0).then_some(1), headers, &body);
            if staged == 1 || at + 1 == loads.len() {
                world.publish(1).map_err(|failed| TestCaseError::fail(format!("{failed:?}")))?;
            }
        }
        prop_assert_eq!(&world.rows(), &expected, "staged {}", staged);
    }
    Ok(())
}

fn quoted(value: Option<i16>) -> String {
    value.map_or("NULL".to_owned(), |value| value.to_string())
}

/// What the columns of an aggregate table hold.
type Values = (Option<i16>, Option<i16>, Option<i16>, Option<i16>);

/// A row whose four values are the same.
fn four(value: Option<i16>) -> String {
    [value; 4].map(quoted).join("|")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_aggregate_table_agrees_with_a_model(loads in lines(true)) {
        let create = "CREATE TABLE d.t (a DECIMAL(9,1), b INT, s SMALLINT SUM, m INT MAX, n BIGINT MIN, \
                      r INT REPLACE_IF_NOT_NULL) AGGREGATE KEY(a, b)";
        let mut model: BTreeMap<_, Values> = BTreeMap::new();
        for (key, value, _) in loads.iter().flatten() {
            let entry = model.entry(*key).or_default();
            let (sum, max, min, last) = *entry;
            let Some(value) = *value else { continue };
            *entry = (
                Some(sum.map_or(value, |sum| sum.wrapping_add(value))),
                Some(max.map_or(value, |max| max.max(value))),
                Some(min.map_or(value, |min| min.min(value))),
                Some(value).or(last),
            );
        }
        let text = |(sum, max, min, last): Values| [sum, max, min, last].map(quoted).join("|");
        let model = model.into_iter().map(|(key, values)| (key, text(values))).collect();
        agree(create, &[], &loads, &model)?;
    }

    #[test]
    fn a_unique_table_agrees_with_a_model(loads in lines(true)) {
        let create = "CREATE TABLE d.t (a DECIMAL(9,1), b INT, s INT, m INT, n INT, r INT) UNIQUE KEY(a, b)";
        let rows = loads.iter().flatten().map(|(key, value, _)| (*key, four(*value)));
        agree(create, &[], &loads, &rows.collect())?;
    }

    #[test]
    fn a_primary_key_table_agrees_with_a_model(loads in lines(false)) {
        let create = "CREATE TABLE d.t (a DECIMAL(9,1), b INT, s INT, m INT, n INT, r INT) PRIMARY KEY(a, b)";
        let mut model = BTreeMap::new();
        for (key, value, delete) in loads.iter().flatten() {
            if *delete {
                model.remove(key);
            } else {
                model.insert(*key, four(*value));
            }
        }
        agree(create, &[("columns", "a,b,s,m,n,r,__op")], &loads, &model)?;
    }

    #[test]
    fn partial_updates_under_a_condition_agree_with_a_model(loads in lines(false)) {
        let create = "CREATE TABLE d.t (a DECIMAL(9,1), b INT, s INT, m INT DEFAULT '1', n INT, r INT) PRIMARY KEY(a, b)";
        let mut model: BTreeMap<_, Option<i16>> = BTreeMap::new();
        for (key, value, delete) in loads.iter().flatten() {
            if *delete {
                model.remove(key);
            } else {
                let old = model.entry(*key).or_insert(*value);
                if *value >= *old {
                    *old = *value;
                }
            }
        }
        let text = |value: Option<i16>| format!("{0}|1|{0}|NULL", quoted(value));
        let model = model.into_iter().map(|(key, value)| (key, text(value))).collect();
        let headers = [("columns", "a,b,s,n,x,y,__op"), ("partial_update", "true"), ("merge_condition", "s")];
        agree(create, &headers, &loads, &model)?;
    }
}
