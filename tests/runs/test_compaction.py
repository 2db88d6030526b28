"""Compaction changes files only: nobody conflicts with it, reads through it or is judged for it."""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from compactions import (
    PARTITIONED,
    appended,
    compacted_during,
    entry,
    files,
    last,
    rewritten_during,
    small_files,
    stored,
)
from workplaces import Workplace

from headgate.errors import Corrupt, NotFound, Refused
from headgate.events import RunFailed, StepFinished
from headgate.lake import Group, Rewrite, RunState
from headgate.runs import Transaction
from headgate.runs.compaction import compact
from headgate.runs.rewriting import rewrite

COUNTED = """
from typing import Annotated
import headgate as hg
import polars as pl

class Row(hg.Contract, rules=(hg.unique("k"),)):
    k: int
    v: int

@hg.step(mode="append", contract=Row)
def counted(numbers: Annotated[pl.LazyFrame, hg.incremental]) -> pl.LazyFrame:
    return numbers

total = hg.sql_step("select count(*) as n, sum(v)::bigint as v from numbers")
"""


def test_small_files_become_one_with_the_same_rows_and_content(place: Workplace) -> None:
    small_files(place)
    rows, before = place.rows("numbers"), entry(place)
    old = stored(place)
    [done] = place.hall.compact("main")
    assert (done.files_before, done.files_after) == (6, 1)
    assert (done.files_removed, done.files_added, done.rows) == (6, 1, 6)
    assert place.rows("numbers") == rows
    assert entry(place).content == before.content
    assert old < stored(place)  # history keeps its files


def test_its_commit_says_what_it_is_and_reads_nothing(place: Workplace) -> None:
    small_files(place)
    [done] = place.hall.compact("main")
    record = last(place).record
    assert done.commits == (last(place).id,)
    assert record.kind == "maintenance"
    assert record.reads == ()
    assert record.verdicts == ()
    [write] = record.writes
    [operation] = write.operations
    assert isinstance(operation, Rewrite)
    assert write.before == write.content == entry(place).content


def test_compacting_again_does_nothing(place: Workplace) -> None:
    small_files(place)
    place.hall.compact("main")
    head = place.head()
    [done] = place.hall.compact("main")
    assert done.commits == ()
    assert place.head() == head


def test_a_plan_names_the_files_and_changes_nothing(place: Workplace) -> None:
    small_files(place)
    head = place.head()
    [plan] = place.hall.plan_compaction("main")
    assert {file.path for group in plan.groups for file in group.files} == set(files(place))
    assert plan.files_to_rewrite == 6
    assert place.head() == head


def test_only_the_named_tables_are_compacted(place: Workplace) -> None:
    small_files(place)
    small_files(place, table="others")
    [done] = place.hall.compact("main", ("others",))
    assert done.table == "others"
    assert len(files(place)) == 6
    with pytest.raises(NotFound, match="no table 'other' on main") as error:
        place.hall.compact("main", ("other",))
    assert "Did you mean others?" in str(error.value.hint)


def test_other_branches_keep_their_files_until_they_are_compacted_themselves(
    place: Workplace,
) -> None:
    small_files(place)
    place.lake.create_branch("dev", "main")
    place.hall.compact("dev")
    assert len(files(place)) == 6
    assert entry(place, branch="dev").table.files == 1  # type: ignore[union-attr]
    appended(place, "numbers", [{"k": 7, "v": 7}])
    place.hall.merge("dev", "main")
    assert len(place.rows("numbers")) == 7


@pytest.mark.parametrize("what", ["append", "upsert", "delete", "replace", "compaction"])
def test_a_branch_that_was_compacted_merges_whatever_became_of_the_table(
    place: Workplace, what: str
) -> None:
    partitioned(place)
    place.lake.create_branch("dev", "main")
    place.hall.compact("dev")
    with place.hall.transaction("dev") as transaction:
        transaction.write("others", [{"k": 1}], mode="append")
    MEANWHILE[what][0](place)
    rows = place.rows("numbers")
    place.hall.merge("dev", "main")
    assert place.rows("numbers") == rows
    assert len(place.rows("others")) == 1


def test_branches_of_runs_are_left_to_their_runs(place: Workplace) -> None:
    small_files(place)
    with (
        place.hall.transaction("main") as transaction,
        pytest.raises(Refused, match="belongs to its run"),
    ):
        place.hall.compact(f"run/{transaction.id}")


def test_nothing_is_left_of_the_run_but_its_record(place: Workplace) -> None:
    small_files(place)
    place.hall.compact("main")
    run = place.lake.metastore.run(last(place).record.run or "")
    assert run is not None
    assert run.state is RunState.PUBLISHED
    assert place.lake.metastore.branch(run.branch) is None
    assert place.hall.open_runs() == ()


