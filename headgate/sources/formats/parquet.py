"""Parquet files as they come from elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.errors import Corrupt, Invalid
from headgate.filesets import NativeFiles
from headgate.sources.formats.packing import opened, unpacked
from headgate.sources.formats.pieces import PIECE_ROWS, Piece
from headgate.sources.formats.raw_file import RawFile
from headgate.type_words import type_words


def native(files: Sequence[RawFile]) -> NativeFiles:
    """Give the files for an engine; columns are united by name, one name has one type.

    Raises:
        Corrupt: ``file-damaged``.
        Invalid: ``columns-differ``.
    """
    readable = [unpacked(file) for file in files]
    first: dict[str, tuple[pa.DataType, str]] = {}
    for file in readable:
        for field in _opened(file, file.path).schema_arrow:
            kind, where = first.setdefault(field.name, (field.type, file.shown))
            if kind != field.type:
                raise Invalid(
                    "columns-differ",
                    f"{field.name!r} is {type_words(kind)} in {where} and "
                    f"{type_words(field.type)} in {file.shown}.",
                    hint="Read the files in two steps, casting one of them.",
                    column=field.name,
                )
    return NativeFiles(
        paths=tuple(str(file.path) for file in readable),
        format="parquet",
        shown={str(file.path): file.shown for file in readable},
    )


def read(file: RawFile, options: Mapping[str, object], after: int) -> Iterator[Piece]:  # noqa: ARG001
    """Give a file's rows; row groups are read one at a time.

    Raises:
        Corrupt: ``file-damaged``.
    """
    with opened(unpacked(file)) as stream:
        yield from _pieces(file, _opened(file, stream), after)


def _pieces(file: RawFile, parquet: pq.ParquetFile, after: int) -> Iterator[Piece]:
    done = 0
    try:
        for number in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(number).num_rows
            if done + rows <= after:
                done += rows
                continue
            for batch in parquet.iter_batches(PIECE_ROWS, row_groups=[number]):
                done += batch.num_rows
                if done > after:
                    new = batch.slice(max(0, batch.num_rows - (done - after)))
                    yield Piece(rows=pa.Table.from_batches([new]), records=done)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
    if done <= after:
        yield Piece(rows=parquet.schema_arrow.empty_table(), records=done)


def _opened(file: RawFile, there: Path | IO[bytes]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(there)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(file, error) from error


def _damaged(file: RawFile, error: Exception) -> Corrupt:
    return Corrupt(
        "file-damaged",
        f"{file.shown} is no whole Parquet file: {error}",
        hint="Fetch the file again.",
        path=file.shown,
    )
