"""Connections as people see them: what they say, which secrets they name, who uses them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headgate.errors import HeadgateError
from headgate.project.connections import OPTION, named_connection
from headgate.project.opened import Opened
from headgate.redaction import HIDDEN
from headgate.secrets import Secret, is_sensitive


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSecret:
    """A secret that a connection names. ``trouble`` says why it cannot be had; None: it can."""

    option: str
    name: str
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection of the settings. ``options`` are texts without secrets.

    ``used_by`` names the steps and sinks that use it.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[NamedSecret, ...] = ()
    used_by: tuple[str, ...] = ()


def listed_connections(opened: Opened, names: Sequence[str] = ()) -> tuple[Connection, ...]:
    """List connections of the settings; all where none is named.

    Providers are asked whether they know the secrets; what they know is not taken.

    Raises:
        NotFound: ``unknown-connection``.
    """
    known, declared = opened.settings.connections, opened.discovery.declared
    connections = {name: named_connection(known, name) for name in names} or known
    clean, knows = opened.outside.redaction.text, opened.outside.knows
    used = [(each.name, each.source.options) for each in declared.steps if each.source]
    used += [(each.name, each.options) for each in declared.sinks]
    users: dict[str, list[str]] = {}
    for user, options in used:
        users.setdefault(str(options.get(OPTION)), []).append(user)
    return tuple(
        Connection(
            name=name,
            options={option: clean(text) for option, text in _shown(options)},
            secrets=tuple(_secrets(options, knows)),
            used_by=tuple(dict.fromkeys(users.get(name, ()))),
        )
        for name, options in connections.items()
    )


def _flat(options: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _shown(options: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for option, value in _flat(options):
        plain = not isinstance(value, Secret) and is_sensitive(option.rpartition(".")[2])
        yield option, HIDDEN if plain else str(value)


def _secrets(
    options: Mapping[str, object], knows: Callable[[Secret], bool]
) -> Iterator[NamedSecret]:
    for option, value in _flat(options):
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, Secret):
                yield NamedSecret(option=option, name=each.name, trouble=_trouble(each, knows))


def _trouble(secret: Secret, knows: Callable[[Secret], bool]) -> str | None:
    try:
        return None if knows(secret) else "nobody knows it"
    except HeadgateError as error:
        return error.message
