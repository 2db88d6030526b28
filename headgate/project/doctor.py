"""The doctor: looks at project, lake and machine, and says what to do about each finding."""

import platform
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import headgate
from headgate.clock import Clock
from headgate.errors import Corrupt, HeadgateError, NotFound
from headgate.lake import Entry, Lake, RunState
from headgate.project.declared_sinks import sink_errors
from headgate.project.declared_sources import source_errors
from headgate.project.findings import Finding, Level
from headgate.project.life import life
from headgate.project.opened import Opened
from headgate.project.plain_credentials import lines_with_credentials
from headgate.project.settings import Settings
from headgate.project.settings_file import FILE_NAME
from headgate.stores import Bucket

_LIBRARIES = ("duckdb", "polars", "pyarrow", "pyiceberg", "sqlglot", "msgspec", "pandas")
_LITTLE_SPACE = 0.05
_SHOWN = 10


def examine(opened: Opened, *, files: bool = False) -> Iterator[Finding]:
    """Give the findings one by one; with ``files`` every data file is read and compared."""
    settings, clock = opened.settings, opened.clock
    yield _machine()
    yield _libraries()
    yield from _declarations(opened)
    yield from _credentials(settings)
    try:
        lake = opened.lake
    except HeadgateError as error:
        yield _trouble("lake", error)
        return
    yield from _metastore(lake)
    damaged = [_trouble("history", error) for error in lake.verify(every_tree=files)]
    yield from damaged
    if damaged:  # what hangs from damaged commits and trees cannot be read
        return
    yield _target(lake, settings.target)
    yield from life(settings, lake, clock)
    yield _disk(lake)
    yield from _runs(lake, clock)
    yield from _tables(lake, files=files)


def _trouble(what: str, error: HeadgateError) -> Finding:
    harmless = what == "pipelines" or isinstance(error, NotFound)
    level: Level = "note" if harmless and not isinstance(error, Corrupt) else "bad"
    return Finding(what=what, level=level, found=error.message, hint=error.hint)


def _machine() -> Finding:
    return Finding(
        what="machine",
        level="ok",
        found=f"headgate {headgate.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}",
    )


