"""``sources``: where rows come from, and how far each source was read."""

from typing import TYPE_CHECKING

import click

from headgate.cli.options import Call, command, ref_option
from headgate.cli.phrases import counted, duration, instant, short
from headgate.cli.shown_by_name import ShownByName
from headgate.cli.tables import aligned
from headgate.errors import NotFound
from headgate.names import suggestion

if TYPE_CHECKING:
    from headgate.project import SourceStatus

_CURSOR_WIDTH = 40
_WIDE = 80
_COLUMNS = ("source", "kind", "reads", "table", "read to", "rows", "commit", "when")
_FEWER = ("source", "table", "read to", "rows", "when")
"""What is listed where not all has room."""

_TITLE_WIDTH = 48


@click.group(cls=ShownByName, invoke_without_command=True)
@ref_option("The ref to look at.")
@command()
def sources(call: Call, ref: str | None) -> None:
    """List sources, and how far each one was read; or show one.

    No source is asked: one that is unreachable is listed like any other.
    """
    if click.get_current_context().invoked_subcommand is None:
        _list(call, ref)


@sources.command("list")
@ref_option("The ref to look at.")
@command()
def list_sources(call: Call, ref: str | None) -> None:
    """List sources: table, how far they were read, last commit, and its age."""
    _list(call, ref)


@sources.command("show")
@click.argument("name", metavar="SOURCE")
@ref_option("The ref to look at.")
@click.option("--ask", is_flag=True, help="Ask the source what is kept outside for it, too.")
@command()
def show_source(call: Call, name: str, ref: str | None, ask: bool) -> None:  # noqa: FBT001
    """Show all that is known of a source. No secrets; its cursor as it is stored with --json."""
    found = call.project.sources(ref=ref, ask=name if ask else None)
    status = next((each for each in found if each.name == name), None)
    if status is None:
        close = suggestion(name, [each.name for each in found])
        raise NotFound(
            "unknown-source",
            f"There is no source {name}.",
            hint=f"Did you mean {close}?" if close else "Look: headgate sources",
            source=name,
        )
    if call.json:
        call.terminal.document(source_document(status))
        return
    rows = [
        ("kind", status.kind),
        ("source", status.title),
        *(sorted(status.facts.items())),
        ("table", f"{status.table} ({status.mode})"),
        ("pipeline", status.pipeline),
        ("last commit", _commit(status)),
        ("read", status.read_to or "nothing is kept of it: it is read whole each time"),
        *([("problem", status.problem)] if status.problem else []),
    ]
    for line in aligned(("", ""), rows):
        if line.strip():
            call.terminal.data(line)


def _list(call: Call, ref: str | None) -> None:
    found = call.project.sources(ref=ref)
    if call.json:
        call.terminal.document({"sources": [source_document(each) for each in found]})
        return
    if not found:
        call.terminal.words("No source is declared.")
        return
    rows: list[tuple[str, ...]] = [
        (
            each.name,
            each.kind,
            _cut(each.title if each.problem is None else f"? {each.problem}", _TITLE_WIDTH),
            each.table,
            _cut((each.read_to or "").partition(": ")[0], _CURSOR_WIDTH),
            f"{each.rows:,}" if each.rows is not None else "",
            short(each.commit) if each.commit else "never",
            f"{duration(each.age.total_seconds())} ago" if each.age is not None else "",
        )
        for each in found
    ]
    names: tuple[str, ...] = _COLUMNS
    width = call.terminal.width
    if width < _WIDE:
        kept = [names.index(name) for name in _FEWER]
        names, rows = _FEWER, [tuple(row[at] for at in kept) for row in rows]
    for line in aligned(names, rows, right=("rows",), width=width):
        call.terminal.data(line)


def source_document(status: "SourceStatus") -> dict[str, object]:
    """Give a source as JSON."""
    return {
        "source": status.name,
        "kind": status.kind,
        "title": status.title,
        "table": status.table,
        "pipeline": status.pipeline,
        "mode": status.mode,
        "cursor": status.cursor,
        "read_to": status.read_to,
        "rows": status.rows,
        "rows_quarantined": status.rows_quarantined,
        "commit": status.commit,
        "read_at": status.read_at.isoformat() if status.read_at is not None else None,
        "age_s": status.age.total_seconds() if status.age is not None else None,
        "facts": dict(status.facts),
        "problem": status.problem,
    }


def _commit(status: "SourceStatus") -> str:
    if status.commit is None or status.read_at is None:
        return "never"
    rows = counted(status.rows or 0, "row")
    if status.rows_quarantined:
        rows += f", {status.rows_quarantined:,} quarantined"
    return f"{short(status.commit)}, {instant(status.read_at)}, {rows}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
