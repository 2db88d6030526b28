"""Asking an API: a crew, one client and its tokens for a list and those of its parents."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from random import Random
from typing import Final

from headgate.http import Crew, Failed, Gate, HttpClient, Request, origin, status_words
from headgate.secrets import Secret
from headgate.sources.cursors import Cursor
from headgate.sources.rest.answers import Page
from headgate.sources.rest.authorizing import Authority, Tokens, authority
from headgate.sources.rest.batching import batches
from headgate.sources.rest.declaration import Auth, Declaration
from headgate.sources.rest.fetching import Fetcher
from headgate.sources.rest.lists import named, unnamed
from headgate.sources.rest.reading import Reading
from headgate.sources.source import Batch, Setting

_NO_BASE: Final = frozenset({400, 404, 405, 406, 410, 415, 422})
_REPLACED: Final = (
    "The server of OAuth2 replaced the refresh token, and nothing stores the new one: if the one "
    "that is kept is good only once, the next run is refused."
)


def asked(
    declared: Declaration, setting: Setting, random: Random, cursor: Cursor | None
) -> Iterator[Batch]:
    """Give the records after a cursor; connections are closed with the last one.

    Raises:
        Refused: ``cursor-of-another-list``.
        Invalid: what the API sent is not what was declared.
        Unavailable, Refused, NotFound, Corrupt: what went wrong, with address and page.
    """
    crew: Crew[Page] = Crew(
        width=declared.parallel,
        clock=setting.clock,
        random=random,
        retry=declared.retry,
        gate=lambda _: _gate(declared),
    )
    with closing(_client(declared, setting)) as client, crew:
        fetchers = _Fetchers(declared, setting, random, client)
        reading = Reading(
            declaration=declared,
            crew=crew,
            fetcher=fetchers,
            host=origin(declared.url),
            clock=setting.clock,
            hidden=declared.hidden_names,
            appends=setting.appends,
        )
        given = batches(
            reading.pieces(None if cursor is None else unnamed(cursor, declared)),
            cursor,
            rows=declared.batch_rows,
            keep_pages=declared.keep_pages,
        )
        told = False
        for batch in given:
            news = fetchers.replaced_refresh_token and not told
            told = told or news
            at = batch.cursor
            if at is not None and at is not cursor:
                at = named(at, declared)
            yield replace(batch, cursor=at, note=_REPLACED if news else batch.note)


def reached(declared: Declaration, setting: Setting, random: Random) -> str:
    """Ask for the base address once, with credentials; any answer but a refusal of them will do.

    Raises:
        Refused: ``not-authenticated``, ``not-allowed``, ``token-refused``, ...
        Unavailable: nobody answers, or with an error of its own.
    """
    with closing(_client(declared, setting)) as client:
        fetchers = _Fetchers(declared, setting, random, client)
        try:
            credentials = fetchers.authority(declared).credentials()
            answer = client.send(Request(url=declared.url), credentials)
        except Failed as failed:
            asked = client.shown(declared.url)
            if failed.error.code == "answer-too-large":
                return f"{asked} answers"
            if failed.status in _NO_BASE:  # what is asked for in earnest is below it
                return f"{asked} answers {status_words(failed.status)}"
            raise failed.error from failed.__cause__
        return f"{answer.url} answers {status_words(answer.status)}"


class _Fetchers:
    """Gives each declaration its fetcher; they share connections and tokens."""

    def __init__(
        self, top: Declaration, setting: Setting, random: Random, client: HttpClient
    ) -> None:
        self._top = top
        self._setting = setting
        self._random = random
        self._client = client
        self._made: dict[int, Fetcher] = {}
        self._tokens_of: list[tuple[Auth, Tokens]] = []

    def __call__(self, declared: Declaration) -> Fetcher:
        known = self._made.get(id(declared))
        if known is None:
            who = self.authority(declared)
            known = self._made[id(declared)] = Fetcher(declared, self._client, who)
        return known

    def authority(self, declared: Declaration) -> Authority:
        """Give who proves who asks for a list."""
        return authority(
            declared.auth,
            headers=declared.headers,
            query={n: v for n, v in declared.params.items() if isinstance(v, Secret)},
            tokens=self._tokens,
            reveal=self._setting.reveal,
        )

    @property
    def replaced_refresh_token(self) -> bool:
        """Whether a server gave another refresh token than the one that is kept."""
        return any(tokens.replaced for _, tokens in self._tokens_of)

    def _tokens(self, auth: Auth, headers: Callable[[], Mapping[str, str]]) -> Tokens:
        for known, tokens in self._tokens_of:
            if known == auth:
                return tokens
        made = Tokens(
            auth,
            client=self._client,
            clock=self._setting.clock,
            random=self._random,
            retry=self._top.retry,
            reveal=self._setting.reveal,
            headers=headers,
        )
        self._tokens_of.append((auth, made))
        return made


def _client(declared: Declaration, setting: Setting) -> HttpClient:
    hidden: set[str] = set()
    trusted: set[str] = set()
    each: Declaration | None = declared
    while each is not None:
        hidden.update(each.hidden_names)
        trusted.update(each.trusted)
        if each.auth is not None and each.auth.token_url:
            trusted.add(origin(each.auth.token_url))
        each = each.parent
    return HttpClient(
        clock=setting.clock,
        bounds=declared.bounds,
        ca_file=setting.root / declared.ca_file if declared.ca_file else None,
        trusted=frozenset(trusted),
        hidden=frozenset(hidden),
    )


def _gate(declared: Declaration) -> Gate:
    rate = declared.rate
    return Gate() if rate is None else Gate(interval=rate.interval, burst=rate.burst)
