"""Files that only a child process may read: there as long as it runs, gone whatever happens.

A directory of mode 0700 in the system's place for temporary files holds them, and a lock that is
held while its maker lives. What a killed maker left behind is removed by the next one.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "headgate-connector-"
_LOCK: Final = "lock"


@contextmanager
def kept_files(files: Mapping[str, bytes], *, within: Path | None = None) -> Iterator[Path]:
    """Write files of mode 0600, and give their directory; it is removed at the end."""
    parent = within or Path(tempfile.gettempdir())
    sweep(parent)
    with ExitStack() as held:
        directory = None
        while directory is None:  # another process may sweep it away before its lock is held
            directory = _locked(parent, held)
        for name, content in files.items():
            opened = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.write(content)
        yield directory


def _locked(parent: Path, held: ExitStack) -> Path | None:
    """Make a directory and hold its lock; None where it was taken for a dead maker's meanwhile."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # mode 0700
    held.callback(shutil.rmtree, directory, ignore_errors=True)
    lock = held.enter_context((directory / _LOCK).open("wb"))
    fcntl.flock(lock, fcntl.LOCK_EX)
    return directory if (directory / _LOCK).exists() else None


def sweep(parent: Path) -> None:
    """Remove the directories of makers that are dead: nobody holds their lock."""
    for directory in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if directory.is_symlink() or directory.stat().st_uid != os.getuid():
                continue
            with (directory / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
