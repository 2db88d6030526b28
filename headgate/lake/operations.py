"""What a run did to a key: operations, recorded so that they can be applied again to another base.

Operations are stored in commits, therefore they are msgspec structs (a tag and a codec for free),
not dataclasses. Only a ``Replace`` may be carried over by pointer; every other operation is applied
again to the table at its new base (SEMANTICS: re-execution).
"""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from headgate.filesets import DataFile

Scalar: TypeAlias = int | float | str | bool | None


class Range(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The closed range of one column's values that was touched; None is unbounded."""

    low: Scalar = None
    high: Scalar = None


Footprint: TypeAlias = Mapping[str, Range]
"""Rows whose every named column lies in its range; the empty mapping means the whole table."""


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A column as the lake allocated it.

    ``type`` is Iceberg's text of it: ``long``, ``decimal(9, 2)``.
    """

    name: str
    type: str
    id: int


class Create(msgspec.Struct, frozen=True, kw_only=True, tag="create", omit_defaults=True):
    """A new table; a table created again under an old name is another table (another uuid)."""

    uuid: str
    partition: tuple[str, ...] = ()


class Drop(msgspec.Struct, frozen=True, kw_only=True, tag="drop", omit_defaults=True):
    """The table is gone."""


class Rename(msgspec.Struct, frozen=True, kw_only=True, tag="rename", omit_defaults=True):
    """The table moved to another name; recorded under the old key."""

    to: str


class Append(msgspec.Struct, frozen=True, kw_only=True, tag="append", omit_defaults=True):
    """Rows were added. ``key_columns`` is set where the table's rows are known by a key.

    ``sort_by`` sets what the table is sorted by, from now on; empty, it leaves that as it is.
    """

    files: tuple[DataFile, ...]
    key_columns: tuple[str, ...] = ()
    footprint: Footprint = {}
    sort_by: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows were added."""
        return sum(file.rows for file in self.files)


class Upsert(msgspec.Struct, frozen=True, kw_only=True, tag="upsert", omit_defaults=True):
    """Rows replaced those of equal key, or were added. ``files`` holds the staged input rows.

    ``columns`` names what is set: in rows it hits, the table's other columns stay, also those that
    were added after the upsert was recorded. None sets every column there is. ``sort_by`` is as in
    ``Append``.
    """

    key_columns: tuple[str, ...]
    files: tuple[DataFile, ...]
    columns: tuple[str, ...] | None = None
    footprint: Footprint = {}
    sort_by: tuple[str, ...] = ()


class Replace(msgspec.Struct, frozen=True, kw_only=True, tag="replace", omit_defaults=True):
    """The table became exactly these rows under exactly this schema, sorted by exactly this."""

    files: tuple[DataFile, ...]
    schema: tuple[Column, ...]
    sort_by: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows the table has now."""
        return sum(file.rows for file in self.files)


class Delete(msgspec.Struct, frozen=True, kw_only=True, tag="delete", omit_defaults=True):
    """Rows for which the SQL predicate is true went away.

    ``looks_at`` names the columns read from other tables or rows (a data-dependent predicate is a
    read). ``files`` holds staged keys, where deletion was by key: then ``key_columns`` is set and
    ``predicate`` empty.
    """

    predicate: str = ""
    key_columns: tuple[str, ...] = ()
    files: tuple[DataFile, ...] = ()
    footprint: Footprint = {}


class AddColumn(msgspec.Struct, frozen=True, kw_only=True, tag="add-column", omit_defaults=True):
    """A column was added; older rows read as NULL."""

    column: Column


class ChangeSchema(
    msgspec.Struct, frozen=True, kw_only=True, tag="change-schema", omit_defaults=True
):
    """Any schema change but an addition: drop, rename, widen.

    ``columns`` is the whole new schema.
    """

    columns: tuple[Column, ...]
    what: str


class SetProperties(
    msgspec.Struct, frozen=True, kw_only=True, tag="set-properties", omit_defaults=True
):
    """What is said of the table beside its rows was changed; the content id stays.

    ``sort_by`` is what it is sorted by from now on; None leaves that as it is.
    """

    updates: dict[str, str] = {}
    removals: tuple[str, ...] = ()
    sort_by: tuple[str, ...] | None = None


class Rewrite(msgspec.Struct, frozen=True, kw_only=True, tag="rewrite", omit_defaults=True):
    """Files were exchanged for others with the same rows (compaction); the content id stays."""

    removed: tuple[str, ...]
    added: tuple[DataFile, ...]


class Restore(msgspec.Struct, frozen=True, kw_only=True, tag="restore", omit_defaults=True):
    """A revert set the key back to what it was at a commit; a barrier.

    Open runs that read or wrote the key execute again (SEMANTICS 8).
    """

    commit: str


class Put(msgspec.Struct, frozen=True, kw_only=True, tag="put", omit_defaults=True):
    """A key that is no table was set to this content, or removed."""

    content: str | None


Operation: TypeAlias = (
    Create
    | Drop
    | Rename
    | Append
    | Upsert
    | Replace
    | Delete
    | AddColumn
    | ChangeSchema
    | SetProperties
    | Rewrite
    | Restore
    | Put
)
