"""The merge table, cell by cell, and for whole sequences of operations."""

from collections.abc import Sequence
from itertools import product

import pytest
from short_records import append, column, delete, file, replace, span, table, upsert

from headgate.lake import (
    AddColumn,
    Apply,
    Ask,
    ChangeSchema,
    Create,
    Decision,
    Delete,
    Drop,
    Entry,
    Isolation,
    KeepPointer,
    MergeConflict,
    NoOp,
    Operation,
    Put,
    Question,
    Reexecute,
    Rename,
    Restore,
    Rewrite,
    SetProperties,
    merge_decision,
    questions,
)

ADD = AddColumn(column=column("c"))
REWRITE = Rewrite(removed=("f",), added=(file("g"),))
OPERATIONS: dict[str, Operation] = {
    "append": append(),
    "upsert": upsert(),
    "replace": replace(),
    "delete": delete(),
    "rewrite": REWRITE,
    "add column": ADD,
}


def decided(
    head: Sequence[Operation],
    run: Sequence[Operation],
    *,
    meet: bool = False,
    delete_files: bool = False,
    isolation: Isolation = "serializable",
    head_entry: Entry | None = None,
    run_entry: Entry | None = None,
    key: str = "table/a",
    **more: object,
) -> Decision:
    def facts(question: Question) -> bool:
        return meet if question.ask is Ask.KEYS_MEET else delete_files

    return merge_decision(
        key,
        head,
        run,
        head_entry=head_entry or table("head"),
        run_entry=run_entry or table("run"),
        isolation=isolation,
        facts=facts,
        **more,  # type: ignore[arg-type]
    )


APPLIED, KEPT, LEFT, AGAIN = Apply, KeepPointer, NoOp, Reexecute
CELLS = {
    # head:        append    upsert   replace  delete   rewrite  add column
    "append": (APPLIED, APPLIED, KEPT, APPLIED, APPLIED, APPLIED),
    "upsert": (APPLIED, APPLIED, KEPT, APPLIED, AGAIN, APPLIED),
    "replace": (AGAIN, AGAIN, KEPT, AGAIN, LEFT, APPLIED),
    "delete": (APPLIED, APPLIED, KEPT, APPLIED, AGAIN, APPLIED),
    "rewrite": (APPLIED, APPLIED, KEPT, APPLIED, LEFT, APPLIED),
    "add column": (APPLIED, APPLIED, KEPT, APPLIED, APPLIED, APPLIED),
}


@pytest.mark.parametrize(("head", "run"), list(product(OPERATIONS, OPERATIONS)))
def test_each_cell_with_disjoint_keys(head: str, run: str) -> None:
    found = decided([OPERATIONS[head]], [OPERATIONS[run]])
    assert isinstance(found, CELLS[head][list(OPERATIONS).index(run)]), found


@pytest.mark.parametrize(("head", "run"), list(product(OPERATIONS, OPERATIONS)))
def test_keys_that_meet_matter_to_upserts_only(head: str, run: str) -> None:
    disjoint = decided([OPERATIONS[head]], [OPERATIONS[run]])
    meeting = decided([OPERATIONS[head]], [OPERATIONS[run]], meet=True)
    by_key = {
        ("append", "upsert"),
        ("upsert", "append"),
        ("upsert", "upsert"),
        ("delete", "upsert"),
    }
    if (head, run) in by_key:
        assert meeting == Reexecute(reason="keys-meet")
    else:
        assert meeting == disjoint


PROPERTIES = SetProperties(updates={"a": "1"}, removals=("b",))


@pytest.mark.parametrize("other", OPERATIONS)
def test_properties_commute_with_all_but_a_replacement(other: str) -> None:
    assert decided([OPERATIONS[other]], [PROPERTIES]) == Apply(operations=(PROPERTIES,))
    found = decided([PROPERTIES], [OPERATIONS[other]])
    if other == "replace":
        assert found == Reexecute(reason="properties-set")
    else:
        assert found == Apply(operations=(OPERATIONS[other],))


