"""The serialization graph finds exactly the runs for which no serial order exists."""

from collections.abc import Sequence
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from short_records import (
    append,
    commit,
    delete,
    read,
    replace,
    span,
    step,
    upsert,
    write,
)

from headgate.errors import Internal
from headgate.lake import (
    Append,
    Commit,
    Create,
    Drop,
    Footprint,
    GraphConflict,
    History,
    Isolation,
    Put,
    Read,
    Rename,
    Restore,
    Rewrite,
    Skip,
    StepRecord,
    Transaction,
    Write,
    conflict,
    low,
    meet,
)


def run(
    *steps: StepRecord, base: int = 0, isolation: Isolation = "serializable", **more: object
) -> Transaction:
    return Transaction.of(steps, base_number=base, isolation=isolation, **more)  # type: ignore[arg-type]


def judged(
    mine: Transaction, *window: Commit, history: Sequence[Commit] = ()
) -> GraphConflict | None:
    return conflict(mine, window, extend=lambda number: [c for c in history if c.number >= number])


# -- one edge, one rule


def test_nothing_published_meanwhile_is_no_conflict() -> None:
    assert judged(run(step(reads=[read("a")], writes=[write("b", append())]))) is None


def test_a_read_that_was_overwritten_is_no_conflict_by_itself() -> None:
    mine = run(step(reads=[read("a")], writes=[write("b", append())]))
    assert judged(mine, commit(1, step(writes=[write("a", replace())]))) is None


def test_a_lost_update_is_a_conflict_and_says_why() -> None:
    mine = run(step(reads=[read("a")], writes=[write("a", replace())]))
    found = judged(mine, commit(1, step(writes=[write("a", replace())])))
    assert found is not None
    assert (found.commit, found.keys) == ("c1", ("table/a",))
    assert [(e.before, e.after, e.why) for e in found.path] == [
        (None, "c1", "read-write"),
        ("c1", None, "write-write"),
    ]


def test_write_skew_is_a_conflict() -> None:
    mine = run(step(reads=[read("a")], writes=[write("b", replace())]))
    other = commit(1, step(reads=[read("b")], writes=[write("a", replace())]), base=0)
    assert judged(mine, other) is not None


def test_write_skew_passes_at_snapshot_isolation() -> None:
    mine = run(
        step(reads=[read("a")], writes=[write("b", replace())]), isolation="snapshot-isolation"
    )
    other = commit(1, step(reads=[read("b")], writes=[write("a", replace())]), base=0)
    assert judged(mine, other) is None


def test_a_fresh_run_conflicts_as_soon_as_what_it_read_was_changed() -> None:
    mine = run(step(reads=[read("a")], writes=[write("b", append())]), isolation="fresh")
    found = judged(mine, commit(1, step(writes=[write("a", append())])))
    assert found is not None
    assert [edge.after for edge in found.path] == ["c1"]


def test_a_publication_at_snapshot_isolation_has_no_reads() -> None:
    mine = run(step(reads=[read("a")], writes=[write("b", replace())]))
    other = commit(
        1,
        step(reads=[read("b")], writes=[write("a", replace())]),
        base=0,
        isolation="snapshot-isolation",
    )
    assert judged(mine, other) is None


def test_appends_to_one_table_are_in_no_order() -> None:
    mine = run(step(reads=[read("a")], writes=[write("b", append())]))
    other = commit(1, step(writes=[write("a", append()), write("b", append())]), base=0)
    assert judged(mine, other) is None


@pytest.mark.parametrize("which", ["mine", "theirs"])
def test_an_append_beside_a_delete_is_in_order(which: str) -> None:
    both = (append(), delete())
    mine = run(
        step(reads=[read("a")], writes=[write("b", *(both if which == "mine" else both[:1]))])
    )
    other = commit(
        1,
        step(writes=[write("a", append()), write("b", *(both if which == "theirs" else both[:1]))]),
    )
    assert judged(mine, other) is not None


def test_footprints_narrow_reads() -> None:
    mine = run(step(reads=[read("a", span(0, 1))], writes=[write("b", replace())]))
    other = commit(1, step(writes=[write("a", append("f", span(2, 3))), write("b", replace())]))
    assert judged(mine, other) is None


def test_footprints_do_not_narrow_writes_against_writes() -> None:
    mine = run(step(reads=[read("a")], writes=[write("b", upsert("f", span(0, 1)))]))
    other = commit(1, step(writes=[write("a", append()), write("b", upsert("g", span(2, 3)))]))
    assert judged(mine, other) is not None


def test_reading_what_the_run_appended_itself_reads_its_base() -> None:
    steps = (
        step("one", writes=[write("a", append())]),
        step("two", reads=[read("a", own=True)], writes=[write("b", replace())]),
    )
    other = commit(1, step(writes=[write("a", append()), write("b", replace())]))
    assert judged(run(*steps), other) is not None


def test_reading_what_the_run_replaced_itself_reads_no_base() -> None:
    steps = (
        step("one", writes=[write("a", replace(), append())]),
        step("two", reads=[read("a", own=True)], writes=[write("b", append())]),
    )
    other = commit(1, step(reads=[read("b")], writes=[write("a", append())]), base=0)
    assert run(*steps).reads == ()
    assert judged(run(*steps), other) is None


