"""Finding the rows that go: in every data file of some tables, and in their quarantine."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from headgate.engines import Session, Sql
from headgate.filesets import DataFile
from headgate.lake import Column, RowGroup, Tables
from headgate.names import quote

_ROWS = "_hg_rows"
_POSITION = "_hg_position"
_SHORTEST = 3
"""Texts below this length tell nobody apart; they are not struck out of other texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which rows go: a SQL condition, the columns it looks at, the texts and numbers it names."""

    text: str
    columns: tuple[str, ...]
    literals: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Found:
    """What was found and done so far; files that were looked at are not looked at again.

    ``exchange`` maps each file that held such rows to what took its place, ``lost`` to how many.
    ``words`` are texts of those rows, ``keys`` their key values by table uuid.
    """

    exchange: dict[str, DataFile | None] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    keys: dict[str, set[tuple[object, ...]]] = field(default_factory=dict)
    looked_at: set[str] = field(default_factory=set)
    later: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A table whose files are looked through: its columns now, the key of its rows.

    ``types`` are those of the columns that a payload has as text; only a quarantine has them.
    """

    table: str
    uuid: str
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...] = ()
    types: Mapping[str, str] | None = None

    @property
    def is_quarantine(self) -> bool:
        """Whether its rows hold the payloads of others."""
        return self.types is not None


_Which: TypeAlias = Callable[[Searched, RowGroup], pa.Array]
"""Gives the positions of the rows of a row group that go."""


