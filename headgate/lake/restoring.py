"""Restoring: a whole lake made from a backup, in an epoch of its own, that is there last of all."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from headgate.clock import Clock
from headgate.errors import AlreadyExists, Refused, Unavailable
from headgate.lake import statements
from headgate.lake.backups import (
    BackupManifest,
    files_of_backup,
    find_backup,
    metastore_file,
    opened_backup,
    problems_of,
)
from headgate.lake.durability import SystemSync
from headgate.lake.epochs import MARK_FILE, put_mark
from headgate.lake.file_copies import copy_file, copy_files
from headgate.lake.lake import Lake
from headgate.lake.local_storage import LocalStorage
from headgate.lake.opening import METASTORE_FILE
from headgate.lake.reached import files_of, reached_commits
from headgate.lake.sql_metastore import EPOCH_FACT
from headgate.lake.sqlite import SqliteDatabase, open_sqlite
from headgate.names import Ids

_MAKING = f".{METASTORE_FILE}.restoring"
_OWN = frozenset({"data", "metadata", MARK_FILE})
_REASON = msgspec.json.encode(
    {"code": "restored", "message": "It was at work when the backup was taken."}
).decode()


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What restoring did; ``problems`` are what the backup lacks or what is damaged in it."""

    location: Path
    manifest: BackupManifest
    files: int
    bytes: int
    there: int
    parked: tuple[str, ...]
    problems: tuple[str, ...]


def restore(
    directory: Path,
    to: Path,
    *,
    clock: Clock,
    ids: Ids,
    name: str | None = None,
    checksums: bool = False,
    metastore: str | None = None,
) -> Restored:
    """Make the lake of a backup again, in a directory of its own or where its files still are.

    The lake has the backup's id and a new epoch. Runs that were at work are parked: a person
    decides whether to resume or to abandon them, because the original may go on with them, too.
    What is there is compared with what was written; where something is damaged, the rest is
    restored all the same, and it is said. Killed in the middle there is no lake: type it again,
    and it goes on.

    Args:
        directory: where the backups are.
        to: the lake's directory; it may hold the files of this lake, but no metastore.
        clock: what time it is.
        ids: makes the epoch.
        name: which backup; the newest where None.
        checksums: read every byte of what was restored, else only lengths are compared.
        metastore: a URL of PostgreSQL, for a metastore there; a file in the directory where None.

    Raises:
        NotFound: ``no-backup``. Corrupt: ``backup-damaged``.
        AlreadyExists: ``lake-exists``.
        Refused: ``directory-not-empty``, ``backup-without-files``.
        Unavailable: ``disk-full``, ``cannot-write``.
    """
    directory, to = (Path(os.path.abspath(each)) for each in (directory, to))  # noqa: PTH100
    manifest = find_backup(directory, name)
    _make_room(to)
    making = to / _MAKING
    source, target = files_of_backup(directory, manifest), LocalStorage(to)
    with opened_backup(directory, manifest.name, source, clock=clock, ids=ids) as backup:
        commits = list(reached_commits(backup, manifest.heads, set()))
        copied = copy_files(files_of(backup, commits), source, target)
    copy_file(metastore_file(directory, manifest.name), making)
    with closing(SqliteDatabase(making)) as database:
        database.prepare()
        parked = _begin_anew(database, ids, keep_backups=str(to) == manifest.location)
    with Lake(target, open_sqlite(making, clock=clock), clock=clock, ids=ids) as lake:
        problems = tuple(_problems(lake, manifest, len(commits), checksums=checksums))
    if metastore is None:
        os.link(making, to / METASTORE_FILE)
        SystemSync().directory(str(to))
    else:
        from headgate.lake.postgres_filling import fill_postgres  # noqa: PLC0415 - loads a driver

        fill_postgres(metastore, making)
    with Lake.open(to, clock=clock, ids=ids, metastore=metastore) as lake:
        put_mark(lake.storage, lake.metastore)
    for leftover in to.glob(f"{_MAKING}*"):
        leftover.unlink()
    return Restored(
        location=to,
        manifest=manifest,
        files=copied.files,
        bytes=copied.bytes,
        there=copied.there,
        parked=parked,
        problems=problems,
    )


def _make_room(to: Path) -> None:
    try:
        to.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in to.iterdir()}
        for leftover in to.glob(f"{_MAKING}*"):
            if METASTORE_FILE not in names:
                leftover.unlink()
    except OSError as error:
        raise Unavailable(
            "cannot-write",
            f"No lake can be made in {to}: {error.strerror}.",
            hint="Choose another directory, or mend the rights on it.",
            path=str(to),
        ) from error
    if METASTORE_FILE in names:
        raise AlreadyExists(
            "lake-exists",
            f"There is a lake in {to} already.",
            hint="Restore into another directory, or move its metastore away first.",
            path=str(to),
        )
    strange = {name for name in names if METASTORE_FILE not in name} - _OWN
    if strange:
        raise Refused(
            "directory-not-empty",
            f"{to} holds other things than a lake's files: {', '.join(sorted(strange)[:5])}.",
            hint="Choose a directory that is empty or not there.",
            path=str(to),
        )


def _begin_anew(database: SqliteDatabase, ids: Ids, *, keep_backups: bool) -> tuple[str, ...]:
    """Give the metastore an epoch, park its open runs, and drop the claims of others."""
    with database.writing(durable=True) as session:
        session.change(statements.PUT_FACT, (EPOCH_FACT, ids.unique()))
        parked = tuple(id for (id,) in session.rows(statements.RUNS_AT_WORK))
        session.change(statements.PARK_RUNS, (_REASON,))
        for statement in statements.DROP_ALL_CLAIMS:
            session.change(statement)
        if not keep_backups:
            session.change(statements.FORGET_BACKUPS)
    return parked


def _problems(
    lake: Lake, manifest: BackupManifest, commits: int, *, checksums: bool
) -> Iterator[str]:
    if commits != manifest.commits:
        yield f"{commits} commits are reached; the backup had {manifest.commits}."
    yield from dict.fromkeys(problems_of(lake, manifest.heads, checksums=checksums))
