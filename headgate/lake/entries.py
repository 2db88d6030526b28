"""Entries of a tree: a key and what it points to."""

from typing import Literal, TypeAlias

import msgspec

from headgate.lake.operations import Column

EntryKind: TypeAlias = Literal["table", "blob", "contract", "cursor", "pipeline"]


class TableBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the tree knows of a table without opening its metadata.

    ``metadata`` is the path of the Iceberg ``metadata.json``, relative to the lake's location.
    ``owner`` is the pipeline that may replace the table. ``schema`` repeats the metadata's current
    schema, so that plans and merges need no file. ``sort_by`` is a hint: by these columns the rows
    of each newly written file are sorted, and whoever rewrites files (a keyed write, a compaction)
    keeps apart what lies apart in them. Files that others wrote need not follow it. ``properties``
    are those that people gave the table through Iceberg; headgate reads none of them.
    """

    uuid: str
    metadata: str
    schema: tuple[Column, ...]
    rows: int
    size_bytes: int
    files: int
    owner: str | None = None
    key_columns: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    partition: tuple[str, ...] = ()
    drop_epochs: dict[str, int] = {}
    properties: dict[str, str] = {}


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tree's value.

    ``content`` identifies rows and schema (or bytes) and survives compaction; fingerprints,
    verdicts and graph edges use it. ``data`` holds a small non-table value (a cursor, a contract's
    JSON, a blob's path). ``taint`` names the unfinished or failed runs whose rows are in here: such
    an entry never enters a protected branch (SEMANTICS G4). ``stale`` names reverted runs it was
    computed from.
    """

    kind: EntryKind
    content: str
    table: TableBody | None = None
    data: str | None = None
    taint: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


def table_key(table: str) -> str:
    """Give the tree key of a table."""
    return f"table/{table}"


def contract_key(table: str) -> str:
    """Give the tree key of a table's contract."""
    return f"contract/{table}"


def cursor_key(pipeline: str, step: str) -> str:
    """Give the tree key of a step's cursor (its source's, or its position in its inputs)."""
    return f"cursor/{pipeline}/{step}"


def step_key(pipeline: str, step: str) -> str:
    """Give the tree key of a step's last fingerprint and output (what a skip looks up)."""
    return f"pipeline/{pipeline}/{step}"


def blob_key(name: str) -> str:
    """Give the tree key of a blob."""
    return f"blob/{name}"
