"""An incremental input is what was appended since the step's last run read it, from the record."""

import pytest
from short_records import append, column, commit, delete, file, replace, step, upsert, write

from headgate.lake import AddColumn, Commit, Create, Operation, Restore, Rewrite, Skip, StepRecord
from headgate.runs import incremental
from headgate.runs.incremental import (
    AppendedRows,
    ChangedRows,
    Everything,
    IncrementalInput,
    Position,
    RefuseInput,
)

LAST = Position(run="r2", base_number=0)


def did(*operations: Operation, name: str = "other", **more: object) -> StepRecord:
    return step(name, writes=[write("a", *operations)], **more)


def decided(
    *commits: Commit,
    position: Position | None = LAST,
    own: tuple[StepRecord, ...] = (),
    changes: bool = False,
    append_only: bool = False,
) -> IncrementalInput:
    return incremental.decide(
        "table/a",
        "s",
        position,
        commits,
        own=own,
        changes=changes,
        append_only=append_only,
    )


def rows(*names: str) -> AppendedRows:
    return AppendedRows(files=tuple(file(name) for name in names))


def test_the_first_time_it_gets_everything() -> None:
    assert decided(position=None) == Everything(replaces=False, reason="first-time")


def test_it_gets_what_was_appended_since_the_base() -> None:
    found = decided(commit(1, did(append("x"))), commit(2), commit(3, did(append("y"))))
    assert found == rows("x", "y")


def test_other_tables_are_not_its_business() -> None:
    other = step(writes=[write("b", replace())])
    assert decided(commit(1, other), commit(2)) == rows()


def test_rows_its_last_run_appended_before_the_step_are_left_out() -> None:
    last = commit(
        2, did(append("before"), name="first"), step("s"), did(append("after"), name="third")
    )
    assert decided(commit(1, did(append("x"))), last) == rows("x", "after")


def test_rows_this_run_has_appended_itself_are_new() -> None:
    assert decided(commit(2), own=(did(append("mine")),)) == rows("mine")


def test_commits_up_to_the_base_are_not_counted() -> None:
    position = Position(run="r2", base_number=1)
    assert decided(commit(1, did(append("x"))), commit(2), position=position) == rows()


@pytest.mark.parametrize(
    "quiet",
    [
        Rewrite(removed=("f",), added=(file("g"),)),
        AddColumn(column=column("c")),
        Create(uuid="u"),
    ],
)
def test_what_changes_no_row_yields_nothing(quiet: Operation) -> None:
    assert decided(commit(1, did(append("x"), quiet))) == rows("x")


def test_a_skipped_append_appended_nothing() -> None:
    assert decided(commit(3, did(append("x"), skipped=Skip(commit="c0")))) == rows()


CHANGES = [upsert(), delete(), replace(), Restore(commit="c0")]


@pytest.mark.parametrize("change", CHANGES)
def test_after_any_other_change_it_gets_everything_and_replaces(change: Operation) -> None:
    found = decided(commit(1, did(append("x"), change)))
    assert isinstance(found, Everything)
    assert found.replaces


@pytest.mark.parametrize("change", CHANGES)
def test_a_step_that_takes_changes_gets_them_in_order(change: Operation) -> None:
    found = decided(commit(1, did(append("x"), change)), commit(3, did(append("y"))), changes=True)
    assert found == ChangedRows(operations=(append("x"), change, append("y")))


def test_a_step_that_only_appends_fails_with_the_commit_that_changed_rows() -> None:
    found = decided(commit(1, did(append())), commit(3, did(delete())), append_only=True)
    assert found == RefuseInput(reason="delete", commit="c3")


def test_the_position_reads_back() -> None:
    assert Position.parse(LAST.text()) == LAST
