"""A small web server for tests: answers as it is told, and misbehaves as it is told.

>>> with ApiServer(Listing([{"id": 1}])) as server:    # doctest: +SKIP
...     RestSource({"url": server.url, "path": "page", ...}, setting)

It speaks HTTP/1.1 over sockets of its own, so that it can drop connections, break off within a body
and claim sizes that it does not send.
"""

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeAlias
from urllib.parse import parse_qs, urlencode, urlsplit

from headgate.clock import Clock, SystemClock

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request. ``times`` counts how often this address was asked for, this one included."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    target: str
    times: int
    number: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer, honest or not.

    ``drop`` closes the connection instead; ``cut`` closes it after that many bytes of the body;
    ``claim`` is the length that is claimed; ``unsized`` tells none and ends by closing.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    cut: int | None = None
    claim: int | None = None
    unsized: bool = False


Answering: TypeAlias = Callable[[Asked], Told]
Fault: TypeAlias = Callable[[Asked], "Told | None"]


def told_json(value: object, *, status: int = 200, **headers: str) -> Told:
    """Give an answer in JSON; ``_`` in names of headers stands for ``-``."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Told(
        status=status,
        body=json.dumps(value).encode(),
        headers={"Content-Type": "application/json", **named},
    )


class ApiServer:
    """A server on a free port of this machine, in threads, from ``with`` to its end.

    Args:
        answer: what it says to a request.
        fault: looked at first; where it gives an answer, that is the answer.
        certificate: of TLS: the files of the chain and of the key.
        clock: of the ``Date`` header and ``Asked.at_s``.
    """

    def __init__(
        self,
        answer: Answering,
        *,
        fault: Fault | None = None,
        certificate: tuple[Path, Path] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.answer = answer
        self.fault = fault
        self.asked: list[Asked] = []
        self._clock = clock or SystemClock()
        self._certificate = certificate
        self._lock = threading.Lock()
        self._times: Counter[str] = Counter()
        self._listener: socket.socket | None = None
        self._port = 0
        self._open: set[socket.socket] = set()
        self._stopping = False

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stopping = True
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        with self._lock:
            connections = tuple(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def port(self) -> int:
        """The port it listens on."""
        if not self._port:
            raise RuntimeError("The server is entered by with.")
        return self._port

    @property
    def url(self) -> str:
        """Its address."""
        scheme, host = ("https", "localhost") if self._certificate else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}"

    def _accept(self, listener: socket.socket) -> None:
        context = None
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
        while not self._stopping:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection, context), daemon=True)
            thread.start()

    def _serve(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        with suppress(OSError, ssl.SSLError, ValueError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._secured(connection, context) as stream, self._known(stream):
                reader = stream.makefile("rb")
                with reader:
                    while not self._stopping and self._exchange(stream, reader):
                        pass

    @staticmethod
    @contextmanager
    def _secured(
        connection: socket.socket, context: ssl.SSLContext | None
    ) -> Iterator[socket.socket]:
        if context is None:
            yield connection
        else:
            with context.wrap_socket(connection, server_side=True) as secured:
                yield secured

    @contextmanager
    def _known(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def _exchange(self, stream: socket.socket, reader: BinaryIO) -> bool:
        """Answer one request; say whether the connection stays open."""
        line = reader.readline(_CHUNK).decode("latin-1").split()
        if len(line) != 3:  # noqa: PLR2004 - method, target, version
            return False
        headers: dict[str, str] = {}
        while (header := reader.readline(_CHUNK).decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", "0")))
        asked = self._noted(line[0], line[1], headers, body)
        told = (self.fault(asked) if self.fault is not None else None) or self.answer(asked)
        if told.drop:
            return False
        length = len(told.body) if told.claim is None else told.claim
        shown = {
            "Date": format_datetime(self._clock.now(), usegmt=True),
            **({} if told.unsized else {"Content-Length": str(length)}),
            **({"Connection": "close"} if told.unsized else {}),
            **told.headers,
        }
        phrase = HTTPStatus(told.status).phrase
        head = "".join(f"{name}: {value}\r\n" for name, value in shown.items())
        sent = told.body if told.cut is None else told.body[: told.cut]
        stream.sendall(f"HTTP/1.1 {told.status} {phrase}\r\n{head}\r\n".encode("latin-1") + sent)
        return told.cut is None and told.claim is None and not told.unsized

    def _noted(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Asked:
        parts = urlsplit(target)
        query = {
            name: values[-1]
            for name, values in parse_qs(parts.query, keep_blank_values=True).items()
        }
        with self._lock:
            key = f"{method} {target} {body!r}"
            self._times[key] += 1
            asked = Asked(
                method=method,
                path=parts.path,
                query=query,
                headers=headers,
                body=body,
                target=target,
                times=self._times[key],
                number=len(self.asked) + 1,
                at_s=self._clock.monotonic_s(),
            )
            self.asked.append(asked)
        return asked


class Listing:
    """A list of records, divided in every common way; threads may change it while it is read.

    Paths: ``/page``, ``/offset``, ``/cursor``, ``/header``, ``/link``, ``/url``, ``/key`` and
    ``/time`` (``from`` and ``to`` of ``at``). Everywhere ``since=`` leaves out records whose
    ``at`` is smaller. Bodies are ``{"data": [...], "total": n, "pages": n, "next": ...}``.
    """

    def __init__(self, records: Sequence[Mapping[str, object]], *, size: int = 10) -> None:
        self._records = list(records)
        self._size = size
        self._lock = threading.Lock()

    @property
    def records(self) -> list[Mapping[str, object]]:
        """What it holds now."""
        with self._lock:
            return list(self._records)

    def add(self, *records: Mapping[str, object], first: bool = False) -> None:
        """Add records at the end, or before all others."""
        with self._lock:
            self._records = [*records, *self._records] if first else [*self._records, *records]

    def remove(self, *ids: object) -> None:
        """Take records away by ``id``."""
        with self._lock:
            self._records = [each for each in self._records if each["id"] not in ids]

    def put(self, record: Mapping[str, object]) -> None:
        """Change a record, known by ``id``; it is where it was."""
        with self._lock:
            self._records = [
                record if each["id"] == record["id"] else each for each in self._records
            ]

    def __call__(self, asked: Asked) -> Told:
        """Answer a request."""
        query = dict(asked.query)
        if asked.method == "POST" and asked.body.startswith(b"{"):
            query |= {name: str(value) for name, value in json.loads(asked.body).items()}
        since = query.get("since")
        records = [each for each in self.records if since is None or str(each["at"]) >= since]
        way = asked.path.strip("/").rpartition("/")[2]
        size = min(int(query.get("size", query.get("limit", self._size))), self._size)
        if way == "time":
            low, high = query.get("from", ""), query.get("to", "~")
            records = [each for each in records if low <= str(each["at"]) < high]
            way = "page"
        begin = self._begin(way, query, records, size)
        if begin is None:
            return Told(status=404)
        page, end = records[begin : begin + size], begin + size
        body: dict[str, object] = {
            "data": page,
            "total": len(records),
            "pages": -(-len(records) // size),
            "more": end < len(records),
        }
        following = str(end) if end < len(records) else None
        if way == "cursor":
            body["next"] = following
        if following is not None and way in {"url", "link"}:
            target = "?".join((asked.path, urlencode({**asked.query, "cursor": following})))
            host = f"http://{asked.headers['host']}"
            if way == "link":
                link = f'<{host}{target}>; rel="next"; title="a, b", <{host}/>; rel=first'
                return replace(told_json(page), headers={"Link": link})
            body["next"] = target
        if way == "header" and following is not None:
            return replace(told_json(body), headers={"X-Next": following})
        return told_json(page) if way == "link" else told_json(body)

    @staticmethod
    def _begin(
        way: str, query: Mapping[str, str], records: Sequence[Mapping[str, object]], size: int
    ) -> int | None:
        if way == "page":
            return (int(query.get("page", "1")) - 1) * size
        if way == "offset":
            return int(query.get("offset", "0"))
        if way == "key":
            after = query.get("after")
            ids = [str(each["id"]) for each in records]
            return 0 if after is None else next((n + 1 for n, i in enumerate(ids) if i == after), 0)
        if way in {"cursor", "header", "link", "url"}:
            return int(query.get("cursor", "0"))
        return None


def http_date(instant: datetime) -> str:
    """Give an instant as HTTP writes it."""
    return format_datetime(instant, usegmt=True)
