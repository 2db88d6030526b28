"""Reading settings: the file, a profile and the environment, laid over each other into one value.

Weakest first: the defaults, the file, the chosen ``[profile.NAME]``, ``HEADGATE_SECTION_KEY`` in
the environment.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from headgate.errors import Invalid, NotFound
from headgate.names import suggestion
from headgate.project.connections import (
    CONNECTION_VARIABLE,
    SECRET_VARIABLE,
    laid_over,
    of_environment,
    parsed_connections,
)
from headgate.project.setting_keys import BY_NAME, KEYS, SECTIONS
from headgate.project.settings import PROVIDERS, STATE_DIRECTORY, Settings
from headgate.project.settings_file import FILE_NAME, Place, read_document
from headgate.secrets import plain_credentials
from headgate.stores import is_address

_PREFIX = "HEADGATE_"
_PROFILE = "HEADGATE_PROFILE"
_FREE = ("HEADGATE_PARAM_", CONNECTION_VARIABLE, SECRET_VARIABLE)
_TABLES = (*SECTIONS, "parameters", "connections", "profile")
_DOCUMENTATION = "Every setting is listed in docs/settings.md."


def read_settings(
    root: Path, *, environment: Mapping[str, str], profile: str | None = None
) -> Settings:
    """Read the settings of the project at ``root``. Reads one file; creates nothing.

    Args:
        root: the directory that holds ``headgate.toml``.
        environment: the process's environment, or what stands for it.
        profile: the profile to lay over the file; None takes ``HEADGATE_PROFILE``.

    Raises:
        Invalid: ``bad-settings-file``, ``unknown-setting``, ``bad-setting``.
        NotFound: ``unknown-profile``.
    """
    root = root.resolve()
    file = root / FILE_NAME
    document, source = read_document(file)
    layers = _Layers()
    layers.lay(document, Place(file=file.name, source=source), profiles=True)
    profile = profile or environment.get(_PROFILE) or None
    if profile is not None:
        place = Place(file=file.name, source=source, prefix=f"profile.{profile}.")
        layers.lay(_profile(document, profile, file), place, profiles=False)
    layers.lay_environment(environment)
    return layers.settled(root, profile)


class _Layers:
    """What was read so far: fields of Settings, each parsed; what is laid later wins."""

    def __init__(self) -> None:
        self._fields: dict[str, object] = {}
        self._parameters: dict[str, object] = {}
        self._connections: Mapping[str, Mapping[str, object]] = {}
        self._secret_options: Mapping[str, Mapping[str, object]] = {}
        self._overridden: tuple[str, ...] = ()

    def lay(self, document: Mapping[str, object], place: Place, *, profiles: bool) -> None:
        """Lay a document, or a profile in it, over what there is."""
        for section, content in document.items():
            if section not in _TABLES and not isinstance(content, dict):
                raise _homeless(section, place)
            if section not in _TABLES or (section == "profile" and not profiles):
                raise _unknown(section, place, (f"[{name}]" for name in _TABLES), section=True)
            if not isinstance(content, dict):
                raise Invalid(
                    "bad-setting",
                    f"{place.of(section)}: {section} is a table of settings, not a value.",
                    hint=f"Write [{section}] on a line of its own, its settings below it.",
                    setting=section,
                )
            self._lay_section(section, content, place)

    def _lay_section(self, section: str, content: Mapping[str, object], place: Place) -> None:
        if section == "parameters":
            self._lay_parameters(content)
        elif section == "connections":
            named = parsed_connections(content, place.of)
            self._connections = laid_over(self._connections, named)
        elif section == "secrets":
            options = {name: each for name, each in content.items() if isinstance(each, dict)}
            self._secret_options = laid_over(self._secret_options, options)
            plain = {name: each for name, each in content.items() if name not in options}
            self._set_all(section, plain, place)
        elif section != "profile":
            self._set_all(section, content, place)

    def lay_environment(self, environment: Mapping[str, str]) -> None:
        """Lay the environment's variables over what there is."""
        variables = {key.variable: key for key in KEYS}
        for variable in sorted(each for each in environment if each.startswith(_PREFIX)):
            key = variables.get(variable)
            if key is not None:
                place = Place(file=f"environment variable {variable}", source="")
                self._set(key.name, key.from_text(environment[variable]), place)
            elif variable != _PROFILE and not variable.startswith(_FREE):
                _refuse_misspelt(variable, variables)
        self._connections, self._overridden = of_environment(environment, self._connections)

    def settled(self, root: Path, profile: str | None) -> Settings:
        """Give the settings, with paths made absolute and what nobody set as it is by default."""
        fields = dict(self._fields)
        fields.setdefault("name", _name_of(root))
        for name, default in (("lake", "lake"), ("cache", f"{STATE_DIRECTORY}/cache")):
            place = str(fields.get(name, default))
            fields[name] = place if name == "lake" and is_address(place) else root / place
        metastore = fields.get("metastore")
        if metastore is not None and "://" not in str(metastore):
            fields["metastore"] = str(root / str(metastore))
        providers = tuple(dict.fromkeys((*PROVIDERS, *self._secret_options)))
        fields.setdefault("secret_providers", providers)
        if "temp_directory" in fields:
            fields["temp_directory"] = root / str(fields["temp_directory"])
        return Settings(
            root=root,
            profile=profile,
            logs=root / STATE_DIRECTORY / "logs",
            parameters=MappingProxyType(dict(self._parameters)),
            secret_options=self._secret_options,
            connections=self._connections,
            credentials=(
                *self._overridden,
                *plain_credentials(self._connections),
                *plain_credentials({"metastore": metastore or ""}),
            ),
            **fields,  # type: ignore[arg-type]  # each value was parsed by the Key of its field
        )

    def _lay_parameters(self, above: Mapping[str, object]) -> None:
        for name, value in above.items():
            under = self._parameters.get(name)
            both = isinstance(under, dict) and isinstance(value, dict)  # one step's, merged
            self._parameters[name] = {**under, **value} if both else value  # type: ignore[dict-item]

    def _set_all(self, table: str, content: Mapping[str, object], place: Place) -> None:
        """Set the settings of a table, and of those in it that settings are in."""
        for key, value in content.items():
            name = f"{table}.{key}"
            if isinstance(value, dict) and any(known.startswith(f"{name}.") for known in BY_NAME):
                self._set_all(name, value, place)
            else:
                self._set(name, value, place)

    def _set(self, name: str, value: object, place: Place) -> None:
        key = BY_NAME.get(name)
        if key is None:
            raise _unknown(name, place, BY_NAME, section=False)
        try:
            self._fields[key.field] = key.parse(value)
        except ValueError as error:
            raise Invalid(
                "bad-setting",
                f"{place.of(name)}: {name} takes {error}"
                + ("." if key.is_secret else f", not {_shown(value)}."),
                hint=_DOCUMENTATION,
                setting=name,
            ) from error


