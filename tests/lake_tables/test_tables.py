"""Tables: every reader sees the same rows, whatever was done to get there."""

import datetime as dt
import shutil
import uuid
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.clock import ManualClock
from headgate.errors import AlreadyExists, Conflict, Corrupt, Internal, Invalid, Refused
from headgate.lake import (
    AddColumn,
    Append,
    ChangeSchema,
    Column,
    Create,
    Delete,
    Drop,
    FileExchange,
    Lake,
    Replace,
    Rewrite,
    Upsert,
    content_chain,
)
from headgate.names import RandomIds

NOON = dt.datetime(2026, 11, 1, 12, 30, 0, 123456)  # noqa: DTZ001 - a timestamp without zone

EVERY_TYPE = pa.table(
    {
        "boolean": pa.array([True, None]),
        "int": pa.array([-5, None], pa.int32()),
        "long": pa.array([2**62, None], pa.int64()),
        "float": pa.array([1.5, None], pa.float32()),
        "double": pa.array([1.1, None], pa.float64()),
        "decimal": pa.array([Decimal("-12345.67"), None], pa.decimal128(9, 2)),
        "big": pa.array([2**64 - 1, None], pa.uint64()),
        "string": pa.array(["ä'\"\n", None]),
        "binary": pa.array([b"\x00\xff", None]),
        "date": pa.array([NOON.date(), None]),
        "timestamp": pa.array([NOON, None], pa.timestamp("us")),
        "timestamptz": pa.array([NOON.replace(tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
        "list": pa.array([[1, None], None], pa.list_(pa.int64())),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
        "struct": pa.array(
            [{"x": 1, "y": [{"z": "q"}]}, None],
            pa.struct([("x", pa.int32()), ("y", pa.list_(pa.struct([("z", pa.string())])))]),
        ),
        "Dep Delay (raw)": pa.array([1, None]),
        "naïve.dotted": pa.array([1, None]),
    }
)


def test_every_type_reads_back_in_every_reader(bench):
    entry = bench.write(None, EVERY_TYPE)
    wanted = sorted(EVERY_TYPE.to_pylist(maps_as_pydicts="strict"), key=repr)
    for name, rows in bench.readings(entry).items():
        assert rows == wanted, name


def test_a_projection_gives_the_named_columns_in_their_order(bench):
    entry = bench.write(None, pa.table({"a": [1], "b": ["x"], "c": [1.5]}))
    assert bench.by_duckdb(entry, ["c", "a"]).to_pylist() == [{"c": 1.5, "a": 1}]
    with pytest.raises(Invalid) as error:
        bench.tables.scan(entry, columns=["bb"])
    assert error.value.code == "unknown-column"


def test_replace_gives_exactly_the_new_rows_and_columns(bench):
    entry = bench.write(None, pa.table({"a": [1, 2], "b": ["x", "y"]}))
    entry = bench.write(entry, pa.table({"b": ["z"], "n": [0.5]}), "replace")
    assert bench.by_duckdb(entry).to_pylist() == [{"b": "z", "n": 0.5}]
    assert bench.by_pyiceberg(entry).to_pylist() == [{"b": "z", "n": 0.5}]
    assert (entry.table.rows, entry.table.files) == (1, 1)


def test_an_empty_table_has_columns_and_no_rows(bench):
    entry = bench.write(None, pa.table({"a": pa.array([], pa.int64())}))
    for rows in (bench.by_duckdb(entry), bench.by_polars(entry), bench.by_pyiceberg(entry)):
        assert rows.num_rows == 0
        assert rows.column_names == ["a"]
    assert bench.tables.scan(entry).groups == ()
    emptied = bench.write(
        bench.write(entry, pa.table({"a": [1]})),
        pa.table({"a": pa.array([], pa.int64())}),
        "replace",
    )
    assert bench.by_pyiceberg(emptied).num_rows == bench.by_duckdb(emptied).num_rows == 0


def test_an_append_of_no_rows_changes_nothing(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    same = bench.write(entry, pa.table({"a": pa.array([], pa.int64())}))
    assert same == entry


def test_the_content_is_the_chain_of_the_operations(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    plan = bench.tables.plan_write(
        entry,
        pa.schema([("a", pa.int64()), ("b", pa.int64())]),
        table="t",
        mode="append",
        prefix="p",
    )
    path = bench.file(plan, pa.table({"a": [1], "b": [2]}))
    operations = (*plan.operations, Append(files=bench.tables.collect([path], plan.columns)))
    after = bench.tables.apply(entry, operations)
    assert after.content == content_chain(entry.content, operations)


def test_an_exchange_removes_and_adds_files(bench):
    entry = bench.write(None, pa.table({"a": [1, 2]}))
    entry = bench.write(entry, pa.table({"a": [3]}))
    first, second = bench.tables.files(entry)
    plan = bench.tables.plan_write(
        entry, pa.schema([("a", pa.int64())]), table="t", mode="append", prefix="p"
    )
    (staged,) = bench.tables.collect([bench.file(plan, pa.table({"a": [9]}))], plan.columns)
    upsert = Upsert(key_columns=("a",), files=(staged,))
    after = bench.tables.apply(
        entry,
        (upsert,),
        exchanges={0: FileExchange(removed=(first.path,), added=(staged,))},
    )
    assert sorted(bench.by_pyiceberg(after)["a"].to_pylist()) == [3, 9]
    assert sorted(bench.by_duckdb(after)["a"].to_pylist()) == [3, 9]
    assert (after.table.rows, after.table.files, after.table.key_columns) == (2, 2, ("a",))
    assert sorted(bench.by_duckdb(entry)["a"].to_pylist()) == [1, 2, 3]
    deleted = bench.tables.apply(
        after,
        (Delete(predicate="a = 3"),),
        exchanges={0: FileExchange(removed=(second.path,), added=())},
    )
    assert bench.by_pyiceberg(deleted)["a"].to_pylist() == [9]


def test_a_file_that_came_and_went_within_one_apply_is_not_in_the_table(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    plan = bench.tables.plan_write(
        entry, pa.schema([("a", pa.int64())]), table="t", mode="append", prefix="p"
    )
    one, two = bench.tables.collect(
        [bench.file(plan, pa.table({"a": [n]})) for n in (2, 3)], plan.columns
    )
    after = bench.tables.apply(
        entry,
        (Append(files=(one,)), Delete(predicate="a = 2")),
        exchanges={1: FileExchange(removed=(one.path,), added=(two,))},
    )
    assert sorted(bench.by_duckdb(after)["a"].to_pylist()) == [1, 3]


def test_compaction_keeps_content_and_rows(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    entry = bench.write(entry, pa.table({"a": [2]}))
    plan = bench.tables.plan_write(
        entry, pa.schema([("a", pa.int64())]), table="t", mode="append", prefix="p"
    )
    added = bench.tables.collect([bench.file(plan, pa.table({"a": [1, 2]}))], plan.columns)
    removed = tuple(file.path for file in bench.tables.files(entry))
    after = bench.tables.apply(entry, (Rewrite(removed=removed, added=added),))
    assert after.content == entry.content
    assert sorted(bench.by_pyiceberg(after)["a"].to_pylist()) == [1, 2]
    assert after.table.files == 1
    old = bench.tables.scan_files(after, bench.tables.files(entry))
    assert old.rows == 2


def test_an_append_is_applied_again_to_another_base_with_more_columns(bench):
    base = bench.write(None, pa.table({"a": [1]}))
    plan = bench.tables.plan_write(
        base,
        pa.schema([("a", pa.int64()), ("b", pa.int64())]),
        table="t",
        mode="append",
        prefix="p",
    )
    path = bench.file(plan, pa.table({"a": [2], "b": [20]}))
    operations = (*plan.operations, Append(files=bench.tables.collect([path], plan.columns)))
    head = bench.write(base, pa.table({"a": [3], "c": ["x"], "b": [30]}))
    bench.tables.forget()
    merged = bench.tables.apply(head, operations)
    wanted = [
        {"a": 1, "c": None, "b": None},
        {"a": 2, "c": None, "b": 20},
        {"a": 3, "c": "x", "b": 30},
    ]
    for name, rows in bench.readings(merged).items():
        assert sorted(rows, key=lambda row: row["a"]) == wanted, name


def test_the_same_name_with_another_type_on_another_base_is_a_conflict(bench):
    base = bench.write(None, pa.table({"a": [1]}))
    head = bench.write(base, pa.table({"a": [3], "b": ["x"]}))
    operations = (AddColumn(column=Column(name="b", type="long", id=99)),)
    with pytest.raises(Conflict) as error:
        bench.tables.apply(head, operations, table="t")
    assert error.value.code == "column-differs"


def test_a_table_is_created_once_and_again_after_it_was_dropped(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    create = Create(uuid=str(uuid.uuid4()))
    with pytest.raises(AlreadyExists) as error:
        bench.tables.apply(entry, (create,))
    assert error.value.code == "table-exists"
    column = Column(name="z", type="int", id=1)
    again = bench.tables.apply(entry, (Drop(), create, AddColumn(column=column)))
    assert again.table.uuid == create.uuid
    assert bench.by_duckdb(again).column_names == ["z"]
    with pytest.raises(Internal):
        bench.tables.apply(None, (Append(files=()),))
    with pytest.raises(Internal):
        bench.tables.apply(entry, (Drop(),))


def test_owner_taint_and_stale_marks_are_kept(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    owned = bench.tables.apply(entry, (), owner="flights")
    assert owned.table.owner == "flights"
    assert owned.table.metadata == entry.table.metadata
    assert bench.write(owned, pa.table({"a": [2]})).table.owner == "flights"


# -- files that are not what they should be


def replaced_file(bench, entry, content):
    (file,) = bench.tables.files(entry)
    bench.lake.storage.delete([file.path])
    if content is not None:
        bench.lake.storage.put(file.path, content)
    return bench.tables.absolute(file.path)


def test_a_missing_file_is_named(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    path = replaced_file(bench, entry, None)
    (problem,) = bench.tables.verify(entry)
    assert (problem.what, problem.path) == ("data-file-missing", path)


def test_a_file_of_another_length_and_a_file_of_other_bytes_are_named(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    (file,) = bench.tables.files(entry)
    whole = bench.lake.storage.read(file.path)
    assert bench.tables.verify(entry) == []
    path = replaced_file(bench, entry, whole[:-1])
    assert [(p.what, p.path) for p in bench.tables.verify(entry)] == [("data-file-damaged", path)]
    replaced_file(bench, entry, whole[:9] + bytes([whole[9] ^ 1]) + whole[10:])
    assert [(p.what, p.path) for p in bench.tables.verify(entry)] == [("data-file-damaged", path)]
    assert bench.tables.verify(entry, checksums=False) == []


@pytest.mark.parametrize("kind", ["metadata.json", "-list.avro", "-0.avro"])
@pytest.mark.parametrize("torn", [True, False])
def test_missing_and_torn_metadata_is_named(bench, kind, torn):
    entry = bench.write(None, pa.table({"a": [1]}))
    storage = bench.lake.storage
    listed = [file.path for file in storage.list(f"metadata/{entry.table.uuid}")]
    (path,) = [path for path in listed if path.endswith(kind)]
    content = storage.read(path)
    storage.delete([path])
    if torn:
        storage.put(path, content[: len(content) // 2])
    bench.tables.forget()
    (problem,) = bench.tables.verify(entry)
    assert problem.path.endswith(path)
    assert problem.what == ("metadata-damaged" if torn else "metadata-missing")


def test_collecting_refuses_files_that_are_not_what_was_asked_for(bench, tmp_path):
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    plan = bench.tables.plan_write(None, schema, table="t", mode="append", prefix="p")

    def code(rows, ids=True, directory=plan.target.directory):
        fields = [
            field.with_metadata({"PARQUET:field_id": str(number + 1)} if ids else None)
            for number, field in enumerate(rows.schema)
        ]
        path = f"{directory}/p-{uuid.uuid4()}.parquet"
        sink = pa.BufferOutputStream()
        pq.write_table(rows.cast(pa.schema(fields)), sink)
        if directory == plan.target.directory:
            bench.lake.storage.put(bench.tables.relative(path), sink.getvalue().to_pybytes())
        with pytest.raises(Invalid) as error:
            bench.tables.collect([path], plan.columns)
        assert path in error.value.message
        return error.value.code

    good = pa.table({"a": [1], "b": ["x"]})
    assert code(good, ids=False) == "file-without-ids"
    assert code(good.select(["b", "a"])) == "file-schema-differs"
    assert code(good.select(["a"])) == "file-schema-differs"
    assert code(pa.table({"a": ["1"], "b": ["x"]})) == "file-schema-differs"
    assert code(good.append_column("c", [["y"]])) == "file-schema-differs"
    assert code(good, directory=tmp_path) == "outside-the-lake"


def test_collecting_a_missing_or_broken_file_is_corruption(bench):
    schema = pa.schema([("a", pa.int64())])
    plan = bench.tables.plan_write(None, schema, table="t", mode="append", prefix="p")
    path = f"{plan.target.directory}/p-1.parquet"
    for content, code in ((None, "data-file-missing"), (b"PAR1PAR1", "data-file-damaged")):
        if content is not None:
            bench.lake.storage.put(bench.tables.relative(path), content)
        with pytest.raises(Corrupt) as error:
            bench.tables.collect([path], plan.columns)
        assert (error.value.code, error.value.facts["path"]) == (code, path)


# -- what is reachable, what can be dropped, what can be moved


def reachable(bench, entry):
    return set(bench.tables.new_paths(entry, None))


def test_new_paths_are_what_is_reachable_now_and_was_not_before(bench):
    entries = [bench.write(None, pa.table({"a": [0]}))]
    for number in range(1, 25):
        rows = pa.table({"a": [number]})
        entries.append(bench.write(entries[-1], rows, "replace" if number == 17 else "append"))
    for base in (entries[0], entries[5], entries[16]):
        for entry in entries:
            new = set(bench.tables.new_paths(entry, base))
            assert new == reachable(bench, entry) - reachable(bench, base)
    for path in reachable(bench, entries[-1]):
        assert bench.lake.storage.size(path, fresh=True)


def test_listings_are_only_a_cache(bench):
    entry = bench.write(None, pa.table({"a": [1], "t": [NOON], "f": [0.5], "s": ["x" * 40]}))
    for number in range(13):
        entry = bench.write(entry, pa.table({"a": [number], "b": [Decimal("1.25")]}))
    files, scan = bench.tables.files(entry), bench.tables.scan(entry)
    listings = [f for f in bench.lake.storage.list("metadata") if f.path.endswith(".files.json")]
    for path, size in ((file.path, file.size_bytes) for file in listings):
        torn = bench.lake.storage.read(path)[:-10] if size % 2 else b""
        bench.lake.storage.put(path, torn)
    bench.tables.forget()
    assert bench.tables.files(entry) == files
    assert bench.tables.scan(entry) == scan
    bench.lake.storage.delete(file.path for file in listings)
    bench.tables.forget()
    assert bench.tables.files(entry) == files
    again = bench.write(entry, pa.table({"a": [99]}))
    assert bench.tables.verify(again) == []
    assert bench.by_duckdb(again).num_rows == 15


@pytest.mark.in_one_directory
def test_a_moved_lake_finds_its_files(bench, tmp_path):
    entry = bench.write(None, pa.table({"a": [1]}))
    bench.lake.close()
    shutil.move(bench.lake.location, tmp_path / "elsewhere")
    with Lake.open(tmp_path / "elsewhere", clock=ManualClock(), ids=RandomIds()) as lake:
        for path in lake.location.glob("metadata/*/*.files.json"):
            path.unlink()
        (group,) = lake.tables.scan(entry).groups
        assert pq.read_table(group.paths[0]).to_pylist() == [{"a": 1}]
        assert lake.tables.verify(entry) == []
        assert lake.tables.iceberg("t", entry).scan().to_arrow().to_pylist() == [{"a": 1}]


def test_a_table_at_a_commit_is_read_only_for_pyiceberg(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    with pytest.raises(Refused) as error:
        bench.tables.iceberg("raw.t", entry).append(pa.table({"a": [2]}))
    assert error.value.code == "ref-fixed"
    assert bench.by_pyiceberg(entry).num_rows == 1


def test_a_scan_of_some_files_reads_those_only(bench):
    entry = bench.write(None, pa.table({"a": [1]}))
    later = bench.write(entry, pa.table({"a": [2], "b": ["x"]}))
    new = [f for f in bench.tables.files(later) if f not in bench.tables.files(entry)]
    scan = bench.tables.scan_files(later, new)
    assert (scan.rows, [group.exact for group in scan.groups]) == (1, [True])
    old = bench.tables.scan_files(later, bench.tables.files(entry))
    assert old.groups[0].columns == {"a": "a", "b": None}


def test_staged_files_are_scanned_before_they_are_in_a_table(bench):
    schema = pa.schema([("a", pa.int64())])
    plan = bench.tables.plan_write(None, schema, table="t", mode="append", prefix="p")
    files = bench.tables.collect([bench.file(plan, pa.table({"a": [1, 2]}))], plan.columns)
    scan = bench.tables.scan_staged(files, plan.columns)
    assert (scan.rows, scan.groups[0].exact) == (2, True)


def test_bounds_follow_columns_that_exchange_their_names(bench):
    entry = bench.write(None, pa.table({"a": [1, 5], "b": [70, 90]}))
    a, b = entry.table.schema
    exchanged = (
        Column(name="b", type=a.type, id=a.id),
        Column(name="a", type=b.type, id=b.id),
    )
    entry = bench.tables.apply(entry, (ChangeSchema(columns=exchanged, what="exchanged"),))
    for _ in range(3):
        assert [f.bounds for f in bench.tables.files(entry)] == [{"a": (70, 90), "b": (1, 5)}]
        for name, rows in bench.readings(entry).items():
            assert rows == [{"b": 1, "a": 70}, {"b": 5, "a": 90}], name
        kept = Replace(files=bench.tables.files(entry), schema=exchanged)
        entry = bench.tables.apply(entry, (kept,))


# -- cost


@pytest.mark.on_disk
def test_a_thousand_appends_stay_flat_in_files_and_bytes(bench):
    entry = None
    schema = pa.schema([("a", pa.int64())])
    plan = bench.tables.plan_write(None, schema, table="t", mode="append", prefix="p")
    path = bench.file(plan, pa.table({"a": [1]}))
    sizes = []
    for number in range(1_000):
        copy = f"{plan.target.directory}/p-{uuid.UUID(int=number)}.parquet"
        Path(copy).hardlink_to(path)
        append = Append(files=bench.tables.collect([copy], plan.columns))
        entry = bench.tables.apply(entry, (append,) if entry else (*plan.operations, append))
        if number % 100 == 99:
            directory = Path(bench.tables.absolute(f"metadata/{entry.table.uuid}"))
            everything = list(directory.iterdir())
            sizes.append((len(everything), sum(p.stat().st_size for p in everything)))
    files = [after[0] - before[0] for before, after in pairwise(sizes)]
    sizes_bytes = [after[1] - before[1] for before, after in pairwise(sizes)]
    assert set(files) == {400}
    *usual, with_a_full_merge = sizes_bytes
    assert max(usual) < 1.15 * min(usual)
    assert with_a_full_merge < 1.7 * min(usual)
    snapshot = bench.tables.iceberg("t", entry).metadata.current_snapshot()
    assert len(snapshot.manifests(bench.tables.iceberg("t", entry).io)) <= 28
    metadata = Path(bench.tables.absolute(entry.table.metadata))
    assert metadata.stat().st_size < 3_000
    assert bench.by_pyiceberg(entry).num_rows == 1_000
