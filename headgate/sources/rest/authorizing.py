"""Who asks: credentials for requests, tokens fetched before they are needed and renewed in time."""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from random import Random
from typing import Final, Protocol
from urllib.parse import quote, urlencode

import msgspec

from headgate.clock import Clock
from headgate.errors import Refused
from headgate.http import (
    Credentials,
    Failed,
    HttpClient,
    Request,
    basic,
    is_worth_again,
    wait_asked,
)
from headgate.retrying import Retry, retrying
from headgate.secrets import Reveal, Secret
from headgate.sources.rest.declaration import Auth

_EARLY: Final = timedelta(seconds=30)
_REFUSALS: Final = frozenset({400, 401, 403})


class Authority(Protocol):
    """Gives credentials. Threads share it."""

    def credentials(self) -> Credentials:
        """Give what to send with the next request."""
        ...

    def renew(self, used: Credentials) -> bool:
        """Hear that these were refused; say whether others are worth an attempt."""
        ...


class Fixed:
    """Credentials that stay as they are, revealed at the first request."""

    def __init__(self, make: Callable[[], Credentials]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Credentials | None = None

    def credentials(self) -> Credentials:
        """Give them."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def renew(self, used: Credentials) -> bool:  # noqa: ARG002 - there are no others
        """Say that there are no others."""
        return False


class Tokens:
    """OAuth2: a token by client credentials or by a refresh token (RFC 6749, 4.4 and 6).

    One thread fetches it, the others wait. It is renewed half a minute before it ends, or earlier
    where it lives shorter than that, and when the API refuses it. ``replaced`` says that the server
    gave another refresh token than the one that is kept, which may be good for nothing now.
    """

    def __init__(
        self,
        auth: Auth,
        *,
        client: HttpClient,
        clock: Clock,
        random: Random,
        retry: Retry,
        reveal: Reveal,
        headers: Callable[[], Mapping[str, str]],
    ) -> None:
        self._auth = auth
        self._client = client
        self._clock = clock
        self._random = random
        self._retry = retry
        self._reveal = reveal
        self._headers = headers
        self._lock = threading.Lock()
        self._now: Credentials | None = None
        self._ends_s: float | None = None
        self._refresh: str | Secret | None = auth.refresh_token
        self.replaced = False

    def credentials(self) -> Credentials:
        """Give the token, a new one where it is about to end.

        Raises:
            Failed: the token's server gives none.
        """
        with self._lock:
            if self._now is None or self._is_ending():
                self._now = self._fetched()
            return self._now

    def renew(self, used: Credentials) -> bool:
        """Drop the token that was refused, if it is still in use."""
        with self._lock:
            if self._now is used:
                self._now = None
            return True

    def _is_ending(self) -> bool:
        return self._ends_s is not None and self._clock.monotonic_s() >= self._ends_s

    def _fetched(self) -> Credentials:
        request, client_credentials = self._request()
        where = self._client.shown(request.url)
        began_s = self._clock.monotonic_s()
        try:
            answer = retrying(
                lambda: self._client.send(request, client_credentials),
                again=is_worth_again,
                asked=wait_asked,
                clock=self._clock,
                random=self._random,
                retry=self._retry,
            )
        except Failed as failure:
            if failure.status in _REFUSALS:
                refused = _refused(where, failure.error.message, refreshing=bool(self._refresh))
                raise Failed(refused) from failure
            raise Failed(failure.error) from failure  # it was tried again here
        try:
            given: object = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Failed(_refused(where, f"{where} sent no JSON.")) from error
        token = given.get("access_token") if isinstance(given, dict) else None
        if not isinstance(token, str) or not token or not isinstance(given, dict):
            raise Failed(_refused(where, f"{where} sent no access_token."))
        lives = given.get("expires_in")
        self._ends_s = None
        if isinstance(lives, (int, float, str)) and _is_number(lives):
            early_s = min(_EARLY.total_seconds(), float(lives) / 2)
            self._ends_s = began_s + float(lives) - early_s
        if isinstance(next_refresh := given.get("refresh_token"), str) and self._refresh:
            self.replaced = self.replaced or next_refresh != self._reveal(self._refresh)
            self._refresh = next_refresh
        return Credentials(headers={**self._headers(), "Authorization": f"Bearer {token}"})

    def _request(self) -> tuple[Request, Credentials | None]:
        form = {"grant_type": "client_credentials"}
        if self._refresh is not None:
            form = {"grant_type": "refresh_token", "refresh_token": self._reveal(self._refresh)}
        if self._auth.scope:
            form["scope"] = self._auth.scope
        form |= {name: self._reveal(value) for name, value in self._auth.parameters.items()}
        client_id, secret = self._reveal(self._auth.client_id), self._reveal(self._auth.value)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        if self._auth.in_body:
            form |= {"client_id": client_id} | ({"client_secret": secret} if secret else {})
        elif client_id:
            headers["Authorization"] = basic(quote(client_id, safe=""), quote(secret, safe=""))
        request = Request(
            url=self._auth.token_url,
            method="POST",
            headers={name: value for name, value in headers.items() if name != "Authorization"},
            body=urlencode(form).encode(),
        )
        signed = headers.get("Authorization")
        return request, Credentials(headers={"Authorization": signed} if signed else {})


def authority(
    auth: Auth | None,
    *,
    headers: Mapping[str, str | Secret],
    query: Mapping[str, str | Secret],
    tokens: Callable[[Auth, Callable[[], Mapping[str, str]]], Tokens],
    reveal: Reveal,
) -> Authority:
    """Give who proves who asks: declared headers and secret query values, and ``auth``."""

    def revealed() -> dict[str, str]:
        return {name: reveal(value) for name, value in headers.items()}

    if auth is not None and auth.kind == "oauth2":
        return tokens(auth, revealed)

    def make() -> Credentials:
        sent, asked = revealed(), {name: reveal(value) for name, value in query.items()}
        if auth is None:
            return Credentials(headers=sent, query=asked)
        value = reveal(auth.value)
        if auth.kind == "bearer":
            sent["Authorization"] = f"Bearer {value}"
        elif auth.kind == "basic":
            sent["Authorization"] = basic(reveal(auth.user), value)
        elif auth.kind == "header":
            sent[auth.name] = value
        else:
            asked[auth.name] = value
        return Credentials(headers=sent, query=asked)

    return Fixed(make)


def _is_number(value: object) -> bool:
    try:
        return float(str(value)) > 0
    except ValueError:
        return False


def _refused(where: str, message: str, *, refreshing: bool = False) -> Refused:
    check = "Check client_id, client_secret, refresh_token and scope of auth."
    once = (
        " If the server replaces the refresh token at every use, the one that is kept is used up:"
        " nothing here stores its successor. Have it give one that stays, or use client"
        " credentials."
    )
    return Refused(
        "token-refused",
        f"{where} gave no token. {message}",
        hint=check + (once if refreshing else ""),
        url=where,
    )