def test_compaction_writes_nothing() -> None:
    mine = run(step(reads=[read("a")], writes=[write("a", replace())]))
    assert judged(mine, commit(1, step(writes=[write("a", Rewrite(removed=(), added=()))]))) is None


def test_a_skipped_append_writes_nothing() -> None:
    mine = run(step(reads=[read("a")], writes=[write("a", replace())]))
    skipped = step(writes=[write("a", append())], skipped=Skip(commit="c0"))
    assert judged(mine, commit(1, skipped)) is None


@pytest.mark.parametrize("isolation", ["serializable", "snapshot-isolation", "fresh"])
def test_a_revert_is_a_barrier_at_every_level(isolation: Isolation) -> None:
    mine = run(step(reads=[read("a")], writes=[write("b", append())]), isolation=isolation)
    revert = commit(1, step(writes=[write("a", Restore(commit="c0"))]), reverts=("r0",))
    assert judged(mine, revert) is not None


@pytest.mark.parametrize(
    "change",
    [
        write("n", Create(uuid="u"), append(), before=None),
        write("n", Drop(), content=None),
        write("m", Rename(to="n"), content=None),
    ],
)
def test_a_listing_is_overtaken_by_what_comes_and_goes(change: Write) -> None:
    mine = run(step(reads=[Read(key="table/")], writes=[write("b", replace())]))
    assert judged(mine, commit(1, step(writes=[change, write("b", replace())]))) is not None


def test_a_listing_is_not_overtaken_by_changed_rows() -> None:
    mine = run(step(reads=[Read(key="table/")], writes=[write("b", append())]))
    assert (
        judged(mine, commit(1, step(writes=[write("a", append()), write("b", append())]))) is None
    )


def test_a_new_cursor_is_a_change_of_its_listing() -> None:
    mine = run(step(reads=[Read(key="cursor/p/")], writes=[write("b", replace())]))
    new = write("cursor/p/s", Put(content="1"), before=None)
    assert judged(mine, commit(1, step(writes=[new, write("b", replace())]))) is not None


def test_the_graph_reaches_through_others() -> None:
    mine = run(step(reads=[read("a")], writes=[write("c", replace())]))
    first = commit(1, step(writes=[write("a", replace()), write("b", replace())]), base=0)
    second = commit(2, step(reads=[read("b")], writes=[write("d", replace())]), base=1)
    third = commit(3, step(reads=[read("d"), read("c")]), base=2)
    assert judged(mine, first, second) is None
    found = judged(mine, first, second, third)
    assert found is not None
    assert [edge.after for edge in found.path] == ["c1", "c2", "c3", None]


# -- beyond the base


def test_an_edge_back_beyond_the_base_is_followed_there() -> None:
    old = commit(1, step(writes=[write("a", replace())]))
    middle = commit(2, step(writes=[write("c", replace())]))
    backwards = commit(3, step(reads=[read("a")], writes=[write("d", replace())]), base=0, low=1)
    mine = run(step(reads=[read("a"), read("d")], writes=[write("e", replace())]), base=2)
    history = [old, middle, backwards]
    found = judged(mine, backwards, history=history)
    assert found is not None
    assert [edge.after for edge in found.path] == ["c3", "c1", None]


def test_low_alone_is_no_conflict() -> None:
    old = commit(1, step(writes=[write("z", replace())]))
    backwards = commit(3, step(reads=[read("z")], writes=[write("d", replace())]), base=0, low=1)
    mine = run(step(reads=[read("d")], writes=[write("e", replace())]), base=2)
    history = [old, commit(2), backwards]
    assert judged(mine, backwards, history=history) is None


def test_a_gap_in_the_history_is_refused() -> None:
    backwards = commit(3, step(reads=[read("a")], writes=[write("d", replace())]), base=0, low=1)
    mine = run(step(reads=[read("d")], writes=[write("e", replace())]), base=2)
    with pytest.raises(Internal) as error:
        judged(mine, backwards)
    assert error.value.code == "history-gap"
    with pytest.raises(Internal):
        History([commit(1), commit(3)])


def test_low_is_the_least_publication_that_overtook_a_read() -> None:
    mine = run(step(reads=[read("a"), read("b", span(5, 6))]))
    window = [
        commit(1, step(writes=[write("b", append("f", span(0, 1)))])),
        commit(2, step(writes=[write("a", append())])),
        commit(3, step(writes=[write("a", append())])),
    ]
    assert low(mine, window) == 2
    assert low(run(step(reads=[read("c")])), window) is None
    at_si = run(step(reads=[read("a")]), isolation="snapshot-isolation")
    assert low(at_si, window) is None


# -- people


def test_each_read_keeps_the_commit_at_which_it_was_taken() -> None:
    early = run(
        step(reads=[read("a", at="c0"), read("b", at="c1")], writes=[write("d", append())]), base=0
    )
    late = run(
        step(reads=[read("a", at="c1"), read("b", at="c1")], writes=[write("d", append())]), base=0
    )
    synced = commit(1, step(writes=[write("a", replace()), write("b", replace())]))
    assert judged(early, synced) is not None
    assert judged(late, synced) is None


