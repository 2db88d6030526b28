"""What a collection knows while it works: commits, nodes and files, in a file of its own.

A lake may have millions of each, and a process need not hold them all. The file is an SQLite
database in the directory for temporary files; it goes with the collection.

A commit has two *parts* that are kept or go by themselves, named by the kind of their marks: its
tree and tables (``commit``), and the files of its operations (``operations``).
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from headgate.errors import Unavailable
from headgate.lake.instants import instant, stored
from headgate.lake.pins import CommitRow, MarkKind
from headgate.stores import Stored

Part: TypeAlias = Literal["commit", "operations"]
PARTS: tuple[Part, Part] = ("commit", "operations")

KEPT, WAITING, GOING = 2, 1, 0
"""A root keeps it; it is marked, but not yet for as long as the grace; it goes now."""

_AT_ONCE = 1000
_CACHE_KIB = 64 << 10

_TABLES = """
    create table commits (
        id text primary key, parent text, number integer not null, row integer not null default 0
    ) without rowid;
    create table parts (
        kind text not null, id text not null, number integer not null, gone integer not null,
        level integer not null default 0, primary key (kind, id)
    ) without rowid;
    create table marks (
        kind text not null, name text not null, at integer not null, primary key (kind, name)
    ) without rowid;
    create table nodes (hash blob primary key) without rowid;
    create table files (path text primary key, level integer not null) without rowid;
    create table listed (
        path text primary key, bytes integer not null, modified integer not null
    ) without rowid;
    create table doomed (hash blob primary key) without rowid;
    create table writers (id text primary key) without rowid;
