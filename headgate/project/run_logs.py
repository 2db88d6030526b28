"""A log file per run: its events as JSON lines, without the contents of rows."""

from pathlib import Path
from threading import Lock
from typing import BinaryIO

import msgspec

from headgate.events import (
    Event,
    RunDone,
    RunFailed,
    RunFoundNothing,
    RunPublished,
    StepProgressed,
)

LAST = (RunDone, RunFailed, RunFoundNothing, RunPublished)
"""The events after which a run tells nothing more."""


class RunLogs:
    """A listener that writes ``<directory>/<run>.log``; a run taken up again adds to its lines."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()
        self._open: dict[str, BinaryIO] = {}

    def path(self, run: str) -> Path:
        """Give where a run's log is, whether or not it is there."""
        return self._directory / f"{run}.log"

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, StepProgressed):
            return
        facts = msgspec.to_builtins(event.body(), enc_hook=str, str_keys=True)
        line = {"at": event.at, "event": event.kind, "run": event.run, **_without_rows(facts)}
        written = msgspec.json.encode(line, enc_hook=str) + b"\n"
        with self._lock:
            file = self._open.get(event.run) or self._opened(event.run)
            file.write(written)
            if isinstance(event, LAST):
                self._open.pop(event.run).close()

    def close(self) -> None:
        """Close the files of runs that have not ended here."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _opened(self, run: str) -> BinaryIO:
        """Open a run's file; what is written is the system's at once, also when we are killed."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._open[run] = file = self.path(run).open("ab", buffering=0)
        return file


def _without_rows(facts: dict[str, object]) -> dict[str, object]:
    """Leave the example rows of violated checks out."""
    verdict = facts.get("verdict")
    if isinstance(verdict, dict):
        results = [
            {name: value for name, value in result.items() if name != "examples"}
            for result in verdict.get("results", ())
        ]
        return {**facts, "verdict": {**verdict, "results": results}}
    return facts
