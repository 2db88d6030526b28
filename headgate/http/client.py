"""The client: one request, one whole answer, or the failure that says why not.

Certificates are verified always. Redirects are followed here, so that credentials go to the origins
they are meant for and to no other. Nothing is tried again here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx2

from headgate.clock import Clock
from headgate.errors import Invalid, Refused, Unavailable
from headgate.http.bounds import Bounds
from headgate.http.connections import Connections
from headgate.http.failures import Failed, bad_status, server_message, too_large, too_late
from headgate.http.messages import USER_AGENT, Answer, Credentials, Request
from headgate.http.retry_after import asked_wait
from headgate.http.urls import HIDDEN, followed, origin, shown, with_query

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD: Final = frozenset({307, 308})
_MOST_REDIRECTS: Final = 10
_SUCCESS: Final = range(200, 300)
_NOT_MODIFIED: Final = 304
_SHORTEST_SECRET: Final = 4


class HttpClient:
    """A pool of connections; threads share it.

    Args:
        clock: says when an answer came.
        bounds: what a request may take.
        ca_file: authorities to trust beside the system's own, as PEM.
        trusted: the origins credentials may be sent to.
        hidden: names of query values that are not shown.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        bounds: Bounds,
        ca_file: Path | None = None,
        trusted: frozenset[str] = frozenset(),
        hidden: frozenset[str] = frozenset(),
        user_agent: str = USER_AGENT,
    ) -> None:
        self._clock = clock
        self._bounds = bounds
        self._trusted = trusted
        self._hidden = hidden
        self._user_agent = user_agent
        self._connections = Connections(bounds, ca_file)

    def send(self, request: Request, credentials: Credentials | None = None) -> Answer:
        """Ask, and give the answer, whose status is 2xx or 304.

        Raises:
            Failed: there is none; the failure's error names the address.
        """
        url, method, body = request.url, request.method, request.body
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._once(url, method, body, request.headers, credentials)
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                return self._judged(answer, credentials)
            url, method, body = self._redirected(url, method, body, answer)
        raise Failed(
            Unavailable(
                "too-many-redirects",
                f"{self.shown(request.url)} leads from one address to the next without end.",
                url=self.shown(request.url),
            )
        )

    def shown(self, url: str) -> str:
        """Give an address as messages may say it."""
        return shown(url, self._hidden)

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def _once(
        self,
        url: str,
        method: str,
        body: bytes | None,
        headers: Mapping[str, str],
        credentials: Credentials | None,
    ) -> Answer:
        where = self.shown(url)
        asked, sent = url, headers
        if credentials is not None and origin(url) in self._trusted:
            asked, sent = with_query(url, credentials.query), {**headers, **credentials.headers}
        began_s = self._clock.monotonic_s()
        with self._connections.answer(
            method, asked, self._headers(sent), body, where=where
        ) as response:
            content = self._content(response, where, began_s)
        return Answer(
            url=where,
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=content,
            fetched_at=self._clock.now(),
        )

    def _headers(self, own: Mapping[str, str]) -> dict[str, str]:
        return {"User-Agent": self._user_agent, "Accept-Encoding": "gzip, deflate", **own}

    def _content(self, response: httpx2.Response, where: str, began_s: float) -> bytes:
        largest, patience_s = self._bounds.largest_bytes, self._bounds.answer_timeout_s
        length = response.headers.get("content-length", "")
        claimed = int(length) if length.isascii() and length.isdigit() else None
        if claimed is not None and claimed > largest:
            raise too_large(where, largest, claimed)
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > largest:
                raise too_large(where, largest, None)
            if self._clock.monotonic_s() - began_s > patience_s:
                raise too_late(where, patience_s)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _judged(self, answer: Answer, credentials: Credentials | None) -> Answer:
        if answer.status in _SUCCESS or answer.status == _NOT_MODIFIED:
            return answer
        asked = asked_wait(answer.headers, self._clock.now())
        used_up = answer.headers.get("x-ratelimit-remaining", "").strip() == "0"
        said = _without(server_message(answer.body), credentials)
        raise bad_status(
            answer.url,
            answer.status,
            said,
            asked,
            refused=used_up and asked is not None and answer.status == 403,  # noqa: PLR2004 - GitHub
        )

    def _redirected(
        self, url: str, method: str, body: bytes | None, answer: Answer
    ) -> tuple[str, str, bytes | None]:
        target = followed(url, answer.headers["location"])
        where, there = self.shown(url), self.shown(target)
        try:
            leaves = origin(target) != origin(url)
        except Invalid as error:
            raise Failed(error) from error
        if url.startswith("https:") and not target.startswith("https:"):
            raise _redirect_refused(where, there, "which is not secure")
        if method == "GET":
            return target, method, None
        if answer.status == 303:  # noqa: PLR2004 - RFC 9110: See Other
            return target, "GET", None
        if answer.status not in _SAME_METHOD or leaves:
            raise _redirect_refused(where, there, "where what was sent would not arrive")
        return target, method, body


def _without(text: str, credentials: Credentials | None) -> str:
    """Cut out what an answer repeats of the credentials."""
    if credentials is None:
        return text
    for value in (*credentials.headers.values(), *credentials.query.values()):
        for part in {value, *value.split()}:
            if len(part) >= _SHORTEST_SECRET:
                text = text.replace(part, HIDDEN)
    return text


def _redirect_refused(where: str, there: str, why: str) -> Failed:
    return Failed(
        Refused(
            "redirect-refused",
            f"{where} leads to {there}, {why}.",
            hint="Name the address it leads to.",
            url=where,
            target=there,
        )
    )
