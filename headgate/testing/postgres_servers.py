"""A PostgreSQL server of one's own, for as long as a test or a measurement takes.

It lives in a temporary directory, listens on 127.0.0.1 only, and syncs as a real one does. No
server of the system is touched. Where the user is root, who may not run one, it runs as another.
"""

import secrets
import shutil
import signal
import socket
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from headgate.clock import SystemClock
from headgate.testing.server_processes import PAUSE, ServerProcess

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
ACCOUNTS = ("postgres", "nobody")
"""Who runs it where the user is root."""
_OWNER = "owner"


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
        self._server: ServerProcess | None = None
        self.password = secrets.token_hex(8)

    def __enter__(self) -> Self:
        server = self._server = ServerProcess(
            "PostgreSQL", find=find_program, accounts=ACCOUNTS, orphaned=signal.SIGINT
        )
        password = self.directory / "password"
        password.write_text(self.password)
        server.give(password)
        server.run(
            "initdb",
            *("--pgdata", str(self._data), "--username", _OWNER, "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )
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
        self._process.remove()

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
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process.start(
            *("postgres", "-D", str(self._data), *given),
            ask=lambda: self.execute("select 1", database="postgres"),
            unanswered=psycopg.OperationalError,
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends sessions and writes all down, ``immediate`` is a crash."""
        self._process.end({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])

    @property
    def pid(self) -> int:
        """The process to send signals to, while it runs."""
        return self._process.pid

    def log(self) -> str:
        """Give what it has said so far."""
        return self._process.log()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self._process.port

    @property
    def directory(self) -> Path:
        """What is of it, its files and its log."""
        return self._process.directory

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
            self._clock.sleep(PAUSE)

    # -- parts

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _process(self) -> ServerProcess:
        if self._server is None:
            message = "the server is used outside of its with"
            raise RuntimeError(message)
        return self._server


class Pooler:
    """PgBouncer in transaction mode before a server. Use it with ``with``."""

    def __init__(self, server: PostgresServer, *, connections: int = 20) -> None:
        self._server = server
        self._connections = connections
        self._pooler: ServerProcess | None = None

    def __enter__(self) -> Self:
        pooler = self._pooler = ServerProcess(
            "PgBouncer", find=find_program, accounts=ACCOUNTS, orphaned=signal.SIGINT
        )
        users, file = pooler.directory / "users", pooler.directory / "pooler.ini"
        users.write_text(f'"{_OWNER}" "{self._server.password}"\n')
        file.write_text(
            f"""[databases]
* = host=127.0.0.1 port={self._server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {pooler.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {self._connections}
max_client_conn = 500
"""
        )
        pooler.give(users, file)
        pooler.start("pgbouncer", str(file), ask=self._answers, unanswered=OSError)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pooler is not None:
            self._pooler.end()
            self._pooler.remove()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return 0 if self._pooler is None else self._pooler.port

    def _answers(self) -> None:
        socket.create_connection(("127.0.0.1", self.port), 1).close()


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parts[-3].split("-")[-1].split(".") if part.isdigit())
