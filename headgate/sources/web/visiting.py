"""Visiting pages: as robots.txt allows, a pause between two pages of a host, in a steady order."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final

from headgate.clock import Clock
from headgate.errors import HeadgateError, Refused
from headgate.http import (
    Answer,
    Credentials,
    Crew,
    Failed,
    Gate,
    HttpClient,
    Request,
    is_worth_again,
    origin,
    wait_asked,
)
from headgate.retrying import retrying
from headgate.sources.web.declaration import WebPages
from headgate.sources.web.robots import (
    EVERYTHING,
    LARGEST_BYTES,
    NOTHING,
    Robots,
    robots_for,
)

_AHEAD: Final = 32
_REFUSED: Final = range(400, 500)
_LIMITED: Final = 429
_ACCEPT: Final = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.5"


class Visits:
    """Asks for pages, hosts side by side, each host at its own pace."""

    def __init__(
        self,
        declared: WebPages,
        client: HttpClient,
        credentials: Credentials,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._declared = declared
        self._client = client
        self._credentials = credentials
        self._clock = clock
        self._random = random
        self._gates: dict[str, Gate] = {}
        self._robots: dict[str, Robots] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._crew: Crew[Answer] = Crew(
            width=declared.parallel,
            clock=clock,
            random=random,
            retry=declared.retry,
            gate=self._gate,
        )

    def pages(
        self, urls: Sequence[str], tags: Mapping[str, str]
    ) -> Iterator[tuple[str, Answer | HeadgateError]]:
        """Give each page in the order of the addresses, or why there is none.

        A page whose ETag is among ``tags`` and has not changed has the status 304 and no body.
        """
        crew, results = self._crew, dict[int, Answer | BaseException]()
        handed_in = 0
        for place, url in enumerate(urls):
            with crew.lock:
                while handed_in < min(len(urls), place + _AHEAD):
                    self._hand_in(handed_in, urls[handed_in], tags, results)
                    handed_in += 1
                while place not in results:
                    crew.changed.wait()
                result = results.pop(place)
            if isinstance(result, Failed):
                yield url, result.error
            elif isinstance(result, (Answer, HeadgateError)):
                yield url, result
            else:
                raise result

    def close(self) -> None:
        """Stop asking."""
        self._crew.close()

    def _hand_in(
        self,
        place: int,
        url: str,
        tags: Mapping[str, str],
        results: dict[int, Answer | BaseException],
    ) -> None:
        def do() -> Answer:
            return self._page(url, tags.get(url))

        def finished(result: Answer | BaseException) -> None:
            results[place] = result

        self._crew.hand_in(origin(url), do, finished)

    def _page(self, url: str, tag: str | None) -> Answer:
        if self._declared.robots and not self._rules(url).allows(url):
            raise Failed(_forbidden(self._client.shown(url)))
        headers = {"Accept": _ACCEPT, **({"If-None-Match": tag} if tag else {})}
        return self._client.send(Request(url=url, headers=headers), self._credentials)

    def _rules(self, url: str) -> Robots:
        """Give a host's robots.txt; one thread asks for it, the host's others wait."""
        host = origin(url)
        with self._crew.lock:
            lock = self._locks.setdefault(host, threading.Lock())
        with lock:
            rules = self._robots.get(host)
            if rules is None:
                rules = self._robots[host] = self._asked_rules(host)
                with self._crew.lock:
                    self._gate(host).slow_down(rules.delay)
            return rules

    def _asked_rules(self, host: str) -> Robots:
        """Ask for robots.txt: without one all is allowed; while it cannot be had, nothing is."""
        request = Request(url=f"{host}/robots.txt")
        try:
            answer = retrying(
                lambda: self._client.send(request, self._credentials),
                again=is_worth_again,
                asked=wait_asked,
                clock=self._clock,
                random=self._random,
                retry=self._declared.retry,
            )
        except Failed as failure:
            if failure.status in _REFUSED and failure.status != _LIMITED:
                return EVERYTHING
            if failure.status is not None:
                return NOTHING
            raise
        text = answer.body[:LARGEST_BYTES].decode("utf-8", "replace")
        return robots_for(text, self._declared.user_agent)

    def _gate(self, host: str) -> Gate:
        return self._gates.setdefault(host, Gate(interval=self._declared.delay))


def _forbidden(where: str) -> Refused:
    return Refused(
        "robots-forbid",
        f"robots.txt does not allow {where} to be read by programs.",
        hint="Ask who runs the host. Where they have agreed: robots=False.",
        url=where,
    )
