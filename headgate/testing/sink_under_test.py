"""A sink that a suite looks at: where it delivers to, and how what is there is read past it."""

# ruff: noqa: D102 - pytest's fixtures

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pytest

from headgate.sinks import Setting, Sink
from headgate.testing.sink_deliveries import Row, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Somewhere rows can go.

    ``open`` makes a new sink that delivers there, ``read`` gives a table's rows as they are over
    there, in any order, past the sink; None where there is no such table. ``execute`` runs a
    statement of SQL there, past the sink; None where none is spoken.
    """

    open: Callable[[Setting], Sink]
    read: Callable[[str], Sequence[Row] | None]
    execute: Callable[[str], object] | None = None
    root: Path = field(default_factory=Path)


class SinkUnderTest(ABC):
    """A sink, and what it can. ``destination`` sets up an empty place to deliver to."""

    can_upsert = True
    can_change_columns = True

    @abstractmethod
    def destination(self, directory: Path) -> Destination:
        """Set up an empty place."""

    def shown(self, row: Row) -> Row:
        """Give a row of ``EVERY_TYPE`` as ``read`` gives it."""
        return row

    @pytest.fixture
    def there(self, tmp_path: Path) -> Destination:
        return replace(self.destination(tmp_path), root=tmp_path)

    @pytest.fixture
    def sink(self, there: Destination) -> Iterator[Sink]:
        with closing(there.open(setting(there.root))) as sink:
            yield sink

    # -- parts

    def _seen(self, row: Row, schema: pa.Schema) -> Row:
        del schema
        return self.shown(row)

    def _needs_keys(self) -> None:
        if not self.can_upsert:
            pytest.skip("the destination changes no rows")

    def _needs_columns(self) -> None:
        if not self.can_change_columns:
            pytest.skip("the destination has no columns that stay")
