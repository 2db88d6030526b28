"""Lakes as a whole: what is done with a copy of one, with or without a project."""

from pathlib import Path

from headgate.clock import Clock, SystemClock
from headgate.lake import BackupManifest, Restored, backups_at, restore
from headgate.names import Ids, RandomIds


def restore_lake(
    source: str | Path,
    target: str | Path,
    *,
    name: str | None = None,
    checksums: bool = False,
    metastore: str | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> Restored:
    """Make a whole lake in a directory of a backup in another; see ``headgate.lake.restore``."""
    return restore(
        Path(source),
        Path(target),
        name=name,
        checksums=checksums,
        metastore=metastore,
        clock=clock or SystemClock(),
        ids=ids or RandomIds(),
    )


def list_backups(directory: str | Path) -> tuple[BackupManifest, ...]:
    """Give the whole backups in a directory, the oldest first."""
    return tuple(backups_at(Path(directory)))
