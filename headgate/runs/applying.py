"""Applying recorded operations to another base: how kept appends and upserts are carried over."""

from collections.abc import Callable, Sequence
from contextlib import closing

import msgspec

from headgate.errors import Internal
from headgate.lake import (
    Delete,
    Drop,
    Entry,
    Operation,
    Put,
    Rename,
    Restore,
    Upsert,
    Write,
)
from headgate.runs.keyed_writes import delete_exchange, refuse_bad_keys, upsert_exchange
from headgate.runs.wiring import Wiring


def apply_operations(
    wiring: Wiring,
    before: Entry | None,
    operations: Sequence[Operation],
    *,
    key: str,
    prefix: str,
    owner: str | None = None,
    at: Callable[[str], Entry | None] | None = None,
    check_keys: bool = False,
) -> Entry | None:
    """Give the entry that results from applying operations, in order, to ``before``.

    Appends and replaces cost metadata only; an upsert or a delete rewrites the files it hits.
    ``at`` answers what the key was at a commit (for ``Restore``). With ``check_keys`` an upsert's
    input is looked at first: each key once, and never NULL.

    Raises:
        Invalid: ``null-key``, ``duplicate-key``.
    """
    entry = before
    plain: list[Operation] = []
    tables = wiring.lake.tables
    table = key.removeprefix("table/")

    def flush() -> None:
        nonlocal entry
        if plain:
            entry = tables.apply(entry, tuple(plain), owner=owner, table=table)
            plain.clear()

    for operation in operations:
        match operation:
            case Upsert() | Delete():
                flush()
                if entry is None:
                    raise Internal("no-table", f"{table} is gone; {operation!r} cannot be applied.")
                with closing(wiring.engine().session()) as session:
                    if check_keys and isinstance(operation, Upsert):
                        staged = tables.scan_files(entry, operation.files)
                        refuse_bad_keys(session, staged, operation.key_columns, table=table)
                    exchange = (
                        upsert_exchange(
                            tables, session, entry, operation, table=table, prefix=prefix
                        )
                        if isinstance(operation, Upsert)
                        else delete_exchange(
                            tables, session, entry, operation, table=table, prefix=prefix
                        )
                    )
                entry = tables.apply(
                    entry, (operation,), owner=owner, exchanges={0: exchange}, table=table
                )
            case Drop() | Rename():
                plain.clear()
                entry = None
            case Restore(commit=commit):
                plain.clear()
                if at is None:
                    raise Internal("no-history", f"{key} cannot be restored here.")
                entry = at(commit)
            case Put(content=content):
                raise Internal(
                    "put-is-a-pointer", f"{key}: {content} is set by pointer, not applied."
                )
            case _:
                plain.append(operation)
    flush()
    return entry


def carried(write: Write, before: Entry | None, after: Entry | None) -> Write:
    """Give the write as it turned out on its new base."""
    return msgspec.structs.replace(
        write,
        before=before.content if before else None,
        content=after.content if after else None,
    )
