"""Web servers of files, for as long as a test takes: what they hold and how they fail is said."""

import http.server
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from headgate.digests import digest


@dataclass(slots=True)
class ServedFile:
    """A file of a server. Without ``tells`` its headers say nothing of its state."""

    content: bytes
    tells: tuple[str, ...] = ("ETag", "Last-Modified")
    breaks_after: int | None = None
    modified: str = "Fri, 20 Nov 2026 10:00:00 GMT"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(slots=True)
class FileServer:
    """A server on 127.0.0.1. ``failing`` holds the statuses of the next answers."""

    files: dict[str, ServedFile] = field(default_factory=dict)
    failing: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    before: Callable[[Asked], None] = lambda _: None
    trust: ssl.SSLContext | None = None
    retry_after: str | None = None
    _server: http.server.ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        if self.trust is not None:
            self._server.socket = self.trust.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Give a file's address."""
        port = self._server.server_address[1] if self._server is not None else 0
        return f"{'https' if self.trust else 'http'}://{host}:{port}{path}"


def _handler(server: FileServer) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: C901 - methods
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            asked = Asked(self.command, self.path, dict(self.headers.items()))
            server.asked.append(asked)
            server.before(asked)
            if server.failing and (status := server.failing.pop(0)):
                self._refuse(status)
                return
            file = server.files.get(self.path)
            if file is None:
                self.send_error(404)
                return
            etag = f'"{digest(file.content)}"'
            if file.status == http.HTTPStatus.OK and self.headers.get("If-Match", etag) != etag:
                self.send_error(412)
                return
            self.send_response(file.status)
            self.send_header("Content-Length", str(len(file.content)))
            for name, value in file.headers.items():
                self.send_header(name, value)
            if "ETag" in file.tells:
                self.send_header("ETag", etag)
            if "Last-Modified" in file.tells:
                self.send_header("Last-Modified", file.modified)
            self.end_headers()
            if body:
                self.wfile.write(file.content[: file.breaks_after])

        def _refuse(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if server.retry_after is not None:
                self.send_header("Retry-After", server.retry_after)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            """Say nothing."""

    return Handler
