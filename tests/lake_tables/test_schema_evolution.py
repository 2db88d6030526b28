"""Random walks through schemas: columns and nested fields are added, renamed, dropped, added again.

A model keeps the rows as dictionaries. After every walk DuckDB and Polars (over our scan) and
PyIceberg (over the metadata alone) must give exactly its rows.
"""

import random
from dataclasses import replace as with_changes

import pyarrow as pa
import pytest

from headgate.lake import Append, ChangeSchema, Column
from headgate.lake.column_types import Field, ListOf, MapOf, StructOf, parse, plain, text
from headgate.lake.schemas import arrow_schema

NAMES = ("a", "b", "c", "A b")
TYPES = ("int", "float", "string", "struct", "list", "map")
WIDER = {"int": "long", "float": "double", "decimal(9, 2)": "decimal(12, 2)"}


class Model:
    """A table as columns (name -> type tree without ids) and rows (dictionaries)."""

    def __init__(self, dice):
        self.dice = dice
        self.columns = {}
        self.rows = []
        self.number = 0

    def new_type(self, kind):
        match kind:
            case "struct":
                return StructOf((Field("x", "int"), Field("y", "string")))
            case "list":
                return ListOf(StructOf((Field("x", "int"), Field("z", "string"))))
            case "map":
                return MapOf("string", StructOf((Field("x", "int"), Field("z", "string"))))
            case _:
                return kind

    def value(self, type_):  # noqa: PLR0911 - a table of types
        if self.dice.random() < 0.2:
            return None
        self.number += 1
        match type_:
            case "int" | "long":
                return self.number
            case "float" | "double":
                return self.number / 2
            case "string":
                return f"s{self.number}"
            case ListOf(element, _):
                return [self.value(element) for _ in range(self.dice.randrange(3))]
            case MapOf(_, value, _, _):
                return {f"k{i}": self.value(value) for i in range(self.dice.randrange(3))}
            case StructOf(fields):
                return {field.name: self.value(field.type) for field in fields}

    def row(self):
        return {name: self.value(type_) for name, type_ in self.columns.items()}


def struct_in(type_):
    """Give the struct at or inside a type, and how to put another one in its place."""
    match type_:
        case StructOf():
            return type_, lambda new: new
        case ListOf(StructOf() as inner, _):
            return inner, lambda new: with_changes(type_, element=new)
        case MapOf(_, StructOf() as inner, _, _):
            return inner, lambda new: with_changes(type_, value=new)
    return None, None


def in_structs(value, type_, change):
    """Apply a change to every struct value at or inside a column's value."""
    if value is None:
        return None
    match type_:
        case StructOf():
            return change(value)
        case ListOf():
            return [None if item is None else change(item) for item in value]
        case MapOf():
            return {key: None if item is None else change(item) for key, item in value.items()}


class Walk:
    """Does the same to a table and to the model."""

    def __init__(self, bench, seed):
        self.bench = bench
        self.dice = random.Random(seed)
        self.model = Model(self.dice)
        self.entry = None
        self.add_column()

    @property
    def columns(self):
        return self.entry.table.schema if self.entry else ()

    def step(self):
        actions = [
            self.append,
            self.append,
            self.append_some_columns,
            self.add_column,
            self.drop_column,
            self.rename_column,
            self.widen_column,
            self.add_field,
            self.drop_field,
            self.rename_field,
            self.replace,
        ]
        self.dice.choice(actions)()

    # -- rows

    def append(self, mode="append", names=None):
        names = names or list(self.model.columns)
        rows = []
        for _ in range(self.dice.randrange(3)):
            full = self.model.row()
            rows.append({name: full[name] for name in names})
        schema = arrow_schema(
            [Column(name=n, type=text(self.model.columns[n]), id=0) for n in names]
        )
        table = pa.Table.from_pylist(rows, schema=schema)
        self.entry = self.bench.write(self.entry, table, mode)
        if mode == "replace":
            self.model.rows = []
        self.model.rows += [dict.fromkeys(self.model.columns) | row for row in rows]

    def append_some_columns(self):
        names = list(self.model.columns)
        self.append(names=self.dice.sample(names, self.dice.randint(1, len(names))))

    def replace(self):
        names = list(self.model.columns)
        self.dice.shuffle(names)
        self.model.columns = {name: self.model.columns[name] for name in names}
        self.append("replace")

    # -- columns

    def add_column(self):
        free = [name for name in NAMES if name not in self.model.columns]
        if not free:
            return
        name = self.dice.choice(free)
        self.model.columns[name] = self.model.new_type(self.dice.choice(TYPES))
        for row in self.model.rows:
            row[name] = None
        self.append()

    def drop_column(self):
        if len(self.model.columns) < 2:
            return
        name = self.dice.choice(list(self.model.columns))
        del self.model.columns[name]
        for row in self.model.rows:
            del row[name]
        self.change(tuple(c for c in self.columns if c.name != name))

    def rename_column(self):
        free = [name for name in NAMES if name not in self.model.columns]
        if not free:
            return
        old, new = self.dice.choice(list(self.model.columns)), self.dice.choice(free)
        moved = {old: new}
        self.model.columns = {moved.get(n, n): t for n, t in self.model.columns.items()}
        self.model.rows = [{moved.get(n, n): v for n, v in row.items()} for row in self.model.rows]
        self.change(
            tuple(
                Column(name=moved.get(c.name, c.name), type=c.type, id=c.id) for c in self.columns
            )
        )

    def widen_column(self):
        narrow = [n for n, t in self.model.columns.items() if isinstance(t, str) and t in WIDER]
        if not narrow:
            return
        name = self.dice.choice(narrow)
        self.model.columns[name] = WIDER[self.model.columns[name]]
        self.append()

    # -- nested fields

    def add_field(self):
        def change(struct):
            free = [name for name in ("x", "y", "z") if name not in {f.name for f in struct.fields}]
            if not free:
                return None
            self.added = self.dice.choice(free)
            return StructOf(
                (*struct.fields, Field(self.added, self.dice.choice(["int", "string"])))
            )

        if self.change_struct(change, lambda value: {**value, self.added: None}, by_write=True):
            self.append()

    def drop_field(self):
        def change(struct):
            if len(struct.fields) < 2:
                return None
            self.gone = self.dice.choice(struct.fields).name
            return StructOf(tuple(f for f in struct.fields if f.name != self.gone))

        self.change_struct(change, lambda v: {n: x for n, x in v.items() if n != self.gone})

    def rename_field(self):
        def change(struct):
            free = [name for name in ("x", "y", "z") if name not in {f.name for f in struct.fields}]
            if not free:
                return None
            self.moved = {self.dice.choice(struct.fields).name: self.dice.choice(free)}
            return StructOf(
                tuple(with_changes(f, name=self.moved.get(f.name, f.name)) for f in struct.fields)
            )

        self.change_struct(change, lambda v: {self.moved.get(n, n): x for n, x in v.items()})

    def change_struct(self, change_type, change_value, *, by_write=False):
        nested = [n for n, t in self.model.columns.items() if struct_in(t)[0] is not None]
        if not nested:
            return False
        name = self.dice.choice(nested)
        state = self.dice.getstate()
        struct, rebuilt = struct_in(self.model.columns[name])
        new = change_type(struct)
        if new is None:
            return False
        before = self.model.columns[name]
        self.model.columns[name] = rebuilt(new)
        for row in self.model.rows:
            row[name] = in_structs(row[name], before, change_value)
        if by_write:
            return True
        self.dice.setstate(state)
        columns = []
        for column in self.columns:
            if column.name == name:
                inner, put = struct_in(parse(column.type))
                column = Column(name=name, type=text(put(change_type(inner))), id=column.id)  # noqa: PLW2901
            columns.append(column)
        self.change(tuple(columns))
        return True

    def change(self, columns):
        operation = ChangeSchema(columns=columns, what="")
        self.entry = self.bench.tables.apply(self.entry, (operation,))


