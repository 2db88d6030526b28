"""Where a read ends and the next begins: whatever repeats, no row is lost and none comes twice."""

from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import HeadgateError
from headgate.sources import Cursor
from headgate.sources.databases import boundary as boundaries
from headgate.sources.databases.boundary import Boundary, Frontier, earlier, identity, stored

SCHEMA = pa.schema([("at", pa.int64()), ("what", pa.string())])
OF = identity(SCHEMA, SCHEMA.names)


def table(rows):
    return pa.table({"at": [row[0] for row in rows], "what": [row[1] for row in rows]}, SCHEMA)


def frontier(cursor):
    begins = Boundary.of_cursor(cursor, "at") if cursor else None
    return Frontier("at", begins, OF, kind=pa.int64())


def read(held, cursor, size, stop, shuffle):
    """Read like a database: by value, equal ones in any order, in batches; stop anywhere."""
    follows = frontier(cursor)
    since = follows.since
    rows = [row for row in held if since is None or row[0] >= since]
    shuffle(rows)
    rows.sort(key=lambda row: row[0])
    got = []
    for number, start in enumerate(range(0, len(rows), size)):
        if number == stop:
            break
        batch = table(rows[start : start + size])
        kept = follows.sift(batch, batch.column("at"))
        got += [(row["at"], row["what"]) for row in kept.to_pylist()]
        if follows.boundary:
            again = Cursor.parse(follows.boundary.cursor().text(), kind="database")
            assert Boundary.of_cursor(again, "at") == follows.boundary
            if cursor is not None:
                assert cursor <= again
            cursor = again
    else:
        ends = follows.settle()
        if got and ends is not None:
            assert cursor <= ends.cursor()
            cursor = ends.cursor()
    return got, cursor


@given(
    loads=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), max_size=8),
            st.integers(1, 4),
            st.integers(0, 4),
        ),
        max_size=6,
    ),
    random=st.randoms(use_true_random=False),
)
def test_rows_that_only_grow_are_all_read_once(loads, random):
    """New rows have the highest value so far, or a higher one; whole rows may repeat, too."""
    held, got, cursor, highest = [], [], None, 0
    for grown, size, stop in loads:
        for step, what in sorted(grown):
            highest += step // 2
            held.append((highest, what))
        some, cursor = read(held, cursor, size, stop, random.shuffle)
        got += some
        assert not Counter(got) - Counter(held)
    rest, cursor = read(held, cursor, 3, None, random.shuffle)
    assert Counter(got + rest) == Counter(held)
    assert read(held, cursor, 3, None, random.shuffle) == ([], cursor)


@given(
    changes=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 3)), max_size=12
    ),
    random=st.randoms(use_true_random=False),
)
def test_a_row_changed_within_the_highest_value_is_read_again(changes, random):
    held, target, cursor, now = {}, {}, None, 0
    for key, step, number in changes:
        now += step
        held[key] = (now, f"{key}:{number}:{step}")
        got, cursor = read(list(held.values()), cursor, 2, None, random.shuffle)
        target.update({what.split(":")[0]: (at, what) for at, what in got})
        assert {str(key): row for key, row in held.items()} == target


def test_too_many_equal_rows_are_known_by_none(monkeypatch):
    monkeypatch.setattr(boundaries, "MOST_KNOWN", 3)
    follows = frontier(None)
    batch = table([(1, "a"), (2, "a"), (2, "b"), (2, "c")])
    follows.sift(batch, batch.column("at"))
    assert follows.boundary.known is not None
    more = table([(2, "d")])
    follows.sift(more, more.column("at"))
    assert follows.boundary.known is None
    assert follows.boundary.rows == 4
    again = frontier(follows.boundary.cursor())
    everything = table([(2, x) for x in "abcd"])
    assert again.sift(everything, everything.column("at")).num_rows == 4
    beyond = table([(3, "a")])
    again.sift(beyond, beyond.column("at"))
    assert len(again.boundary.known) == 1


def test_the_cursor_of_another_column_is_refused():
    cursor = Boundary(column="id", value=1, rows=1, known=(), of=OF).cursor()
    with pytest.raises(HeadgateError) as caught:
        Boundary.of_cursor(cursor, "at")
    assert caught.value.code == "cursor-of-another-column"


def test_other_columns_do_not_tell_known_rows():
    known = Boundary(column="at", value=1, rows=1, known=(), of=OF)
    assert known.fits(SCHEMA)
    assert known.fits(SCHEMA.append(pa.field("more", pa.int64())))
    assert known.fits(SCHEMA.set(0, pa.field("at", pa.int32())))
    assert not known.fits(SCHEMA.remove(1))
    assert not known.fits(SCHEMA.set(1, pa.field("what", pa.binary())))


instant = datetime.fromisoformat
ASCENDING = {
    pa.int64(): [-5, 0, 10**18],
    pa.decimal128(12, 2): [Decimal("-1.50"), Decimal("0.01"), Decimal("10.00")],
    pa.timestamp("us"): [
        instant("0001-01-01"),
        instant("2026-01-01T10:00"),
        instant("2026-01-01T10:00:00.000001"),
    ],
    pa.timestamp("us", "UTC"): [instant("1969-12-31T23:00"), instant("2026-01-01")],
    pa.date32(): [date(1, 1, 1), date(999, 12, 31), date(2026, 1, 1), date(9999, 12, 31)],
    pa.string(): ["", "A", "a", "é", "😀"],
}


@pytest.mark.parametrize("kind", ASCENDING, ids=str)
def test_stored_values_ascend_as_the_databases_do(kind):
    values = [stored(value) for value in pa.array(ASCENDING[kind], kind)]
    assert values == sorted(values)
    assert len({*values}) == len(values)


def test_a_lag_is_taken_from_instants_days_and_whole_numbers():
    instant, day = pa.timestamp("us"), pa.date32()
    assert (
        earlier("2026-01-01T00:00:00.000000", instant, timedelta(minutes=1))
        == "2025-12-31T23:59:00"
    )
    assert earlier("2026-01-01 00:00:00", instant, timedelta(minutes=1)) == "2025-12-31 23:59:00"
    assert earlier("2026-01-01", day, timedelta(hours=1)) == "2025-12-31"
    assert earlier(10, pa.int64(), 3) == 7
    for value, kind, lag in (
        ("a", pa.string(), 3),
        (1, pa.int64(), timedelta(1)),
        ("2026-01-01", day, 3),
    ):
        with pytest.raises(HeadgateError) as caught:
            earlier(value, kind, lag)
        assert caught.value.code == "bad-option"


def test_with_a_lag_the_boundary_never_goes_back():
    begins = Boundary(column="at", value=10, rows=1, known=None, of=OF)
    follows = Frontier("at", begins, OF, kind=pa.int64(), lag=3)
    assert follows.since == 7
    for rows, value in (([(7, "a"), (8, "b")], 10), ([(10, "a"), (12, "b")], 12)):
        batch = table(rows)
        assert follows.sift(batch, batch.column("at")).num_rows == len(rows)
        assert follows.boundary.value == value
