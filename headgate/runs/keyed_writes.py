"""Upserts and deletes as exchanges of files: find the files hit, rewrite only those.

The lake knows files, the engine computes rows; here they meet. A keyed operation keeps its input
rows as staged files, so that the same operation can be applied again to another base. The input's
own file becomes a data file of the table as it is: only rows that must go are written again.
"""

from collections.abc import Sequence

from headgate.engines import Session, Sql
from headgate.errors import Invalid
from headgate.filesets import DataFile, Scan
from headgate.lake import Column, Delete, Entry, FileExchange, Tables, Upsert, bounds_meet
from headgate.names import quote

_INPUT = "_hg_input"
_HIT = "_hg_hit"


def upsert_exchange(
    tables: Tables, session: Session, entry: Entry, upsert: Upsert, *, table: str, prefix: str
) -> FileExchange:
    """Compute which files of a table an upsert removes and adds.

    Reads the key columns of files whose key bounds meet the input's, and rewrites those with a hit.
    """
    if not upsert.files:
        return FileExchange(removed=(), added=())
    keys = upsert.key_columns
    session.bind({_INPUT: tables.scan_files(entry, upsert.files)})
    hit = _files_hit(tables, session, entry, keys, upsert.files)
    scan = tables.scan_files(entry, hit)
    session.bind({_HIT: scan})
    match = " and ".join(f"h.{quote(k)} = i.{quote(k)}" for k in keys)
    untouched = (
        f"select h.* from {_HIT} h where not exists (select 1 from {_INPUT} i where {match})"
    )
    names = [field.name for field in scan.schema]
    given = {*(upsert.columns or names), *keys}
    if given.issuperset(names):
        added = _write(tables, session, entry, Sql(text=untouched), table, prefix) if hit else ()
        return FileExchange(removed=_paths(hit), added=(*added, *upsert.files))
    merged = ", ".join(f"{'i' if n in given else 'h'}.{quote(n)} as {quote(n)}" for n in names)
    fresh = ", ".join(f"i.{quote(n)}" if n in given else f"null as {quote(n)}" for n in names)
    query = (
        f"{untouched} union all by name "
        f"select {merged} from {_HIT} h join {_INPUT} i on {match} union all by name "
        f"select {fresh} from {_INPUT} i where not exists (select 1 from {_HIT} h where {match})"
    )
    return FileExchange(
        removed=_paths(hit), added=_write(tables, session, entry, Sql(text=query), table, prefix)
    )


def delete_exchange(
    tables: Tables, session: Session, entry: Entry, delete: Delete, *, table: str, prefix: str
) -> FileExchange:
    """Compute which files a delete removes and adds. Where the predicate is NULL, rows stay."""
    if delete.key_columns:
        session.bind({_INPUT: tables.scan_files(entry, delete.files)})
        hit = _files_hit(tables, session, entry, delete.key_columns, delete.files)
        match = " and ".join(f"h.{quote(k)} = i.{quote(k)}" for k in delete.key_columns)
        kept = f"not exists (select 1 from {_INPUT} i where {match})"
    else:
        hit = tuple(
            file
            for file in tables.files(entry)
            if _count(tables, session, entry, file, f"({delete.predicate})")
        )
        kept = f"({delete.predicate}) is not true"
    session.bind({_HIT: tables.scan_files(entry, hit)})
    query = Sql(text=f"select h.* from {_HIT} h where {kept}")
    added = _write(tables, session, entry, query, table, prefix) if hit else ()
    return FileExchange(removed=_paths(hit), added=added)


def refuse_bad_keys(session: Session, rows: Scan, keys: Sequence[str], *, table: str) -> None:
    """Check that an upsert's input names each key once and never as NULL.

    Raises:
        Invalid: ``null-key`` or ``duplicate-key``, with an example.
    """
    session.bind({_INPUT: rows})
    columns = ", ".join(quote(key) for key in keys)
    nulls = " or ".join(f"{quote(key)} is null" for key in keys)
    found = session.scalars(f"select count(*) as rows from {_INPUT} where {nulls}")
    if found["rows"]:
        raise Invalid(
            "null-key",
            f"{found['rows']} rows for {table} have no key: NULL in {', '.join(keys)}.",
            hint="Filter them out, or give the column a not-null contract that quarantines them.",
            table=table,
            key=list(keys),
        )
    found = session.scalars(
        f"select count(*) as keys, to_json(any_value(k))::varchar as example from "
        f"(select {{{', '.join(f'{_field(key)}: {quote(key)}' for key in keys)}}} as k "
        f"from {_INPUT} group by {columns} having count(*) > 1)"
    )
    if found["keys"]:
        raise Invalid(
            "duplicate-key",
            f"{found['keys']} keys occur more than once in the rows for {table}, "
            f"for example {found['example']}.",
            hint="An upsert takes one row a key: choose one in the step, or declare "
            "unique(..., keep=..., order_by=...) in the contract.",
            table=table,
            key=list(keys),
        )


def _field(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _paths(files: Sequence[DataFile]) -> tuple[str, ...]:
    return tuple(file.path for file in files)


def _files_hit(
    tables: Tables, session: Session, entry: Entry, keys: Sequence[str], given: Sequence[DataFile]
) -> tuple[DataFile, ...]:
    match = " and ".join(f"f.{quote(k)} = i.{quote(k)}" for k in keys)
    predicate = f"exists (select 1 from {_INPUT} i where {match})"
    return tuple(
        file
        for file in tables.files(entry)
        if any(bounds_meet(file, other, keys) for other in given)
        and _count(tables, session, entry, file, predicate)
    )


def _count(tables: Tables, session: Session, entry: Entry, file: DataFile, predicate: str) -> int:
    session.bind({_HIT: tables.scan_files(entry, (file,))})
    found = session.scalars(f"select count(*) as rows from {_HIT} f where {predicate}")
    return int(str(found["rows"]))


def _write(
    tables: Tables, session: Session, entry: Entry, rows: Sql, table: str, prefix: str
) -> tuple[DataFile, ...]:
    plan = tables.plan_write(entry, session.schema(rows), table=table, mode="append", prefix=prefix)
    written = session.write(rows, plan.target)
    columns: tuple[Column, ...] = plan.columns
    return tables.collect(written.paths, columns)
