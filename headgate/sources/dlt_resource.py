"""A resource of dlt as a source: its records as they are, its state as the cursor.

dlt's state is true when a resource has given its last record, and not before: an incremental's new
maximum is known before all that lies below it has come.
"""

import json as plain_json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import pyarrow as pa
from dlt.common.configuration.container import Container
from dlt.common.json import json
from dlt.common.pipeline import StateInjectableContext

from headgate.errors import Invalid
from headgate.secrets import Secret
from headgate.source_columns import RECORD
from headgate.sources.cursors import Cursor
from headgate.sources.generators import tables_of
from headgate.sources.record_texts import record_text
from headgate.sources.source import Batch, Description, NativeRead, Setting

BATCH_ROWS: Final = 10_000


class DltSource:
    """Rows that a resource of dlt gives.

    Options: ``read`` (gives the resource, or what makes one), ``title``, ``resource`` (its name
    within a dlt source), ``arguments`` (for a resource that asks for some; may hold secrets).
    """

    kind = "dlt"

    def __init__(self, options: Mapping[str, object], setting: Setting) -> None:
        self._give = cast("Callable[[object], object]", options["read"])
        self._title = str(options.get("title", "a dlt resource"))
        self._name = options.get("resource")
        self._arguments = cast("Mapping[str, object]", options.get("arguments") or {})
        self._setting = setting

    def describe(self) -> Description:
        """Name the resource. No I/O."""
        return Description(kind=self.kind, title=self._title)

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor: how many states were taken, and the last one."""
        found = Cursor.parse(text, kind=self.kind)
        if found.sequence is None or [type(each) for each in found.sequence] != [int, str]:
            raise Invalid("bad-cursor", f"This is no cursor of a dlt resource: {text[:80]!r}.")
        return found

    def fingerprint(self) -> str | None:
        """Know nothing without reading."""
        return None

    def native(self, cursor: Cursor | None) -> NativeRead | None:
        """Give no files."""
        del cursor
        return None

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: a resource sees its state when it is iterated again."""

    def close(self) -> None:
        """Do nothing: an iterator is closed with its reading."""

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Iterate the resource with the state of a cursor; the last batch has the new state.

        Raises:
            Invalid: ``cursor-missing``: rows would be appended again; ``source-gave-no-rows``,
            ``not-a-dlt-resource``. Whatever the resource raises.
        """
        state = _state(cursor)
        container = Container()
        with container.injectable_context(StateInjectableContext(state=state)):
            items = iter(self._resource())  # it holds on to the state
        last: pa.Table | None = None
        try:
            for table in self._tables(items):
                if last is not None:
                    yield Batch(rows=last, cursor=cursor)
                last = table
        finally:
            if hasattr(items, "close"):
                items.close()
        after = _after(cursor, state)
        if last is None:
            if after is not cursor:  # nothing but the state has changed
                yield Batch(rows=_records([]), cursor=after)
            return
        if after is None and self._setting.appends:
            raise Invalid(
                "cursor-missing",
                f"{self._title} gave rows and keeps no state: the next run would append them "
                "again.",
                hint='Read on by dlt.sources.incremental(...), or say  mode="replace"',
                source=self._title,
            )
        yield Batch(rows=last, cursor=after)

    # -- parts

    def _resource(self) -> Any:  # noqa: ANN401 - dlt's
        """Give the resource, with its arguments.

        Raises:
            Invalid: ``not-a-dlt-resource``.
        """
        arguments = {
            name: self._setting.reveal(value) if isinstance(value, Secret) else value
            for name, value in self._arguments.items()
        }
        found: Any = self._give(None)
        if callable(found) and (arguments or not hasattr(found, "write_disposition")):
            found = found(**arguments)
        if hasattr(found, "resources"):
            found = found.resources.get(str(self._name)) if self._name else _only(found)
        if found is None or not hasattr(found, "write_disposition"):
            raise Invalid(
                "not-a-dlt-resource",
                f"{self._title} is no resource of dlt.",
                hint="Give hg.dlt what @dlt.resource made; of a source one of its resources, "
                'resource="name".',
                source=self._title,
            )
        return found

    def _tables(self, items: Iterator[Any]) -> Iterator[pa.Table]:
        """Gather records; a table of any library is one by itself."""
        gathered: list[bytes] = []
        for item in items:
            if isinstance(item, Mapping):
                gathered.append(self._text(item))
                if len(gathered) >= BATCH_ROWS:
                    yield _records(gathered)
                    gathered = []
                continue
            if hasattr(item, "model_dump"):
                gathered.append(self._text(item.model_dump()))
                continue
            tables = tables_of(item)
            if tables is None:
                raise Invalid(
                    "source-gave-no-rows",
                    f"{self._title} gave {type(item).__qualname__}; rows are dicts, Arrow, pandas "
                    "or Polars tables.",
                    hint="Yield dicts.",
                    source=self._title,
                )
            if gathered:
                yield _records(gathered)
                gathered = []
            yield from tables
        if gathered:
            yield _records(gathered)

    def _text(self, record: Mapping[str, object]) -> bytes:
        try:
            return record_text(record)
        except TypeError as error:
            raise Invalid(
                "source-gave-no-rows",
                f"{self._title} gave a record that cannot be kept: {error}.",
                hint="Yield numbers, texts, dates, lists and dicts.",
                source=self._title,
            ) from error


def _records(texts: Sequence[bytes]) -> pa.Table:
    return pa.table([pa.array(texts, pa.binary()).cast(pa.string())], names=[RECORD])


def _only(source: Any) -> Any:  # noqa: ANN401
    names = list(source.resources)
    return source.resources[names[0]] if len(names) == 1 else None


def _state(cursor: Cursor | None) -> Any:  # noqa: ANN401 - dlt's own
    if cursor is None or cursor.sequence is None:
        return {}
    return json.typed_loads(str(cursor.sequence[1]))


def _after(cursor: Cursor | None, state: object) -> Cursor | None:
    """Give the cursor of a state, the one before where it is the same."""
    text = plain_json.dumps(plain_json.loads(json.typed_dumps(state)), sort_keys=True)
    if not _is_held(state):
        return cursor
    number = 0
    if cursor is not None and cursor.sequence is not None:
        if cursor.sequence[1] == text:
            return cursor
        number = int(cursor.sequence[0])
    return Cursor(kind=DltSource.kind, sequence=(number + 1, text))


def _is_held(state: object) -> bool:
    """Whether anything is kept: dlt makes empty places for it."""
    if isinstance(state, Mapping):
        return any(_is_held(inner) for inner in state.values())
    return state is not None
