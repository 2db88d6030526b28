"""Connections: options of sources and sinks under a name, kept in the settings."""

from collections.abc import Callable, Mapping
from typing import Final

from headgate.errors import HeadgateError, Invalid, NotFound
from headgate.names import step_name, suggestion
from headgate.secrets import Secret, is_sensitive, with_secrets

OPTION: Final = "connection"
"""The option of every source and sink that names one."""

CONNECTION_VARIABLE: Final = "HEADGATE_CONNECTION_"
SECRET_VARIABLE: Final = "HEADGATE_SECRET_"  # noqa: S105 - where a provider looks for them
_DIVIDER: Final = "__"
_TRUTHS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}

Options = Mapping[str, object]


def parsed_connections(
    content: Options, place: Callable[[str], str]
) -> Mapping[str, Mapping[str, object]]:
    """Read ``[connections]``; ``place`` says where a dotted name stands.

    Raises:
        Invalid: ``bad-setting``, ``bad-secret-name``.
    """
    found: dict[str, Mapping[str, object]] = {}
    for name, options in content.items():
        dotted = f"connections.{name}"
        try:
            step_name(name)
        except HeadgateError as error:
            raise Invalid(
                "bad-setting",
                f"{place(dotted)}: {name!r} cannot name a connection.",
                hint="Use letters, digits, '_' and '-', a letter first.",
                setting=dotted,
            ) from error
        if not isinstance(options, dict):
            raise Invalid(
                "bad-setting",
                f"{place(dotted)}: {dotted} is a table of options, not a value.",
                hint=f"Write [connections.{name}] on a line of its own, its options below it.",
                setting=dotted,
            )
        if OPTION in options:
            raise Invalid(
                "bad-setting",
                f"{place(dotted)}: {dotted} has {OPTION!r} among its options.",
                hint="A connection is not made of another one; a profile lays over it.",
                setting=dotted,
            )
        found[name] = with_secrets(options)  # type: ignore[assignment]  # a mapping stays one
    return found


def laid_over(below: object, above: Mapping[str, Options]) -> Mapping[str, Options]:
    """Lay options by name over others."""
    under: Mapping[str, Options] = below if isinstance(below, Mapping) else {}
    return {**under, **{name: merged(under.get(name, {}), each) for name, each in above.items()}}


def merged(below: Options, above: Options) -> Options:
    """Lay options over others; an option that is a mapping on both sides is merged in turn."""
    result = dict(below)
    for name, value in above.items():
        under = below.get(name)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        result[name] = merged(under, value) if both else value  # type: ignore[arg-type]
    return result


def of_environment(
    environment: Mapping[str, str], below: object
) -> tuple[Mapping[str, Options], tuple[str, ...]]:
    """Lay ``HEADGATE_CONNECTION_SHOP__HOST`` over connections; give what of it is to be kept, too.

    A value is of the type of that in the file, else a text.

    Raises:
        Invalid: ``unknown-setting``, ``bad-setting``.
    """
    connections: dict[str, Options] = dict(below) if isinstance(below, Mapping) else {}
    kept: list[str] = []
    for variable in sorted(environment):
        if not variable.startswith(CONNECTION_VARIABLE):
            continue
        connection, _, option = variable.removeprefix(CONNECTION_VARIABLE).partition(_DIVIDER)
        if not connection or not option:
            raise Invalid(
                "unknown-setting",
                f"environment variable {variable} names no option of a connection.",
                hint=f"Write {CONNECTION_VARIABLE}SHOP{_DIVIDER}HOST for host of the one called "
                "shop.",
                setting=variable,
            )
        name = _among(connections, connection)
        options = connections.get(name, {})
        key = _among(options, option)
        before, text = options.get(key), environment[variable]
        if isinstance(before, Secret) or is_sensitive(key):
            kept.append(text)
        connections[name] = {**options, key: _typed(text, before, variable)}
    return connections, tuple(kept)


def connected(connections: Mapping[str, Options], options: Options) -> Options:
    """Give options with those of the connection they name under them.

    Raises:
        NotFound: ``unknown-connection``. Invalid: ``bad-option``.
    """
    if OPTION not in options:
        return options
    own = {name: value for name, value in options.items() if name != OPTION}
    return merged(named_connection(connections, options[OPTION]), own)


def named_connection(connections: Mapping[str, Options], name: object) -> Options:
    """Give a connection's options.

    Raises:
        NotFound: ``unknown-connection``. Invalid: ``bad-option``.
    """
    if not isinstance(name, str):
        raise Invalid(
            "bad-option",
            f"connection={name!r} is no name of a connection.",
            hint='Write  connection="shop"  and [connections.shop] in headgate.toml.',
            option=OPTION,
        )
    if name in connections:
        return connections[name]
    meant = suggestion(name, connections)
    raise NotFound(
        "unknown-connection",
        f"headgate.toml has no connection {name!r}; it has: {', '.join(connections) or 'none'}.",
        hint=f"Did you mean {meant}?" if meant else f"Add a table [connections.{name}].",
        connection=name,
    )


def _among(known: Options | Mapping[str, Options], upper: str) -> str:
    """Give the known name that an environment variable can mean; its own where there is none."""
    found = [name for name in known if name.upper().replace("-", "_") == upper]
    return found[0] if found else upper.lower()


def _typed(text: str, before: object, variable: str) -> object:
    try:
        if isinstance(before, bool):
            return _TRUTHS[text.strip().lower()]
        if isinstance(before, int):
            return int(text)
        if isinstance(before, float):
            return float(text)
    except (KeyError, ValueError) as error:
        raise Invalid(
            "bad-setting",
            f"environment variable {variable} takes a value like {before!r}.",
            hint="The file has one of that type.",
            setting=variable,
        ) from error
    return text
