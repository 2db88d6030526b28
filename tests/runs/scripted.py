"""A source that gives exactly the batches a test has written down, one after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa

from headgate.runs.arrivals import UNREAD
from headgate.sources import Batch, Cursor, Description, NativeRead, Setting

Item = pa.Table | Batch | BaseException


class Scripted:
    """Gives ``items``: tables, whole batches; an error is raised in its turn."""

    kind = "scripted"

    def __init__(self, items: Sequence[Item], hear: Callable[[str], None] = lambda _: None) -> None:
        self._items = items
        self._hear = hear

    def describe(self) -> Description:
        return Description(kind=self.kind, title="a script")

    def cursor(self, text: str) -> Cursor:
        return Cursor.parse(text, kind=self.kind)

    def fingerprint(self) -> None:
        return None

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        done = int(cursor.sequence[0]) if cursor and cursor.sequence else 0
        for number, item in enumerate(self._items[done:], start=done + 1):
            self._hear(f"read {number}")
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, Batch):
                yield item
            else:
                yield Batch(rows=item, cursor=Cursor(kind=self.kind, sequence=(number,)))

    def native(self, cursor: Cursor | None) -> NativeRead | None:
        return None

    def acknowledge(self, cursor: Cursor) -> None:
        self._hear(f"acknowledge {cursor.sequence}")

    def close(self) -> None:
        self._hear("close")


def maker(
    items: Sequence[Item], hear: Callable[[str], None] = lambda _: None
) -> Callable[[Mapping[str, object], Setting], Scripted]:
    """Give what makes such a source of a step's declaration."""
    return lambda _options, _setting: Scripted(items, hear)


def unread(*records: tuple[str, str, str]) -> pa.Table:
    """Give records that are no rows: position, text, reason."""
    return pa.Table.from_pylist(
        [{"_position": p, "_raw": r, "_column": None, "_reason": why} for p, r, why in records],
        schema=UNREAD,
    )
