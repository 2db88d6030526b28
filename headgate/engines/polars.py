"""Polars: a scan as a lazy frame that reads only what is asked of it, and frames back to Arrow."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from polars.selectors import by_name  # col() would take * and ^...$ for patterns
from pyarrow import types

from headgate.filesets import Scan, ScanGroup

if TYPE_CHECKING:
    from headgate.stores import Bucket

CHUNK_ROWS = 100_000


def lazy_frame(table: Scan | pa.Table) -> pl.LazyFrame:
    """Give a table as a lazy frame; projections and predicates reach the files."""
    if not isinstance(table, Scan):
        return pl.LazyFrame(pl.from_arrow(table))
    wanted = pl.Schema(pl.DataFrame(table.schema.empty_table()).schema)
    if not table.groups:
        return pl.LazyFrame(schema=wanted)
    options = _reaching(table.store)
    parts = [_group_frame(wanted, table.schema, group, options) for group in table.groups]
    return parts[0] if len(parts) == 1 else pl.concat(parts, how="vertical")


def _group_frame(
    wanted: pl.Schema, schema: pa.Schema, group: ScanGroup, options: dict[str, object] | None
) -> pl.LazyFrame:
    frame = pl.scan_parquet(
        list(group.paths),
        glob=False,
        hive_partitioning=False,
        extra_columns="ignore",
        missing_columns="insert",
        storage_options=options,
        credential_provider=None,
    )
    if group.exact:
        return frame.select(by_name(*wanted))
    columns = []
    for name, kind in wanted.items():
        there = group.columns.get(name)
        if there is None:  # repeated, for a select of mere literals has one row
            column = pl.repeat(None, pl.len())
        else:
            column = _found(by_name(there).as_expr(), schema.field(name).type, (name,), group)
        columns.append(column.cast(kind).alias(name))
    return frame.select(columns)


def _reaching(store: "Bucket | None") -> dict[str, object] | None:
    """Give what Polars' own reader of object stores needs; it asks no role it is not told of."""
    if store is None:
        return None
    reached = store.options
    options: dict[str, object] = {
        "aws_endpoint_url": reached.endpoint,
        "aws_region": reached.region or ("us-east-1" if reached.endpoint else None),
        "aws_allow_http": "true" if reached.allow_http else None,
        "max_retries": reached.retries,
    }
    if reached.credentials is not None:
        options |= {
            "aws_access_key_id": reached.credentials.access_key_id,
            "aws_secret_access_key": reached.credentials.secret_access_key,
            "aws_session_token": reached.credentials.session_token,
        }
    return {name: value for name, value in options.items() if value is not None}


def _found(column: pl.Expr, kind: pa.DataType, path: tuple[str, ...], group: ScanGroup) -> pl.Expr:
    """Put nested fields where the scan has them; NULL stays NULL at every depth."""
    if not any(inner[: len(path)] == path for inner in group.fields):
        return column
    if types.is_struct(kind):
        names = group.fields.get(path)
        parts = []
        for field in kind:
            there = field.name if names is None else names.get(field.name)
            if there is None:
                part = pl.lit(None)
            else:
                part = _found(column.struct.field(there), field.type, (*path, field.name), group)
            parts.append(part.alias(field.name))
        return pl.when(column.is_not_null()).then(pl.struct(parts))
    if types.is_map(kind):
        key = _found(pl.element().struct.field("key"), kind.key_type, (*path, "key"), group)
        value = _found(pl.element().struct.field("value"), kind.item_type, (*path, "value"), group)
        entry = pl.struct(key.alias("key"), value.alias("value"))
        return column.map.entries().list.eval(entry)
    return column.list.eval(_found(pl.element(), kind.value_type, (*path, "element"), group))


def frame_batches(frame: pl.LazyFrame) -> pa.RecordBatchReader:
    """Compute a lazy frame as a stream, in bounded memory."""
    schema = pl.DataFrame(schema=frame.collect_schema()).to_arrow().schema
    chunks = frame.collect_batches(
        chunk_size=CHUNK_ROWS, maintain_order=True, lazy=True, engine="streaming"
    )
    return pa.RecordBatchReader.from_batches(schema, _batches(chunks, schema))


def _batches(chunks: Iterator[pl.DataFrame], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for chunk in chunks:
        yield from chunk.to_arrow().cast(schema).to_batches()


def frame_table(frame: pl.DataFrame) -> pa.Table:
    """Give a frame as an Arrow table, without a copy where Polars allows it."""
    return frame.to_arrow()
