"""Settings: ``headgate.toml``, a profile and the environment, read once into one frozen value.

Weakest first: the defaults below, the file, the chosen ``[profile.NAME]``, ``HEADGATE_SECTION_KEY``
in the environment. ``KEYS`` is the whole list; ``docs/settings.md`` is compared with it by a test.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import cast

from headgate.errors import HeadgateError, Invalid, NotFound, Unavailable
from headgate.names import ref_name, step_name, suggestion
from headgate.project.connections import (
    CONNECTION_VARIABLE,
    SECRET_VARIABLE,
    laid_over,
    of_environment,
    parsed_connections,
)
from headgate.project.spans import span
from headgate.secrets import plain_credentials
from headgate.stores import is_address

FILE_NAME = "headgate.toml"
STATE_DIRECTORY = ".headgate"
PROFILE_VARIABLE = "HEADGATE_PROFILE"
ISOLATIONS = ("serializable", "snapshot-isolation", "fresh")
COMPACT_AFTER = 100
PROVIDERS = ("environment", "directory")
_PREFIX = "HEADGATE_"
_PARAMETERS = "HEADGATE_PARAM_"
_FREE = (_PARAMETERS, CONNECTION_VARIABLE, SECRET_VARIABLE)
_DOCUMENTATION = "Every setting is listed in docs/settings.md."
_SIZE = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?B|%)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a project is configured to do. Paths are absolute; ``root`` holds ``headgate.toml``.

    ``lake`` is a directory, or the URL of a place in an object store, which ``endpoint``,
    ``region`` and ``allow_http`` say how to reach; credentials are no settings.
    ``pipelines`` names files and directories relative to ``root``; empty means: find them.
    ``parameters`` are the file's values for parameters that steps declare, not yet typed.
    ``connections`` are options of sources and sinks by the connection's name, secrets in them as
    ``Secret``; ``credentials`` what stands in the settings in plain and must not be said.
    """

    root: Path
    name: str
    profile: str | None = None
    pipelines: tuple[str, ...] = ()
    lake: Path | str
    metastore: str | None = field(default=None, repr=False)  # a URL may hold a password
    endpoint: str | None = None
    region: str | None = None
    allow_http: bool = False
    target: str = "main"
    compact_after: int = COMPACT_AFTER
    history: timedelta = timedelta(days=30)
    unfinished: timedelta = timedelta(days=14)
    grace: timedelta = timedelta(days=7)
    engine: str = "duckdb"
    memory: str = "60%"
    memory_limit: str | None = None
    threads: int | None = None
    temp_directory: Path | None = None
    isolation: str = "serializable"
    retries: int = 0
    workers: int | None = None
    cache: Path
    logs: Path
    parameters: Mapping[str, object] = field(default_factory=dict)
    secret_providers: tuple[str, ...] = PROVIDERS
    secret_options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    credentials: tuple[str, ...] = field(default=(), repr=False)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number, 1 or more")
    return value


