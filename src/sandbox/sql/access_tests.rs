//! Who may do what, and what each of them sees.

use super::World;
use crate::sandbox::overview::fake::Fake;
use crate::sandbox::sql::Session;

/// Runs statements as somebody: those that are refused, with words of the refusal.
fn as_user(world: &mut World, user: &str, cases: &[(&str, Option<&str>)]) {
    let before = std::mem::replace(&mut world.session, Session::new(user, 9, Fake::with_loads("d")));
    for (sql, refused) in cases {
        match (world.try_run(sql), refused) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => assert!(error.message.contains(words), "{user}: {sql}: {error}"),
            (answer, _) => panic!("{user}: {sql}: {answer:?}"),
        }
    }
    world.session = before;
}

#[test]
fn a_user_does_what_was_granted_and_nothing_else() {
    let mut world = World::with_rows();
    for sql in [
        "CREATE TABLE other (a INT)",
        "CREATE USER 'u'@'%' IDENTIFIED BY 'p'",
        "CREATE USER IF NOT EXISTS u",
        "CREATE USER admin IDENTIFIED WITH mysql_native_password BY 'x'",
        "GRANT SELECT, INSERT ON TABLE d.t TO USER 'u'@'%'",
        "GRANT CREATE TABLE ON DATABASE d TO u",
        "GRANT GRANT, OPERATE ON SYSTEM TO admin",
    ] {
        world.run(sql);
    }
    assert!(world.try_run("CREATE USER u").expect_err("it is there").message.contains("already exists"));
    assert!(world.try_run("GRANT SELECT ON DATABASE d TO u").expect_err("not on that").message.contains("Invalid"));
    assert!(world.try_run("GRANT SELECT ON d.t TO nobody").expect_err("no such").message.contains("cannot find user"));
    assert!(world.try_run("DROP USER root").is_err() && world.try_run("CREATE USER x@'10.%'").is_err());
    as_user(
        &mut world,
        "u",
        &[
            ("USE d", None),
            ("SELECT count(*) FROM t", None),
            ("INSERT INTO t (id) VALUES (9)", None),
            ("SELECT * FROM other", Some("need (at least one of) the SELECT privilege(s) on TABLE other for this")),
            ("SELECT (SELECT a FROM other) FROM t", Some("SELECT privilege(s) on TABLE other")),
            ("INSERT INTO t (id) SELECT a FROM other", Some("SELECT privilege(s) on TABLE other")),
            ("INSERT INTO other VALUES (1)", Some("INSERT privilege(s) on TABLE other")),
            ("CREATE TABLE mine (a INT)", None),
            ("DROP TABLE mine", Some("DROP privilege(s) on TABLE mine")),
            ("ALTER TABLE t ADD COLUMN z INT", Some("ALTER privilege(s) on TABLE t")),
            ("TRUNCATE TABLE t", Some("DELETE privilege(s) on TABLE t")),
            ("DROP DATABASE d", Some("DROP privilege(s) on DATABASE d")),
            ("CREATE DATABASE e", Some("CREATE DATABASE privilege(s) on CATALOG default_catalog")),
            ("DESC other", Some("ANY privilege(s) on TABLE other")),
            ("CREATE USER v", Some("GRANT privilege(s) on SYSTEM for")),
            ("GRANT SELECT ON d.other TO u", Some("GRANT privilege(s) on SYSTEM")),
            ("SHOW BACKENDS", Some("OPERATE/NODE")),
            ("SHOW PROC '/dbs'", Some("OPERATE/NODE")),
            ("SET PASSWORD = PASSWORD('other')", None),
            ("SET PASSWORD FOR root = PASSWORD('mine')", Some("GRANT privilege(s)")),
            ("SHOW GRANTS FOR root", Some("GRANT privilege(s)")),
        ],
    );
    assert!(world.store.check_user("u", "other"));
    as_user(
        &mut world,
        "admin",
        &[("CREATE USER v", None), ("SHOW BACKENDS", None), ("SELECT * FROM d.t", Some("SELECT"))],
    );
    world.run("DROP TABLE other");
    world.run("REVOKE ALL ON d.t FROM u");
    as_user(&mut world, "u", &[("SELECT 1 FROM d.t", Some("SELECT privilege(s)")), ("USE d", None)]);
    world.run("DROP USER u");
    assert!(!world.store.check_user("u", "other"));
}

