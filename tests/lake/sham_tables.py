"""Tables for tests of what is kept: real files and listings, hardly any bytes, no Iceberg."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from headgate.filesets import DataFile
from headgate.lake.entries import Entry, TableBody, table_key
from headgate.lake.lake import Lake
from headgate.lake.listings import Listing, Manifest, encoded, listing_path, metadata_path
from headgate.lake.operations import Append, Operation, Replace
from headgate.lake.records import Commit, Record, StepRecord, Write

UUID = "00000000-0000-0000-0000-{:012x}"


@dataclass(frozen=True)
class Version:
    """A table as a commit has it: its entry, and every file it needs."""

    entry: Entry
    manifests: tuple[Manifest, ...]
    data: tuple[str, ...]
    files: frozenset[str]


class ShamTables:
    """Makes versions of tables and commits of them; knows what each commit's state needs."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._numbers = count(1)
        self.versions: dict[str, Version] = {}  # by metadata path

    def data_file(self, table: int, prefix: str = "x") -> DataFile:
        """Write a data file."""
        uuid = UUID.format(table)
        path = f"data/{uuid}/{prefix}-{next(self._numbers):032x}.parquet"
        self._put(path)
        return DataFile(path=path, rows=1, size_bytes=1, checksum="")

    def after(self, before: Entry | None, table: int, operation: Append | Replace) -> Entry:
        """Write a table as it is after an operation: one more manifest, or one instead of all."""
        uuid = UUID.format(table)
        was = self.versions[before.table.metadata] if before and before.table else None
        number = next(self._numbers)
        unique = f"{number:032x}"
        directory = f"metadata/{uuid}"
        manifest = Manifest(
            name=f"{unique}-0",
            length=1,
            schema=0,
            snapshot=1,
            sequence=number,
            min_sequence=1,
            added=(1, 1),
            existing=(0, 0),
        )
        old = () if was is None or isinstance(operation, Replace) else was.manifests
        metadata = metadata_path(directory, number, unique)
        manifests = (*old, manifest)
        manifest_list = f"{directory}/{unique}-list.avro"
        self._put(metadata)
        self._put(manifest.path(directory))
        self._put(manifest_list)
        listing = Listing(
            manifest_list=manifest_list,
            schemas={0: ()},
            manifests=manifests,
            files={manifest.name: operation.files},
        )
        self._put(listing_path(metadata), encoded(listing))
        body = TableBody(uuid=uuid, metadata=metadata, schema=(), rows=1, size_bytes=1, files=1)
        entry = Entry(kind="table", content=f"{number}" + "long" * 200 * (number % 2), table=body)
        data = tuple(file.path for file in operation.files)
        if old and was is not None:
            data = (*was.data, *data)
        files = {metadata, listing_path(metadata), manifest_list, *data}
        for each in manifests:
            files |= {each.path(directory), each.listing(directory)}
        self.versions[metadata] = Version(entry, manifests, data, frozenset(files))
        return entry

    def state_files(self, entries: dict[str, Entry]) -> set[str]:
        """Give every file a state needs."""
        found: set[str] = set()
        for entry in entries.values():
            if entry.table is not None:
                found |= self.versions[entry.table.metadata].files
        return found

    def record(self, key: str, operations: tuple[Operation, ...], **more: object) -> Record:
        """Give a record of one write."""
        step = StepRecord(step="s", writes=(Write(key=key, operations=operations),))
        return Record(kind="run", at=self.lake.clock.now(), steps=(step,), **more)  # type: ignore[arg-type]

    def _put(self, path: str, content: bytes = b"x") -> None:
        place = Path(self.lake.storage.absolute(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def listed(lake: Lake) -> set[str]:
    """Give the lake's files."""
    return {file.path for place in ("data", "metadata") for file in lake.storage.list(place)}


def entries_of(lake: Lake, commit: Commit) -> dict[str, Entry]:
    """Read a whole tree."""
    return dict(lake.tree(commit).items())


__all__ = ["ShamTables", "entries_of", "listed", "table_key"]
