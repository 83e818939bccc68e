-- Statements as people write them for StarRocks. The sandbox takes every one.
CREATE DATABASE IF NOT EXISTS shop;
USE shop;
CREATE TABLE IF NOT EXISTS `visits` (
  `visit_id` bigint(20) NOT NULL COMMENT "number of the visit",
  `site` int(11) NULL DEFAULT '10' COMMENT "which site",
  `town` varchar(32) NULL DEFAULT '' COMMENT "",
  `who` varchar(32) DEFAULT "nobody",
  `clicks` bigint(20) SUM DEFAULT '0' COMMENT "how often"
) ENGINE=OLAP
AGGREGATE KEY(`visit_id`, `site`, `town`, `who`)
COMMENT "visits by town"
DISTRIBUTED BY HASH(`site`) BUCKETS 10
PROPERTIES (
  "replication_num" = "1",
  "in_memory" = "false",
  "storage_format" = "DEFAULT",
  "enable_persistent_index" = "false",
  "compression" = "LZ4"
);
CREATE TABLE orders (
  order_day DATE NOT NULL COMMENT 'day of the order',
  order_id BIGINT NOT NULL,
  customer VARCHAR(65533) NULL,
  amount DECIMAL(18, 2) NOT NULL DEFAULT "0.00",
  INDEX idx_customer (customer) USING BITMAP COMMENT 'few customers',
  INDEX idx_order (order_id) USING BITMAP
) DUPLICATE KEY(order_day, order_id)
PARTITION BY RANGE(order_day) (
  PARTITION p1 VALUES LESS THAN ("2024-02-01"),
  PARTITION p2 VALUES [("2024-02-01"), ("2024-03-01")),
  PARTITION p3 VALUES LESS THAN MAXVALUE
)
DISTRIBUTED BY HASH(order_id)
ORDER BY (order_day, customer)
PROPERTIES (
  "replication_num" = "1",
  "bloom_filter_columns" = "customer",
  "storage_medium" = "HDD",
  "dynamic_partition.enable" = "true",
  "dynamic_partition.time_unit" = "DAY",
  "dynamic_partition.start" = "-7",
  "dynamic_partition.end" = "3",
  "dynamic_partition.prefix" = "p",
  "dynamic_partition.buckets" = "8",
  "colocate_with" = "group1"
);
CREATE TABLE events_batch (
  happened DATE NOT NULL, kind INT
) DUPLICATE KEY(happened)
PARTITION BY RANGE (happened) (
  START ("2021-01-01") END ("2021-01-04") EVERY (INTERVAL 1 DAY),
  START ("2021-02-01") END ("2021-05-01") EVERY (INTERVAL 1 MONTH)
) DISTRIBUTED BY HASH(kind) BUCKETS 1 PROPERTIES ("replication_num" = "1");
CREATE TABLE events (
  happened DATETIME NOT NULL,
  kind INT NOT NULL,
  body JSON,
  tags ARRAY<VARCHAR(20)>,
  attributes MAP<VARCHAR(20), INT>,
  place STRUCT<name VARCHAR(20), lat DOUBLE>
) DUPLICATE KEY(happened, kind)
PARTITION BY date_trunc('day', happened)
DISTRIBUTED BY RANDOM
PROPERTIES ("replication_num" = "1", "partition_live_number" = "3", "write_quorum" = "MAJORITY", "replicated_storage" = "true");
CREATE TABLE events_columns (
  city VARCHAR(20) NOT NULL, happened DATETIME NOT NULL, n INT
) DUPLICATE KEY(city, happened) PARTITION BY (city, happened) DISTRIBUTED BY RANDOM BUCKETS 3;
CREATE TABLE events_mixed (
  city VARCHAR(20) NOT NULL, happened DATETIME NOT NULL, n INT
) DUPLICATE KEY(city, happened) PARTITION BY date_trunc('month', happened), city DISTRIBUTED BY HASH(city);
CREATE TABLE by_list (
  city VARCHAR(20) NOT NULL, day DATE NOT NULL
) DUPLICATE KEY(city) PARTITION BY LIST (city) (
  PARTITION pNorth VALUES IN ("Oslo", "Bergen"),
  PARTITION pSouth VALUES IN ("Rome")
) DISTRIBUTED BY HASH(city) BUCKETS 2 PROPERTIES ("replication_num" = "1");
CREATE TABLE totals (
  day DATE NOT NULL,
  shop INT NOT NULL,
  note VARCHAR(20) REPLACE_IF_NOT_NULL NULL,
  last_price DECIMAL(9,2) REPLACE NULL,
  lowest INT MIN,
  highest INT MAX DEFAULT "0",
  sold BIGINT SUM DEFAULT "0"
) AGGREGATE KEY(day, shop) DISTRIBUTED BY HASH(shop) BUCKETS 4 PROPERTIES ("replication_num" = "1");
CREATE TABLE numbers (
  id BIGINT NOT NULL AUTO_INCREMENT,
  name STRING NOT NULL,
  made DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  ident VARCHAR(64) DEFAULT (uuid()),
  price DOUBLE,
  doubled DOUBLE AS (price * 2) COMMENT "made from the price",
  made_day DATE AS (date(made))
) PRIMARY KEY (id) DISTRIBUTED BY HASH(id) BUCKETS 4
ORDER BY (name)
PROPERTIES ("replication_num" = "1", "enable_persistent_index" = "true", "persistent_index_type" = "LOCAL", "primary_index_cache_expire_sec" = "3600");
CREATE TABLE uniq (k INT, s SMALLINT, v VARCHAR(10)) UNIQUE KEY (k, s) DISTRIBUTED BY HASH(k) BUCKETS 1;
CREATE TABLE plain (k INT, v VARCHAR(10)) PROPERTIES ("replication_num" = "1");
CREATE TABLE plain_like LIKE plain;
CREATE TABLE all_types (
  c_boolean BOOLEAN, c_tiny TINYINT, c_small SMALLINT, c_int INT, c_big BIGINT, c_large LARGEINT,
  c_float FLOAT, c_double DOUBLE, c_decimal DECIMAL(27,9), c_decimal32 DECIMAL32(9,2), c_decimal64 DECIMAL64(18,4), c_decimal128 DECIMAL128(38,10),
  c_date DATE, c_datetime DATETIME, c_char CHAR(10), c_varchar VARCHAR(100), c_string STRING, c_binary VARBINARY, c_json JSON,
  c_array ARRAY<INT>, c_map MAP<STRING, INT>, c_struct STRUCT<a INT, b STRING>
) DUPLICATE KEY (c_boolean);
CREATE TABLE ngram (k INT, v VARCHAR(100), INDEX ng (v) USING NGRAMBF ("gram_num" = "4", "bloom_filter_fpp" = "0.05") COMMENT '') DUPLICATE KEY (k);
CREATE TABLE gini (k INT, v VARCHAR(100), INDEX gin1 (v) USING GIN ("parser" = "english")) DUPLICATE KEY (k);
CREATE TABLE rolled (k INT, s INT, v INT SUM) AGGREGATE KEY (k, s) DISTRIBUTED BY HASH(k) ROLLUP (r1 (k, v)) PROPERTIES ("replication_num" = "1");
CREATE TABLE ctas AS SELECT k, v FROM plain;
CREATE TABLE ctas2 DISTRIBUTED BY HASH(k) PROPERTIES ("replication_num" = "1") AS SELECT k, v FROM plain;
INSERT INTO visits VALUES (1, 1, 'Oslo', 'a', 3), (1, 1, 'Oslo', 'a', 4);
SELECT * FROM visits ORDER BY 1;
INSERT INTO totals VALUES ('2024-01-01', 1, 'x', 1.5, 3, 3, 1), ('2024-01-01', 1, NULL, 2.5, 2, 9, 5);
SELECT * FROM totals;
INSERT INTO events VALUES ('2024-01-01 10:00:00', 1, parse_json('{"a": 1}'), ['x', 'y'], NULL, NULL);
SELECT body->'a', tags[1] FROM events;
INSERT INTO numbers (name, price) VALUES ('one', 1.5), ('two', 2);
SELECT id, name, price, doubled, made_day = date(made), length(ident) FROM numbers ORDER BY id;
INSERT INTO plain (k, v) SELECT k + 1, v FROM plain;
SELECT * FROM plain ORDER BY k;
SHOW INDEX FROM orders;
SHOW PARTITIONS FROM orders;
SHOW CREATE TABLE orders;
SHOW CREATE TABLE visits;
SHOW CREATE TABLE numbers;
SHOW FULL COLUMNS FROM visits;
DESC totals;
SET GLOBAL query_timeout = 600;
SET enable_profile = true;
SET @x = 3;
SELECT @x;
SELECT @@version_comment, version(), current_version();
SELECT /*+ SET_VAR(query_timeout = 10) */ count(*) FROM plain;
EXPLAIN SELECT * FROM plain;
SHOW VARIABLES LIKE 'version%';
SHOW DATABASES FROM default_catalog;
SHOW TABLES FROM shop;
SET CATALOG default_catalog;
USE default_catalog.shop;
SELECT count(*) FROM default_catalog.shop.plain;
ALTER TABLE plain SET ("replication_num" = "3");
DROP TABLE IF EXISTS plain_like FORCE;
SET autocommit = 1, NAMES utf8mb4, sql_mode = concat(@@sql_mode, ',STRICT_TRANS_TABLES');
ADMIN SHOW FRONTEND CONFIG LIKE '%label_keep%';
