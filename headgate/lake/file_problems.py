"""Which files of a table are not what was written."""

from collections.abc import Iterator
from dataclasses import dataclass

from headgate.errors import Corrupt, Refused, Unavailable
from headgate.filesets import DataFile
from headgate.lake.entries import TableBody
from headgate.lake.loading import LOADING
from headgate.lake.storage import Storage, data_file_damaged, data_file_missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A file of a table that is not what was written; ``what`` is the code of the error.

    ``data-file-missing``, ``data-file-damaged``, ``file-unreadable``, ``metadata-missing`` or
    ``metadata-damaged``.
    """

    path: str
    what: str
    message: str


def file_problems(storage: Storage, body: TableBody, *, checksums: bool) -> Iterator[Problem]:
    """Compare every file of a table with what was written; give what is wrong, file by file.

    With ``checksums`` every byte is read, else only lengths are compared.
    """
    with LOADING:
        from headgate.lake.table_metadata import read_listing  # noqa: PLC0415

    storage.forget()
    try:
        listing = read_listing(storage, body.metadata, body.partition, table=body.uuid)
    except Corrupt as error:
        path = str(error.facts.get("path", body.metadata))
        yield Problem(path=path, what=error.code, message=error.message)
        return
    for manifest in listing.manifests:
        for file in listing.files[manifest.name]:
            problem = _problem(storage, file, checksums=checksums)
            if problem is not None:
                yield problem
                if problem.what == "file-unreadable" and storage.store is not None:
                    return  # the store fails: it was asked again and again already


def _problem(storage: Storage, file: DataFile, *, checksums: bool) -> Problem | None:
    path = storage.absolute(file.path)
    reason = None
    try:
        size = storage.size(file.path, fresh=True)
        if size != file.size_bytes:
            reason = f"it has {size} bytes, {file.size_bytes} were written"
        elif checksums and file.checksum and _bytes_differ(storage, file):
            reason = "its bytes are others than were written"
    except FileNotFoundError:
        error = data_file_missing(path)
        return Problem(path=path, what=error.code, message=error.message)
    except (Refused, Unavailable) as error:  # as object stores say it
        return Problem(path=path, what="file-unreadable", message=error.message)
    except OSError as error:
        refused = f"The data file {path} cannot be read: {error.strerror}."
        return Problem(path=path, what="file-unreadable", message=refused)
    if reason is None:
        return None
    damaged = data_file_damaged(path, reason)
    return Problem(
        path=path, what=damaged.code, message=f"{damaged.message.rstrip('.')}: {reason}."
    )


def _bytes_differ(storage: Storage, file: DataFile) -> bool:
    return storage.checksum(file.path, fresh=True) != file.checksum
