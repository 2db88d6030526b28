"""Files on this machine: a path, a pattern, or a directory with a slash at its end."""

import errno
import glob
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import IO

from headgate.errors import Invalid, NotFound, Unavailable
from headgate.names import suggestion
from headgate.sources.digesting import Digests
from headgate.sources.places.place import Listed


class LocalPlace:
    """Files by one path or pattern, relative to a root."""

    def __init__(self, pattern: str, root: Path, digests: Digests) -> None:
        self._pattern = pattern
        self._root = root
        self._digests = digests

    def listed(self) -> Sequence[Listed]:
        """Give the files; those that changed since they were last seen are read for their digest.

        Raises:
            Invalid: ``path-is-directory``.
            NotFound: ``file-missing``, ``no-files-match``.
            Unavailable: ``file-unreadable``.
        """
        try:
            paths = self._paths()
        except OSError as error:  # a directory on the way
            raise _unreadable(self._pattern, error) from error
        return [self._one(path) for path in paths]

    def again(self, file: Listed) -> Listed:
        """Give a file as it is now."""
        return self._one(Path(file.address))

    def bring(self, file: Listed, target: IO[bytes]) -> None:
        """Copy a file."""
        with Path(file.address).open("rb") as source:
            shutil.copyfileobj(source, target, 1 << 20)

    def _one(self, path: Path) -> Listed:
        shown = self._shown(path)
        try:
            state = self._digests.state(path)
        except OSError as error:
            raise _unreadable(shown, error) from error
        return Listed(
            shown=shown,
            name=path.name,
            state=state.digest,
            size_bytes=state.size_bytes,
            path=path,
            facts=(state.size_bytes, state.mtime_ns, state.inode),
            address=str(path),
        )

    def _paths(self) -> list[Path]:
        pattern, root = self._pattern, self._root
        exact = root / pattern
        if exact.is_dir():
            if not pattern.endswith("/"):
                raise Invalid(
                    "path-is-directory",
                    f"{pattern} is a directory.",
                    hint=f'Name the files: "{pattern}/*.csv"; or mean all: "{pattern}/".',
                    path=pattern,
                )
            return self._below(exact)
        if exact.exists():
            return [exact]
        matches = sorted(
            path
            for name in glob.iglob(pattern, root_dir=root, recursive=True)  # noqa: PTH207 - takes '..'
            if (path := root / name).is_file()
        )
        if not matches:
            raise self._no_match()
        return matches

    def _below(self, directory: Path) -> list[Path]:
        """Give all files below a directory but those that are somebody's own business."""
        found = sorted(
            path
            for path in directory.rglob("*")
            if not any(part[0] in "._" for part in path.relative_to(directory).parts)
            and path.is_file()
        )
        if not found:
            raise NotFound(
                "no-files-match", f"There is no file in {self._pattern}.", pattern=self._pattern
            )
        return found

    def _no_match(self) -> NotFound:
        pattern, root = self._pattern, self._root
        if glob.has_magic(pattern):
            return NotFound(
                "no-files-match",
                f"No file matches {pattern} in {root}.",
                hint="Patterns are relative to the project; ** goes into directories.",
                pattern=pattern,
            )
        link = root / pattern
        names = [path.name for path in link.parent.iterdir()] if link.parent.is_dir() else []
        if link.is_symlink():
            return NotFound(
                "file-missing",
                f"{pattern} is a link to {link.readlink()}, which is not there.",
                hint="Put the file there, or mend the link.",
                path=pattern,
            )
        meant = suggestion(PurePath(pattern).name, names)
        return NotFound(
            "file-missing",
            f"There is no file {pattern} in {root}.",
            hint=f"Did you mean {PurePath(pattern).with_name(meant)}?" if meant else None,
            path=pattern,
        )

    def _shown(self, path: Path) -> str:
        try:
            return path.relative_to(self._root).as_posix()
        except ValueError:
            return str(path)


def _unreadable(shown: str, error: OSError) -> Unavailable:
    denied = error.errno == errno.EACCES
    return Unavailable(
        "file-unreadable",
        f"{shown} {'may not' if denied else 'cannot'} be read: {error.strerror}.",
        hint="Give yourself the right to it." if denied else None,
        path=shown,
    )
