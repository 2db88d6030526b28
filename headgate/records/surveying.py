"""Surveys: the shape of many records at once, told by a reader that takes each of them once.

Arrow's JSON reader finds types as it reads, and says in which row something is of another kind than
before, or a key is there twice. What it cannot tell is left to those who look more closely.

It takes whole objects only: a text that is none, or is nested very deeply, may crash it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from headgate.records.shapes import NOTHING, Shape, of_fields

_ROW: Final = re.compile(r" in row ([0-9]+)\Z")
_MOST_ODD: Final = 32
"""So many records that differ from those before them are looked at alone; then it is given up."""
_LEAST_BLOCK: Final = 64
_SCALARS: Final = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_string, "text"),
    (pa.types.is_timestamp, "text"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found: shapes, each with the first row that has it, and the rows that were left.

    ``places`` is the most that were read together: each costs for every record, there or not. A
    ``number`` in these shapes may also be a whole one.
    """

    found: tuple[tuple[int, Shape], ...]
    left: tuple[int, ...]
    places: int


def surveyed(texts: pa.Array) -> Survey:
    """Give the shapes of records.

    ``texts`` are JSON objects, proven to be; none has a key nested deeper than ``DEEPEST``, none a
    number that a double and 64 bits do not hold.
    """
    found: list[tuple[int, Shape]] = []
    left: list[int] = []
    places = 0
    for row, stop, schema in _schemas(texts):
        shape = _of_schema(schema) if schema is not None else None
        places = max(places, _places(schema))
        if shape is None:
            left.extend(range(row, stop))
        elif not found or found[-1][1] != shape:
            found.append((row, shape))
    return Survey(found=tuple(found), left=tuple(left), places=places)


def _schemas(texts: pa.Array) -> Iterator[tuple[int, int, pa.Schema | None]]:
    """Give ranges of rows and what is read of them; None where it cannot be read."""
    row, count, odd = 0, len(texts), 0
    while row < count:
        schema, wrong = _read(texts.slice(row))
        if schema is not None:
            yield row, count, schema
            return
        odd += 1
        if wrong is None or odd > _MOST_ODD:
            yield row, count, None
            return
        if wrong:
            yield row, row + wrong, _read(texts.slice(row, wrong))[0]
        row += wrong + 1
        yield row - 1, row, _read(texts.slice(row - 1, 1))[0]


def _read(texts: pa.Array) -> tuple[pa.Schema | None, int | None]:
    """Give what is read of all these records; else the first row that cannot be read so."""
    whole = pc.binary_join(_list_of(texts), "\n")[0].as_buffer()
    block = pyarrow.json.ReadOptions(
        use_threads=False, block_size=max(whole.size + 1, _LEAST_BLOCK)
    )
    try:
        read = pyarrow.json.read_json(pa.BufferReader(whole), read_options=block)
    except pa.ArrowInvalid as error:
        found = _ROW.search(str(error))
        row = int(found[1]) if found else None
        return None, row if row is not None and row < len(texts) else None
    return (read.schema, None) if read.num_rows == len(texts) else (None, None)


def _list_of(texts: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)


def _of_schema(schema: pa.Schema) -> Shape | None:
    try:
        return _of_type(pa.struct(list(schema)))
    except TypeError:
        return None


def _places(kinds: Iterable[pa.Field] | None) -> int:
    """Count the places in objects and lists."""
    return sum(
        1 + _places([each.type.field(number) for number in range(each.type.num_fields)])
        for each in kinds or ()
    )


def _of_type(kind: pa.DataType) -> Shape:
    if pa.types.is_null(kind):
        return NOTHING
    if pa.types.is_struct(kind):
        return of_fields({each.name: _of_type(each.type) for each in kind})
    if pa.types.is_list(kind):
        element = _of_type(kind.value_type)
        return Shape(frozenset({"list"}), element=element)
    if pa.types.is_floating(kind):
        return Shape(frozenset({"number"}))
    for is_kind, name in _SCALARS:
        if is_kind(kind):
            return Shape(frozenset({name}))
    raise TypeError(str(kind))
