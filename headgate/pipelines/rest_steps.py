"""Steps whose rows come from the web: APIs, and pages for people.

What is declared here are plain mappings, as a YAML file would hold them (``docs/sources.md``); the
source reads them when it is made.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, TypedDict, Unpack

from headgate.pipelines.declared_steps import Declaration
from headgate.pipelines.source_steps import StepOptions, declare_source
from headgate.retrying import Retry
from headgate.secrets import Secret


class PagingOptions(TypedDict, total=False):
    """How a list is divided into pages. ``by`` says which of the others count."""

    by: Literal["page", "offset", "cursor", "url", "link", "key", "time"]
    parameter: str
    first: int
    size: int
    size_parameter: str
    total: str
    total_pages: str
    stop: Literal["short", "missing", "repeated"] | Sequence[str]
    gaps: bool
    next: str
    header: str
    field: str
    more: str
    start: str | datetime
    step: str | timedelta
    parameters: Sequence[str]
    format: str
    lag: str | timedelta
    closed: str | timedelta
    pages: Mapping[str, object]


class SinceOptions(TypedDict, total=False):
    """Which field grows, and how the API is asked for what is new."""

    field: str
    parameter: str
    start: str | float | datetime
    order: Literal["none", "ascending", "descending"]
    overlap: str | float | timedelta


class RetryOptions(TypedDict, total=False):
    """How often to try again; ``headgate.retrying.Retry`` says what each is."""

    attempts: int
    first: str | float | timedelta
    longest: str | float | timedelta
    patience: str | float | timedelta


class WebOptions(StepOptions, total=False):
    """How a web server is asked, and the options of the step."""

    connection: str
    headers: Mapping[str, str | Secret]
    hosts: str | Sequence[str]
    ca_file: str
    parallel: int
    retry: RetryOptions | Retry
    largest_bytes: int
    connect_timeout: float | str | timedelta
    read_timeout: float | str | timedelta
    answer_timeout: float | str | timedelta
    keep_pages: bool
    batch_rows: int


class RestOptions(WebOptions, total=False):
    """What is asked of an API, how it is divided, and the options of the step."""

    file: str
    resource: str
    path: str
    method: Literal["GET", "POST"]
    params: Mapping[str, object]
    body: Mapping[str, object]
    records: str
    format: Literal["json", "ndjson"]
    pages: PagingOptions
    since: SinceOptions
    identity: str | Sequence[str]
    parent: Mapping[str, object]
    include: Mapping[str, str]
    grows: bool
    auth: Mapping[str, object]
    rate: str | Mapping[str, object]


class FollowOptions(TypedDict, total=False):
    """Which links lead to more pages."""

    select: str
    depth: int
    hosts: str | Sequence[str]
    most: int


class PagesOptions(WebOptions, total=False):
    """What of web pages are records, how their hosts are treated, and the options of the step."""

    select: str
    fields: Mapping[str, str | Sequence[str]]
    html_table: int | str
    header: bool
    follow: FollowOptions
    robots: bool
    delay: float | str | timedelta
    user_agent: str
    changed: Literal["refuse", "again"]


def rest(url: str | None = None, **options: Unpack[RestOptions]) -> Declaration:
    """Declare a list of records of an API as a step without inputs.

    All of it is read, and replaces the table. With ``since``, ``grows`` or pages by time, what is
    new: it is upserted where the step has a key, else appended.

    >>> orders = hg.rest(                                          # doctest: +SKIP
    ...     "https://api.example.org/v1", path="orders", records="data",
    ...     pages={"by": "page", "size": 100, "total": "total"},
    ...     auth={"bearer": hg.secret("shop")}, key="id",
    ...     since={"field": "updated_at", "parameter": "updated_since"})

    Args:
        url: the API's address; may be in a connection or a file instead.
        options: of the list: ``path``, ``method``, ``params``, ``headers``, ``body``; ``records``
            (where they are in an answer), ``format``; ``pages`` (how it is divided), ``since`` (how
            to read only what is new), ``identity`` (fields that name a record, so that one that is
            met twice in a reading is given once), ``grows`` (the list only grows at its end),
            ``parent`` and ``include`` (a list for each record of another list), ``keep_pages``
            (rows are whole answers, for ``hg.page_records``). Of the host: ``auth``, ``hosts``,
            ``ca_file``, ``rate``, ``parallel``, ``retry``, ``largest_bytes``, ``connect_timeout``,
            ``read_timeout``, ``answer_timeout``. ``file`` and ``resource`` name a YAML file of all
            of these. Of the step: as in ``hg.files``. ``docs/sources.md`` says what each takes.

    Raises:
        Invalid: what ``hg.step`` raises. Wrong options are told before a run begins.
    """
    chosen: dict[str, object] = {} if url is None else {"url": url}
    return declare_source("rest", chosen, {"mode": _mode(options), **_plain(options)})


def pages(*urls: str, **options: Unpack[PagesOptions]) -> Declaration:
    """Declare web pages as a step without inputs.

    >>> prices = hg.pages("https://shop.example/list", follow={"select": "a.next", "depth": 50},
    ...     select="tr.item", fields={"name": "td.name", "price": "td.price"})  # doctest: +SKIP

    Args:
        urls: addresses of pages.
        options: what are records: ``select`` (a CSS selector) with ``fields`` (names, each with a
            selector below it, perhaps with an attribute: ``a@href``), or ``html_table`` (a number,
            caption or id) with ``header``; or ``keep_pages`` (rows are pages, for
            ``hg.html_records``). ``follow`` (``select`` of links, ``depth``, ``hosts``, ``most``
            pages). Manners: ``robots`` (robots.txt is obeyed), ``delay`` between two pages of a
            host (1 second), ``user_agent``. ``changed``: what a page means that was appended and
            has changed (``refuse``, ``again``). ``connection``, ``headers``, ``ca_file``,
            ``parallel``, ``retry``, ``largest_bytes``, ``connect_timeout``, ``read_timeout`` and
            ``answer_timeout`` are those of ``hg.rest``. Of the step: as in ``hg.files``.

    Raises:
        Invalid: what ``hg.step`` raises. Wrong options are told before a run begins.
    """
    chosen: dict[str, object] = {"urls": list(urls)} if urls else {}
    return declare_source("pages", chosen, _plain(options))


def _mode(options: Mapping[str, object]) -> str:
    if not _reads_on(options):
        return "replace"
    return "upsert" if options.get("key") else "append"


def _reads_on(options: Mapping[str, object]) -> bool:
    """Say whether a reading goes on where the one before it ended: that of the parents, if any."""
    parent, paging = options.get("parent"), options.get("pages")
    if isinstance(parent, Mapping):
        return _reads_on(parent)
    by_time = isinstance(paging, Mapping) and paging.get("by") == "time"
    return by_time or bool(options.get("since")) or bool(options.get("grows"))


def _plain(options: Mapping[str, object]) -> dict[str, object]:
    """Write what is no JSON as JSON would have it."""
    return {name: _value(value) for name, value in options.items()}


def _value(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Retry):
        return {
            "attempts": value.attempts,
            "first": value.first.total_seconds(),
            "longest": value.longest.total_seconds(),
            "patience": value.patience.total_seconds(),
        }
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, (list, tuple)):
        return [_value(each) for each in value]
    return value
