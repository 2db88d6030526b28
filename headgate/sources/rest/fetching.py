"""Asking for a page: the request it takes, the credentials, the answer cut into records."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from headgate.errors import Refused
from headgate.http import Failed, HttpClient, Request, origin, with_query
from headgate.secrets import Secret
from headgate.sources.rest.answers import Page, page_of
from headgate.sources.rest.authorizing import Authority
from headgate.sources.rest.declaration import Declaration
from headgate.sources.rest.walk import Visit, Walk

_UNAUTHORIZED: Final = 401
_ACCEPT: Final = "application/json"


class Fetcher:
    """Asks for pages of one declaration. Threads share it."""

    def __init__(self, declaration: Declaration, client: HttpClient, authority: Authority) -> None:
        self._declaration = declaration
        self._client = client
        self._authority = authority
        self._plain = {
            name: value
            for name, value in declaration.params.items()
            if not isinstance(value, Secret)
        }

    def page(self, walk: Walk, visit: Visit) -> Page:
        """Ask once; once more with a new token where the first one was refused.

        Raises:
            Failed: no page came of it.
        """
        request = self.request(walk, visit)
        credentials = self._authority.credentials()
        try:
            answer = self._client.send(request, credentials)
        except Failed as failure:
            if failure.status != _UNAUTHORIZED or not self._authority.renew(credentials):
                raise
            answer = self._client.send(request, self._authority.credentials())
        declared = self._declaration
        return page_of(
            answer, declared.records, lines=declared.lines, paged=declared.pages is not None
        )

    def request(self, walk: Walk, visit: Visit) -> Request:
        """Give the request for a page.

        Raises:
            Failed: ``next-elsewhere``: the API names a next page on a host that is not declared.
        """
        declared = self._declaration
        base = walk.address or declared.address
        if visit.ask.url is not None:
            target = visit.ask.url
            if origin(target) not in declared.trusted:
                raise Failed(_elsewhere(self._client.shown(base), self._client.shown(target)))
            return Request(url=target, method=declared.method, headers={"Accept": _ACCEPT})
        values = {**self._plain, **walk.params, **visit.ask.values}
        if declared.body is None:
            url = with_query(base, _query(values))
            return Request(url=url, method=declared.method, headers={"Accept": _ACCEPT})
        body = _copied(declared.body)
        for name, value in {**walk.params, **visit.ask.values}.items():
            _put(body, name.split("."), value)
        return Request(
            url=with_query(base, _query(self._plain)),
            method=declared.method,
            headers={"Accept": _ACCEPT, "Content-Type": "application/json"},
            body=msgspec.json.encode(body),
        )


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill the braces of a template."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def _query(values: Mapping[str, object]) -> dict[str, str | list[str]]:
    made: dict[str, str | list[str]] = {}
    for name, value in values.items():
        if isinstance(value, (list, tuple)):
            made[name] = [_text(each) for each in value]
        elif value is not None:
            made[name] = _text(value)
    return made


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _copied(value: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _copied(inner) if isinstance(inner, Mapping) else inner
        for name, inner in value.items()
    }


def _put(body: dict[str, object], path: list[str], value: object) -> None:
    for name in path[:-1]:
        inner = body.setdefault(name, {})
        if not isinstance(inner, dict):
            inner = body[name] = {}
        body = inner
    body[path[-1]] = value


def _elsewhere(where: str, there: str) -> Refused:
    return Refused(
        "next-elsewhere",
        f"{where} names {there} as its next page, on a host that is not declared: credentials are"
        " not sent there.",
        hint='If it is right, name the host: hosts=["..."].',
        url=where,
        target=there,
    )
