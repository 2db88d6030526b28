"""Files as a sink: each table a file that is replaced whole, or each commit a file of its own."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from headgate.errors import Conflict, Corrupt, Invalid, Refused
from headgate.names import suggestion
from headgate.sinks.files.buckets import BucketPlace
from headgate.sinks.files.places import DirectoryPlace, Place
from headgate.sinks.sink import Delivery, Description, Position, Setting, TableDelivery
from headgate.stores import REMOTE_OPTIONS

SUFFIXES: Mapping[str, str] = {
    "csv": ".csv",
    "excel": ".xlsx",
    "json": ".json",
    "jsonl": ".jsonl",
    "parquet": ".parquet",
}
_OPTIONS = REMOTE_OPTIONS | {"directory", "format", "compression"}
_PATHS = frozenset({"path", "file", "filename", "folder"})
_NAME = re.compile(r"[^\s/\\.][^/\\]*\Z")


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the position's file holds."""

    lake: str
    sink: str
    commit: str
    number: int
    tables: tuple[tuple[str, str], ...]


class FileSink:
    """Tables as files of one format in one directory.

    Options: ``directory`` (relative to the project, or ``s3://BUCKET/PREFIX``, ``gs://``, ``az://``
    with the options of such sources), ``format`` (``parquet``, ``csv``, ``jsonl``, ``json`` or
    ``excel``), ``compression`` (``gzip``; not for Parquet and Excel).

    Raises:
        Invalid: ``unknown-option``, ``bad-option``, ``sink-without-directory``.
    """

    kind = "files"
    remembers = True
    edits = False

    def __init__(self, options: Mapping[str, object], setting: Setting) -> None:
        self._setting = setting
        self._options = _checked(options)
        self._format = str(self._options.get("format", "parquet"))
        self._packed = self._options.get("compression") == "gzip"
        self._place: Place | None = None

    def describe(self) -> Description:
        """Say where the files go. No I/O."""
        return Description(
            kind=self.kind, title=f"{self._options['directory']} as {self._format}", facts={}
        )

    def position(self) -> Position | None:
        """Give the commit whose files are there.

        Raises:
            Refused: ``sink-of-another-lake``. Corrupt: ``sink-position-unreadable``.
            Unavailable: the directory or the store does not answer.
        """
        text = self._there.read(self._memory)
        if text is None:
            return None
        try:
            told = msgspec.json.decode(text, type=_Told)
        except msgspec.DecodeError as error:
            raise Corrupt(
                "sink-position-unreadable",
                f"{self._there.shown(self._memory)} does not say how far the sink is.",
                hint=f"Begin anew:  headgate sinks reset {self._setting.name}",
                path=self._there.shown(self._memory),
            ) from error
        if told.lake != self._setting.lake:
            raise Refused(
                "sink-of-another-lake",
                f"{self._there.shown(self._memory)} is of another lake than this one.",
                hint="Give the sink another directory, or another name.",
                path=self._there.shown(self._memory),
            )
        return Position(commit=told.commit, number=told.number, tables=told.tables)

    def deliver(self, delivery: Delivery) -> Mapping[str, int]:
        """Write a commit's files whole, then put each in its place, then say that it is there.

        Raises:
            Conflict: ``sink-elsewhere``.
            Refused: ``sink-file-upsert``, ``sink-name-impossible``, ``excel-too-large``.
            Unavailable: ``library-missing``, or the destination does not answer.
        """
        for each in delivery.tables:
            _check(each)
        place = self._there
        with place.locked():
            there = self.position()
            if (there and there.commit) != (delivery.after and delivery.after.commit):
                raise Conflict(
                    "sink-elsewhere",
                    f"{place.shown('')} has {there.commit if there else 'nothing'}, "
                    f"not {delivery.after.commit if delivery.after else 'nothing'}.",
                    hint="Another process delivered; try again.",
                    sink=self._setting.name,
                )
            with place.staging(self._staging) as staging:
                counts: dict[str, int] = {}
                moves: list[tuple[Path, str]] = []
                for number, each in enumerate(delivery.tables):
                    if each.effect == "drop":
                        continue
                    file = staging / f"{number}{self._suffix}"
                    counts[each.table] = self._written(file, each)
                    moves.append((file, self._file_name(each, delivery.position)))
                for file, name in moves:
                    place.put(file, name)
            for each in delivery.tables:
                if each.effect == "drop":
                    place.delete(each.to + self._suffix)
            self._tell(delivery.position)
        return counts

    def place(self, position: Position | None) -> None:
        """Say which commit's files are there, without writing one; None: none."""
        with self._there.locked():
            if position is None:
                self._there.delete(self._memory)
            else:
                self._tell(position)

    def close(self) -> None:
        """Do nothing: no handle stays open."""

    # -- parts

    @property
    def _there(self) -> Place:
        if self._place is None:
            directory = str(self._options["directory"])
            if "://" in directory:
                self._place = BucketPlace(directory, self._options, self._setting)
            else:
                self._place = DirectoryPlace(self._setting.root / directory, self._setting.clock)
        return self._place

    @property
    def _memory(self) -> str:
        return f".headgate-{self._setting.name}.json"

    @property
    def _staging(self) -> str:
        return f".headgate-{self._setting.name}.staging"

    @property
    def _suffix(self) -> str:
        return SUFFIXES[self._format] + (".gz" if self._packed else "")

    def _file_name(self, each: TableDelivery, position: Position) -> str:
        if each.effect == "replace":
            return each.to + self._suffix
        return f"{each.to}/{position.number:08}-{position.commit[:12]}{self._suffix}"

    def _written(self, file: Path, each: TableDelivery) -> int:
        from headgate.sinks.files import formats  # noqa: PLC0415 - loads pyarrow

        with each.rows() as reader:
            return formats.write(file, reader, self._format, packed=self._packed, table=each.table)

    def _tell(self, position: Position) -> None:
        told = _Told(
            lake=self._setting.lake,
            sink=self._setting.name,
            commit=position.commit,
            number=position.number,
            tables=position.tables,
        )
        self._there.write(self._memory, msgspec.json.encode(told) + b"\n")


