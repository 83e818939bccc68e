"""The comparable conversion in another engine, on one thread, without a network: ENGINE FROM FILE TO.

Prints the seconds, the CPU-seconds and the peak bytes of the conversion alone: starting Python is not counted, the memory
that its libraries take is.
"""

import os
import resource
import sys
import time

engine, form, path, to = sys.argv[1:5]
os.environ["POLARS_MAX_THREADS"] = "1"

if engine == "duckdb":
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    rows = {
        "csv": f"read_csv('{path}', quote='\"', escape='\"', header=true)",
        "parquet": f"read_parquet('{path}')",
        "ndjson": f"read_json('{path}', format='newline_delimited')",
    }[form]
    out = {"csv": "FORMAT csv", "ndjson": "FORMAT json"}[to]

    def run():
        connection.execute(f"COPY (SELECT * FROM {rows}) TO '/dev/null' ({out})")

elif engine == "polars":
    import polars

    def run():
        rows = {
            "csv": lambda: polars.scan_csv(path, try_parse_dates=True),
            "parquet": lambda: polars.scan_parquet(path),
            "ndjson": lambda: polars.scan_ndjson(path),
        }[form]()
        {"csv": rows.sink_csv, "ndjson": rows.sink_ndjson}[to]("/dev/null")

else:
    import chdb

    names = {"csv": "CSVWithNames", "parquet": "Parquet", "ndjson": "JSONEachRow"}

    def run():
        out = {"csv": "CSV", "ndjson": "JSONEachRow"}[to]
        chdb.query(
            f"INSERT INTO FUNCTION file('/dev/null', '{out}') SELECT * FROM file('{path}', '{names[form]}') "
            "SETTINGS max_threads = 1, max_insert_threads = 1, input_format_parallel_parsing = 0, "
            "output_format_parallel_formatting = 0, engine_file_truncate_on_insert = 1"
        )


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


started, before = time.monotonic(), cpu()
run()
print(time.monotonic() - started, cpu() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