# -- who does not notice


def test_steps_are_skipped_and_increments_are_empty_after_it(place: Workplace) -> None:
    small_files(place)
    pipeline = place.pipeline(COUNTED)
    place.hall.run(pipeline, target="main")
    place.hall.compact("main")
    assert place.hall.run(pipeline, target="main").state is RunState.NOTHING
    appended(place, "numbers", [{"k": 100, "v": 1}])
    place.hall.compact("main")
    place.hall.run(pipeline, target="main")
    told = [e for e in place.heard(StepFinished) if isinstance(e, StepFinished)]
    assert [e.rows for e in told if e.step == "counted"] == [6, 1]
    assert len(place.rows("counted")) == 7


def test_a_revert_takes_back_rows_that_a_compaction_has_mixed_with_others(
    place: Workplace,
) -> None:
    small_files(place, 3)
    reverted = last(place).record.run or ""
    appended(place, "numbers", [{"k": 3, "v": 3}])
    place.hall.compact("main")
    place.hall.revert(reverted, target="main")
    assert [row["k"] for row in place.rows("numbers")] == [0, 1, 3]


def test_a_compaction_can_be_reverted(place: Workplace) -> None:
    small_files(place)
    rows = place.rows("numbers")
    place.hall.compact("main")
    place.hall.revert(last(place).record.run or "", target="main")
    assert place.rows("numbers") == rows


# -- what is published while it works


