"""Secrets that are mounted as files: a directory with a file for each, named like it."""

import errno
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from headgate.access.provider import Place, only, path_option
from headgate.errors import Invalid, Unavailable

DEFAULT: Final = Path("/run/secrets")
_MOST_BYTES = 1 << 20
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


class DirectorySecrets:
    """A directory as Docker and Kubernetes mount it. Option: ``path``, ``/run/secrets`` usually."""

    kind = "directory"

    def __init__(self, options: Mapping[str, object], place: Place) -> None:
        only(self.kind, options, ("path",))
        self._directory = path_option(self.kind, options, place) or DEFAULT

    def get(self, name: str) -> str | None:
        """Give a file's text, without the line end that an editor or ``echo`` put there.

        Raises:
            Unavailable, Invalid: as ``text_of``.
        """
        text = text_of(self._directory / name)
        return None if text is None else without_line_end(text)

    def where(self, name: str) -> str:
        """Say which file it would be."""
        return f"the file {self._directory / name}"

    def names(self) -> Iterable[str]:
        """Give the names of the files."""
        try:
            return [
                each.name for each in self._directory.iterdir() if not each.name.startswith("..")
            ]
        except OSError:
            return []


def text_of(path: Path) -> str | None:
    """Give the text of a file that holds secrets; None where there is none.

    Raises:
        Unavailable: ``secret-unreadable``: it is there and cannot be read.
        Invalid: ``secret-not-text``.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise Unavailable(
            "secret-unreadable",
            f"{path} is to hold secrets and cannot be read: {error.strerror}.",
            hint="Mend the rights on it.",
            path=str(path),
        ) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if len(raw) > _MOST_BYTES or "\0" in text:
        raise Invalid(
            "secret-not-text",
            f"{path} holds no secret: it is no text in UTF-8 of at most {_MOST_BYTES:,} bytes.",
            hint="Binary keys: write them in base64.",
            path=str(path),
        )
    return text


def without_line_end(text: str) -> str:
    """Give a text without its last line end."""
    return text.removesuffix("\n").removesuffix("\r")
