"""Listings: a table's file list beside its Iceberg metadata, readable without PyIceberg.

A listing holds what the manifests hold, as far as we need it: for every manifest which schema its
files were written under, and for the manifests written with it, their files. Files of older
manifests are in the listing that was written with those; so a commit writes what it adds, however
large the table is. A listing is a cache: dropped or torn, it is read again from the manifests.
"""

from collections.abc import Mapping

import msgspec

from headgate.filesets import DataFile
from headgate.lake.operations import Column

FORMAT = 1


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """What a manifest's partition values span, for one partition field (Iceberg: field summary)."""

    has_null: bool
    has_nan: bool | None
    low: bytes | None
    high: bytes | None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One Iceberg manifest: what a manifest list says of it, and its files' write-time schema.

    ``name`` is ``<unique>-<number>``: what the commit that wrote it was called, and which of its
    manifests it is. ``added`` and ``existing`` are (files, rows). Every commit writes down all
    manifests, hence the short form.
    """

    name: str
    length: int
    schema: int
    snapshot: int
    sequence: int
    min_sequence: int
    added: tuple[int, int]
    existing: tuple[int, int]
    partitions: tuple[Summary, ...] = ()

    @property
    def files(self) -> int:
        """How many files it lists."""
        return self.added[0] + self.existing[0]

    def path(self, directory: str) -> str:
        """Give its path, from the table's metadata directory."""
        return manifest_path(directory, self.name)

    def listing(self, directory: str) -> str:
        """Give the path of the listing that was written with it."""
        unique, _, _ = self.name.rpartition("-")
        return listing_path(metadata_path(directory, self.sequence, unique))


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The file list that belongs to one ``metadata.json``.

    ``files`` has the files of those manifests that were written with this listing, by name.
    """

    format: int = FORMAT
    manifest_list: str | None = None
    schemas: Mapping[int, tuple[Column, ...]] = {}
    manifests: tuple[Manifest, ...] = ()
    files: Mapping[str, tuple[DataFile, ...]] = {}


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Listing)


def metadata_path(directory: str, sequence: int, unique: str) -> str:
    """Give the path of a commit's table metadata."""
    return f"{directory}/{sequence:08d}-{unique}.metadata.json"


def manifest_path(directory: str, name: str) -> str:
    """Give the path of a manifest."""
    return f"{directory}/{name}.avro"


def listing_path(metadata: str) -> str:
    """Give the path of the listing that belongs to a metadata file."""
    return metadata.removesuffix(".metadata.json") + ".files.json"


def encoded(listing: Listing) -> bytes:
    """Give a listing's bytes."""
    return _ENCODER.encode(listing)


def decoded(content: bytes) -> Listing | None:
    """Read a listing; None where the bytes are torn or of another format."""
    try:
        listing = _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return listing if listing.format == FORMAT else None
