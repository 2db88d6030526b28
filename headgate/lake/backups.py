"""Backups: one state of a lake in another directory, taken while runs go on.

A backup directory holds any number of backups of one lake, which share their files::

    <directory>/<name>.json         the manifest, written last: without it there is no backup
                <name>.sqlite       one state of the metastore
                data/, metadata/    the files that its refs reach, under the lake's own names

What the copy needs of the lake meanwhile stands in the lake's metastore (``Backup``), so that no
sweep takes it. A backup of the metadata only needs the files for good, and so does its row. The row
of a whole one keeps nothing: it says when the last one was taken, and where it is.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from headgate.clock import Clock
from headgate.digests import file_checksum
from headgate.errors import AlreadyExists, Corrupt, Invalid, NotFound, Refused, Unavailable
from headgate.lake.durability import SystemSync
from headgate.lake.file_copies import Copied, copy_files
from headgate.lake.lake import Lake
from headgate.lake.local_storage import LocalStorage
from headgate.lake.metastore import Backup, RunState
from headgate.lake.reached import files_of, reached_commits, table_entries
from headgate.lake.sqlite import open_sqlite
from headgate.lake.storage import Storage
from headgate.names import Ids

_VERSION = 1
_WHILE_COPYING = timedelta(days=2)
_AT_WORK = (RunState.RUNNING, RunState.PUBLISHING)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*\Z")
_NOTHING = Copied(files=0, bytes=0, there=0, missing=())


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself. ``checksum`` is that of its metastore's file."""

    version: int = _VERSION
    name: str
    created: datetime
    lake: str
    location: str
    format: str
    erasures: str = "0"
    main: str
    branches: dict[str, str]
    tags: dict[str, str]
    commits: int
    runs_at_work: int
    metadata_only: bool
    checksum: str

    @property
    def heads(self) -> tuple[str, ...]:
        """The commits that its refs name."""
        return tuple(dict.fromkeys((*self.branches.values(), *self.tags.values())))


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """What taking a backup did; ``there`` counts the files of earlier ones it shares.

    ``missing`` are files that only old commits refer to, and that the lake has no more.
    """

    directory: Path
    manifest: BackupManifest
    files: int
    bytes: int
    there: int
    missing: tuple[str, ...]


def back_up(
    lake: Lake,
    to: Path,
    *,
    name: str | None = None,
    metadata_only: bool = False,
    link: bool = False,
    keep: timedelta | None = None,
) -> BackedUp:
    """Take a backup of one state of a lake. Nobody waits for it, and it waits for nobody.

    Files that are there from an earlier backup are not copied again. Killed in the middle it is
    no backup; what was copied serves the next.

    Args:
        lake: the lake.
        to: the directory of its backups; made where there is none.
        name: the backup's name; its instant where None.
        metadata_only: leave the tables' files where they are, and have the lake keep them.
        link: make hard links to files instead of copies, where the file system allows it.
        keep: how long the lake keeps the files of ``metadata_only``; until it is told where None.

    Raises:
        Invalid: ``bad-backup-name``. AlreadyExists: ``backup-exists``.
        Refused: ``another-lakes-backups``.
        Corrupt: ``data-file-missing``. Unavailable: ``disk-full``, ``cannot-write``.
    """
    to, now = Path(os.path.abspath(to)), lake.clock.now()  # noqa: PTH100 - without '..', links as they are
    name = name if name is not None else f"{now:%Y%m%dT%H%M%S}-{lake.ids.run_id()[:4]}"
    earlier = _room(lake, to, name)
    held = Backup(
        name=name,
        created=now,
        location=str(to),
        commits=_heads(lake),
        expires=now + _WHILE_COPYING,
    )
    lake.metastore.put_backup(held)
    kept = None
    try:
        _clear(to, name)
        lake.metastore.copy(metastore_file(to, name))
        with opened_backup(to, name, lake.storage, clock=lake.clock, ids=lake.ids) as copy:
            held = replace(held, commits=_heads(copy))
            lake.metastore.put_backup(held)
            if metadata_only:
                copied = _NOTHING
                kept = replace(held, expires=None if keep is None else now + keep)
            else:
                kept = replace(held, commits=(), expires=None)
                new = reached_commits(copy, held.commits, _known(to, earlier, copy))
                copied = copy_files(files_of(copy, new), lake.storage, LocalStorage(to), link=link)
                _refuse_missing(copy, held.commits, copied)
            manifest = _manifest(copy, to, held, metadata_only=metadata_only)
        _write_manifest(to, manifest)
    except BaseException:
        kept = None
        raise
    finally:
        if kept is not None:
            lake.metastore.put_backup(kept)
        else:
            lake.metastore.delete_backup(name)
    if not metadata_only:
        _forget_older(lake, held)
    return BackedUp(
        directory=to,
        manifest=manifest,
        files=copied.files,
        bytes=copied.bytes,
        there=copied.there,
        missing=copied.missing,
    )


