"""Python's clients of StarRocks against a sandbox. Prints a line for each: client TAB result.

Arguments: the frontend's host:port, the MySQL port, and which client.
"""

import asyncio
import datetime
import decimal
import sys
import traceback

FRONTEND, PORT = sys.argv[1], int(sys.argv[2])
WIDE = 2**127 - 1
COLUMNS = """id BIGINT NOT NULL, yes BOOLEAN, tiny TINYINT, big LARGEINT, ratio DOUBLE, price DECIMAL(20, 3), day DATE,
             at DATETIME, word VARCHAR(40), doc JSON, bytes VARBINARY, list ARRAY<INT>"""
ROW = (1, True, -128, str(WIDE), 0.1, decimal.Decimal("12345678901234567.125"), datetime.date(2024, 2, 29),
       datetime.datetime(2024, 2, 29, 23, 59, 59, 500000), "o'näme\\ 😀")
NAMES = "id, yes, tiny, big, ratio, price, day, at, word"


def statements(database):
    marks = ", ".join(["%s"] * len(ROW))
    yield f"CREATE DATABASE IF NOT EXISTS {database}", None
    yield f"USE {database}", None
    yield "DROP TABLE IF EXISTS types", None
    yield f"CREATE TABLE types ({COLUMNS}) PRIMARY KEY (id)", None
    yield f"INSERT INTO types ({NAMES}) VALUES ({marks})", ROW
    yield """INSERT INTO types (id, doc, list) VALUES (2, parse_json('{"a": [1]}'), [1, 2])""", None


def check_rows(rows):
    first, second = (tuple(row) for row in rows)
    assert first[:9] == ROW, first
    assert second[0] == 2 and second[1] is None, second
    return f"{len(rows)} rows of {len(first)} types"


def pymysql_client():
    import pymysql

    with pymysql.connect(host="127.0.0.1", port=PORT, user="root") as connection, connection.cursor() as cursor:
        for statement, values in statements("py_pymysql"):
            cursor.execute(statement, values)
        assert cursor.executemany("INSERT INTO types (id) VALUES (%s)", [(n,) for n in range(10, 15)]) == 5
        cursor.execute("DELETE FROM types WHERE id >= 10")
        cursor.execute(f"SELECT {NAMES} FROM types ORDER BY id")
        return check_rows(cursor.fetchall())


def connector_client():
    import mysql.connector

    # Some wheels come without the half that is written in C.
    kinds = (True, False) if mysql.connector.HAVE_CEXT else (True,)
    said = []
    for pure in kinds:
        connection = mysql.connector.connect(host="127.0.0.1", port=PORT, user="root", use_pure=pure)
        cursor = connection.cursor()
        for statement, values in statements("py_connector"):
            cursor.execute(statement, values)
        cursor.execute(f"SELECT {NAMES} FROM types ORDER BY id")
        said.append(check_rows(cursor.fetchall()))
        prepared = connection.cursor(prepared=True)
        prepared.execute(f"SELECT {NAMES} FROM types WHERE id < ? ORDER BY id", (9,))
        check_rows(prepared.fetchall())
        connection.close()
    return said[0] + (", in Python and in C" if len(kinds) == 2 else ", in Python alone")


def aiomysql_client():
    import aiomysql

    async def run():
        connection = await aiomysql.connect(host="127.0.0.1", port=PORT, user="root")
        async with connection.cursor() as cursor:
            for statement, values in statements("py_aiomysql"):
                await cursor.execute(statement, values)
            await cursor.execute(f"SELECT {NAMES} FROM types ORDER BY id")
            rows = await cursor.fetchall()
        connection.close()
        return check_rows(rows)

    return asyncio.run(run())


def alchemy_client():
    import sqlalchemy as sa

    url = f"starrocks://root@127.0.0.1:{PORT}/"
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("CREATE DATABASE IF NOT EXISTS py_alchemy"))
    engine = sa.create_engine(url + "py_alchemy")
    metadata = sa.MetaData()
    table = sa.Table(
        "people", metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(50), comment="who"),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("seen", sa.DateTime),
        comment="people", starrocks_PRIMARY_KEY="id", starrocks_DISTRIBUTED_BY="HASH(id) BUCKETS 2",
        starrocks_PROPERTIES={"replication_num": "1"},
    )
    metadata.drop_all(engine)
    metadata.create_all(engine)
    day = datetime.datetime(2024, 1, 1)
    rows = [dict(id=1, name="a", price=decimal.Decimal("1.50"), seen=day), dict(id=2, name="b", price=None, seen=None)]
    with engine.begin() as connection:
        connection.execute(table.insert(), rows)
        found = connection.execute(sa.select(table).order_by(table.c.id)).all()
        assert [row._asdict() for row in found] == rows, found
    inspector = sa.inspect(engine)
    assert inspector.get_table_names() == ["people"]
    assert "py_alchemy" in inspector.get_schema_names()
    assert inspector.get_pk_constraint("people")["constrained_columns"] == ["id"]
    assert inspector.get_view_names() == [] and inspector.get_indexes("people") == []
    options = inspector.get_table_options("people")
    assert options["starrocks_distributed_by"] == "HASH(`id`) BUCKETS 2", options
    assert options["starrocks_properties"] == {"replication_num": "1"}, options
    reflected = sa.MetaData()
    reflected.reflect(engine)
    columns = {column.name: str(column.type) for column in reflected.tables["people"].columns}
    assert columns == {"id": "INTEGER", "name": "VARCHAR(50)", "price": "DECIMAL(10, 2)", "seen": "DATETIME"}, columns
    metadata.drop_all(engine)
    return "made, filled, read and reflected"


def requests_client():
    """A stream load with the redirect followed by hand, since `requests` drops the password at another port."""
    import pymysql
    import requests

    with pymysql.connect(host="127.0.0.1", port=PORT, user="root") as connection, connection.cursor() as cursor:
        for statement, values in list(statements("py_requests"))[:4]:
            cursor.execute(statement, values)
        for format, body in (("csv", b"7,x\n8,y\n"), ("json", b'[{"id": 9, "word": "z"}]')):
            headers = {"Expect": "100-continue", "label": f"requests-{format}", "format": format}
            headers |= {"column_separator": ",", "columns": "id,word"} if format == "csv" else {"strip_outer_array": "true"}
            url = f"http://{FRONTEND}/api/py_requests/types/_stream_load"
            reply = requests.put(url, headers=headers, data=b"", auth=("root", ""), allow_redirects=False)
            assert reply.status_code == 307, reply.status_code
            said = requests.put(reply.headers["Location"], headers=headers, data=body, auth=("root", "")).json()
            assert said["Status"] == "Success", said
            label = headers["label"]
            state = requests.get(f"http://{FRONTEND}/api/py_requests/get_load_state?label={label}", auth=("root", ""))
            assert state.json()["state"] == "VISIBLE", state.text
        cursor.execute("SELECT count(*), sum(id), max(word) FROM types")
        assert cursor.fetchone() == (3, 24, "z")
        return "307, CSV and JSON"


CLIENTS = {
    "PyMySQL": pymysql_client,
    "MySQL Connector/Python": connector_client,
    "aiomysql": aiomysql_client,
    "SQLAlchemy with StarRocks' dialect": alchemy_client,
    "requests": requests_client,
}

failed = False
for name, client in CLIENTS.items():
    try:
        print(f"{name}\tok: {client()}")
    except Exception as problem:
        failed = True
        traceback.print_exc()
        print(f"{name}\tFAILED: {' '.join(repr(problem).split())[:300]}")
sys.exit(failed)
