//! StarRocks' SQL in, rows out.

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Answer, Error, Session};
use crate::sandbox::store::Store;
use crate::sandbox::zone::Zone;
use crate::sandbox::{cell, select};

/// A store of its own, with a database `d` that is the current one.
pub(super) struct World {
    _dir: TempDir,
    store: Store,
    session: Session,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let mut world =
            Self { _dir: dir, store, session: Session::new("root", 7, crate::sandbox::overview::fake::Fake::idle()) };
        world.run("CREATE DATABASE d");
        world.run("USE d");
        world
    }

    /// With a table `t` of a few rows of every simple type.
    fn with_rows() -> Self {
        let mut world = Self::new();
        world.run(
            "CREATE TABLE t (id INT, name VARCHAR(20), price DECIMAL(10,2), big LARGEINT, f DOUBLE, d DATE, dt DATETIME, \
             b BOOLEAN, j JSON, a ARRAY<INT>) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)",
        );
        world.run(
            "INSERT INTO t VALUES \
             (1, 'one', 1.10, '170141183460469231731687303715884105727', 0.5, '2024-01-31', '2024-01-31 10:20:30', true, '{\"x\": 1, \"y\": [1, \"z\"]}', [1,2,3]), \
             (2, 'Two', -20.05, '-5', 1.5, '2024-02-29', '2024-02-29 00:00:00.5', false, '{\"x\": \"s\"}', []), \
             (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), \
             (4, 'ümläut', 100.00, '9', -2.25, '1999-12-31', '1999-12-31 23:59:59', true, '[]', [7])",
        );
        world
    }

    fn try_run(&mut self, sql: &str) -> Result<String, Error> {
        let query = match self.session.execute(&self.store, sql)? {
            Answer::Done { rows } => return Ok(format!("{rows} done")),
            Answer::Explanation(text) => return Ok(text),
            Answer::Table(table) => {
                let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
                let row = |row: Vec<Option<String>>| row.into_iter().map(cell).collect::<Vec<_>>().join("|");
                return Ok(table.rows.into_iter().map(row).collect::<Vec<_>>().join("\n"));
            }
            Answer::Query(query) => query,
        };
        let mut lines = Vec::new();
        select::for_each_row(&self.store, &query, None, |row| {
            let cells = row.iter().zip(&query.columns).map(|(value, (_, ty))| {
                cell::text(*value, ty).map_or("NULL".to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
            });
            lines.push(cells.collect::<Vec<_>>().join("|"));
            true
        })?;
        Ok(lines.join("\n"))
    }

    pub(super) fn run(&mut self, sql: &str) -> String {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The names and types of a query's columns.
    fn columns(&mut self, sql: &str) -> String {
        match self.session.execute(&self.store, sql) {
            Ok(Answer::Query(query)) => {
                query.columns.iter().map(|(name, ty)| format!("{name} {ty}")).collect::<Vec<_>>().join(", ")
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

fn check(world: &mut World, table: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, expected) in table {
        let answer = world.try_run(sql).unwrap_or_else(|error| format!("error: {error}"));
        if answer != *expected {
            wrong.push(format!("{sql}\n  expected {expected:?}\n  answered {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn expressions_mean_what_they_mean_in_starrocks() {
    check(
        &mut World::new(),
        &[
            ("SELECT 1/2, 7 DIV 2, 7 % 3, -7 % 3, 1/0, 5 DIV 0", "0.5|3|1|-1|NULL|NULL"),
            ("SELECT 1.10 + 2.205, 1.5 * 1.5, 1.0 / 3, 10 - 0.01", "3.305|2.25|0.3333333|9.99"),
            ("SELECT 9223372036854775807 + 1", "-9223372036854775808"),
            ("SELECT -9223372036854775808", "-9223372036854775808"),
            ("SELECT 170141183460469231731687303715884105727 - 1", "170141183460469231731687303715884105726"),
            ("SELECT 0.1 + 0.2 = 0.3, 1e0/3", "1|0.3333333333333333"),
            ("SELECT '10' > 9, '10' = 10.0, 'a' = 'A', NULL <=> NULL", "1|1|0|1"),
            ("SELECT 1.10 = '1.1', '2024-01-01' < DATE '2024-01-02'", "1|1"),
            ("SELECT true AND NULL, false AND NULL, true OR NULL, NOT NULL, 1 XOR 1", "NULL|0|1|NULL|0"),
            ("SELECT 3 BETWEEN 1 AND 3, 2 IN (1, 2.0), 5 NOT IN (1, NULL), NULL IN (1)", "1|1|NULL|NULL"),
            ("SELECT 'abc' LIKE 'A%', 'abc' LIKE '_b%', 'a_c' LIKE 'a\\_c', 'abc' NOT LIKE 'x'", "0|1|1|1"),
            ("SELECT CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END, CASE 2 WHEN 1 THEN 10 WHEN 2 THEN 20.5 END", "b|20.5"),
            ("SELECT IF(1 < 2, 'y', 'n'), IFNULL(NULL, 3), COALESCE(NULL, NULL, 'c'), NULLIF(1, 1)", "y|3|c|NULL"),
            (
                "SELECT \"double\", 'it''s', 'a\\nb' = CONCAT('a', CHAR(10), 'b'), `x` FROM (SELECT 1 AS x) q",
                "double|it's|1|1",
            ),
            (
                "SELECT CAST('12.7' AS INT), CAST('abc' AS INT), CAST(300 AS TINYINT), CAST(2.5 AS INT)",
                "12|NULL|NULL|2",
            ),
            (
                "SELECT CAST('1.005' AS DECIMAL(10,2)), CAST(1e3 AS DECIMAL(5,1)), CAST(12345 AS DECIMAL(3,0))",
                "1.01|1000.0|NULL",
            ),
            (
                "SELECT CAST(1 AS STRING), CAST(1.50 AS VARCHAR(10)), CAST(0.1 AS DOUBLE), CAST(true AS INT)",
                "1|1.50|0.1|1",
            ),
            (
                "SELECT CAST('2024-02-30' AS DATE), CAST('2024-02-29 12:00:00' AS DATE), CAST('20240229' AS DATETIME)",
                "NULL|2024-02-29|2024-02-29 00:00:00",
            ),
            (
                "SELECT CAST('99999999999999999999' AS LARGEINT), CAST('true' AS BOOLEAN), CAST('x' AS DOUBLE)",
                "99999999999999999999|1|NULL",
            ),
            ("SELECT GREATEST(1, 2.5, 2), LEAST('b', 'a'), ABS(-1.50), SIGN(-3)", "2.5|a|1.50|-1"),
            ("SELECT 1e16, 1e15, 0.00001e0, CAST(0.1 AS FLOAT)", "1e+16|1000000000000000|1e-05|0.1"),
            ("SELECT 3 & 1, 1 | 2, ~0, + 5, - (2)", "1|3|-1|5|-2"),
        ],
    );
}

#[test]
fn functions_give_what_they_give_in_starrocks() {
    check(
        &mut World::new(),
        &[
            (
                "SELECT LENGTH('ümläut'), CHAR_LENGTH('ümläut'), UPPER('ü'), LOWER('ABC'), REVERSE('abc')",
                "8|6|Ü|abc|cba",
            ),
            (
                "SELECT SUBSTR('hello', 2), SUBSTRING('hello', -3, 2), SUBSTRING('hello' FROM 2 FOR 3), SUBSTR('a', 0)",
                "ello|ll|ell|",
            ),
            (
                "SELECT TRIM('  a '), LTRIM(' a '), RTRIM(' a '), RTRIM('xax', 'x'), TRIM(BOTH 'x' FROM 'xax')",
                "a|a | a|xa|a",
            ),
            ("SELECT CONCAT('a', 1, NULL), CONCAT('a', 1, 2.50), CONCAT_WS('-', 'a', NULL, 'b')", "NULL|a12.50|a-b"),
            (
                "SELECT REPLACE('aXbX', 'X', '.'), LPAD('7', 3, '0'), RPAD('a', 3, 'bc'), REPEAT('ab', 2)",
                "a.b.|007|abc|abab",
            ),
            (
                "SELECT LEFT('abc', 2), RIGHT('abc', 2), INSTR('abc', 'c'), LOCATE('b', 'abcb', 3), SPLIT_PART('a,b,c', ',', -1)",
                "ab|bc|3|4|c",
            ),
            (
                "SELECT ROUND(2.5), ROUND(2.345, 2), ROUND(-1.5e0), FLOOR(-1.5), CEIL(1.2), TRUNCATE(1.999, 1)",
                "3|2.35|-2|-2|2|1.9",
            ),
            (
                "SELECT MOD(7, 3), MOD(7.5, 2), POWER(2, 10), SQRT(16), LN(1), LOG10(1000), SQRT(-1)",
                "1|1.5|1024|4|0|3|NULL",
            ),
            (
                "SELECT YEAR('2024-02-29'), MONTH(DATE '2024-02-29'), DAY('2024-02-29'), HOUR('2024-02-29 13:14:15'), QUARTER('2024-05-01')",
                "2024|2|29|13|2",
            ),
            (
                "SELECT DAYOFWEEK('2024-02-29'), DAYOFYEAR('2024-03-01'), WEEKDAY('2024-02-29'), WEEKOFYEAR('2024-01-01'), DAYNAME('2024-02-29')",
                "5|61|3|1|Thursday",
            ),
            (
                "SELECT DATE_FORMAT('2024-02-09 03:04:05', '%Y/%m/%d %H:%i:%s'), DATE_FORMAT('2024-02-09', '%M %e, %y')",
                "2024/02/09 03:04:05|February 9, 24",
            ),
            (
                "SELECT STR_TO_DATE('09.02.2024', '%d.%m.%Y'), STR_TO_DATE('2024-02-09 1:02:03 PM', '%Y-%m-%d %h:%i:%s %p'), TO_DATE('2024-02-09 01:02:03')",
                "2024-02-09 00:00:00|2024-02-09 13:02:03|2024-02-09",
            ),
            (
                "SELECT DATE_TRUNC('month', '2024-02-29 10:00:00'), DATE_TRUNC('week', DATE '2024-02-29'), LAST_DAY('2024-02-01')",
                "2024-02-01 00:00:00|2024-02-26|2024-02-29",
            ),
            (
                "SELECT DATE_ADD('2024-01-31', INTERVAL 1 MONTH), DATE_SUB('2024-03-01', INTERVAL 1 DAY), DATE '2024-01-01' + INTERVAL 90 MINUTE",
                "2024-02-29 00:00:00|2024-02-29 00:00:00|2024-01-01 01:30:00",
            ),
            (
                "SELECT DATEDIFF('2024-03-01', '2024-02-28'), TIMESTAMPDIFF(MONTH, '2024-01-31', '2024-03-30'), UNIX_TIMESTAMP('1970-01-02 00:00:00'), FROM_UNIXTIME(86400)",
                "2|1|86400|1970-01-02 00:00:00",
            ),
            (
                "SELECT MD5('abc'), CRC32('123456789'), HEX('ab'), HEX(255), UNHEX('6162'), TO_BASE64('ab'), FROM_BASE64('YWI=')",
                "900150983cd24fb0d6963f7d28e17f72|3421780262|6162|FF|ab|YWI=|ab",
            ),
            (
                "SELECT HEX(TO_BINARY('YWI=', 'encode64')), HEX(TO_BINARY('6162')), FROM_BINARY(TO_BINARY('ä', 'utf8'), 'utf8')",
                "6162|6162|ä",
            ),
            (
                "SELECT PARSE_JSON('{\"a\":1}'), GET_JSON_STRING('{\"a\":{\"b\":\"c\"}}', '$.a.b'), GET_JSON_INT('{\"a\":[5]}', '$.a[0]'), PARSE_JSON('{\"a\": {\"b\": 1}}') -> 'a'",
                "{\"a\": 1}|c|5|{\"b\": 1}",
            ),
            (
                "SELECT SPLIT('a,b', ','), SPLIT('a,b', ',')[2], ARRAY_LENGTH([1,2,3]), ARRAY_CONTAINS([1,2], 2), [1,2,3][-1]",
                "[\"a\",\"b\"]|b|3|1|3",
            ),
            (
                "SELECT DATABASE(), CONNECTION_ID(), USER(), VERSION(), @@max_allowed_packet",
                "d|7|'root'@'%'|8.0.33|33554432",
            ),
            ("SELECT @@session.auto_increment_increment, @@version_comment LIKE 'StarRocks%', @unheard_of", "1|1|NULL"),
            ("SELECT CHAR_LENGTH(UUID()), NOW() > '2020-01-01', CURRENT_DATE = DATE(NOW())", "36|1|1"),
        ],
    );
}

#[test]
fn queries_mean_what_they_mean_in_starrocks() {
    check(
        &mut World::with_rows(),
        &[
            (
                "SELECT * FROM t WHERE id = 1",
                "1|one|1.10|170141183460469231731687303715884105727|0.5|2024-01-31|2024-01-31 10:20:30|1|{\"x\": 1, \"y\": [1, \"z\"]}|[1,2,3]",
            ),
            ("SELECT id FROM d.t ORDER BY price", "3\n2\n1\n4"),
            ("SELECT id FROM t ORDER BY big DESC, 1", "1\n4\n2\n3"),
            (
                "SELECT SUM(price), AVG(price), MIN(price), MAX(price), COUNT(price), COUNT(*) FROM t",
                "81.05|27.01666667|-20.05|100.00|3|4",
            ),
            (
                "SELECT MAX(big), MIN(big), SUM(id), AVG(id), SUM(f) FROM t",
                "170141183460469231731687303715884105727|-5|10|2.5|-0.25",
            ),
            ("SELECT COUNT(DISTINCT b), COUNT(DISTINCT b, id) FROM t", "2|3"),
            ("SELECT b, COUNT(*) c FROM t GROUP BY b ORDER BY c DESC, b", "1|2\nNULL|1\n0|1"),
            (
                "SELECT YEAR(d) y, SUM(price) FROM t WHERE d IS NOT NULL GROUP BY y HAVING SUM(price) > 0 ORDER BY 1",
                "1999|100.00",
            ),
            ("SELECT b, id + 1 FROM t GROUP BY 1, id + 1 HAVING id + 1 > 3 ORDER BY 2", "NULL|4\n1|5"),
            ("SELECT id FROM t WHERE price > 1 AND price < '100.5' ORDER BY id LIMIT 1, 5", "4"),
            ("SELECT id FROM t ORDER BY id LIMIT 2 OFFSET 1", "2\n3"),
            ("SELECT x.id, y.id FROM t x JOIN t AS y ON x.id = y.id + 1 WHERE x.id > 2 ORDER BY x.id", "3|2\n4|3"),
            (
                "SELECT x.id, y.name FROM t x LEFT JOIN (SELECT id + 1 AS id, name FROM t) y ON x.id = y.id ORDER BY 1",
                "1|NULL\n2|one\n3|Two\n4|NULL",
            ),
            ("SELECT * FROM (SELECT 1 AS k, 'l' AS v) a JOIN (SELECT 1 AS k, 'r' AS w) b USING (k)", "1|l|r"),
            ("SELECT id FROM t WHERE id IN (SELECT id - 1 FROM t WHERE b) ORDER BY id", "3"),
            ("SELECT id FROM t o WHERE EXISTS (SELECT 1 FROM t i WHERE i.id = o.id + 2) ORDER BY id", "1\n2"),
            ("SELECT (SELECT MAX(price) FROM t), id FROM t WHERE id = 1", "100.00|1"),
            (
                "WITH c AS (SELECT id, price FROM t WHERE price > 0), e(k) AS (SELECT id FROM c) SELECT COUNT(*), SUM(k) FROM e",
                "2|5",
            ),
            ("SELECT 1 UNION SELECT 1 UNION ALL SELECT 2 ORDER BY 1", "1\n2"),
            ("SELECT 1.5 AS v UNION ALL SELECT 2 ORDER BY v DESC", "2.0\n1.5"),
            ("SELECT DISTINCT b FROM t ORDER BY b", "NULL\n0\n1"),
            (
                "SELECT j->'x', get_json_string(j, '$.y[1]'), a[1], array_length(a) FROM t WHERE id < 3 ORDER BY id",
                "1|z|1|3\n\"s\"|NULL|NULL|0",
            ),
            ("SELECT GROUP_CONCAT(name ORDER BY id DESC SEPARATOR ';') FROM t", "ümläut;Two;one"),
            ("SELECT id, ROW_NUMBER() OVER (ORDER BY f DESC) FROM t WHERE f IS NOT NULL ORDER BY id", "1|2\n2|1\n4|3"),
            ("SELECT dt FROM t WHERE dt >= '2024-02-29' AND d <> dt", "2024-02-29 00:00:00.500000"),
            ("SELECT COUNT(*) FROM t WHERE name = 'two' OR name = 'Two'", "1"),
            ("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'd'", "1"),
            (
                "SELECT column_name, column_type FROM information_schema.columns WHERE table_name = 't' AND ordinal_position <= 2 ORDER BY ordinal_position",
                "id|int\nname|varchar(20)",
            ),
            ("SELECT schema_name FROM information_schema.schemata ORDER BY 1", "d\ninformation_schema"),
            ("SELECT 1 FROM dual", "1"),
            ("SELECT ID, T.NAME FROM t T WHERE Id = 1", "1|one"),
            ("SELECT SUM(price) FROM t WHERE id > 100", "NULL"),
            ("SELECT id AS name FROM t WHERE name = 'one'", "1"),
            ("SELECT id FROM t WHERE price IN (1.1, '100', -20.0500) ORDER BY id", "1\n2\n4"),
            ("SELECT id FROM t WHERE b = 'true' AND big NOT IN (9, 170141183460469231731687303715884105727)", ""),
            (
                "SELECT price, COUNT(*), 1 FROM t GROUP BY price, 1 + 0, 3 ORDER BY price LIMIT 2",
                "NULL|1|1\n-20.05|1|1",
            ),
            (
                "SELECT id, SUM(id) OVER (PARTITION BY b ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM t WHERE b ORDER BY id",
                "1|1\n4|5",
            ),
            ("SELECT x.* FROM t x, t y WHERE x.id = y.id AND x.price = (SELECT MIN(price) FROM t) LIMIT 0", ""),
            (
                "SELECT SUM(CASE WHEN price > 0 THEN price ELSE 0 END), SUM(price) / COUNT(*), MAX(price) - MIN(price) FROM t",
                "101.10|20.26250000|120.05",
            ),
            ("SELECT COUNT(DISTINCT price), SUM(DISTINCT id), STDDEV(id) FROM t", "3|10|1.118033988749895"),
            ("SELECT id FROM t WHERE DATE(dt) = d AND dt BETWEEN '2024-01-01' AND '2024-02-01'", "1"),
            ("/* hint */ SELECT id FROM t WHERE j->'x' = 1 -- end", "1"),
            ("/*!40101 SET NAMES utf8 */", "0 done"),
            ("SET autocommit = 1, NAMES utf8mb4, query_timeout = 99", "0 done"),
            ("SELECT @@query_timeout", "99"),
            ("SELECT id + 1 AS next FROM t WHERE id > 1 OR id = 0 HAVING next < 4 ORDER BY 1", "3"),
            ("SELECT COUNT(*) AS n FROM t HAVING n > 4", ""),
            ("SELECT CAST('7' AS SIGNED INTEGER) + CAST('1' AS SIGNED)", "8"),
            ("SELECT CAST(4294967295 AS UNSIGNED INTEGER) + CAST('1' AS UNSIGNED)", "4294967296"),
            (
                "SELECT character_octet_length, datetime_precision, column_size, decimal_digits FROM \
                 information_schema.columns WHERE table_name = 't' AND column_name IN ('name', 'price') ORDER BY 1 DESC",
                "80|NULL|20|NULL\nNULL|NULL|10|2",
            ),
        ],
    );
}

#[test]
fn what_starrocks_refuses_is_refused_and_named() {
    let mut world = World::with_rows();
    for (sql, code, words) in [
        ("SELECT nope FROM t", 1064, "Column 'nope' cannot be resolved"),
        ("SELECT * FROM nope", 5502, "Unknown table 'd.nope'"),
        ("SELECT * FROM nope.t", 1049, "Unknown database 'nope'"),
        ("SELECT frobnicate(id) FROM t", 1064, "No matching function with signature: frobnicate(int)"),
        ("SELECT upper() FROM t", 1064, "No matching function with signature: upper()"),
        ("SELECT name, COUNT(*) FROM t GROUP BY id", 1064, "'name' must be an aggregate expression"),
        ("SELECT id, COUNT(*) FROM t", 1064, "'id' must be an aggregate expression"),
        ("SELECT id FROM t a JOIN t b ON a.id = b.id", 1064, "Column 'id' is ambiguous"),
        ("SELECT 1 FROM t WHERE SUM(id) > 1", 1064, "WHERE clause cannot contain aggregations"),
        ("SELECT * FROM (SELECT 1)", 1248, "must have its own alias"),
        ("SELECT 1 UNION SELECT 1, 2", 1064, "unequal number of columns"),
        ("SELECT id FROM t ORDER BY 2", 1064, "ORDER BY position 2 is not in select list"),
        ("SELECT FROM t", 1064, "syntax error"),
        ("SELECT * FROM t PARTITION (p1)", 1064, "not supported by the sandbox yet"),
        ("SELECT id FROM t WHERE name LIKE 'a' ESCAPE '|'", 1064, "not supported by the sandbox yet"),
        ("SELECT b, SUM(id) FROM t GROUP BY b WITH ROLLUP", 1064, "not supported by the sandbox yet"),
        ("INSERT OVERWRITE t SELECT * FROM t", 1064, "not supported by the sandbox yet"),
        ("SELECT SUM(v) FROM (SELECT 9223372036854775807 AS v UNION ALL SELECT 1) q", 1064, "integer overflow"),
        ("SELEC 1", 1064, "syntax error at line 1, column 0"),
        ("", 1065, "Query was empty"),
        ("USE nope", 1049, "Unknown database 'nope'"),
        ("CREATE DATABASE d", 1007, "database exists"),
        ("DROP DATABASE nope", 1008, "doesn't exist"),
        ("CREATE TABLE t (a INT)", 1050, "Table 't' already exists"),
        ("DROP TABLE nope", 5502, "Unknown table 'd.nope'"),
        ("INSERT INTO t (id) VALUES (1, 2)", 1064, "Column count doesn't match"),
        ("INSERT INTO t (id, nope) VALUES (1, 2)", 1064, "Unknown column 'nope'"),
        ("INSERT INTO t (id) VALUES ('abc')", 1064, "does not fit column 'id'"),
        ("INSERT INTO t (name) VALUES (REPEAT('x', 21))", 1064, "column 'name' takes"),
        ("ALTER TABLE t ADD ROLLUP r (id)", 1064, "not supported by the sandbox yet"),
        ("SET time_zone = 'Mars/Olympus'", 1298, "Unknown or incorrect time zone"),
    ] {
        let error = world.try_run(sql).expect_err(sql);
        assert!(error.code == code && error.message.contains(words), "{sql}: {} {error}", error.code);
    }
}

#[test]
fn columns_have_the_names_and_types_that_starrocks_gives_them() {
    let mut world = World::with_rows();
    for (sql, columns) in [
        ("SELECT id, t.name AS n, price FROM t", "id int, n varchar(20), price decimal(10,2)"),
        (
            "SELECT COUNT(*), SUM(id), SUM(price), AVG(price) FROM t",
            "COUNT(*) bigint, SUM(id) bigint, SUM(price) decimal(38,2), AVG(price) decimal(38,8)",
        ),
        (
            "SELECT id + 1, id / 2, price * price, big + 1 FROM t",
            "id + 1 bigint, id / 2 double, price * price decimal(20,4), big + 1 largeint",
        ),
        (
            "SELECT MAX(dt), MIN(d), b, j, a FROM t GROUP BY b, a",
            "MAX(dt) datetime, MIN(d) date, b boolean, j json, a array<int>",
        ),
    ] {
        if sql.contains("GROUP BY") {
            assert!(world.try_run(sql).is_err(), "j is not in GROUP BY");
        } else {
            assert_eq!(world.columns(sql), columns, "{sql}");
        }
    }
}

#[test]
fn rows_come_and_go() {
    let mut world = World::new();
    check(
        &mut world,
        &[
            (
                "CREATE TABLE s (id BIGINT NOT NULL AUTO_INCREMENT, n INT NOT NULL DEFAULT '7', t DATETIME DEFAULT \
                 CURRENT_TIMESTAMP, u VARCHAR(36) DEFAULT (uuid()), twice BIGINT AS n * 2, note VARCHAR(5))",
                "0 done",
            ),
            ("INSERT INTO s (note) VALUES ('a'), ('b')", "2 done"),
            ("INSERT INTO s (n, note) SELECT n + 1, note FROM s", "2 done"),
            ("INSERT INTO s (id, n) VALUES (DEFAULT, DEFAULT)", "1 done"),
            ("SELECT id, n, twice, note FROM s ORDER BY id", "1|7|14|a\n2|7|14|b\n3|8|16|a\n4|8|16|b\n5|7|14|NULL"),
            ("SELECT COUNT(DISTINCT u), COUNT(t) FROM s", "5|5"),
            ("SHOW TABLES", "s"),
            ("SHOW TABLES LIKE 'x%'", ""),
            ("SHOW DATABASES", "d\ninformation_schema"),
            (
                "DESC s",
                "id|bigint|NO|true|NULL|AUTO_INCREMENT\nn|int|NO|true|7|\nt|datetime|YES|true|CURRENT_TIMESTAMP|\n\
                 u|varchar(36)|YES|false|uuid()|\ntwice|bigint|YES|false|NULL|AS n * 2\nnote|varchar(5)|YES|false|NULL|",
            ),
            ("SHOW VARIABLES LIKE 'lower_case%'", "lower_case_table_names|0"),
            ("SET @@session.sql_mode = 'ANSI', autocommit = 0, @mine = 1 + 1", "0 done"),
            ("SELECT @@sql_mode, @@autocommit, @mine", "ANSI|0|2"),
            ("TRUNCATE TABLE s", "0 done"),
            ("SELECT COUNT(*) FROM s", "0"),
            ("CREATE TABLE IF NOT EXISTS s (a INT)", "0 done"),
            ("CREATE TABLE S (a INT)", "0 done"),
            ("DROP TABLE s", "0 done"),
            ("DROP TABLE IF EXISTS s", "0 done"),
            ("SHOW TABLES FROM d", "S"),
            ("DROP DATABASE d", "0 done"),
            ("DROP DATABASE IF EXISTS d", "0 done"),
        ],
    );
    assert_eq!(world.session.database, None);
}

#[test]
fn long_lists_and_long_inserts_are_taken() {
    let mut world = World::new();
    world.run("CREATE TABLE n (k INT, v DECIMAL(9,1))");
    let rows: Vec<String> = (0..5000).map(|k| format!("({k}, {k}.5)")).collect();
    assert_eq!(world.run(&format!("INSERT INTO n VALUES {}", rows.join(", "))), "5000 done");
    let list: Vec<String> = (0..5000).step_by(2).map(|k| format!("{k}.50")).collect();
    assert_eq!(world.run(&format!("SELECT COUNT(*) FROM n WHERE v IN ({})", list.join(", "))), "2500");
}

#[test]
fn an_expression_of_a_load_reads_its_columns_as_texts() {
    let columns = ["a b".to_owned(), "n".to_owned()];
    let dir = tempfile::tempdir().expect("a directory can be made");
    let store = Store::open(dir.path(), None).expect("the store opens");
    for (expression, expected) in [
        ("concat(`a b`, '-', n)", "x-5"),
        ("n + 1", "6"),
        ("if(n > 3, 'big', 'small')", "big"),
        ("n > 10", "0"),
        ("str_to_date('2024', '%Y')", "2024-01-01 00:00:00"),
    ] {
        let sql = select::translate_expression(expression, &columns, Zone::UTC).expect(expression);
        let value: String = store
            .read(|connection| {
                let query = format!("SELECT CAST({sql} AS TEXT) FROM (SELECT 'x' AS \"a b\", '5' AS \"n\")");
                connection.query_row(&query, [], |row| row.get(0))
            })
            .expect(expression);
        assert_eq!(value.trim_end_matches(".0"), expected, "{expression}");
    }
    for refused in ["nope + 1", "frobnicate(n)", "sum(n)", "(SELECT 1 FROM t)", "n n"] {
        assert!(select::translate_expression(refused, &columns, Zone::UTC).is_err(), "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn exact_sums_agree_with_128_bits(units in proptest::collection::vec(-10_i128.pow(30)..10_i128.pow(30), 1..40)) {
        let mut world = World::new();
        world.run("CREATE TABLE n (k INT, v DECIMAL(38,6), l LARGEINT)");
        let row = |units: &i128| format!("(1, CAST('{units}e-6' AS DECIMAL(38,6)), '{units}')");
        let rows: Vec<String> = units.iter().map(row).collect();
        world.run(&format!("INSERT INTO n VALUES {}", rows.join(", ")));
        let sum: i128 = units.iter().sum();
        let text = format!("{}{}.{:06}", if sum < 0 { "-" } else { "" }, sum.abs() / 1_000_000, sum.abs() % 1_000_000);
        prop_assert_eq!(world.run("SELECT SUM(v), SUM(l) FROM n"), format!("{text}|{sum}"));
        let (max, min) = (units.iter().max().expect("there is one"), units.iter().min().expect("there is one"));
        prop_assert_eq!(world.run("SELECT MAX(l), MIN(l) FROM n"), format!("{max}|{min}"));
        let mut sorted = units.clone();
        sorted.sort_unstable();
        let sorted: Vec<String> = sorted.iter().map(i128::to_string).collect();
        prop_assert_eq!(world.run("SELECT l FROM n ORDER BY v"), sorted.join("\n"));
    }
}

#[path = "access_tests.rs"]
mod access;
#[path = "alter_tests.rs"]
mod alter;

#[test]
fn long_statements_neither_fill_the_stack_nor_the_memory() {
    let mut world = World::with_rows();
    let chains = [("", "1 + ", "1"), ("", "1 - 1 + ", "1"), ("", "'a' || ", "'a'"), ("", "- ", "1"), ("", "NOT ", "1")];
    let mut statements: Vec<String> = Vec::new();
    for times in [90, 150, 190, 330, 490, 900, 990, 5000, 100_000] {
        statements.extend(chains.map(|(open, link, end)| format!("SELECT {open}{}{end}", link.repeat(times))));
        statements.push(format!("SELECT id FROM t WHERE id = 1{}", " OR id = 1".repeat(times)));
        statements.push(format!("SELECT id FROM t WHERE id = 1{}", " AND id + 1 = 2".repeat(times)));
        statements.push(format!("SELECT {}1{}", "(".repeat(times), ")".repeat(times)));
        statements.push(format!("SELECT {}1{}", "abs(".repeat(times), ")".repeat(times)));
        statements.push(format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(times)));
        statements.push(format!("SELECT 1{}", "::INT".repeat(times)));
        statements.push(format!("SELECT 1{}", " IS NULL".repeat(times)));
        statements.push(format!("SELECT j{} FROM t", "->'$.x'".repeat(times)));
        statements.push(format!("SELECT {}1{}", "CASE WHEN 1 THEN ".repeat(times), " END".repeat(times)));
        statements.push(format!("DELETE FROM t WHERE id = 77{}", " OR id = 77".repeat(times)));
        statements.push(format!("INSERT INTO t (id) SELECT 5{} WHERE 1 = 2", " + 5".repeat(times)));
    }
    let (mut run, mut refused) = (0, 0);
    for statement in &statements {
        match world.try_run(statement) {
            Ok(_) => run += 1,
            Err(error) => {
                assert!(!error.message.is_empty());
                refused += 1;
            }
        }
    }
    assert!(run > 20 && refused > 30, "{run} ran, {refused} were refused");
    assert_eq!(world.run(&format!("SELECT count(*) FROM t WHERE id = 1{}", " OR id = 1".repeat(900))), "1");
    let many = world.try_run(&"SELECT 1;".repeat(100_000)).expect_err("one at a time");
    assert!(many.message.contains("only one statement at a time"), "{many}");
    let long = world.try_run(&format!("SELECT {}1", "1,".repeat(300_000))).expect_err("it is too long");
    assert!(long.message.contains("maximum length limit"), "{long}");
    let columns: Vec<String> = (0..10_001).map(|at| format!("c{at} INT")).collect();
    let wide = world.try_run(&format!("CREATE TABLE wide ({}) DUPLICATE KEY(c0)", columns.join(", ")));
    assert_eq!(wide.expect_err("it is too wide").code, 1117);
}
