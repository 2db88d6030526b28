"""A hall on a lake in a directory, and pipelines made of the text of a module."""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import ModuleType

from headgate.clock import SystemClock
from headgate.engines import DuckDB
from headgate.events import Event
from headgate.names import RandomIds
from headgate.pipelines import Pipeline, collect, named
from headgate.runs import Hall, Wiring, owner_name
from headgate.sources import FileSource, Setting, Source
from headgate.sources.generators import GeneratorSource
from headgate.testing.object_places import open_or_create

_NUMBERS = count(1)

SourceMaker = Callable[[Mapping[str, object], Setting], Source]


class Workplace:
    """A lake, a hall on it, and what the listeners heard."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[Event] = []
        self.also: list[Callable[[Event], None]] = []
        self.sources: dict[str, SourceMaker] = {
            "files": FileSource,
            "generator": GeneratorSource,
        }
        self.engine = DuckDB(threads=1, temp_directory=root / "spill")
        location = root / "lake"
        self.lake = open_or_create(
            location,
            clock=SystemClock(),
            ids=RandomIds(),
            endpoint=os.environ.get("TEST_OBJECT_ENDPOINT"),
            server=os.environ.get("TEST_METASTORE_SERVER"),
        )
        self.hall = Hall(
            Wiring(
                lake=self.lake,
                engine=lambda: self.engine,
                clock=SystemClock(),
                ids=RandomIds(),
                root=root,
                cache=root / "cache",
                owner=owner_name(),
                source=lambda kind, options, setting: self.sources[kind](options, setting),
                listeners=(self.events.append, self._hear),
                turn=timedelta(seconds=1),
            ),
            evaluator="duckdb",
        )

    def pipeline(self, source: str, name: str = "p") -> Pipeline:
        """Make a pipeline of a module's text; equal text, equal code."""
        path = self.root / f"{name}_{next(_NUMBERS)}.py"
        path.write_text(source)
        module = ModuleType(path.stem)
        module.__file__ = str(path)
        sys.modules[path.stem] = module
        exec(compile(source, str(path), "exec"), module.__dict__)
        declared = collect([module], root=self.root)
        return named(name, tuple(declared.steps))

    def rows(self, table: str, ref: str = "main") -> list[dict[str, object]]:
        """Give a table's rows at a ref, sorted by all columns."""
        lake = self.lake
        entry = lake.tree(lake.resolve(ref)).get(f"table/{table}")
        if entry is None:
            raise LookupError(table)
        session = self.engine.session()
        found = session.reader(lake.tables.scan(entry)).read_all().to_pylist()
        session.close()
        return sorted(found, key=lambda row: [(v is not None, str(v)) for v in row.values()])

    def head(self, branch: str = "main") -> str:
        """Give a branch's commit id."""
        return self.lake.branch(branch).head

    def heard(self, kind: type[Event]) -> list[Event]:
        """Give the events of a kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def _hear(self, event: Event) -> None:
        for listener in self.also:
            listener(event)

    def close(self) -> None:
        """Close what is open."""
        self.engine.close()
        self.lake.close()
