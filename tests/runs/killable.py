"""Runs in processes of their own, made to be killed: what is done there, and who starts it here."""

import os
import subprocess
import sys
from pathlib import Path

from workplaces import SourceMaker, Workplace

from headgate.lake import RunState

_UNFINISHED = frozenset({RunState.RUNNING, RunState.PUBLISHING, RunState.FAILED})
_RESUME = "resume"


def run_once(pipeline: str, **sources: SourceMaker) -> None:
    """Run a pipeline where the first argument says; asked to, take up the run that was killed.

    Prints ``ready`` before it begins, ``done`` at the end.
    """
    place = Workplace(Path(sys.argv[1]))
    place.sources.update(sources)
    made = place.pipeline(pipeline, name="killed")
    print("ready", flush=True)
    unfinished = [run for run in place.hall.open_runs() if run.state in _UNFINISHED]
    if unfinished and sys.argv[-1] == _RESUME:
        place.hall.resume(unfinished[0].id, made)
    else:
        place.hall.run(made, target="main")
    print("done", flush=True)
    place.close()


class Killable:
    """A script of this directory that calls ``run_once``."""

    def __init__(self, script: str) -> None:
        self._script = Path(__file__).with_name(script)

    def start(self, root: Path, *more: str, resume: bool) -> "subprocess.Popen[str]":
        """Start a run; returns when it is about to begin."""
        process = subprocess.Popen(
            [sys.executable, str(self._script), str(root), *more, *([_RESUME] if resume else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def finish(self, root: Path, *more: str, resume: bool) -> None:
        """Run to the end, whatever it comes to; it must not break."""
        _, error = self.start(root, *more, resume=resume).communicate(timeout=120)
        assert "Traceback" not in error, error
