"""What one answer holds: its records as they are written, and what it says of the whole list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

import msgspec

from headgate.digests import digest
from headgate.errors import HeadgateError, Invalid, Unavailable
from headgate.http import Answer, Failed
from headgate.sources.rest.cutting import cut_out
from headgate.sources.rest.paths import MISSING, Path, value_at

_BOM: Final = b"\xef\xbb\xbf"
_HTML: Final = ("text/html", "application/xhtml+xml")
_NO_CONTENT: Final = 204
_CUT_OFF: Final = "truncated"
_UTF: Final = {"utf-8", "utf8", "us-ascii", "ascii"}
_LINES: Final = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, kw_only=True)
class Page:
    """One answer, read."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    fetched_at: datetime
    records: tuple[msgspec.Raw, ...]

    def value(self, path: Path) -> object:
        """Give what the body says at a path; MISSING where it says nothing."""
        return value_at(self.body, path)

    @cached_property
    def digest(self) -> str:
        """The digest of its records: two pages of one are the same page."""
        return digest(*(bytes(record) for record in self.records))


def page_of(answer: Answer, records: Path | None, *, lines: bool, paged: bool) -> Page:
    """Cut an answer into its records.

    A list is its elements, an object one record, null none. Without a path the body is the list;
    only where there are no further pages it may be one record.

    Raises:
        Failed: ``not-json``, ``answer-cut-off``, ``records-missing``.
    """
    body = _text(answer)
    try:
        if lines:
            cut = tuple(_LINES.decode_lines(body))
        elif answer.status == _NO_CONTENT:
            cut = ()
        else:
            _LINES.decode(body)
            cut = _records(body, records, answer, paged=paged)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(answer, error) from error
    return Page(
        url=answer.url,
        status=answer.status,
        headers=answer.headers,
        body=body,
        fetched_at=answer.fetched_at,
        records=cut,
    )


def _records(
    body: bytes, records: Path | None, answer: Answer, *, paged: bool
) -> tuple[msgspec.Raw, ...]:
    try:
        return cut_out(body, records, answer.url, paged=paged)
    except HeadgateError as error:
        raise Failed(error) from error


def _text(answer: Answer) -> bytes:
    """Give the body in UTF-8 without a mark. JSON is UTF-8 (RFC 8259), whatever some servers do."""
    body = answer.body
    kind, _, rest = answer.headers.get("content-type", "").partition(";")
    charset = rest.partition("charset=")[2].partition(";")[0].strip("\"' ").lower()
    if charset and charset not in _UTF:
        try:
            body = body.decode(charset).encode()
        except (LookupError, UnicodeDecodeError) as error:
            raise Failed(
                Invalid(
                    "not-json",
                    f"{answer.url} says that its answer is in {charset!r}, which it is not.",
                    url=answer.url,
                )
            ) from error
    body = body.removeprefix(_BOM)
    if kind.strip().lower() in _HTML and body.lstrip()[:1] == b"<":
        raise _not_json(answer, None)
    return body


def _not_json(answer: Answer, error: Exception | None) -> Failed:
    where, kind = answer.url, answer.headers.get("content-type", "no content type")
    if error is not None and _CUT_OFF in str(error):
        return Failed(
            Unavailable("answer-cut-off", f"{where} sent JSON that ends too early.", url=where),
            again=True,
        )
    if answer.body.lstrip()[:1] == b"<":
        return Failed(
            Invalid(
                "not-json",
                f"{where} sent a page ({kind}) where JSON is expected.",
                hint="Often it is a page to sign in: check url=, path= and auth=.",
                url=where,
                content_type=kind,
            )
        )
    why = f": {error}" if isinstance(error, msgspec.DecodeError) else ""
    return Failed(
        Invalid(
            "not-json", f"{where} sent {kind}, which is no JSON{why}.", url=where, content_type=kind
        )
    )


def is_missing(value: object) -> bool:
    """Say whether a path led to nothing, or to null."""
    return value is MISSING or value is None
