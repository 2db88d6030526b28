"""Messages of logical replication: many at a time is as one by one, and nonsense is refused."""

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pgoutput
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Corrupt
from headgate.sources.postgres_changes.messages import (
    Changed,
    Committed,
    Decoder,
    Event,
    Told,
    Truncated,
)

TABLES = {1: ("orders", 3), 2: ("others", 1), 4_000_000_000: ("orders", 3)}
NAMES = ("id", "note", "more")

values = st.one_of(st.none(), st.just(...), st.binary(max_size=12))


def rows(count: int) -> st.SearchStrategy[pgoutput.Row]:
    return st.tuples(*[values] * count)


@st.composite
def changes(draw: st.DrawFn) -> bytes:
    oid = draw(st.sampled_from(list(TABLES)))
    count = TABLES[oid][1]
    kind = draw(st.sampled_from("IIUUUDT"))
    if kind == "I":
        return pgoutput.insert(oid, draw(rows(count)))
    if kind == "U":
        older = draw(st.none() | rows(count))
        return pgoutput.update(oid, draw(rows(count)), older, draw(st.sampled_from("KO")))
    if kind == "D":
        return pgoutput.delete(oid, draw(rows(count)), draw(st.sampled_from("KO")))
    return pgoutput.truncate(*draw(st.lists(st.sampled_from(list(TABLES)), max_size=3)))


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Give a log: transactions one after the other, the last one perhaps not ended."""
    found = [pgoutput.relation(oid, name, NAMES[:n]) for oid, (name, n) in TABLES.items()]
    told = draw(st.lists(st.lists(changes(), max_size=6), max_size=5))
    position = 0
    for number, transaction in enumerate(told, start=7):
        position += draw(st.integers(1, 2**40))
        found.append(pgoutput.begin(position, -number, number))
        for change in transaction:
            if draw(st.integers(0, 9)) == 0:
                found.append(pgoutput.data(b"Y" + b"\0" * 6))
            found.append(change)
        found.append(pgoutput.commit(position, position + 9, -number))
    return found[: len(found) - draw(st.integers(0, 3))] if told else found


def told(events: Sequence[Event]) -> Iterator[tuple[object, ...]]:
    """Give what events say, one by one."""
    for event in events:
        match event:
            case Committed(position=position):
                yield ("commit", position)
            case Truncated(transactions=at):
                yield ("T", at.positions[0], at.committed[0], at.numbers[0])
            case Changed():
                older = {n: i for i, n in enumerate(event.with_older.tolist())}
                for n in range(len(event)):
                    yield (
                        chr(event.operations[n]),
                        event.transactions.positions[n],
                        event.transactions.committed[n],
                        event.transactions.numbers[n],
                        _row(event.rows, n),
                        _row(event.older, older[n]) if n in older else None,
                    )


def _row(columns: Sequence[object], n: int) -> pgoutput.Row:
    return tuple(
        ... if column.unchanged[n] else column.text()[n].as_py()  # type: ignore[attr-defined]
        for column in columns
    )


def decoded(log: Sequence[bytes], cuts: Sequence[int]) -> list[Event]:
    decoder = Decoder(lambda relation: relation.name == "orders")
    bounds = [0, *sorted(cuts), len(log)]
    return [e for a, b in pairwise(bounds) for e in decoder.decode(log[a:b])]


@given(logs(), st.lists(st.integers(0, 60), max_size=6))
def test_messages_mean_the_same_in_portions_of_any_size(log: list[bytes], cuts: list[int]) -> None:
    cuts = [min(cut, len(log)) for cut in cuts]
    plain = pgoutput.Plain("orders").read(log)
    found = [one for one in told(decoded(log, cuts)) if one[0] != "commit"]
    assert found == [one for one in plain if one[0] != "commit"]


@given(logs(), st.lists(st.integers(0, 60), max_size=6))
def test_commits_stand_where_whole_transactions_end(log: list[bytes], cuts: list[int]) -> None:
    cuts = [min(cut, len(log)) for cut in cuts]
    plain = pgoutput.Plain("orders").read(log)
    ends = {one[1]: number for number, one in enumerate(plain) if one[0] == "commit"}
    before = 0
    for one in told(decoded(log, cuts)):
        if one[0] == "commit":  # all that was given so far, and nothing more, has been committed
            changes_before = [p for p in plain[: ends[one[1]]] if p[0] != "commit"]
            assert len(changes_before) == before
        else:
            before += 1


@given(logs(), st.randoms(use_true_random=False))
def test_nonsense_is_refused_or_read_and_nothing_else(
    log: list[bytes], dice: random.Random
) -> None:
    spoilt = [bytearray(message) for message in log]
    for _ in range(dice.randint(1, 4)):
        message = dice.choice(spoilt)
        match dice.randint(0, 3):
            case 0 if len(message) > 1:
                del message[dice.randrange(len(message)) :]
            case 1 if message:
                message[dice.randrange(len(message))] = dice.randrange(256)
            case 2:
                message += dice.randbytes(dice.randint(1, 8))
            case _:
                spoilt[dice.randrange(len(spoilt))] = bytearray(dice.randbytes(dice.randint(0, 60)))
    with suppress(Corrupt):
        for event in decoded([bytes(message) for message in spoilt], []):
            if isinstance(event, Changed):
                for column in (*event.rows, *event.older):
                    column.text()


def test_columns_are_told_anew_after_they_changed() -> None:
    log = [
        pgoutput.relation(1, "orders", ["id"]),
        pgoutput.begin(5, 0, 1),
        pgoutput.insert(1, (b"1",)),
        pgoutput.relation(1, "orders", ["id", "note"]),
        pgoutput.insert(1, (b"2", b"two")),
        pgoutput.commit(5, 6, 0),
    ]
    events = decoded(log, [])
    assert [type(event) for event in events] == [Told, Changed, Told, Changed, Committed]
    assert [e.relation.names for e in events if isinstance(e, Changed)] == [("id",), ("id", "note")]


@pytest.mark.parametrize(
    "log",
    [
        [pgoutput.insert(1, (b"1",))],
        [pgoutput.begin(1, 0, 1), pgoutput.insert(99, (b"1",))],
        [pgoutput.begin(1, 0, 1), pgoutput.begin(1, 0, 2)],
        [pgoutput.commit(1, 2, 0)],
        [pgoutput.relation(1, "orders", ["id"])[:-1]],
        [pgoutput.data(b"?")],
        [b"k" * 30],
        [b"w"],
    ],
    ids=["outside", "unknown", "nested", "unbegun", "short", "kind", "frame", "empty"],
)
def test_what_the_protocol_does_not_have_is_refused(log: list[bytes]) -> None:
    with pytest.raises(Corrupt):
        decoded(log, [])


def test_large_values_are_cut_out_as_they_are() -> None:
    rng = np.random.default_rng(7)
    large = [rng.bytes(size) for size in (0, 1, 70_000, 3, 1_000_000)]
    log = [pgoutput.relation(1, "orders", ["id", "note", "more"]), pgoutput.begin(1, 0, 1)]
    log += [pgoutput.insert(1, (b"1", value, None)) for value in large]
    [_, changed] = decoded(log, [])
    assert isinstance(changed, Changed)
    assert changed.rows[1].text().to_pylist() == large
