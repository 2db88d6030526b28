"""A contract's mask and questions asked of a table in DuckDB: what a run does, in short."""

import duckdb
import pyarrow as pa

from headgate.contracts import (
    arrow_schema,
    ingest_mask,
    judge,
    questions,
    type_texts,
)
from headgate.names import quote


def connect():
    connection = duckdb.connect()
    connection.execute("set timezone = 'Asia/Kathmandu'; set threads = 1")
    return connection


def table_of(spec, rows):
    return pa.Table.from_pylist(rows, schema=arrow_schema(spec))


def split(connection, spec, rows, *, columns=None, **options):
    """Write rows as an engine does: prepare, scan once; give (good rows, bad rows with reasons)."""
    connection.register("_rows", rows)
    made = ingest_mask(spec, columns or rows.schema.names, **options)
    mask = made.query
    for name, text in mask.preparations.items():
        connection.execute(f"create or replace temp table {quote(name)} as {text}")
    select = f"select *, {mask.expression} as _mask from _rows"
    answer = connection.sql(select).to_arrow_table().to_pylist()
    connection.unregister("_rows")
    good, bad = [], []
    for row in answer:
        bits = row.pop("_mask")
        reasons = {name for bit, name in enumerate(mask.names) if bits >> bit & 1}
        (bad if bits & mask.quarantine_bits else good).append((row, reasons))
    return good, bad, made


def ask(connection, spec, table, rows, *, parents=None, **options):
    """Ask a contract's questions of a table; give measures by check, with examples."""
    parents = parents or {}
    connection.execute(f"create or replace temp table {quote(table)} as select * from rows")
    schema = type_texts(rows.schema)
    tables = {name: type_texts(parent.schema) for name, parent in parents.items()}
    for name, parent in parents.items():
        connection.register(name, parent)
    measures = {}
    for question in questions(spec, table, schema=schema, tables=tables, **options):
        (answer,) = connection.sql(question.sql).to_arrow_table().to_pylist()
        measures |= question.read(answer)
    examples = {name: list(measure.examples) for name, measure in measures.items()}
    return measures, examples


def verdict(connection, spec, table, rows, *, now, parents=None):
    measures, _ = ask(connection, spec, table, rows, parents=parents)
    return judge(
        spec,
        table,
        measures,
        contents={f"table/{table}": "content"},
        now=now,
        schema=type_texts(rows.schema),
        tables={name: type_texts(parent.schema) for name, parent in (parents or {}).items()},
        rows=rows.num_rows,
    )