def rows_of(rows, order):
    return sorted([repr(normal(row[name])) for name in order] for row in rows)


def normal(value):
    """Give nested values one order of names."""
    if isinstance(value, dict):
        return {name: normal(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return value


def as_pyiceberg_sees(rows, columns):
    """PyIceberg 0.12 rebuilds lists and maps of structs without NULLs: they come out empty."""
    empty = {name: [] for name, type_ in columns.items() if isinstance(type_, ListOf)}
    empty |= {name: {} for name, type_ in columns.items() if isinstance(type_, MapOf)}
    return [
        {name: empty.get(name) if value is None else value for name, value in row.items()}
        for row in rows
    ]


def check(walk):
    order = list(walk.model.columns)
    assert [c.name for c in walk.columns] == order
    assert [plain(c.type) for c in walk.columns] == [text(t) for t in walk.model.columns.values()]
    wanted = rows_of(walk.model.rows, order)
    readings = walk.bench.readings(walk.entry)
    theirs = as_pyiceberg_sees(readings.pop("pyiceberg"), walk.model.columns)
    assert rows_of(theirs, order) == rows_of(
        as_pyiceberg_sees(walk.model.rows, walk.model.columns), order
    )
    for name, rows in readings.items():
        assert rows_of(rows, order) == wanted, name
    assert walk.entry.table.rows == len(wanted)


@pytest.mark.parametrize("seed", range(16))
def test_every_reader_gives_the_models_rows(bench, seed):
    walk = Walk(bench, seed)
    for _ in range(12):
        walk.step()
    check(walk)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1_000, 1_400))
def test_every_reader_gives_the_models_rows_after_every_step(bench, seed):
    walk = Walk(bench, seed)
    for _ in range(40):
        walk.step()
        check(walk)


def test_a_dropped_columns_values_never_come_back(bench):
    entry = bench.write(None, pa.table({"k": [1], "a": [10], "s": [{"x": 1}]}))
    entry = bench.tables.apply(
        entry, (ChangeSchema(columns=entry.table.schema[:1], what="dropped a, s"),)
    )
    entry = bench.write(entry, pa.table({"k": [2], "a": [20], "s": [{"x": 2}]}))
    wanted = [{"k": 1, "a": None, "s": None}, {"k": 2, "a": 20, "s": {"x": 2}}]
    for name, rows in bench.readings(entry).items():
        assert rows == wanted, name


def test_two_branches_add_the_same_and_different_columns_and_every_value_reads_back(bench):
    base = bench.write(None, pa.table({"k": [0]}))

    def added(rows):
        plan = bench.tables.plan_write(base, rows.schema, table="t", mode="append", prefix="p")
        files = bench.tables.collect([bench.file(plan, rows)], plan.columns)
        return (*plan.operations, Append(files=files))

    one = added(pa.table({"k": [1], "same": ["x"], "one": [1.5]}))
    other = added(pa.table({"other": [True], "k": [2], "same": ["y"]}))
    merged = bench.tables.apply(bench.tables.apply(base, one), other)
    wanted = [
        {"k": 0, "same": None, "one": None, "other": None},
        {"k": 1, "same": "x", "one": 1.5, "other": None},
        {"k": 2, "same": "y", "one": None, "other": True},
    ]
    for name, rows in bench.readings(merged).items():
        assert rows == wanted, name
    turned = bench.tables.apply(bench.tables.apply(base, other), one)
    assert {c.name: c.id for c in turned.table.schema} == {
        c.name: c.id for c in merged.table.schema
    }
