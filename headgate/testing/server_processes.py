"""A server as a process of one's own: started, waited for and ended, with all that is of it.

It lives in a temporary directory and listens on 127.0.0.1 only. Where the user is root, whom
servers refuse, it runs as another. It ends with the process that started it, however that ends.
"""

# ruff: noqa: PLW1509, S603 - the programs are found here, and a child calls one C function first

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from headgate.clock import SystemClock

PAUSE = timedelta(milliseconds=20)
_START_S = 60.0
_END_S = 60.0
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def account(names: Sequence[str]) -> dict[str, Any]:
    """Give who runs a server, as ``subprocess`` wants it: the user, or the first of these for root.

    Raises:
        RuntimeError: the user is root, and nobody is called so.
    """
    if os.geteuid() != 0:
        return {}
    for name in names:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            groups: Sequence[int] = ()
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": groups}
    message = f"root may not run a server, and there is none of {', '.join(names)}"
    raise RuntimeError(message)


def give(paths: Sequence[Path], names: Sequence[str]) -> None:
    """Make files the account's that runs the server."""
    owner = account(names)
    if owner:
        for path in paths:
            os.chown(path, int(owner["user"]), int(owner["group"]))


class ServerProcess:
    """A program that serves on ``port``, with a ``directory`` that goes with it.

    Args:
        called: what people call it.
        find: gives where a program of it is; None where it is not installed.
        accounts: who runs it where the user is root: the first there is.
        orphaned: the signal it gets when who started it dies (Linux).
    """

    def __init__(
        self,
        called: str,
        *,
        find: Callable[[str], Path | None],
        accounts: Sequence[str],
        orphaned: signal.Signals,
    ) -> None:
        self._called = called
        self._find = find
        self._accounts = tuple(accounts)
        self._orphaned = orphaned
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix=f"headgate-{called.lower()}-"))
        self.port = free_port()
        self.give(self.directory)

    @property
    def pid(self) -> int:
        """The process to send signals to, while it runs; else 0."""
        return 0 if self._process is None else self._process.pid

    def log(self) -> str:
        """Give what it has said so far."""
        return (self.directory / "log").read_text(errors="replace")

    def give(self, *paths: Path) -> None:
        """Make files the account's that runs it."""
        give(paths, self._accounts)

    def run(self, program: str, *arguments: str) -> None:
        """Run another program of it to its end, as the same account.

        Raises:
            RuntimeError: it is not installed, or fails.
        """
        done = subprocess.run(
            [str(self._program(program)), *arguments],
            check=False,
            capture_output=True,
            cwd=self.directory,
            **account(self._accounts),
        )
        if done.returncode:
            message = f"{program} ended with {done.returncode}:\n{done.stderr.decode()}"
            raise RuntimeError(message)

    def start(
        self,
        program: str,
        *arguments: str,
        ask: Callable[[], object],
        unanswered: type[Exception],
    ) -> None:
        """Start it, and ask until it answers; ``unanswered`` is what asking raises before.

        Raises:
            RuntimeError: it is not installed, or does not start.
        """
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program(program)), *arguments],
                stdout=log,
                stderr=log,
                preexec_fn=self._first_deed(),
                **account(self._accounts),
            )
        until_s = self._clock.monotonic_s() + _START_S
        while True:
            try:
                ask()
            except unanswered as error:
                if self._process.poll() is not None or self._clock.monotonic_s() > until_s:
                    message = f"{self._called} did not start:\n{self.log()}"
                    raise RuntimeError(message) from error
                self._clock.sleep(PAUSE)
            else:
                return

    def end(self, by: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal, and wait for that; do nothing where it does not run."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(by)
            self._process.wait(timeout=_END_S)
            self._process = None

    def remove(self) -> None:
        """Take its directory away."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _program(self, name: str) -> Path:
        found = self._find(name)
        if found is None:
            message = f"{name} is not installed"
            raise RuntimeError(message)
        return found

    def _first_deed(self) -> Callable[[], None] | None:
        """Give what a child does first. To the kernel a thread is its parent: only the main one."""
        in_main = threading.current_thread() is threading.main_thread()
        return partial(_die_with_parent, self._orphaned) if in_main else None


def _die_with_parent(orphaned: signal.Signals) -> None:
    """Ask the kernel to stop the child when its parent dies, however that comes (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, orphaned)
