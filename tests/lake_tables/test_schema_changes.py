"""What schema a write leads to: allowed changes, refusals that name both types, lake-wide ids."""

import pyarrow as pa
import pytest

from headgate.errors import Invalid
from headgate.lake import AddColumn, ChangeSchema, Column, Create
from headgate.lake.schema_changes import (
    added_rows_plan,
    allocated,
    drop_epochs_after,
    replaced_columns,
)
from headgate.lake.schemas import arrow_schema, columns_of


class Allocator:
    """What the metastore does: a number per name, the same for ever."""

    def __init__(self):
        self.numbers = {}

    def __call__(self, names):
        for name in names:
            self.numbers.setdefault(name, len(self.numbers) + 1)
        return {name: self.numbers[name] for name in names}


def columns(**types):
    return tuple(Column(name=name, type=type_, id=0) for name, type_ in types.items())


def table(allocate, **types):
    return allocated(columns(**types), (), {}, allocate)


def joined(existing, incoming):
    allocate = Allocator()
    plan = added_rows_plan(
        table(allocate, a=existing),
        columns(a=incoming),
        table="t",
        drop_epochs={},
        allocate=allocate,
    )
    return plan.columns[0].type, [type(operation) for operation in plan.operations]


KEPT = [
    ("long", "int"),
    ("double", "int"),
    ("double", "long"),
    ("double", "float"),
    ("decimal(12, 2)", "int"),
    ("decimal(9, 2)", "decimal(7, 1)"),
    ("timestamp", "date"),
    ("string", "unknown"),
    ("list<long>", "list<int>"),
    ("list<long>", "list<unknown>"),
    ("map<string, double>", "map<string, int>"),
]
WIDENED = [
    ("int", "long", "long"),
    ("float", "double", "double"),
    ("decimal(9, 2)", "decimal(12, 2)", "decimal(12, 2)"),
    ("decimal(9, 2)", "decimal(12, 1)", "decimal(13, 2)"),
    ("decimal(9, 2)", "int", "decimal(12, 2)"),
]
REFUSED = [
    ("long", "string"),
    ("int", "double"),
    ("long", "double"),
    ("float", "int"),
    ("string", "long"),
    ("timestamp", "timestamptz"),
    ("date", "timestamp"),
    ("decimal(9, 2)", "decimal(9, 3)"),
    ("decimal(38, 10)", "decimal(38, 0)"),
    ("list<int>", "int"),
    ("list<int>", "list<string>"),
    ("map<string, int>", "map<int, int>"),
    ("struct<x: int>", "struct<x: string>"),
]


@pytest.mark.parametrize(("existing", "incoming"), KEPT)
def test_values_that_fit_go_in_as_they_are(existing, incoming):
    type_, operations = joined(existing, incoming)
    assert not operations
    assert type_.replace("2: ", "").replace("3: ", "") == existing


@pytest.mark.parametrize(("existing", "incoming", "wider"), WIDENED)
def test_a_type_is_widened_where_iceberg_can(existing, incoming, wider):
    assert joined(existing, incoming) == (wider, [ChangeSchema])


@pytest.mark.parametrize(("existing", "incoming"), REFUSED)
def test_what_does_not_fit_is_refused_with_both_types(existing, incoming):
    with pytest.raises(Invalid) as error:
        joined(existing, incoming)
    assert error.value.code == "schema-type-conflict"
    assert str(error.value.facts["stored"]) in existing
    assert str(error.value.facts["incoming"]) in incoming
    assert "Cast the column" in str(error.value.hint)


def test_structs_grow_within_and_keep_their_ids():
    allocate = Allocator()
    before = table(allocate, s="struct<x: int, y: string>")
    plan = added_rows_plan(
        before,
        columns(s="struct<y: string, z: list<double>>"),
        table="t",
        drop_epochs={},
        allocate=allocate,
    )
    assert before[0].type == "struct<2: x: int, 3: y: string>"
    assert plan.columns[0].type == "struct<2: x: int, 3: y: string, 4: z: list<5: double>>"
    assert plan.operations[0].what == (
        "s: struct<x: int, y: string> became struct<x: int, y: string, z: list<double>>"
    )


