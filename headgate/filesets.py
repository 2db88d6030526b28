"""File lists: how rooms hand tables to each other without knowing each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from headgate.stores import Bucket

FILE_NUMBER = "_hg_file"
"""The column of a numbered scan that says in which of the scan's files a row is, from 0."""
ROW_NUMBER = "_hg_row"
"""The column of a numbered scan that says at which place in its file a row is, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One immutable Parquet file of a table.

    ``path`` is relative to the lake's location, so that a moved lake finds it. ``checksum`` is
    ``sha256:<hex>`` of its bytes. ``bounds`` maps a column to its least and greatest value where
    the footer knows them (JSON scalars: integers, floats, text; instants as ISO text);
    ``partition`` the partition field's name to its value.
    """

    path: str
    rows: int
    size_bytes: int
    checksum: str
    bounds: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    partition: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanGroup:
    """Files that were written under one schema.

    ``columns`` maps each column of the scan to the name it has in these files, or to None where
    the files were written before the column existed (it reads as NULL). ``fields`` does the same
    inside structs: a struct's path in the scan (``("trip", "stops", "element")``; lists go on with
    ``element``, maps with ``key`` and ``value``) to its fields' names in these files. A struct that
    is not named there has its fields under their own names. ``exact`` says that the scan's columns
    are in the files under their own names and types, in any order, perhaps among others: such files
    are read by name, without mapping.
    """

    paths: tuple[str, ...]
    columns: Mapping[str, str | None]
    exact: bool
    fields: Mapping[tuple[str, ...], Mapping[str, str | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A table at one commit, ready to be read by any engine: absolute paths, and what is in them.

    ``rows`` and ``size_bytes`` are the sums over the files. A scan without groups is an empty
    table. Where the paths are URLs, ``store`` is what opens them. ``numbered`` asks for two more
    columns, ``FILE_NUMBER`` and ``ROW_NUMBER``, which are no part of the schema.
    """

    schema: "pa.Schema"
    groups: tuple[ScanGroup, ...]
    rows: int
    size_bytes: int
    store: "Bucket | None" = None
    numbered: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of all groups, in the order in which they are numbered."""
        return tuple(path for group in self.groups for path in group.paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTarget:
    """Where an engine writes one table's new files, and under which schema.

    ``schema`` is final: the engine casts to it and writes each field's id (the Parquet field id is
    in the field's metadata under ``PARQUET:field_id``). All columns are optional. File names begin
    with ``prefix`` and end with a UUID; the directory exists. ``partition_by`` holds SQL
    expressions over the columns, one output file or more per value. Where the directory is a URL,
    ``store`` takes the files: one appears when it is whole. Without ``file_size_bytes`` all rows go
    into one file.
    """

    directory: str
    prefix: str
    schema: "pa.Schema"
    partition_by: Mapping[str, str] = field(default_factory=dict)
    sort_by: tuple[str, ...] = ()
    file_size_bytes: int | None = 512 * 1024 * 1024
    store: "Bucket | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeFiles:
    """Raw files an engine can read by itself, faster than any batch that passes through Python.

    ``format`` is ``csv``, ``parquet`` or ``json``; ``options`` are the reader's own, already
    checked (``headgate/engines/raw_files.py`` lists them). Records that cannot be parsed are
    reported, never skipped in silence. ``shown`` maps a path to what people call the file (the
    member of an archive, a path within the project). ``also`` holds further files of another
    layout: the rows are the union of all, by column name.
    """

    paths: tuple[str, ...]
    format: str
    options: Mapping[str, object] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    also: "tuple[NativeFiles, ...]" = ()

    @property
    def parts(self) -> "tuple[NativeFiles, ...]":
        """The files of each layout, without ``also``."""
        return (replace(self, also=()), *self.also)
