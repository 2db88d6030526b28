"""What is declared of an API, as one frozen value: the same from Python, a mapping and YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, TypeAlias, cast

from headgate.errors import Invalid
from headgate.http import Bounds, joined, origin, without_user
from headgate.retrying import Retry
from headgate.secrets import Secret, with_secrets
from headgate.sources.options import Options, bad, retry_of
from headgate.sources.rest.paths import Path, path_of

Stop: TypeAlias = Literal["short", "missing", "repeated"]
STOPS: Final = ("empty", "short", "missing", "repeated")
Value: TypeAlias = str | int | float | bool | Secret
KIND: Final = "rest"
SINCE: Final = "since"
WINDOW: Final = "window"
POSITION: Final = "position"
"""What cursors begin with: by a field that grows, by time, by the place in a list that grows."""

_CONNECTION: Final = (
    "url", "auth", "headers", "hosts", "ca_file", "rate", "retry", "parallel", "largest_bytes",
    "connect_timeout", "read_timeout", "answer_timeout",
)  # fmt: skip
_ORDERS: Final = ("none", "ascending", "descending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Pages by number, or by offset: any of them can be asked for by itself.

    ``total`` leads to the number of
    records, ``total_pages`` to that of pages. ``stop``: what ends the list beside an empty page.
    ``gaps``: pages in the middle may hold fewer records than their size.
    """

    by: Literal["page", "offset"]
    parameter: str
    first: int
    size: int | None = None
    size_parameter: str | None = None
    total: Path | None = None
    total_pages: Path | None = None
    stop: frozenset[str] = frozenset()
    gaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chained:
    """Pages that each tell the next: a cursor, an address, a ``Link``, or the last record's key.

    ``next`` leads to it in the body, ``header`` names the header it is in. ``more`` leads to what
    says whether there is one.
    """

    by: Literal["cursor", "url", "link", "key"]
    parameter: str = ""
    next: Path | None = None
    header: str | None = None
    field: Path | None = None
    more: Path | None = None
    size: int | None = None
    size_parameter: str | None = None
    stop: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Stretches of time, each a list of its own: from ``start`` in steps, the last up to now.

    The beginning counts in and the end does not; ``closed`` is how much the end is put back where
    an API counts it in. ``lag`` is how long ago the last one ends.
    """

    start: datetime
    step: timedelta
    parameters: tuple[str, str]
    format: str = "iso"
    lag: timedelta = timedelta()
    closed: timedelta = timedelta()
    inner: "Counted | Chained | None" = None


Paging: TypeAlias = Counted | Chained | Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """Reading only what is new: by a field that grows.

    ``parameter`` asks the API for values from there on; without one, older records are left out
    here. ``overlap`` is how much later than its value a record may come.
    """

    field: Path
    parameter: str | None = None
    start: str | int | float | None = None
    order: str = "none"
    overlap: timedelta | float = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How one proves who asks: ``bearer``, ``basic``, ``header``, ``query`` or ``oauth2``."""

    kind: str
    value: str | Secret = ""
    user: str | Secret = ""
    name: str = ""
    token_url: str = ""
    client_id: str | Secret = ""
    refresh_token: str | Secret | None = None
    scope: str | None = None
    in_body: bool = False
    parameters: Mapping[str, str | Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a host is asked: one request every ``interval``, ``burst`` of them at once."""

    interval: timedelta
    burst: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One list of records of an API."""

    url: str
    path: str = ""
    method: str = "GET"
    params: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    records: Path | None = None
    lines: bool = False
    pages: Paging | None = None
    since: Since | None = None
    identity: tuple[Path, ...] = ()
    parent: "Declaration | None" = None
    include: Mapping[str, Path] = field(default_factory=dict)
    grows: bool = False
    keep_pages: bool = False
    batch_rows: int = 5_000
    auth: Auth | None = None
    trusted: frozenset[str] = frozenset()
    ca_file: str | None = None
    rate: Rate | None = None
    retry: Retry = field(default_factory=Retry)
    parallel: int = 4
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def address(self) -> str:
        """The address, with the braces of a parent's fields still in it."""
        return joined(self.url, self.path)

    @property
    def hidden_names(self) -> frozenset[str]:
        """The names of query values that are credentials."""
        names = {name for name, value in self.params.items() if isinstance(value, Secret)}
        if self.auth is not None and self.auth.kind == "query":
            names.add(self.auth.name)
        return frozenset(names)

    @property
    def top(self) -> "Declaration":
        """The list that is no other's child."""
        return self if self.parent is None else self.parent.top

    @property
    def reads_on(self) -> bool:
        """Whether a reading can begin where the one before it ended."""
        top = self.top
        return top.since is not None or top.grows or isinstance(top.pages, Windows)


def parsed(options: Mapping[str, object]) -> Declaration:
    """Read a declaration from its options.

    Raises:
        Invalid: ``bad-option``, ``unknown-option``, ``bad-address``.
    """
    return _declaration(Options(options), {})


def rate_of(fields: Options) -> Rate | None:
    """Read ``rate="10/s"``, or ``{"requests": 600, "per": "1m", "burst": 10}``."""
    given = fields.take("rate")
    if given is None:
        return None
    if isinstance(given, str):
        requests, _, per = given.partition("/")
        per = per.strip()
        length = {"per": f"1{per}" if per[:1].isalpha() else per}
        given = {"requests": int(requests) if requests.strip().isdigit() else requests, **length}
    inner = Options(given, "rate")
    requests_, period = inner.counted("requests", 0), inner.lasting("per", timedelta(seconds=1))
    burst = inner.counted("burst", 1)
    inner.end()
    if not requests_ or not period:
        raise bad("rate", 'rate says how many requests in which time: "10/s", "600/min".')
    return Rate(interval=period / requests_, burst=burst)


def _declaration(fields: Options, connection: Mapping[str, object]) -> Declaration:
    own = {name: value for name in _CONNECTION if (value := fields.take(name)) is not None}
    shared = {**connection, **own}
    link = Options(shared)
    url = link.needed("url", "the API's address, here or in a connection")
    url, who = without_user(url)
    named = None if who is None else Auth(kind="basic", user=who[0], value=who[1])
    auth = _auth(link.inner("auth")) or named
    hosts = link.words("hosts")
    origins = frozenset(origin(each if "://" in each else f"https://{each}") for each in hosts)
    parallel = link.counted("parallel", 4)
    parent_fields = fields.take("parent")
    pages = _paging(fields.inner("pages"))
    body = fields.mapping("body")
    method = fields.choice("method", ("GET", "POST"), "POST" if body else "GET")
    usual = Bounds()
    made = Declaration(
        url=url,
        path=fields.text("path") or "",
        method=method,
        params=fields.mapping("params"),
        headers=_texts(link.mapping("headers"), "headers"),
        body=body if method == "POST" else None,
        records=_path(fields.text("records")),
        lines=fields.choice("format", ("json", "ndjson"), "json") == "ndjson",
        pages=pages,
        since=_since(fields.inner("since")),
        identity=tuple(path_of(name) for name in fields.words("identity")),
        parent=_declaration(Options(parent_fields, "parent"), shared) if parent_fields else None,
        include={name: path_of(str(value)) for name, value in fields.mapping("include").items()},
        grows=fields.flag("grows"),
        keep_pages=fields.flag("keep_pages"),
        batch_rows=fields.counted("batch_rows", 5_000),
        auth=auth,
        trusted=origins | {origin(joined(url, ""))},
        ca_file=link.text("ca_file"),
        rate=rate_of(link),
        retry=retry_of(link.take("retry")),
        parallel=parallel,
        bounds=Bounds(
            largest_bytes=link.counted("largest_bytes", usual.largest_bytes),
            connect_timeout_s=link.seconds("connect_timeout", usual.connect_timeout_s),
            read_timeout_s=link.seconds("read_timeout", usual.read_timeout_s),
            answer_timeout_s=link.seconds("answer_timeout", usual.answer_timeout_s),
            connections=parallel,
        ),
    )
    link.end()
    fields.end()
    _check(made)
    return made


def _check(made: Declaration) -> None:
    """Refuse what contradicts itself."""
    elsewhere = origin(made.address) if "{" not in made.address else None
    if elsewhere is not None and elsewhere not in made.trusted:
        raise bad(
            "path",
            f"path leads to another host than {made.url}.",
            "Put the whole address into url=, or name the host in hosts=.",
        )
    if made.parent is not None and (made.since or made.grows or isinstance(made.pages, Windows)):
        raise bad(
            "parent",
            "What is read of each parent is read whole: since=, grows= and time windows belong into"
            " parent=.",
        )
    if made.include and made.parent is None:
        raise bad("include", "include= takes fields of the parent, and there is no parent=.")
    if made.keep_pages and made.include:
        raise bad("include", "Pages are kept as they are; include= adds fields to records.")
    if made.grows and (made.since is not None or made.pages is None):
        raise bad("grows", "grows= is about lists in pages, without since=.")
    if made.grows and isinstance(made.pages, Windows):
        raise bad("grows", "Time windows are read on by themselves; grows= says nothing of them.")
    if made.since is not None and isinstance(made.pages, Windows):
        raise bad("since", "Time windows are read on by themselves; leave since= out.")
    if made.lines and made.records is not None:
        raise bad("records", "Each line is a record; there is no path to them.")


# -- pagination


def _paging(fields: Options | None) -> Paging | None:
    if fields is None:
        return None
    by = fields.choice("by", ("page", "offset", "cursor", "url", "link", "key", "time"), "")
    if not by:
        raise fields.bad("by", "says how pages are told apart: page, offset, cursor, link, ...")
    paging: Paging
    if by in {"page", "offset"}:
        paging = _counted(fields, cast("Literal['page', 'offset']", by))
    elif by == "time":
        paging = _windows(fields)
    else:
        paging = _chained(fields, cast("Literal['cursor', 'url', 'link', 'key']", by))
    fields.end()
    return paging


def _counted(fields: Options, by: Literal["page", "offset"]) -> Counted:
    size = fields.number("size")
    if by == "offset" and size is None:
        raise fields.bad("size", "is needed to know the next offset")
    made = Counted(
        by=by,
        parameter=fields.text("parameter") or by,
        first=fields.counted("first", 1 if by == "page" else 0, least=0),
        size=size,
        size_parameter=fields.text("size_parameter") or ("limit" if by == "offset" else None),
        total=_path(fields.text("total")),
        total_pages=_path(fields.text("total_pages")) if by == "page" else None,
        stop=frozenset(fields.words("stop", STOPS)) - {"empty"},
        gaps=fields.flag("gaps"),
    )
    if size is None and (made.total is not None or "short" in made.stop):
        raise fields.bad("size", "is needed to know how many pages there are")
    return made


def _chained(fields: Options, by: Literal["cursor", "url", "link", "key"]) -> Chained:
    made = Chained(
        by=by,
        parameter=fields.text("parameter") or {"cursor": "cursor", "key": "after"}.get(by, ""),
        next=_path(fields.text("next")) if by in {"cursor", "url"} else None,
        header=fields.text("header") if by == "cursor" else None,
        field=_path(fields.text("field")) if by == "key" else None,
        more=_path(fields.text("more")),
        size=fields.number("size"),
        size_parameter=fields.text("size_parameter"),
        stop=frozenset(fields.words("stop", ("empty", "short", "missing"))) - {"empty"},
    )
    if by == "cursor" and (made.next is None) == (made.header is None):
        raise fields.bad(
            "next", "leads to the next cursor in the body; or header= names its header"
        )
    if by == "url" and made.next is None:
        raise fields.bad("next", "leads to the next address in the body")
    if by == "key" and made.field is None:
        raise fields.bad("field", "names the records' field from which the next page goes on")
    if "short" in made.stop and made.size is None:
        raise fields.bad("size", "is needed to know that a page is short")
    return made


def _windows(fields: Options) -> Windows:
    names = fields.words("parameters")
    if len(names) != 2:  # noqa: PLR2004 - from and to
        raise fields.bad("parameters", 'names the two of beginning and end: ["from", "to"]')
    step = fields.duration("step")
    if not step:
        raise fields.bad("step", 'says how long one is: "1d"')
    inner = _paging(fields.inner("pages"))
    if isinstance(inner, Windows):
        raise fields.bad("pages", "cannot be time windows again")
    return Windows(
        start=_instant(fields, "start"),
        step=step,
        parameters=(names[0], names[1]),
        format=fields.text("format") or "iso",
        lag=fields.lasting("lag", timedelta()),
        closed=fields.lasting("closed", timedelta()),
        inner=inner,
    )


def _instant(fields: Options, name: str) -> datetime:
    value = fields.take(name)
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise fields.bad(name, f'is an instant ("2026-01-01T00:00:00Z"), not {value!r}') from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


# -- the rest


def _since(fields: Options | None) -> Since | None:
    if fields is None:
        return None
    start, overlap = fields.take("start"), fields.take("overlap")
    if isinstance(start, date):
        start = start.isoformat()
    if start is not None and (isinstance(start, bool) or not isinstance(start, (str, int, float))):
        raise fields.bad("start", f"is a text or a number, not {start!r}")
    wide: timedelta | float = timedelta()
    if isinstance(overlap, (int, float)) and not isinstance(overlap, bool) and overlap >= 0:
        wide = overlap
    elif overlap is not None:
        wide = Options({"overlap": overlap}, "since").lasting("overlap", timedelta())
    made = Since(
        field=path_of(fields.needed("field", "the records' field that grows")),
        parameter=fields.text("parameter"),
        start=start,
        order=fields.choice("order", _ORDERS, "none"),
        overlap=wide,
    )
    fields.end()
    return made


_AUTHS: Final = ("bearer", "basic", "api_key", "oauth2")


def _auth(fields: Options | None) -> Auth | None:
    if fields is None:
        return None
    given = {name: value for name in _AUTHS if (value := fields.take(name)) is not None}
    if len(given) != 1:
        raise bad("auth", f"auth is one of {', '.join(_AUTHS)}.", 'auth={"bearer": hg.secret("x")}')
    [(kind, value)] = given.items()
    if kind == "bearer":
        auth = Auth(kind="bearer", value=_credential(value, "auth.bearer"))
    elif kind == "basic":
        inner = Options(value, "auth.basic")
        user, password = inner.credential("user"), inner.credential("password")
        inner.end()
        auth = Auth(kind="basic", user=user or "", value=password or "")
    elif kind == "api_key":
        header, parameter = fields.text("header"), fields.text("parameter")
        if header and parameter:
            raise fields.bad("header", "and parameter= are two places; say one")
        auth = Auth(
            kind="query" if parameter else "header",
            name=parameter or header or "X-API-Key",
            value=_credential(value, "auth.api_key"),
        )
    else:
        auth = _oauth2(Options(value, "auth.oauth2"))
    fields.end()
    return auth


def _oauth2(fields: Options) -> Auth:
    url = fields.needed("token_url", "where tokens are given")
    origin(url)
    made = Auth(
        kind="oauth2",
        token_url=url,
        client_id=fields.credential("client_id") or "",
        value=fields.credential("client_secret") or "",
        refresh_token=fields.credential("refresh_token"),
        scope=" ".join(fields.words("scope")) or None,
        in_body=fields.choice("client_auth", ("header", "body"), "header") == "body",
        parameters=_texts(fields.mapping("parameters"), "auth.oauth2.parameters"),
    )
    fields.end()
    return made


def _credential(value: object, name: str) -> str | Secret:
    made = with_secrets(value)
    if isinstance(made, (str, Secret)):
        return made
    raise bad(name, f"{name} is a text or a secret.")  # without the value


def _texts(given: Mapping[str, object], name: str) -> dict[str, str | Secret]:
    return {key: _credential(value, f"{name}.{key}") for key, value in given.items()}


def _path(text: str | None) -> Path | None:
    return None if text is None else path_of(text)


def no_way_to_append(title: str) -> Invalid:
    """Give the error for rows that would be added again at every reading."""
    return Invalid(
        "rest-cannot-append",
        f"{title} has no way to read only what is new: appended, its rows would be there twice.",
        hint='Say since={"field": ..., "parameter": ...}, or grows=True for a list that only grows'
        ' at its end; or write with mode="replace" or mode="upsert".',
    )