def _checked(options: Mapping[str, object]) -> Mapping[str, object]:
    for name in options:
        if name not in _OPTIONS:
            meant = "directory" if name in _PATHS else suggestion(name, _OPTIONS)
            raise Invalid(
                "unknown-option",
                f"Sinks of the kind files have no option {name!r}.",
                hint=f"Did you mean {meant}?"
                if meant
                else "Options: " + ", ".join(sorted(_OPTIONS)),
                option=name,
            )
    if not options.get("directory"):
        raise Invalid(
            "sink-without-directory",
            "A sink of files names no directory.",
            hint='Write hg.sink("files", directory="out", format="csv", tables=[...]).',
        )
    form, compression = options.get("format", "parquet"), options.get("compression")
    if form not in SUFFIXES:
        raise _bad("format", form, SUFFIXES)
    packable = ("gzip",) if form not in {"parquet", "excel"} else ()
    if compression is not None and compression not in packable:
        raise _bad("compression", compression, packable or ("nothing: the format has its own",))
    return options


def _bad(option: str, given: object, known: Iterable[str]) -> Invalid:
    return Invalid(
        "bad-option",
        f"{option} is {given!r}; it can be {', '.join(known)}.",
        option=option,
    )


def _check(each: TableDelivery) -> None:
    if each.effect == "upsert":
        raise Refused(
            "sink-file-upsert",
            f"Rows of {each.table} would be changed by key, and a file has no keys.",
            hint='Say mode="replace" (written whole) or mode="insert" (a file for each commit).',
            table=each.table,
        )
    if not _NAME.match(each.to):
        raise Refused(
            "sink-name-impossible",
            f"{each.to!r} is no name for a file.",
            hint=f'Name it over there: tables={{"{each.table}": "name"}}.',
            table=each.table,
        )
