"""Upserts and deletes as exchanges of files: find the rows hit, rewrite only their files, in place.

The lake knows files, the engine computes rows; here they meet. Finding (``hits.py``) gives for each
row that is hit its file and its place there; a rewrite joins by place, which costs the same for
every key. A rewritten file keeps its rows' order, changed rows where they were: what lies apart in
a table stays apart. Rows with a new key go to files of their own.

A keyed operation keeps its input rows as staged files, so that the same operation can be applied
again to another base.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from headgate.engines import Sql
from headgate.errors import Internal
from headgate.filesets import FILE_NUMBER, ROW_NUMBER, DataFile, WriteTarget
from headgate.lake import Delete, FileExchange, RowCounts, Upsert, WritePlan
from headgate.names import quote
from headgate.runs.hits import (
    FOUND,
    FRESH,
    INPUT,
    STAYS,
    Found,
    Hit,
    Place,
    candidate_files,
    find_input,
    find_keys,
    find_where,
    lie_close,
    numbered,
    settle,
)

SMALL_ROWS = 122_880
"""Hit files with fewer rows are rewritten together: a table of many tiny files costs one write."""

_OLD = "_hg_old"

Job: TypeAlias = tuple[Hit, ...]
"""Hit files that are rewritten into one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedWrite:
    """Which files a keyed operation exchanges in one exact table, and what it does to its rows."""

    exchange: FileExchange
    rows: RowCounts


NOTHING = KeyedWrite(exchange=FileExchange(removed=(), added=()), rows=RowCounts())


def upsert_exchange(place: Place, upsert: Upsert) -> KeyedWrite:
    """Compute which files of a table an upsert removes and adds.

    Where the table has a key twice, one row of it stays. A changed row leaves its file where that
    is sorted or divided by what has changed in it.
    """
    given = sum(file.rows for file in upsert.files)
    if not given:
        return NOTHING
    columns = _given(place, upsert)
    plan = place.plan(place.schema.names)
    candidates = candidate_files(place, upsert.key_columns, upsert.files)
    whole = not plan.partition and len(columns) == len(place.schema.names)
    likely = whole and lie_close(given, candidates)
    found = find_input(place, upsert, () if likely else columns, candidates)
    if not plan.partition and (not found.hits or (whole and found.lie_close)):
        return _as_staged(place, upsert, found.all_leaving)
    if likely:
        found = find_input(place, upsert, columns, candidates)
    setting = [name for name in columns if name not in upsert.key_columns]
    doubled = found.matched + found.fresh - given
    found = settle(place, plan, upsert.key_columns, found, setting, doubled=doubled > 0)
    hits = tuple(hit for hit in found.hits if setting or hit.leaving)
    rewritten = _rewritten(place, hits, lambda job: _updated(place, job, setting))
    return KeyedWrite(
        exchange=FileExchange(
            removed=_paths(hits), added=(*rewritten, *_fresh(place, plan, found, columns))
        ),
        rows=RowCounts(
            inserted=found.fresh,
            updated=given - found.fresh,
            deleted=doubled,
            files_rewritten=len(hits),
        ),
    )


def _as_staged(place: Place, upsert: Upsert, found: Found) -> KeyedWrite:
    """Take rows out of the files they are hit in, and the staged files into the table as they are.

    What is hit lies close: so do the rows of the staged files, and nothing is written twice.
    """
    given = sum(file.rows for file in upsert.files)
    left = _rewritten(place, found.hits, lambda job: _updated(place, job, (), all_leave=True))
    updated = given - found.fresh
    return KeyedWrite(
        exchange=FileExchange(removed=_paths(found.hits), added=(*left, *upsert.files)),
        rows=RowCounts(
            inserted=found.fresh,
            updated=updated,
            deleted=found.matched - updated,
            files_rewritten=len(found.hits),
        ),
    )


def delete_exchange(place: Place, delete: Delete) -> KeyedWrite:
    """Compute which files a delete removes and adds. Where the predicate is NULL, rows stay."""
    if not delete.key_columns:
        found = find_where(place, delete.predicate)
        rewritten = _rewritten(place, found.hits, lambda job: _unless(place, job, delete.predicate))
    elif any(file.rows for file in delete.files):
        found = find_keys(place, delete)
        rewritten = _rewritten(place, found.hits, lambda job: _updated(place, job, ()))
    else:
        return NOTHING
    return KeyedWrite(
        exchange=FileExchange(removed=_paths(found.hits), added=rewritten),
        rows=RowCounts(deleted=found.matched, files_rewritten=len(found.hits)),
    )


# -- hit files