def backups_at(directory: Path) -> list[BackupManifest]:
    """Give the whole backups in a directory, the oldest first."""
    found = []
    for path in directory.glob("*.json"):
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=BackupManifest)
        except (msgspec.MsgspecError, OSError):
            continue
        if path.name == f"{manifest.name}.json":
            found.append(manifest)
    return sorted(found, key=lambda manifest: (manifest.created, manifest.name))


def find_backup(directory: Path, name: str | None = None) -> BackupManifest:
    """Give the newest backup in a directory, or the one of a name, checked against its checksum.

    Raises:
        NotFound: ``no-backup``. Corrupt: ``backup-damaged``.
    """
    found = [each for each in backups_at(directory) if name in (None, each.name)]
    if not found:
        listed = ", ".join(each.name for each in backups_at(directory)) or "none"
        raise NotFound(
            "no-backup",
            f"There is no backup {name} in {directory}; whole ones: {listed}."
            if name
            else f"There is no whole backup in {directory}.",
            hint="headgate backup DIRECTORY  takes one.",
            path=str(directory),
        )
    manifest = found[-1]
    path = metastore_file(directory, manifest.name)
    if not path.exists() or file_checksum(path) != manifest.checksum:
        raise Corrupt(
            "backup-damaged",
            f"{path} is not what was written.",
            hint="Take an earlier backup:  headgate restore FROM --name NAME",
            path=str(path),
        )
    return manifest


def metastore_file(directory: Path, name: str) -> Path:
    """Give where a backup's metastore is."""
    return directory / f"{name}.sqlite"


def opened_backup(directory: Path, name: str, files: Storage, *, clock: Clock, ids: Ids) -> Lake:
    """Open a backup's metastore as a lake, its files where they are. To read only."""
    metastore = open_sqlite(metastore_file(directory, name), clock=clock)
    return Lake(files, metastore, clock=clock, ids=ids)


def files_of_backup(
    directory: Path, manifest: BackupManifest, *, lake: Storage | None = None
) -> Storage:
    """Give where a backup's files are: beside it, or where the lake had them.

    ``lake`` is where a lake has its files that may be this one.

    Raises:
        Refused: ``backup-without-files``.
    """
    if not manifest.metadata_only:
        return LocalStorage(directory)
    if lake is not None and lake.location == manifest.location:
        return lake
    if "://" in manifest.location:
        raise Refused(
            "backup-without-files",
            f"Backup {manifest.name} left its files in {manifest.location}.",
            hint="Copy its .sqlite file to where lake.metastore says; the files are there.",
            location=manifest.location,
        )
    return LocalStorage(manifest.location)


def verify_backup(
    directory: Path, name: str | None, *, clock: Clock, ids: Ids, lake: Storage | None = None
) -> Iterator[str]:
    """Say what of a backup is not what was written. Reads every byte of what its refs show.

    ``lake`` is where the lake has its files, for a backup that left them there.

    Raises:
        NotFound: ``no-backup``. Corrupt: ``backup-damaged``. Refused: ``backup-without-files``.
    """
    manifest = find_backup(directory, name)
    files = files_of_backup(directory, manifest, lake=lake)
    with opened_backup(directory, manifest.name, files, clock=clock, ids=ids) as backup:
        yield from problems_of(backup, manifest.heads, checksums=True)


def problems_of(lake: Lake, heads: Iterable[str], *, checksums: bool) -> Iterator[str]:
    """Say what of a lake is not what was written: metastore, history, and the heads' tables."""
    yield from lake.metastore.check()
    for damaged in lake.verify(every_tree=True):
        yield damaged.message
    for name, entry in table_entries(lake, heads):
        for problem in lake.tables.verify(entry, checksums=checksums):
            yield f"{name}: {problem.message}"


# -- parts


def _heads(lake: Lake) -> tuple[str, ...]:
    heads = [branch.head for branch in lake.branches()] + [tag.commit for tag in lake.tags()]
    return tuple(dict.fromkeys(heads))


