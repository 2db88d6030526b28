"""What a source must do: say what it is, and give rows from where it was left.

Bounded and endless sources look the same: ``read`` yields batches, each with the cursor that is
true once its rows are stored. A source never stores anything of its own: its memory is the cursor,
which the run commits together with the rows.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from headgate.clock import Clock, SystemClock
from headgate.filesets import NativeFiles
from headgate.secrets import Reveal, no_secrets
from headgate.sources.cursors import Cursor

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a source is given beside its options.

    Paths are relative to ``root``, the project's directory. ``cache`` may be dropped at any time.
    With ``as_text`` every column of a text format is read as text, because a contract says what it
    means; otherwise types are inferred from all of the rows. With ``appends`` the rows are added to
    those read before: what was read must not be given again. ``owner`` tells the reader apart from
    all others (pipeline, step and target branch), ``lake`` from those of other lakes, for what is
    reserved outside in their names. ``published`` gives the stored cursor of this reader as it is
    on the target by now: where it is another than the one that is read from, what is read will be
    read again. None where nobody knows.
    ``reveal`` gives the value of an option that is a secret, when a connection is made and not
    before.
    """

    root: Path
    cache: Path
    as_text: bool = False
    appends: bool = False
    owner: tuple[str, str, str] = ("", "", "")
    lake: str = ""
    clock: Clock = field(default_factory=SystemClock)
    published: Callable[[], str | None] | None = None
    reveal: Reveal = no_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows, and how far the source has been read once they are stored.

    ``cursor`` is that of the batch before where reading cannot be taken up after these rows. Beside
    a row's own columns ``rows`` may have those of ``headgate.source_columns``: where the row is
    found, the row as JSON instead of columns, what is done with it. ``unread`` holds records that
    are no rows at all and go to quarantine: ``_position``, ``_raw`` (the record's text),
    ``_column`` and ``_reason``, all text. ``note`` tells people what they should know of these
    rows, in a sentence, such as why all is read anew. ``same_columns``, said of the first
    batch, is the word that all of this reading have its columns and types: rows need not be kept
    for the case that a later batch brings more.
    """

    rows: "pa.Table"
    cursor: Cursor | None
    unread: "pa.Table | None" = None
    note: str | None = None
    same_columns: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRead:
    """Raw files an engine reads by itself; None where nothing is new. The cursor covers them.

    ``prove`` is called once they are read: it raises where they are not what the cursor says.
    """

    files: NativeFiles | None
    cursor: Cursor
    prove: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A source for people: ``title`` in a few words, ``facts`` as texts, without secrets."""

    kind: str
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Source(Protocol):
    """Gives rows from outside. Made of its options and a ``Setting``.

    Making one refuses options that cannot be meant, meets nothing outside and loads nothing that
    only reading needs: every source of a pipeline is made once before its run begins. Files of the
    project that declare more of it may be read.
    """

    kind: str

    def describe(self) -> Description:
        """Say what the source is. No I/O."""
        ...

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor of this source."""
        ...

    def fingerprint(self) -> str | None:
        """Give the digest of all the source holds now: equal digest, equal rows.

        None where the source cannot know without reading (an API, a broker).
        """
        ...

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give rows from after the cursor on; from the beginning with None.

        Reading again from a cursor of a batch gives the rows after that batch, no row twice, none
        missing. A bounded source ends.
        """
        ...

    def native(self, cursor: Cursor | None) -> NativeRead | None:
        """Give the files of all rows after the cursor, for an engine; None if there is no way."""
        ...

    def acknowledge(self, cursor: Cursor) -> None:
        """Hear that all rows up to the cursor are published: what the outside kept for them may go.

        Said after the publication, at least once before rows after the cursor are read; a source
        that reserves nothing outside does nothing.
        """
        ...

    def close(self) -> None:
        """Free connections and handles."""
        ...


@runtime_checkable
class Reserving(Protocol):
    """What a source that reserves something outside can be asked beside."""

    def reserved(self, cursor: Cursor | None) -> Mapping[str, str]:
        """Ask what is kept outside for this reader now: facts for people, without secrets."""
        ...