def test_columns_the_rows_lack_stay_and_new_ones_come_last():
    allocate = Allocator()
    before = table(allocate, a="int", b="string")
    plan = added_rows_plan(
        before, columns(c="date", b="string"), table="t", drop_epochs={}, allocate=allocate
    )
    assert [column.name for column in plan.columns] == ["a", "b", "c"]
    assert plan.operations == (AddColumn(column=Column(name="c", type="date", id=3)),)


def test_two_branches_give_equal_additions_equal_ids_and_different_ones_different_ids():
    allocate = Allocator()
    before = table(allocate, a="int")

    def add(**types):
        return added_rows_plan(
            before, columns(**types), table="t", drop_epochs={}, allocate=allocate
        ).columns

    one, other, third = add(b="long", c="int"), add(c="int", b="long"), add(b="int", d="int")
    assert {c.name: c.id for c in one} == {c.name: c.id for c in other}
    ids = [column.id for column in (*one[1:], *third[1:])]
    assert len(set(ids)) == len(ids)


def test_a_column_dropped_and_added_again_gets_another_id():
    allocate = Allocator()
    before = table(allocate, a="int", s="struct<x: int>")
    epochs = drop_epochs_after({}, before, ())
    assert epochs == {"a": 1, "s": 1, "s.x": 1}
    again = allocated(columns(a="int", s="struct<x: int>"), (), epochs, allocate)
    assert {column.id for column in again}.isdisjoint({column.id for column in before})
    assert "2:" not in again[1].type.replace("12:", "")


def test_a_name_that_was_renamed_away_is_free_for_another_column():
    allocate = Allocator()
    before = table(allocate, a="int")
    renamed = (Column(name="b", type="int", id=before[0].id),)
    epochs = drop_epochs_after({}, before, renamed)
    plan = added_rows_plan(
        renamed, columns(a="int"), table="t", drop_epochs=epochs, allocate=allocate
    )
    assert len({column.id for column in plan.columns}) == 2


def test_a_replaced_table_keeps_the_ids_of_columns_of_equal_name_and_type():
    allocate = Allocator()
    before = table(allocate, a="int", b="string", c="list<int>")
    after = replaced_columns(
        before,
        columns(c="list<unknown>", b="long", d="int"),
        table="t",
        drop_epochs={},
        allocate=allocate,
    )
    assert [column.name for column in after] == ["c", "b", "d"]
    assert after[0] == before[2]
    assert after[1].id not in {column.id for column in before}
    back = replaced_columns(
        after,
        columns(b="string"),
        table="t",
        drop_epochs=drop_epochs_after({}, before, after),
        allocate=allocate,
    )
    assert back[0].id not in {column.id for column in (*before, *after)}


@pytest.mark.parametrize(
    ("types", "code"),
    [
        ({}, "schema-empty"),
        ({"": "int"}, "schema-name-empty"),
        ({"a": "int", "A": "int"}, "schema-names-clash"),
        ({"s": "struct<x: int, X: int>"}, "schema-names-clash"),
        ({"a": "unknown"}, "schema-column-untyped"),
        ({"l": "list<unknown>"}, "schema-column-untyped"),
    ],
)
def test_rows_that_cannot_be_a_table_are_refused(types, code):
    for decide in (added_rows_plan, replaced_columns):
        with pytest.raises(Invalid) as error:
            decide((), columns(**types), table="t", drop_epochs={}, allocate=Allocator())
        assert error.value.code == code


def test_a_new_column_that_differs_only_in_case_is_refused():
    allocate = Allocator()
    with pytest.raises(Invalid) as error:
        added_rows_plan(
            table(allocate, Id="int"),
            columns(ID="int"),
            table="t",
            drop_epochs={},
            allocate=allocate,
        )
    assert error.value.code == "schema-names-clash"


