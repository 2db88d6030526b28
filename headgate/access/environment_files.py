"""Secrets in a file of ``NAME=value`` lines (``.env``), which is not in the repository."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from headgate.access.directories import text_of
from headgate.access.environment import variable
from headgate.access.provider import Place, only, path_option
from headgate.errors import Invalid, Refused

_LINE = re.compile(
    r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(?P<value>.*)\Z", re.DOTALL
)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?\Z', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'\s*(?:#.*)?\Z", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class EnvironmentFileSecrets:
    r"""A file as shells and Docker read it. Option: ``path``.

    A line is ``NAME=value``; ``export`` may stand before it, ``#`` begins a comment where a space
    is before it. In single quotes everything is as it stands, in double quotes ``\n``, ``\"`` and
    ``\\`` are what they are in a shell. Nothing is put in for ``$NAME``. Of two lines of one name
    the last counts. ``NAME`` is a secret's name, or its environment variable.
    """

    kind = "env-file"

    def __init__(self, options: Mapping[str, object], place: Place) -> None:
        only(self.kind, options, ("path",))
        self._root = place.root
        path = path_option(self.kind, options, place)
        if path is None:
            raise Invalid(
                "option-missing",
                "The provider of secrets 'env-file' is not told which file.",
                hint='Write  [secrets.env-file]  path = "~/.config/shop.env"',
                option="path",
            )
        self.path = path

    def get(self, name: str) -> str | None:
        """Give the value of a line.

        Raises:
            Refused: ``secrets-in-repository``. Invalid: ``bad-secret-line``, ``secret-not-text``.
            Unavailable: ``secret-unreadable``.
        """
        lines = self._lines()
        return lines.get(variable(name)) or lines.get(name)

    def where(self, name: str) -> str:
        """Say which lines it would be."""
        return f"a line {name}=... in {self.path}"

    def names(self) -> Iterable[str]:
        """Give the names of the lines."""
        return list(self._lines())

    def _lines(self) -> Mapping[str, str]:
        inside = self.path.resolve()
        repository = _repository(self._root.resolve())
        if inside.is_relative_to(repository):
            raise Refused(
                "secrets-in-repository",
                f"{self.path} is to hold secrets and is inside {repository}, where it would be "
                "committed one day.",
                hint="Move it out, like to ~/.config, and name it in [secrets.env-file].",
                path=str(self.path),
            )
        text = text_of(self.path)
        return {} if text is None else parsed(text, self.path)


def parsed(text: str, path: Path) -> Mapping[str, str]:
    """Read the lines of a file.

    Raises:
        Invalid: ``bad-secret-line``, with its number and not its text.
    """
    found: dict[str, str] = {}
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        began, line = number, lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        value = match["value"] if match else ""
        quoted = value[:1] if value[:1] in {'"', "'"} else ""
        while quoted and not _closed(value) and number < len(lines):  # a key of several lines
            value += "\n" + lines[number]
            number += 1
        if match is None or (quoted and not _closed(value)):
            raise Invalid(
                "bad-secret-line",
                f"{path}, line {began + 1}: this is no NAME=value.",
                hint="Quotes that begin a value must end it.",
                path=str(path),
                line=began + 1,
            )
        found[match["name"]] = _value(value)
    return found


def _closed(value: str) -> bool:
    return (_DOUBLE if value[0] == '"' else _SINGLE).match(value) is not None


def _value(text: str) -> str:
    if found := _DOUBLE.match(text):
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), found[1], flags=re.DOTALL)
    if found := _SINGLE.match(text):
        return found[1]
    return re.split(r"\s#", text, maxsplit=1)[0].strip()


def _repository(root: Path) -> Path:
    """Give the repository a project is in; the project itself where there is none."""
    for directory in (root, *root.parents):
        if any((directory / mark).exists() for mark in (".git", ".hg", ".jj")):
            return directory
    return root
