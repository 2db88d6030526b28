"""A revert takes a run's operations out, and keeps those of its followers or refuses."""

from collections.abc import Sequence

import pytest
from short_records import append, column, delete, file, replace, table, upsert

from headgate.lake import (
    AddColumn,
    Create,
    Drop,
    Operation,
    Put,
    RefuseRevert,
    Replay,
    Restore,
    RestoreEntry,
    RevertDecision,
    Rewrite,
    revert_decision,
)

REWRITE = Rewrite(removed=("f",), added=(file("g"),))


def decided(
    reverted: Sequence[Operation],
    followers: Sequence[Operation],
    *,
    key: str = "table/a",
    meet: bool = False,
) -> RevertDecision:
    return revert_decision(
        key,
        reverted,
        followers,
        before=table("before"),
        now=table("now"),
        facts=lambda _: meet,
    )


@pytest.mark.parametrize("reverted", [append(), upsert(), delete(), replace(), Create(uuid="u")])
@pytest.mark.parametrize("followers", [(), (REWRITE,)])
def test_where_nothing_followed_the_key_is_what_it_was(
    reverted: Operation, followers: tuple[Operation, ...]
) -> None:
    assert decided([reverted], followers) == RestoreEntry()


@pytest.mark.parametrize(
    ("reverted", "follower"),
    [
        (append(), append()),
        (append(), upsert()),
        (append(), delete()),
        (upsert(), delete()),
        (delete(), append()),
        (upsert(), replace()),
        (replace(), replace()),
    ],
)
def test_followers_that_pass_are_applied_without_it(
    reverted: Operation, follower: Operation
) -> None:
    assert decided([reverted], [follower]) == Replay(operations=(follower,))


@pytest.mark.parametrize(
    ("reverted", "follower"),
    [
        (append(), upsert()),
        (upsert(), append()),
        (upsert(), upsert()),
        (delete(), upsert()),
    ],
)
def test_followers_on_the_same_keys_need_it(reverted: Operation, follower: Operation) -> None:
    assert decided([reverted], [follower], meet=True) == RefuseRevert(reason="keys-meet")


@pytest.mark.parametrize(
    ("reverted", "follower"),
    [
        (replace(), append()),
        (Create(uuid="u"), append()),
        (Create(uuid="u"), replace()),
        (AddColumn(column=column("c")), append()),
        (append(), Restore(commit="c")),
        (append(), Drop()),
    ],
)
def test_followers_that_stand_on_it_need_it(reverted: Operation, follower: Operation) -> None:
    assert isinstance(decided([reverted], [follower]), RefuseRevert)


def test_nothing_before_a_later_replacement_matters() -> None:
    found = decided([replace()], [append(), upsert(), replace(), append()], meet=True)
    assert found == Replay(operations=(replace(), append()))


def test_a_cursor_that_went_on_needs_it() -> None:
    put = [Put(content="1")]
    assert decided(put, put, key="cursor/p/s") == RefuseRevert(reason="cursor-moved")
    assert decided(put, [], key="cursor/p/s") == RestoreEntry()


def test_another_value_is_the_last_followers() -> None:
    found = decided([Put(content="1")], [Put(content="2"), Put(content="3")], key="pipeline/p/s")
    assert found == Replay(operations=(Put(content="3"),))
