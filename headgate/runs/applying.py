"""Applying recorded operations to another base: how kept appends and upserts are carried over."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

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
    RowCounts,
    Upsert,
    Write,
)
from headgate.runs.hits import Place
from headgate.runs.input_keys import refuse_bad_keys
from headgate.runs.keyed_writes import delete_exchange, upsert_exchange
from headgate.runs.wiring import Wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What operations made of a key; ``rows`` counts what upserts and deletions among them did."""

    entry: Entry | None
    rows: RowCounts | None = None


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
) -> Applied:
    """Give the entry that results from applying operations, in order, to ``before``.

    Appends and replaces cost metadata only; an upsert or a delete rewrites the files it hits.
    ``at`` answers what the key was at a commit (for ``Restore``). With ``check_keys`` the input of
    upserts and of deletions by key is looked at first: no key is NULL, and an upsert has each once.

    Raises:
        Invalid: ``null-key``, ``duplicate-key``.
    """
    entry = before
    rows: RowCounts | None = None
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
                    place = Place(
                        tables=tables, session=session, entry=entry, table=table, prefix=prefix
                    )
                    if check_keys:
                        refuse_bad_keys(place, operation)
                    done = (
                        upsert_exchange(place, operation)
                        if isinstance(operation, Upsert)
                        else delete_exchange(place, operation)
                    )
                rows = done.rows if rows is None else rows + done.rows
                entry = tables.apply(
                    entry, (operation,), owner=owner, exchanges={0: done.exchange}, table=table
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
    return Applied(entry=entry, rows=rows)


def carried(
    write: Write, before: Entry | None, after: Entry | None, rows: RowCounts | None
) -> Write:
    """Give the write as it turned out on its new base."""
    return msgspec.structs.replace(
        write,
        before=before.content if before else None,
        content=after.content if after else None,
        rows=rows,
    )
