"""File lists: what files a table has, from listings, and from manifests where a listing is gone."""

from collections.abc import Mapping, Sequence

from headgate.filesets import DataFile
from headgate.lake.entries import TableBody
from headgate.lake.listings import Listing, Manifest, decoded, listing_path
from headgate.lake.storage import Storage, metadata_directory
from headgate.recent import Recent

_CACHED_FILES = 50_000


class FileLists:
    """Reads file lists; keeps those read or written last. Safe between threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._listings: Recent[Listing] = Recent(_CACHED_FILES)
        self._schemas: Recent[Mapping[str, int]] = Recent(_CACHED_FILES)

    def listing(self, body: TableBody) -> Listing:
        """Give the listing of a table.

        Raises:
            Corrupt: ``metadata-missing``, ``metadata-damaged``.
            Refused: ``delete-files-unsupported``.
        """
        path = listing_path(body.metadata)
        found = self._stored(path)
        if found is None:
            from headgate.lake.table_metadata import read_listing  # noqa: PLC0415 - 0.7 s, rarely

            found = read_listing(self._storage, body.metadata, body.partition, table=body.uuid)
            self.remember(path, found)
        return found

    def files(
        self, listing: Listing, manifest: Manifest, uuid: str, partition: Sequence[str]
    ) -> tuple[DataFile, ...]:
        """Give the files of one of a listing's manifests, as they were written."""
        files = listing.files.get(manifest.name)
        directory = metadata_directory(uuid)
        if files is None:
            holder = self._stored(manifest.listing(directory))
            files = holder.files.get(manifest.name) if holder is not None else None
        if files is None:
            from headgate.lake.manifests import manifest_file, read_manifest  # noqa: PLC0415

            described = manifest_file(manifest, self._storage, directory)
            files = read_manifest(self._storage, described, partition, table=uuid).files
        return files

    def schemas_by_path(self, body: TableBody) -> Mapping[str, int]:
        """Give the id of the schema that each file of a table was written under."""
        found = self._schemas.get(body.metadata)
        if found is None:
            listing = self.listing(body)
            found = {
                file.path: manifest.schema
                for manifest in listing.manifests
                for file in self.files(listing, manifest, body.uuid, body.partition)
            }
            self._schemas.put(body.metadata, found, weight=1 + len(found))
        return found

    def remember(self, path: str, listing: Listing) -> None:
        """Keep a listing that was written to a path."""
        weight = 1 + len(listing.manifests) + sum(map(len, listing.files.values()))
        self._listings.put(path, listing, weight=weight)

    def forget(self) -> None:
        """Drop what is kept."""
        self._listings.clear()
        self._schemas.clear()

    def _stored(self, path: str) -> Listing | None:
        found = self._listings.get(path)
        if found is None:
            content = self._storage.find(path)
            found = decoded(content) if content is not None else None
            if found is not None:
                self.remember(path, found)
        return found
