"""The side channel of a masked write: bad rows leave the stream here, while the good ones pass.

A filter above the mask calls into Python only for rows that violate something: ``capture`` keeps
those that are quarantined; ``tally`` counts the others, which stay, and says whose contents are
wanted as examples, which ``show`` then takes. The source is computed once and good rows never
touch Python.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Self, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from duckdb.func import FunctionNullHandling, PythonUDFType

from headgate.engines.buffers import booleans, numbers
from headgate.engines.rejected_rows import MASK, RAW_PREFIX, RejectedRows
from headgate.engines.sql_types import sql_type
from headgate.errors import Internal
from headgate.masks import MaskQuery
from headgate.names import quote
from headgate.source_columns import POSITION, RECORD

EXAMPLES = 5
_FEW = 100
_GIVEN = (POSITION, RECORD)
_NUMBERS = count(1)

Masks: TypeAlias = npt.NDArray[np.int64]


class Rejecting:
    """Counts violations and keeps rejected rows during one write, from the engine's threads.

    A column that was cast is kept as it came in: as ``_raw.<name>``, where that goes along.
    """

    def __init__(self, mask: MaskQuery, schema: pa.Schema, scratch: Path) -> None:
        self._number = next(_NUMBERS)
        self._schema = schema
        self._kept = [name for name in schema.names if f"{RAW_PREFIX}{name}" not in schema.names]
        self._mask = mask
        self._quarantine = np.int64(mask.quarantine_bits)
        self._lock = Lock()
        self._counts: dict[int, int] = {}
        self._wanted = (1 << len(mask.names)) - 1
        self._examples: list[list[Mapping[str, object]]] = [[] for _ in mask.names]
        self.rows = RejectedRows(self._kept, scratch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rows.close()

    # -- in SQL

    @property
    def capture_name(self) -> str:
        """The function that takes quarantined rows."""
        return f"_hg_capture_{self._number}"

    @property
    def _tally_name(self) -> str:
        return f"_hg_tally_{self._number}"

    @property
    def _show_name(self) -> str:
        return f"_hg_show_{self._number}"

    def install(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the functions known."""
        bigint, boolean = connection.dtype("BIGINT"), connection.dtype("BOOLEAN")
        create = partial(
            connection.create_function,
            return_type=boolean,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
            side_effects=True,
        )
        create(self.capture_name, self._capture, [bigint, self._row_type(connection, self._kept)])
        create(self._tally_name, self._tally, [bigint])
        every = self._row_type(connection, self._schema.names)
        create(self._show_name, self._show, [bigint, every])

    def _row_type(
        self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]
    ) -> "duckdb.sqltypes.DuckDBPyType":
        fields = [self._schema.field(name) for name in names]
        return connection.struct_type(
            {f"c{i}": connection.dtype(sql_type(field.type)) for i, field in enumerate(fields)}
        )

    def remove(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Forget the functions."""
        for name in (self.capture_name, self._tally_name, self._show_name):
            connection.remove_function(name)

    def predicate(self) -> str:
        """Give the filter that is true for rows that stay in."""
        return (
            f"case when {MASK} = 0 then true "
            f"when {MASK} & {self._quarantine} <> 0 "
            f"then {self.capture_name}({MASK}, {_row(self._kept)}) "
            f"when {self._tally_name}({MASK}) "
            f"then {self._show_name}({MASK}, {_row(self._schema.names)}) else true end"
        )

    # -- called by the engine

    def _capture(self, masks: pa.Array, rows: pa.Array) -> pa.Array:
        masks, rows = _whole(masks), _whole(rows)
        bits = _bits(masks)
        with self._lock:
            self._count(bits)
            self._note_examples(bits, rows, self._kept)
            self.rows.add(masks, rows)
        return booleans(np.zeros(len(bits), dtype=bool))

    def _tally(self, masks: pa.Array) -> pa.Array:
        bits = _bits(masks)
        with self._lock:
            self._count(bits)
            return booleans((bits & np.int64(self._wanted)) != 0)

    def _show(self, masks: pa.Array, rows: pa.Array) -> pa.Array:
        bits = _bits(masks)
        with self._lock:
            self._note_examples(bits, rows, self._schema.names)
        return booleans(np.ones(len(bits), dtype=bool))

    def sift(self, judged: pa.Table) -> pa.Table:
        """Take the rejected rows out of a table that carries its mask; give the accepted ones."""
        masks = judged.column(MASK).combine_chunks()
        bits = _bits(masks)
        rows = judged.drop_columns([MASK])
        bad = (bits & self._quarantine) != 0
        violating = (bits != 0) & ~bad
        if bad.any():
            chosen = booleans(bad)
            self._capture(masks.filter(chosen), _struct(rows.select(self._kept).filter(chosen)))
        if violating.any():
            chosen = booleans(violating)
            self._tally(masks.filter(chosen))
            self._show(masks.filter(chosen), _struct(rows.filter(chosen)))
        return rows.filter(booleans(~bad)) if bad.any() else rows

    def _count(self, bits: Masks) -> None:
        if len(bits) < _FEW:
            for value in bits.tolist():
                self._counts[value] = self._counts.get(value, 0) + 1
            return
        values, counts = np.unique(bits, return_counts=True)
        for value, number in zip(values.tolist(), counts.tolist(), strict=True):
            self._counts[value] = self._counts.get(value, 0) + number

    def _note_examples(self, bits: Masks, rows: pa.Array, names: Sequence[str]) -> None:
        """Keep rows of checks that have too few yet; most calls find all of them served."""
        if not int(np.bitwise_or.reduce(bits)) & self._wanted:
            return
        for bit, examples in enumerate(self._examples):
            if not self._wanted & (1 << bit):
                continue
            for index in np.flatnonzero(bits & np.int64(1 << bit))[: EXAMPLES - len(examples)]:
                values = rows[int(index)].as_py().values()
                examples.append(_example(dict(zip(names, values, strict=True))))
            if len(examples) == EXAMPLES:
                self._wanted &= ~(1 << bit)

    # -- afterwards

    def violations(self) -> dict[str, int]:
        """Give the count of violating rows of every check, of the whole input."""
        return {
            name: sum(number for mask, number in self._counts.items() if mask >> bit & 1)
            for bit, name in enumerate(self._mask.names)
        }

    def examples(self) -> dict[str, tuple[Mapping[str, object], ...]]:
        """Give up to five violating rows of every violated check."""
        return {
            name: tuple(found)
            for name, found in zip(self._mask.names, self._examples, strict=True)
            if found
        }


def _bits(masks: pa.Array) -> Masks:
    if masks.null_count:
        raise Internal("mask-is-null", "A contract's mask gave NULL for a row.")
    return numbers(masks, np.int64)


def _whole(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Give an array: DuckDB calls with chunks, mostly with one."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    return array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()


def _row(names: Sequence[str]) -> str:
    return "{" + ", ".join(f"'c{i}': {quote(name)}" for i, name in enumerate(names)) + "}"


def _struct(rows: pa.Table) -> pa.Array:
    columns = [pc.cast(column.combine_chunks(), column.type) for column in rows.columns]
    return pa.StructArray.from_arrays(columns, names=[f"c{i}" for i in range(len(columns))])


def _example(row: Mapping[str, object]) -> Mapping[str, object]:
    """Give a row as JSON would; a value that could not be read is shown as it was written."""
    plain = {
        name: value
        for name, value in row.items()
        if not name.startswith(RAW_PREFIX) and name not in _GIVEN
    }
    for name, value in row.items():
        column = name.removeprefix(RAW_PREFIX)
        if column != name and plain.get(column) is None:
            plain[column] = value
    return {str(name): _json_value(value) for name, value in plain.items()}


def _json_value(value: object) -> object:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124
    if isinstance(value, Mapping):
        return {str(key): _json_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(inner) for inner in value]
    return str(value)
