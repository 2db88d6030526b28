"""Which rows of a table a keyed operation hits: for each its file, and its place there.

Only files whose key bounds meet the input's are looked at, and of them only the key columns; the
engine leaves out row groups whose statistics say that no key can be there. What is found is kept in
the session under ``FOUND``, a row for each hit, so that later queries join by place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headgate.engines import Session, Sql
from headgate.filesets import FILE_NUMBER, ROW_NUMBER, DataFile, Scan
from headgate.lake import Delete, Entry, Tables, Upsert, WritePlan, bounds_meet
from headgate.names import quote

if TYPE_CHECKING:
    import pyarrow as pa

FOUND = "_hg_found"
"""What was found: ``FILE_NUMBER`` and ``ROW_NUMBER``, the input's columns where it has any."""
STAYS = "_hg_stays"
"""Whether the row stays in its file."""
FRESH = "_hg_fresh"
"""Whether the row is written to a new file."""

SHARE = 2
FEW_FILES = 2
FEW_SHARE = 8
"""Rows lie close that are a half of the rows of the files hit; an eighth, where these are few."""
INPUT = "_hg_input"
"""The input's rows, as they were staged."""

_KEYS = "_hg_keys"
_OLD = "_hg_old"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a keyed operation takes place: a table as an entry has it, and names for new files."""

    tables: Tables
    session: Session
    entry: Entry
    table: str
    prefix: str

    @property
    def schema(self) -> "pa.Schema":
        """The table's columns."""
        return self.tables.scan_files(self.entry, ()).schema

    def plan(self, columns: Sequence[str]) -> WritePlan:
        """Give how rows with these of the table's columns are written."""
        import pyarrow as pa  # noqa: PLC0415 - runs with nothing to do come by here

        schema = pa.schema([self.schema.field(name) for name in columns])
        return self.tables.plan_write(
            self.entry, schema, table=self.table, mode="append", prefix=self.prefix
        )

    def scan(self, files: Sequence[DataFile], columns: Sequence[str] | None = None) -> Scan:
        """Give a numbered scan of some files."""
        scan = self.tables.scan_files(self.entry, files, columns=columns)
        return replace(scan, numbered=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A file that has rows which are hit: how many, and how many of them leave it.

    ``number`` is the file's in ``FOUND``.
    """

    file: DataFile
    number: int
    rows: int
    leaving: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The hits of an operation, by file. ``fresh`` counts the input's rows that hit nothing."""

    hits: tuple[Hit, ...]
    fresh: int = 0

    @property
    def matched(self) -> int:
        """How many of the table's rows are hit."""
        return sum(hit.rows for hit in self.hits)

    @property
    def lie_close(self) -> bool:
        """Whether the hits lie as close together as rows of a file do."""
        return lie_close(self.matched, [hit.file for hit in self.hits])

    @property
    def all_leaving(self) -> "Found":
        """The same hits, where none of them stays in its file."""
        return replace(self, hits=tuple(replace(hit, leaving=hit.rows) for hit in self.hits))


def find_input(
    place: Place, upsert: Upsert, columns: Sequence[str], candidates: Sequence[DataFile]
) -> Found:
    """Find what an upsert hits. ``FOUND`` has its rows, with the place of what each hits, if any.

    An input row that hits several rows of the table is there several times. Of the input's columns
    ``FOUND`` has these.
    """
    keys = upsert.key_columns
    scan = place.scan(candidates, keys)
    given = place.tables.scan_files(place.entry, upsert.files)
    place.session.bind({INPUT: given, _KEYS: scan})
    if not candidates:
        return Found(hits=(), fresh=given.rows)
    query = (
        f"select {''.join(f'i.{quote(name)}, ' for name in columns)}k.{FILE_NUMBER}, "
        f"k.{ROW_NUMBER}, k.{FILE_NUMBER} is not null as {STAYS}, k.{FILE_NUMBER} is null "
        f"as {FRESH} from {INPUT} i left join {_KEYS} k on {_match('i', 'k', keys)}"
    )
    place.session.keep(FOUND, Sql(text=query))
    return _found(place, scan, candidates)


def find_keys(place: Place, delete: Delete) -> Found:
    """Find what a deletion by key hits; all of it leaves."""
    keys = delete.key_columns
    candidates = candidate_files(place, keys, delete.files)
    if not candidates:
        return Found(hits=())
    scan = place.scan(candidates, keys)
    given = place.tables.scan_files(place.entry, delete.files, columns=keys)
    place.session.bind({INPUT: given, _KEYS: scan})
    query = (
        f"select k.{FILE_NUMBER}, k.{ROW_NUMBER}, false as {STAYS}, false as {FRESH} "
        f"from {_KEYS} k semi join {INPUT} i on {_match('k', 'i', keys)}"
    )
    place.session.keep(FOUND, Sql(text=query))
    return _found(place, scan, candidates)


def find_where(place: Place, predicate: str) -> Found:
    """Find what a deletion by predicate hits; all of it leaves. Keeps no ``FOUND``."""
    files = place.tables.files(place.entry)
    scan = place.scan(files)
    place.session.bind({_KEYS: scan})
    counts = (
        f"select {FILE_NUMBER} as number, count(*) as rows, count(*) as leaving "
        f"from {_KEYS} where ({predicate}) group by {FILE_NUMBER}"
    )
    return Found(hits=_hits(place, scan, files, counts))


def settle(
    place: Place,
    plan: WritePlan,
    keys: Sequence[str],
    found: Found,
    setting: Sequence[str],
    *,
    doubled: bool,
) -> Found:
    """Decide which hit rows of an upsert stay in their files, where it is not all of them.

    Of a key that the table has twice one row stays. A row moves to the new files where a column
    that is set decides its partition, or what its file is sorted by, and has another value now.
    """
    order = {name: quote(name) for name in plan.target.sort_by if name in setting}
    parts = {
        name: expression
        for name, expression in plan.target.partition_by.items()
        if plan.partition_columns[name] in setting
    }
    if not found.hits or not (doubled or order or parts):
        return found
    decisive = {*order, *(plan.partition_columns[name] for name in parts)}
    values = {f"_hg_{n}": sql for n, sql in enumerate([*order.values(), *parts.values()])}
    files = [hit.file for hit in found.hits]
    scan = place.scan(files, sorted(decisive) or keys[:1])
    place.session.bind({_OLD: scan})
    named = "".join(f", {sql} as {name}" for name, sql in values.items())
    first = f"row_number() over (partition by {_list(keys)} order by {FILE_NUMBER}, {ROW_NUMBER})"
    query = (
        f"with old as (select {numbered(found.hits, scan, place)}{named} from {_OLD}), "
        f"new as (select * exclude ({STAYS}, {FRESH}){named}, "
        f"{f'{first} = 1' if doubled else 'true'} as _hg_first from {FOUND}) "
        f"select n.* exclude (_hg_first{''.join(f', {name}' for name in values)}), "
        f"n.{FILE_NUMBER} is not null and _hg_first and ({_same(values)}) as {STAYS}, "
        f"n.{FILE_NUMBER} is null or _hg_first and not ({_same(values)}) as {FRESH} "
        f"from new n left join old o "
        f"on n.{FILE_NUMBER} = o.{FILE_NUMBER} and n.{ROW_NUMBER} = o.{ROW_NUMBER}"
    )
    place.session.keep(FOUND, Sql(text=query))
    numbers = {hit.number: hit.file for hit in found.hits}
    return replace(found, hits=_counted(place, _COUNTS, numbers))


def lie_close(rows: int, files: Sequence[DataFile]) -> bool:
    """Whether so many rows are most of some files' rows, or many of one's or two's.

    A file of just these rows overlaps then with little else, and saves writing them twice.
    """
    share = FEW_SHARE if len(files) <= FEW_FILES else SHARE
    return share * rows >= sum(file.rows for file in files)


def numbered(hits: Sequence[Hit], scan: Scan, place: Place) -> str:
    """Give the columns that say where a scan's row is, its file numbered as in ``FOUND``."""
    numbers = {place.tables.absolute(hit.file.path): hit.number for hit in hits}
    found = [numbers[path] for path in scan.paths]
    if found == list(range(len(found))):
        return f"{FILE_NUMBER}, {ROW_NUMBER}"
    number = f"{found}[{FILE_NUMBER} + 1]" if len(found) > 1 else f"{found[0]}"
    return f"{number} as {FILE_NUMBER}, {ROW_NUMBER}"


def candidate_files(
    place: Place, keys: Sequence[str], given: Sequence[DataFile]
) -> tuple[DataFile, ...]:
    """Give the files that may hold one of the input's keys, as far as their bounds tell."""
    return tuple(
        file
        for file in place.tables.files(place.entry)
        if any(bounds_meet(file, other, keys) for other in given)
    )


_COUNTS = (
    f"select {FILE_NUMBER} as number, count(*) as rows, "
    f"count(*) filter (not {STAYS}) as leaving "
    f"from {FOUND} where {FILE_NUMBER} is not null group by {FILE_NUMBER}"
)
_FRESH_ROWS = f"select count(*) as rows from {FOUND} where {FILE_NUMBER} is null"


def _found(place: Place, scan: Scan, files: Sequence[DataFile]) -> Found:
    fresh = place.session.scalars(_FRESH_ROWS)["rows"]
    return Found(hits=_hits(place, scan, files, _COUNTS), fresh=int(str(fresh)))


def _hits(place: Place, scan: Scan, files: Sequence[DataFile], counts: str) -> tuple[Hit, ...]:
    by_path = {place.tables.absolute(file.path): file for file in files}
    return _counted(place, counts, dict(enumerate(by_path[path] for path in scan.paths)))


def _counted(place: Place, counts: str, files: Mapping[int, DataFile]) -> tuple[Hit, ...]:
    rows = place.session.reader(Sql(text=f"{counts} order by number")).read_all().to_pylist()
    return tuple(
        Hit(
            file=files[row["number"]],
            number=row["number"],
            rows=row["rows"],
            leaving=row["leaving"],
        )
        for row in rows
    )


def _match(one: str, other: str, keys: Sequence[str]) -> str:
    return " and ".join(f"{one}.{quote(key)} = {other}.{quote(key)}" for key in keys)


def _same(values: Mapping[str, str]) -> str:
    return " and ".join(f"n.{name} is not distinct from o.{name}" for name in values) or "true"


def _list(columns: Sequence[str]) -> str:
    return ", ".join(quote(column) for column in columns)
