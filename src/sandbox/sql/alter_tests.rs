//! Tables that change under their rows.

use super::World;

/// What a statement answers, or the refusal.
fn check(world: &mut World, cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        let answer = world.try_run(sql).unwrap_or_else(|error| error.message);
        assert!(answer == *expected || !expected.is_empty() && answer.contains(expected), "{sql}: {answer}");
    }
}

#[test]
fn columns_come_with_their_defaults_and_go() {
    let mut world = World::new();
    check(
        &mut world,
        &[
            (
                "CREATE TABLE t (k INT, v VARCHAR(5), d INT, g BIGINT AS d * 2) DUPLICATE KEY(k) \
                 DISTRIBUTED BY HASH(k) BUCKETS 2",
                "0 done",
            ),
            ("INSERT INTO t (k, v, d) VALUES (1, 'a', 10), (2, 'b', NULL)", "2 done"),
            ("ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT '7' AFTER k", "0 done"),
            ("ALTER TABLE d.t ADD COLUMN (x DECIMAL(9,2) DEFAULT '1.5' COMMENT 'c', y DATE)", "0 done"),
            ("SELECT * FROM t ORDER BY k", "1|7|a|10|20|1.50|NULL\n2|7|b|NULL|NULL|1.50|NULL"),
            ("INSERT INTO t (k, v, d) VALUES (3, 'c', 1)", "1 done"),
            ("SELECT n, x FROM t WHERE k = 3", "7|1.50"),
            ("ALTER TABLE t DROP COLUMN y, DROP COLUMN n", "0 done"),
            ("SELECT * FROM t WHERE k = 1", "1|a|10|20|1.50"),
            ("ALTER TABLE t DROP COLUMN d", "used by generated column g"),
            ("ALTER TABLE t DROP COLUMN k", "Can not drop key column k"),
            ("ALTER TABLE t DROP COLUMN nope", "Column nope does not exist"),
            ("ALTER TABLE t ADD COLUMN v INT", "Duplicate column name"),
            ("ALTER TABLE t ADD COLUMN z INT NOT NULL", "no default value"),
            ("ALTER TABLE t ADD COLUMN z INT FIRST", "value should be after key"),
            ("ALTER TABLE t ADD COLUMN z INT KEY", "not supported by the sandbox yet"),
            ("ALTER TABLE t ADD PARTITION p1 VALUES LESS THAN ('1')", "ADD PARTITION is not supported"),
            ("ALTER TABLE t MODIFY COLUMN v VARCHAR(50)", "0 done"),
            ("ALTER TABLE t MODIFY COLUMN d LARGEINT, MODIFY COLUMN x COMMENT 'other'", "0 done"),
            ("SELECT v, d, g FROM t ORDER BY k LIMIT 1", "a|10|20"),
            ("ALTER TABLE t MODIFY COLUMN d INT", "Can not change largeint to int"),
            ("ALTER TABLE t RENAME COLUMN k TO id", "0 done"),
            ("SELECT id FROM t ORDER BY id", "1\n2\n3"),
            ("SHOW ALTER TABLE COLUMN WHERE State = 'FINISHED' LIMIT 1", "|t|"),
            ("ALTER TABLE t SET ('replication_num' = '1')", "0 done"),
            ("ALTER TABLE t COMMENT = \"what it is\"", "0 done"),
            ("ALTER TABLE t RENAME s", "0 done"),
            ("SELECT count(*) FROM t", "Unknown table"),
            (
                "SHOW CREATE TABLE s",
                "s|CREATE TABLE `s` (\n  `id` int NULL COMMENT \"\",\n  `v` varchar(50) NULL COMMENT \"\",\n  `d` largeint NULL \
                 COMMENT \"\",\n  `g` bigint NULL AS d * 2 COMMENT \"\",\n  `x` decimal(9,2) NULL DEFAULT \"1.5\" COMMENT \
                 \"other\"\n) ENGINE=OLAP\nDUPLICATE KEY(`id`)\nCOMMENT \"what it is\"\nDISTRIBUTED BY HASH(`id`) BUCKETS \
                 2\nPROPERTIES (\n\"replication_num\" = \"1\"\n);",
            ),
        ],
    );
}

#[test]
fn tables_come_from_tables_and_queries_and_change_places() {
    let mut world = World::with_rows();
    check(
        &mut world,
        &[
            ("CREATE TABLE l LIKE t", "0 done"),
            ("CREATE TABLE IF NOT EXISTS l LIKE t", "0 done"),
            ("CREATE TABLE l LIKE t", "already exists"),
            ("SELECT count(*) FROM l", "0"),
            ("CREATE TABLE q DISTRIBUTED BY HASH(id) AS SELECT id, price * 2 AS p, NULL AS n FROM t", "4 done"),
            ("SELECT id, p, n FROM q WHERE id = 1", "1|2.20|NULL"),
            ("DESC q", "id|int|YES|true|NULL|\np|"),
            ("CREATE TABLE bad AS SELECT nope FROM t", "cannot be resolved"),
            ("SHOW TABLES LIKE 'bad'", ""),
            ("ALTER TABLE l SWAP WITH t", "0 done"),
            ("SELECT count(*) FROM l", "4"),
            ("SHOW CREATE TABLE l", "CREATE TABLE `l` ("),
            ("TRUNCATE TABLE l", "0 done"),
            ("DROP TABLE l FORCE", "0 done"),
            ("DROP DATABASE d FORCE", "0 done"),
        ],
    );
}

#[test]
fn versions_are_counted_and_compacted() {
    let mut world = World::new();
    let versions = "SELECT NUM_VERSION, MAX_VERSION, NUM_ROW FROM information_schema.be_tablets";
    check(
        &mut world,
        &[
            ("CREATE TABLE t (k INT) DISTRIBUTED BY RANDOM BUCKETS 2", "0 done"),
            (versions, "1|1|0\n1|1|0"),
            ("INSERT INTO t VALUES (1), (2), (3)", "3 done"),
            ("INSERT INTO t VALUES (4)", "1 done"),
            (versions, "3|3|2\n3|3|2"),
            ("ALTER TABLE t COMPACT", "0 done"),
            (versions, "1|3|2\n1|3|2"),
            ("SHOW TABLET FROM t ORDER BY RowCount LIMIT 1", "|NORMAL|"),
            ("SHOW PARTITIONS FROM t", "|ALL KEY|2|1|"),
            ("SELECT VISIBLE_VERSION, ROW_COUNT FROM information_schema.partitions_meta", "3|4"),
        ],
    );
}
