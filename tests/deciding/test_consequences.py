"""What follows from taking a run back: who read what goes away, and who stands on it."""

from collections.abc import Sequence

from short_records import append, commit, read, replace, step, upsert, write

from headgate.lake import Commit, Operation
from headgate.runs.consequences import Consequences, Policy, consequences, live_steps


def followed(*later: Commit, policy: Policy = "cascade", meet: Sequence[str] = ()) -> Consequences:
    """Take back a publication that appended to ``a``, as publication 1."""

    def stands(
        key: str, gone: Sequence[Operation], kept: Sequence[Operation], by: Commit
    ) -> str | None:
        del gone, kept, by
        return "keys-meet" if key.removeprefix("table/") in meet else None

    return consequences(
        WRONG,
        later,
        policy=policy,
        seen_at=lambda _, by: by.record.base_number,
        stands=stands,
    )


WRONG = commit(1, step(writes=[write("a", append())]), run="wrong")


def runs(found: Consequences) -> list[str]:
    return [each.run for each in found.affected]


def test_who_reads_it_is_downstream_and_who_reads_that() -> None:
    one = commit(2, step(reads=[read("a")], writes=[write("b", replace())]), run="one", base=1)
    two = commit(3, step(reads=[read("b")], writes=[write("c", replace())]), run="two", base=2)
    assert runs(followed(one, two)) == ["one", "two"]


def test_who_read_before_is_not() -> None:
    early = commit(2, step(reads=[read("a")], writes=[write("b", replace())]), run="e", base=0)
    assert runs(followed(early)) == []


def test_a_replacement_that_did_not_read_it_ends_it() -> None:
    anew = commit(2, step(writes=[write("a", replace())]), run="anew", base=1)
    after = commit(3, step(reads=[read("a")], writes=[write("b", replace())]), run="r", base=2)
    assert runs(followed(anew, after)) == []


def test_who_stands_on_it_goes_with_it_and_who_read_that() -> None:
    keyed = commit(2, step(writes=[write("a", upsert())]), run="keyed", base=1)
    after = commit(3, step(reads=[read("a")], writes=[write("b", replace())]), run="r", base=2)
    found = followed(keyed, after, meet=["a"])
    assert runs(found) == ["keyed", "r"]
    assert found.affected[0].stands


def test_stale_keeps_operations_and_marks_what_was_touched() -> None:
    one = commit(2, step(reads=[read("a")], writes=[write("b", append())]), run="one", base=1)
    found = followed(one, policy="stale")
    assert found.gone == ()
    assert found.stale == {"table/b"}


def test_rebuild_takes_only_the_touched_steps() -> None:
    touched = step("touched", reads=[read("a")], writes=[write("b", replace())])
    other = step("other", writes=[write("c", append())])
    found = followed(commit(2, touched, other, run="one", base=1), policy="rebuild")
    assert found.names == ("one/touched",)
    assert followed(commit(2, touched, other, run="one", base=1)).names == ("one",)


def test_an_output_that_is_replaced_unread_is_not_executed_again() -> None:
    later = [
        commit(n, step(reads=[read("a")], writes=[write("b", replace())]), run=f"r{n}", base=n - 1)
        for n in (2, 3, 4)
    ]
    found = followed(*later, policy="rebuild")
    assert len(found.gone) == 3
    assert list(live_steps(later, found)) == ["c4"]


def test_an_output_that_is_read_before_it_is_replaced_is() -> None:
    first = commit(2, step(reads=[read("a")], writes=[write("b", replace())]), run="r2", base=1)
    reader = commit(3, step(reads=[read("b")], writes=[write("d", append())]), run="r3", base=2)
    last = commit(4, step(reads=[read("a")], writes=[write("b", replace())]), run="r4", base=3)
    later = [first, reader, last]
    assert list(live_steps(later, followed(*later, policy="rebuild"))) == ["c4", "c3", "c2"]
