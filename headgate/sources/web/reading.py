"""Reading pages: the listed ones, then those their links lead to; what of them is new."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from random import Random
from typing import Final

import msgspec
import pyarrow as pa

from headgate.digests import digest
from headgate.errors import HeadgateError, NotFound, Refused
from headgate.http import HIDDEN, Answer, Credentials, HttpClient, followed, origin
from headgate.source_columns import POSITION, RECORD
from headgate.sources.cursors import Cursor
from headgate.sources.source import Batch, Setting
from headgate.sources.web.cutting import records_on
from headgate.sources.web.declaration import KIND, WebPages
from headgate.sources.web.visiting import Visits

_RECORDS: Final = pa.schema([(RECORD, pa.string()), (POSITION, pa.string())])
_PAGES: Final = pa.schema(
    [
        ("url", pa.string()),
        ("status", pa.int32()),
        ("fetched_at", pa.timestamp("us", "UTC")),
        ("content_type", pa.string()),
        ("body", pa.binary()),
    ]
)
_UNREAD: Final = pa.schema(
    [(name, pa.string()) for name in ("_position", "_raw", "_column", "_reason")]
)
_NOT_MODIFIED: Final = 304
_HTML: Final = ("", "text/html", "application/xhtml+xml")
_DEAD: Final = frozenset({"address-missing", "not-html"})


class Reading:
    """One reading of pages. ``batches`` may be called once."""

    def __init__(self, declared: WebPages, setting: Setting, random: Random) -> None:
        self._declared = declared
        self._setting = setting
        self._random = random
        self._open = ExitStack()

    def batches(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give what new and changed pages hold, in order of discovery.

        Raises:
            Refused: ``page-changed``, ``robots-forbid``.
            HeadgateError: a listed page cannot be had or read; it names the address.
        """
        declared = self._declared
        read = dict(cursor.items or {}) if cursor is not None else {}
        rows = _Rows(declared)
        with self._open:
            for url, answer in self._visited(self._visits(), read):
                if isinstance(answer, HeadgateError):
                    if read.get(url) != answer.code:  # told once
                        rows.add_unread(url, answer)
                        read[url] = answer.code
                    continue
                state = _state(answer)
                if not self._is_new(url, answer, state, read):
                    continue
                rows.add(url, answer)
                read[url] = state
                if rows.count >= declared.batch_rows:
                    yield rows.batch(Cursor(kind=KIND, items=dict(read)))
                    rows = _Rows(declared)
            if rows.count:
                yield rows.batch(Cursor(kind=KIND, items=dict(read)))

    def _visits(self) -> Visits:
        declared, setting = self._declared, self._setting
        client = HttpClient(
            clock=setting.clock,
            bounds=declared.bounds,
            ca_file=setting.root / declared.ca_file if declared.ca_file else None,
            trusted=declared.trusted,
            user_agent=declared.user_agent,
        )
        self._open.callback(client.close)
        revealed = {name: setting.reveal(value) for name, value in declared.headers.items()}
        visits = Visits(
            declared,
            client,
            Credentials(headers=revealed),
            clock=setting.clock,
            random=self._random,
        )
        self._open.callback(visits.close)
        return visits

    def _visited(
        self, visits: Visits, read: Mapping[str, str]
    ) -> Iterator[tuple[str, Answer | HeadgateError]]:
        """Give the listed pages, then those their links lead to, level by level."""
        follow = self._declared.follow
        level: Sequence[str] = self._declared.urls
        seen, arrived = set(level), set[str]()
        depth = 0
        while level:
            deeper = follow is not None and depth < follow.depth
            # A page that has not changed is not sent again, and its links would not be known.
            tags = {} if deeper else {url: tag for url in level if (tag := _tag(read.get(url)))}
            found: dict[str, None] = {}
            for url, page in visits.pages(level, tags):
                answer = _judged(url, page)
                if isinstance(answer, HeadgateError):
                    if depth == 0:
                        raise answer
                    if answer.code in _DEAD:
                        yield url, answer
                    elif answer.code != "robots-forbid":
                        raise answer
                    continue
                if self._is_elsewhere(answer, depth) or answer.url in arrived:
                    continue  # it was led there, or two addresses lead to one page
                if HIDDEN not in answer.url:
                    arrived.add(answer.url)
                yield url, answer
                if deeper and follow is not None:
                    for link in self._links(url, answer):
                        if link not in seen and len(seen) < follow.most:
                            seen.add(link)
                            found[link] = None
            level, depth = tuple(found), depth + 1

    def _is_elsewhere(self, answer: Answer, depth: int) -> bool:
        """Say whether a link was led to a host that links may not lead to."""
        follow = self._declared.follow
        return depth > 0 and follow is not None and origin(answer.url) not in follow.hosts

    def _links(self, url: str, answer: Answer) -> Iterator[str]:
        follow = self._declared.follow
        if follow is None:
            return
        query = {"select": follow.select, "fields": {"href": "@href"}}
        for _, link in records_on(answer.body, query, url, _charset(answer)):
            target = followed(answer.url, str(link.get("href") or ""))
            if target.startswith(("http://", "https://")) and origin(target) in follow.hosts:
                yield target

    def _is_new(self, url: str, answer: Answer, state: str, read: Mapping[str, str]) -> bool:
        before = read.get(url)
        if answer.status == _NOT_MODIFIED or _digest(before) == _digest(state):
            return False
        if before is not None and self._setting.appends and self._declared.changed == "refuse":
            raise Refused(
                "page-changed",
                f"{url} has changed since its rows were appended: read again, they would be there"
                " twice.",
                hint='Give the step a key and mode="upsert"; or say changed="again" to append all'
                " its rows once more.",
                url=url,
            )
        return True


