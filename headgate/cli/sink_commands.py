"""Sinks: ``deliver`` and ``sinks``; and what a run says of its deliveries."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from headgate.cli.exit_codes import exit_code
from headgate.cli.options import Call, command, error_document, error_words, named
from headgate.cli.phrases import counted, duration, instant, short
from headgate.cli.shown_by_name import ShownByName
from headgate.cli.tables import aligned
from headgate.errors import HeadgateError
from headgate.lake import RunState

if TYPE_CHECKING:
    from headgate.project import SinkDetails
    from headgate.runs import Delivered, RunResult, SinkState, TableAtSink


@click.command()
@click.argument("names", metavar="[SINK]...", nargs=-1)
@command()
def deliver(call: Call, names: tuple[str, ...]) -> None:
    """Deliver to sinks every published commit that they lack.

    Each commit arrives once, in order; all sinks if none is named. Whoever is interrupted, or
    killed, has lost nothing: the next  headgate deliver  goes on. Runs deliver by themselves.
    """
    told = _Told(call)
    delivered = call.project.deliver(*names, done=told.done, failed=told.failed)
    if call.json:
        call.terminal.document(told.document())
    elif not delivered and not told.errors:
        call.terminal.words("Nothing to deliver.")
    for name, error in told.errors.items():
        call.terminal.words(f"{name}:")
        for line in error_words(call.terminal, error):
            call.terminal.words(line)
    if told.errors:
        click.get_current_context().exit(exit_code(next(iter(told.errors.values()))))


@click.group(cls=ShownByName, invoke_without_command=True)
@command()
def sinks(call: Call) -> None:
    """List sinks and how far each is; show, reset or drop one."""
    if click.get_current_context().invoked_subcommand is None:
        _list(call)


@sinks.command("list")
@command()
def list_sinks(call: Call) -> None:
    """List sinks: the commit each one has, and how many are to come.

    A sink that does not answer is told as it was last known.
    """
    _list(call)


@sinks.command("show")
@click.argument("name", metavar="SINK")
@command()
def show_sink(call: Call, name: str) -> None:
    """Show a sink: where it is, its tables, how far it is, and why it is no further.

    The last failure is told where it happened on this machine. No secrets.
    """
    details = call.project.sink(name)
    if call.json:
        call.terminal.document(details_document(details))
        return
    state = details.state
    call.terminal.data(f"{call.terminal.style_data(state.name, 'strong')}: {state.title}")
    for label, value in _facts(details):
        if value:
            call.terminal.data(f"  {label}: {value}")
    for table in details.tables:
        call.terminal.data(f"{table.table} as {table.to}: {_manner(table)}")
        for line in aligned(("column", "type"), table.columns):
            call.terminal.data(f"  {line}")
    call.terminal.out.flush()  # what follows goes to the other stream
    for error in (state.error, *(table.error for table in details.tables)):
        if error is not None:
            for text in error_words(call.terminal, error):
                call.terminal.words(text)


@sinks.command("reset")
@click.argument("name", metavar="SINK")
@click.option(
    "--to", metavar="REF", callback=named, help="Its tables are like those of this ref already."
)
@command()
def reset(call: Call, name: str, to: str | None) -> None:
    """Have a sink begin anew: the next delivery brings its tables whole.

    With --to nothing is sent again: deliveries go on after that ref.
    """
    call.project.reset_sink(name, to=to)
    said = f"goes on after {to}" if to else "begins anew with whole tables"
    if call.json:
        call.terminal.document({"sink": name, "to": to})
    call.terminal.words(f"{name} {said}:  headgate deliver {name}")


@sinks.command("drop")
@click.argument("name", metavar="SINK")
@command()
def drop(call: Call, name: str) -> None:
    """Keep no history for a sink any more.

    What was delivered stays where it is.
    """
    call.project.drop_sink(name)
    if call.json:
        call.terminal.document({"sink": name, "dropped": True})
    call.terminal.words(f"The lake keeps nothing for {name} any more.")


def deliver_after(call: Call, result: "RunResult") -> dict[str, object]:
    """Deliver what a run has published, say so, and give it as JSON. Fails nothing.

    What could not be delivered is said, with the next command; readers of the lake see it anyway.
    """
    told = _Told(call)
    try:
        if call.project.discovery.declared.sinks:
            call.project.deliver(
                branch=result.target,
                is_new=result.state is RunState.PUBLISHED,
                done=told.done,
                failed=told.failed,
            )
    except HeadgateError as unasked:  # the sinks are not known, or the lake is closed
        told.failed("sinks", unasked)
    for name, error in told.errors.items():
        said = call.terminal.style(f"Not delivered to {name}:", "notice")
        call.terminal.words(f"{said} {error.message}")
        again = f"Again:   headgate deliver {name}"
        call.terminal.words(again if error.category == "unavailable" else error.hint or again)
    return told.document()


class _Told:
    """Tells people each commit as it arrives, and keeps what programs are told."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._delivered: list[Delivered] = []
        self.errors: dict[str, HeadgateError] = {}

    def done(self, delivered: "Delivered") -> None:
        self._delivered.append(delivered)
        if delivered.rows and not self._call.json:
            tables = ", ".join(
                f"{table} {counted(rows, 'row')}" for table, rows in delivered.rows.items()
            )
            took = f", {duration(delivered.wall_s)}" if delivered.wall_s >= 1 else ""
            self._call.terminal.words(
                f"Delivered commit {short(delivered.commit)} to {delivered.sink}: {tables}{took}"
            )

    def failed(self, name: str, error: HeadgateError) -> None:
        self.errors[name] = error

    def document(self) -> dict[str, object]:
        return {
            "delivered": [
                {
                    "sink": each.sink,
                    "commit": each.commit,
                    "number": each.number,
                    "published": each.published.isoformat(),
                    "rows": dict(each.rows),
                    "wall_s": each.wall_s,
                }
                for each in self._delivered
            ],
            "undelivered": {name: error_document(error) for name, error in self.errors.items()},
        }


