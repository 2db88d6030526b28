"""REST APIs as a source: declared, not programmed.

A reading asks for the pages, side by side where they do not depend on each other, and gives their
records as JSON text, each once and in order, with the place it was found at.
"""

from collections.abc import Iterator, Mapping
from random import Random, SystemRandom
from typing import Final

from headgate.http import shown
from headgate.sources.cursor_words import cut, plain
from headgate.sources.cursors import Cursor
from headgate.sources.rest.declaration import (
    KIND,
    POSITION,
    SINCE,
    WINDOW,
    no_way_to_append,
    parsed,
)
from headgate.sources.rest.paths import written
from headgate.sources.source import Batch, Description, NativeRead, Setting

_VALUE: Final = 3
"""Where, behind the way, a cursor by a field has the greatest value as it was written."""


class RestSource:
    """A list of records of an API.

    Options are those of ``hg.rest``, or ``file``, a YAML file of them relative to the project, with
    ``resource``, one of its ``resources``; what is said beside it counts more. Making one reads
    that file.

    Raises:
        Invalid: ``bad-option``, ``unknown-option``, ``bad-address``, ``bad-retry``;
            ``rest-yaml``; ``rest-cannot-append``.
        NotFound: ``file-missing``, ``rest-resource-missing``.
    """

    kind = KIND

    def __init__(
        self, options: Mapping[str, object], setting: Setting, *, random: Random | None = None
    ) -> None:
        if "file" in options:
            from headgate.sources.rest.yaml_files import from_file  # noqa: PLC0415 - loads yaml

            options = from_file(options, setting.root)
        self._declared = parsed(options)
        self._setting = setting
        self._random = random or SystemRandom()
        if setting.appends and not self._declared.reads_on:
            raise no_way_to_append(self.describe().title)

    def describe(self) -> Description:
        """Say which list is meant. No I/O."""
        declared = self._declared
        facts = {"method": declared.method}
        if declared.pages is not None:
            facts["pages"] = getattr(declared.pages, "by", "time")
        title = shown(declared.address, declared.hidden_names)
        return Description(kind=self.kind, title=title, facts=facts)

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor."""
        return Cursor.parse(text, kind=self.kind)

    def how_far(self, cursor: Cursor) -> str:
        """Say which records were read, or up to when, or how many pages."""
        way, *place = cursor.sequence or ("",)
        if way == SINCE and len(place) > _VALUE:
            since = self._declared.top.since
            field = written(since.field) if since is not None else "a field"
            return f"{field} up to {plain(place[_VALUE])}"
        if way == WINDOW and place:
            return f"up to {plain(place[0])}"
        if way == POSITION and len(place) > 1:
            pages = f"{place[0]:,} page{'' if place[0] == 1 else 's'}"
            return f"{pages} and {place[1]:,} records of the next" if place[1] else pages
        return cut(cursor.text())

    def fingerprint(self) -> None:
        """Give None: an API says what it holds only when it is read."""

    def native(self, cursor: Cursor | None) -> NativeRead | None:  # noqa: ARG002
        """Give None: there are no files."""
        return None

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give the records after a cursor.

        Raises:
            Invalid: what the API sent is not what was declared.
            Unavailable, Refused, NotFound, Corrupt: what went wrong, with address and page.
        """
        from headgate.sources.rest.asking import asked  # noqa: PLC0415 - loads pyarrow and httpx2

        yield from asked(self._declared, self._setting, self._random, cursor)

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: an API keeps nothing for us."""

    def close(self) -> None:
        """Do nothing: connections live as long as a reading."""
