"""Re-execution runs exactly what read something else, and keeps the rest as operations."""

from collections.abc import Mapping

from short_records import append, delete, read, replace, step, upsert, write

from headgate.lake import Create, Put, Read, Skip, StepRecord, Write
from headgate.runs import reexecution
from headgate.runs.reexecution import KeptWrite, StepDecision


def planned(
    *steps: StepRecord, now: Mapping[str, str], forced: tuple[str, ...] = ()
) -> tuple[StepDecision, ...]:
    return reexecution.plan(steps, now.get, forced=forced)


def again(*steps: StepRecord, now: Mapping[str, str], forced: tuple[str, ...] = ()) -> list[bool]:
    return [each.again for each in planned(*steps, now=now, forced=forced)]


def test_a_step_is_kept_while_what_it_read_is_the_same() -> None:
    one = step(reads=[read("a", content="1")], writes=[write("b", append())])
    assert again(one, now={"table/a": "1", "table/b": "other"}) == [False]
    assert again(one, now={"table/a": "2", "table/b": "old"}) == [True]


def test_a_key_that_came_or_went_has_changed() -> None:
    absent = step(reads=[read("a", content=None)])
    assert again(absent, now={}) == [False]
    assert again(absent, now={"table/a": "1"}) == [True]
    assert again(step(reads=[read("a", content="1")]), now={}) == [True]


def test_only_a_replacement_is_carried_by_pointer() -> None:
    one = step(
        writes=[
            write("a", append()),
            write("b", upsert()),
            write("c", delete()),
            write("d", delete(), replace(), append()),
            write("cursor/p/s", Put(content="1")),
        ]
    )
    now = {f"table/{name}": "other" for name in "abcd"}
    (decision,) = planned(one, now=now)
    assert {each.key: each.pointer for each in decision.writes} == {
        "table/a": False,
        "table/b": False,
        "table/c": False,
        "table/d": True,
        "cursor/p/s": True,
    }


def test_kept_operations_keep_their_order() -> None:
    one = step(writes=[write("a", delete(), append(), upsert())])
    (decision,) = planned(one, now={"table/a": "other"})
    operations = (delete(), append(), upsert())
    assert decision.writes == (KeptWrite(key="table/a", pointer=False, operations=operations),)


def test_a_skipped_append_stays_left_out() -> None:
    skipped = step(
        writes=[write("a", append()), write("b", replace(), append())], skipped=Skip(commit="c")
    )
    (decision,) = planned(skipped, now={"table/a": "x", "table/b": "y"})
    assert [each.key for each in decision.writes] == ["table/b"]
    assert decision.writes[0].operations == (replace(), append())


def _chain(*operations: object, before: str | None = "old") -> tuple[StepRecord, StepRecord]:
    return (
        step("one", writes=[write("a", *operations, before=before, content="new")]),  # type: ignore[arg-type]
        step("two", reads=[read("a", content="new", own=True)], writes=[write("b", append())]),
    )


def test_reading_own_rows_over_an_unchanged_base_is_kept() -> None:
    assert again(*_chain(append()), now={"table/a": "old", "table/b": "x"}) == [False, False]


def test_reading_own_appends_over_a_changed_base_runs_again() -> None:
    assert again(*_chain(append()), now={"table/a": "moved", "table/b": "x"}) == [False, True]


def test_what_follows_a_step_that_runs_again_runs_again() -> None:
    one, two = _chain(append())
    changed = step("one", reads=[read("z", content="1")], writes=one.writes)
    assert again(changed, two, now={"table/a": "old", "table/b": "x"}) == [True, True]


def test_an_input_that_turned_out_equal_keeps_what_follows() -> None:
    _, two = _chain(append())
    assert not reexecution.decide(two, {"table/a": "new", "table/b": "old"}.get).again


def test_a_listing_changes_with_what_a_step_before_may_make() -> None:
    one = step("one", reads=[read("z", content="1")], writes=[write("a", append())])
    lists = step("two", reads=[Read(key="table/", content="a,z")])
    now = {"table/": "a,z", "table/a": "old", "table/z": "2"}
    assert again(one, lists, now=now) == [True, True]


def test_a_forced_key_runs_its_writers_again() -> None:
    one = step("one", writes=[write("a", append())])
    two = step("two", writes=[write("b", append())])
    now = {"table/a": "old", "table/b": "old"}
    assert again(one, two, now=now, forced=("table/b",)) == [False, True]


def test_operations_without_their_table_run_again() -> None:
    def made(before: str | None, *operations: object) -> Write:
        return write("a", *operations, before=before)  # type: ignore[arg-type]

    create = step(writes=[made(None, Create(uuid="u"), append())])
    assert again(create, now={}) == [False]
    assert again(create, now={"table/a": "others"}) == [True]
    assert again(step(writes=[made("old", append())]), now={}) == [True]


def test_because_names_each_key_once() -> None:
    one = step(reads=[read("a", content="1"), read("a", content="1"), read("b", content="1")])
    (decision,) = planned(one, now={})
    assert decision.because == ("table/a", "table/b")
