"""Quarantine: rejected rows as a table beside the accepted ones, in the same commit.

``_quarantine.<table>`` has one schema for every table, so that a contract may change while its
rejects stay readable. The payload is the row as it came in, as JSON.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

ID: Final = "id"
ROW_FORM: Final = "row"
RECORD_FORM: Final = "record"
TEXT_FORM: Final = "text"

SCHEMA = pa.schema(
    [
        pa.field("payload", pa.string()),
        pa.field("position", pa.string()),
        pa.field("checks", pa.list_(pa.string())),
        pa.field("contract", pa.string()),
        pa.field("run", pa.string()),
        pa.field("step", pa.string()),
        pa.field("attempt", pa.int32()),
        pa.field("quarantined_at", pa.timestamp("us", tz="UTC")),
        pa.field("form", pa.string()),
        pa.field(ID, pa.string()),
    ]
)
"""payload: the rejected row as JSON text. position: where its source had it (``file:line``), NULL
where unknown. checks: the names of the violated checks, all of them. contract: its digest. attempt:
how often the row was tried. form: what the payload is: ``row`` (columns and values), ``record`` (as
a source gave it, before it became columns), ``text`` (no row at all: ``raw``, ``column``,
``reason``). id: no two rows have the same; rows of older lakes have none, and no form."""


def quarantine_table(table: str) -> str:
    """Give the name of a table's quarantine."""
    return f"_quarantine.{table}"


def quarantine_rows(
    rejected: pa.Table,
    names: Sequence[str],
    *,
    contract: str,
    run: str,
    step: str,
    at: datetime,
) -> pa.Table:
    """Give rejected rows in the quarantine's schema, tried once, without ids.

    ``rejected`` has ``_payload`` (JSON text), ``_mask`` (bit i: check ``names[i]`` is violated),
    ``_position`` and ``_form``.
    """
    masks = rejected.column("_mask").to_pylist()
    reasons = {
        mask: [name for bit, name in enumerate(names) if mask >> bit & 1] for mask in set(masks)
    }
    count = rejected.num_rows
    return pa.table(
        [
            rejected.column("_payload").cast(pa.string()),
            rejected.column("_position").cast(pa.string()),
            pa.array([reasons[mask] for mask in masks], pa.list_(pa.string())),
            pa.array([contract] * count, pa.string()),
            pa.array([run] * count, pa.string()),
            pa.array([step] * count, pa.string()),
            pa.array([1] * count, pa.int32()),
            pa.array([at] * count, pa.timestamp("us", tz="UTC")),
            rejected.column("_form").cast(pa.string()),
            pa.nulls(count, pa.string()),
        ],
        schema=SCHEMA,
    )


def count_reasons(rejected: pa.Table, names: Sequence[str]) -> "Mapping[str, int]":
    """Count rejected rows per violated check."""
    counts: dict[str, int] = {}
    for mask in rejected.column("_mask").to_pylist():
        for bit, name in enumerate(names):
            if mask >> bit & 1:
                counts[name] = counts.get(name, 0) + 1
    return counts