#[test]
fn lists_show_what_one_may_see() {
    let mut world = World::with_rows();
    for sql in ["CREATE DATABASE e", "CREATE TABLE e.x (a INT)", "CREATE USER u", "GRANT ALL ON e.* TO u"] {
        world.run(sql);
    }
    world.session = Session::new("u", 9, Fake::with_loads("d"));
    for (sql, expected) in [
        ("SHOW DATABASES", "e\ninformation_schema"),
        ("SHOW TABLES FROM e", "x"),
        ("SELECT table_name FROM information_schema.tables", "x"),
        ("SELECT column_name FROM information_schema.columns", "a"),
        ("SELECT count(*) FROM information_schema.loads", "0"),
        ("SELECT CURRENT_USER()", "'u'@'%'"),
        (
            "SHOW GRANTS",
            "'u'@'%'|default_catalog|GRANT ALTER, CREATE FUNCTION, CREATE MATERIALIZED VIEW, CREATE PIPE, CREATE TABLE, \
             CREATE VIEW, DROP ON DATABASE e TO USER 'u'@'%'\n'u'@'%'|default_catalog|GRANT ALTER, DELETE, DROP, EXPORT, \
             INSERT, REFRESH, SELECT, UPDATE ON ALL TABLES IN DATABASE e TO USER 'u'@'%'",
        ),
    ] {
        assert_eq!(world.run(sql), expected, "{sql}");
    }
}

#[test]
fn loads_are_told_of_in_each_way() {
    let mut world = World::with_rows();
    world.session = Session::new("root", 9, Fake::with_loads("d"));
    world.run("USE d");
    for (sql, expected) in [
        (
            "SELECT LABEL, STATE, SINK_ROWS, TYPE FROM information_schema.loads ORDER BY ID",
            "good|FINISHED|5|STREAM_LOAD\nbad|CANCELLED|5|STREAM_LOAD\nnew|LOADING|5|STREAM_LOAD",
        ),
        (
            "SELECT DB_NAME, LABEL, STATE, LOAD_COMMIT_TIME, SINK_ROWS FROM _statistics_.loads_history WHERE STATE = 'FINISHED'",
            "d|good|FINISHED|2023-11-14 22:13:21|5",
        ),
        ("SELECT LABEL, NUM_ROWS_AB_NORMAL FROM information_schema.stream_loads WHERE STATE = 'LOADING'", "new|1"),
        ("SELECT count(*) FROM information_schema.load_tracking_logs", "0"),
        ("SHOW LOAD FROM d", ""),
    ] {
        assert_eq!(world.run(sql), expected, "{sql}");
    }
    for (sql, word, lines) in [
        ("SHOW STREAM LOAD", "good|1|", 3),
        ("SHOW STREAM LOAD FROM d WHERE Label = 'bad'", "CANCELLED|too many filtered rows", 1),
        ("SHOW ALL STREAM LOAD FOR good FROM d", "FINISHED", 1),
        ("SHOW STREAM LOAD WHERE label LIKE 'n%' ORDER BY TxnId DESC LIMIT 1", "LOADING", 1),
        ("SHOW TRANSACTION WHERE ID = 2", "2|bad|BE: be1|ABORTED", 1),
        ("SHOW TRANSACTION FROM d WHERE LABEL = 'good'", "|VISIBLE|BACKEND_STREAMING|", 1),
    ] {
        let answer = world.run(sql);
        assert!(answer.contains(word) && answer.lines().count() == lines, "{sql}: {answer}");
    }
}

#[test]
fn what_clients_ask_when_they_connect_is_answered() {
    let mut world = World::with_rows();
    for sql in [
        "SHOW CHARSET",
        "SHOW CHARACTER SET",
        "SHOW COLLATION WHERE Charset = 'utf8'",
        "SHOW PLUGINS",
        "SHOW PRIVILEGES",
        "SHOW ENGINES",
        "SHOW STORAGE ENGINES",
        "SHOW TABLE STATUS FROM d LIKE 't'",
        "SHOW FULL TABLES",
        "SHOW FULL COLUMNS FROM t",
        "SHOW PROCEDURE STATUS WHERE Db = 'd'",
        "SHOW FUNCTION STATUS LIKE 'x'",
        "SHOW TRIGGERS",
        "SHOW EVENTS",
        "SHOW WARNINGS",
        "SHOW SESSION STATUS LIKE 'Ssl_cipher'",
        "SHOW GLOBAL VARIABLES LIKE 'lower%'",
        "SHOW DATA",
        "SHOW DATA FROM d.t",
        "SHOW USERS",
        "SHOW AUTHENTICATION",
        "SHOW ALL AUTHENTICATION",
        "SHOW ROLES",
        "SHOW FRONTENDS",
        "SHOW COMPUTE NODES",
        "SHOW BACKENDS",
        "SHOW PROC '/statistic'",
        "SHOW PROCESSLIST",
        "SHOW FULL PROCESSLIST",
        "SHOW INDEX FROM t",
        "SELECT @@version_comment, @@session.tx_isolation, @@max_allowed_packet, @@socket, @never",
        "SET enable_profile = true, GLOBAL query_timeout = 60",
    ] {
        world.run(sql);
    }
    let tables = world.run("SHOW TABLES FROM information_schema");
    for table in tables.lines() {
        world.run(&format!("SELECT * FROM information_schema.{table}"));
    }
    for (sql, code) in
        [("SELECT @@nope", 1193), ("SET nope = 1", 1193), ("KILL 12345", 1094), ("SHOW CREATE VIEW v", 1064)]
    {
        assert_eq!(world.try_run(sql).expect_err(sql).code, code, "{sql}");
    }
}
