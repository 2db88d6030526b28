"""What every source must do, as tests. Subclass the suite, say how to make one, run pytest.

>>> class TestMine(SourceSuite):  # doctest: +SKIP
...     def situation(self, directory):
...         return Situation(open=lambda: MySource(...), rows=[...], grow=add_rows)

A source gives rows from where it was left: after any batch it can be taken up again, and then
gives exactly the rows that are missing.
"""

# ruff: noqa: D102, S101 - these are tests; their names say what they show

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from headgate.errors import HeadgateError, Invalid
from headgate.source_columns import POSITION, RECORD
from headgate.sources import Batch, Cursor, Source

Row: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Something outside that holds ``rows``.

    ``open`` makes a new source that reads it. ``grow`` adds rows outside and gives them; they come
    after the others. What follows is tested where it is given: ``widen`` adds rows that have a
    column more, and gives them; ``empty`` makes a source of something that holds no row,
    ``unreachable`` one of something that does not answer or is not there; ``slow`` a source of the
    same rows that come late, or in pieces.
    """

    open: Callable[[], Source]
    rows: Sequence[Row]
    grow: Callable[[], Sequence[Row]]
    widen: Callable[[], Sequence[Row]] | None = None
    empty: Callable[[], Source] | None = None
    unreachable: Callable[[], Source] | None = None
    slow: Callable[[], Source] | None = None


def rows_of(batches: Iterable[Batch]) -> list[Row]:
    """Give the rows of batches, in order: records as what their JSON says, places left away."""
    return [_row(row) for batch in batches for row in batch.rows.to_pylist()]


def _without_nulls(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def _row(row: dict[str, object]) -> Row:
    row.pop(POSITION, None)
    record = row.pop(RECORD, None)
    return row if record is None else {**row, **json.loads(str(record))}


class _Store:
    """What a run keeps: rows, and in the same commit the cursor that is true once they are there.

    Rows whose cursor is still that of the batch before wait for one that has moved on.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.cursor: str | None = None
        self._waiting: list[Row] = []

    def take(self, batch: Batch) -> None:
        """Take a batch."""
        self._waiting += rows_of([batch])
        cursor = None if batch.cursor is None else batch.cursor.text()
        if cursor != self.cursor:
            self.rows += self._waiting
            self._waiting, self.cursor = [], cursor

    def die(self) -> None:
        """Lose what was not committed."""
        self._waiting = []


def _read_on(outside: Situation, store: _Store, most: int | None = None) -> None:
    """Read from where the store is, at most so many batches, and die without closing anything."""
    source = outside.open()
    cursor = None if store.cursor is None else source.cursor(store.cursor)
    for batch in islice(source.read(cursor), most):
        store.take(batch)
    store.die()