class RowSearch:
    """Looks through data files, and writes those that hold such rows again without them.

    With ``only_look`` nothing is written.
    """

    def __init__(
        self, tables: Tables, session: Session, condition: Condition, *, only_look: bool
    ) -> None:
        self._tables = tables
        self._session = session
        self._condition = condition
        self._only_look = only_look
        self.found = Found()

    def look_through(self, searched: Searched, files: Iterable[tuple[str, int]]) -> None:
        """Look through files (path, bytes) of a table."""
        for path, size in files:
            if path in self.found.looked_at:
                continue
            self.found.looked_at.add(path)
            if searched.is_quarantine:
                self._replace(searched, path, size, self._payloads)
            elif self._lacks_columns(searched, path):
                self.found.later.setdefault(searched.uuid, []).append(path)
            else:
                self._replace(searched, path, size, self._matching, self._condition.columns)

    def look_by_key(self, searched: Searched, sizes: Mapping[str, int]) -> None:
        """Look through the files that lack the condition's columns, by the keys that were found."""
        keys = self.found.keys.get(searched.uuid, set())
        for path in self.found.later.pop(searched.uuid, []):
            if keys and searched.key_columns:
                self._replace(searched, path, sizes.get(path, 0), self._of_keys)

    def forget_shared_words(self, searched: Searched, paths: Iterable[str]) -> None:
        """Keep of the words only those that no row has that stays."""
        for path in paths:
            if not self.found.words:
                return
            with closing(self._tables.stored_rows(path, searched.columns)) as stored:
                for group in stored.groups():
                    known = pa.array(sorted(self.found.words), pa.string())
                    for column in _texts(group.rows):
                        hit = pc.filter(column, pc.is_in(column, value_set=known))
                        self.found.words -= set(pc.unique(hit).to_pylist())

    # -- which rows

    def _lacks_columns(self, searched: Searched, path: str) -> bool:
        with closing(self._tables.stored_rows(path, searched.columns)) as stored:
            return not set(self._condition.columns) <= stored.names.keys()

    def _matching(self, searched: Searched, group: RowGroup) -> pa.Array:
        del searched
        rows = group.rows.select([group.names[name] for name in self._condition.columns])
        rows = rows.rename_columns(list(self._condition.columns))
        return self._positions(rows, self._condition.text)

    def _of_keys(self, searched: Searched, group: RowGroup) -> pa.Array:
        keys = self.found.keys[searched.uuid]
        if not set(searched.key_columns) <= group.names.keys():
            return pa.array([], pa.int64())
        columns = [group.rows[group.names[name]].to_pylist() for name in searched.key_columns]
        found = [i for i, key in enumerate(zip(*columns, strict=True)) if key in keys]
        return pa.array(found, pa.int64())

    def _payloads(self, searched: Searched, group: RowGroup) -> pa.Array:
        """Find rejected rows by the fields of their payload; else by what the payload names."""
        texts = group.rows[group.names["payload"]].to_pylist()
        fields = [_fields(text) for text in texts]
        readable = [
            i for i, each in enumerate(fields) if set(self._condition.columns) <= each.keys()
        ]
        types = searched.types or {}
        raw = pa.table(
            {
                name: pa.array([fields[i][name] for i in readable], pa.string())
                for name in self._condition.columns
            }
        )
        cast = ", ".join(
            f"try_cast({quote(name)} as {_SQL_TYPES.get(types.get(name, ''), 'varchar')})"
            f" as {quote(name)}"
            for name in self._condition.columns
        )
        hit = self._positions(raw, self._condition.text, cast=cast).to_pylist()
        found = {readable[i] for i in hit}
        named = (*self.found.words, *self._condition.literals)
        for i in set(range(len(texts))) - set(readable):
            if any(_names(texts[i] or "", each) for each in named):
                found.add(i)
        found |= {i for i, text in enumerate(texts) if any(w in text for w in self.found.words)}
        return pa.array(sorted(found), pa.int64())

    def _positions(self, rows: pa.Table, condition: str, *, cast: str = "*") -> pa.Array:
        if not rows.num_rows:
            return pa.array([], pa.int64())
        shown = cast if cast == "*" else f"{cast}, {_POSITION}"
        numbered = rows.append_column(_POSITION, pa.array(range(rows.num_rows), pa.int64()))
        self._session.bind({_ROWS: numbered})
        query = f"select {_POSITION} from (select {shown} from {_ROWS}) where ({condition})"
        found = self._session.reader(Sql(text=query)).read_all()
        return found[_POSITION].combine_chunks()

    # -- writing

    def _replace(
        self,
        searched: Searched,
        path: str,
        size: int,
        which: _Which,
        only: Sequence[str] | None = None,
    ) -> None:
        gone: dict[int, pa.Array] = {}
        with closing(self._tables.stored_rows(path, searched.columns)) as stored:
            for group in stored.groups(only):
                positions = which(searched, group)
                if not len(positions):
                    continue
                gone[group.number] = positions
                whole = group if only is None else stored.group(group.number)
                self._remember(searched, whole, whole.rows.take(positions))
            if not gone:
                return
            count = self.found.lost[path] = sum(map(len, gone.values()))
            self.found.rows[searched.table] = self.found.rows.get(searched.table, 0) + count
            self.found.bytes[searched.table] = self.found.bytes.get(searched.table, 0) + size
            if self._only_look:
                self.found.exchange[path] = None
                return
            content, _ = stored.without(gone)
        made = self._tables.put_instead(path, content) if content is not None else None
        self.found.exchange[path] = made
        if made is not None:
            self.found.looked_at.add(made.path)

    def _remember(self, searched: Searched, group: RowGroup, rows: pa.Table) -> None:
        """Keep the texts and the keys of rows that go."""
        if searched.is_quarantine:
            return
        for column in _texts(rows):
            self.found.words |= {t for t in column.to_pylist() if t and len(t) >= _SHORTEST}
        if searched.key_columns and set(searched.key_columns) <= group.names.keys():
            columns = [rows[group.names[name]].to_pylist() for name in searched.key_columns]
            known = self.found.keys.setdefault(searched.uuid, set())
            known.update(zip(*columns, strict=True))


_SQL_TYPES = {
    "int": "integer",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}


def _texts(rows: pa.Table) -> Sequence[pa.ChunkedArray]:
    return [
        column
        for column, field_ in zip(rows.columns, rows.schema, strict=True)
        if pa.types.is_string(field_.type) or pa.types.is_large_string(field_.type)
    ]


def _fields(text: str | None) -> Mapping[str, str | None]:
    """Give a payload's fields as texts; none where it is no row."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: value if isinstance(value, str | None) else json.dumps(value)
        for name, value in found.items()
    }


def _names(text: str, word: str) -> bool:
    """Whether a text names a word: not as part of a longer word or number."""
    at = text.find(word)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        at = text.find(word, at + 1)
    return False
