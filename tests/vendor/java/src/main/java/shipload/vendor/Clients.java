package shipload.vendor;

import com.starrocks.data.load.stream.StreamLoadDataFormat;
import com.starrocks.data.load.stream.StreamLoadSnapshot;
import com.starrocks.data.load.stream.properties.StreamLoadProperties;
import com.starrocks.data.load.stream.properties.StreamLoadTableProperties;
import com.starrocks.data.load.stream.v2.StreamLoadManagerV2;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.Properties;

/**
 * Loads through StarRocks' own Java SDK, reads back by two JDBC drivers, and prints a line for each:
 * {@code client TAB result}. Arguments: the frontend's host:port and the MySQL port.
 */
public final class Clients {
    /** Rows of one load; with {@link #CHUNK_BYTES} they are several requests of one transaction. */
    private static final int ROWS = 20_000;
    private static final long CHUNK_BYTES = 200_000;

    private final String frontend;
    private final String mysqlPort;
    private boolean failed;

    private interface Check {
        String run() throws Exception;
    }

    private Clients(String frontend, String mysqlPort) {
        this.frontend = frontend;
        this.mysqlPort = mysqlPort;
    }

    public static void main(String[] arguments) {
        Clients clients = new Clients(arguments[0], arguments[1]);
        clients.all();
        // The SDK keeps threads that are no daemons.
        System.exit(clients.failed ? 1 : 0);
    }

    private void all() {
        check("SDK, stream load, CSV", () -> load("plain_csv", false, true, StreamLoadDataFormat.CSV));
        check("SDK, stream load, JSON", () -> load("plain_json", false, true, StreamLoadDataFormat.JSON));
        check("SDK, transactions, committed by itself", () -> load("auto_csv", true, true, StreamLoadDataFormat.CSV));
        check("SDK, transactions, CSV, prepare and commit", () -> load("two_csv", true, false, StreamLoadDataFormat.CSV));
        check("SDK, transactions, JSON, prepare and commit", () -> load("two_json", true, false, StreamLoadDataFormat.JSON));
        check("SDK, transactions, rolled back", this::rollBack);
        check("SDK, upsert and delete", this::upsertAndDelete);
        check("SDK, a row that does not fit", this::misfit);
        String mysql = "jdbc:mysql";
        String mariadb = "jdbc:mariadb";
        check("MySQL Connector/J", () -> rows(mysql, ""));
        check("MySQL Connector/J, server-side prepare", () -> rows(mysql, "&useServerPrepStmts=true"));
        check("MySQL Connector/J, cursor fetch", () -> rows(mysql, "&useCursorFetch=true&defaultFetchSize=100"));
        check("MySQL Connector/J, rewritten batches", () -> rows(mysql, "&rewriteBatchedStatements=true"));
        check("MySQL Connector/J, metadata", () -> metadata(mysql));
        check("MariaDB Connector/J", () -> rows(mariadb, ""));
        check("MariaDB Connector/J, server-side prepare", () -> rows(mariadb, "&useServerPrepStmts=true"));
        check("MariaDB Connector/J, metadata", () -> metadata(mariadb));
    }

    private void check(String name, Check check) {
        String result;
        try {
            result = "ok: " + check.run();
        } catch (Throwable problem) {
            failed = true;
            result = "FAILED: " + String.valueOf(problem).replaceAll("\\s+", " ");
            problem.printStackTrace();
        }
        System.out.println(name + "\t" + result);
    }

    private Connection connect(String scheme, String options) throws SQLException {
        String plain = scheme.contains("maria") ? "disable" : "DISABLED";
        String url = scheme + "://127.0.0.1:" + mysqlPort + "/?user=root&sslMode=" + plain;
        return DriverManager.getConnection(url + options);
    }

    private void fresh(String table) throws SQLException {
        try (Connection connection = connect("jdbc:mysql", ""); Statement statement = connection.createStatement()) {
            statement.execute("CREATE DATABASE IF NOT EXISTS sdk");
            statement.execute("DROP TABLE IF EXISTS sdk." + table);
            statement.execute("CREATE TABLE sdk." + table + " (id BIGINT NOT NULL, name VARCHAR(50), price DECIMAL(12, 2)) "
                    + "PRIMARY KEY (id) DISTRIBUTED BY HASH(id) BUCKETS 4 PROPERTIES ('replication_num' = '1')");
        }
    }

