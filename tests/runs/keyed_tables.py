"""Tables of many files, schemas and partitions on a real lake, beside their rows in a list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from workplaces import Workplace

from headgate.filesets import DataFile
from headgate.lake import AddColumn, Append, ChangeSchema, Column, Delete, Entry, Upsert
from headgate.runs.applying import Applied, apply_operations

Row = dict[str, Any]
Change = tuple[str, tuple[str, ...], Any]
"""The word for a keyed write, the columns it gives, and its rows, keys or predicate."""

COLUMNS: Mapping[str, tuple[pa.DataType, Sequence[Any]]] = {
    "number": (pa.int64(), range(5)),
    "text": (pa.string(), ["", "a", "b", "ä", "a" * 17, "a" * 18]),
    "day": (pa.date32(), [date(2026, 11, n) for n in (1, 2, 3, 30)]),
    "amount": (pa.decimal128(9, 2), [Decimal(n) * Decimal("0.25") for n in range(-2, 3)]),
    "at": (pa.timestamp("us"), [datetime(2026, 1, 1, n, 0, 0, n) for n in range(4)]),  # noqa: DTZ001
    "some": (pa.int32(), range(3)),
    "note": (pa.string(), ["x", "y", "z"]),
}
KEYS = ("number", "text", "day", "amount", "at")
PARTITIONS = ((), (), ("day",), ("day(at)",), ("truncate(1, text)",), ("some", "day"))
SORTS = ((), (), ("note",), ("number",), ("at", "some"))


PREDICATES = {
    "number > 2": lambda row: row["number"] is not None and row["number"] > 2,
    "text is null": lambda row: row["text"] is None,
    "true": lambda _: True,
}


@st.composite
def rows(draw: Any, columns: Sequence[str], *, keyed: Sequence[str] = (), most: int = 6) -> Any:
    """Rows with NULLs anywhere but in ``keyed`` columns, which no two rows share."""
    values = {
        name: st.sampled_from(COLUMNS[name][1])
        if name in keyed
        else st.none() | st.sampled_from(COLUMNS[name][1])
        for name in columns
    }
    unique = (lambda row: tuple(row[key] for key in keyed)) if keyed else None
    return draw(st.lists(st.fixed_dictionaries(values), max_size=most, unique_by=unique))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a table came about, and what is done to it by key."""

    key: tuple[str, ...]
    partition: tuple[str, ...]
    sort_by: tuple[str, ...]
    appends: tuple[tuple[tuple[str, ...], list[Row]], ...]
    changes: tuple[Change, ...]
    renamed: bool = False
    widened: bool = False


@st.composite
def plans(draw: Any) -> Plan:
    """A table of a few appends, the later ones with further columns, and keyed writes to it."""
    key = tuple(draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True)))
    partition = draw(st.sampled_from(PARTITIONS))
    names = tuple(COLUMNS)
    early = tuple(name for name in names if name not in {"some", "note"} or "some" in partition)
    appends = []
    for number in range(draw(st.integers(1, 4))):
        columns = names if number or draw(st.booleans()) else early
        appends.append((columns, draw(rows(columns, most=5))))
    others = [name for name in names if name not in key]
    changes = []
    for _ in range(draw(st.integers(1, 3))):
        word = draw(st.sampled_from(["upsert", "upsert", "some", "delete", "where"]))
        if word == "upsert":
            changes.append((word, names, draw(rows(names, keyed=key))))
        elif word == "some":
            set_ = draw(st.sets(st.sampled_from(others), max_size=3))
            columns = tuple(name for name in names if name in {*key, *set_})
            changes.append((word, columns, draw(rows(columns, keyed=key))))
        elif word == "delete":
            changes.append((word, key, draw(rows(key, keyed=key))))
        else:
            changes.append((word, (), draw(st.sampled_from(list(PREDICATES)))))
    return Plan(
        key=key,
        partition=partition,
        sort_by=draw(st.sampled_from(SORTS)),
        appends=tuple(appends),
        changes=tuple(changes),
        renamed=draw(st.booleans()),
        widened=draw(st.booleans()) and "some" not in partition,
    )


