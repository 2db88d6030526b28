"""Files as a source: paths, patterns and URLs, whatever they hold and however they are packed.

The cursor says which files have been read, and in which state: what is new or changed is read next.
A file that is being read has its state and, after a ``#``, how much of it is done.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.clock import Clock
from headgate.digests import digest, digest_json
from headgate.errors import Invalid, Refused, Unavailable
from headgate.filesets import NativeFiles
from headgate.sources.cursors import Cursor
from headgate.sources.digesting import Digests
from headgate.sources.file_progress import Progress
from headgate.sources.formats.file_names import archive_of, format_of, packing_of, told_formats
from headgate.sources.formats.formats import NATIVE, checked_format, reader_of
from headgate.sources.formats.options import check_options, flag, mapping, text
from headgate.sources.formats.raw_file import LARGEST_BYTES, RawFile
from headgate.sources.places.opening import OPTIONS as PLACE_OPTIONS
from headgate.sources.places.opening import is_remote, place_of
from headgate.sources.places.place import Listed, Place
from headgate.sources.source import Batch, Description, NativeRead, Setting
from headgate.sources.staging import Workplace, staging

if TYPE_CHECKING:
    from headgate.sources.formats.pieces import Piece

_OWN_OPTIONS = frozenset({"changed", "compression", "format", "largest_bytes", "member", "paths"})
_REFUSE, _AGAIN = "refuse", "again"
_TRIES = 5
_SHOWN_OPTIONS = frozenset(
    {"format", "member", "record", "records", "select", "sheet", "html_table"}
)


class FileSource:
    """Files of every kind: on this machine, in a bucket, on a web server; packed or not.

    Options: ``paths`` (a path, a pattern or a URL, or several), ``format`` (told from the names
    otherwise), ``compression`` (likewise), ``member`` (which files of an archive: a name or a
    pattern), ``largest_bytes`` (of what is unpacked), ``changed`` (a file that was read and has
    changed, where rows are appended: ``refuse``, or ``again``, read all of it once more), those of
    the place (``headgate/sources/places``) and of the format (``headgate/sources/formats``).

    Raises:
        Invalid: ``unknown-option``, ``bad-option``, ``files-without-path``, ``path-is-url``;
            when they are listed, ``files-alike``.
    """

    kind = "files"

    def __init__(
        self, options: Mapping[str, object], setting: Setting, *, clock: Clock | None = None
    ) -> None:
        self._setting = setting if clock is None else replace(setting, clock=clock)
        self._patterns = _patterns(options)
        self._format = options.get("format")
        self._compression = options.get("compression")
        self._member = text(options, "member")
        self._largest_bytes = _size(options.get("largest_bytes", LARGEST_BYTES))
        self._changed = _choice(options.get("changed", _REFUSE))
        there = {name: value for name, value in options.items() if name in PLACE_OPTIONS}
        ours = _OWN_OPTIONS | PLACE_OPTIONS
        self._options = {name: value for name, value in options.items() if name not in ours}
        self._check(there)
        self._cache = setting.cache / "files"
        self._digests = Digests(self._cache, self._setting.clock)
        self._places = [
            place_of(pattern, there, self._setting, self._digests) for pattern in self._patterns
        ]
        self._workplace = Workplace(self._cache)
        self._brought: set[Path] = set()
        self._handed = False

    def describe(self) -> Description:
        """Say which files are meant. No I/O."""
        told = {"format": self._format, "member": self._member, **self._options}
        return Description(
            kind=self.kind,
            title=", ".join(_without_secrets(pattern) for pattern in self._patterns),
            facts={
                name: str(value)
                for name, value in told.items()
                if name in _SHOWN_OPTIONS and value is not None
            },
        )

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor."""
        return Cursor.parse(text, kind=self.kind)

    def fingerprint(self) -> str:
        """Give the digest of the files' names and states; reads only what changed since."""
        return digest_json([[file.shown, file.size_bytes, file.state] for file, _ in self._files])

    def native(self, cursor: Cursor | None) -> NativeRead | None:
        """Give the new and changed files, checked, unpacked and told apart by layout.

        None where they are of a format, or in a state, that only ``read`` gives.

        Raises:
            Refused: ``file-changed``: its rows would be added a second time.
        """
        progress = self._progress(cursor)
        news = [each for each in self._files if not progress.covers(each[0])]
        if not news:
            return NativeRead(files=None, cursor=progress.cursor())
        if not self._is_native(news) or any(progress.is_within(file) for file, _ in news):
            return None
        raw = [part for file, place in news for part in self._parts(file, place)]
        for file, _ in news:
            progress = progress.after(file)
        self._handed = True

        def prove() -> None:
            for file, _ in news:
                self._refuse_moved(file, by_name=True)

        return NativeRead(files=self._native(raw), cursor=progress.cursor(), prove=prove)

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give the rows of new and changed files, piece by piece, each with its cursor.

        Raises:
            Invalid: ``malformed-record``: of CSV, only an engine's write can put it aside.
            Refused: ``file-changed``: its rows would be added a second time.
        """
        progress = self._progress(cursor)
        for listed, place in self._files:
            if progress.covers(listed):
                continue
            file, batches = self._begun(listed, place, progress)
            waiting: Batch | None = None
            for batch, member, records in batches:
                if waiting is not None:
                    yield waiting
                here = progress.within(file, member, records).cursor()
                waiting = replace(batch, cursor=here)
            progress = progress.after(file)
            if waiting is not None:
                yield replace(waiting, cursor=progress.cursor())

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: files stay where they are."""

    def close(self) -> None:
        """Keep what was learned about files' digests; drop what was brought here or unpacked."""
        self._digests.save()
        self._workplace.close()
        self._brought.clear()

    def _check(self, there: Mapping[str, object]) -> None:
        """Refuse options that cannot be meant, as far as that is known without looking at files."""
        packing_of("", self._compression)
        mapping(there, "headers")
        for name in ("allow_http", "anonymous"):
            flag(there, name)
        if self._format is not None:
            formats: Collection[str] | None = (checked_format(self._format),)
        else:
            formats = told_formats(self._patterns)
        check_options(self._options, formats, beside=_OWN_OPTIONS | PLACE_OPTIONS)

    # -- what is there

    @cached_property
    def _files(self) -> Sequence[tuple[Listed, Place]]:
        """The files that are meant, each once, and where they are."""
        found: dict[str, tuple[Listed, Place]] = {}
        for place in self._places:
            for file in place.listed():
                known, _ = found.setdefault(file.shown, (file, place))
                if known.address != file.address:
                    raise _alike(file.shown)
        self._digests.save()
        return tuple(found.values())

    def _progress(self, cursor: Cursor | None) -> Progress:
        progress = Progress.of(self.kind, cursor)
        if self._setting.appends and self._changed != _AGAIN:
            for file, _ in self._files:
                _refuse_changed(file, progress)
        return progress

    # -- bytes

    def _raw(self, file: Listed, place: Place) -> RawFile:
        return RawFile(
            path=self._here(file, place),
            shown=file.shown,
            name=file.name,
            digest=file.state,
            cache=self._workplace.path,
            largest_bytes=self._largest_bytes,
            facts=file.facts,
        )

    def _parts(self, file: Listed, place: Place) -> Iterator[RawFile]:
        """Give a file, or the members of an archive, on this machine."""
        raw = self._raw(file, place)
        if archive_of(file.name) is not None:
            from headgate.sources.archives import members  # noqa: PLC0415 - loads pyarrow

            yield from members(raw, self._member)
        else:
            yield replace(raw, packing=packing_of(file.name, self._compression))

    def _here(self, file: Listed, place: Place) -> Path:
        if file.path is not None:
            return file.path
        suffix = "".join(Path(file.name).suffixes[-2:])
        path = self._workplace.path / f"{digest(file.shown, file.state)}{suffix}"
        self._brought.add(path)
        if not path.exists():
            with staging(path, file.shown) as target:
                place.bring(file, target)
        return path

    def _drop_copies(self, *, brought: bool) -> None:
        """Drop what was unpacked, perhaps what was brought, too; not what an engine may read."""
        if not self._handed:
            self._workplace.clear(() if brought else self._brought)

    # -- rows

    def _begun(
        self, listed: Listed, place: Place, progress: Progress
    ) -> "tuple[Listed, Iterator[tuple[Batch, int, int]]]":
        """Begin to read a file, as it is now: it may have been replaced since it was listed."""
        file, left = listed, _TRIES
        while True:
            batches = self._batches(file, place, progress.done_of(file))
            try:
                first = next(batches, None)
            except Unavailable as error:
                left -= 1
                if error.code != "file-changed-meanwhile" or file.path is None or not left:
                    raise
                file = place.again(file)
                if self._setting.appends and self._changed != _AGAIN:
                    _refuse_changed(file, progress)
            else:
                return file, batches if first is None else chain((first,), batches)

    def _batches(
        self, file: Listed, place: Place, done: tuple[int, int]
    ) -> Iterator[tuple[Batch, int, int]]:
        """Give a file's batches after what is done, each with its member and records."""
        for number, part in enumerate(self._parts(file, place)):
            if number >= done[0]:
                after = done[1] if number == done[0] else 0
                for piece in self._pieces(part, after):
                    batch = Batch(rows=piece.rows, cursor=None, unread=piece.unread)
                    yield batch, number, piece.records
            self._drop_copies(brought=False)
        self._refuse_moved(file)
        self._drop_copies(brought=True)

    def _pieces(self, part: RawFile, after: int) -> "Iterator[Piece]":
        name = self._format_of(part)
        check_options(self._options, (name,))
        if name == "csv":
            from headgate.sources.reading import pieces  # noqa: PLC0415 - loads duckdb

            files = self._native([part])
            yield from pieces(files, after) if files is not None else ()
        else:
            yield from reader_of(name)(part, self._options, after)

    def _refuse_moved(self, file: Listed, *, by_name: bool = False) -> None:
        """Refuse a file that was written to while it was read.

        One that was opened ``by_name`` must be the same file still.
        """
        if file.path is None or file.facts is None:
            return
        try:
            stat = file.path.stat()
        except FileNotFoundError:
            return  # it was opened while it was there
        now = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        by_name = by_name or self._named_format(file) == "csv"
        if now != file.facts and (by_name or stat.st_ino == file.facts[-1]):
            from headgate.sources.formats.packing import (  # noqa: PLC0415 - loads pyarrow
                changed_meanwhile,
            )

            raise changed_meanwhile(file.shown)

    # -- formats

    def _is_native(self, news: Sequence[tuple[Listed, Place]]) -> bool:
        """Say whether an engine reads the files by itself, with all that is to be said of them."""
        named = {self._named_format(file) for file, _ in news}
        if len(named) > 1 and None not in named:
            raise self._mixed({str(name) for name in named})
        if None in named:  # archives, whose members say it
            named = {name for file, place in news for name in self._inside(file, place)}
        remote = any(file.path is None for file, _ in news)
        return named <= ({"csv"} if remote else NATIVE)

    def _inside(self, file: Listed, place: Place) -> Iterator[str]:
        """Give the formats of a file, or of an archive's members."""
        named = self._named_format(file)
        if named is not None:
            yield named
            return
        from headgate.sources.archives import member_names  # noqa: PLC0415 - loads pyarrow

        for name in member_names(self._raw(file, place), self._member):
            yield format_of(name, f"{file.shown}!{name}")

    def _named_format(self, file: Listed) -> str | None:
        if self._format is not None:
            return checked_format(self._format)
        return None if archive_of(file.name) else format_of(file.name, file.shown)

    def _native(self, raw: Sequence[RawFile]) -> NativeFiles | None:
        formats = {self._format_of(file) for file in raw}
        if len(formats) != 1:
            raise self._mixed(formats)
        [name] = formats
        check_options(self._options, (name,))
        if name == "parquet":
            from headgate.sources.formats import parquet  # noqa: PLC0415 - loads pyarrow

            return parquet.native(raw)
        from headgate.sources.formats import csv  # noqa: PLC0415 - loads duckdb

        return csv.native(raw, self._options, as_text=self._setting.as_text)

    def _mixed(self, formats: set[str]) -> Invalid:
        return Invalid(
            "formats-mixed",
            f"{', '.join(self._patterns)} names files of {' and '.join(sorted(formats))}.",
            hint="Read them in two steps.",
        )

    def _format_of(self, file: RawFile) -> str:
        if self._format is not None:
            return checked_format(self._format)
        return format_of(file.name, file.shown)