    private StreamLoadManagerV2 manager(String table, boolean transactions, boolean auto, StreamLoadDataFormat format) {
        boolean json = format instanceof StreamLoadDataFormat.JSONFormat;
        StreamLoadTableProperties.Builder one = StreamLoadTableProperties.builder()
                .database("sdk").table(table).streamLoadDataFormat(format).chunkLimit(CHUNK_BYTES)
                .addProperty("format", json ? "json" : "csv");
        if (json) {
            one.addProperty("strip_outer_array", "true").addProperty("ignore_json_size", "true");
        } else {
            one.addProperty("column_separator", "\t").addProperty("row_delimiter", "\n");
        }
        StreamLoadProperties.Builder all = StreamLoadProperties.builder()
                .loadUrls(frontend).jdbcUrl("jdbc:mysql://127.0.0.1:" + mysqlPort).username("root").password("")
                .version("3.5.0").labelPrefix("sdk-" + table + "-").cacheMaxBytes(1 << 24).expectDelayTime(500)
                .defaultTableProperties(one.build());
        if (transactions) {
            all.enableTransaction();
        }
        StreamLoadManagerV2 manager = new StreamLoadManagerV2(all.build(), auto);
        manager.init();
        return manager;
    }

    private static String row(StreamLoadDataFormat format, int id) {
        String price = BigDecimal.valueOf(id).movePointLeft(2).toPlainString();
        return format instanceof StreamLoadDataFormat.JSONFormat
                ? "{\"id\": " + id + ", \"name\": \"näme " + id + "\", \"price\": " + price + "}"
                : id + "\tnäme " + id + "\t" + price;
    }

    private String load(String table, boolean transactions, boolean auto, StreamLoadDataFormat format) throws Exception {
        fresh(table);
        StreamLoadManagerV2 manager = manager(table, transactions, auto, format);
        try {
            for (int id = 0; id < ROWS; id++) {
                manager.write(null, "sdk", table, row(format, id));
            }
            manager.flush();
            if (transactions && !auto) {
                StreamLoadSnapshot snapshot = manager.snapshot();
                if (snapshot.getTransactions().isEmpty()) {
                    throw new IllegalStateException("nothing to prepare");
                }
                if (!manager.prepare(snapshot)) {
                    throw new IllegalStateException("prepare said no", manager.getException());
                }
                expect(table, 0, "0");
                if (!manager.commit(snapshot)) {
                    throw new IllegalStateException("commit said no", manager.getException());
                }
            }
            if (manager.getException() != null) {
                throw new IllegalStateException(manager.getException());
            }
        } finally {
            manager.close();
        }
        return expect(table, ROWS, BigDecimal.valueOf((long) ROWS * (ROWS - 1) / 2).movePointLeft(2).toPlainString());
    }

    private String rollBack() throws Exception {
        fresh("rolled_back");
        StreamLoadManagerV2 manager = manager("rolled_back", true, false, StreamLoadDataFormat.CSV);
        try {
            for (int id = 0; id < ROWS; id++) {
                manager.write(null, "sdk", "rolled_back", row(StreamLoadDataFormat.CSV, id));
            }
            manager.flush();
            StreamLoadSnapshot snapshot = manager.snapshot();
            if (!manager.prepare(snapshot) || !manager.abort(snapshot)) {
                throw new IllegalStateException("prepare or abort said no", manager.getException());
            }
        } finally {
            manager.close();
        }
        return expect("rolled_back", 0, "0");
    }

    private String upsertAndDelete() throws Exception {
        fresh("changes");
        StreamLoadDataFormat format = StreamLoadDataFormat.JSON;
        StreamLoadTableProperties one = StreamLoadTableProperties.builder()
                .database("sdk").table("changes").streamLoadDataFormat(format).enableUpsertDelete(true)
                .addProperty("format", "json").addProperty("strip_outer_array", "true").build();
        StreamLoadProperties all = StreamLoadProperties.builder().loadUrls(frontend).username("root").password("")
                .version("3.5.0").labelPrefix("sdk-changes-").cacheMaxBytes(1 << 24).expectDelayTime(500)
                .defaultTableProperties(one).build();
        StreamLoadManagerV2 manager = new StreamLoadManagerV2(all, true);
        manager.init();
        try {
            manager.write(null, "sdk", "changes", "{\"id\": 1, \"name\": \"a\", \"price\": 1.5, \"__op\": 0}",
                    "{\"id\": 2, \"name\": \"b\", \"price\": 2.5, \"__op\": 0}");
            manager.flush();
            manager.write(null, "sdk", "changes", "{\"id\": 1, \"__op\": 1}");
            manager.flush();
            if (manager.getException() != null) {
                throw new IllegalStateException(manager.getException());
            }
        } finally {
            manager.close();
        }
        return expect("changes", 1, "2.50");
    }

    /** The SDK has to notice, and to fetch the log of the row from the address in the answer. */
    private String misfit() throws Exception {
        fresh("misfit");
        StreamLoadManagerV2 manager = manager("misfit", false, true, StreamLoadDataFormat.CSV);
        String said;
        try {
            manager.write(null, "sdk", "misfit", "not a number\tx\t1");
            manager.flush();
            said = String.valueOf(manager.getException());
        } catch (RuntimeException refused) {
            said = String.valueOf(refused);
        } finally {
            try {
                manager.close();
            } catch (RuntimeException known) {
                // It tells of the same failure once more.
            }
        }
        if (!said.contains("not a number")) {
            throw new IllegalStateException("the error log is not in what the SDK says: " + said);
        }
        return "refused, with the row";
    }