def _list(call: Call) -> None:
    states = call.project.sinks()
    if call.json:
        call.terminal.document({"sinks": [state_document(state) for state in states]})
        return
    if not states:
        call.terminal.words('No sinks. Declare one:  NAME = hg.sink("sqlite", path=...)')
        return
    rows = [
        (
            state.name,
            state.title,
            short(state.has.commit) if state.has else "",
            _behind(state),
            _state(state),
        )
        for state in states
    ]
    width = call.terminal.width if call.terminal.out_is_live else None
    for line in aligned(("sink", "where", "has", "behind", ""), rows, width=width):
        call.terminal.data(line)
    call.terminal.out.flush()  # what follows goes to the other stream
    late = [state.name for state in states if state.behind and state.error is None]
    if late:
        call.terminal.words(f"To go on:  headgate deliver {' '.join(late)}")
    for state in states:
        if state.error is not None:
            call.terminal.words(f"{state.name}:")
            for text in error_words(call.terminal, state.error):
                call.terminal.words(text)
        elif not state.declared:
            call.terminal.words(
                f"{state.name} is not declared any more. To keep no history for it:"
                f"  headgate sinks drop {state.name}"
            )


def _behind(state: "SinkState") -> str:
    if not state.declared:
        return ""
    if not state.behind:
        return "nothing"
    return f"{counted(state.behind, 'commit')}, {_span(state.late)}"


def _facts(details: "SinkDetails") -> Iterator[tuple[str, str]]:
    state, failure = details.state, details.failure
    yield "kind", state.kind
    yield from details.facts.items()
    yield "branch", state.branch
    yield "where a column or table left", _CHANGES.get(details.changes or "", "")
    number = f", number {state.has.number}" if state.has else ""
    when = f", published {instant(details.published)}" if details.published else ""
    yield "has", f"{short(state.has.commit)}{number}{when}" if state.has else "nothing yet"
    yield "behind", _behind(state)
    if failure is not None:
        yield "last failure", f"{instant(failure.at)}, {failure.code}: {failure.message}"
    yield "next try", _next_try(state)


_CHANGES = {"refuse": "it stops", "follow": "it follows"}


def _next_try(state: "SinkState") -> str:
    """Say what has the sink go on: nothing tries by itself."""
    now = f"headgate deliver {state.name}"
    if not state.declared:
        return ""
    if state.error is not None and state.error.category != "unavailable":
        return f"when that is mended, by the next run on {state.branch}, or now:  {now}"
    if not state.behind and state.error is None:
        return f"with the next commit on {state.branch}"
    return f"by the next run on {state.branch}, or now:  {now}"


def _manner(table: "TableAtSink") -> str:
    if table.error is not None:
        return "cannot be delivered"
    key = f" by {', '.join(table.key)}" if table.mode == "upsert" and table.key else ""
    said = f"{table.mode or 'upsert or replace, as it is made'}{key}"
    return said if table.is_there else f"{said}; not there yet"


def _state(state: "SinkState") -> str:
    if not state.declared:
        return "not declared"
    if state.error is None:
        return "" if state.has else "never delivered"
    return "does not answer" if state.error.category == "unavailable" else "stopped"


def _span(late: timedelta) -> str:
    """Say how late, to the unit that matters: ``3 days``, ``2 h 5 min``."""
    if late >= timedelta(days=2):
        return f"{late.days} days"
    return duration(late.total_seconds())


def state_document(state: "SinkState") -> Mapping[str, object]:
    """Give how far a sink is as JSON."""
    return {
        "sink": state.name,
        "kind": state.kind,
        "where": state.title,
        "branch": state.branch,
        "tables": dict(state.tables),
        "commit": state.has.commit if state.has else None,
        "number": state.has.number if state.has else None,
        "behind": state.behind,
        "late_s": state.late.total_seconds(),
        "declared": state.declared,
        "error": error_document(state.error) if state.error else None,
    }


def details_document(details: "SinkDetails") -> Mapping[str, object]:
    """Give all that is known of a sink as JSON."""
    failure = details.failure
    return {
        **state_document(details.state),
        "facts": dict(details.facts),
        "changes": details.changes,
        "published": details.published.isoformat() if details.published else None,
        "tables": [
            {
                "table": each.table,
                "to": each.to,
                "mode": each.mode,
                "key": list(each.key),
                "there": each.is_there,
                "columns": [{"name": name, "type": type_} for name, type_ in each.columns],
                "error": error_document(each.error) if each.error else None,
            }
            for each in details.tables
        ],
        "last_failure": {
            "at": failure.at.isoformat(),
            "code": failure.code,
            "message": failure.message,
        }
        if failure
        else None,
    }
