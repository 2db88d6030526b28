"""Web pages as a source: listed, or found by following links.

The cursor says which pages have been read, and in which state: what is new or changed is read next.
"""

from collections.abc import Iterator, Mapping
from random import Random, SystemRandom

from headgate.sources.cursors import Cursor
from headgate.sources.source import Batch, Description, NativeRead, Setting
from headgate.sources.web.cutting import check_query
from headgate.sources.web.declaration import KIND, parsed


class WebSource:
    """Pages of the web, and what of them are records. Options are those of ``hg.pages``.

    Raises:
        Invalid: ``bad-option``, ``unknown-option``, ``bad-address``, ``bad-retry``.
        Unavailable: ``library-missing``.
    """

    kind = KIND

    def __init__(
        self, options: Mapping[str, object], setting: Setting, *, random: Random | None = None
    ) -> None:
        self._setting = setting
        self._random = random or SystemRandom()
        self._declared = parsed(options)
        if self._declared.query:
            check_query(self._declared.query)
        if self._declared.follow is not None:
            check_query({"select": self._declared.follow.select, "fields": {"href": "@href"}})

    def describe(self) -> Description:
        """Say which pages are meant. No I/O."""
        urls, follow = self._declared.urls, self._declared.follow
        title = urls[0] if len(urls) == 1 else f"{urls[0]} and {len(urls) - 1} more"
        facts = {} if follow is None else {"follow": follow.select, "depth": str(follow.depth)}
        return Description(kind=self.kind, title=title, facts=facts)

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor."""
        return Cursor.parse(text, kind=self.kind)

    def fingerprint(self) -> None:
        """Give None: pages say what they hold only when they are read."""

    def native(self, cursor: Cursor | None) -> NativeRead | None:  # noqa: ARG002
        """Give None: there are no files."""
        return None

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give what new and changed pages hold, in order of discovery.

        Raises:
            Refused: ``page-changed``, ``robots-forbid``.
            HeadgateError: a listed page cannot be had or read; it names the address.
        """
        from headgate.sources.web.reading import Reading  # noqa: PLC0415 - loads pyarrow and httpx2

        yield from Reading(self._declared, self._setting, self._random).batches(cursor)

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: pages stay where they are."""

    def close(self) -> None:
        """Do nothing: connections live as long as a reading."""
