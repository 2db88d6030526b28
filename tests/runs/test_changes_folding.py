"""Folding: what is left of operations is what a dict would hold, and where its values came from."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headgate.runs.folding import NONE, Operations, fold

KEYS = range(5)
COLUMNS = ("a", "b")


@dataclass(frozen=True)
class Done:
    """An operation: an upsert of a key, which was under another one before, or a deletion."""

    key: int
    before: int
    upsert: bool
    unchanged: frozenset[str]


@st.composite
def histories(draw: st.DrawFn) -> tuple[set[int], list[Done]]:
    """Give keys that are there, and operations a database could have done to them."""
    there = draw(st.sets(st.sampled_from(KEYS)))
    now = set(there)
    done = []
    for _ in range(draw(st.integers(0, 14))):
        kind = draw(st.sampled_from(["insert", "update", "update", "move", "delete"]))
        free = sorted(set(KEYS) - now)
        untold = draw(st.frozensets(st.sampled_from(COLUMNS)))
        if kind == "insert" and free:
            key = draw(st.sampled_from(free))
            done.append(Done(key, NONE, True, frozenset()))
            now.add(key)
        elif kind == "update" and now:
            done.append(Done(draw(st.sampled_from(sorted(now))), NONE, True, untold))
        elif kind == "move" and now and free:
            old, key = draw(st.sampled_from(sorted(now))), draw(st.sampled_from(free))
            done.append(Done(key, old, True, untold))
            now.remove(old)
            now.add(key)
        elif kind == "delete" and now:
            key = draw(st.sampled_from(sorted(now)))
            done.append(Done(key, NONE, False, frozenset()))
            now.remove(key)
    return there, done


def operations(done: list[Done]) -> Operations:
    return Operations(
        keys=np.array([each.key for each in done], np.int64),
        befores=np.array([each.before for each in done], np.int64),
        upserts=np.array([each.upsert for each in done], bool),
        unchanged={c: np.array([c in each.unchanged for each in done], bool) for c in COLUMNS},
    )


@given(histories())
def test_folding_is_what_a_dict_does(history: tuple[set[int], list[Done]]) -> None:
    there, done = history
    table: dict[int, dict[str, object]] = {
        key: dict.fromkeys(COLUMNS, ("table", key)) for key in there
    }
    touched = set()
    for number, each in enumerate(done):
        touched |= {each.key, each.before} - {NONE}
        row = table.pop(each.key if each.before == NONE else each.before, {})
        if each.upsert:
            table[each.key] = {
                column: row[column] if column in each.unchanged else ("operation", number)
                for column in COLUMNS
            }
    folded = fold(operations(done))
    found = {}
    for place, number in enumerate(folded.upserts.tolist()):
        values: dict[str, object] = dict.fromkeys(COLUMNS, ("operation", number))
        for column, origin in folded.origins.items():
            told, row = int(origin.operations[place]), int(origin.rows[place])
            values[column] = ("operation", told) if told != NONE else ("table", row)
        found[done[number].key] = values
    assert found == {key: row for key, row in table.items() if key in touched}
    assert set(folded.deleted.tolist()) == touched - table.keys()
    assert folded.upserts.tolist() == sorted(folded.upserts.tolist())


@given(histories())
def test_after_a_truncation_nothing_comes_from_the_table(
    history: tuple[set[int], list[Done]],
) -> None:
    _, done = history
    folded = fold(operations(done), emptied=True)
    for origin in folded.origins.values():
        assert (origin.rows == NONE).all()


def test_a_value_is_followed_through_many_updates() -> None:
    many = 1000
    done = [Done(0, NONE, True, frozenset())] + [Done(0, NONE, True, frozenset("a"))] * many
    origin = fold(operations(done)).origins["a"]
    assert origin.operations.tolist() == [0]


def test_keys_that_swap_keep_their_values() -> None:
    done = [
        Done(9, 1, True, frozenset("a")),
        Done(1, 2, True, frozenset("a")),
        Done(2, 9, True, frozenset("a")),
    ]
    folded = fold(operations(done))
    assert folded.upserts.tolist() == [1, 2]
    assert folded.origins["a"].rows.tolist() == [2, 1]
    assert folded.deleted.tolist() == [9]


def test_a_value_that_nobody_knows_is_said_to_be_lost() -> None:
    done = [Done(1, NONE, False, frozenset()), Done(1, NONE, True, frozenset("a"))]
    origin = fold(operations(done)).origins["a"]
    assert (origin.operations.tolist(), origin.rows.tolist()) == ([NONE], [NONE])
