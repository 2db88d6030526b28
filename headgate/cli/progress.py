"""A run as it happens: a line per finished step, and on a terminal what is under way below them."""

from importlib import import_module
from threading import Lock, Timer
from typing import TYPE_CHECKING, Protocol

from headgate import events
from headgate.cli.phrases import (
    counted,
    duration,
    example,
    short,
    short_run,
    without_quarantines,
)
from headgate.cli.terminal import Terminal
from headgate.verdicts import CheckResult, Severity, Verdict

if TYPE_CHECKING:
    from headgate.clock import Clock

_WORTH_SAYING_S = 1.0
_PATIENCE_S = 0.25
NOTHING = "Nothing to do: code, parameters and inputs are those of"


class Moving(Protocol):
    """Shows what is under way, below the lines that stay."""

    def above(self, line: str) -> None:
        """Write a line that stays, above."""
        ...

    def close(self) -> None:
        """Take the moving lines away."""
        ...


class Progress:
    """A listener that tells a run to people. Hears events from several threads.

    The header waits for the first step that really works: a run with nothing to do is one line.
    """

    def __init__(self, terminal: Terminal, clock: "Clock", *, nothing: str = NOTHING) -> None:
        self._terminal = terminal
        self._nothing = nothing
        self._clock = clock
        self._lock = Lock()
        self._header: list[str] = []
        self._width = 0
        self._running: dict[str, tuple[float, int]] = {}
        self._waited_for: set[str] = set()
        self._latest_s = clock.monotonic_s()
        self._verdicts: dict[str, Verdict] = {}
        self._quarantined: list[str] = []
        self._moving: Moving | None = None
        self._waiting: Timer | None = None
        self.run: str | None = None
        self.target = ""
        self.told: set[str] = set()
        self.failed_checks = 0

    def __call__(self, event: events.Event) -> None:
        """Tell one event."""
        with self._lock:
            self._tell(event)

    def close(self) -> None:
        """Take the moving part away; what stays stays."""
        with self._lock:
            self._stop_moving()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The last verdict of every contract that was judged."""
        return tuple(self._verdicts.values())

    def _tell(self, event: events.Event) -> None:  # noqa: C901, PLR0912 - a case per event
        self.run = event.run
        match event:
            case events.RunStarted():
                self._start(event)
            case events.StepStarted():
                self._running[event.step] = (self._clock.monotonic_s(), 0)
                self._move_soon()
            case events.StepProgressed():
                began, _ = self._running.get(event.step, (self._clock.monotonic_s(), 0))
                self._running[event.step] = (began, event.rows)
            case events.StepFinished():
                self._ended(event.step)
                if event.rows_quarantined and (event.table or event.step) not in self._quarantined:
                    self._quarantined.append(event.table or event.step)
                self._say(self._finished(event))
            case events.StepSkipped():
                self._ended(event.step)
                line = f"{self._name(event.step)}   as in {short(event.commit)}"
                self._later(f"  {self._mark('skipped')} {self._terminal.style(line, 'quiet')}")
            case events.StepFailed():
                self._running.pop(event.step, None)
                self._say_header()
                self._failed(event)
            case events.SchemaChanged():
                for change in event.changes:
                    self._later(f"    {event.table}: {change}")
            case events.SourceNoted():
                self._later(self._terminal.style(f"    {event.note}", "notice"))
            case events.SourceNotAcknowledged():
                self._later(f"    {event.step}: not acknowledged. {event.message}")
            case events.ContractJudged():
                self._verdicts[event.verdict.table] = event.verdict
            case events.ConflictMet():
                self._conflict(event)
            case events.RunPublished():
                self._published(event)
            case events.RunFoundNothing():
                self._header.clear()
                self._stop_moving()
                self._terminal.words(f"{self._nothing} {short(event.commit)}.")
            case events.RunDone():
                self._say_header()
                self._stop_moving()
                self._terminal.words("Done. No step has a table, so there is nothing to publish.")
            case events.RunFailed():
                self._say_header()
                self._say_failures()
                self._stop_moving()

    def _start(self, event: events.RunStarted) -> None:
        self.target = event.target
        self._width = max((len(step) for step in event.steps), default=0)
        self._waited_for = set(event.steps)
        again = f"   attempt {event.attempt}" if event.attempt > 1 else ""
        title = self._terminal.style(event.pipeline, "strong")
        self._header = [
            f"{title}  run {short_run(event.run)}  on {event.target}@{short(event.base)}{again}"
        ]

    def _ended(self, step: str) -> None:
        self._running.pop(step, None)
        self._waited_for.discard(step)
        self._latest_s = self._clock.monotonic_s()

    def _say_header(self) -> None:
        for line in self._header:
            self._write(line)
        self._header.clear()

    def _later(self, line: str) -> None:
        """Say a line now if the header was said, else with it."""
        if self._header:
            self._header.append(line)
        else:
            self._say(line)

    def _say(self, line: str) -> None:
        self._say_header()
        self._write(line)

    def _write(self, line: str) -> None:
        if self._moving is not None:
            self._moving.above(line)
        else:
            self._terminal.words(line)

    def _name(self, step: str) -> str:
        return step.ljust(self._width)

    def _mark(self, kind: str) -> str:
        mark = str(getattr(self._terminal.marks, kind))
        style = {"done": "good", "failed": "bad", "skipped": "quiet"}.get(kind, "notice")
        return self._terminal.style(mark, style)  # type: ignore[arg-type]  # literal by the table

    def _finished(self, event: events.StepFinished) -> str:
        parts = [f"  {self._mark('done')} {self._name(event.step)}"]
        if event.rows is not None:
            parts.append(counted(event.rows, "row"))
        if event.rows_quarantined:
            reasons = ", ".join(event.quarantine_reasons)
            shown = f" ({reasons})" if reasons else ""
            parts.append(
                self._terminal.style(f"{event.rows_quarantined:,} quarantined{shown}", "notice")
            )
        if event.wall_s >= _WORTH_SAYING_S:
            parts.append(self._terminal.style(duration(event.wall_s), "quiet"))
        return "   ".join(parts)

    def _failed(self, event: events.StepFailed) -> None:
        message = event.message.removeprefix(f"Step {event.step}").removeprefix(":").lstrip()
        first, *rest = message.splitlines() or [event.code]
        self._say(f"  {self._mark('failed')} {event.step}: {first}")
        self.told.add(event.code)
        for line in rest:
            self._write(f"      {line}")
        for line in event.traceback.rstrip().splitlines():
            self._write(self._terminal.style(f"      {line}", "quiet"))

    def _conflict(self, event: events.ConflictMet) -> None:
        again = f"; {', '.join(event.steps)} again" if event.steps else ""
        moved = f"{self.target} moved to {short(event.head)}: {event.because}{again}"
        self._say(f"  {self._mark('again')} {moved}")

    def _published(self, event: events.RunPublished) -> None:
        self._say_header()
        self._say_checks()
        self._stop_moving()
        tables = without_quarantines(event.tables)
        said = f"Published {counted(len(tables), 'table')}"
        what = said if tables else "Rows are as before; published"
        line = f"{what} to {event.target} as {short(event.commit)}."
        if len(self._quarantined) == 1:
            line += f"   Quarantine: headgate quarantine show {self._quarantined[0]}"
        elif self._quarantined:
            line += "   Quarantine: headgate quarantine list"
        self._terminal.words(line)

    def _say_checks(self) -> None:
        results = [result for verdict in self._verdicts.values() for result in verdict.results]
        if not results:
            return
        passed = sum(result.severity is not Severity.WARN or result.passed for result in results)
        warnings = [
            result for result in results if result.severity is Severity.WARN and not result.passed
        ]
        line = f"  {self._mark('done')} {counted(passed, 'check')} passed"
        said = [f"{result.check}{_measure(result, ', ')}" for result in warnings]
        if len(said) == 1:
            self._write(f"{line}, 1 warning: {said[0]}")
            return
        self._write(f"{line}, {counted(len(said), 'warning')}:" if said else line)
        for text in said:
            self._write(f"      {self._terminal.style(text, 'notice')}")

    def _say_failures(self) -> None:
        for verdict in self._verdicts.values():
            for result in verdict.failures:
                self._write(f"  {self._mark('failed')} {failure(verdict.table, result)}")
                self.failed_checks += 1

    # -- what is under way

    def _move_soon(self) -> None:
        """Begin to move if something is still under way in a moment: drawing costs an import."""
        if self._terminal.moves and self._waiting is None:
            self._waiting = Timer(_PATIENCE_S, self._move)
            self._waiting.daemon = True
            self._waiting.start()

    def _move(self) -> None:
        with self._lock:
            over = self._waiting is None
            if self._moving is None and not over:
                # rich takes longer to load than a run with nothing to do.
                moving = import_module("headgate.cli.moving")
                self._say_header()
                self._moving = moving.MovingLines(self._terminal, self._running_lines)

    def _running_lines(self) -> list[str]:
        """Give a line per step under way. Called by the drawing thread: takes no lock."""
        now = self._clock.monotonic_s()
        lines = [self._running_line(step, now) for step in tuple(self._running)]
        if not lines and not self._waited_for:
            lines = [f"  {self._terminal.marks.more} checking   {duration(now - self._latest_s)}"]
        return lines

    def _running_line(self, step: str, now: float) -> str:
        began, rows = self._running.get(step, (now, 0))
        seen = f"   {counted(rows, 'row')}" if rows else ""
        return f"  {self._terminal.marks.more} {self._name(step)}{seen}   {duration(now - began)}"

    def _stop_moving(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        self._running.clear()
        if self._moving is not None:
            self._moving.close()
            self._moving = None


def failure(table: str, result: CheckResult) -> str:
    """Say a violated check: ``delays: hour between 0 and 23: 12 rows, for example (hour=24)``."""
    shown = ", for example " + example(result.examples[0]) if result.examples else ""
    return f"{table}: {result.check}{_measure(result, ': ')}{shown}"


def _measure(result: CheckResult, divider: str) -> str:
    if result.measured is not None:
        against = f", allowed {result.threshold}" if result.threshold else ""
        return f"{divider}{_number(result.measured)}{against}"
    return f"{divider}{counted(result.violations, 'row')}"


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value
