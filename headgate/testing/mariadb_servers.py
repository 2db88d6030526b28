"""A MariaDB server of one's own, for as long as a test or a measurement takes.

It lives in a temporary directory and listens on 127.0.0.1 only. No server of the system is touched.
Where the user is root, who may not run one, it runs as another.
"""

# ruff: noqa: PLW1509, S603 - the programs are MariaDB's, and a child calls one C function first

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
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import pymysql

from headgate.clock import SystemClock

_ACCOUNTS = ("mysql", "nobody")
_OWNER = "owner"
_DATABASE = "shop"
_PAUSE = timedelta(milliseconds=20)
_START_S = 60.0
_PR_SET_PDEATHSIG = 1


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
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self.password = secrets.token_hex(8)
        self.port = 0
        self.directory = Path()

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="headgate-mariadb-"))
        self._data.mkdir()
        for path in (self.directory, self._data):
            self._give(path)
        self._run(
            "mariadb-install-db",
            *("--no-defaults", f"--datadir={self._data}", "--skip-test-db"),
            *("--auth-root-authentication-method=normal", "--skip-name-resolve"),
        )
        self.port = _free_port()
        begin = self.directory / "begin.sql"
        begin.write_text(
            f"create database {_DATABASE} character set utf8mb4;\n"
            f"create user {_OWNER}@'%' identified by '{self.password}';\n"
            f"grant all on *.* to {_OWNER}@'%' with grant option;\n"
            "delete from mysql.global_priv where User in ('', 'root');\n"
            "flush privileges;\n"
        )
        self._give(begin)
        self.start(f"--init-file={begin}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

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
        command = [str(_program("mariadbd")), "--no-defaults"]
        command += [f"--{name}={value}" for name, value in options.items()]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *more], stdout=log, stderr=log, preexec_fn=_first_deed(), **_account()
            )
        until_s = self._clock.monotonic_s() + _START_S
        while True:
            try:
                self.execute("select 1")
            except pymysql.MySQLError as error:
                if self._process.poll() is not None or self._clock.monotonic_s() > until_s:
                    message = f"MariaDB did not start:\n{self.log()}"
                    raise RuntimeError(message) from error
                self._clock.sleep(_PAUSE)
            else:
                return

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=60)
            self._process = None

    def log(self) -> str:
        """Give what it has said so far."""
        return (self.directory / "log").read_text(errors="replace")

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

    def _give(self, path: Path) -> None:
        account = _account()
        if account:
            os.chown(path, int(account["user"]), int(account["group"]))


def _program(name: str) -> Path:
    found = find_program(name)
    if found is None:
        message = f"{name} is not installed"
        raise RuntimeError(message)
    return found


def _account() -> dict[str, Any]:
    """Give who runs it: nobody else, unless the user is root."""
    if os.geteuid() != 0:
        return {}
    for name in _ACCOUNTS:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            groups: Sequence[int] = ()
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": groups}
    message = f"root may not run MariaDB, and there is none of {', '.join(_ACCOUNTS)}"
    raise RuntimeError(message)


def _first_deed() -> Callable[[], None] | None:
    """Give what a child does first. To the kernel a thread is its parent: only the main one is."""
    in_main = threading.current_thread() is threading.main_thread()
    return _die_with_parent if in_main else None


def _die_with_parent() -> None:
    """Ask the kernel to stop the child when its parent dies, however that comes (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
