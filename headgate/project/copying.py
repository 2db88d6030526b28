"""Copying rows from any source to any sink, without a lake of one's own.

The rows go through a lake that lives as long as the copy: so they are read, typed, normalised and
set aside as in every run, and reach the sink as one commit, whole or not at all.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from headgate.clock import Clock
from headgate.contracts import EVALUATOR
from headgate.errors import CheckFailed, HeadgateError
from headgate.events import Listener
from headgate.lake import Lake, table_key
from headgate.names import Ids
from headgate.pipelines import (
    DeclaredSink,
    Pipeline,
    SinkMode,
    SinkTable,
    SourceDeclaration,
    Step,
    named,
)
from headgate.project.addresses import Address
from headgate.project.engines import make_engine
from headgate.project.outside import Outside
from headgate.project.settings import STATE_DIRECTORY, Settings
from headgate.runs import Hall, Wiring, owner_name, quarantine_table, table_delivery
from headgate.sinks import Delivery, Position
from headgate.sinks import Setting as SinkSetting

COPY = "copy"
_ROWS = "rows"
_LAKE = "headgate-copy"
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy did: rows that came and went, and records that were no rows and stay behind."""

    rows: int
    left: int
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyManner:
    """How rows meet those that are there: in their place, beside them, or by key."""

    key: tuple[str, ...] = ()
    append: bool = False

    @property
    def table(self) -> SinkTable:
        """The one table, as a sink's."""
        mode: SinkMode = "insert" if self.append else "upsert" if self.key else "replace"
        return SinkTable(table=_ROWS, to="", mode=mode, key=self.key)


def settings_without_project(here: Path, ids: Ids) -> Settings:
    """Give the settings of a copy outside of every project: paths are relative to ``here``.

    Its cache is its own, and goes with it.
    """
    state = here / STATE_DIRECTORY / f"{COPY}-{ids.run_id()}"
    return Settings(root=here, name=COPY, lake=state, cache=state, logs=state / "logs")


def copy_rows(
    origin: Address,
    destination: Address,
    manner: CopyManner,
    *,
    settings: Settings,
    environment: Mapping[str, str],
    clock: Clock,
    ids: Ids,
    listeners: Iterable[Listener] = (),
    rejects: Path | None = None,
) -> Copied:
    """Copy all rows of a source to a table or a file, whole or not at all.

    Args:
        origin: where rows come from.
        destination: where they go.
        manner: how they meet what is there.
        settings: whose connections, secrets and engine are used.
        environment: where secrets may be.
        clock: measures.
        ids: names what is made on the way.
        listeners: hear how far it is.
        rejects: a file for records that are no rows, as JSON lines; without it, they are refused.

    Raises:
        CheckFailed: ``copy-malformed``: nothing was copied.
        StepFailed, NotFound, Unavailable, Invalid, ...: what source and sink raise; the destination
            is as it was.
    """
    began_s = clock.monotonic_s()
    outside = Outside(settings, environment)
    scratch = settings.cache / COPY / ids.run_id()
    with ExitStack() as stack:
        stack.callback(_tidy, scratch, settings)
        scratch.mkdir(parents=True)
        engine = make_engine(settings, ids)
        stack.callback(engine.close)
        lake = stack.enter_context(Lake.create(scratch / "lake", clock=clock, ids=ids))
        wiring = Wiring(
            lake=lake,
            engine=lambda: engine,
            clock=clock,
            ids=ids,
            root=settings.root,
            cache=scratch / "cache",
            owner=owner_name(),
            source=outside.source,
            listeners=tuple(listeners),
            reveal=outside.reveal,
            redaction=outside.redaction,
        )
        _read(wiring, f"{settings.engine}/{EVALUATOR}", origin)
        left = _left(wiring, origin, rejects)
        try:
            rows = _deliver(wiring, outside, destination, manner, settings)
        except HeadgateError as error:
            error.readers = "Nothing was copied."
            if "headgate deliver" in (error.hint or ""):
                error.hint = "Copy again when that is mended."
            raise
    return Copied(rows=rows, left=left, wall_s=clock.monotonic_s() - began_s)


def _read(wiring: Wiring, evaluator: str, origin: Address) -> None:
    """Read the source into the passing lake; who made a copy has not heard of steps and runs."""
    try:
        Hall(wiring, evaluator=evaluator).run(_pipeline(origin), target=wiring.lake.main)
    except HeadgateError as error:
        error.message = error.message.removeprefix(f"Step {COPY}: ")
        error.readers = "Nothing was copied."
        first = (error.hint or "").partition("\n")[0]
        error.hint = None if not first or "headgate " in first else first
        raise


def _tidy(scratch: Path, settings: Settings) -> None:
    """Take away what was made on the way; outside of a project all that there is of it."""
    if settings.lake != settings.cache:
        shutil.rmtree(scratch, ignore_errors=True)
        return
    shutil.rmtree(settings.cache, ignore_errors=True)
    with suppress(OSError):  # others copy in this directory, too
        settings.cache.parent.rmdir()


def _pipeline(origin: Address) -> Pipeline:
    declared = SourceDeclaration(kind=origin.kind, options=origin.options)
    return named(COPY, (Step(name=COPY, table=_ROWS, source=declared),))


def _left(wiring: Wiring, origin: Address, rejects: Path | None) -> int:
    """Put records that are no rows into a file, or refuse them all."""
    lake = wiring.lake
    entry = lake.tree(wiring.head(lake.main)).get(table_key(quarantine_table(_ROWS)))
    if entry is None or entry.table is None or not entry.table.rows:
        return 0
    with closing(wiring.engine().session()) as session:
        reader = session.reader(lake.tables.scan(entry))
        found = reader.read_all().select(["position", "payload", "checks"]).to_pylist()
    if rejects is not None:
        lines = (json.dumps(each, ensure_ascii=False) for each in found)
        rejects.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return len(found)
    places = ", ".join(str(each["position"]) for each in found[:_SHOWN])
    raise CheckFailed(
        "copy-malformed",
        f"{len(found):,} of the records in {origin.shown} are no rows, for example {places}.",
        readers="Nothing was copied.",
        hint="Mend them, or have them put aside:  --rejects rejects.jsonl",
        rows=len(found),
    )


def _deliver(
    wiring: Wiring, outside: Outside, destination: Address, manner: CopyManner, settings: Settings
) -> int:
    head = wiring.head(wiring.lake.main)
    table = replace(manner.table, to=destination.table)
    declared = DeclaredSink(
        name=COPY, kind=destination.kind, options=destination.options, tables=(table,)
    )
    setting = SinkSetting(
        name=COPY,
        lake=_LAKE,
        root=settings.root,
        cache=wiring.cache,
        clock=wiring.clock,
        reveal=outside.reveal,
    )
    sink = outside.sink(destination.kind, destination.options, setting)
    with closing(sink), closing(wiring.engine().session()) as session:
        made = table_delivery(wiring, session, declared, table, commit=head, number=0, is_new=True)
        after = sink.position() if sink.remembers else None
        number = after.number + 1 if after is not None else 1
        position = Position(commit=head.id, number=number)
        counts = sink.deliver(
            Delivery(
                position=position,
                after=after,
                published=head.record.at,
                branch=wiring.lake.main,
                tables=() if made is None else (replace(made, whole=not manner.append),),
            )
        )
        sink.place(None)  # a copy is no sink that goes on: the destination need not remember it
    return sum(counts.values())