def upsert(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        rows = [{"part": "a", "k": 2, "v": -1}, {"part": "a", "k": 78, "v": -1}]
        transaction.write("numbers", rows, mode="upsert", key="k")


def replace_all(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("numbers", [{"part": "b", "k": 9, "v": 9}], mode="replace")


def delete(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.delete("numbers", "k = 2")


def append(place: Workplace) -> None:
    appended(place, "numbers", [{"part": "a", "k": 50, "v": 50}])


def widen(place: Workplace) -> None:
    appended(place, "numbers", [{"part": "b", "k": 51, "v": 51, "note": "new"}])


def drop(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.drop("numbers")


def drop_and_create(place: Workplace) -> None:
    drop(place)
    appended(place, "numbers", [{"part": "c", "k": 1, "v": 1}])


def compact_too(place: Workplace) -> None:
    """Compact the same files, as if neither knew of the other."""
    head = last(place)
    before = entry(place)
    [plan] = place.hall.plan_compaction("main", ("numbers",))
    commit, _ = rewrite(place.hall.wiring, head, "main", "numbers", before, plan.groups)
    assert commit is not None


def revert_last(place: Workplace) -> None:
    place.hall.revert(last(place).record.run or "", target="main")


MEANWHILE: dict[str, tuple[Callable[[Workplace], None], int]] = {
    "append": (append, 2),
    "upsert": (upsert, 1),
    "delete": (delete, 1),
    "replace": (replace_all, 0),
    "add column": (widen, 2),
    "drop": (drop, 0),
    "drop and create": (drop_and_create, 0),
    "compaction": (compact_too, 0),
    "revert": (revert_last, 1),
}
"""What is published, and how many of the two partitions' groups are exchanged all the same."""


def partitioned(place: Workplace) -> None:
    """Make a table of two partitions, of files with a row each: even keys in a, odd ones in b."""
    place.hall.run(place.pipeline(PARTITIONED), target="main")
    rows = ({"part": "ab"[k % 2], "k": k, "v": k} for k in range(6))
    appended(place, "numbers", *([row] for row in rows))


@pytest.mark.parametrize("what", MEANWHILE)
def test_what_is_published_while_it_works_stands_and_untouched_groups_are_exchanged(
    place: Workplace, tmp_path: Path, what: str
) -> None:
    happens, groups = MEANWHILE[what]
    partitioned(place)
    (tmp_path / "other").mkdir()
    other = Workplace(tmp_path / "other")  # where nobody compacts
    partitioned(other)
    if happens is not compact_too:
        happens(other)
    other_rows = other.rows("numbers") if what != "drop" else []
    other.close()
    commit, exchanged = rewritten_during(place, lambda: happens(place))
    assert len(exchanged) == groups
    assert (commit is None) == (groups == 0)
    assert place.hall.open_runs() == ()
    if what == "drop":
        assert place.lake.tree(last(place)).get("table/numbers") is None
        return
    assert place.rows("numbers") == other_rows
    assert set(files(place)) <= stored(place)
    place.hall.compact("main", ("numbers",))  # what was hit is planned again
    assert place.rows("numbers") == other_rows
    assert entry(place).table.files <= 3  # type: ignore[union-attr]


BEGUN_BEFORE = ("append", "upsert", "delete", "replace", "add column", "drop", "drop and create")


@pytest.mark.parametrize("what", BEGUN_BEFORE)
def test_what_began_before_it_is_published_after_it_and_never_redone(
    place: Workplace, again: Callable[[], Workplace], tmp_path: Path, what: str
) -> None:
    happens, _ = MEANWHILE[what]
    partitioned(place)
    (tmp_path / "other").mkdir()
    other = Workplace(tmp_path / "other")
    partitioned(other)
    happens(other)
    beside = again()
    transaction = place.hall.transaction

    def compacted_before_the_end(target: str, **more: str) -> Transaction:
        place.hall.transaction = transaction  # type: ignore[method-assign]
        begun = transaction(target, **more)
        publish = begun._publish

        def late() -> None:
            assert beside.hall.compact("main", ("numbers",))[0].commits
            publish()
            assert begun.result is not None
            assert begun.result.losses == 0

        begun._publish = late  # type: ignore[method-assign]
        return begun

    place.hall.transaction = compacted_before_the_end  # type: ignore[method-assign]
    happens(place)
    if what == "drop":
        assert place.lake.tree(last(place)).get("table/numbers") is None
    else:
        assert place.rows("numbers") == other.rows("numbers")
    other.close()


def test_a_run_that_began_before_it_reads_and_publishes_as_if_it_were_not(
    place: Workplace, again: Callable[[], Workplace]
) -> None:
    small_files(place)
    pipeline = place.pipeline(
        "import headgate as hg\nimport polars as pl\nmeanwhile = None\n\n"
        "@hg.step\ndef total(numbers: pl.DataFrame) -> pl.DataFrame:\n"
        "    meanwhile()\n    return numbers.select(n=pl.len())\n"
    )
    beside = again()
    module = sys.modules[pipeline.steps[0].function.__module__]
    module.meanwhile = lambda: beside.hall.compact("main")
    result = place.hall.run(pipeline, target="main")
    assert result.losses == 0
    assert place.rows("total") == [{"n": 6}]
    assert len(files(place)) == 1


def test_of_two_compactions_at_once_one_is_dropped_with_its_files(place: Workplace) -> None:
    small_files(place)
    rows = place.rows("numbers")
    done = compacted_during(place, lambda: compact_too(place))
    assert done.commits == ()
    assert done.busy is None
    assert place.rows("numbers") == rows
    dropped = [run for run in place.lake.metastore.runs(pipeline="compaction") if run.reason]
    [one] = [run for run in dropped if run.state is RunState.ABANDONED]
    assert not [path for path in stored(place) if one.id in path]


def test_a_table_that_another_process_compacts_is_left_to_it(place: Workplace) -> None:
    small_files(place)
    inner = []
    done = compacted_during(place, lambda: inner.extend(place.hall.compact("main")))
    assert done.commits
    [left] = inner
    assert left.commits == ()
    assert "compacts it" in str(left.busy)


# -- what comes out


@pytest.mark.on_disk
def test_old_files_come_out_under_the_current_schema(place: Workplace) -> None:
    appended(place, "t", [{"a": 1, "gone": "x"}], [{"a": 2, "gone": "y", "late": 1.5}])
    appended(place, "t", [{"a": 3, "gone": "z", "late": 2.5, "at": {"x": 1, "y": [1, 2]}}])
    rows = place.rows("t")
    place.hall.compact("main")
    assert place.rows("t") == rows
    [path] = files(place, "t")
    written = pq.read_schema(place.lake.tables.absolute(path))
    assert written.names == ["a", "gone", "late", "at"]
    appended(place, "t", [{"a": 4, "gone": "n", "late": 3.5, "at": {"x": 2, "y": []}}])
    place.hall.compact("main")
    assert len(place.rows("t")) == 4


def test_groups_keep_to_their_partitions(place: Workplace) -> None:
    partitioned(place)
    rows = place.rows("numbers")
    [done] = place.hall.compact("main")
    assert done.files_after == 2
    found = place.lake.tables.files(entry(place))
    assert {tuple(file.partition.values()) for file in found} == {("a",), ("b",)}
    assert place.rows("numbers") == rows


@pytest.mark.on_disk
def test_rows_come_out_in_the_tables_order_and_files_apart(place: Workplace) -> None:
    keys = pl.int_range(400_000, eager=True)
    rows = pl.DataFrame({"k": keys, "noise": keys.hash()}).sample(fraction=1, shuffle=True, seed=7)
    with place.hall.transaction("main") as transaction:
        transaction.write("t", rows, mode="replace", sort_by="k")
    half = rows.with_columns(k=pl.col("k") + 200_000)
    with place.hall.transaction("main") as transaction:
        transaction.write("t", half, mode="append")
    before = entry(place, "t")
    group = Group(files=place.lake.tables.files(before), file_size_bytes=100_000)
    rewrite(place.hall.wiring, last(place), "main", "t", before, (group,))
    found = [
        pq.read_table(place.lake.tables.absolute(file.path))["k"].to_pylist()
        for file in place.lake.tables.files(entry(place, "t"))
    ]
    assert len(found) > 2
    assert all(keys == sorted(keys) for keys in found)
    ranges = sorted((keys[0], keys[-1]) for keys in found)
    assert all(one[1] <= other[0] for one, other in pairwise(ranges))


# -- what goes wrong


@pytest.mark.on_disk
def test_a_damaged_file_is_named_and_never_written_anew(place: Workplace) -> None:
    small_files(place)
    small_files(place, table="sound")
    path = Path(place.lake.tables.absolute(files(place)[2]))
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(bytes(content))
    head = place.head()
    with pytest.raises(Corrupt, match=r"numbers: .*" + path.name) as error:
        place.hall.compact("main")
    assert error.value.code == "data-file-damaged"
    assert "the same rows" in str(error.value.readers)
    assert len(files(place)) == 6
    assert len(files(place, "sound")) == 1  # the others are compacted all the same
    assert place.lake.resolve(head).number + 1 == last(place).number
    assert place.hall.open_runs() == ()
    assert [e.code for e in place.events if isinstance(e, RunFailed)] == ["data-file-damaged"]


@pytest.mark.on_disk
def test_a_missing_file_is_named(place: Workplace) -> None:
    small_files(place)
    Path(place.lake.tables.absolute(files(place)[2])).unlink()
    with pytest.raises(Corrupt) as error:
        place.hall.compact("main")
    assert error.value.code == "data-file-missing"
    assert len(files(place)) == 6


def test_ctrl_c_ends_it_and_takes_its_files_away(place: Workplace) -> None:
    small_files(place)
    before = stored(place)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(BaseException, match="compaction of numbers was interrupted"):
        compacted_during(place, stop)
    assert stored(place) == before
    assert place.hall.open_runs() == ()
    assert compact(place.hall.wiring, "main")[0].files_after == 1


def with_delete_files(place: Workplace, table: str) -> None:
    """Put a manifest of delete files into a table's list, as another writer would have."""
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.manifest import ManifestContent, ManifestFile, read_manifest_list
    from pyiceberg.manifest import write_manifest_list as write_list

    iceberg = place.lake.tables.iceberg(table, entry(place, table))
    snapshot = iceberg.current_snapshot()
    assert snapshot is not None
    io = PyArrowFileIO()
    [first, *others] = read_manifest_list(io.new_input(snapshot.manifest_list))
    deletes = ManifestFile.from_args(
        _table_format_version=2,
        **{
            name: getattr(first, name)
            for name in (
                "manifest_path",
                "manifest_length",
                "partition_spec_id",
                "sequence_number",
                "min_sequence_number",
                "added_snapshot_id",
                "added_files_count",
                "existing_files_count",
                "deleted_files_count",
                "added_rows_count",
                "existing_rows_count",
                "deleted_rows_count",
            )
        },
        content=ManifestContent.DELETES,
        partitions=[],
        key_metadata=None,
    )
    Path(snapshot.manifest_list).unlink()
    output = io.new_output(snapshot.manifest_list)
    with write_list(2, output, snapshot.snapshot_id, None, 9, "deflate") as writer:
        writer.add_manifests([first, *others, deletes])
    for listing in Path(place.lake.location).rglob("*.files.json"):
        listing.unlink()  # a cache
    place.lake.tables.forget()


@pytest.mark.on_disk
def test_a_table_with_delete_files_is_refused_never_read_without_them(place: Workplace) -> None:
    small_files(place)
    small_files(place, table="sound")
    with_delete_files(place, "numbers")
    head = place.head()
    for what in (place.hall.compact, place.hall.plan_compaction):
        with pytest.raises(Refused, match="Table 'numbers' has delete files") as error:
            what("main", ("numbers",))
        assert error.value.code == "delete-files-unsupported"
    assert place.head() == head
    with pytest.raises(Refused, match="has delete files"):
        place.hall.compact("main")
    assert len(files(place, "sound")) == 1
