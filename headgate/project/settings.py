"""Settings: what a project is configured to do, as one frozen value.

``setting_keys`` lists what can be set, ``reading_settings`` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

STATE_DIRECTORY = ".headgate"
COMPACT_AFTER = 100
PROVIDERS = ("environment", "directory")


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