def _rewritten(
    place: Place, hits: Sequence[Hit], query: Callable[[Job], str]
) -> tuple[DataFile, ...]:
    """Write what is left of hit files, several at a time.

    Raises:
        Internal: ``rows-lost``.
    """
    jobs = list(_jobs([hit for hit in hits if hit.leaving < hit.file.rows]))
    if not jobs:
        return ()
    plan = place.plan(place.schema.names)
    target = replace(plan.target, partition_by={}, sort_by=(), file_size_bytes=None)
    works: list[tuple[Sql, WriteTarget]] = [(Sql(text=query(job)), target) for job in jobs]
    left = [sum(hit.file.rows - hit.leaving for hit in job) for job in jobs]
    written = place.session.write_several(works, rows=sum(left))
    for rows, done in zip(left, written, strict=True):
        if done.rows != rows:
            raise Internal(
                "rows-lost",
                f"Rewriting files of {place.table} gave {done.rows} rows where {rows} are left.",
                hint="Nothing was published. Please report this with the table's schema.",
                read=rows,
                written=done.rows,
            )
    paths = [path for done in written for path in done.paths]
    return place.tables.collect(paths, plan.columns, key_columns=plan.bounded)


def _jobs(hits: Sequence[Hit]) -> Iterator[Job]:
    """Divide hit files into those rewritten alone and small ones rewritten together."""
    small: dict[tuple[object, ...], list[Hit]] = {}
    for hit in hits:
        if hit.file.rows >= SMALL_ROWS:
            yield (hit,)
            continue
        part = tuple(hit.file.partition.values())
        group = small.setdefault(part, [])
        group.append(hit)
        if sum(each.file.rows for each in group) >= SMALL_ROWS:
            yield tuple(small.pop(part))
    for group in small.values():
        yield tuple(group)


def _updated(place: Place, job: Job, setting: Collection[str], *, all_leave: bool = False) -> str:
    """Give the query for what is left of a job's files, with the columns set that are to be set."""
    old = _bound(place, job)
    numbers = ", ".join(str(hit.number) for hit in job)
    columns = ", ".join(
        f"case when m.{ROW_NUMBER} is null then h.{quote(name)} else m.{quote(name)} end "
        f"as {quote(name)}"
        if name in setting
        else f"h.{quote(name)}"
        for name in place.schema.names
    )
    both = [ROW_NUMBER] if len(job) == 1 else [FILE_NUMBER, ROW_NUMBER]
    match = " and ".join(f"m.{name} = h.{name}" for name in both)
    found = f"select * from {FOUND} where {FILE_NUMBER} in ({numbers})"
    if not setting:
        leaving = found if all_leave else f"{found} and not {STAYS}"
        return f"select {columns} from {old} h anti join ({leaving}) m on {match}"
    query = f"select {columns} from {old} h left join ({found}) m on {match}"
    if any(hit.leaving for hit in job):
        query += f" where m.{ROW_NUMBER} is null or m.{STAYS}"
    return query


def _unless(place: Place, job: Job, predicate: str) -> str:
    columns = ", ".join(map(quote, place.schema.names))
    return f"select {columns} from {_bound(place, job)} where ({predicate}) is not true"


def _bound(place: Place, job: Job) -> str:
    """Bind a job's files; give them as a table of a query, numbered as they were found."""
    name = f"_hg_job_{job[0].number}"
    scan = place.scan([hit.file for hit in job])
    place.session.bind({name: scan})
    columns = ", ".join(map(quote, place.schema.names))
    return f"(select {columns}, {numbered(job, scan, place)} from {name})"


# -- new files


def _given(place: Place, upsert: Upsert) -> tuple[str, ...]:
    """Give which of the table's columns the input gives, in the table's order."""
    names = place.schema.names
    if upsert.columns is None:
        return tuple(names)
    return tuple(name for name in names if name in {*upsert.columns, *upsert.key_columns})


def _fresh(
    place: Place, plan: WritePlan, found: Found, columns: Sequence[str]
) -> tuple[DataFile, ...]:
    """Write the input's rows that hit nothing, and those that leave the file they hit."""
    moving = [hit for hit in found.hits if hit.leaving]
    if not found.fresh and not moving:
        return ()
    names = place.schema.names
    if not moving:  # what is not given is not in the files, unless it says where a row belongs
        needed = {*columns, *plan.partition_columns.values()}
        names = [name for name in names if name in needed]
    source, join, where = INPUT, "", ""
    if found.hits:
        source, where = FOUND, f" where {FRESH}"
    missing = "null"
    if moving and not {*names} <= {*columns}:
        scan = place.scan([hit.file for hit in moving])
        place.session.bind({_OLD: scan})
        old = f"(select * exclude ({FILE_NUMBER}, {ROW_NUMBER}), {numbered(moving, scan, place)}"
        join = (
            f" left join {old} from {_OLD}) o on m.{FILE_NUMBER} = o.{FILE_NUMBER} "
            f"and m.{ROW_NUMBER} = o.{ROW_NUMBER}"
        )
        missing = "o."
    chosen = ", ".join(
        f"m.{quote(name)}"
        if name in columns
        else f"{missing}{quote(name) if join else ''} as {quote(name)}"
        for name in names
    )
    plan = place.plan(names)
    rows = Sql(text=f"select {chosen} from {source} m{join}{where}")
    written = place.session.write(rows, plan.target)
    return place.tables.collect(written.paths, plan.columns, key_columns=plan.bounded)


def _paths(hits: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(hit.file.path for hit in hits)