"""
_PUT_COMMIT = "insert or ignore into commits (id, parent, number) values (?, ?, ?)"
_PUT_PART = "insert or ignore into parts (kind, id, number, gone) values (?, ?, ?, ?)"
_COMMIT = "select 1 from commits where id = ?"
_KEEP_ROWS = """with recursive chain (id, parent) as (
        select id, parent from commits where id = ?
        union all
        select commits.id, commits.parent from chain join commits on commits.id = chain.parent
        where commits.row = 0
    )
    update commits set row = 1 where id in (select id from chain)"""
_KEEP_PART = """with recursive chain (id, parent) as (
        select id, parent from commits where id = :commit and number >= :since
        union all
        select commits.id, commits.parent from chain join commits on commits.id = chain.parent
        where commits.number >= :since
    )
    update parts set level = 2 where kind = :kind and id in (select id from chain)"""
_PUT_MARK = "insert or ignore into marks values (?, ?, ?)"
_LET_WAIT = """update parts set level = 1 where level = 0 and gone = 0 and coalesce(
        (select at from marks where marks.kind = parts.kind and name = id), :now) > :before"""
_STAYING = "select distinct id from parts where gone = 0 and level > 0"
_AT_LEVEL = """select id from parts
    where kind = ? and level = ? and gone = 0 order by number, id"""
_PUT_NEW = "insert or ignore into commits (id, parent, number, row) values (?, ?, ?, 1)"
_LEVEL = "select level from parts where kind = ? and id = ? and gone = 0"
_MARKED_IN_VAIN = """select name from marks join parts on parts.kind = marks.kind and id = name
    where marks.kind = ? and level = 2 order by name"""
_WITHOUT_ROWS = """select id from commits where row = 0 and not exists (
        select 1 from parts where parts.id = commits.id and gone = 0 and level > 0)
    order by number desc, id"""
_FOLLOWING = """select id from commits where row = 1 and number > (
        select min(number) from parts where kind = 'commit' and gone = 0 and level < 2)
    order by number, id"""
_FIRST_WAITING = """select min(coalesce(at, :now)) from (
        select at from parts left join marks on marks.kind = parts.kind and name = id
        where parts.kind = 'commit' and gone = 0 and level = 1
        union all
        select at from listed left join files on files.path = listed.path
        left join marks on kind = 'file' and name = listed.path
        where level is null and coalesce(at, :now) > :before
    )"""
_PUT_NODE = "insert or ignore into nodes values (?)"
_NODE = "select 1 from nodes where hash = ?"
_FILE = "select level from files where path = ?"
_PUT_FILE = "insert or replace into files values (?, ?)"
_LIST_FILE = "insert or ignore into listed values (?, ?, ?)"
_KEEP_RECENT = "insert or replace into files select path, 2 from listed where modified >= ?"
_PUT_WRITER = "insert or ignore into writers values (?)"
_KEEP_WRITTEN = """insert or replace into files select path, 2 from listed
    where writer(path) in (select id from writers)"""
_PUT_DOOMED = "insert or ignore into doomed values (?)"
_DOOMED = "select hash from doomed order by hash"
_ROW = "select row from commits where id = ?"
_LOOSE = """from listed left join files on files.path = listed.path
    left join marks on marks.kind = 'file' and name = listed.path"""
_GARBAGE = f"""select listed.path, bytes {_LOOSE}
    where level is null and coalesce(at, :now) <= :before order by listed.path"""
_WAITING_FILES = f"""select listed.path, bytes {_LOOSE}
    where level = 1 or (level is null and coalesce(at, :now) > :before) order by listed.path"""
_VAIN_FILE_MARKS = """select name from marks left join listed on path = name where kind = 'file'
    and (path is null or exists (select 1 from files where files.path = name and level = 2))
    order by name"""


class Tallies:
    """The working memory of one collection; use ``with``."""

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="headgate-gc-")
        place = Path(self._directory.name) / "tallies.sqlite"
        self._db = sqlite3.connect(place, isolation_level=None)
        self._db.execute("pragma journal_mode = off")
        self._db.execute("pragma synchronous = off")
        self._db.execute(f"pragma cache_size = -{_CACHE_KIB}")
        self._db.executescript(_TABLES)
        self._db.execute("begin")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Forget everything.

        Raises:
            Unavailable: ``disk-full``: there was no space to note things down.
        """
        self._db.close()
        self._directory.cleanup()
        if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
            raise Unavailable(
                "disk-full",
                f"No space left in {self._directory.name} for what a collection notes down.",
                readers="Nothing was deleted.",
                hint="Free space, or have TMPDIR name a larger place; then collect again.",
                path=self._directory.name,
            ) from error

    # -- commits

    def add_commits(self, rows: Sequence[CommitRow]) -> None:
        """Note commits; those known stay as they are."""
        self._db.executemany(_PUT_COMMIT, [(row.id, row.parent, row.number) for row in rows])
        self._db.executemany(
            _PUT_PART,
            [
                part
                for row in rows
                for part in (
                    ("commit", row.id, row.number, int(row.collected is not None)),
                    ("operations", row.id, row.number, int(row.emptied is not None)),
                )
            ],
        )

    def add_new(self, rows: Sequence[CommitRow]) -> list[str]:
        """Note commits that were made since; give them, and none twice."""
        put = self._db.execute
        return [row.id for row in rows if put(_PUT_NEW, (row.id, row.parent, row.number)).rowcount]

    def knows(self, commit: str) -> bool:
        """Whether a commit was noted."""
        return self._db.execute(_COMMIT, (commit,)).fetchone() is not None

    def keep(self, commit: str, *, states_since: int | None, operations_since: int | None) -> None:
        """Keep states and operations along first parents, and all records."""
        if states_since is not None:
            self._keep_part("commit", commit, states_since)
        if operations_since is not None:
            self._keep_part("operations", commit, operations_since + 1)
        self._db.execute(_KEEP_ROWS, (commit,))

    def _keep_part(self, kind: Part, commit: str, since: int) -> None:
        self._db.execute(_KEEP_PART, {"kind": kind, "commit": commit, "since": since})

    def add_marks(self, kind: MarkKind, marks: Iterable[tuple[str, datetime]]) -> None:
        """Note since when names are marked."""
        self._db.executemany(_PUT_MARK, [(kind, name, stored(at)) for name, at in marks])

    def let_wait(self, *, now: datetime, before: datetime) -> None:
        """Let wait what no root keeps and was not marked before an instant, with its records."""
        self._db.execute(_LET_WAIT, {"now": stored(now), "before": stored(before)})
        for id in self._column(_STAYING):
            self._db.execute(_KEEP_ROWS, (id,))

    def at_level(self, kind: Part, level: int) -> list[str]:
        """Give the commits of which a part is there still and at a level, the oldest first."""
        return self._column(_AT_LEVEL, (kind, level))

    def level(self, kind: Part, commit: str) -> int | None:
        """Give the level of a part; None where it has gone before, or was never there."""
        row = self._db.execute(_LEVEL, (kind, commit)).fetchone()
        return None if row is None else int(row[0])

    def keeps_row(self, commit: str) -> bool:
        """Whether a commit keeps its record."""
        row = self._db.execute(_ROW, (commit,)).fetchone()
        return row is not None and bool(row[0])

    def marked_in_vain(self, kind: Part) -> list[str]:
        """Give the commits with a marked part that a root keeps."""
        return self._column(_MARKED_IN_VAIN, (kind,))

    def first_waiting(self, *, now: datetime, before: datetime) -> datetime | None:
        """Give since when the first of what waits has been waiting."""
        moments = {"now": stored(now), "before": stored(before)}
        (at,) = self._db.execute(_FIRST_WAITING, moments).fetchone()
        return None if at is None else instant(at)

    def following(self) -> list[str]:
        """Give the commits with a record that may follow one whose state goes, or waits to."""
        return self._column(_FOLLOWING)

    def without_rows(self) -> list[str]:
        """Give the commits that nothing kept or waiting reaches, the newest first."""
        return self._column(_WITHOUT_ROWS)

    # -- nodes

    def new_nodes(self, names: Iterable[bytes]) -> list[bytes]:
        """Note that nodes are reached; give those that were not before."""
        put = self._db.execute
        return [name for name in names if put(_PUT_NODE, (name,)).rowcount]

    def unreached(self, names: Iterable[bytes]) -> list[bytes]:
        """Give those of the names that no walk has reached."""
        find = self._db.execute
        return [name for name in names if find(_NODE, (name,)).fetchone() is None]

    def doom(self, names: Iterable[bytes]) -> None:
        """Note that nodes are doomed."""
        self._db.executemany(_PUT_DOOMED, [(name,) for name in names])

    def doomed(self) -> Iterator[bytes]:
        """Give the doomed nodes, in order."""
        cursor = self._db.execute(_DOOMED)
        while found := cursor.fetchmany(_AT_ONCE):
            yield from (name for (name,) in found)

    # -- files

    def add_file(self, path: str, level: int) -> bool:
        """Note that a file is reached; False where it was known to be, at that level or above."""
        row = self._db.execute(_FILE, (path,)).fetchone()
        if row is not None and row[0] >= level:
            return False
        self._db.execute(_PUT_FILE, (path, level))
        return True

    def list_files(self, files: Iterable[Stored]) -> None:
        """Note which files are there."""
        rows = ((file.path, file.size_bytes, stored(file.modified)) for file in files)
        self._db.executemany(_LIST_FILE, rows)

    def keep_recent(self, since: datetime) -> None:
        """Keep the files that were written since an instant."""
        self._db.execute(_KEEP_RECENT, (stored(since),))

    def garbage(self, *, now: datetime, before: datetime) -> Iterator[tuple[str, int]]:
        """Give the files that nothing reaches and that were marked before an instant."""
        return self._pairs(_GARBAGE, now, before)

    def waiting_files(self, *, now: datetime, before: datetime) -> Iterator[tuple[str, int]]:
        """Give the files that no root keeps and that do not go yet."""
        return self._pairs(_WAITING_FILES, now, before)

    def keep_written(self, writers: Iterable[str]) -> None:
        """Keep the files that are named after one of these: their names begin with it."""
        self._db.executemany(_PUT_WRITER, [(writer,) for writer in writers])
        self._db.create_function("writer", 1, _writer, deterministic=True)
        self._db.execute(_KEEP_WRITTEN)

    def file_marks_in_vain(self) -> list[str]:
        """Give the marked files that a root keeps, or that are not there any more."""
        return self._column(_VAIN_FILE_MARKS)

    # -- parts

    def _column(self, statement: str, values: Sequence[str | int] = ()) -> list[Any]:
        return [value for (value,) in self._db.execute(statement, values).fetchall()]

    def _pairs(self, statement: str, now: datetime, before: datetime) -> Iterator[tuple[str, int]]:
        cursor = self._db.execute(statement, {"now": stored(now), "before": stored(before)})
        while found := cursor.fetchmany(_AT_ONCE):
            yield from found


def _writer(path: str) -> str:
    """Give who wrote a data file, by its name: a run; a run's revert says so in front."""
    first, _, rest = path.rpartition("/")[2].partition("-")
    return rest.partition("-")[0] if first == "revert" else first