def test_an_earlier_merge_of_the_same_branch_is_no_node() -> None:
    steps = step(reads=[read("a")], writes=[write("a", replace())])
    earlier = commit(1, step(reads=[read("a")], writes=[write("a", replace())]), base=0)
    assert judged(run(steps), earlier) is not None
    assert judged(run(steps, in_effect=frozenset({"c1"})), earlier) is None


# -- starvation


def test_an_aggregate_beside_a_stream_of_appends_publishes_every_time() -> None:
    random = Random(3)
    history = [commit(0)]
    published = 0
    base = 0
    for _ in range(60):
        for _ in range(random.randint(1, 12)):
            blind = step(writes=[write("events", append())])
            history.append(commit(len(history), blind, base=max(0, len(history) - 3)))
        mine = step(reads=[read("events"), read("totals")], writes=[write("totals", replace())])
        window = history[base + 1 :]
        assert judged(run(mine, base=base), *window, history=history) is None
        below = low(run(mine, base=base), window)
        assert below is not None
        history.append(commit(len(history), mine, base=base, low=below))
        published += 1
        base = len(history) - 1
    assert published == 60


# -- against the whole graph


KEYS = ("a", "b", "c")
footprints = st.one_of(st.none(), st.tuples(st.integers(0, 3), st.integers(0, 1)))


@st.composite
def transactions(draw: st.DrawFn) -> StepRecord:
    reads, writes = [], []
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=2)):
        reads += [read(key, _span(draw(footprints)))]
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=2)):
        made = draw(st.sampled_from((append, append, upsert, replace)))
        narrow = _span(draw(footprints))
        writes.append(write(key, replace() if made is replace else made("f", narrow)))  # type: ignore[operator]
    return step(reads=reads, writes=writes)


def _span(drawn: tuple[int, int] | None) -> Footprint | None:
    return None if drawn is None else span(drawn[0], drawn[0] + drawn[1])


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(transactions(), st.integers(0, 6)), max_size=14), st.data())
def test_the_window_and_low_decide_as_the_whole_graph_does(
    drawn: list[tuple[StepRecord, int]], data: st.DataObject
) -> None:
    history = [commit(0)]
    kept = History(history)
    for steps, lag in drawn:
        number = len(history)
        base = max(0, number - 1 - lag)
        isolation = data.draw(
            st.sampled_from(("serializable", "serializable", "snapshot-isolation")), label="level"
        )
        mine = run(steps, base=base, isolation=isolation)
        window = history[base + 1 :]
        found = judged(mine, *window, history=history)
        candidate = commit(number, steps, base=base, low=low(mine, window), isolation=isolation)
        assert (found is None) == (not _has_cycle([*history, candidate]))
        again = kept.conflict(mine, extend=lambda number: history[number:])
        assert (again is None) == (found is None)
        if found is None:
            history.append(candidate)
            kept.add(candidate)
        else:
            _assert_is_a_cycle([*history, candidate], found)


def _edges(commits: Sequence[Commit]) -> set[tuple[int, int, str]]:
    """Every edge of the definition, pair by pair."""
    found = set()
    for x, y in ((x, y) for x in commits for y in commits if x.number < y.number):
        for one, other in product(x.record.writes, y.record.writes):
            operations = (*one.operations, *other.operations)
            if one.key == other.key and not all(isinstance(o, Append) for o in operations):
                found.add((x.number, y.number, one.key))
        for one, seen in product(x.record.writes, _reads(y)):
            if one.key == seen.key and _share(one, seen):
                before = x.number <= y.record.base_number
                found.add((*((x.number, y.number) if before else (y.number, x.number)), one.key))
        for seen, one in product(_reads(x), y.record.writes):
            if one.key == seen.key and _share(one, seen):
                found.add((x.number, y.number, one.key))
    return found


def _reads(one: Commit) -> tuple[Read, ...]:
    return () if one.record.isolation == "snapshot-isolation" else one.record.reads


def _share(one: Write, other: Read) -> bool:
    return any(meet(getattr(each, "footprint", None), other.footprint) for each in one.operations)


def _has_cycle(commits: Sequence[Commit]) -> bool:
    after: dict[int, set[int]] = {}
    for x, y, _ in _edges(commits):
        after.setdefault(x, set()).add(y)
    last = commits[-1].number
    seen, waiting = set[int](), [last]
    while waiting:
        for y in after.get(waiting.pop(), ()):
            if y == last:
                return True
            if y not in seen:
                seen.add(y)
                waiting.append(y)
    return False


def _assert_is_a_cycle(commits: Sequence[Commit], found: GraphConflict) -> None:
    edges = _edges(commits)
    numbers = {one.id: one.number for one in commits}
    last = commits[-1].number
    for edge in found.path:
        before = last if edge.before is None else numbers[edge.before]
        after = last if edge.after is None else numbers[edge.after]
        assert (before, after, edge.key) in edges
    assert found.path[0].before is None
    assert found.path[-1].after is None
