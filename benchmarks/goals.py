"""The performance table: which script measures a row, and what ours must reach."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: the work in words, the script ``benchmarks/SCRIPT.py`` that measures it."""

    work: str
    script: str
    must: str
    arguments: tuple[str, ...] = ()


ROWS: Mapping[str, Row] = {
    "F1": Row(
        work="1,000 steps without a table, ordered by after=",
        script="steps",
        must="<= 0.2 ms a step in a thread",
    ),
    "F2": Row(
        work="a step that writes a 1,000-row table",
        script="table_append",
        must="<= 2x the limit, the same at the 10th and the 10,000th commit",
    ),
    "F3": Row(
        work="whole processes: version, import, nothing to do",
        script="startup",
        must="<= 60 ms; <= 100 ms; <= 300 ms",
    ),
    "F4": Row(
        work="TPC-H, 22 queries from lake tables to lake tables",
        script="tpch",
        must="SF1 <= 1.3x, SF5 <= 1.15x the limit",
    ),
    "F5": Row(
        work="1.2 GB CSV to a lake table with 5 row checks",
        script="csv_load",
        must="<= 1.25x the limit, under 800 MB",
        arguments=("--peers",),
    ),
    "F6": Row(
        work="PostgreSQL, 5M rows of 10 mixed columns, to a lake table",
        script="postgres_load",
        must=">= 0.9x the raw ADBC stream, >= 3x dlt's default",
        arguments=("--peers",),
    ),
    "F7": Row(
        work="nested JSON to typed columns, and to child tables",
        script="nested",
        must=">= 10x dlt, bounded memory",
        arguments=("--peers",),
    ),
    "F8": Row(
        work="an API of 1,000 pages of 100 records, 1 % 429, 1 % 500, to a lake table",
        script="rest",
        must=">= 8x dlt; no row lost or doubled",
        arguments=("--peers",),
    ),
    "F9": Row(
        work="10M rows, 12 checks with keys and references, bad rows split off",
        script="quality",
        must="<= 1.3x the limit, ahead of every peer",
        arguments=("--peers",),
    ),
    "F10": Row(
        work="a lake of 1k, 100k, 1M keys: branch, commit, diff, merge, look-up",
        script="lake_tree",
        must="at 1M: branch < 1 ms, commit and merge <= 15 ms, <= 150 KB a commit",
    ),
    "F11": Row(
        work="serialization graph test at 10, 100, 1,000 commits of lag",
        script="graph_test",
        must="<= 2, 3, 10 ms",
    ),
    "COMPACTION": Row(
        work="a table of small files: appends, scans, and their compaction",
        script="compaction",
        must="the 10,000th append as the 10th; <= 1.3x a bare COPY",
    ),
    "F12": Row(
        work="upsert 1 % and 10 % of 10M rows, random and recent keys",
        script="keyed_writes",
        must="<= 1.5x the limit, ahead of all",
        arguments=("--peers",),
    ),
    "SPILL": Row(
        work="load three tables and join them, of 3x the memory the process may take",
        script="spill",
        must="finishes under the cap",
    ),
    "F14": Row(
        work="changes of a PostgreSQL table as typed rows, read and published",
        script="changes",
        must=">= 75,000 changes/s",
    ),
    "F16": Row(
        work="16 and 40 concurrent publishers with 1 s of checks each",
        script="publishers",
        must="none fails; same footprint about n x 1 s; disjoint under 2 s",
    ),
    "F16P": Row(
        work="32 publishers in 8 processes, the metastore in PostgreSQL",
        script="publishers_postgres",
        must="none is lost",
    ),
    "OBJECTS": Row(
        work="a table of 20M rows in an object store; an append to one 20 ms away",
        script="object_store",
        must="<= local + bare transfer, 2x local; <= 3 round trips",
    ),
    "DELTA": Row(
        work="judging what a publication changed, at 5M rows, against judging in full",
        script="delta",
        must="merge skew <= 50 ms",
    ),
}
