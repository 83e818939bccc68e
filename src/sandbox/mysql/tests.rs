//! The listener, with `mysql_async` as a client that knows nothing of us.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};

use super::*;

/// A listener on a port of its own.
struct World {
    _dir: tempfile::TempDir,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    port: u16,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Arc::new(Store::open(dir.path(), Some("p4ss")).expect("the store opens"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (stop, stopped) = watch::channel(false);
        let task =
            tokio::spawn(serve(listener, store, crate::sandbox::overview::fake::Fake::idle(), Arc::default(), stopped));
        Self { _dir: dir, stop, task, port }
    }

    async fn connect(&self, user: &str, password: &str, database: Option<&str>) -> mysql_async::Result<Conn> {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some(user))
            .pass(Some(password))
            .db_name(database)
            .prefer_socket(false);
        Conn::new(Opts::from(options)).await
    }

    async fn root(&self) -> Conn {
        self.connect("root", "p4ss", None).await.expect("root is let in")
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be built")
}

#[test]
fn only_the_right_password_is_let_in() {
    runtime().block_on(async {
        let world = World::new().await;
        assert!(world.connect("root", "wrong", None).await.is_err());
        assert!(world.connect("root", "", None).await.is_err());
        assert!(world.connect("nobody", "p4ss", None).await.is_err());
        assert!(world.connect("root", "p4ss", Some("nowhere")).await.is_err());
        let mut conn = world.root().await;
        conn.ping().await.expect("it answers");
    });
}

#[test]
fn values_arrive_in_both_protocols() {
    runtime().block_on(async {
        let world = World::new().await;
        let mut conn = world.root().await;
        conn.query_drop("CREATE DATABASE d").await.expect("it is created");
        conn.query_drop("USE d").await.expect("it is there");
        let create = "CREATE TABLE t (i INT, l LARGEINT, c DECIMAL(10,2), f FLOAT, x DOUBLE, d DATE, dt DATETIME, \
                      s VARCHAR(20), b BOOLEAN, big BIGINT)";
        conn.query_drop(create).await.expect("it is created");
        let insert = "INSERT INTO t VALUES (?, ?, ?, 0.1, 1.5, ?, ?, ?, true, ?)";
        let values = (
            1,
            "170141183460469231731687303715884105727",
            "1.10",
            "2024-02-29",
            "2024-02-29 01:02:03.5",
            "it's ü",
            i64::MIN,
        );
        conn.exec_drop(insert, values).await.expect("it is inserted");
        conn.exec_drop(insert, (2, None::<i32>, None::<i32>, None::<i32>, None::<i32>, None::<i32>, None::<i64>))
            .await
            .expect("NULLs are taken");
        assert_eq!(conn.affected_rows(), 1);

        let text: Vec<Row> = conn.query("SELECT * FROM t ORDER BY i").await.expect("it is read");
        let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        let expected = [
            "1",
            "170141183460469231731687303715884105727",
            "1.10",
            "0.1",
            "1.5",
            "2024-02-29",
            "2024-02-29 01:02:03.500000",
            "it's ü",
            "1",
            "-9223372036854775808",
        ];
        assert_eq!(text[0].clone().unwrap(), expected.map(bytes));
        assert_eq!(text[1].get::<Option<String>, _>(1), Some(None));

        let binary: Vec<Row> = conn.exec("SELECT * FROM t WHERE i = ?", (1,)).await.expect("it is read");
        let expected = [
            Value::Int(1),
            bytes(expected[1]),
            bytes("1.10"),
            Value::Float(0.1),
            Value::Double(1.5),
            Value::Date(2024, 2, 29, 0, 0, 0, 0),
            Value::Date(2024, 2, 29, 1, 2, 3, 500_000),
            bytes("it's ü"),
            Value::Int(1),
            Value::Int(i64::MIN),
        ];
        assert_eq!(binary[0].clone().unwrap(), expected);
    });
}

#[test]
fn errors_keep_the_connection_and_their_numbers() {
    runtime().block_on(async {
        let world = World::new().await;
        let mut conn = world.root().await;
        for (sql, code) in [
            ("SELECT * FROM d.t", 1049),
            ("SELEC", 1064),
            ("SELECT frobnicate(1)", 1064),
            ("CREATE TABLE t (a INT)", 1046),
            ("SELECT * FROM t", 1046),
            ("SELECT SUM(v) FROM (SELECT CAST('9e37' AS DECIMAL(38,0)) AS v UNION ALL SELECT CAST('9e37' AS DECIMAL(38,0))) q", 1064),
        ] {
            match conn.query_drop(sql).await {
                Err(mysql_async::Error::Server(error)) => assert_eq!(error.code, code, "{sql}: {error}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
        assert!(conn.prep("SELECT nope FROM (SELECT 1 AS a) q WHERE a = ?").await.is_err());
        assert_eq!(conn.query_first::<u8, _>("SELECT 1").await.expect("it still answers"), Some(1));
    });
}

#[test]
fn a_large_result_streams_and_may_be_left_half_read() {
    runtime().block_on(async {
        let world = World::new().await;
        let mut conn = world.root().await;
        conn.query_drop("CREATE DATABASE d").await.expect("it is created");
        conn.query_drop("CREATE TABLE d.n (a INT, s VARCHAR(100))").await.expect("it is created");
        conn.query_drop("INSERT INTO d.n VALUES (1, REPEAT('x', 100))").await.expect("it is inserted");
        for _ in 0..14 {
            conn.query_drop("INSERT INTO d.n SELECT a + 1, s FROM d.n").await.expect("it is doubled");
        }
        let mut rows = 0;
        let mut result = conn.query_iter("SELECT * FROM d.n").await.expect("it is read");
        while result.next().await.expect("a row arrives").is_some() {
            rows += 1;
        }
        drop(result);
        assert_eq!(rows, 1 << 14);
        let mut half = world.root().await;
        let mut result = half.query_iter("SELECT * FROM d.n").await.expect("it is read");
        assert!(result.next().await.expect("a row arrives").is_some());
        drop(result);
        drop(half);
        // The next writer is not kept waiting by the reader that has gone.
        conn.query_drop("TRUNCATE TABLE d.n").await.expect("it is emptied");
        world.stop.send(true).expect("it listens");
        world.task.await.expect("it ends");
    });
}

#[test]
fn clients_have_sessions_of_their_own() {
    runtime().block_on(async {
        let world = World::new().await;
        let (mut one, mut two) = (world.root().await, world.root().await);
        one.query_drop("CREATE DATABASE a").await.expect("it is created");
        two.query_drop("CREATE DATABASE b").await.expect("it is created");
        one.query_drop("USE a").await.expect("it is there");
        two.query_drop("USE `b`").await.expect("it is there");
        let database = "SELECT DATABASE()";
        assert_eq!(one.query_first::<String, _>(database).await.expect("it answers"), Some("a".to_owned()));
        assert_eq!(two.query_first::<String, _>(database).await.expect("it answers"), Some("b".to_owned()));
        let id = "SELECT CONNECTION_ID()";
        let ids = (
            one.query_first::<u32, _>(id).await.expect("it answers"),
            two.query_first::<u32, _>(id).await.expect("it answers"),
        );
        assert_ne!(ids.0, ids.1);
        assert_eq!(ids.0, Some(one.id()));
        let third = world
            .connect("root", "p4ss", Some("a"))
            .await
            .expect("the database is there")
            .query_first::<String, _>(database)
            .await;
        assert_eq!(third.expect("it answers"), Some("a".to_owned()));
    });
}

#[test]
fn a_long_query_is_killed_and_so_is_a_connection() {
    runtime().block_on(async {
        let world = World::new().await;
        let (mut busy, mut other) = (world.root().await, world.root().await);
        other.query_drop("CREATE DATABASE d").await.expect("it is created");
        other.query_drop("CREATE TABLE d.n (a INT)").await.expect("it is created");
        other
            .query_drop("INSERT INTO d.n VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)")
            .await
            .expect("it is filled");
        let id = busy.id();
        // Ten billion rows, of which none is delivered before the end.
        let endless = "SELECT count(*) FROM d.n a, d.n b, d.n c, d.n d, d.n e, d.n f, d.n g, d.n h, d.n i, d.n j \
                       WHERE a.a + b.a + c.a + d.a + e.a + f.a + g.a + h.a + i.a + j.a < 0";
        let query = tokio::spawn(async move {
            let failed = busy.query_drop(endless).await;
            (busy, failed)
        });
        loop {
            let list: Vec<Row> = other.query("SHOW FULL PROCESSLIST").await.expect("it is shown");
            let of = |row: &&Row| row.get::<String, _>("Id") == Some(id.to_string());
            let row = list.iter().find(of).expect("it is connected");
            if row.get::<String, _>("Command").as_deref() == Some("Query") {
                assert_eq!(row.get::<String, _>("Info").as_deref(), Some(endless));
                break;
            }
            tokio::task::yield_now().await;
        }
        let queries: Vec<Row> = other.query("SHOW PROC '/current_queries'").await.expect("it is shown");
        assert!(queries.iter().any(|row| row.get::<String, _>("ConnectionId") == Some(id.to_string())));
        other.query_drop(format!("KILL QUERY {id}")).await.expect("it is killed");
        let (mut busy, failed) = query.await.expect("it ends");
        match failed {
            Err(mysql_async::Error::Server(error)) => assert_eq!(error.code, 1317, "{error}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(busy.query_first::<u8, _>("SELECT 1").await.expect("the connection is well"), Some(1));

        busy.query_drop("SET query_timeout = 1").await.expect("it is set");
        let failed = busy.query_drop(endless).await.expect_err("its time is up");
        assert!(failed.to_string().contains("timeout of 1 seconds"), "{failed}");

        other.query_drop(format!("KILL {id}")).await.expect("it is killed");
        loop {
            let list: Vec<Row> = other.query("SHOW PROCESSLIST").await.expect("it is shown");
            if !list.iter().any(|row| row.get::<String, _>("Id") == Some(id.to_string())) {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(busy.query_drop("SELECT 1").await.is_err(), "the connection is gone");
    });
}

#[test]
fn another_user_does_what_was_granted() {
    runtime().block_on(async {
        let world = World::new().await;
        let mut root = world.root().await;
        for sql in [
            "CREATE DATABASE d",
            "CREATE TABLE d.t (a INT)",
            "CREATE USER 'ann'@'%' IDENTIFIED BY 'secret'",
            "GRANT INSERT ON d.t TO 'ann'@'%'",
        ] {
            root.query_drop(sql).await.expect(sql);
        }
        assert!(world.connect("ann", "wrong", None).await.is_err());
        let mut ann = world.connect("ann", "secret", Some("d")).await.expect("she is let in");
        ann.query_drop("INSERT INTO t VALUES (1)").await.expect("that was granted");
        match ann.query_drop("SELECT * FROM t").await {
            Err(mysql_async::Error::Server(error)) => {
                let words = "Access denied; you need (at least one of) the SELECT privilege(s) on TABLE t";
                assert!(error.code == 1045 && error.message.starts_with(words), "{error}");
            }
            other => panic!("{other:?}"),
        }
        let others = ann.query_drop(format!("KILL {}", root.id())).await;
        assert!(others.is_err(), "the session is not hers");
        root.query_drop("GRANT SELECT ON d.t TO ann").await.expect("it is granted");
        let rows: Vec<i32> = ann.query("SELECT a FROM t").await.expect("now it is");
        assert_eq!(rows, [1]);
        assert_eq!(ann.query::<String, _>("SHOW DATABASES").await.expect("it lists"), ["d", "information_schema"]);
        root.query_drop("DROP USER ann").await.expect("she goes");
        assert!(world.connect("ann", "secret", None).await.is_err());
    });
}