class SourceSuite(ABC):
    """The suite. ``situation`` sets up something to read, with two batches of rows at least."""

    @abstractmethod
    def situation(self, directory: Path) -> Situation: ...

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Situation:
        return self.situation(tmp_path)

    def test_a_source_says_what_it_is(self, outside: Situation) -> None:
        with closing(outside.open()) as source:
            description = source.describe()
            assert description.kind == source.kind
            assert description.title
            assert isinstance(source, Source)

    def test_reading_from_the_beginning_gives_every_row(self, outside: Situation) -> None:
        with closing(outside.open()) as source:
            assert rows_of(source.read(None)) == outside.rows

    def test_reading_can_be_taken_up_after_every_batch(self, outside: Situation) -> None:
        with closing(outside.open()) as source:
            batches = list(source.read(None))
        assert len(batches) > 1
        for position, batch in enumerate(batches):
            with closing(outside.open()) as source:
                cursor = source.cursor(batch.cursor.text()) if batch.cursor else None
                rest = rows_of(source.read(cursor))
            # Where reading cannot be taken up within a unit, its cursor is that of the unit before.
            cursors = [None, *(each.cursor for each in batches)]
            begins = cursors.index(batch.cursor)
            assert begins <= position + 1
            assert rest == rows_of(batches[begins:])

    def test_batches_that_are_said_to_have_the_same_columns_have_them(
        self, outside: Situation
    ) -> None:
        with closing(outside.open()) as source:
            batches = list(source.read(None))
        if batches[0].same_columns:
            assert {str(batch.rows.schema) for batch in batches} == {str(batches[0].rows.schema)}

    def test_a_kill_between_any_two_batches_loses_and_doubles_nothing(
        self, outside: Situation
    ) -> None:
        with closing(outside.open()) as source:
            batches = len(list(source.read(None)))
        for first in range(batches + 1):
            store = _Store()
            for most in (first, 1, None):
                _read_on(outside, store, most)
            assert store.rows == outside.rows

    def test_what_grows_between_two_kills_is_read_once(self, outside: Situation) -> None:
        store = _Store()
        _read_on(outside, store, 1)
        added = outside.grow()
        for most in (1, 2, None, None):
            _read_on(outside, store, most)
        text = [json.dumps(row, sort_keys=True, default=str) for row in store.rows]
        everything = [*outside.rows, *added]
        wanted = [json.dumps(row, sort_keys=True, default=str) for row in everything]
        assert sorted(text) == sorted(wanted)

    def test_a_reader_that_is_cancelled_can_be_closed_and_leaves_no_trace(
        self, outside: Situation
    ) -> None:
        source = outside.open()
        reading = source.read(None)
        next(reading)
        if isinstance(reading, Generator):
            reading.close()
        source.close()
        with closing(outside.open()) as source:
            assert rows_of(source.read(None)) == outside.rows

    def test_rows_with_a_column_more_come_with_it(self, outside: Situation) -> None:
        if outside.widen is None:
            pytest.skip("this source has one schema for good")
        with closing(outside.open()) as source:
            last = list(source.read(None))[-1].cursor
        added = outside.widen()
        assert not any(row.keys() == outside.rows[0].keys() for row in added)
        with closing(outside.open()) as source:
            assert rows_of(source.read(last)) == list(added)
        with closing(outside.open()) as source:
            everything = rows_of(source.read(None))
        assert [_without_nulls(row) for row in everything] == [
            _without_nulls(row) for row in (*outside.rows, *added)
        ]

    def test_what_is_empty_gives_no_row_and_no_error(self, outside: Situation) -> None:
        if outside.empty is None:
            pytest.skip("this source is never empty")
        with closing(outside.empty()) as source:
            batches = list(source.read(None))
            assert rows_of(batches) == []
            again = batches[-1].cursor if batches else None
            assert rows_of(source.read(again)) == []

    def test_what_cannot_be_reached_is_told_by_an_error_of_ours(self, outside: Situation) -> None:
        if outside.unreachable is None:
            pytest.skip("this source is always there")
        source = outside.unreachable()
        with pytest.raises(HeadgateError) as caught:
            list(source.read(None))
        assert caught.value.category in {"unavailable", "not-found", "refused", "invalid"}
        assert caught.value.hint or caught.value.category == "not-found"
        source.close()

    def test_rows_that_come_late_are_the_same_rows(self, outside: Situation) -> None:
        if outside.slow is None:
            pytest.skip("this source waits for nobody")
        with closing(outside.slow()) as source:
            assert rows_of(source.read(None)) == outside.rows

    def test_what_is_acknowledged_late_twice_or_never_is_still_read_once(
        self, outside: Situation
    ) -> None:
        with closing(outside.open()) as source:
            batches = list(source.read(None))
        last = batches[-1].cursor
        assert last is not None
        with closing(outside.open()) as source:  # who published was killed before it could say so
            assert rows_of(source.read(source.cursor(last.text()))) == []
        with closing(outside.open()) as source:
            source.acknowledge(last)
            source.acknowledge(last)
        added = outside.grow()
        with closing(outside.open()) as source:
            assert rows_of(source.read(source.cursor(last.text()))) == list(added)

    def test_records_that_are_no_rows_say_where_they_stand_and_why(
        self, outside: Situation
    ) -> None:
        with closing(outside.open()) as source:
            for batch in source.read(None):
                if POSITION in batch.rows.column_names:
                    assert batch.rows.column(POSITION).null_count == 0
                if batch.unread is not None:
                    assert set(batch.unread.column_names) == {
                        "_position",
                        "_raw",
                        "_column",
                        "_reason",
                    }

    def test_the_last_cursor_covers_everything(self, outside: Situation) -> None:
        with closing(outside.open()) as source:
            last = list(source.read(None))[-1].cursor
        assert last is not None
        with closing(outside.open()) as source:
            assert rows_of(source.read(last)) == []

    def test_cursors_ascend_and_survive_as_text(self, outside: Situation) -> None:
        with closing(outside.open()) as source:
            cursors = [batch.cursor for batch in source.read(None) if batch.cursor]
            for one, two in pairwise(cursors):
                assert one <= two
            for cursor in cursors:
                assert source.cursor(cursor.text()) == cursor

    def test_what_comes_later_is_read_alone(self, outside: Situation) -> None:
        with closing(outside.open()) as source:
            last = list(source.read(None))[-1].cursor
        added = outside.grow()
        with closing(outside.open()) as source:
            batches = list(source.read(last))
            assert rows_of(batches) == list(added)
            assert last is not None
            assert batches[-1].cursor is not None
            assert last < batches[-1].cursor

    def test_a_fingerprint_changes_with_the_rows_and_only_then(self, outside: Situation) -> None:
        with closing(outside.open()) as source:
            before = source.fingerprint()
        with closing(outside.open()) as source:
            list(source.read(None))
            assert source.fingerprint() == before
        outside.grow()
        with closing(outside.open()) as source:
            assert before is None or source.fingerprint() != before

    def test_a_cursor_of_another_source_is_refused(self, outside: Situation) -> None:
        foreign = Cursor(kind="of nobody", sequence=(1,)).text()
        newer = Cursor(kind=outside.open().kind, version=10**6, sequence=(1,)).text()
        with closing(outside.open()) as source:
            for text in (foreign, newer, "no cursor", "{}", "[]"):
                with pytest.raises(Invalid):
                    source.cursor(text)

    def test_files_for_an_engine_lead_to_the_same_cursor(self, outside: Situation) -> None:
        with closing(outside.open()) as source:
            last = list(source.read(None))[-1].cursor
        with closing(outside.open()) as source:
            native = source.native(None)
            if native is None:
                return
            assert native.files is not None
            assert native.cursor == last
            after = source.native(native.cursor)
            assert after is not None
            assert after.files is None
            assert after.cursor == native.cursor

    def test_closing_twice_is_no_error(self, outside: Situation) -> None:
        source = outside.open()
        source.fingerprint()
        source.close()
        source.close()