    private String expect(String table, long rows, String sum) throws SQLException {
        try (Connection connection = connect("jdbc:mysql", ""); Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery("SELECT count(*), coalesce(sum(price), 0) FROM sdk." + table)) {
            result.next();
            if (result.getLong(1) != rows || result.getBigDecimal(2).compareTo(new BigDecimal(sum)) != 0) {
                throw new IllegalStateException("expected " + rows + " rows with " + sum + ", found " + result.getLong(1)
                        + " with " + result.getBigDecimal(2));
            }
            return rows + " rows, sum " + sum;
        }
    }

    private String rows(String scheme, String options) throws SQLException {
        try (Connection connection = connect(scheme, options)) {
            try (Statement statement = connection.createStatement()) {
                statement.execute("CREATE DATABASE IF NOT EXISTS jdbc");
            }
            connection.setCatalog("jdbc");
            Statement statement = connection.createStatement();
            statement.execute("DROP TABLE IF EXISTS t");
            statement.execute("CREATE TABLE t (id BIGINT NOT NULL, name VARCHAR(50), price DECIMAL(12, 2), ratio DOUBLE, "
                    + "yes BOOLEAN, day DATE, at DATETIME, big LARGEINT, doc JSON, bin VARBINARY) PRIMARY KEY (id)");
            try (PreparedStatement insert = connection.prepareStatement(
                    "INSERT INTO t (id, name, price, ratio, yes, day, at, big) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")) {
                for (int id = 0; id < 300; id++) {
                    insert.setLong(1, id);
                    insert.setString(2, "o'näme\\ " + id);
                    insert.setBigDecimal(3, BigDecimal.valueOf(id, 2));
                    insert.setDouble(4, id / 4.0);
                    insert.setBoolean(5, id % 2 == 0);
                    insert.setDate(6, java.sql.Date.valueOf("2024-02-29"));
                    insert.setTimestamp(7, Timestamp.valueOf("2024-02-29 12:34:56.5"));
                    insert.setString(8, "170141183460469231731687303715884105727");
                    insert.addBatch();
                }
                insert.executeBatch();
            }
            try (PreparedStatement select = connection.prepareStatement("SELECT * FROM t WHERE id >= ? ORDER BY id")) {
                select.setInt(1, 100);
                try (ResultSet rows = select.executeQuery()) {
                    int id = 100;
                    for (; rows.next(); id++) {
                        require(rows.getLong("id") == id, "id");
                        require(rows.getString("name").equals("o'näme\\ " + id), "name");
                        require(rows.getBigDecimal("price").equals(BigDecimal.valueOf(id, 2)), "price");
                        require(rows.getDouble("ratio") == id / 4.0, "ratio");
                        require(rows.getBoolean("yes") == (id % 2 == 0), "yes");
                        require(rows.getDate("day").toString().equals("2024-02-29"), "day");
                        require(rows.getTimestamp("at").toString().equals("2024-02-29 12:34:56.5"), "at");
                        require(rows.getString("big").equals("170141183460469231731687303715884105727"), "big");
                        require(rows.getString("doc") == null && rows.getBytes("bin") == null, "NULL");
                    }
                    require(id == 300, "rows");
                }
            }
            return connection.getMetaData().getDriverVersion().replaceAll(" .*", "") + ", 300 rows of 10 types";
        }
    }

    /** What database tools ask first. */
    private String metadata(String scheme) throws SQLException {
        try (Connection connection = connect(scheme, "")) {
            return metadata(connection.getMetaData());
        }
    }

    private static String metadata(DatabaseMetaData metadata) throws SQLException {
        int columns = 0;
        try (ResultSet rows = metadata.getColumns("jdbc", null, "t", "%")) {
            while (rows.next()) {
                columns++;
            }
        }
        require(columns == 10, "getColumns found " + columns);
        try (ResultSet rows = metadata.getTables("jdbc", null, "%", null)) {
            require(rows.next() && rows.getString("TABLE_NAME").equals("t"), "getTables");
        }
        try (ResultSet rows = metadata.getCatalogs()) {
            boolean found = false;
            while (rows.next()) {
                found |= rows.getString(1).equals("jdbc");
            }
            require(found, "getCatalogs");
        }
        for (ResultSet rows : new ResultSet[] {metadata.getPrimaryKeys("jdbc", null, "t"), metadata.getTypeInfo(),
            metadata.getIndexInfo("jdbc", null, "t", false, true), metadata.getImportedKeys("jdbc", null, "t"),
            metadata.getSchemas(), metadata.getProcedures("jdbc", null, "%")}) {
            while (rows.next()) {
                rows.getString(1);
            }
            rows.close();
        }
        return "server " + metadata.getDatabaseProductVersion();
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException("wrong: " + what);
        }
    }
}
