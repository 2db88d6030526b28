"""What a commit is as messages: numbered parts of bounded size, each time the same."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import quote

import msgspec

from headgate.sinks.sink import Delivery, Reader, Setting, TableDelivery
from headgate.sinks.values_as_text import json_texts

TYPE = "headgate.commit"
"""The messages' ``type``."""

_Kind: TypeAlias = Literal["begin", "rows", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A message of a commit: ``number`` counts from 1, ``rows`` and deleted keys by table."""

    number: int
    body: bytes
    rows: Mapping[str, int]


class _Slice(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A table's share of a part."""

    table: str
    to: str
    effect: str
    begins: bool = False
    whole: bool = False
    key: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    columns: list[dict[str, str]] = []
    rows: list[msgspec.Raw] = []
    deleted: list[msgspec.Raw] = []


def message_id(delivery: Delivery, setting: Setting, number: int) -> str:
    """Give a message's id: another commit, sink or part has another, a repetition the same."""
    sink = quote(setting.name, safe="").replace(".", "%2E")
    return f"{setting.lake}_{sink}_{delivery.position.commit}_{number}"


def parts(
    delivery: Delivery, setting: Setting, *, most_rows: int, most_bytes: int
) -> Iterator[Part]:
    """Divide a commit. A part has as many rows and bytes of JSON as are allowed, or one row."""
    number = 1
    slices: list[_Slice] = []
    rows = size = 0
    for table, kind, raw in _pieces(delivery.tables):
        full = rows >= most_rows or (rows and size + len(raw) > most_bytes)
        if full and kind != "begin":
            yield _part(delivery, setting, number, slices, last=False)
            number, slices, rows, size = number + 1, [], 0, 0
        if kind == "begin" or not slices:
            slices.append(_slice(table, begins=kind == "begin"))
        if kind != "begin":
            chosen = slices[-1].rows if kind == "rows" else slices[-1].deleted
            chosen.append(msgspec.Raw(raw))
            rows, size = rows + 1, size + len(raw)
    if slices:
        yield _part(delivery, setting, number, slices, last=True)


def _pieces(tables: Iterable[TableDelivery]) -> Iterator[tuple[TableDelivery, _Kind, bytes]]:
    """Give all there is to say, piece by piece: that a table begins, its rows, its deleted keys."""
    for table in tables:
        yield table, "begin", b""
        if table.deleted is not None:
            for raw in _rows(table.deleted, table.table):
                yield table, "deleted", raw
        if table.effect != "drop":
            for raw in _rows(table.rows, table.table):
                yield table, "rows", raw


def _rows(reader: Reader, table: str) -> Iterator[bytes]:
    with closing(reader()) as batches:
        for batch in batches:
            for text in json_texts(batch.to_struct_array(), table).to_pylist():
                yield text.encode()


def _slice(table: TableDelivery, *, begins: bool) -> _Slice:
    """Give a table's share, still empty; what holds for all of its rows is said where it begins."""
    columns = [{"name": each.name, "type": str(each.type)} for each in table.schema]
    return _Slice(
        table=table.table,
        to=table.to,
        effect=table.effect,
        begins=begins,
        whole=table.whole,
        key=table.key,
        gone=table.gone if begins else (),
        columns=columns if begins else [],
        rows=[],
        deleted=[],
    )


def _part(
    delivery: Delivery,
    setting: Setting,
    number: int,
    slices: list[_Slice],
    *,
    last: bool,
) -> Part:
    body = {
        "type": TYPE,
        "timestamp": delivery.published,
        "data": {
            "lake": setting.lake,
            "sink": setting.name,
            "branch": delivery.branch,
            "run": delivery.run,
            "commit": delivery.position.commit,
            "number": delivery.position.number,
            "after": delivery.after.commit if delivery.after else None,
            "part": number,
            "last": last,
            "tables": slices,
        },
    }
    rows = {each.table: len(each.rows) + len(each.deleted) for each in slices}
    return Part(number=number, body=msgspec.json.encode(body), rows=rows)
