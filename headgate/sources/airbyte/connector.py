"""A connector's process: started for one verb, heard line by line, killed when nobody listens."""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import IO, Final

from headgate.errors import HeadgateError, Invalid, NotFound, Refused, Unavailable
from headgate.sources.airbyte.kept_files import kept_files
from headgate.sources.airbyte.messages import Message, TraceError, parsed

LARGEST_BYTES: Final = 256 << 20
"""The longest line that is taken."""

_WAITING_LINES: Final = 1_000
_TOLD_LINES: Final = 15
_TOLD_LENGTH: Final = 400
_WHOLE_LINES: Final = 4
_PATIENCE_S: Final = 5.0
_TICK_S: Final = 0.2
_HIDDEN_VARIABLES: Final = ("HEADGATE_SECRET_", "HEADGATE_CONNECTION_")


class Connector:
    """A program that speaks the protocol.

    ``command`` is what starts it; ``{directory}`` in a word of it becomes the directory of the
    files that are handed to it. ``variables`` are added to its environment. ``silence_s`` is how
    long it may say nothing.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        root: Path,
        variables: Mapping[str, str],
        silence_s: float,
    ) -> None:
        self._command = tuple(command)
        self._root = root
        self._variables = variables
        self._silence_s = silence_s

    @property
    def name(self) -> str:
        """What messages call it."""
        return Path(self._command[0]).name

    @contextmanager
    def said(self, verb: str, files: Mapping[str, bytes]) -> Iterator[Iterator[Message]]:
        """Start it with a verb and files (``config``, ``catalog``, ``state``); give its messages.

        They end when it has ended well. It is killed at the end of the block, if it has not.

        Raises:
            NotFound: ``connector-missing``. Invalid: ``connector-refused``.
            Unavailable: ``connector-failed``, ``connector-silent``.
            Refused: ``connector-line-too-long``.
        """
        named = {f"{name}.json": content for name, content in files.items()}
        with kept_files(named) as directory:
            words = [word.replace("{directory}", str(directory)) for word in self._command]
            words.append(verb)
            for name in files:
                words += [f"--{name}", str(directory / f"{name}.json")]
            process = _Process(self, words)
            try:
                yield process.messages(verb)
            finally:
                process.end()

    def start(self, words: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Start a process group.

        Raises:
            NotFound: ``connector-missing``. Refused: ``connector-not-allowed``.
        """
        # What a child must not inherit is known by looking.
        inherited = {
            name: value
            for name, value in os.environ.items()  # noqa: TID251
            if not name.startswith(_HIDDEN_VARIABLES)
        }
        try:
            return subprocess.Popen(  # noqa: S603 - the user's own command
                words,
                cwd=self._root,
                env={**inherited, **self._variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise NotFound(
                "connector-missing",
                f"There is no program {self._command[0]!r}.",
                hint="Install the connector, or write its path relative to the project.",
                command=self._command[0],
            ) from error
        except OSError as error:
            raise Refused(
                "connector-not-allowed",
                f"{self._command[0]} cannot be started: {error.strerror}.",
                hint="Mend the rights on it.",
                command=self._command[0],
            ) from error

    @property
    def silence_s(self) -> float:
        """How long it may say nothing."""
        return self._silence_s


class _Process:
    """A started connector: two threads listen to what it writes."""

    def __init__(self, connector: Connector, words: Sequence[str]) -> None:
        self._connector = connector
        self._process = connector.start(words)
        self._lines: Queue[bytes | HeadgateError | None] = Queue(_WAITING_LINES)
        self._over = Event()
        self._told: deque[str] = deque(maxlen=_TOLD_LINES)
        self._traces: list[TraceError] = []
        assert self._process.stdout is not None  # noqa: S101 - they are pipes
        assert self._process.stderr is not None  # noqa: S101
        self._threads = (
            Thread(target=self._hear, args=(self._process.stdout,), daemon=True),
            Thread(target=self._overhear, args=(self._process.stderr,), daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def messages(self, verb: str) -> Iterator[Message]:
        """Give what it says; at the end, see how it ended.

        Raises:
            As ``Connector.said``.
        """
        while (line := self._line(verb)) is not None:
            message = parsed(line)
            if message is None:
                self._tell(line)
                continue
            self._note(message)
            yield message
        code = self._process.wait()
        if code or self._traces:
            self._threads[1].join(_PATIENCE_S)
            raise self._failed(verb, code)

    def end(self) -> None:
        """Kill the whole group, if it still is at work, and let go of everything."""
        self._over.set()
        for kill in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, kill)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_PATIENCE_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # what it started, and left
        for thread in self._threads:
            thread.join(_PATIENCE_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _line(self, verb: str) -> bytes | None:
        try:
            found = self._lines.get(timeout=self._connector.silence_s)
        except Empty:
            raise Unavailable(
                "connector-silent",
                f"{self._connector.name} {verb} said nothing for "
                f"{self._connector.silence_s:g} seconds, and was ended.",
                hint="Where it needs longer, raise silence_s.",
                command=self._connector.name,
            ) from None
        if isinstance(found, HeadgateError):
            raise found
        return found

    def _note(self, message: Message) -> None:
        if message.log is not None and message.log.level in {"FATAL", "ERROR", "WARN"}:
            self._say(message.log.message)
        error = message.trace.error if message.trace is not None else None
        if error is not None:
            self._traces.append(error)
            self._say(error.internal_message or "")

    def _tell(self, line: bytes) -> None:
        self._say(line.decode("utf-8", "replace"))

    def _say(self, text: str) -> None:
        """Keep a text; of a long one, like a traceback, the ends."""
        lines = [line for line in text.rstrip().splitlines() if line.strip()]
        for line in lines if len(lines) <= _WHOLE_LINES else [lines[0], "...", *lines[-2:]]:
            self._told.append(line[:_TOLD_LENGTH])

    def _failed(self, verb: str, code: int) -> HeadgateError:
        how = f"ended with {code}" if code >= 0 else f"was killed ({signal.Signals(-code).name})"
        traces = dict.fromkeys(each.message for each in self._traces if each.message)
        why = f": {'; '.join(traces)}" if traces else "."
        said = "".join(f"\n  {line}" for line in dict.fromkeys(self._told))
        message = f"{self._connector.name} {verb} {how}{why}"
        if said:
            message += f"\nIt said:{said}"
        if any(each.failure_type == "config_error" for each in self._traces):
            return Invalid(
                "connector-refused",
                message,
                hint="Mend config=, or what it connects to.",
                command=self._connector.name,
                exit_code=code,
            )
        return Unavailable(
            "connector-failed",
            message,
            hint="Look at what it says; then try again.",
            command=self._connector.name,
            exit_code=code,
        )

    # -- the threads

    def _hear(self, pipe: IO[bytes]) -> None:
        """Put lines where they wait to be read, as fast as they are."""
        with suppress(ValueError, OSError):  # closed meanwhile
            while line := pipe.readline(LARGEST_BYTES):
                if len(line) == LARGEST_BYTES and not line.endswith(b"\n"):
                    self._put(
                        Refused(
                            "connector-line-too-long",
                            f"{self._connector.name} wrote a line of more than "
                            f"{LARGEST_BYTES >> 20} MiB.",
                            hint="A record of that size cannot be read.",
                            command=self._connector.name,
                        )
                    )
                    return
                self._put(line)
        self._put(None)

    def _put(self, line: bytes | HeadgateError | None) -> None:
        while not self._over.is_set():
            with suppress(Full):
                self._lines.put(line, timeout=_TICK_S)
                return

    def _overhear(self, pipe: IO[bytes]) -> None:
        """Keep the last lines of stderr."""
        with suppress(ValueError, OSError):
            while line := pipe.readline(1 << 16):
                self._tell(line)
