"""Posting: one message to one address, again while that may help; why not, in our words."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from headgate.clock import Clock
from headgate.errors import HeadgateError, Refused, Unavailable
from headgate.http import (
    USER_AGENT,
    WORTH_AGAIN,
    Bounds,
    Connections,
    Failed,
    asked_wait,
    basic,
    is_worth_again,
    shown,
    status_words,
    too_late,
    wait_asked,
    without_user,
)
from headgate.retrying import Retry, retrying

if TYPE_CHECKING:
    import httpx2

_ENOUGH_BYTES: Final = 1 << 16
_SUCCESS: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)
_READERS: Final = "Those of the destination see what was delivered before."


class Posting:
    """Connections to one address, which messages call ``where``.

    Certificates are verified always, by the system's authorities and those of ``ca_file``;
    redirects are not followed. What the receiver says is not repeated: it may say a row.
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
        ca_file: Path | None = None,
    ) -> None:
        self._url, who = without_user(url)
        self._own = {"User-Agent": USER_AGENT}
        if who is not None:
            self._own["Authorization"] = basic(*who)
        self._where = where
        self._clock = clock
        self._random = random
        self._retry = retry
        self._timeout_s = timeout_s
        bounds = Bounds(connect_timeout_s=timeout_s, read_timeout_s=timeout_s, connections=1)
        self._connections = Connections(bounds, ca_file)

    def post(self, body: bytes, headers: Callable[[], Mapping[str, str]]) -> None:
        """Send a message until it is taken; ``headers`` are made anew for each attempt.

        Raises:
            Unavailable: ``webhook-unavailable``. Invalid: ``bad-address``, ``ca-file-unreadable``.
            Refused: ``webhook-refused``, ``webhook-gone``, ``certificate-not-trusted``.
        """
        try:
            retrying(
                lambda: self._once(body, headers()),
                again=is_worth_again,
                asked=wait_asked,
                clock=self._clock,
                random=self._random,
                retry=self._retry,
            )
        except Failed as failed:
            raise self._told(failed) from failed.__cause__

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _once(self, body: bytes, headers: Mapping[str, str]) -> None:
        began_s = self._clock.monotonic_s()
        sent = {**self._own, **headers}
        with self._connections.answer("POST", self._url, sent, body, where=self._where) as answer:
            status = answer.status_code
            said = {name.lower(): value for name, value in answer.headers.items()}
            self._read_on(answer, began_s)
        if status not in _SUCCESS:
            raise self._refused(status, said)

    def _read_on(self, answer: "httpx2.Response", began_s: float) -> None:
        """Read what an answer says besides, so that the connection can be used again.

        Not for ever.
        """
        size = 0
        for chunk in answer.iter_raw():
            size += len(chunk)
            if size > _ENOUGH_BYTES:
                return
            if self._clock.monotonic_s() - began_s > self._timeout_s:
                raise too_late(self._where, self._timeout_s)

    def _refused(self, status: int, headers: Mapping[str, str]) -> Failed:
        words = status_words(status)
        if status in WORTH_AGAIN:
            error = Unavailable("webhook-unavailable", f"{self._where} answers {words}.")
            asked = asked_wait(headers, self._clock.now())
            return Failed(error, again=True, asked=asked, status=status)
        if status == HTTPStatus.GONE:
            return Failed(
                Refused(
                    "webhook-gone",
                    f"{self._where} answers {words}: it wants no more messages.",
                    hint="Take the sink out of the pipeline, or give it another url.",
                    url=self._where,
                    status=status,
                )
            )
        to = headers.get("location") if status in _REDIRECT else None
        return Failed(
            Refused(
                "webhook-refused",
                f"{self._where} answers {words}"
                + (f", which leads to {plainly_shown(to)}." if to else "."),
                hint=_HINTS.get(status, "Name the address it leads to." if to else _LOOK),
                url=self._where,
                status=status,
            )
        )

    def _told(self, failed: Failed) -> HeadgateError:
        """Give the error of a message that was not taken, with what readers see."""
        error = failed.error
        if failed.again:  # it still may be, later
            error = Unavailable(
                "webhook-unavailable",
                f"{error.message} The message was not taken.",
                hint="Nothing is lost: the history is kept.  headgate deliver  goes on where it"
                " was.",
                url=self._where,
            )
        error.readers = _READERS
        return error


_LOOK: Final = "Look into the receiver's log; the message is the same each time."
_HINTS: Final[Mapping[int, str]] = {
    401: "Check headers= and the secret that signs.",
    403: "Check headers= and the secret that signs.",
    404: "Check url=.",
    413: "Send less at once: most_bytes=, most_rows=.",
}


def plainly_shown(url: str, *, path: bool = True) -> str:
    """Give an address without user, password and query; a secret one without its path, too."""
    try:
        parts = urlsplit(shown(url.partition("?")[0].partition("#")[0]))
        known = bool(parts.scheme and parts.hostname and parts.port is not False)
    except ValueError:
        known = False
    if not known:
        return "the address"
    return f"{parts.scheme}://{parts.netloc}{parts.path if path else ''}"
