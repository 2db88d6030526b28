"""Posting: one message to one address, again while that may help; why not, in our words."""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from random import Random
from typing import Final
from urllib.parse import urlsplit

import httpx2

from headgate.clock import Clock
from headgate.errors import HeadgateError, Invalid, Refused, Unavailable
from headgate.retrying import Retry, retrying

_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 529})
_ENOUGH_BYTES: Final = 1 << 16
_SUCCESS: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)
_READERS: Final = "Those of the destination see what was delivered before."


class _NotTaken(Exception):  # noqa: N818 - only ``error`` is raised to others
    """A message that was not taken. ``again``: it may be later, not before ``asked`` has passed."""

    def __init__(
        self, error: HeadgateError, *, again: bool = False, asked: timedelta | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.asked = asked


class Posting:
    """A connection to one address, which messages call ``where``.

    Certificates are verified always; redirects are not followed.
    """

    def __init__(
        self,
        url: str,
        *,
        where: str,
        clock: Clock,
        random: Random,
        retry: Retry,
        timeout_s: float,
    ) -> None:
        self._url = url
        self._where = where
        self._clock = clock
        self._random = random
        self._retry = retry
        self._client = httpx2.Client(timeout=timeout_s, headers={"User-Agent": "headgate"})

    def post(self, body: bytes, headers: Callable[[], Mapping[str, str]]) -> None:
        """Send a message until it is taken; ``headers`` are made anew for each attempt.

        Raises:
            Unavailable: ``webhook-unavailable``. Invalid: ``bad-address``.
            Refused: ``webhook-refused``, ``webhook-gone``, ``certificate-not-trusted``.
        """
        try:
            retrying(
                lambda: self._once(body, headers()),
                again=lambda error: isinstance(error, _NotTaken) and error.again,
                asked=lambda error: error.asked if isinstance(error, _NotTaken) else None,
                clock=self._clock,
                random=self._random,
                retry=self._retry,
            )
        except _NotTaken as failed:
            raise failed.error from failed.__cause__

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _once(self, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                status = answer.status_code
                said = {name.lower(): value for name, value in answer.headers.items()}
                _read_on(answer)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
            raise _NotTaken(_no_address(self._where)) from error
        except (httpx2.HTTPError, OSError) as error:
            raise self._not_reached(error) from error
        if status not in _SUCCESS:
            raise self._refused(status, said)

    def _not_reached(self, error: Exception) -> _NotTaken:
        causes = tuple(_causes(error))
        certificate = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
        if certificate is not None:
            return _NotTaken(
                Refused(
                    "certificate-not-trusted",
                    f"The certificate of {self._where} is not trusted: "
                    f"{certificate.verify_message}.",
                    readers=_READERS,
                    hint="Have it signed by an authority that this machine trusts.",
                    url=self._where,
                )
            )
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            why = "its host is not known"
        elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
            why = "nobody listens there"
        elif isinstance(error, httpx2.TimeoutException):
            why = "it did not answer in time"
        else:
            why = "the connection broke"
        return _NotTaken(self._unavailable(why), again=True)

    def _refused(self, status: int, headers: Mapping[str, str]) -> _NotTaken:
        words = f"{status} {_phrase(status)}".strip()
        if status in _LATER:
            asked = asked_wait(headers, self._clock.now())
            return _NotTaken(self._unavailable(f"it answers {words}"), again=True, asked=asked)
        if status == HTTPStatus.GONE:
            return _NotTaken(
                Refused(
                    "webhook-gone",
                    f"{self._where} answers {words}: it wants no more messages.",
                    readers=_READERS,
                    hint="Take the sink out of the pipeline, or give it another url.",
                    url=self._where,
                    status=status,
                )
            )
        to = headers.get("location") if status in _REDIRECT else None
        return _NotTaken(
            Refused(
                "webhook-refused",
                f"{self._where} answers {words}"
                + (f", which leads to {shown(to)}." if to else "."),
                readers=_READERS,
                hint=_HINTS.get(status, "Name the address it leads to." if to else _LOOK),
                url=self._where,
                status=status,
            )
        )

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(
            "webhook-unavailable",
            f"{self._where} takes no message: {why}.",
            readers=_READERS,
            hint="Nothing is lost: the history is kept.  headgate deliver  goes on where it was.",
            url=self._where,
        )


_LOOK: Final = "Look into the receiver's log; the message is the same each time."
_HINTS: Final[Mapping[int, str]] = {
    401: "Check headers= and the secret that signs.",
    403: "Check headers= and the secret that signs.",
    404: "Check url=.",
    413: "Send less at once: most_bytes=, most_rows=.",
}


def _read_on(answer: httpx2.Response) -> None:
    """Read what an answer says besides, so that the connection can be used again; not for ever."""
    size = 0
    for chunk in answer.iter_raw():
        size += len(chunk)
        if size > _ENOUGH_BYTES:
            return


def shown(url: str, *, path: bool = True) -> str:
    """Give an address without user, password and query; a secret one without its path, too."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "the address"
    if not parts.scheme or not parts.hostname:
        return "the address"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path if path else ''}"


def asked_wait(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Give the wait of ``Retry-After`` (RFC 9110): seconds, or a date measured from ``Date``."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return timedelta(seconds=min(int(said), 10**9))
    until = _date(said)
    if until is None:
        return None
    return max(timedelta(), until - (_date(headers.get("date", "")) or now))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _no_address(where: str) -> Invalid:
    return Invalid(
        "bad-address",
        f"{where!r} is no address of a web server.",
        hint='Write a whole one: "https://hooks.example.org/headgate".',
        url=where,
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__