def _room(lake: Lake, to: Path, name: str) -> list[BackupManifest]:
    """Make the directory, and give what is in it; refuse what is no place for this backup."""
    if not _NAME.match(name):
        raise Invalid(
            "bad-backup-name",
            f"{name!r} cannot name a backup.",
            hint="Use letters, digits, '.', '_' and '-'.",
            name=name,
        )
    location = None if lake.storage.store is not None else lake.location.resolve()
    if location is not None and location in (to.resolve(), *to.resolve().parents):
        raise Refused(
            "backup-inside-the-lake",
            f"{to} is inside the lake it would back up.",
            hint="Choose a directory elsewhere, on another disk if you can.",
            path=str(to),
        )
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "cannot-write",
            f"No backup can be made in {to}: {error.strerror}.",
            hint="Choose another directory, or mend the rights on it.",
            path=str(to),
        ) from error
    earlier = backups_at(to)
    others = {manifest.lake for manifest in earlier} - {lake.id}
    if others or (not earlier and (to / "metastore.sqlite").exists()):
        raise Refused(
            "another-lakes-backups",
            f"{to} holds another lake, or the backups of one.",
            hint="Give each lake a directory of its own.",
            path=str(to),
        )
    if any(manifest.name == name for manifest in earlier):
        raise AlreadyExists(
            "backup-exists",
            f"There is a backup {name} in {to} already.",
            hint="Choose another --name, or none.",
            path=str(to),
            name=name,
        )
    _refuse_other_place(lake, to, name)
    return earlier


def _refuse_other_place(lake: Lake, to: Path, name: str) -> None:
    """Refuse a name under which the lake keeps files for a backup in another directory."""
    now = lake.clock.now()
    for each in lake.metastore.backups():
        elsewhere = each.name == name and each.location != str(to)
        if elsewhere and each.commits and (each.expires is None or each.expires > now):
            raise AlreadyExists(
                "backup-exists",
                f"The lake keeps files for a backup {name} in {each.location}.",
                hint="Choose another --name, or none. If that backup is not needed any more:  "
                f"headgate backups --forget {name}",
                path=each.location,
                name=name,
            )


def _forget_older(lake: Lake, last: Backup) -> None:
    """Leave one row of whole backups for a place: that of the last."""
    for each in lake.metastore.backups():
        if not each.commits and each.location == last.location and each.name != last.name:
            lake.metastore.delete_backup(each.name)


def _clear(to: Path, name: str) -> None:
    """Remove what a backup that was killed left under this name."""
    for leftover in to.glob(f"{name}.sqlite*"):
        leftover.unlink()


def _erasures(lake: Lake) -> str:
    """Give how often rows were erased: since then commits mean other files under their old ids."""
    return lake.metastore.describe()["erasures"]


def _known(to: Path, earlier: list[BackupManifest], lake: Lake) -> set[str]:
    """Give the commits whose files are there: those of the newest whole backup."""
    known: set[str] = set()
    for manifest in reversed(earlier):
        if manifest.metadata_only or manifest.erasures != _erasures(lake):
            continue
        if metastore_file(to, manifest.name).exists():
            files = LocalStorage(to)
            with opened_backup(to, manifest.name, files, clock=lake.clock, ids=lake.ids) as copy:
                for _ in reached_commits(copy, manifest.heads, known):
                    pass
            break
    return known


def _refuse_missing(lake: Lake, heads: Iterable[str], copied: Copied) -> None:
    """Refuse to call a backup whole where a table that a ref shows lacks a file."""
    if not copied.missing:
        return
    for _, entry in table_entries(lake, heads):
        for problem in lake.tables.verify(entry, checksums=False):
            raise Corrupt(
                "data-file-missing",
                problem.message,
                hint="Look:  headgate doctor --files",
                path=problem.path,
            )


def _manifest(copy: Lake, to: Path, held: Backup, *, metadata_only: bool) -> BackupManifest:
    return BackupManifest(
        name=held.name,
        created=held.created,
        lake=copy.id,
        location=copy.storage.location,
        format=copy.metastore.describe()["format"],
        erasures=_erasures(copy),
        main=copy.main,
        branches={branch.name: branch.head for branch in copy.branches()},
        tags={tag.name: tag.commit for tag in copy.tags()},
        commits=sum(1 for _ in reached_commits(copy, held.commits, set())),
        runs_at_work=len(copy.metastore.runs(states=_AT_WORK)),
        metadata_only=metadata_only,
        checksum=file_checksum(metastore_file(to, held.name)),
    )


def _write_manifest(to: Path, manifest: BackupManifest) -> None:
    path = to / f"{manifest.name}.json"
    making = path.with_name(f".{path.name}.making")
    making.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    SystemSync().file(str(making))
    making.replace(path)
    SystemSync().directory(str(to))
