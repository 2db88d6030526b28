"""A log file per run: its events as JSON lines, without the contents of rows."""

from pathlib import Path
from threading import Lock

import msgspec

from headgate.events import Event, StepProgressed


class RunLogs:
    """A listener that writes ``<directory>/<run>.log``; a run taken up again adds to its lines."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()
        self._made = False

    def path(self, run: str) -> Path:
        """Give where a run's log is, whether or not it is there."""
        return self._directory / f"{run}.log"

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, StepProgressed):
            return
        facts = msgspec.to_builtins(event.body(), enc_hook=str, str_keys=True)
        line = {"at": event.at, "event": event.kind, "run": event.run, **_without_rows(facts)}
        with self._lock:
            if not self._made:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._made = True
            with self.path(event.run).open("ab") as file:
                file.write(msgspec.json.encode(line, enc_hook=str) + b"\n")


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
