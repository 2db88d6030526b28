"""What a hand-made transaction has read counts, whenever in its block it was read."""

import pytest
from workplaces import Workplace

from headgate.errors import Conflict
from headgate.runs import Transaction


@pytest.fixture
def on_call(place: Workplace) -> Workplace:
    with place.hall.transaction("main") as transaction:
        for name in ("ann", "bob"):
            transaction.write(name, [{"on_call": True}])
    return place


def leave(transaction: Transaction, me: str, other: str, *, looks_last: bool) -> None:
    """Leave if the other one is on call; look before leaving, or after."""
    if not looks_last:
        assert transaction.table(other).column("on_call").to_pylist() == [True]
    transaction.write(me, [{"on_call": False}], mode="replace")
    if looks_last:
        assert transaction.table(other).column("on_call").to_pylist() == [True]


@pytest.mark.parametrize("looks_last", [False, True])
def test_two_that_look_at_each_other_do_not_both_leave(
    on_call: Workplace, *, looks_last: bool
) -> None:
    with pytest.raises(Conflict) as caught, on_call.hall.transaction("main") as mine:
        leave(mine, "ann", "bob", looks_last=looks_last)
        with on_call.hall.transaction("main") as theirs:
            leave(theirs, "bob", "ann", looks_last=looks_last)
    assert caught.value.code == "cannot-rebase"
    assert on_call.rows("ann") == [{"on_call": True}]
    assert on_call.rows("bob") == [{"on_call": False}]


def test_a_last_look_at_what_nobody_changes_holds_nothing_up(on_call: Workplace) -> None:
    with on_call.hall.transaction("main") as before:
        before.write("calls", [{"n": 0}])
    with on_call.hall.transaction("main") as mine:
        mine.write("calls", [{"n": 1}])
        assert mine.table("bob").num_rows == 1
        with on_call.hall.transaction("main") as theirs:
            theirs.write("calls", [{"n": 2}])
    assert on_call.rows("calls") == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert mine.result is not None
    assert [step.step for step in mine.result.steps] == ["write_1", "read_2"]
