"""Tables that change at random, and a contract of every kind of check judged on them."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from hypothesis import strategies as st

from headgate.contracts import ContractSpec
from headgate.lake import (
    Append,
    ChangeSchema,
    Column,
    Delete,
    Replace,
    Rewrite,
    Upsert,
    table_key,
)
from headgate.runs.applying import apply_operations
from headgate.runs.row_changes import changes_of
from headgate.runs.verify import Case, judge_case

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PARENT = {"id": pa.int64(), "name": pa.string(), "size": pa.int32()}
CHILD = {
    "key": pa.int64(),
    "parent": pa.int32(),
    "text": pa.string(),
    "share": pa.float64(),
    "at": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
}
TYPES = {
    pa.int64(): "long",
    pa.int32(): "int",
    pa.string(): "string",
    pa.float64(): "double",
    pa.timestamp("us", "UTC"): "timestamptz",
    pa.date32(): "date",
}
numbers = st.none() | st.integers(0, 9)
texts = st.none() | st.sampled_from(["", "a", "b", "ab", "b" * 20, "b" * 21, "é"])
VALUES = {
    "id": numbers,
    "name": texts,
    "size": numbers,
    "key": numbers,
    "parent": numbers,
    "text": texts,
    "share": st.none() | st.sampled_from([0.0, -0.0, 1.5, -1.0, float("nan"), float("inf")]),
    "at": st.none() | st.integers(0, 9).map(lambda n: NOW - timedelta(hours=n)),
    "day": st.none() | st.integers(1, 5).map(lambda n: date(2026, 1, n)),
}


def rows_of(columns, *, most=5, keyed=None):
    """Rows of a table; with a key, each key once and never NULL."""
    values = {
        c: VALUES[c].filter(lambda v: v is not None) if c == keyed else VALUES[c] for c in columns
    }
    unique_by = (lambda row: row[keyed]) if keyed else None
    return st.lists(st.fixed_dictionaries(values), max_size=most, unique_by=unique_by)


severities = st.sampled_from(["fail", "warn"])
row_checks = st.sampled_from(
    [
        {"check": "not-null", "column": "text"},
        {"check": "between", "column": "key", "low": 1},
        {"check": "between", "column": "share", "low": 0},
        {"check": "one-of", "column": "text", "values": ["a", "b"]},
        {"check": "pattern", "column": "text", "pattern": "^a"},
        {"check": "length", "column": "text", "at_least": 1},
        {"check": "expression", "sql": "key > parent"},
    ]
)
key_checks = st.sampled_from(
    [
        {"check": "unique", "columns": ["key"]},
        {"check": "unique", "columns": ["key", "text"]},
        {"check": "unique", "columns": ["share"]},
        {"check": "unique", "columns": ["at", "day"]},
        {"check": "references", "columns": ["parent"], "table": "p", "parent_columns": ["id"]},
        {
            "check": "references",
            "columns": ["key", "text"],
            "table": "p",
            "parent_columns": ["id", "name"],
        },
        {"check": "references", "columns": ["parent"], "table": "c", "parent_columns": ["key"]},
        {"check": "references", "columns": ["text"], "table": "p", "parent_columns": ["name"]},
    ]
)
table_checks = st.sampled_from(
    [
        {"check": "rows", "at_least": 2},
        {"check": "rows", "at_most": 9},
        {"check": "completeness", "column": "text", "at_least": 0.5},
        {"check": "rows-change", "low": -0.5},
        {"check": "completeness-change", "column": "text", "high": 0.1, "over": 2},
        {"check": "freshness", "column": "at", "max_age_s": 7200},
        {"check": "freshness", "column": "day", "max_age_s": 7200},
    ]
)


@st.composite
def specs(draw, checks):
    """A contract of the child with a few checks."""
    found = {}
    for check in draw(checks):
        found[str(check)] = {**check, "severity": draw(severities)}
    columns = [{"name": name, "type": TYPES[kind]} for name, kind in CHILD.items()]
    return ContractSpec.from_dict({"name": "C", "columns": columns, "checks": list(found.values())})


any_checks = st.lists(row_checks | key_checks | key_checks | table_checks, min_size=1, max_size=5)


@st.composite
def operations(draw, table):
    """What is done to a table: the word for it, and its rows or keys."""
    columns = CHILD if table == "c" else PARENT
    key = "key" if table == "c" else "id"
    word = draw(
        st.sampled_from(
            [
                "append",
                "append",
                "append",
                "upsert",
                "upsert-some",
                "delete",
                "delete-keys",
                "replace",
                "rewrite",
                "add",
                "rename",
                "recreate-column",
                "again",
            ]
        )
    )
    match word:
        case "append" | "replace":
            return table, word, draw(rows_of(columns))
        case "upsert":
            return table, word, draw(rows_of(columns, keyed=key))
        case "upsert-some":
            some = [
                key,
                *draw(st.sets(st.sampled_from([c for c in columns if c != key]), min_size=1)),
            ]
            return (
                table,
                word,
                draw(rows_of({c: columns[c] for c in columns if c in some}, keyed=key)),
            )
        case "delete-keys":
            return table, word, draw(rows_of({key: columns[key]}, keyed=key))
        case "delete":
            return (
                table,
                word,
                draw(
                    st.sampled_from([f"{key} > 4", f"{key} < 2", f"{key} is null", "false", "true"])
                ),
            )
    return table, word, None


plans = st.lists(st.sampled_from("ccp").flatmap(operations), min_size=1, max_size=4)


class ChangingTables:
    """A child and a parent on a workplace's lake, entries and all."""

    def __init__(self, place):
        self.place = place
        self.tables = place.lake.tables
        self.number = 0

    def stage(self, entry, table, rows, columns, *, mode="append", key=()):
        """Write rows as staged files; give operations up to the data's, the files and columns."""
        self.number += 1
        schema = pa.schema([(c, columns[c]) for c in columns])
        plan = self.tables.plan_write(
            entry,
            schema,
            table=table,
            mode=mode,
            prefix=f"x{self.number}",
            key_columns=key,
            staged_input=mode == "upsert",
        )
        with closing(self.place.engine.session()) as session:
            written = session.write(pa.Table.from_pylist(rows, schema), plan.target)
        return plan, self.tables.collect(written.paths, plan.columns, key_columns=key)

    def made(self, table, rows):
        """A table made of rows, one file for every three of them."""
        columns = CHILD if table == "c" else PARENT
        entry = None
        for at in range(0, max(len(rows), 1), 3):
            plan, files = self.stage(entry, table, rows[at : at + 3], columns)
            done = (*plan.operations, Append(files=files))
            entry = apply_operations(
                self.place.hall.wiring, entry, done, key=f"table/{table}", prefix="m"
            ).entry
        return entry

    def change(self, entries, change):
        """Do one operation; give the entries after, and what was recorded."""
        table, word, what = change
        entry, key = entries[table], "key" if table == "c" else "id"
        columns = CHILD if table == "c" else PARENT
        done = self._operations(entry, table, word, what, columns, key)
        if word == "rewrite":
            entry = self.rewritten(entry)
        elif done is not None:
            entry = apply_operations(
                self.place.hall.wiring, entry, done, key=f"table/{table}", prefix=f"o{self.number}"
            ).entry
        return {**entries, table: entry}, (table, tuple(done or ()))

    def _operations(self, entry, table, word, what, columns, key):  # noqa: PLR0911 - a table of words
        match word:
            case "append":
                plan, files = self.stage(entry, table, what, columns)
                return (*plan.operations, Append(files=files))
            case "replace":
                plan, files = self.stage(entry, table, what, columns, mode="replace")
                return (*plan.operations, Replace(files=files, schema=plan.columns))
            case "upsert" | "upsert-some":
                names = list(what[0]) if what else [key]
                plan, files = self.stage(
                    entry,
                    table,
                    what,
                    {c: columns[c] for c in columns if c in names},
                    mode="upsert",
                    key=(key,),
                )
                return (
                    *plan.operations,
                    Upsert(files=files, key_columns=(key,), columns=tuple(names)),
                )
            case "delete-keys":
                plan, files = self.stage(
                    entry, table, what, {key: columns[key]}, mode="upsert", key=(key,)
                )
                return (Delete(files=files, key_columns=(key,)),)
            case "delete":
                return (Delete(predicate=what),)
            case "add":
                if any(c.name == "extra" for c in entry.table.schema):
                    return None
                plan, _ = self.stage(entry, table, [], {**columns, "extra": pa.int64()})
                return plan.operations
            case "rename":
                # The schema keeps its names and types, and two columns have changed places.
                return self._swapped(entry)
            case "recreate-column":
                schema = entry.table.schema
                at = next(
                    i
                    for i, c in enumerate(schema)
                    if c.name == ("text" if table == "c" else "name")
                )
                fresh = Column(name=schema[at].name, type=schema[at].type, id=1_000 + self.number)
                return (
                    ChangeSchema(
                        columns=(*schema[:at], fresh, *schema[at + 1 :]), what="made anew"
                    ),
                )
        return None

    def _swapped(self, entry):
        schema = list(entry.table.schema)
        groups = {}
        for i, column in enumerate(schema):
            groups.setdefault(column.type, []).append(i)
        pair = next((g[:2] for g in groups.values() if len(g) > 1), None)
        if pair is None:
            return None
        one, other = (schema[i] for i in pair)
        schema[pair[0]] = Column(name=one.name, type=one.type, id=other.id)
        schema[pair[1]] = Column(name=other.name, type=other.type, id=one.id)
        return (ChangeSchema(columns=tuple(schema), what="swapped"),)

    def rewritten(self, entry):
        """Put all rows into one file."""
        files = self.tables.files(entry)
        if not files:
            return entry
        self.number += 1
        with closing(self.place.engine.session()) as session:
            scan = self.tables.scan(entry)
            plan = self.tables.plan_write(
                entry, scan.schema, table="t", mode="append", prefix=f"w{self.number}"
            )
            written = session.write(scan, plan.target)
        new = self.tables.collect(written.paths, plan.columns)
        rewrite = Rewrite(removed=tuple(f.path for f in files), added=new)
        return self.tables.apply(entry, (rewrite,))

    def verdict(self, spec, entries, measured=None):
        """Judge the child on a tree of these entries."""
        case = Case(
            table="c",
            spec=spec,
            contents={
                table_key(n): e.content for n, e in entries.items() if n in {"c", *spec.references}
            },
        )
        return judge_case(self.place.hall.wiring, _Tree(entries), case, measured=measured)

    def differences(self, before, after, recorded):
        """Compare entries, with the operations recorded per table."""
        done = {}
        for table, each in recorded:
            done[table] = (*done.get(table, ()), *each)
        return changes_of(self.tables, before, after, done)


class _Tree:
    def __init__(self, entries):
        self._entries = entries

    def get(self, key):
        return self._entries.get(key.removeprefix("table/"))
