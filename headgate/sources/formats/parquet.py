"""Parquet files as they come from elsewhere."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.errors import Corrupt, Invalid
from headgate.filesets import NativeFiles
from headgate.sources.formats.raw_file import RawFile

OPTIONS: frozenset[str] = frozenset()


def native(files: Sequence[RawFile]) -> NativeFiles:
    """Give the files for an engine; columns are united by name, one name has one type.

    Raises:
        Corrupt: ``file-damaged``.
        Invalid: ``columns-differ``.
    """
    first: dict[str, tuple[pa.DataType, str]] = {}
    for file in files:
        for field in _schema(file):
            kind, where = first.setdefault(field.name, (field.type, file.shown))
            if kind != field.type:
                raise Invalid(
                    "columns-differ",
                    f"{field.name!r} is {kind} in {where} and {field.type} in {file.shown}.",
                    hint="Read the files in two steps, casting one of them.",
                    column=field.name,
                )
    return NativeFiles(
        paths=tuple(str(file.path) for file in files),
        format="parquet",
        shown={str(file.path): file.shown for file in files},
    )


def _schema(file: RawFile) -> pa.Schema:
    try:
        return pq.read_schema(file.path)
    except (pa.ArrowInvalid, OSError) as error:
        raise Corrupt(
            "file-damaged",
            f"{file.shown} is no whole Parquet file: {error}",
            hint="Fetch the file again.",
            path=file.shown,
        ) from error
