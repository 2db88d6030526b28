"""PyIceberg: ``Table.upsert`` by key, in its own SQL catalog."""

import pyarrow.parquet as pq
from measuring import FILES, INPUT, measured
from pyiceberg.catalog.sql import SqlCatalog


def build(place):
    catalog = SqlCatalog("c", uri=f"sqlite:///{place}/c.db", warehouse=f"file://{place}")
    catalog.create_namespace("n")
    table = catalog.create_table("n.t", schema=pq.read_schema(FILES[0]))
    for file in FILES:
        table.append(pq.read_table(file))
    return table


def upsert(table):
    done = table.upsert(pq.read_table(INPUT), join_cols=["id"])
    return done.rows_updated + done.rows_inserted


measured("pyiceberg", build, upsert)
