"""delta-rs: ``merge`` by key, all columns updated, what is new inserted."""

import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from measuring import FILES, INPUT, measured


def build(place):
    for file in FILES:
        write_deltalake(place, pq.read_table(file), mode="append")
    return DeltaTable(place)


def upsert(table):
    merge = table.merge(
        source=pq.read_table(INPUT),
        predicate="t.id = s.id",
        source_alias="s",
        target_alias="t",
    )
    done = merge.when_matched_update_all().when_not_matched_insert_all().execute()
    return done["num_target_rows_updated"] + done["num_target_rows_inserted"]


measured("deltalake", build, upsert)
