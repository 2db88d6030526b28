"""What went wrong with a request, in our words: which address, whether it may succeed later."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx2
import msgspec

from headgate.errors import Corrupt, HeadgateError, Invalid, NotFound, Refused, Unavailable

WORTH_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529})
"""Statuses that may be others when the same is asked later."""

_LATER_HINT = "Check the address, or try again later."
_MISSING = (404, 410)
_SERVER = 500
_SAID = ("message", "error_description", "detail", "error", "title", "errors")
_SAID_LENGTH = 200
_SAID_FROM_BYTES = 100_000


class Failed(Exception):  # noqa: N818 - it is met as a fact, and only ``error`` is raised to others
    """A request that gave no answer to use. ``error`` says it to people.

    ``again``: the same request may succeed later; ``asked`` is the wait the other side named;
    ``busy``: it said that it was asked too often.
    """

    def __init__(
        self,
        error: HeadgateError,
        *,
        again: bool = False,
        asked: timedelta | None = None,
        busy: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.asked = asked
        self.busy = busy
        self.status = status


def is_worth_again(error: Exception) -> bool:
    """Say whether the same request may succeed later."""
    return isinstance(error, Failed) and error.again


def wait_asked(error: Exception) -> timedelta | None:
    """Give the wait the other side named."""
    return error.asked if isinstance(error, Failed) else None


def not_reached(where: str, error: Exception) -> Failed:  # noqa: PLR0911 - a table
    """Give the failure for a request without an answer. ``where`` is the address as it is shown."""
    causes = tuple(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return _later(
            Unavailable(
                "host-unknown",
                f"The host of {where} is not known: no address.",
                hint=_LATER_HINT,
                url=where,
            )
        )
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        why = next(c for c in causes if isinstance(c, ssl.SSLCertVerificationError))
        return Failed(
            Refused(
                "certificate-not-trusted",
                f"The certificate of {where} is not trusted: {why.verify_message}.",
                hint='If it is signed by an authority of your own, name its file: ca_file="ca.pem".'
                " There is no way to do without.",
                url=where,
            )
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _later(
            Unavailable(
                "connection-not-secure",
                f"No secure connection to {where}.",
                hint=_LATER_HINT,
                url=where,
            )
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return _later(
            Unavailable(
                "connection-refused", f"Nobody listens at {where}.", hint=_LATER_HINT, url=where
            )
        )
    if isinstance(error, httpx2.TimeoutException):
        what = "be reached" if isinstance(error, httpx2.ConnectTimeout) else "answer"
        return _later(
            Unavailable(
                "answer-too-late", f"{where} did not {what} in time.", hint=_LATER_HINT, url=where
            )
        )
    if isinstance(error, httpx2.DecodingError):
        return Failed(
            Corrupt("answer-damaged", f"What {where} sent cannot be unpacked.", url=where),
            again=True,
        )
    if isinstance(error, httpx2.RemoteProtocolError) and "complete" in str(error):
        return _later(
            Unavailable(
                "answer-cut-off",
                f"{where} broke off within its answer.",
                hint=_LATER_HINT,
                url=where,
            )
        )
    return _later(
        Unavailable(
            "connection-broken", f"The connection to {where} broke.", hint=_LATER_HINT, url=where
        )
    )


def unusable(where: str) -> Failed:
    """Give the failure for what is no address."""
    return Failed(
        Invalid(
            "bad-address",
            f"{where!r} is no address of a web server.",
            hint='Write a whole one: "https://api.example.org/v1".',
            url=where,
        )
    )


def too_late(where: str, after_s: float) -> Failed:
    """Give the failure for an answer that never ends."""
    return _later(
        Unavailable(
            "answer-too-late",
            f"{where} was still answering after {after_s:g} seconds.",
            hint=_LATER_HINT,
            url=where,
        )
    )


def too_large(where: str, largest: int, claimed: int | None) -> Failed:
    """Give the failure for an answer above the limit; ``claimed`` is what it says of itself."""
    size = f"{claimed:,} bytes" if claimed is not None else "more"
    return Failed(
        Refused(
            "answer-too-large",
            f"{where} answers with {size}; {largest:,} are the most that is taken.",
            hint="Ask for smaller pages, or raise largest_bytes.",
            url=where,
            limit=largest,
            claimed=claimed,
        )
    )


def bad_status(
    where: str, status: int, said: str, asked: timedelta | None, *, refused: bool = False
) -> Failed:
    """Give the failure for an answer that says no. ``refused`` means a rate that is used up."""
    told = f"{where} answered {status_words(status)}{f': {said}' if said else ''}."
    facts: dict[str, Any] = {"url": where, "status": status}
    error: HeadgateError
    if status == HTTPStatus.TOO_MANY_REQUESTS or refused:
        wait = f" It asks to wait {asked.total_seconds():g} seconds." if asked else ""
        error = Unavailable(
            "asked-too-often", f"{told}{wait}", hint='Ask less often: rate="5/s".', **facts
        )
        return Failed(error, again=True, asked=asked, busy=True, status=status)
    if status == HTTPStatus.UNAUTHORIZED:
        error = Refused(
            "not-authenticated", told, hint="Check auth= and the secret it names.", **facts
        )
    elif status == HTTPStatus.FORBIDDEN:
        error = Refused(
            "not-allowed", told, hint="It knows who asks; give that account the right.", **facts
        )
    elif status in _MISSING:
        error = NotFound("address-missing", told, hint="Check url= and path=.", **facts)
    elif status >= _SERVER or status in WORTH_AGAIN:
        error = Unavailable("server-failed", told, hint="Try again later.", **facts)
    else:
        error = Refused("request-refused", told, hint="Check what is asked for.", **facts)
    return Failed(
        error,
        again=status in WORTH_AGAIN,
        asked=asked,
        busy=asked is not None and status == HTTPStatus.SERVICE_UNAVAILABLE,
        status=status,
    )


def server_message(body: bytes) -> str:
    """Give the one line in which an error's JSON body says why; nothing of any other body."""
    if len(body) > _SAID_FROM_BYTES:
        return ""
    try:
        said: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    for _ in range(4):
        if isinstance(said, list) and said:
            said = said[0]
        elif isinstance(said, Mapping):
            said = next((said[name] for name in _SAID if said.get(name)), None)
        else:
            break
    return " ".join(said.split())[:_SAID_LENGTH] if isinstance(said, str) else ""


def _later(error: HeadgateError) -> Failed:
    return Failed(error, again=True)


def status_words(status: int) -> str:
    """Give a status with what RFC 9110 calls it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__
