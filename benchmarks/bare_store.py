"""The barest S3 server: objects are files, and nothing is checked. For measuring clients.

Test servers read whole objects for each range; this one sends the range. It can wait before each
answer, as a store that is some milliseconds away does.

usage: python -m benchmarks.bare_store DIRECTORY LATENCY_MS    prints its URL
"""

import os
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_HEADERS = (("ETag", '"x"'), ("Last-Modified", "Fri, 20 Nov 2026 12:00:00 GMT"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory: Path
    latency_s: float
    requests: list[str] = []  # noqa: RUF012 - one server a process

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _place(self) -> tuple[Path, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        time.sleep(self.latency_s)
        query = parse_qs(parts.query, keep_blank_values=True)
        return self.directory / unquote(parts.path).strip("/").replace("/", "%2F"), query

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in (*_HEADERS, *headers.items()):
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _into(self, path: Path) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        with path.open("wb") as file:
            while left:
                piece = self.rfile.read(min(left, 1 << 20))
                file.write(piece)
                left -= len(piece)

    def do_PUT(self) -> None:
        path, query = self._place()
        if "partNumber" in query:
            path = path.with_name(f"{query['uploadId'][0]}.{int(query['partNumber'][0]):05}")
        elif self.headers.get("If-None-Match") and path.exists():
            self._answer(412)
            return
        self._into(path)
        self._answer(200)

    def do_POST(self) -> None:
        path, query = self._place()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "uploads" in query:
            unique = uuid.uuid4().hex
            xml = f"<InitiateMultipartUploadResult><UploadId>{unique}</UploadId>"
            self._answer(200, f"{xml}</InitiateMultipartUploadResult>".encode())
            return
        parts = sorted(path.parent.glob(f"{query['uploadId'][0]}.*"))
        with path.open("wb") as file:
            for part in parts:
                with part.open("rb") as source:
                    while os.sendfile(file.fileno(), source.fileno(), None, 1 << 30):
                        pass
                part.unlink()
        done = "CompleteMultipartUploadResult"
        self._answer(200, f'<{done}><ETag>"x"</ETag></{done}>'.encode())

    def do_HEAD(self) -> None:
        path, _ = self._place()
        found = path.exists()
        self.send_response(200 if found else 404)
        for name, value in _HEADERS:
            self.send_header(name, value)
        self.send_header("Content-Length", str(path.stat().st_size if found else 0))
        self.end_headers()

    def do_GET(self) -> None:
        path, _ = self._place()
        if not path.exists():
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        size = path.stat().st_size
        start, end = 0, size
        wanted = self.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            if not first:
                start = max(0, size - int(last))
            else:
                start, end = int(first), min(size, int(last) + 1 if last else size)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_response(200)
        for name, value in _HEADERS:
            self.send_header(name, value)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self.wfile.flush()
        with path.open("rb") as file:
            while start < end:
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, end - start)

    def do_DELETE(self) -> None:
        path, query = self._place()
        for part in (
            path.parent.glob(f"{query['uploadId'][0]}.*") if "uploadId" in query else [path]
        ):
            part.unlink(missing_ok=True)
        self._answer(204)


def main() -> None:
    directory, latency_ms = sys.argv[1:]
    _Handler.directory = Path(directory)
    _Handler.latency_s = float(latency_ms) / 1000
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
