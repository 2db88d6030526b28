"""Faults between a client and an object store, one rule at a time.

>>> with FaultyStore(endpoint) as faulty:  # doctest: +SKIP
...     faulty.add(Fault(method="PUT", path="data/", status=503, times=2))
"""

import http.client
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self, TypeAlias
from urllib.parse import unquote, urlsplit

Cut: TypeAlias = Literal["before", "after", "middle"]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_TIMEOUT_S = 30


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with requests of a method whose path, with its query, holds a text.

    One of: an answer with ``status`` and an S3 ``code``; the connection ``cut`` before the request
    reaches the store, after the store carried it out (the answer is lost), or in the middle of the
    answer; ``stall``: no answer, until the proxy ends. The first ``after`` such requests pass, the
    next ``times`` do not; None: all that follow.
    """

    method: str = ""
    path: str = ""
    status: int | None = None
    code: str = "InternalError"
    cut: Cut | None = None
    stall: bool = False
    after: int = 0
    times: int | None = 1
    seen: list[str] = field(default_factory=list)

    def meets(self, method: str, path: str) -> bool:
        """Say whether a request is one of those, and count it."""
        if not re.search(self.path, path) or (self.method and self.method != method):
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            if not self.times:
                return False
            self.times -= 1
        self.seen.append(f"{method} {path}")
        return True


class FaultyStore:
    """A proxy on 127.0.0.1 in front of a store. Use it with ``with``."""

    def __init__(self, endpoint: str) -> None:
        self._behind = urlsplit(endpoint).netloc
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.requests: list[str] = []
        self.ended = threading.Event()
        proxy = self

        class Handler(_Handler):
            store = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, fault: Fault) -> Fault:
        """Let something go wrong from now on."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def mend(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._faults.clear()

    def fault_of(self, method: str, path: str) -> Fault | None:
        """Give what goes wrong with a request."""
        with self._lock:
            self.requests.append(f"{method} {path}")
            return next((fault for fault in self._faults if fault.meets(method, path)), None)

    def behind(self) -> http.client.HTTPConnection:
        """Open a connection to the store itself."""
        return http.client.HTTPConnection(self._behind, timeout=_TIMEOUT_S)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: FaultyStore

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.store.fault_of(self.command, unquote(self.path))
        if fault is not None and fault.stall:
            self.store.ended.wait(_TIMEOUT_S)
            self._cut()
        elif fault is not None and fault.status is not None:
            self._refuse(fault.status, fault.code)
        elif fault is not None and fault.cut == "before":
            self._cut()
        else:
            self._pass_on(body, fault.cut if fault is not None else None)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _pass_on(self, body: bytes, cut: Cut | None) -> None:
        connection = self.store.behind()
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            if cut == "after":
                self._cut()
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            size = answer.getheader("Content-Length") or str(len(content))
            self.send_header(
                "Content-Length", size if self.command == "HEAD" else str(len(content))
            )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut == "middle" else content)
            if cut == "middle":
                self.wfile.flush()
                self._cut()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away
        finally:
            connection.close()

    def _refuse(self, status: int, code: str) -> None:
        content = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>Made for a test</Message></Error>"
        ).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # close with a reset, at once
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
