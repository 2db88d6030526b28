"""What every source must do, as tests. Subclass the suite, say how to make one, run pytest.

>>> class TestMine(SourceSuite):  # doctest: +SKIP
...     def situation(self, directory):
...         return Situation(open=lambda: MySource(...), rows=[...], grow=add_rows)

A source gives rows from where it was left: after any batch it can be taken up again, and then
gives exactly the rows that are missing.
"""

# ruff: noqa: D102, S101 - these are tests; their names say what they show

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from headgate.errors import Invalid
from headgate.source_columns import POSITION, RECORD
from headgate.sources import Batch, Cursor, Source

Row: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Something outside that holds ``rows``.

    ``open`` makes a new source that reads it. ``grow`` adds rows outside and gives them; they come
    after the others.
    """

    open: Callable[[], Source]
    rows: Sequence[Row]
    grow: Callable[[], Sequence[Row]]


def rows_of(batches: Iterable[Batch]) -> list[Row]:
    """Give the rows of batches, in order: records as what their JSON says, places left away."""
    return [_row(row) for batch in batches for row in batch.rows.to_pylist()]


def _row(row: dict[str, object]) -> Row:
    row.pop(POSITION, None)
    record = row.pop(RECORD, None)
    return row if record is None else {**row, **json.loads(str(record))}


class SourceSuite:
    """The suite. ``situation`` sets up something to read, with two batches of rows at least."""

    def situation(self, directory: Path) -> Situation:
        raise NotImplementedError

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