def _libraries() -> Finding:
    found = {name: _version(name) for name in _LIBRARIES}
    missing = [name for name, there in found.items() if there is None and name != "pandas"]
    return Finding(
        what="libraries",
        level="note" if missing else "ok",
        found=", ".join(f"{name} {there}" for name, there in found.items() if there),
        hint=f"Missing: {', '.join(missing)}. pip install --upgrade headgate" if missing else None,
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _declarations(opened: Opened) -> Iterator[Finding]:
    settings = opened.settings
    profile = f", profile {settings.profile}" if settings.profile else ""
    yield Finding(what="settings", level="ok", found=f"{settings.root / FILE_NAME}{profile}")
    try:
        declared = opened.discovery.declared
    except HeadgateError as error:
        yield _trouble("pipelines", error)
        return
    shown = ", ".join(f"{each.name} ({len(each.steps)} steps)" for each in declared.pipelines)
    yield Finding(
        what="pipelines",
        level="ok" if shown else "note",
        found=shown or "none are declared",
        hint=None if shown else f"Declare steps in a .py beside {FILE_NAME}.",
    )
    for each in source_errors(opened, declared.steps):
        yield Finding(what="sources", level="note", found=each.message, hint=each.hint)
    for each in sink_errors(opened, declared):
        yield Finding(what="sinks", level="note", found=each.message, hint=each.hint)


def _credentials(settings: Settings) -> Iterator[Finding]:
    """Say where passwords are written in plain; a repository keeps them for ever."""
    lake = (settings.lake,) if isinstance(settings.lake, Path) else ()
    found = list(lines_with_credentials(settings.root, besides=lake))
    if not found:
        yield Finding(what="secrets", level="ok", found="no password is written in plain")
        return
    shown = ", ".join(f"{file}:{line}" for file, line in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    yield Finding(
        what="secrets",
        level="note",
        found=f"a password or token is written in plain: {shown}{more}",
        hint='Name it, hg.secret("shop") or { secret = "shop" }, and put its value where '
        "secrets.providers look. If it was committed, it is known: change it.",
    )


def _metastore(lake: Lake) -> Iterator[Finding]:
    facts = lake.metastore.describe()
    yield Finding(
        what="lake",
        level="ok",
        found=f"{lake.storage.location}, format {facts['format']}, id {facts['id']}",
    )
    problems = lake.metastore.check()
    yield Finding(
        what="metastore",
        level="bad" if problems else "ok",
        found="; ".join(problems[:_SHOWN]) or f"{facts['database']}, whole",
        hint="Restore the metastore's file from a backup." if problems else None,
    )


def _target(lake: Lake, name: str) -> Finding:
    try:
        target = lake.branch(name)
    except NotFound as error:
        return _trouble("target", error)
    return Finding(
        what="target",
        level="ok" if target.protected else "note",
        found=f"{target.name} at {target.head[:6]}, "
        + ("protected" if target.protected else "not protected"),
        hint=None
        if target.protected
        else f"headgate branch protect {target.name}  lets only publications move it.",
    )


def _disk(lake: Lake) -> Finding:
    if lake.storage.store is not None:
        return _object_store(lake.storage.store)
    space = shutil.disk_usage(lake.location)
    little = space.free < _LITTLE_SPACE * space.total
    return Finding(
        what="disk",
        level="note" if little else "ok",
        found=f"{space.free / 1e9:,.1f} GB of {space.total / 1e9:,.1f} GB free",
        hint="A full disk makes runs fail; nothing published is lost by it." if little else None,
    )


def _object_store(store: Bucket) -> Finding:
    try:
        store.check()
    except HeadgateError as error:
        return _trouble("object store", error)
    at = store.options.endpoint or f"AWS, {store.options.region or 'region not named'}"
    return Finding(what="object store", level="ok", found=f"{store.url} answers at {at}")


def _runs(lake: Lake, clock: Clock) -> Iterator[Finding]:
    now = clock.now()
    metastore = lake.metastore
    working = metastore.runs(states=(RunState.RUNNING, RunState.PUBLISHING))
    dead = [run for run in working if run.lease_until < now]
    waiting = metastore.runs(states=(RunState.FAILED, RunState.PARKED))
    for run in dead[:_SHOWN]:
        yield Finding(
            what=f"run {run.id[:6]}",
            level="note",
            found=f"gave no sign of life since {run.lease_until:%Y-%m-%d %H:%M:%S} UTC",
            hint=f"headgate resume {run.id[:6]}  goes on with it.",
        )
    counted = (
        f"{len(working) - len(dead)} at work, {len(dead)} dead, {len(waiting)} failed or parked"
    )
    yield Finding(
        what="runs",
        level="ok",
        found=counted,
        hint="headgate status  lists them." if waiting else None,
    )


def _tables(lake: Lake, *, files: bool) -> Iterator[Finding]:
    """Look at every table that a branch or a tag reaches, each version of it once."""
    branches = sorted(lake.branches(), key=lambda each: (not each.protected, each.name))
    heads = {branch.name: branch.head for branch in branches}
    heads |= {tag.name: tag.commit for tag in lake.tags()}
    seen: dict[str, tuple[str, str, Entry]] = {}
    for ref, head in heads.items():
        for key, entry in lake.tree(lake.commit(head)).items("table/"):
            if entry.table is not None:
                name = key.removeprefix("table/")
                seen.setdefault(entry.table.metadata, (name, ref, entry))
    count, size = 0, 0
    stale: dict[str, tuple[str, ...]] = {}
    for name, ref, entry in seen.values():
        count, size = count + 1, size + (entry.table.size_bytes if entry.table else 0)
        if entry.stale:
            stale[name] = entry.stale
        problems = lake.tables.verify(entry, checksums=files)
        for problem in problems[:_SHOWN]:
            yield Finding(
                what=f"{name} at {ref}",
                level="bad",
                found=problem.message,
                hint="Restore it from a backup, take back the run that wrote it (headgate revert), "
                "or compute the table again:  headgate run --force",
            )
    yield from _stale(stale)
    read = "every byte read" if files else "lengths compared;  --files  reads every byte"
    yield Finding(
        what="tables",
        level="ok",
        found=f"{count:,} versions of tables, {size / 1e6:,.1f} MB, {read}",
    )


def _stale(stale: Mapping[str, tuple[str, ...]]) -> Iterator[Finding]:
    for table, runs in stale.items():
        yield Finding(
            what=table,
            level="note",
            found=f"was computed from rows that were taken back: {', '.join(runs)}",
            hint="headgate run  computes it again.",
        )
