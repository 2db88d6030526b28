"""A PostgreSQL server of one's own, for as long as a test or a measurement takes.

It lives in a temporary directory, listens on 127.0.0.1 only, and syncs as a real one does. No
server of the system is touched. Where the user is root, who may not run one, it runs as another.
"""

# ruff: noqa: PLW1509, S603 - the programs are PostgreSQL's, and a child calls one C function first

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from headgate.clock import SystemClock

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_ACCOUNTS = ("postgres", "nobody")
_OWNER = "owner"
_PAUSE = timedelta(milliseconds=20)
_START_S = 60.0
_PR_SET_PDEATHSIG = 1


def find_program(name: str) -> Path | None:
    """Give where a program of PostgreSQL is, on the path or where distributions hide it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is not None:
        return Path(found)
    hidden = [path for place in _PLACES for path in Path("/").glob(f"{place[1:]}/{name}")]
    return max(hidden, key=_version, default=None)


def is_installed() -> bool:
    """Say whether there is a server to start here."""
    return find_program("initdb") is not None and find_program("postgres") is not None


class PostgresServer:
    """A server with one user, ``owner``, and one database, ``metastore``. Use it with ``with``.

    Args:
        settings: of the server, such as ``{"max_connections": "20"}``.
    """

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.password = secrets.token_hex(8)
        self.port = 0
        self.directory = Path()

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="headgate-postgres-"))
        password = self.directory / "password"
        password.write_text(self.password)
        self._give(self.directory, password)
        self._run(
            "initdb",
            *("--pgdata", str(self._data), "--username", _OWNER, "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )
        self.port = _free_port()
        self.start()
        self.execute("create database metastore", database="postgres")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- its life

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            **self._settings,
        }
        command = [str(_program("postgres")), "-D", str(self._data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, preexec_fn=_first_deed(), **_account()
            )
        until_s = self._clock.monotonic_s() + _START_S
        while True:
            try:
                self.execute("select 1", database="postgres")
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or self._clock.monotonic_s() > until_s:
                    message = f"PostgreSQL did not start:\n{self.log()}"
                    raise RuntimeError(message) from error
                self._clock.sleep(_PAUSE)
            else:
                return

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends sessions and writes all down, ``immediate`` is a crash."""
        if self._process is not None:
            signals = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
            with suppress(ProcessLookupError):
                self._process.send_signal(signals[mode])
            self._process.wait(timeout=60)
            self._process = None

    @property
    def pid(self) -> int:
        """The process to send signals to, while it runs."""
        return 0 if self._process is None else self._process.pid

    def log(self) -> str:
        """Give what it has said so far."""
        return (self.directory / "log").read_text(errors="replace")

    # -- using it

    def url(self, schema: str | None = None, *, user: str = _OWNER, **options: object) -> str:
        """Give a metastore's URL, with the owner's password; a schema nobody has used by default.

        A ``port`` among the options is that of a pooler in front.
        """
        port = options.pop("port", self.port)
        password = options.pop("password", self.password)
        query = {"schema": schema or f"lake_{next(self._numbers)}", **options}
        shown = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://{user}:{password}@127.0.0.1:{port}/metastore?{shown}"

    def connect(self, *, database: str = "metastore") -> "psycopg.Connection[tuple[Any, ...]]":
        """Give a session of the owner, past headgate."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_OWNER,
            password=self.password,
            dbname=database,
            autocommit=True,
        )

    def execute(self, text: str, *, database: str = "metastore") -> list[tuple[Any, ...]]:
        """Run a statement as the owner; give its rows."""
        with self.connect(database=database) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def end_sessions(self) -> int:
        """End the sessions of everybody else in the database, as an administrator would."""
        ended = self.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where pid <> pg_backend_pid() and datname = 'metastore'"
        )
        return len(ended)

    def await_quiet(self) -> None:
        """Wait until no session but this one is in the database: killed clients' end, too."""
        asked = (
            "select count(*) from pg_stat_activity "
            "where pid <> pg_backend_pid() and datname = 'metastore'"
        )
        while self.execute(asked) != [(0,)]:
            self._clock.sleep(_PAUSE)

    # -- parts

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(_program(program)), *arguments],
            check=False,
            capture_output=True,
            cwd=self.directory,
            **_account(),
        )
        if done.returncode:
            message = f"{program} ended with {done.returncode}:\n{done.stderr.decode()}"
            raise RuntimeError(message)

    def _give(self, *paths: Path) -> None:
        account = _account()
        if account:
            for path in paths:
                os.chown(path, int(account["user"]), int(account["group"]))


class Pooler:
    """PgBouncer in transaction mode before a server. Use it with ``with``."""

    def __init__(self, server: PostgresServer, *, connections: int = 20) -> None:
        self._server = server
        self._connections = connections
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.port = _free_port()
        directory = self._server.directory
        users = directory / "pooler-users"
        users.write_text(f'"{_OWNER}" "{self._server.password}"\n')
        file = directory / "pooler.ini"
        file.write_text(
            f"""[databases]
* = host=127.0.0.1 port={self._server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {self._connections}
max_client_conn = 500
"""
        )
        self._server._give(users, file)  # noqa: SLF001 - its neighbour's
        with (directory / "pooler-log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(_program("pgbouncer")), str(file)],
                stdout=log,
                stderr=log,
                preexec_fn=_first_deed(),
                **_account(),
            )
        until_s = self._clock.monotonic_s() + _START_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            if self._process.poll() is not None or self._clock.monotonic_s() > until_s:
                message = f"PgBouncer did not start:\n{(directory / 'pooler-log').read_text()}"
                raise RuntimeError(message)
            self._clock.sleep(_PAUSE)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _program(name: str) -> Path:
    found = find_program(name)
    if found is None:
        message = f"{name} is not installed"
        raise RuntimeError(message)
    return found


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parts[-3].split("-")[-1].split(".") if part.isdigit())


def _account() -> dict[str, Any]:
    """Give who runs it: nobody else, unless the user is root."""
    if os.geteuid() != 0:
        return {}
    for name in _ACCOUNTS:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            groups: Sequence[int] = ()
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": groups}
    message = f"root may not run PostgreSQL, and there is none of {', '.join(_ACCOUNTS)}"
    raise RuntimeError(message)


def _first_deed() -> Callable[[], None] | None:
    """Give what a child does first. To the kernel a thread is its parent: only the main one is."""
    in_main = threading.current_thread() is threading.main_thread()
    return _die_with_parent if in_main else None


def _die_with_parent() -> None:
    """Ask the kernel to stop the child when its parent dies, however that comes (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