@pytest.mark.parametrize(
    ("mine", "meets"),
    [
        (SetProperties(updates={"a": "1"}), False),
        (SetProperties(updates={"c": "1"}, sort_by=("id",)), False),
        (SetProperties(removals=("b",)), False),
        (SetProperties(updates={"a": "2"}), True),
        (SetProperties(updates={"b": "2"}), True),
        (SetProperties(removals=("a",)), True),
    ],
)
def test_one_property_said_differently_is_a_conflict(mine: SetProperties, *, meets: bool) -> None:
    wanted = MergeConflict(reason="properties-differ") if meets else Apply(operations=(mine,))
    assert decided([PROPERTIES], [mine]) == wanted


def test_two_orders_of_one_table_are_a_conflict() -> None:
    one, other = SetProperties(sort_by=("id",)), SetProperties(sort_by=("at",))
    assert decided([one], [other]) == MergeConflict(reason="properties-differ")
    assert decided([one], [one]) == Apply(operations=(one,))


@pytest.mark.parametrize("head", ["append", "upsert", "replace", "delete"])
def test_at_snapshot_isolation_a_replacement_is_executed_again(head: str) -> None:
    found = decided([OPERATIONS[head]], [replace()], isolation="snapshot-isolation")
    assert isinstance(found, Reexecute)


@pytest.mark.parametrize("head", ["rewrite", "add column"])
def test_at_snapshot_isolation_a_replacement_passes_what_changes_no_row(head: str) -> None:
    found = decided([OPERATIONS[head]], [replace()], isolation="snapshot-isolation")
    assert isinstance(found, KeepPointer)


def test_nobody_else_there_keeps_the_runs_entry() -> None:
    assert decided([], [delete(), upsert()]) == KeepPointer()


def test_nothing_done_leaves_the_heads_entry() -> None:
    assert isinstance(decided([append()], []), NoOp)


def test_a_replacement_equal_to_the_current_content_does_nothing() -> None:
    same = table("same")
    found = decided([replace()], [replace()], head_entry=same, run_entry=same)
    assert isinstance(found, NoOp)


def test_a_replacement_equal_to_what_the_head_once_was_is_written() -> None:
    head = [replace("mine"), replace("other")]
    assert isinstance(decided(head, [replace("mine")]), KeepPointer)


def test_what_a_run_did_around_its_replacement_is_its_own() -> None:
    assert isinstance(decided([append()], [delete(), replace(), append()], meet=True), KeepPointer)


def test_a_replaced_table_keeps_the_columns_the_head_added() -> None:
    head = table("head", column("c"))
    assert decided([ADD], [replace()], head_entry=head) == KeepPointer(columns=(column("c"),))


def test_a_column_the_head_added_and_lost_is_not_kept() -> None:
    assert decided([ADD, replace()], [replace()]) == KeepPointer()


def test_a_column_is_added_once() -> None:
    head = table("head", column("c"))
    assert decided([ADD], [ADD, append()], head_entry=head) == Apply(operations=(append(),))


@pytest.mark.parametrize("run", [(ADD, append()), (replace(),)])
def test_one_name_with_two_types_is_a_conflict(run: tuple[Operation, ...]) -> None:
    other = AddColumn(column=column("c", "string", id=4))
    found = decided(
        [other],
        run,
        head_entry=table("head", other.column),
        run_entry=table("run", column("c")),
    )
    assert found == MergeConflict(reason="column-types-differ")


def test_operations_are_applied_in_the_order_they_were_done() -> None:
    run = (delete(), append("new"), upsert("late"))
    assert decided([append("theirs")], run) == Apply(operations=run)


def test_one_bad_pair_among_many_decides() -> None:
    assert isinstance(decided([append(), upsert()], [delete(), append()], meet=True), Reexecute)


def test_tables_with_delete_files_never_merge_by_union() -> None:
    assert decided([append()], [append()], delete_files=True) == Reexecute(reason="delete-files")


