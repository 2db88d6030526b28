"""Declared sinks are looked at before anything begins: what is wrong with them is said then.

Nothing outside is met and no driver is loaded; what only the tables themselves can tell, which are
not there yet, is told when they are delivered.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from headgate.contracts import ContractSpec
from headgate.errors import HeadgateError, Invalid, NotFound
from headgate.lake import Lake, table_key
from headgate.names import suggestion
from headgate.pipelines import Declared, DeclaredSink, SinkTable, Step
from headgate.project.opened import Opened
from headgate.project.plugins import plugin
from headgate.sinks import Setting

if TYPE_CHECKING:
    from headgate.sinks import Sink


def check_sinks(opened: Opened, declared: Declared) -> None:
    """Refuse sinks that nothing could be delivered to, whatever is published.

    Raises:
        Invalid: ``bad-option``, ``unknown-option``, ``sink-key-missing``, ``sink-key-unknown``,
            ``sink-not-made``; what else a kind refuses.
        NotFound: ``unknown-plugin``, ``unknown-connection``, ``sink-tables-unknown``.
        Unavailable: ``broken-plugin``.
    """
    for error in sink_errors(opened, declared):
        raise error


def sink_errors(opened: Opened, declared: Declared) -> Iterator[HeadgateError]:
    """Give what is wrong with the sinks, one error a sink."""
    steps = {table: step for step in declared.steps for table in step.tables}
    for sink in declared.sinks:
        try:
            _check_options(opened, sink)
            _check_tables(opened, sink, steps)
            for table in sink.tables:
                if (step := steps.get(table.table)) is not None and step.table == table.table:
                    _check_key(table, step)
        except HeadgateError as error:
            error.message = f"Sink {sink.name}{_place(sink)}: {error.message}"
            error.facts = {"sink": sink.name, **error.facts}
            yield error


def _check_options(opened: Opened, sink: DeclaredSink) -> None:
    """Look at a sink's options, without its driver where the kind has a ``check`` for that."""
    outside, settings = opened.outside, opened.settings
    setting = Setting(
        name=sink.name,
        lake="",
        root=settings.root,
        cache=settings.cache / "sinks",
        reveal=outside.reveal,
    )
    make = cast("Callable[..., Sink]", plugin("headgate.sinks", sink.kind))
    options = outside.options(sink.options)
    check = cast("Callable[[object], object] | None", getattr(make, "check", None))
    try:
        if check is not None:
            check(options)
        else:
            make(options, setting).close()
    except HeadgateError as error:
        raise outside.redaction.error(error) from None
    except Exception as error:  # noqa: BLE001 - a stranger's kind: whatever it raises is told
        raise Invalid(
            "sink-not-made",
            f"No sink of the kind {sink.kind} can be made of its options:"
            f" {type(error).__name__}: {outside.redaction.text(str(error))}",
            hint="Look at what it is declared with.",
            kind=sink.kind,
        ) from None


def _check_tables(opened: Opened, sink: DeclaredSink, steps: Iterable[str]) -> None:
    """Refuse tables of which none is made by a step, or is in the lake."""
    made = set(steps)
    named = [table.table for table in sink.tables]
    if made.intersection(named):
        return
    known = [*steps, *_in_the_lake(opened, sink, named)]
    if set(known).intersection(named):
        return
    meant = {name: found for name in named if (found := suggestion(name, known))}
    raise NotFound(
        "sink-tables-unknown",
        f"There is no table {' or '.join(named)}: no step makes one, and the lake has none.",
        hint=f"Did you mean {', '.join(meant.values())}?"
        if meant
        else f"Steps make {', '.join(sorted(made)) or 'none'}.",
        tables=named,
    )


def _in_the_lake(opened: Opened, sink: DeclaredSink, named: Sequence[str]) -> list[str]:
    """Give which of the tables a sink's branch has now; where there is no lake yet, none."""
    try:
        lake: Lake = opened.lake
        tree = lake.tree(lake.resolve(sink.branch or opened.settings.target))
    except NotFound:
        return []
    return [name for name in named if tree.get(table_key(name)) is not None]


def _check_key(table: SinkTable, step: Step) -> None:
    """Refuse a key that is missing, or has columns that the step's contract does not know."""
    key = table.key or (step.key if table.mode in {None, "upsert"} else ())
    if table.mode == "upsert" and not key:
        raise Invalid(
            "sink-key-missing",
            f"It is to change rows of {table.table} by key, and nobody said by which columns they"
            " are known.",
            hint='Add key="column" to the sink, or to the step that makes the table.',
            table=table.table,
        )
    columns = _columns(step.contract)
    strange = [name for name in key if columns and name not in columns]
    if strange:
        meant = suggestion(strange[0], columns)
        raise Invalid(
            "sink-key-unknown",
            f"It knows rows of {table.table} by {', '.join(strange)}, which the contract of"
            " the table does not have.",
            hint=f"Did you mean {meant}?" if meant else f"It has {', '.join(columns)}.",
            table=table.table,
        )


def _columns(contract: ContractSpec | None) -> list[str]:
    """Give the columns a table can have; none where others may come along."""
    if contract is None or contract.undeclared == "keep":
        return []
    return [column.name for column in contract.columns]


def _place(sink: DeclaredSink) -> str:
    return f" ({sink.place})" if sink.place is not None else ""