@dataclass(slots=True)
class KeyedTable:
    """A table on a lake, its entry as it is now."""

    place: Workplace
    plan: Plan
    entry: Entry | None = None
    number: int = 0
    names: dict[str, str] = field(default_factory=dict)

    def build(self) -> None:
        """Append what the plan says; rename a column in the end."""
        for columns, some in self.plan.appends:
            files, operations = self.stage(columns, some, mode="append")
            self.apply(*operations, Append(files=files, sort_by=self._sort(columns)))
        missing = [name for name in COLUMNS if name not in self._schema()]
        if missing:
            plan = self._planned(tuple(COLUMNS), "append")
            self.apply(*(each for each in plan.operations if isinstance(each, AddColumn)))
        if self.plan.renamed and self.plan.sort_by != ("note",):
            body = self.entry and self.entry.table
            assert body
            columns = tuple(
                Column(name="remark", type=c.type, id=c.id) if c.name == "note" else c
                for c in body.schema
            )
            self.apply(ChangeSchema(columns=columns, what="note is now remark"))
            self.names = {"note": "remark"}

    def stage(
        self, columns: Sequence[str], some: Sequence[Row], *, mode: str
    ) -> tuple[tuple[DataFile, ...], tuple[Any, ...]]:
        """Write rows as an operation's files; give them and the operations before it."""
        plan = self._planned(columns, mode)
        schema = self.schema(columns, mode)
        table = pa.Table.from_pylist([self.renamed(row) for row in some], schema)
        with closing(self.place.engine.session()) as session:
            paths = session.write(table, plan.target).paths
        tables = self.place.lake.tables
        return tables.collect(paths, plan.columns, key_columns=self.key), plan.operations

    def change(self, word: str, columns: Sequence[str], what: Any) -> Applied:
        """Do one keyed write."""
        if word == "where":
            return self.apply(Delete(predicate=what))
        files, before = self.stage(columns, what, mode="upsert")
        if word == "delete":
            return self.apply(Delete(key_columns=self.key, files=files))
        names = tuple(self.named(name) for name in columns)
        return self.apply(*before, Upsert(key_columns=self.key, files=files, columns=names))

    def apply(self, *operations: Any) -> Applied:
        """Apply operations to the table."""
        self.number += 1
        done = apply_operations(
            self.place.hall.wiring,
            self.entry,
            operations,
            key="table/t",
            prefix=f"a{self.number}",
            check_keys=True,
        )
        self.entry = done.entry
        return done

    def files(self) -> dict[str, list[Row]]:
        """Give the rows of each file, under the names they were made with."""
        assert self.entry is not None
        tables = self.place.lake.tables
        back = {new: old for old, new in self.names.items()}
        found = {}
        with closing(self.place.engine.session()) as session:
            for file in tables.files(self.entry):
                read = session.reader(tables.scan_files(self.entry, (file,))).read_all()
                assert read.num_rows == file.rows
                found[file.path] = [
                    {back.get(name, name): value for name, value in row.items()}
                    for row in read.to_pylist()
                ]
        return found

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(self.named(name) for name in self.plan.key)

    def schema(self, columns: Sequence[str], mode: str) -> pa.Schema:
        """Give the columns of rows to write; what is upserted may be wider than what is there."""
        wider = {"some": pa.int64()} if self.plan.widened and mode == "upsert" else {}
        return pa.schema([(self.named(n), wider.get(n, COLUMNS[n][0])) for n in columns])

    def named(self, name: str) -> str:
        return self.names.get(name, name)

    def renamed(self, row: Row) -> Row:
        return {self.named(name): value for name, value in row.items()}

    def _sort(self, columns: Sequence[str]) -> tuple[str, ...]:
        return self.plan.sort_by if {*columns} >= {*self.plan.sort_by} else ()

    def _schema(self) -> tuple[str, ...]:
        body = self.entry.table if self.entry else None
        return tuple(column.name for column in body.schema) if body else ()

    def _planned(self, columns: Sequence[str], mode: str) -> Any:
        self.number += 1
        return self.place.lake.tables.plan_write(
            self.entry,
            self.schema(columns, mode),
            table="t",
            mode=mode,  # type: ignore[arg-type]
            prefix=f"s{self.number}",
            partition=self.plan.partition if self.entry is None else (),
            key_columns=self.key if mode == "upsert" else (),
            staged_input=mode == "upsert",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a keyed write must do to a list of rows."""

    rows: list[Row]
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


def model(
    key: Sequence[str], now: Sequence[Row], change: tuple[str, Sequence[str], Any]
) -> Expected:
    """Do a keyed write to a list of rows, row by row."""
    word, columns, what = change
    if word == "where":
        left = [row for row in now if not PREDICATES[what](row)]
        return Expected(rows=left, deleted=len(now) - len(left))
    given = {tuple(row[k] for k in key): row for row in what}
    left, first = [], set()
    for row in now:
        of = tuple(row[k] for k in key)
        if of not in given:
            left.append(row)
        elif word != "delete" and of not in first:
            first.add(of)
            left.append({**row, **{name: given[of][name] for name in columns}})
    deleted = len(now) - len(left)
    if word == "delete":
        return Expected(rows=left, deleted=deleted)
    empty = dict.fromkeys(COLUMNS)
    new = [{**empty, **row} for of, row in given.items() if of not in first]
    return Expected(rows=left + new, inserted=len(new), updated=len(first), deleted=deleted)


def is_hit(key: Sequence[str], row: Row, change: Change) -> bool:
    """Say whether a keyed write changes or removes a row."""
    word, _, what = change
    if word == "where":
        return bool(PREDICATES[what](row))
    return any(all(row[k] == other[k] for k in key) for other in what)


def counted(some: Sequence[Row]) -> Counter[str]:
    """Give rows as a bag."""
    return Counter(repr({name: row.get(name) for name in COLUMNS}) for row in some)