def _tries(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - as the others
    return value


def _size(value: object) -> str:
    if not isinstance(value, str) or not _SIZE.match(value):
        raise ValueError('a size like "4GB", or a share of the memory like "60%"')
    return value


def _isolation(value: object) -> str:
    if value not in ISOLATIONS:
        raise ValueError("one of " + ", ".join(ISOLATIONS))
    return str(value)


def _step(value: object) -> str:
    return _named(value, step_name)


def _branch(value: object) -> str:
    return _named(value, ref_name)


def _named(value: object, check: Callable[[str], str]) -> str:
    try:
        return check(_text(value))
    except HeadgateError as error:
        raise ValueError("a name of letters, digits, '_' and '-'") from error


def _paths(value: object) -> tuple[str, ...]:
    if value == "auto":
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError('"auto", or a list of files and directories like ["flights.py"]')
    return tuple(value)


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError('a list of names like ["environment", "keyring"]')
    return tuple(value)


def _as_text(text: str) -> object:
    return text


def _as_number(text: str) -> object:
    return int(text) if text.strip().lstrip("-").isdecimal() else text


def _as_bool(text: str) -> object:
    return {"true": True, "false": False, "1": True, "0": False}.get(text.strip().lower(), text)


def _as_list(text: str) -> object:
    return text if text == "auto" else [part.strip() for part in text.split(",") if part.strip()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting: its name in the file, the field of Settings it fills, and what the page says."""

    name: str
    field: str
    default: str
    meaning: str
    parse: Callable[[object], object]
    from_text: Callable[[str], object] = _as_text
    is_secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "HEADGATE_" + self.name.upper().replace(".", "_")


KEYS = (
    Key(
        name="project.name",
        field="name",
        default="the directory's name",
        meaning="What the project calls itself in messages and records.",
        parse=_step,
    ),
    Key(
        name="project.pipelines",
        field="pipelines",
        default='"auto"',
        meaning="Files and directories that declare pipelines, relative to the project. "
        '"auto" takes every `.py` beside `headgate.toml` that imports headgate, tests left out.',
        parse=_paths,
        from_text=_as_list,
    ),
    Key(
        name="lake.location",
        field="lake",
        default='"lake"',
        meaning="The lake's directory, relative to the project, or absolute; or a place in an "
        "object store: `s3://BUCKET/PREFIX`.",
        parse=_text,
    ),
    Key(
        name="lake.metastore",
        field="metastore",
        default="in the lake's directory",
        meaning="The lake's database: `postgresql://USER@HOST/DATABASE?schema=NAME`, or a file on "
        "a local disk, relative to the project. A lake in an object store needs one. Passwords: "
        "`PGPASSWORD`, `~/.pgpass`, or within the URL.",
        parse=_text,
        is_secret=True,
    ),
    Key(
        name="lake.endpoint",
        field="endpoint",
        default="AWS's own",
        meaning="The URL of the object store's server, where it is not AWS's.",
        parse=_text,
    ),
    Key(
        name="lake.region",
        field="region",
        default="as AWS's tools find it",
        meaning="The region of the lake's bucket.",
        parse=_text,
    ),
    Key(
        name="lake.allow_http",
        field="allow_http",
        default="false",
        meaning="Whether the endpoint may be `http://`: what is sent can be read on the way.",
        parse=_yes_or_no,
        from_text=_as_bool,
    ),
    Key(
        name="lake.target",
        field="target",
        default='"main"',
        meaning="The branch that runs publish to and that readers see unless they name a ref.",
        parse=_branch,
    ),
    Key(
        name="lake.compact_after",
        field="compact_after",
        default=str(COMPACT_AFTER),
        meaning="With how many small files of about one size a partition of a table is compacted, "
        "behind the publication that makes them so many. 0: only by hand.",
        parse=_tries,
        from_text=_as_number,
    ),
    Key(
        name="lake.retention.history",
        field="history",
        default='"30d"',
        meaning="How long what readers of a branch saw is kept: `main@{...}`, and what can be "
        "reverted. Older commits keep their record and lose their tables to `headgate gc`.",
        parse=span,
    ),
    Key(
        name="lake.retention.unfinished",
        field="unfinished",
        default='"14d"',
        meaning="How long an unfinished or abandoned run is kept without a sign of life.",
        parse=span,
    ),
    Key(
        name="lake.retention.grace",
        field="grace",
        default='"7d"',
        meaning="How long what nothing holds stays marked before `headgate gc` deletes it.",
        parse=span,
    ),
    Key(
        name="engine.name",
        field="engine",
        default='"duckdb"',
        meaning="The engine that computes SQL steps, checks and queries.",
        parse=_text,
    ),
    Key(
        name="engine.memory",
        field="memory",
        default='"60%"',
        meaning='What all processes of the project on this machine may take together: "4GB", or a '
        "share of what the machine or its container has.",
        parse=_size,
    ),
    Key(
        name="engine.memory_limit",
        field="memory_limit",
        default="a part of `engine.memory`",
        meaning="The most memory the engine of one process may take, whatever `engine.memory` "
        'says: "4GB", or "60%" of the machine.',
        parse=_size,
    ),
    Key(
        name="engine.threads",
        field="threads",
        default="every core",
        meaning="How many threads the engine may use.",
        parse=_count,
        from_text=_as_number,
    ),
    Key(
        name="engine.temp_directory",
        field="temp_directory",
        default='"spill" in the cache',
        meaning="Where the engine spills what does not fit into memory; relative to the project. "
        "Each process has a directory of its own in it, which goes with it.",
        parse=_text,
    ),
    Key(
        name="run.isolation",
        field="isolation",
        default='"serializable"',
        meaning="What a run is protected from: `serializable`, `snapshot-isolation` or `fresh`.",
        parse=_isolation,
    ),
    Key(
        name="run.retries",
        field="retries",
        default="0",
        meaning="How often a step is tried again when the outside world did not answer.",
        parse=_tries,
        from_text=_as_number,
    ),
    Key(
        name="run.workers",
        field="workers",
        default="every core",
        meaning="How many steps of one run may work at the same time.",
        parse=_count,
        from_text=_as_number,
    ),
    Key(
        name="run.cache",
        field="cache",
        default='".headgate/cache"',
        meaning="Where parsed SQL is remembered, and what does not fit into memory is spilled. May "
        "be deleted when nothing runs.",
        parse=_text,
    ),
    Key(
        name="secrets.providers",
        field="secret_providers",
        default='["environment", "directory"], and those that have a table `[secrets.NAME]`',
        meaning="Who is asked for secrets, in this order: `environment`, `directory`, `env-file`, "
        "`keyring`, or what an installed package provides.",
        parse=_names,
        from_text=_as_list,
    ),
)
_BY_NAME = {key.name: key for key in KEYS}
_SECTIONS = tuple(dict.fromkeys(key.name.partition(".")[0] for key in KEYS))
_LOOSE = ("parameters", "connections")
_TABLES = (*_SECTIONS, *_LOOSE, "profile")


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
    document, source = _load(file)
    values: dict[str, object] = {}
    parameters: dict[str, object] = {}
    _take(document, _Place(file=file.name, source=source), values, parameters, profiles=True)
    profile = profile or environment.get(PROFILE_VARIABLE) or None
    if profile is not None:
        layer = _profile(document, profile, file)
        place = _Place(file=file.name, source=source, prefix=f"profile.{profile}.")
        _take(layer, place, values, parameters, profiles=False)
    _take_environment(environment, values)
    values["connections"], overridden = of_environment(environment, values.get("connections"))
    values["credentials"] = (
        *overridden,
        *plain_credentials(values["connections"]),
        *plain_credentials({"metastore": values.get("metastore", "")}),
    )
    return _settled(root, profile, values, parameters)


def _settled(
    root: Path, profile: str | None, values: Mapping[str, object], parameters: Mapping[str, object]
) -> Settings:
    fields = dict(values)
    fields.setdefault("name", _name_of(root))
    for name, default in (("lake", "lake"), ("cache", f"{STATE_DIRECTORY}/cache")):
        place = str(fields.get(name, default))
        fields[name] = place if name == "lake" and is_address(place) else root / place
    if "metastore" in fields and "://" not in str(fields["metastore"]):
        fields["metastore"] = str(root / str(fields["metastore"]))
    if "secret_providers" not in fields:
        options = cast("Mapping[str, object]", fields.get("secret_options", {}))
        fields["secret_providers"] = tuple(dict.fromkeys((*PROVIDERS, *options)))
    if "temp_directory" in fields:
        fields["temp_directory"] = root / str(fields["temp_directory"])
    return Settings(
        root=root,
        profile=profile,
        logs=root / STATE_DIRECTORY / "logs",
        parameters=MappingProxyType(dict(parameters)),
        **fields,  # type: ignore[arg-type]  # each value was parsed by the Key of its field
    )


def _name_of(root: Path) -> str:
    """Give the directory's name, made into one that may name a step."""
    text = re.sub(r"[^\w-]+", "_", root.name).strip("_-")
    return text if re.match(r"[^\W\d]", text) else f"project_{text}".rstrip("_")


def _load(file: Path) -> tuple[dict[str, object], str]:
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
class _Place:
    """Where values come from, so that an error can say the line."""

    file: str
    source: str
    prefix: str = ""

    def of(self, name: str) -> str:
        line = _line_of(self.source, self.prefix + name)
        return f"{self.file}, line {line}" if line else self.file


def _take(
    document: Mapping[str, object],
    place: _Place,
    values: dict[str, object],
    parameters: dict[str, object],
    *,
    profiles: bool,
) -> None:
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
        if section == "parameters":
            _lay_over(parameters, content)
        elif section == "connections":
            named = parsed_connections(content, place.of)
            values["connections"] = laid_over(values.get("connections"), named)
        elif section == "secrets":
            options = {name: each for name, each in content.items() if isinstance(each, dict)}
            values["secret_options"] = laid_over(values.get("secret_options"), options)
            plain = {name: each for name, each in content.items() if name not in options}
            _set_all(section, plain, place, values)
        elif section != "profile":
            _set_all(section, content, place, values)


def _set_all(
    table: str, content: Mapping[str, object], place: _Place, values: dict[str, object]
) -> None:
    """Set the settings of a table, and of those in it that settings are in."""
    for key, value in content.items():
        name = f"{table}.{key}"
        if isinstance(value, dict) and any(known.startswith(f"{name}.") for known in _BY_NAME):
            _set_all(name, value, place, values)
        else:
            _set(name, value, place, values)


def _lay_over(below: dict[str, object], above: Mapping[str, object]) -> None:
    for name, value in above.items():
        under = below.get(name)
        if isinstance(under, dict) and isinstance(value, dict):
            value = {**under, **value}  # noqa: PLW2901 - one step's parameters, merged
        below[name] = value


def _set(name: str, value: object, place: _Place, values: dict[str, object]) -> None:
    key = _BY_NAME.get(name)
    if key is None:
        raise _unknown(name, place, _BY_NAME, section=False)
    try:
        values[key.field] = key.parse(value)
    except ValueError as error:
        raise Invalid(
            "bad-setting",
            f"{place.of(name)}: {name} takes {error}"
            + ("." if key.is_secret else f", not {_shown(value)}."),
            hint=_DOCUMENTATION,
            setting=name,
        ) from error


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _unknown(name: str, place: _Place, known: Iterable[str], *, section: bool) -> Invalid:
    shown = f"[{name}]" if section else name
    meant = suggestion(shown, known)
    return Invalid(
        "unknown-setting",
        f"{place.of(name)}: {shown} is no setting.",
        hint=f"Did you mean {meant}? {_DOCUMENTATION}" if meant else _DOCUMENTATION,
        setting=name,
    )


def _homeless(name: str, place: _Place) -> Invalid:
    """Give the error for a key above all tables; its table is known if another has it."""
    homes = [key.partition(".")[0] for key in _BY_NAME if key.partition(".")[2] == name]
    return Invalid(
        "unknown-setting",
        f"{place.of(name)}: {name} stands in no table.",
        hint=f"Write it under [{homes[0]}]." if homes else _DOCUMENTATION,
        setting=name,
    )


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


def _take_environment(environment: Mapping[str, str], values: dict[str, object]) -> None:
    variables = {key.variable: key for key in KEYS}
    starts = tuple(f"HEADGATE_{section.upper()}_" for section in _SECTIONS)
    for variable in sorted(environment):
        if not variable.startswith(_PREFIX):
            continue
        key = variables.get(variable)
        if key is not None:
            place = _Place(file=f"environment variable {variable}", source="")
            _set(key.name, key.from_text(environment[variable]), place, values)
            continue
        own = variable == PROFILE_VARIABLE or variable.startswith(_FREE)
        bare = {name.removeprefix(_PREFIX): name for name in (*variables, PROFILE_VARIABLE)}
        close = None if own else suggestion(variable.removeprefix(_PREFIX), bare)
        meant = bare[close] if close is not None else None
        if variable.startswith(starts) or meant is not None:
            raise Invalid(
                "unknown-setting",
                f"environment variable {variable} is no setting.",
                hint=f"Did you mean {meant}? {_DOCUMENTATION}" if meant else _DOCUMENTATION,
                setting=variable,
            )


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