def _refuse_changed(file: Listed, progress: Progress) -> None:
    if progress.has_changed(file):
        raise Refused(
            "file-changed",
            f"{file.shown} has changed since its rows were appended: read again, they would be "
            "there twice.",
            hint='Give the step a key and mode="upsert"; or put new rows into new files; or say '
            'changed="again" to append all its rows once more.',
            path=file.shown,
        )


def _alike(shown: str) -> Invalid:
    return Invalid(
        "files-alike",
        f"Two addresses are both {shown}: they differ only in their queries, by which files are not"
        " told apart, since queries hold keys that change.",
        hint="Read them in two steps.",
        path=shown,
    )


def _choice(changed: object) -> str:
    if changed not in {_REFUSE, _AGAIN}:
        raise Invalid(
            "bad-option",
            f"changed is {changed!r}; it can be {_REFUSE!r} or {_AGAIN!r}.",
            option="changed",
        )
    return str(changed)


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Invalid(
            "bad-option",
            f"largest_bytes is a number of bytes, not {value!r}.",
            option="largest_bytes",
        )
    return value


def _patterns(options: Mapping[str, object]) -> tuple[str, ...]:
    paths = options.get("paths", ())
    given = (paths,) if isinstance(paths, (str, Path)) else paths
    if not isinstance(given, (list, tuple)) or not given:
        raise Invalid(
            "files-without-path",
            "A file source names no file.",
            hint='Write hg.files("data/*.csv").',
        )
    return tuple(str(path) for path in given)


def _without_secrets(pattern: str) -> str:
    """Leave away what a URL may have secrets in: a user's name and password, a query."""
    if not is_remote(pattern):
        return pattern
    scheme, _, rest = pattern.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
