"""A receiver of webhooks: a server on a free port that keeps what it is sent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str]]


class Receiver:
    """Keeps each message with its headers. ``answers`` are given first, then ``usual``."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[Answer | None] = []
        self.usual: Callable[[int], Answer] = lambda _: (204, {})
        self.url = ""

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.messages]

    @property
    def data(self) -> list[Any]:
        return [body["data"] for body in self.bodies]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver until the end of the block."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.messages.append(({k.lower(): v for k, v in self.headers.items()}, body))
            answer = kept.answers.pop(0) if kept.answers else kept.usual(len(kept.messages))
            if answer is None:  # hang up
                self.close_connection = True
                self.connection.close()
                return
            status, headers = answer
            text = b"" if status == 204 else b"thanks"
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # hung up on purpose
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
