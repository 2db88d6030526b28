"""Relocating: Iceberg's files of a moved lake, written again with the paths they have now.

Our own records hold relative paths, and our readers find a moved lake's files by themselves. Other
Iceberg clients go by the absolute paths in the metadata. The same files are written again under the
same names, each replaced at once: manifests, then their lists, then the metadata, so that whoever
reads meanwhile, or afterwards where somebody was killed, finds every file either as it was or as it
shall be.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import msgspec
from pyiceberg.avro.file import AvroFile, AvroOutputFile
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import StructType

from headgate.errors import Invalid
from headgate.lake.entries import TableBody
from headgate.lake.iceberg_bytes import MemoryInput, MemoryOutput
from headgate.lake.listings import decoded, encoded, listing_path
from headgate.lake.storage import Storage, data_directory, metadata_damaged

_DATA_FILE, _FILE_PATH = "data_file", "file_path"
_MANIFEST_PATH, _MANIFEST_LENGTH = "manifest_path", "manifest_length"
_OWN_KEYS = frozenset({"avro.schema", "avro.codec"})
_CODEC = "deflate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocated:
    """What was written again: of how many versions of tables, how many files."""

    tables: int
    files: int


def is_moved(storage: Storage, body: TableBody) -> bool:
    """Say whether a table's metadata names another place than the one it is in.

    Raises:
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    found = _metadata(storage, body.metadata)
    return found.get("location") != storage.absolute(data_directory(body.uuid))


def relocate(storage: Storage, bodies: Iterable[TableBody]) -> Relocated:
    """Write the Iceberg files of tables again, with the paths of where the lake is now.

    Raises:
        Corrupt: ``metadata-missing``, ``metadata-damaged``.
    """
    lengths: dict[str, int] = {}
    written: list[str] = []
    tables = 0
    for body in bodies:
        before = len(written)
        _relocate(storage, body, lengths, written)
        tables += len(written) > before
    storage.sync(written)
    return Relocated(tables=tables, files=len(written))


def _relocate(
    storage: Storage, body: TableBody, lengths: dict[str, int], written: list[str]
) -> None:
    metadata = _metadata(storage, body.metadata)
    for snapshot in metadata.get("snapshots", ()):
        path = storage.relative(snapshot["manifest-list"])
        _rewrite(storage, path, "manifest_file", _in_list(storage, lengths, written), written)
    _put_lengths(storage, listing_path(body.metadata), lengths, written)
    new = _metadata_here(storage, metadata, body.uuid)
    if new != metadata:
        storage.put(body.metadata, msgspec.json.encode(new))
        written.append(body.metadata)


def _in_list(
    storage: Storage, lengths: dict[str, int], written: list[str]
) -> Callable[[Record, Schema], None]:
    """Give what changes an entry of a manifest list; it writes the manifest first."""

    def change(entry: Record, schema: Schema) -> None:
        path = storage.relative(entry[_position(schema.as_struct(), _MANIFEST_PATH)])
        if path not in lengths:
            _rewrite(storage, path, "manifest_entry", _in_manifest(storage), written)
            lengths[path] = storage.size(path, fresh=True)
        entry[_position(schema.as_struct(), _MANIFEST_PATH)] = storage.absolute(path)
        entry[_position(schema.as_struct(), _MANIFEST_LENGTH)] = lengths[path]

    return change


def _in_manifest(storage: Storage) -> Callable[[Record, Schema], None]:
    def change(entry: Record, schema: Schema) -> None:
        position = _position(schema.as_struct(), _DATA_FILE)
        fields = schema.as_struct().fields[position].field_type
        assert isinstance(fields, StructType)  # noqa: S101 - Iceberg spec, "Manifests"
        inside = _position(fields, _FILE_PATH)
        entry[position][inside] = _here(storage, entry[position][inside])

    return change


def _rewrite(
    storage: Storage,
    path: str,
    name: str,
    change: Callable[[Record, Schema], None],
    written: list[str],
) -> None:
    """Write an Avro file again where changing its records makes a difference."""
    content = storage.read(path)
    try:
        with AvroFile[Record](MemoryInput(path, content)) as reader:
            schema, meta = reader.schema, reader.header.meta
            records = list(reader)
    except (ValueError, EOFError, KeyError) as error:
        raise metadata_damaged(storage.absolute(path), error) from error
    before = [repr(record) for record in records]
    for record in records:
        change(record, schema)
    if [repr(record) for record in records] == before:
        return
    output = MemoryOutput(storage.absolute(path))
    header = {key: value for key, value in meta.items() if key not in _OWN_KEYS}
    with AvroOutputFile[Record](
        output, schema, name, metadata={**header, "avro.codec": _CODEC}
    ) as writer:
        writer.write_block(records)
    storage.put(path, output.stream.getvalue())
    written.append(path)


def _put_lengths(storage: Storage, path: str, lengths: dict[str, int], written: list[str]) -> None:
    """Note the new lengths of manifests in a file list; one that is gone stays gone."""
    content = storage.find(path)
    listing = decoded(content) if content is not None else None
    if listing is None:
        return
    directory = str(PurePosixPath(path).parent)
    manifests = tuple(
        msgspec.structs.replace(each, length=lengths.get(each.path(directory), each.length))
        for each in listing.manifests
    )
    if manifests != listing.manifests:
        storage.put(path, encoded(msgspec.structs.replace(listing, manifests=manifests)))
        written.append(path)


def _metadata(storage: Storage, path: str) -> dict[str, Any]:
    content = storage.read(path)
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise metadata_damaged(storage.absolute(path), error) from error


def _metadata_here(storage: Storage, metadata: dict[str, Any], uuid: str) -> dict[str, Any]:
    new = {**metadata, "location": storage.absolute(data_directory(uuid))}
    for name, key in (("snapshots", "manifest-list"), ("metadata-log", "metadata-file")):
        if name in new:
            new[name] = [{**each, key: _here(storage, each[key])} for each in new[name]]
    properties = dict(new.get("properties", {}))
    for name, directory in (("write.data.path", "data"), ("write.metadata.path", "metadata")):
        if name in properties:
            properties[name] = storage.absolute(f"{directory}/{uuid}")
    return {**new, "properties": properties}


def _here(storage: Storage, path: str) -> str:
    """Give where a file of the lake is now; a path that is none of the lake's stays."""
    try:
        return storage.absolute(storage.relative(path))
    except Invalid:
        return path


def _position(struct: StructType, name: str) -> int:
    return next(at for at, field in enumerate(struct.fields) if field.name == name)
