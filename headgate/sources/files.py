"""Files as a source: paths and patterns relative to the project, whatever they hold.

The cursor says which files have been read, and in which state: what is new or changed is read next.
"""

import errno
import glob
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from headgate.clock import Clock, SystemClock
from headgate.digests import digest_json
from headgate.errors import Invalid, NotFound, Refused, Unavailable
from headgate.filesets import NativeFiles
from headgate.names import suggestion
from headgate.sources.archives import LARGEST_BYTES, members, staged_member
from headgate.sources.cursors import Cursor
from headgate.sources.digesting import Digests, FileState
from headgate.sources.formats.raw_file import RawFile
from headgate.sources.source import Batch, Description, NativeRead, Setting

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKED = (".gz", ".zip")
_OWN_OPTIONS = frozenset({"paths", "format", "member", "largest_bytes", "changed"})
_REFUSE, _AGAIN = "refuse", "again"


class FileSource:
    """CSV, TSV and Parquet files, also in gzip and ZIP.

    Options: ``paths`` (a path or pattern, or several), ``format`` (``csv`` or ``parquet``, told
    from the names otherwise), ``member`` (which file of an archive: a name or a pattern),
    ``largest_bytes`` (of an unpacked member), ``changed`` (a file that was read and has changed,
    where rows are appended: ``refuse``, or ``again``, read all of it once more), and those of the
    format (``headgate/sources/formats``).

    Raises:
        Invalid: ``unknown-option``, ``bad-option``, ``files-without-path``.
    """

    kind = "files"

    def __init__(
        self, options: Mapping[str, object], setting: Setting, *, clock: Clock | None = None
    ) -> None:
        self._setting = setting
        self._patterns = _patterns(options)
        self._format = options.get("format")
        self._member = options.get("member")
        self._largest_bytes = int(str(options.get("largest_bytes", LARGEST_BYTES)))
        self._changed = _choice(options.get("changed", _REFUSE))
        self._options = {k: v for k, v in options.items() if k not in _OWN_OPTIONS}
        self._digests = Digests(setting.cache / "files", clock or SystemClock())
        self._states: tuple[FileState, ...] | None = None

    def describe(self) -> Description:
        """Say which files are meant. No I/O."""
        return Description(
            kind=self.kind,
            title=", ".join(self._patterns),
            facts={name: str(value) for name, value in self._options.items()},
        )

    def cursor(self, text: str) -> Cursor:
        """Read a stored cursor."""
        return Cursor.parse(text, kind=self.kind)

    def fingerprint(self) -> str:
        """Give the digest of the files' names and contents; reads only what changed since."""
        return digest_json([[self._shown(s.path), s.size_bytes, s.digest] for s in self._files()])

    def native(self, cursor: Cursor | None) -> NativeRead:
        """Give the new and changed files, checked, unpacked and told apart by layout.

        Raises:
            Refused: ``file-changed``: its rows would be added a second time.
        """
        self._refuse_changed(cursor)
        news = [state for state in self._files() if not self._is_read(state, cursor)]
        return NativeRead(
            files=self._native(news) if news else None, cursor=self._cursor(self._files(), cursor)
        )

    def read(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Give the rows of new and changed files, file by file, each with its cursor.

        Raises:
            Invalid: ``malformed-record``: only an engine's write can put such records aside.
            Refused: ``file-changed``: its rows would be added a second time.
        """
        self._refuse_changed(cursor)
        from headgate.sources.reading import tables  # noqa: PLC0415 - engines read by themselves

        done = [state for state in self._files() if self._is_read(state, cursor)]
        for state in self._files():
            if state in done:
                continue
            before = self._cursor(done, cursor) if done or cursor else None
            done.append(state)
            files = self._native([state])
            chunks = iter(tables(files)) if files is not None else iter(())
            chunk = next(chunks, None)
            while chunk is not None:
                following = next(chunks, None)
                yield Batch(rows=chunk, cursor=before if following else self._cursor(done, cursor))
                chunk = following

    def acknowledge(self, cursor: Cursor) -> None:
        """Do nothing: files stay where they are."""

    def close(self) -> None:
        """Keep what was learned about files' digests."""
        self._digests.save()

    # -- files

    def _files(self) -> tuple[FileState, ...]:
        """Find the files and their states; once for the life of the source."""
        if self._states is None:
            found: dict[Path, None] = {}
            for pattern in self._patterns:
                try:
                    found.update(dict.fromkeys(self._matches(pattern)))
                except OSError as error:  # a directory on the way
                    raise _unreadable(pattern, error) from error
            self._states = tuple(self._state(path) for path in found)
            self._digests.save()
        return self._states

    def _matches(self, pattern: str) -> list[Path]:
        root = self._setting.root
        exact = root / pattern
        if exact.is_dir():
            raise Invalid(
                "path-is-directory",
                f"{pattern} is a directory.",
                hint=f'Name the files: "{pattern.rstrip("/")}/*.csv".',
                path=pattern,
            )
        if exact.exists():
            return [exact]
        matches = sorted(
            path
            for name in glob.iglob(pattern, root_dir=root, recursive=True)  # noqa: PTH207 - takes '..'
            if (path := root / name).is_file()
        )
        if matches:
            return matches
        raise self._no_match(pattern)

    def _no_match(self, pattern: str) -> NotFound:
        if glob.has_magic(pattern):
            return NotFound(
                "no-files-match",
                f"No file matches {pattern} in {self._setting.root}.",
                hint="Patterns are relative to the project; ** goes into directories.",
                pattern=pattern,
            )
        place = (self._setting.root / pattern).parent
        names = [path.name for path in place.iterdir()] if place.is_dir() else []
        link = self._setting.root / pattern
        if link.is_symlink():
            return NotFound(
                "file-missing",
                f"{pattern} is a link to {link.readlink()}, which is not there.",
                hint="Put the file there, or mend the link.",
                path=pattern,
            )
        meant = suggestion(PurePath(pattern).name, names)
        return NotFound(
            "file-missing",
            f"There is no file {pattern} in {self._setting.root}.",
            hint=f"Did you mean {PurePath(pattern).with_name(meant)}?" if meant else None,
            path=pattern,
        )

    def _state(self, path: Path) -> FileState:
        try:
            return self._digests.state(path)
        except OSError as error:
            raise _unreadable(self._shown(path), error) from error

    def _shown(self, path: Path) -> str:
        try:
            return path.relative_to(self._setting.root).as_posix()
        except ValueError:
            return str(path)

    # -- cursors

    def _is_read(self, state: FileState, cursor: Cursor | None) -> bool:
        items = (cursor.items if cursor else None) or {}
        return items.get(self._shown(state.path)) == state.digest

    def _refuse_changed(self, cursor: Cursor | None) -> None:
        if not self._setting.appends or self._changed == _AGAIN or cursor is None:
            return
        items = cursor.items or {}
        for state in self._files():
            shown = self._shown(state.path)
            if items.get(shown, state.digest) != state.digest:
                raise Refused(
                    "file-changed",
                    f"{shown} has changed since its rows were appended: read again, they would be "
                    "there twice.",
                    hint='Give the step a key and mode="upsert"; or put new rows into new files; '
                    'or say changed="again" to append all its rows once more.',
                    path=shown,
                )

    def _cursor(self, states: Sequence[FileState], before: Cursor | None) -> Cursor:
        """Give the cursor after these files; one that has vanished and comes back is still read."""
        read = (before.items if before else None) or {}
        now = {self._shown(state.path): state.digest for state in states}
        return Cursor(kind=self.kind, items={**read, **now})

    # -- formats

    def _native(self, states: list[FileState]) -> NativeFiles | None:
        raw = [file for state in states for file in self._raw(state)]
        formats = {self._format_of(file.shown) for file in raw}
        if len(formats) != 1:
            raise Invalid(
                "formats-mixed",
                f"{', '.join(self._patterns)} names files of {' and '.join(sorted(formats))}.",
                hint="Read them in two steps.",
            )
        [name] = formats
        if name == "parquet":
            from headgate.sources.formats import parquet  # noqa: PLC0415 - loads pyarrow

            self._refuse_unknown(parquet.OPTIONS, name)
            return parquet.native(raw)
        from headgate.sources.formats import csv  # noqa: PLC0415 - loads duckdb

        self._refuse_unknown(csv.OPTIONS, name)
        return csv.native(raw, self._options, as_text=self._setting.as_text)

    def _raw(self, state: FileState) -> list[RawFile]:
        cache = self._setting.cache / "files"
        shown = self._shown(state.path)
        if state.path.suffix.lower() != ".zip":
            return [RawFile(path=state.path, shown=shown, digest=state.digest, cache=cache)]
        wanted = str(self._member) if self._member is not None else None
        return [
            RawFile(
                path=staged_member(state, name, cache, largest_bytes=self._largest_bytes),
                shown=f"{shown}!{name}",
                digest=f"{state.digest}!{name}",
                cache=cache,
            )
            for name in members(state, wanted)
        ]

    def _format_of(self, shown: str) -> str:
        if self._format is not None:
            if self._format not in {"csv", "parquet"}:
                raise Invalid(
                    "format-not-supported",
                    f"There is no file format {self._format!r}; there are csv and parquet.",
                    format=self._format,
                )
            return str(self._format)
        path = PurePath(shown.rpartition("!")[2])
        while path.suffix.lower() in _PACKED:
            path = path.with_suffix("")
        known = _SUFFIXES.get(path.suffix.lower())
        if known is None:
            raise Invalid(
                "format-unknown",
                f"The name of {shown} does not tell its format.",
                hint='Say it: format="csv" or "parquet".',
                path=shown,
            )
        return known

    def _refuse_unknown(self, known: frozenset[str], format_name: str) -> None:
        for name in self._options:
            if name not in known:
                meant = suggestion(name, known | _OWN_OPTIONS)
                raise Invalid(
                    "unknown-option",
                    f"Files of the format {format_name} have no option {name!r}.",
                    hint=f"Did you mean {meant}?" if meant else None,
                    option=name,
                )


def _unreadable(shown: str, error: OSError) -> Unavailable:
    denied = error.errno == errno.EACCES
    return Unavailable(
        "file-unreadable",
        f"{shown} {'may not' if denied else 'cannot'} be read: {error.strerror}.",
        hint="Give yourself the right to it." if denied else None,
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


def _patterns(options: Mapping[str, object]) -> tuple[str, ...]:
    paths = options.get("paths", ())
    given = (paths,) if isinstance(paths, (str, Path)) else paths
    if not isinstance(given, (list, tuple)) or not given:
        raise Invalid(
            "files-without-path",
            "A file source names no file.",
            hint='Write hg.files("data/*.csv").',
        )
    patterns = tuple(str(path) for path in given)
    for pattern in patterns:
        if "://" in pattern:
            raise Invalid(
                "path-is-url",
                f"{pattern} is no path on this machine.",
                hint="Fetch the file first.",
                path=pattern,
            )
    return patterns
