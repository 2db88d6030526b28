"""Typed batches as one stream: columns united by name, types by what holds every value of both.

Rows flow into the engine as they come. A later batch may bring a column, or a type, that nobody
knew when the stream began; what has flowed is therefore kept on disk, too, and flows once more
under all of the columns. Short streams never get there: they are united in memory. Nor do those
whose source says that all of its batches have the same columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

import pyarrow as pa
from pyarrow import types

from headgate import source_columns
from headgate.errors import Internal, Invalid
from headgate.runs.spool import Spool
from headgate.sources import Batch
from headgate.type_words import type_words

HEAD_BYTES: Final = 32 * 1024 * 1024
"""So much is looked at before anything flows."""


class ColumnsGrew(Exception):  # noqa: N818 - a signal, not an error
    """A batch does not fit the columns that the stream began with: ask for the rows again."""


class Batches(Protocol):
    """Batches to be taken once: arrivals, or a part of them."""

    @property
    def batches(self) -> int:
        """How many were taken."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """Give those that were not taken yet."""
        ...

    def spool(self) -> Spool:
        """Give a place on disk."""
        ...


class TypedRows:
    """The typed rows of arrivals. Close it.

    ``rows()`` gives them, and is asked again where ``raised``, what came out of the stream while it
    flowed, is ``ColumnsGrew``: who pulls a stream may pass on no more than an error's text.
    """

    def __init__(self, arrivals: Batches) -> None:
        self._arrivals = arrivals
        self._batches = iter(arrivals)
        self._columns = Columns()
        self._head: list[pa.Table] = []
        self._spool: Spool | None = None
        self._flowed = False
        self._begun = False
        self._same: pa.Schema | None = None
        self.raised: BaseException | None = None

    def rows(self) -> pa.Table | pa.RecordBatchReader:
        """Give all rows, from the first one on, in memory where they are few.

        Raises:
            Internal: ``columns-not-the-same``, also while they flow.
        """
        self.raised = None
        if self._flowed:
            return self._again()
        self._flowed = True
        size = 0
        for batch in self._batches:
            table = self._noted(batch)
            self._head.append(table)
            size += table.nbytes
            if size > HEAD_BYTES:
                return self._flowing()
        schema = self._columns.schema()
        return pa.concat_tables(
            [self._fitted(t, schema) for t in self._head] or [schema.empty_table()]
        )

    @property
    def layouts(self) -> Mapping[tuple[str, ...], str]:
        """Which columns batches had, with the place of the first that had just these."""
        return self._columns.layouts

    def close(self) -> None:
        """Free the disk."""
        if self._spool is not None:
            self._spool.close()

    def _noted(self, batch: Batch) -> pa.Table:
        table, number = batch.rows, self._arrivals.batches
        self._columns.add(table.schema, number, _position(table))
        if batch.same_columns and not self._begun:
            self._same = self._columns.schema()
        self._begun = True
        if self._same is not None and not self._columns.schema().equals(self._same):
            raise Internal(
                "columns-not-the-same",
                "A source said that all of its batches have the same columns, and by batch "
                f"{number} they had not.",
                hint="Nothing was published. Please report this with the source's kind.",
                batch=number,
            )
        return table

    def _flowing(self) -> pa.RecordBatchReader:
        """Give what was looked at and what follows; keep all of it that may flow again."""
        schema = self._columns.schema()

        def stream() -> Iterator[pa.RecordBatch]:
            for table in self._head:
                self._keep(table)
                yield from self._fitted(table, schema).to_batches()
            self._head.clear()
            for batch in self._batches:
                table = self._noted(batch)
                self._keep(table)
                if not self._columns.schema().equals(schema):
                    raise ColumnsGrew
                yield from self._fitted(table, schema).to_batches()

        return pa.RecordBatchReader.from_batches(schema, self._remembering(stream()))

    def _again(self) -> pa.RecordBatchReader:
        """Give what was kept under the columns of all: of what has not arrived yet, too."""
        spool = self._spool = self._spool or self._arrivals.spool()
        for batch in self._batches:
            spool.add(self._noted(batch))
        schema = self._columns.schema()
        tables = (self._fitted(table, schema) for table in spool.batches())
        batches = (batch for table in tables for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(schema, self._remembering(batches))

    def _keep(self, table: pa.Table) -> None:
        if self._same is None:
            self._spool = self._spool or self._arrivals.spool()
            self._spool.add(table)

    def _remembering(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except BaseException as error:
            self.raised = error
            raise

    def _fitted(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        if table.schema.equals(schema):
            return table
        columns = []
        for field in schema:
            if field.name not in table.column_names:
                columns.append(pa.nulls(table.num_rows, field.type))
                continue
            column = table.column(field.name)
            try:
                columns.append(column.cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise Invalid(
                    "columns-differ",
                    f"{field.name!r} is {type_words(field.type)} in some batches of the source, "
                    f"which cannot hold every value of {type_words(column.type)} in others"
                    f"{_place(table)}.",
                    hint="Give the column one type in all batches.",
                    column=field.name,
                ) from error
        return pa.table(columns, schema=schema)


class Columns:
    """The columns of all batches seen: each with a type that can hold all of its values."""

    def __init__(self) -> None:
        self._types: dict[str, pa.DataType] = {}
        self._seen: dict[str, str] = {}
        self._last: pa.Schema | None = None
        self.layouts: dict[tuple[str, ...], str] = {}

    def add(self, schema: pa.Schema, batch: int, position: str | None = None) -> None:
        """Take the columns of a batch (its number, from 1, and where it begins).

        Raises:
            Invalid: ``columns-differ``: no type holds what two batches have under one name.
        """
        if self._last is not None and schema.equals(self._last):
            return
        place = f"batch {batch}" + (f" ({position})" if position else "")
        if schema.names:
            self.layouts.setdefault(tuple(schema.names), position or place)
        for field in schema:
            known = self._types.get(field.name)
            wider = field.type if known is None else united(known, field.type)
            if wider is None:
                raise Invalid(
                    "columns-differ",
                    f"{field.name!r} is {type_words(known)} in {self._seen[field.name]} and "
                    f"{type_words(field.type)} in {place}.",
                    hint="Give the column one type in all batches.",
                    column=field.name,
                )
            if wider != known:
                self._types[field.name] = wider
                self._seen[field.name] = place
        self._last = schema

    def schema(self) -> pa.Schema:
        """Give the columns in the order in which they were first seen."""
        return pa.schema(list(self._types.items()))


def united(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:  # noqa: PLR0911 - a table
    """Give the type that holds the values of both, as Parquet files of one read are united.

    Whole numbers grow, also into floating-point ones and decimals, whose values are then checked
    one by one; nothing becomes text. None where there is no such type.
    """
    if one == two or types.is_null(two):
        return one
    if types.is_null(one):
        return two
    one, two = _plain(one), _plain(two)
    if one == two:
        return one
    if types.is_nested(one) or types.is_nested(two):
        return _nested(one, two)
    for is_kind in (types.is_timestamp, _is_day, types.is_time, types.is_duration):
        if is_kind(one) and is_kind(two):
            return _finer(one, two)
    if _is_number(one) and _is_number(two):
        return _number(one, two)
    return None


def _plain(kind: pa.DataType) -> pa.DataType:
    """Give a type without what is only about how its values lie in memory."""
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if (
        types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    ):
        return pa.binary()
    if types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(kind.value_type)
    return kind


def _is_number(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _is_day(kind: pa.DataType) -> bool:
    return bool(types.is_date(kind))


def _number(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    if types.is_floating(one) or types.is_floating(two):
        if types.is_decimal(one) or types.is_decimal(two):
            return None
        return pa.float64()
    if types.is_integer(one) and types.is_integer(two):
        signed = [_signed_bits(kind) for kind in (one, two)]
        if types.is_unsigned_integer(one) and types.is_unsigned_integer(two):
            return one if one.bit_width >= two.bit_width else two
        bits = max(signed)
        return {8: pa.int8(), 16: pa.int16(), 32: pa.int32()}.get(bits, pa.int64())
    places = max(_digits(one)[1], _digits(two)[1])
    whole = max(_digits(one)[0], _digits(two)[0])
    widest = 38
    return pa.decimal128(whole + places, places) if whole + places <= widest else None


def _signed_bits(kind: pa.DataType) -> int:
    return int(kind.bit_width) * (2 if types.is_unsigned_integer(kind) else 1)


def _digits(kind: pa.DataType) -> tuple[int, int]:
    """Give how many digits a number has before and after its point."""
    if types.is_decimal(kind):
        return kind.precision - kind.scale, kind.scale
    return {8: 3, 16: 5, 32: 10, 64: 20}[kind.bit_width], 0  # 20: of an unsigned one


def _finer(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    if _is_day(one):
        return pa.date32()
    if types.is_timestamp(one) and (one.tz is None) != (two.tz is None):
        return None
    order = ("s", "ms", "us", "ns")
    finer = one if order.index(one.unit) >= order.index(two.unit) else two
    if types.is_timestamp(one) and one.tz != two.tz:
        return pa.timestamp(finer.unit, "UTC")
    return finer


def _nested(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    if types.is_list(one) and types.is_list(two):
        inner = united(one.value_type, two.value_type)
        return pa.list_(inner) if inner is not None else None
    if types.is_struct(one) and types.is_struct(two):
        return _struct([*one], [*two])
    return None


def _struct(one: Sequence[pa.Field], two: Sequence[pa.Field]) -> pa.DataType | None:
    fields = {field.name: field.type for field in one}
    for field in two:
        inner = united(fields.get(field.name, pa.null()), field.type)
        if inner is None:
            return None
        fields[field.name] = inner
    return pa.struct(list(fields.items()))


def _position(table: pa.Table) -> str | None:
    """Say where a batch's first row stands, if its source says so."""
    if source_columns.POSITION not in table.column_names or not table.num_rows:
        return None
    position = table.column(source_columns.POSITION)[0].as_py()
    return str(position) if position is not None else None


def _place(table: pa.Table) -> str:
    position = _position(table)
    return f" ({position})" if position else ""