def _profile(document: Mapping[str, object], name: str, file: Path) -> Mapping[str, object]:
    profiles = document.get("profile", {})
    known = profiles if isinstance(profiles, dict) else {}
    layer = known.get(name)
    if isinstance(layer, dict):
        return layer
    meant = suggestion(name, known)
    listed = ", ".join(known) or "none"
    raise NotFound(
        "unknown-profile",
        f"{file.name} has no profile {name!r}; it has: {listed}.",
        hint=f"Did you mean {meant}?" if meant else f"Add a table [profile.{name}] to {file}.",
        profile=name,
    )


def _name_of(root: Path) -> str:
    """Give the directory's name, made into one that may name a step."""
    text = re.sub(r"[^\w-]+", "_", root.name).strip("_-")
    return text if re.match(r"[^\W\d]", text) else f"project_{text}".rstrip("_")


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


# -- what is no setting


def _unknown(name: str, place: Place, known: Iterable[str], *, section: bool) -> Invalid:
    shown = f"[{name}]" if section else name
    meant = suggestion(shown, known)
    return Invalid(
        "unknown-setting",
        f"{place.of(name)}: {shown} is no setting.",
        hint=f"Did you mean {meant}? {_DOCUMENTATION}" if meant else _DOCUMENTATION,
        setting=name,
    )


def _homeless(name: str, place: Place) -> Invalid:
    """Give the error for a key above all tables; its table is known if another has it."""
    homes = [key.partition(".")[0] for key in BY_NAME if key.partition(".")[2] == name]
    return Invalid(
        "unknown-setting",
        f"{place.of(name)}: {name} stands in no table.",
        hint=f"Write it under [{homes[0]}]." if homes else _DOCUMENTATION,
        setting=name,
    )


def _refuse_misspelt(variable: str, variables: Iterable[str]) -> None:
    """Refuse a variable that sets nothing, but stands in a section or looks like one that does.

    Others that begin with ``HEADGATE_`` are somebody else's.
    """
    bare = {name.removeprefix(_PREFIX): name for name in (*variables, _PROFILE)}
    close = suggestion(variable.removeprefix(_PREFIX), bare)
    starts = tuple(f"{_PREFIX}{section.upper()}_" for section in SECTIONS)
    if close is not None or variable.startswith(starts):
        raise Invalid(
            "unknown-setting",
            f"environment variable {variable} is no setting.",
            hint=f"Did you mean {bare[close]}? {_DOCUMENTATION}" if close else _DOCUMENTATION,
            setting=variable,
        )
