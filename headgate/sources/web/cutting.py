"""Cutting pages into records, again and again if need be."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from headgate.errors import Unavailable

if TYPE_CHECKING:
    from types import ModuleType


def records_on(
    body: bytes, query: Mapping[str, object], where: str, encoding: str | None
) -> Iterator[tuple[int, dict[str, object]]]:
    """Give a page's records, each with its line.

    Raises:
        Unavailable: ``library-missing``.
        HeadgateError: what is asked for is not on the page, or the page is not in its encoding.
    """
    html = _html()
    wanted = html.HtmlQuery.parse(query)
    yield from html.html_records(body, wanted, shown=where, encoding=encoding)


def check_query(query: Mapping[str, object]) -> None:
    """Refuse a query that cannot be asked of any page.

    Raises:
        Invalid: ``bad-option``. Unavailable: ``library-missing``.
    """
    _html().HtmlQuery.parse(query).check()


def html_records(
    page: Mapping[str, object],
    *,
    select: str | None = None,
    fields: Mapping[str, str | Sequence[str]] | None = None,
    html_table: int | str | None = None,
    header: bool | None = None,
) -> Iterator[dict[str, object]]:
    """Give the records of a page that was kept (``hg.pages(..., keep_pages=True)``).

    A step may do so as often as it likes, without asking the host again.

    Args:
        page: a row of the kept pages: its ``body`` is read, its ``url`` named in errors.
        select: a CSS selector of the elements that are records.
        fields: names, each with a CSS selector below the element, perhaps with an attribute.
        html_table: instead of both, a table: its number on the page, its caption or id.
        header: whether the table's first row names the columns.

    Raises:
        Unavailable: ``library-missing``.
        HeadgateError: what is asked for is not on the page, or the page is not in its encoding.
    """
    options = {"select": select, "fields": fields, "html_table": html_table, "header": header}
    query = {name: value for name, value in options.items() if value is not None}
    body = page["body"]
    content = body if isinstance(body, bytes) else str(body).encode()
    told = str(page.get("content_type") or "").lower().partition("charset=")[2]
    encoding = told.partition(";")[0].strip("\"' ") or None
    for _, record in records_on(content, query, str(page.get("url") or "the page"), encoding):
        yield record


def _html() -> "ModuleType":
    try:
        return import_module("headgate.sources.formats.html")
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in {"cssselect", "lxml"}:
            raise
        raise Unavailable(
            "library-missing",
            f"Web pages are read by {library}, which is not installed.",
            hint="pip install headgate[web]",
            library=library,
        ) from error
