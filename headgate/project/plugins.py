"""Plug-ins: engines, sources and listeners, ours and strangers', found by entry point.

A stranger's package declares ``[project.entry-points."headgate.engines"]``; so do we. Our own names
are repeated here (a test compares them with ``pyproject.toml``), because reading the metadata of
every installed package costs more than all else that a run with nothing to do does.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.errors import Invalid, NotFound, Unavailable
from headgate.names import suggestion
from headgate.sinks import kind_hint

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "headgate.engines": {"duckdb": "headgate.engines.duckdb:DuckDB"},
    "headgate.secrets": {
        "directory": "headgate.access:DirectorySecrets",
        "env-file": "headgate.access:EnvironmentFileSecrets",
        "environment": "headgate.access:EnvironmentSecrets",
        "keyring": "headgate.access:KeyringSecrets",
    },
    "headgate.sinks": {
        "duckdb": "headgate.sinks.kinds:duckdb",
        "files": "headgate.sinks.files.file_sink:FileSink",
        "mysql": "headgate.sinks.kinds:mysql",
        "postgresql": "headgate.sinks.kinds:postgresql",
        "sqlalchemy": "headgate.sinks.kinds:sqlalchemy",
        "sqlite": "headgate.sinks.kinds:sqlite",
        "webhook": "headgate.sinks.kinds:webhook",
    },
    "headgate.sources": {
        "airbyte": "headgate.sources.airbyte.source:AirbyteSource",
        "database": "headgate.sources.databases.database:DatabaseSource",
        "dlt": "headgate.sources.dlt_resource:DltSource",
        "files": "headgate.sources.files:FileSource",
        "generator": "headgate.sources.generators:GeneratorSource",
        "pages": "headgate.sources.web.source:WebSource",
        "postgres_changes": "headgate.sources.postgres_changes.source:PostgresChanges",
        "rest": "headgate.sources.rest.source:RestSource",
    },
}


_WORDS = {"secret": "provider of secrets"}


def plugin(group: str, name: str) -> object:
    """Load the plug-in of that name; what we ship is not looked up in the installed packages.

    Raises:
        NotFound: ``unknown-plugin``.
        Unavailable: ``broken-plugin``, the package cannot be imported.
        Invalid: ``double-plugin``, two packages claim the name.
    """
    target = BUILT_IN.get(group, {}).get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return getattr(import_module(module), attribute)
    found = _installed(group, name)
    try:
        return found.load()
    except (ImportError, AttributeError) as error:
        raise Unavailable(
            "broken-plugin",
            f"{found.value}, the {_word(group)} {name!r}, cannot be loaded: {error}.",
            hint="Install or mend the package that provides it.",
            plugin=name,
        ) from error


def plugin_names(group: str) -> tuple[str, ...]:
    """Give the names there are, ours first. Reads the metadata of every installed package."""
    ours = tuple(BUILT_IN.get(group, {}))
    return (*ours, *sorted({found.name for found in _entry_points(group)} - set(ours)))


def _entry_points(group: str) -> "EntryPoints":
    """Give what installed packages provide; looks anew only where one came or went since."""
    return _entry_points_as_of(group, tuple((folder, _changed(folder)) for folder in sys.path))


@lru_cache(maxsize=16)
def _entry_points_as_of(group: str, _: tuple[tuple[str, int], ...]) -> "EntryPoints":
    from importlib.metadata import entry_points  # noqa: PLC0415 - for strangers' plug-ins only

    return entry_points(group=group)


def _changed(folder: str) -> int:
    try:
        return Path(folder or ".").stat().st_mtime_ns
    except OSError:
        return 0


def _installed(group: str, name: str) -> "EntryPoint":
    found = {each.value: each for each in _entry_points(group) if each.name == name}
    if not found:
        known = plugin_names(group)
        raise NotFound(
            "unknown-plugin",
            f"There is no {_word(group)} {name!r}; there are: {', '.join(known)}.",
            hint=_hint(group, name, known),
            plugin=name,
        )
    if len(found) > 1:
        raise Invalid(
            "double-plugin",
            f"Two packages provide the {_word(group)} {name!r}: {' and '.join(sorted(found))}.",
            hint="Uninstall one of them.",
            plugin=name,
        )
    return next(iter(found.values()))


def _hint(group: str, name: str, known: Sequence[str]) -> str:
    if group == "headgate.sinks":
        return kind_hint(name, known)
    meant = suggestion(name, known)
    return f"Did you mean {meant}?" if meant else "Install the package that provides it."


def _word(group: str) -> str:
    """Give the singular of what the group holds: ``headgate.engines`` is about an engine."""
    word = group.rpartition(".")[2].removesuffix("s")
    return _WORDS.get(word, word)