class _Rows:
    """What is not a batch yet."""

    def __init__(self, declared: WebPages) -> None:
        self._declared = declared
        self._texts: list[bytes] = []
        self._positions: list[str] = []
        self._pages: list[tuple[str, Answer, datetime]] = []
        self._unread: list[dict[str, str | None]] = []
        self.count = 0

    def add(self, url: str, answer: Answer) -> None:
        self.count += 1  # a page without records is read as well, and the cursor says so
        if self._declared.keep_pages:
            self._pages.append((url, answer, answer.fetched_at))
            return
        for line, record in records_on(answer.body, self._declared.query, url, _charset(answer)):
            self._texts.append(msgspec.json.encode(record))
            self._positions.append(f"{url}:{line}")
            self.count += 1

    def add_unread(self, url: str, error: HeadgateError) -> None:
        unread = {"_position": url, "_raw": "", "_column": None, "_reason": error.message}
        self._unread.append(unread)
        self.count += 1

    def batch(self, cursor: Cursor) -> Batch:
        unread = pa.Table.from_pylist(self._unread, schema=_UNREAD) if self._unread else None
        if not self._declared.keep_pages:
            columns = {RECORD: self._texts, POSITION: self._positions}
            return Batch(rows=pa.table(columns, schema=_RECORDS), cursor=cursor, unread=unread)
        kept = {
            "url": [url for url, _, _ in self._pages],
            "status": [answer.status for _, answer, _ in self._pages],
            "fetched_at": [at for _, _, at in self._pages],
            "content_type": [answer.headers.get("content-type") for _, answer, _ in self._pages],
            "body": [answer.body for _, answer, _ in self._pages],
        }
        return Batch(rows=pa.table(kept, schema=_PAGES), cursor=cursor, unread=unread)


def _judged(url: str, page: Answer | HeadgateError) -> Answer | HeadgateError:
    """Refuse what is no page."""
    if isinstance(page, HeadgateError):
        return page
    kind = page.headers.get("content-type", "").partition(";")[0].strip().lower()
    if page.status == _NOT_MODIFIED or kind in _HTML:
        return page
    return NotFound(
        "not-html",
        f"{url} is no page: it is {kind}.",
        hint="Read files of other formats with hg.files.",
        url=url,
    )


def _charset(answer: Answer) -> str | None:
    told = answer.headers.get("content-type", "").lower().partition("charset=")[2]
    return told.partition(";")[0].strip("\"' ") or None


def _state(answer: Answer) -> str:
    """Give a page's state for the cursor: the digest of its body, and its ETag."""
    return f"{digest(answer.body)} {answer.headers.get('etag', '')}".strip()


def _digest(state: str | None) -> str:
    return (state or "").partition(" ")[0]


def _tag(state: str | None) -> str | None:
    return (state or "").partition(" ")[2] or None