def test_keys_are_not_looked_at_where_footprints_are_apart() -> None:
    asked: list[Question] = []

    def facts(question: Question) -> bool:
        asked.append(question)
        return True

    low, high = upsert("f", span(0, 4)), upsert("g", span(5, 9))
    found = merge_decision(
        "table/a",
        [low],
        [high],
        head_entry=table("h"),
        run_entry=table("r"),
        isolation="serializable",
        facts=facts,
    )
    assert (found, asked) == (Apply(operations=(high,)), [])
    assert questions("table/a", [low], [high]) == ()


def test_other_columns_do_not_tell_keys_apart() -> None:
    low, high = upsert("f", span(0, 4, "v")), upsert("g", span(5, 9, "v"))
    assert isinstance(decided([low], [high], meet=True), Reexecute)


def test_questions_are_all_that_may_be_asked() -> None:
    found = questions("table/a", [append(), delete()], [upsert(), append()])
    assert [each.ask for each in found] == [Ask.KEYS_MEET, Ask.KEYS_MEET, Ask.DELETE_FILES]
    assert questions("cursor/p/s", [Put(content="1")], [Put(content="2")]) == ()
    assert questions("table/a", [append()], [replace()]) == ()


STRUCTURAL = [
    Create(uuid="u"),
    Drop(),
    Rename(to="b"),
    ChangeSchema(columns=(), what="drop x"),
]


@pytest.mark.parametrize("change", STRUCTURAL)
@pytest.mark.parametrize("other", [append(), upsert(), replace(), delete(), ADD, *STRUCTURAL])
def test_other_schema_changes_exclude_any_change(change: Operation, other: Operation) -> None:
    assert isinstance(decided([change], [other]), MergeConflict)
    assert isinstance(decided([other], [change]), MergeConflict)


@pytest.mark.parametrize("run", [append(), upsert(), replace(), delete(), REWRITE, ADD])
def test_a_revert_sends_the_run_back(run: Operation) -> None:
    found = decided([Restore(commit="c")], [run])
    assert isinstance(found, NoOp if run is REWRITE else Reexecute)


def test_compaction_is_in_nobodys_way() -> None:
    for change in STRUCTURAL[1:]:
        assert isinstance(decided([REWRITE], [change]), Apply | KeepPointer)
    assert decided([REWRITE, append()], [REWRITE, append()]) == Apply(operations=(append(),))


@pytest.mark.parametrize("kind", ["cursor", "pipeline"])
def test_cursors_never_merge(kind: str) -> None:
    entry = Entry(kind=kind, content="1", data="1")  # type: ignore[arg-type]
    put = [Put(content="1")]
    found = decided(put, put, head_entry=entry, run_entry=entry, key=f"{kind}/p/s")
    assert found == MergeConflict(reason=f"{kind}-moved")
    assert decided([], put, run_entry=entry, key=f"{kind}/p/s") == KeepPointer()


@pytest.mark.parametrize("kind", ["blob", "contract"])
def test_other_values_merge_when_equal(kind: str) -> None:
    one, other = (Entry(kind=kind, content=each, data=each) for each in "12")  # type: ignore[arg-type]
    put = [Put(content="1")]
    equal = decided(put, put, head_entry=one, run_entry=one, key=f"{kind}/x")
    differs = decided(put, put, head_entry=other, run_entry=one, key=f"{kind}/x")
    assert isinstance(equal, NoOp)
    assert differs == MergeConflict(reason=f"{kind}-differs")


def test_another_pipelines_table_is_replaced_only_by_taking_it_over() -> None:
    owned = table("head", owner="theirs")
    refused = decided([], [replace()], head_entry=owned, pipeline="mine")
    assert refused == MergeConflict(reason="owned-by-another-pipeline")
    assert decided([], [append()], head_entry=owned, pipeline="mine") == KeepPointer()
    assert decided([], [replace()], head_entry=owned, pipeline="theirs") == KeepPointer()
    taken = decided([], [replace()], head_entry=owned, pipeline="mine", takes_over=True)
    assert taken == KeepPointer()


def test_a_delete_by_key_is_applied_to_every_row_of_the_head() -> None:
    by_key = Delete(key_columns=("k",), files=(file(),))
    assert decided([upsert(), append()], [by_key], meet=True) == Apply(operations=(by_key,))
