"""Asking an API: a crew, one client and its tokens for a list and those of its parents."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from random import Random

from headgate.http import Crew, Gate, HttpClient, origin
from headgate.secrets import Secret
from headgate.sources.cursors import Cursor
from headgate.sources.rest.answers import Page
from headgate.sources.rest.authorizing import Tokens, authority
from headgate.sources.rest.batching import batches
from headgate.sources.rest.declaration import Auth, Declaration
from headgate.sources.rest.fetching import Fetcher
from headgate.sources.rest.reading import Reading
from headgate.sources.source import Batch, Setting


def asked(
    declared: Declaration, setting: Setting, random: Random, cursor: Cursor | None
) -> Iterator[Batch]:
    """Give the records after a cursor; connections are closed with the last one.

    Raises:
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
        reading = Reading(
            declaration=declared,
            crew=crew,
            fetcher=_Fetchers(declared, setting, random, client),
            host=origin(declared.url),
            clock=setting.clock,
            hidden=declared.hidden_names,
            appends=setting.appends,
        )
        yield from batches(
            reading.pieces(cursor),
            cursor,
            rows=declared.batch_rows,
            keep_pages=declared.keep_pages,
        )


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
            secrets = {n: v for n, v in declared.params.items() if isinstance(v, Secret)}
            who = authority(
                declared.auth,
                headers=declared.headers,
                query=secrets,
                tokens=self._tokens,
                reveal=self._setting.reveal,
            )
            known = self._made[id(declared)] = Fetcher(declared, self._client, who)
        return known

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
