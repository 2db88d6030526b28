"""Garbage: ``gc``."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from headgate.cli.options import Call, command
from headgate.cli.phrases import counted, instant, short, short_run, size
from headgate.project import span

if TYPE_CHECKING:
    from headgate.cli.terminal import Terminal
    from headgate.lake import LostRun, Pin, Swept

_LISTED = 20


def _span(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> timedelta | None:
    del context
    try:
        return None if value is None else span(value)
    except ValueError as error:
        raise click.BadParameter(f"it takes {error}.", param=parameter) from error


@click.command()
@click.option(
    "--plan", "only_plan", is_flag=True, help="Say what would go, and why; change nothing."
)
@click.option(
    "--grace",
    metavar="SPAN",
    callback=_span,
    help="Delete what has been marked for so long: 7d, 12h. [default: lake.retention.grace]",
)
@command()
def gc(call: Call, grace: timedelta | None, *, only_plan: bool) -> None:
    """Delete the files and commits that nothing holds any more.

    What branches, tags, unfinished runs, readers and backups need stays, and what readers of a
    branch saw within lake.retention.history. What may go is marked first, and deleted by a later
    gc when it has been marked for the grace. Runs and readers go on meanwhile.
    """
    project = call.project
    if only_plan:
        swept = project.plan_collection(grace=grace)
    else:
        progress = _Progress(call.terminal)
        try:
            swept = project.collect(grace=grace, progress=progress)
        finally:
            progress.close()
    if call.json:
        call.terminal.document({"plan": only_plan, **swept_document(swept)})
        return
    for line in _lines(swept, only_plan=only_plan):
        call.terminal.data(line)


def _lines(swept: "Swept", *, only_plan: bool) -> Iterator[str]:
    nothing = not (swept.files or swept.commits or swept.records or swept.branches)
    if nothing:
        yield "Nothing goes now."
    else:
        yield "Would go now:" if only_plan else "Gone:"
        if swept.files:
            yield f"  {counted(swept.files, 'file')}, {size(swept.size_bytes)}"
        if swept.commits:
            yield f"  the tables of {counted(swept.commits, 'commit')}"
        if swept.records:
            yield f"  {counted(swept.records, 'commit')} that no branch or tag reaches"
    for name, reason in list(swept.branches.items())[:_LISTED]:
        yield f"  branch {name}: {reason}"
    if len(swept.branches) > _LISTED:
        yield f"  and {len(swept.branches) - _LISTED:,} more branches"
    if swept.given_up:
        yield f"  given up: {', '.join(short_run(run) for run in swept.given_up)}"
    if swept.waiting_files or swept.waiting_commits:
        ready = f", the first until {instant(swept.ready)} UTC" if swept.ready else ""
        yield "Waits:" if only_plan else "Marked, and waits:"
        yield f"  {counted(swept.waiting_files, 'file')}, {size(swept.waiting_bytes)}{ready}"
        if swept.waiting_commits:
            yield f"  the tables of {counted(swept.waiting_commits, 'commit')}"
    yield from _lost(swept)
    yield from _pins(swept.pins)


def _lost(swept: "Swept") -> Iterator[str]:
    if not swept.lost:
        return
    yield f"Cannot be reproduced any more: {counted(len(swept.lost), 'run')}"
    for lost in swept.lost[:_LISTED]:
        yield (
            f"  run {short_run(lost.run)} of {lost.pipeline}, published {instant(lost.at)} as"
            f" {short(lost.commit)}: it began from {short(lost.base)},"
            f" which {'goes' if lost.now else 'waits'}"
        )
    if len(swept.lost) > _LISTED:
        yield f"  and {len(swept.lost) - _LISTED:,} more"


def _pins(pins: "tuple[Pin, ...]") -> Iterator[str]:
    if not pins:
        return
    yield "Held:"
    for pin in pins[:_LISTED]:
        until = "" if pin.until is None else f", lease until {instant(pin.until)} UTC"
        yield f"  {short(pin.commit)} by {pin.kind} {pin.holder}: {pin.why}{until}"
    if len(pins) > _LISTED:
        yield f"  and {len(pins) - _LISTED:,} more"


class _Progress:
    """Says on a terminal what is under way."""

    def __init__(self, terminal: "Terminal") -> None:
        self._terminal = terminal
        self._shown = ""

    def __call__(self, doing: str) -> None:
        if self._terminal.moves:
            line = f"  {doing}" if doing else ""
            self._terminal.err.write("\r" + line.ljust(len(self._shown)) + ("" if line else "\r"))
            self._terminal.err.flush()
            self._shown = line

    def close(self) -> None:
        """Take the moving line away."""
        if self._shown:
            self("")


def swept_document(swept: "Swept") -> dict[str, object]:
    """Give a collection as JSON."""
    return {
        "at": swept.at.isoformat(),
        "files": swept.files,
        "bytes": swept.size_bytes,
        "commits": swept.commits,
        "operations": swept.operations,
        "records": swept.records,
        "nodes": swept.nodes,
        "branches": dict(swept.branches),
        "given_up": list(swept.given_up),
        "waiting": {
            "files": swept.waiting_files,
            "bytes": swept.waiting_bytes,
            "commits": swept.waiting_commits,
            "until": swept.ready.isoformat() if swept.ready else None,
        },
        "lost": [_lost_document(lost) for lost in swept.lost],
        "held": [_pin_document(pin) for pin in swept.pins],
    }


def _lost_document(lost: "LostRun") -> dict[str, object]:
    return {
        "run": lost.run,
        "pipeline": lost.pipeline,
        "commit": lost.commit,
        "at": lost.at.isoformat(),
        "base": lost.base,
        "now": lost.now,
    }


def _pin_document(pin: "Pin") -> dict[str, object]:
    return {
        "kind": pin.kind,
        "holder": pin.holder,
        "commit": pin.commit,
        "why": pin.why,
        "until": pin.until.isoformat() if pin.until else None,
    }
