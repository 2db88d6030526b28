"""A MariaDB server of one's own, for as long as a test or a measurement takes.

It lives in a temporary directory and listens on 127.0.0.1 only. No server of the system is touched.
Where the user is root, who may not run one, it runs as another.
"""

import secrets
import shutil
import signal
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import pymysql

from headgate.testing.server_processes import ServerProcess

ACCOUNTS = ("mysql", "nobody")
"""Who runs it where the user is root."""
_OWNER = "owner"
_DATABASE = "shop"


def find_program(name: str) -> Path | None:
    """Give where a program of MariaDB is, on the path or where distributions hide it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/libexec")
    return Path(found) if found else None


def is_installed() -> bool:
    """Say whether there is a server to start here."""
    return find_program("mariadbd") is not None and find_program("mariadb-install-db") is not None


class MariaServer:
    """A server with one user, ``owner``, and one database, ``shop``. Use it with ``with``.

    Args:
        settings: of the server, such as ``{"max_connections": "20"}``.
    """

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        self._server: ServerProcess | None = None
        self.password = secrets.token_hex(8)

    def __enter__(self) -> Self:
        server = self._server = ServerProcess(
            "MariaDB", find=find_program, accounts=ACCOUNTS, orphaned=signal.SIGKILL
        )
        self._data.mkdir()
        server.give(self._data)
        server.run(
            "mariadb-install-db",
            *("--no-defaults", f"--datadir={self._data}", "--skip-test-db"),
            *("--auth-root-authentication-method=normal", "--skip-name-resolve"),
        )
        begin = self.directory / "begin.sql"
        begin.write_text(
            f"create database {_DATABASE} character set utf8mb4;\n"
            f"create user {_OWNER}@'%' identified by '{self.password}';\n"
            f"grant all on *.* to {_OWNER}@'%' with grant option;\n"
            "delete from mysql.global_priv where User in ('', 'root');\n"
            "flush privileges;\n"
        )
        server.give(begin)
        self.start(f"--init-file={begin}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self._process.remove()

    # -- its life

    def start(self, *more: str) -> None:
        """Start it, and wait until it answers."""
        options = {
            "bind-address": "127.0.0.1",
            "port": str(self.port),
            "socket": str(self.directory / "socket"),
            "datadir": str(self._data),
            "pid-file": str(self.directory / "pid"),
            "innodb-buffer-pool-size": "64M",
            "innodb-log-file-size": "16M",
            "innodb-flush-log-at-trx-commit": "2",
            **{name.replace("_", "-"): value for name, value in self._settings.items()},
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        self._process.start(
            *("mariadbd", "--no-defaults", *given, *more),
            ask=lambda: self.execute("select 1"),
            unanswered=pymysql.MySQLError,
        )

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._process.end()

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

    def url(self, *, user: str = _OWNER, password: str | None = None, scheme: str = "mysql") -> str:
        """Give the database's URL, with the owner's password."""
        word = quote(self.password if password is None else password, safe="")
        return f"{scheme}://{user}:{word}@127.0.0.1:{self.port}/{_DATABASE}"

    def connect(self) -> "pymysql.connections.Connection[Any]":
        """Give a session of the owner, past headgate."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=_OWNER,
            password=self.password,
            database=_DATABASE,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
        )

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the owner; give the rows of the last one."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

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
