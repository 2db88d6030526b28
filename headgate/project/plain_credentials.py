"""Passwords in plain: which lines of the project's files hold one. They are named, never shown."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from headgate.secrets import KEY, credentials_in, is_sensitive

_LOOKED_AT: Final = frozenset({".py", ".sql", ".toml", ".yaml", ".yml"})
_MOST_FILES: Final = 5_000
_MOST_BYTES: Final = 1 << 20
_ASSIGNED = re.compile(
    r"""^\s*["']?(?P<name>[\w.-]+)["']?\s*[=:]\s*(?P<value>["']?[^\s#{\[|>].*)$"""
)
_STAND_INS = re.compile(r"[<{$].*|\**|x+|\.\.\.", re.IGNORECASE)
_ENVIRONMENTS = ("pyvenv.cfg", "CACHEDIR.TAG")


def lines_with_credentials(
    root: Path, *, besides: Iterable[Path] = ()
) -> Iterator[tuple[str, int]]:
    """Give files (relative to ``root``) and lines; what is below ``besides`` is left out."""
    for path in files_of(root, tuple(besides)):
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        found = _in_python(text) if path.suffix == ".py" else _in_lines(text)
        for line in sorted(set(found)):
            yield str(path.relative_to(root)), line


def files_of(root: Path, besides: tuple[Path, ...]) -> Iterator[Path]:
    """Give the files people write, without hidden directories and virtual environments."""
    waiting, count = [root], 0
    while waiting:
        directory = waiting.pop()
        try:
            inside = sorted(directory.iterdir())
        except OSError:
            continue
        if directory != root and any((directory / mark).exists() for mark in _ENVIRONMENTS):
            continue
        for path in inside:
            if path.name.startswith(".") or path in besides or path.is_symlink():
                continue
            if path.is_dir():
                waiting.append(path)
            elif path.suffix in _LOOKED_AT and path.stat().st_size <= _MOST_BYTES:
                count += 1
                if count > _MOST_FILES:
                    return
                yield path


def _in_python(text: str) -> Iterator[int]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _has_credentials(node.value):
                yield node.lineno
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield from _named(node.arg, node.value)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield from _named(target.id, node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield from _named(key.value, value)


def _named(name: str, value: ast.expr) -> Iterator[int]:
    text = value.value if isinstance(value, ast.Constant) else None
    if isinstance(text, str) and name != KEY and is_sensitive(name) and _is_meant(text):
        yield value.lineno


def _in_lines(text: str) -> Iterator[int]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith(("#", "--")):
            continue
        assigned = _ASSIGNED.match(line)
        if _has_credentials(line):
            yield number
        elif assigned is not None:
            name = assigned["name"].rpartition(".")[2]
            value = assigned["value"].split(" #")[0].strip().strip("\"'")
            if is_sensitive(name) and name != KEY and _is_meant(value):
                yield number


def _has_credentials(text: str) -> bool:
    return any(_is_meant(each) for each in credentials_in(text))


def _is_meant(value: str) -> bool:
    """Whether a text may be a password: not a place for one, like ``<password>``, ``$PASSWORD``."""
    return bool(value.strip()) and _STAND_INS.fullmatch(value.strip()) is None
