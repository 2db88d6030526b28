"""The shape of kept records: most are surveyed, many at a time; the rest are looked at singly.

A survey reads a record four times as fast as the engine tells its structure, and cannot tell those
that are of two minds about a place. Where too many are, the engine tells all of them.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from heapq import merge
from operator import itemgetter
from typing import Final, TypeAlias

import pyarrow as pa

from headgate.engines import Session, Sql
from headgate.records import (
    Shape,
    Survey,
    merged,
    of_structure,
    of_text,
    surveyed,
    with_numbers_alike,
)

UNTOLD: Final = "_hg_untold"
"""The rows of the records that no survey told of."""

_PIECE_ROWS: Final = 2_048
_PIECE_BYTES: Final = 1 << 20
_FIRST_ROWS: Final = 128
_PIECE_CELLS: Final = 1 << 20
"""So many places of records are read together, whether something is in them or not."""
_MOST_PLACES: Final = 4_096
_THREADS: Final = 4
_MOST_LEFT: Final = 4
"""A survey that leaves every fourth record is not worth its time."""

STRUCTURES: Final = """
select _hg_structure, min(_hg_row) as _hg_first
from (select json_structure(_hg_record)::varchar as _hg_structure, _hg_row
      from {0} where not _hg_single and {1})
group by 1 order by 2
"""

SINGLES: Final = """
select json(_hg_record)::varchar as _hg_record from {0}
where _hg_single or ({1} and contains(json_structure(_hg_record)::varchar, '"JSON"')
                     and contains(_hg_record, '['))
order by _hg_row
"""

Span: TypeAlias = tuple[int, int]
_Found: TypeAlias = "list[tuple[int, Shape]]"


class RecordShapes:
    """Looks at records that are kept.

    Args:
        session: in which they are kept.
        live: the relation of those that are whole objects, and not nested too deeply.
        spans: their rows, in parts that fit into memory.
        has_large: whether some have whole numbers that no double holds.
    """

    def __init__(
        self, session: Session, live: str, spans: Sequence[Span], *, has_large: bool
    ) -> None:
        self._session = session
        self._has_large = has_large
        self._whole = Shape()
        self._found: _Found = []
        self._rows = 0
        self._places = 1
        self._has_maps = False
        self._doubtful = False
        self._left: list[pa.Array] = []
        self._rows_left = 0
        self._untold_from = spans[-1][1] if spans else 0
        self._survey(live, spans)
        rows = pa.chunked_array(self._left, pa.int64())
        self._session.bind({UNTOLD: pa.table({"_hg_row": rows})})

    @property
    def untold(self) -> str:
        """SQL that is true for records of which no survey told: keys may be there twice."""
        told = f"_hg_single or _hg_row >= {self._untold_from}"
        if not self._rows_left:
            return f"({told})"
        return f"({told} or _hg_row in (select _hg_row from {UNTOLD}))"

    def shape(self, live: str, *, tagged: bool) -> Shape:
        """Give the shape of all records of a relation: those surveyed, and the rest of it."""
        shape = Shape()
        for _, one in merge(self._found, self._structures(live), key=itemgetter(0)):
            shape = merged(shape, one)
        if self._doubtful or tagged:
            asked = Sql(text=SINGLES.format(live, self.untold if self._doubtful else "false"))
            for batch in self._session.reader(asked):
                for text in batch.column(0).to_pylist():
                    shape = merged(shape, of_text(text))
        return with_numbers_alike(shape, has_large=self._has_large)

    def _structures(self, live: str) -> Iterator[tuple[int, Shape]]:
        """Give the shapes of records that no survey told of, each with its first row, in order."""
        self._doubtful = False
        for batch in self._session.reader(Sql(text=STRUCTURES.format(live, self.untold))):
            for text, first in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if '"JSON"' in text and "[" in text:
                    self._doubtful = True
                else:
                    yield first, of_structure(text)

    # -- surveyed

    def _survey(self, live: str, spans: Sequence[Span]) -> None:
        threads = min(_THREADS, os.cpu_count() or 1)
        waiting: deque[tuple[pa.Array, Future[Survey]]] = deque()
        with ThreadPoolExecutor(threads, "headgate-survey") as pool:
            for rows, texts in self._pieces(live, spans):
                if self._is_vain():
                    self._untold_from = rows[0].as_py()
                    break
                waiting.append((rows, pool.submit(surveyed, texts)))
                if len(waiting) > threads or self._rows < _PIECE_ROWS:
                    self._take(*waiting.popleft())
            while waiting:
                self._take(*waiting.popleft())

    def _pieces(self, live: str, spans: Sequence[Span]) -> Iterator[tuple[pa.Array, pa.Array]]:
        """Give rows and their records; at first only some, to see how they are."""
        first = _FIRST_ROWS
        for low, high in spans:
            asked = (
                f"select _hg_row, _hg_record from {live} "
                f"where _hg_row >= {low} and _hg_row < {high} and not _hg_single"
            )
            for batch in self._session.reader(Sql(text=asked)):
                start = 0
                while start < batch.num_rows:
                    rest = batch.slice(start)
                    fitting = max(1, _PIECE_BYTES * rest.num_rows // max(rest.nbytes, 1))
                    most = min(_PIECE_ROWS, _PIECE_CELLS // self._places, first)
                    piece = rest.slice(0, min(fitting, most))
                    yield piece.column(0), piece.column(1)
                    start, first = start + piece.num_rows, first * 4

    def _take(self, rows: pa.Array, future: "Future[Survey]") -> None:
        survey = future.result()
        self._rows += len(rows)
        self._places = max(self._places, survey.places)
        for row, one in survey.found:
            whole = merged(self._whole, one)
            if whole != self._whole:
                self._whole = whole
                self._has_maps = whole.has_maps
                self._found.append((rows[row].as_py(), one))
        if survey.left:
            self._rows_left += len(survey.left)
            self._left.append(rows.take(pa.array(survey.left)))

    def _is_vain(self) -> bool:
        """Whether the engine had better tell of the rest: too many are odd, or keys are data."""
        return (
            self._rows_left * _MOST_LEFT > self._rows
            or self._places > _MOST_PLACES
            or self._has_maps
        )
