"""Deliveries of rows at hand, as a lake would make them, and rows that are hard to deliver."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from headgate.clock import ManualClock
from headgate.sinks import Delivery, Effect, Position, Setting, TableDelivery

Row: TypeAlias = Mapping[str, object]

LAKE = "00000000-0000-0000-0000-00000000000a"
OTHER_LAKE = "00000000-0000-0000-0000-00000000000b"

SMALL = pa.schema([("id", pa.int64()), ("name", pa.string())])

EVERY_TYPE = pa.schema(
    [
        ("id", pa.int64()),
        ("a_boolean", pa.bool_()),
        ("an_int", pa.int32()),
        ("a_float", pa.float32()),
        ("a_double", pa.float64()),
        ("a_decimal", pa.decimal128(30, 10)),
        ("a_wide_decimal", pa.decimal128(38, 0)),
        ("a_string", pa.string()),
        ("a_binary", pa.binary()),
        ("a_fixed", pa.binary(3)),
        ("a_date", pa.date32()),
        ("a_time", pa.time64("us")),
        ("a_timestamp", pa.timestamp("us")),
        ("an_instant", pa.timestamp("us", tz="UTC")),
        ("a_uuid", pa.uuid()),
        ("a_list", pa.list_(pa.int64())),
        ("a_list_of_texts", pa.list_(pa.string())),
        ("a_struct", pa.struct([("city", pa.string()), ("size", pa.decimal128(9, 2))])),
        ("a_list_of_structs", pa.list_(pa.struct([("n", pa.int32())]))),
        ("a_map", pa.map_(pa.string(), pa.float64())),
    ]
)

TEXTS = (
    "",
    " ",
    "NULL",
    "\\N",
    "\\.",
    'it\'s "quoted"',
    "a,b;c\td",
    "line\nbreak\r\nand\rmore",
    "back\\slash \\' \\\\",
    "ünïcödé 漢字 🚀",
    "{1,2}",
    "%s %(x)s ? :name $1",
    "007",
    "1e5",
    "trailing  ",
)


def every_row(number: int, text: str) -> Row:
    """Give a row with a value in every column of ``EVERY_TYPE``."""
    return {
        "id": number,
        "a_boolean": number % 2 == 0,
        "an_int": -(2**31) + number,
        "a_float": 0.10000000149011612 if number % 2 else 16777216.0,
        "a_double": 0.1 + number,
        "a_decimal": Decimal(f"123456789012345678{number % 10}.0123456789"),
        "a_wide_decimal": Decimal(10**38 - 1 - number),
        "a_string": text,
        "a_binary": bytes([0, 255, 39, 92, number % 256]),
        "a_fixed": bytes([0, 1, number % 256]),
        "a_date": date(1, 1, 1) if number % 2 else date(9999, 12, 31),
        "a_time": time(23, 59, 59, 999999),
        "a_timestamp": datetime(1969, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001 - without a zone
        "an_instant": datetime(2038, 1, 19, 3, 14, 8, number, tzinfo=UTC),
        "a_uuid": uuid.UUID(int=number * 10**30),
        "a_list": [1, None, 2**62],
        "a_list_of_texts": [text, None, 'a "b", {c}'],
        "a_struct": {"city": text, "size": Decimal("1.10")},
        "a_list_of_structs": [{"n": 1}, {"n": None}],
        "a_map": [("a", 1.5), ("b", None)],
    }


def setting(root: Path, *, name: str = "warehouse", lake: str = LAKE) -> Setting:
    """Give what a sink is given beside its options."""
    return Setting(name=name, lake=lake, root=root, cache=root / "cache", clock=ManualClock())


def rows_delivery(
    rows: Iterable[Row],
    *,
    schema: pa.Schema = SMALL,
    effect: Effect = "insert",
    table: str = "delays",
    to: str | None = None,
    key: Sequence[str] = (),
    deleted: Iterable[Row] | None = None,
    whole: bool = False,
    gone: Sequence[str] = (),
    new: Sequence[str] = (),
) -> TableDelivery:
    """Give a table's delivery of rows at hand, in batches of two."""
    held = pa.Table.from_pylist(list(rows), schema=schema)
    keys = pa.schema([schema.field(name) for name in key])
    away = None if deleted is None else pa.Table.from_pylist(list(deleted), schema=keys)
    return TableDelivery(
        table=table,
        to=to or table,
        effect=effect,
        schema=schema,
        rows=lambda: held.to_reader(2),
        key=tuple(key),
        deleted=None if away is None else lambda: away.to_reader(2),
        whole=whole,
        gone=tuple(gone),
        new=tuple(new),
    )


class Deliveries:
    """Deliveries that follow each other, as a lake would make them."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.at: Position | None = None

    def next(self, *tables: TableDelivery) -> Delivery:
        """Give the next commit's delivery; taken to be delivered."""
        number = next(self._numbers)
        has = dict(self.at.tables if self.at else ())
        for each in tables:
            if each.effect == "drop":
                has.pop(each.table, None)
            else:
                has[each.table] = each.to
        position = Position(commit=f"{number:040x}", number=number, tables=tuple(has.items()))
        delivery = Delivery(
            position=position,
            after=self.at,
            published=datetime(2026, 1, 1, tzinfo=UTC),
            branch="main",
            tables=tables,
        )
        self.at = position
        return delivery


def sorted_rows(rows: Iterable[Row] | None) -> list[Row] | None:
    """Give rows in an order of their own, for comparisons."""
    return None if rows is None else sorted(rows, key=lambda row: repr(sorted(row.items())))


def different(seen: Row, meant: Row) -> dict[str, tuple[object, object]]:
    """Give the columns whose values differ, with both."""
    names = {**seen, **meant}
    return {
        name: (seen.get(name, "absent"), meant.get(name, "absent"))
        for name in names
        if name not in seen or name not in meant or seen[name] != meant[name]
    }


def in_json(value: object) -> object:
    """Give a nested value as it comes out of JSON."""
    if isinstance(value, list):
        if value and isinstance(value[0], tuple):
            return {key: in_json(item) for key, item in value}
        return [in_json(each) for each in value]
    if isinstance(value, dict):
        return {name: in_json(each) for name, each in value.items()}
    return float(value) if isinstance(value, Decimal) else value
