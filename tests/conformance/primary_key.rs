//! §7: primary key tables.

use crate::support::cluster::{Cluster, Database, NULL};
use crate::support::curl::{field, number};

const CSV: &[(&str, &str)] = &[("column_separator", ","), ("strict_mode", "true")];
const JSON: &[(&str, &str)] = &[("format", "json"), ("strict_mode", "true")];

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.primary_key_table("t", "k INT NOT NULL, v VARCHAR(20), n INT DEFAULT '7'");
    let reply = database.load("t").headers(CSV).body("1,a,10\n2,b,20\n3,c,30\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    database
}

type Headers = &'static [(&'static str, &'static str)];

/// One load after the three rows `1,a,10`, `2,b,20`, `3,c,30`, and what is there then.
struct Step {
    rule: &'static str,
    headers: &'static [Headers],
    body: &'static str,
    rows: &'static [&'static [&'static str]],
}

fn hold(steps: &[Step]) {
    let mut wrong = Vec::new();
    for step in steps {
        let database = database(Cluster::shared());
        let reply = database.load("t").headers(&step.headers.concat()).body(step.body).json();
        let found = database.rows("SELECT k, v, n FROM t ORDER BY k");
        if field(&reply, "Status") != "Success" || found != step.rows {
            let message = field(&reply, "Message");
            wrong.push(format!("- {}: {message}: expected {:?}, found {found:?}", step.rule, step.rows));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rules:\n{}", wrong.len(), steps.len(), wrong.join("\n"));
}

const UPSERTS: &[Step] = &[
    Step {
        rule: "absent means upsert",
        headers: &[CSV],
        body: "2,B,21\n4,d,40\n",
        rows: &[&["1", "a", "10"], &["2", "B", "21"], &["3", "c", "30"], &["4", "d", "40"]],
    },
    Step {
        rule: "of one body the last row of a key wins",
        headers: &[CSV],
        body: "2,x,1\n2,y,2\n2,z,3\n",
        rows: &[&["1", "a", "10"], &["2", "z", "3"], &["3", "c", "30"]],
    },
    Step {
        rule: "a field of CSV, 0 or 1",
        headers: &[CSV, &[("columns", "k,v,n,__op")]],
        body: "1,A,11,0\n2,,,1\n4,d,40,0\n",
        rows: &[&["1", "A", "11"], &["3", "c", "30"], &["4", "d", "40"]],
    },
    Step {
        rule: "a temporary",
        headers: &[CSV, &[("columns", "k,v,n,x,__op=x")]],
        body: "1,A,11,0\n2,b,20,1\n",
        rows: &[&["1", "A", "11"], &["3", "c", "30"]],
    },
    Step {
        rule: "the constant 'delete' over keys alone",
        headers: &[CSV, &[("columns", "k,__op='delete'")]],
        body: "1\n3\n9\n",
        rows: &[&["2", "b", "20"]],
    },
    Step {
        rule: "the constant 'upsert'",
        headers: &[CSV, &[("columns", "k,v,n,__op='upsert'")]],
        body: "1,A,11\n",
        rows: &[&["1", "A", "11"], &["2", "b", "20"], &["3", "c", "30"]],
    },
    Step {
        rule: "a constant number",
        headers: &[CSV, &[("columns", "k,__op=1")]],
        body: "1\n",
        rows: &[&["2", "b", "20"], &["3", "c", "30"]],
    },
    Step {
        rule: "a key of JSON, absent means upsert",
        headers: &[JSON],
        body: r#"{"k":1,"__op":1}{"k":2,"v":"B","n":21,"__op":0}{"k":4,"v":"d","n":40}"#,
        rows: &[&["2", "B", "21"], &["3", "c", "30"], &["4", "d", "40"]],
    },
    Step {
        rule: "a path of JSON",
        headers: &[JSON, &[("jsonpaths", r#"["$.k","$.v","$.n","$.op"]"#), ("columns", "k,v,n,__op")]],
        body: r#"{"k":1,"op":1}{"k":2,"v":"B","n":21,"op":0}"#,
        rows: &[&["2", "B", "21"], &["3", "c", "30"]],
    },
    Step {
        rule: "a delete and an upsert of one key, in order",
        headers: &[CSV, &[("columns", "k,v,n,__op")]],
        body: "1,,,1\n1,A,11,0\n2,B,21,0\n2,,,1\n",
        rows: &[&["1", "A", "11"], &["3", "c", "30"]],
    },
];

const PARTIAL: &[Step] = &[
    Step {
        rule: "other columns keep their values, new rows get defaults",
        headers: &[CSV, &[("partial_update", "true"), ("columns", "k,v")]],
        body: "1,A\n4,d\n",
        rows: &[&["1", "A", "10"], &["2", "b", "20"], &["3", "c", "30"], &["4", "d", "7"]],
    },
    Step {
        rule: "column mode",
        headers: &[CSV, &[("partial_update", "true"), ("partial_update_mode", "column"), ("columns", "k,n")]],
        body: "1,11\n",
        rows: &[&["1", "a", "11"], &["2", "b", "20"], &["3", "c", "30"]],
    },
    Step {
        rule: "an unknown mode is ignored",
        headers: &[CSV, &[("partial_update", "true"), ("partial_update_mode", "odd"), ("columns", "k,n")]],
        body: "1,11\n",
        rows: &[&["1", "a", "11"], &["2", "b", "20"], &["3", "c", "30"]],
    },
    Step {
        rule: "JSON",
        headers: &[JSON, &[("partial_update", "true"), ("columns", "k,v")]],
        body: r#"{"k":1,"v":null}{"k":2,"v":"B"}"#,
        rows: &[&["1", NULL, "10"], &["2", "B", "20"], &["3", "c", "30"]],
    },
    Step {
        rule: "merge_condition: a row counts when its value is not smaller",
        headers: &[CSV, &[("merge_condition", "n")]],
        body: "1,A,11\n2,B,19\n3,C,30\n4,d,1\n",
        rows: &[&["1", "A", "11"], &["2", "b", "20"], &["3", "C", "30"], &["4", "d", "1"]],
    },
];

#[test]
fn sr_7_op_decides_between_upsert_and_delete() {
    hold(UPSERTS);
}

#[test]
fn sr_7_partial_updates_and_merge_conditions() {
    hold(PARTIAL);
}

#[test]
fn sr_7_words_are_no_operations_in_data() {
    let database = database(Cluster::shared());
    let headers = [CSV, &[("columns", "k,v,n,__op"), ("max_filter_ratio", "1")]].concat();
    let reply = database.load("t").headers(&headers).body("1,,,delete\n2,B,21,0\n").json();
    assert_eq!(number(&reply, "NumberFilteredRows"), 1, "{reply}");
    assert_eq!(database.count("t"), 3);
}

#[test]
fn sr_7_refusals() {
    let database = database(Cluster::shared());
    database.table("plain", "k INT, v INT");
    let refused: &[(&str, Headers, &str)] = &[
        ("t", &[("partial_update", "true"), ("columns", "v,n")], "not in partial update columns"),
        ("plain", &[("partial_update", "true"), ("columns", "k,v")], "Only primary key table support partial update"),
        ("t", &[("merge_condition", "k")], ""),
        ("t", &[("negative", "true")], ""),
    ];
    for (table, headers, message) in refused {
        let reply = database.load(table).headers(headers).body("1\t2\t0\n").json();
        assert_eq!(field(&reply, "Status"), "Fail", "{table} {headers:?}: {reply}");
        assert!(field(&reply, "Message").contains(message), "{headers:?}: {reply}");
    }
}

#[test]
fn sr_7_between_loads_the_order_of_commits_decides() {
    let database = database(Cluster::shared());
    let prepare = |body: &str| {
        let transaction = crate::transactions::Transaction::begin(&database, &[]);
        transaction.accept(&[("column_separator", ",")], body);
        transaction.expect("prepare");
        transaction
    };
    let (first, second) = (prepare("1,first,1\n"), prepare("1,second,2\n"));
    second.expect("commit");
    first.expect("commit");
    assert_eq!(database.rows("SELECT v FROM t WHERE k = 1"), [["first"]]);
}

#[test]
fn sr_7_null_keys_are_filtered() {
    let database = database(Cluster::shared());
    let headers = [CSV, &[("max_filter_ratio", "1")]].concat();
    let reply = database.load("t").headers(&headers).body("\\N,x,1\n4,d,1\n").json();
    assert_eq!((number(&reply, "NumberFilteredRows"), database.count("t")), (1, 4), "{reply}");
}
