"""The file of settings, ``headgate.toml``: where it is, what it says, and on which line."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from headgate.errors import Invalid, NotFound, Unavailable

FILE_NAME = "headgate.toml"


def find_root(start: Path) -> Path:
    """Give the nearest directory at or above ``start`` that holds ``headgate.toml``.

    Raises:
        NotFound: ``no-project``.
    """
    start = start.resolve()
    for directory in (start, *start.parents):
        if (directory / FILE_NAME).is_file():
            return directory
    raise NotFound(
        "no-project",
        f"There is no {FILE_NAME} in {start} or above it.",
        hint=f"Make a project with  headgate init  or put an empty {FILE_NAME} there.",
        path=str(start),
    )


def read_document(file: Path) -> tuple[dict[str, object], str]:
    """Give what a settings' file says, and its text.

    Raises:
        NotFound: ``no-project``. Invalid: ``bad-settings-file``. Unavailable: ``file-unreadable``.
    """
    try:
        source = file.read_bytes().decode("utf-8-sig")
        return tomllib.loads(source), source
    except FileNotFoundError:
        find_root(file.parent)
        raise
    except OSError as error:
        raise Unavailable(
            "file-unreadable",
            f"{file} cannot be read: {error.strerror}.",
            hint="Mend the rights on it.",
            path=str(file),
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            "bad-settings-file",
            f"{file} is not TOML: {error}.",
            hint="Mend that line; https://toml.io shows how values are written.",
            path=str(file),
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where values come from, so that an error can say the line."""

    file: str
    source: str
    prefix: str = ""

    def of(self, name: str) -> str:
        """Say where a dotted name is set."""
        line = _line_of(self.source, self.prefix + name)
        return f"{self.file}, line {line}" if line else self.file


def _line_of(source: str, name: str) -> int | None:
    """Give the line where a dotted name is set, by its header and key; None where it hides."""
    wanted = name.split(".")
    table: list[str] = []
    for number, line in enumerate(source.splitlines(), start=1):
        text = line.strip()
        if header := re.match(r"\[{1,2}([^\]]+)\]", text):
            table = _parts(header[1])
            if table == wanted:
                return number
        elif assignment := re.match(r"([^=#]+?)\s*=", text):
            path = [*table, *_parts(assignment[1])]
            if path == wanted or wanted[: len(path)] == path or path[: len(wanted)] == wanted:
                return number
    return None


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]
