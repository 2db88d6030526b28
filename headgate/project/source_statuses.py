"""How far each declared source was read, as history has it: no source is asked.

A source that is unreachable, or whose library is missing, is listed like any other.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from headgate.errors import HeadgateError, NotFound
from headgate.lake import Commit, Entry, Lake, Tree, cursor_key, step_key, table_key
from headgate.pipelines import Step
from headgate.project.opened import Opened
from headgate.runs import last_output
from headgate.sources import Description, Reserving, Setting, Source, how_far

Maker: TypeAlias = Callable[[str, Mapping[str, object], Setting], Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """A declared source: what it is, where its rows go, how far it was read.

    ``cursor`` is the whole cursor as text, None before the first commit, and where the source has
    none; ``read_to`` says it for people. ``rows``, ``rows_quarantined``, ``commit`` and ``read_at``
    are those of its last commit; ``age`` is how long ago that was. ``facts`` say more of the
    source, without secrets. ``problem`` says why it cannot be described.
    """

    name: str
    kind: str
    title: str
    table: str
    pipeline: str
    mode: str
    cursor: str | None = None
    read_to: str | None = None
    rows: int | None = None
    rows_quarantined: int | None = None
    commit: str | None = None
    read_at: datetime | None = None
    age: timedelta | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None


def source_statuses(opened: Opened, *, ref: str, ask: str | None = None) -> Iterator[SourceStatus]:
    """Give every source that a project's pipelines read, in their order.

    Asks none what is kept outside for it but the one that is named; does no other I/O outside.

    Raises:
        NotFound: ``unknown-ref``. What the asked source raises.
    """
    make, reveal = opened.outside.source, opened.outside.reveal
    root, cache = opened.settings.root, opened.settings.cache / "sources"
    now = opened.clock.now()
    try:
        lake: Lake | None = opened.lake
    except NotFound:  # nothing was ever run
        lake = None
    tree = lake.tree(lake.resolve(ref)) if lake is not None else None
    for pipeline in opened.discovery.declared.pipelines:
        for step in pipeline.steps:
            if step.source is not None:
                mine = Setting(
                    root=root,
                    cache=cache,
                    reveal=reveal,
                    owner=(pipeline.name, step.name, ref),
                    lake=lake.id if lake is not None else "",
                )
                status = _status(pipeline.name, step, make, mine, lake, tree, now)
                yield _asked(status, step, make, mine) if ask == step.name else status


def _asked(status: SourceStatus, step: Step, make: Maker, setting: Setting) -> SourceStatus:
    """Add what a source that reserves something outside says of it."""
    if step.source is None or step.function is not None:
        return status
    with closing(make(step.source.kind, dict(step.source.options), setting)) as source:
        if not isinstance(source, Reserving):
            return status
        cursor = source.cursor(status.cursor) if status.cursor is not None else None
        return replace(status, facts={**status.facts, **source.reserved(cursor)})


def _status(
    pipeline: str,
    step: Step,
    make: Maker,
    setting: Setting,
    lake: Lake | None,
    tree: Tree | None,
    now: datetime,
) -> SourceStatus:
    cursor = _data(tree, cursor_key(pipeline, step.name))
    description, problem, read_to = _described(step, make, setting, cursor)
    made = _last(lake, tree, pipeline, step)
    commit, rows, aside = made if made is not None else (None, None, None)
    return SourceStatus(
        name=step.name,
        kind=description.kind,
        title=description.title,
        table=step.table or "",
        pipeline=pipeline,
        mode=step.mode,
        cursor=cursor,
        read_to=read_to,
        rows=rows,
        rows_quarantined=aside,
        commit=commit.id if commit is not None else None,
        read_at=commit.record.at if commit is not None else None,
        age=now - commit.record.at if commit is not None else None,
        facts=description.facts,
        problem=problem,
    )


def _described(
    step: Step, make: Maker, setting: Setting, cursor: str | None
) -> tuple[Description, str | None, str | None]:
    """Give what a source is, why that cannot be said, and how far it was read in words."""
    source = step.source
    kind = source.kind if source is not None else ""
    options = dict(source.options) if source is not None else {}
    by_itself = how_far(kind, cursor) if cursor is not None else None
    if step.function is not None:
        title = f"{step.function.__name__}()"
        facts = {"declared": str(step.place)} if step.place is not None else {}
        return Description(kind=kind, title=title, facts=facts), None, by_itself
    try:
        with closing(make(kind, options, setting)) as made:
            read_to = how_far(kind, cursor, made) if cursor is not None else None
            return made.describe(), None, read_to
    except HeadgateError as error:
        return Description(kind=kind, title="?"), error.message, by_itself


def _last(
    lake: Lake | None, tree: Tree | None, pipeline: str, step: Step
) -> tuple[Commit, int, int] | None:
    """Give the commit in which the source's rows last came in, and how many."""
    if lake is None or tree is None or tree.get(table_key(step.table or "")) is None:
        return None
    data = _data(tree, step_key(pipeline, step.name))
    run = lake.metastore.run(last_output(data).origin) if data is not None else None
    commit = lake.metastore.commit(run.commit) if run is not None and run.commit else None
    if commit is None:
        return None
    found = next((each for each in commit.record.steps if each.step == step.name), None)
    return (commit, found.rows_out, found.rows_quarantined) if found is not None else None


def _data(tree: Tree | None, key: str) -> str | None:
    entry: Entry | None = tree.get(key) if tree is not None else None
    return entry.data if entry is not None else None