MAPPED = {
    "uint64": (pa.uint64(), "decimal(20, 0)"),
    "uint32": (pa.uint32(), "long"),
    "int8": (pa.int8(), "int"),
    "half": (pa.float16(), "float"),
    "large string": (pa.large_string(), "string"),
    "string view": (pa.string_view(), "string"),
    "dictionary": (pa.dictionary(pa.int8(), pa.string()), "string"),
    "date64": (pa.date64(), "date"),
    "nanoseconds": (pa.timestamp("ns"), "timestamp"),
    "zoned": (pa.timestamp("s", "Europe/Paris"), "timestamptz"),
    "fixed list": (pa.list_(pa.int64(), 3), "list<long>"),
    "list view": (pa.list_view(pa.int64()), "list<long>"),
    "uuid": (pa.uuid(), "uuid"),
    "json": (pa.json_(), "string"),
    "decimal256": (pa.decimal256(30, 3), "decimal(30, 3)"),
    "fixed": (pa.binary(4), "fixed[4]"),
}


@pytest.mark.parametrize("name", MAPPED)
def test_arrow_types_are_stored_by_rule(name):
    arrow, stored = MAPPED[name]
    found = columns_of(pa.schema([("a", arrow)]))
    assert [column.type for column in found] == [stored]
    assert columns_of(arrow_schema(found)) == found


@pytest.mark.parametrize(
    "arrow",
    [
        pa.duration("s"),
        pa.month_day_nano_interval(),
        pa.decimal128(5, -2),
        pa.decimal256(50, 2),
        pa.struct([]),
        pa.dense_union([pa.field("x", pa.int8())]),
    ],
    ids=str,
)
def test_arrow_types_without_a_place_are_refused_by_name(arrow):
    for inside in (arrow, pa.list_(arrow), pa.struct([("x", arrow)])):
        with pytest.raises(Invalid) as error:
            columns_of(pa.schema([("some column", inside)]))
        assert error.value.code == "schema-type-unsupported"
        assert "some column" in error.value.message
        assert str(arrow) in error.value.message


def test_planning_a_new_table_creates_it_with_its_columns(bench):
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    plan = bench.tables.plan_write(None, schema, table="t", mode="append", prefix="p")
    create, *added = plan.operations
    assert isinstance(create, Create)
    assert [operation.column.name for operation in added] == ["a", "b"]
    assert plan.target.schema.field("b").metadata == {b"PARQUET:field_id": b"2"}
    replacing = bench.tables.plan_write(None, schema, table="t", mode="replace", prefix="p")
    assert [type(operation) for operation in replacing.operations] == [Create]


def test_files_hold_what_the_rows_have_with_the_tables_ids_and_types(bench):
    rows = pa.table({"k": [1], "a": ["x"], "b": [1.5], "s": [[{"x": 1, "y": "z"}]]})
    entry = bench.write(None, rows)
    incoming = pa.schema(
        [
            ("b", pa.float32()),
            ("s", pa.list_(pa.struct([("y", pa.string())]))),
            ("k", pa.int32()),
        ]
    )
    plan = bench.tables.plan_write(
        entry, incoming, table="t", mode="upsert", prefix="p", key_columns=("k",)
    )
    assert [(c.name, c.type, c.id) for c in plan.columns] == [
        ("k", "long", 1),
        ("b", "double", 3),
        ("s", "list<5: struct<7: y: string>>", 4),
    ]
    assert not plan.operations


def test_rows_without_the_key_are_refused(bench):
    with pytest.raises(Invalid) as error:
        bench.tables.plan_write(
            None,
            pa.schema([("a", pa.int64())]),
            table="t",
            mode="upsert",
            prefix="p",
            key_columns=("id",),
        )
    assert error.value.code == "schema-key-missing"
